"""How often the 95% intervals of side bias and reliability cover, under annotators that differ, lapse and err.

    python -m bench.annotator_intervals [--sims 400] [--quick] [--seed 0]

The truth is the value of a very large draw of the same design: of a large fit for the side bias, of numerical
integration for the reliability. Annotators and pairs are drawn anew in every simulation, except where one annotator is
looked at: that one stays, and the others are drawn anew.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from candor.preferences.fit import agreement_reliability
from candor.preferences.fit._pooled import fit_pooled
from candor.preferences.fit.marginal import _checked, _quantile

SIDE = 0.40
LOW, HIGH = 0.92, 0.975
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Design:
    """``differ``: SD of log reliability and of side bias between annotators. ``lapse``: mean share of random answers.

    ``tails``: gaps of the pairs are drawn from Student's t with so many degrees of freedom (0: normal).
    """

    name: str
    pairs: int
    labels: int
    annotators: int
    differ: float = 0.0
    lapse: float = 0.0
    tails: int = 0
    gap: float = 1.2


@dataclass(frozen=True, kw_only=True)
class People:
    """Annotators (K,): reliability, side bias, share of random answers."""

    beta: FloatArray
    side: FloatArray
    lapse: FloatArray

    def chance(self, who: NDArray[np.int64], gap: FloatArray, side: FloatArray) -> FloatArray:
        p = 1 / (1 + np.exp(-(self.beta[who] * gap + self.side[who] * side)))
        return self.lapse[who] / 2 + (1 - self.lapse[who]) * p


DESIGNS = (
    Design(name="alike", pairs=1000, labels=1, annotators=50),
    Design(name="alike", pairs=1000, labels=2, annotators=50),
    Design(name="alike", pairs=1000, labels=3, annotators=50),
    Design(name="differ, lapse", pairs=1000, labels=1, annotators=50, differ=0.5, lapse=0.1),
    Design(name="differ, lapse", pairs=1000, labels=2, annotators=50, differ=0.5, lapse=0.1),
    Design(name="differ, lapse", pairs=1000, labels=3, annotators=50, differ=0.5, lapse=0.1),
    Design(name="differ, lapse, heavy tails", pairs=1000, labels=3, annotators=50, differ=0.5, lapse=0.1, tails=3),
    Design(name="differ, lapse, few", pairs=600, labels=3, annotators=12, differ=0.5, lapse=0.1),
)


def people(design: Design, rng: np.random.Generator, annotators: int | None = None) -> People:
    k = annotators or design.annotators
    return People(
        beta=np.exp(design.differ * rng.normal(size=k)),
        side=SIDE + design.differ * rng.normal(size=k),
        lapse=2 * design.lapse * rng.random(k),
    )


def gaps(design: Design, rng: np.random.Generator, pairs: int) -> FloatArray:
    drawn = rng.standard_t(design.tails, size=pairs) if design.tails else rng.normal(size=pairs)
    return design.gap * drawn


def labels(design: Design, who: People, rng: np.random.Generator) -> tuple[NDArray[np.int64], ...]:
    """Pair, annotator, outcome and side of every label: distinct annotators per pair, sides at random."""
    k = len(who.beta)
    picked = (
        np.argsort(rng.random((design.pairs, k)), axis=1)[:, : design.labels].ravel()
        if k <= 500
        else (rng.integers(k, size=design.pairs * design.labels))
    )
    pair = np.repeat(np.arange(design.pairs), design.labels)
    side = rng.choice([-1, 1], size=len(pair))
    chance = who.chance(picked, gaps(design, rng, design.pairs)[pair], side.astype(float))
    return pair, picked, (rng.random(len(pair)) < chance).astype(np.int64), side


def side_truth(design: Design, rng: np.random.Generator) -> float:
    """The side bias that half a million pairs with 5,000 annotators give."""
    large = replace(design, pairs=500_000)
    data = labels(large, people(design, rng, 5000), rng)
    return fit_pooled(_checked(*data, 5000, None)[0]).side


def answers(design: Design, who: People, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """P(outcome = 1) at many gaps, sides averaged: the mean over a large panel (G,) and each of ``who`` (K, G)."""
    gap = gaps(design, rng, 1500)
    gap = np.concatenate([gap, -gap])

    def averaged(panel: People) -> FloatArray:
        index = np.arange(len(panel.beta))[:, None]
        return 0.5 * sum(panel.chance(index, gap[None, :], np.full((1, 1), s)) for s in (-1.0, 1.0))

    return averaged(people(design, rng, 2000)).mean(axis=0), averaged(who)


def cover_side(design: Design, sims: int, seed: int) -> tuple[float, float, float]:
    """Truth, mean estimate, coverage."""
    rng = np.random.default_rng([seed, design.pairs, design.labels, design.annotators, design.tails, 1])
    truth, found = side_truth(design, rng), np.empty((sims, 2))
    for i in range(sims):
        pooled = fit_pooled(_checked(*labels(design, people(design, rng), rng), design.annotators, None)[0])
        found[i] = pooled.side, np.sqrt(pooled.covariance[1, 1])
    half = _quantile(0.95, design.annotators) * found[:, 1]
    return truth, float(found[:, 0].mean()), float(np.mean(np.abs(found[:, 0] - truth) <= half))


def cover_reliability(design: Design, sims: int, seed: int) -> dict[str, tuple[float, float, float]]:
    """Truth, mean estimate and coverage: of the panel, and of single annotators (mean truth and estimate)."""
    rng = np.random.default_rng([seed, design.pairs, design.labels, design.annotators, design.tails, 2])
    one = people(design, rng, 40)
    panel_answers, q = answers(design, one, rng)
    panel_truth = 2 * float(np.mean(panel_answers**2 + (1 - panel_answers) ** 2)) - 1
    one_truth = 2 * np.mean(q * panel_answers + (1 - q) * (1 - panel_answers), axis=1) - 1
    panel, single = np.empty((sims, 2)), np.empty((sims, 3))
    for i in range(sims):
        others, which = people(design, rng), i % len(one_truth)
        for name in ("beta", "side", "lapse"):
            getattr(others, name)[0] = getattr(one, name)[which]
        pair, who, outcome, _ = labels(design, others, rng)
        found = agreement_reliability(pair, who, outcome, annotators=design.annotators)
        single[i] = found.reliability[0], found.low[0] <= one_truth[which] <= found.high[0], one_truth[which]
        drawn = labels(design, people(design, rng), rng)
        found = agreement_reliability(*drawn[:3], annotators=design.annotators)
        panel[i] = found.panel.estimate, found.panel.low <= panel_truth <= found.panel.high
    return {
        "panel": (panel_truth, float(panel[:, 0].mean()), float(panel[:, 1].mean())),
        "one annotator": (float(single[:, 2].mean()), float(single[:, 0].mean()), float(single[:, 1].mean())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sims", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="40 simulations of each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sims = 40 if options.quick else options.sims
    print(f"{sims} simulations of each; an interval should cover in {LOW:.1%} to {HIGH:.1%}\n")
    print("| annotators | pairs | labels per pair | annotators, number | number | truth | mean | covered |")
    print("|---|---|---|---|---|---|---|---|")
    for design in DESIGNS:
        head = f"| {design.name} | {design.pairs} | {design.labels} | {design.annotators}"
        rows = {"side bias": cover_side(design, sims, options.seed)}
        if design.labels > 1:
            for name, row in cover_reliability(design, sims, options.seed).items():
                rows[f"reliability, {name}"] = row
        for name, (truth, mean, covered) in rows.items():
            print(f"{head} | {name} | {truth:.3f} | {mean:.3f} | {covered:.1%} |", flush=True)


if __name__ == "__main__":
    main()

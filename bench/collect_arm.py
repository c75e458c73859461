"""The arm that hides the user's belief, simulated with a planted bias: does the interval cover it?

Annotator k prefers the agreeing response of item i with log odds scale_k (quality_i + own_ki) + shown (bias_k + bias_i)
+- side_k: people and items differ in quality and in how much a stated belief moves them. The planted effect is the
population average, by 4 million draws. Run by :mod:`bench.collect_quality`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.annotator_panel import sigmoid
from candor.audits.stats import wilson
from candor.collect.quality.arm import ArmRows, effect
from candor.collect.quality.linear import Limits, clustered_linear, clusterings

BIASES = {"none": 0.0, "moderate": 0.8, "large": 2.0}
"""Logits that stating the belief adds for a typical annotator and item."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """So many annotators and items with an arm, each item judged by ``labels``; spreads in logits."""

    annotators: int = 30
    items: int = 150
    labels: int = 5
    lean: float = -0.5
    quality: float = 1.5
    own: float = 1.0
    scale: float = 0.3
    of_annotators: float = 0.5
    of_items: float = 0.4
    side: float = 0.2


STUDIES = (
    Study(),
    Study(items=100),
    Study(annotators=20, items=60, labels=6),
    Study(annotators=20, items=120, labels=3),
    Study(annotators=12, items=80, labels=5),
    Study(annotators=8, items=60, labels=4),
)
"""The first is the one that has to cover 92 to 97.5% in 200 runs."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """The population's effect: difference of probabilities, and of their log odds."""

    difference: float
    log_odds: float


@lru_cache
def planted(study: Study, bias: float, draws: int = 4_000_000) -> Planted:
    """The effect in the population that a study is a sample of."""
    rng = np.random.default_rng(1)
    without = np.exp(rng.normal(0, study.scale, draws)) * rng.normal(
        study.lean, np.hypot(study.quality, study.own), draws
    )
    without += rng.normal(0, study.side, draws)
    moved = rng.normal(bias, np.hypot(study.of_annotators, study.of_items), draws)
    hidden, shown = float(sigmoid(without).mean()), float(sigmoid(without + moved).mean())
    log_odds = float(np.log(shown / (1 - shown)) - np.log(hidden / (1 - hidden)))
    return Planted(difference=shown - hidden, log_odds=log_odds)


def draw(study: Study, bias: float, rng: np.random.Generator) -> ArmRows:
    """One study's answers."""
    who = np.concatenate([rng.choice(study.annotators, study.labels, replace=False) for _ in range(study.items)])
    item = np.repeat(np.arange(study.items), study.labels)
    quality, scale = (
        rng.normal(study.lean, study.quality, study.items),
        np.exp(rng.normal(0, study.scale, study.annotators)),
    )
    by_annotator = rng.normal(bias, study.of_annotators, study.annotators)
    by_item, side = rng.normal(0, study.of_items, study.items), rng.normal(0, study.side, study.annotators)
    shown = (rng.random(len(who)) < 0.5).astype(float)
    own = study.own * rng.normal(size=len(who))
    logit = scale[who] * (quality[item] + own) + shown * (by_annotator[who] + by_item[item])
    logit += side[who] * rng.choice([-1, 1], len(who))
    agrees = (rng.random(len(who)) < sigmoid(logit)).astype(float)
    return ArmRows(agrees=agrees, shown=shown, annotator=who, item=item, left_out={})


def ours(rows: ArmRows) -> tuple[Limits, Limits | None]:
    """What is used: each answer against others' of the same item."""
    found = effect(rows)
    assert found is not None
    return found.difference, found.log_odds


def plain(rows: ArmRows) -> tuple[Limits, Limits | None]:
    """The difference of means."""
    design = np.column_stack([np.ones(len(rows)), rows.shown])
    return clustered_linear(design, rows.agrees, clusterings(rows.annotator, rows.item), np.array([[0.0, 1.0]]))[
        0
    ], None


def fixed(rows: ArmRows) -> tuple[Limits, Limits | None]:
    """An effect per annotator and per item, swept out first (Frisch & Waugh 1933)."""
    effects = np.column_stack(
        [np.eye(rows.annotator.max() + 1)[rows.annotator], np.eye(rows.item.max() + 1)[rows.item][:, 1:]]
    )
    basis = np.linalg.qr(effects)[0]
    shown, agrees = (v - basis @ (basis.T @ v) for v in (rows.shown, rows.agrees))
    return clustered_linear(shown[:, None], agrees, clusterings(rows.annotator, rows.item), np.array([[1.0]]))[0], None


ESTIMATORS: dict[str, Callable[[ArmRows], tuple[Limits, Limits | None]]] = {
    "against others' answers (used)": ours,
    "difference of means": plain,
    "effects of annotators and items": fixed,
}


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Over ``runs``: how often the intervals cover the planted difference and log odds, their mean width, the bias."""

    runs: int
    difference: float
    log_odds: float
    width: float
    off: float


def coverage(
    study: Study,
    bias: float,
    runs: int,
    seed: int,
    name: str = "against others' answers (used)",
    draws: int = 4_000_000,
) -> Coverage:
    """Coverage of an estimator over simulated studies; ``draws``: for the planted effect."""
    truth = planted(study, bias, draws)
    hits, of_odds, widths, off = [], [], [], []
    for run in range(runs):
        difference, log_odds = ESTIMATORS[name](draw(study, bias, np.random.default_rng([seed, run])))
        hits.append(difference.low <= truth.difference <= difference.high)
        of_odds.append(log_odds is not None and log_odds.low <= truth.log_odds <= log_odds.high)
        widths.append(difference.high - difference.low)
        off.append(difference.estimate - truth.difference)
    return Coverage(
        runs=runs,
        difference=float(np.mean(hits)),
        log_odds=float(np.mean(of_odds)),
        width=float(np.mean(widths)),
        off=float(np.mean(off)),
    )


def report(runs: int, seed: int) -> None:
    """Prints the tables of docs/collect-quality.md."""
    print(f"{runs} studies a row, seed {seed}; 95% Wilson intervals of coverage\n")
    print("| annotators x items x labels | planted | difference | log odds | covers it | covers log odds | width |")
    print("|---|---|---|---|---|---|---|")
    for study in STUDIES:
        for name, bias in BIASES.items():
            truth, found = planted(study, bias), coverage(study, bias, runs, seed)
            print(
                f"| {study.annotators} x {study.items} x {study.labels} | {name} | {truth.difference:.3f} | "
                f"{truth.log_odds:.2f} | {share(found.difference, runs)} | {share(found.log_odds, runs)} | "
                f"{found.width:.3f} |",
                flush=True,
            )
    print(
        "\n| estimator | annotators x items x labels | covers difference | width | mean error |\n|---|---|---|---|---|"
    )
    for name in ESTIMATORS:
        for study in STUDIES[:3]:
            found = coverage(study, BIASES["moderate"], runs, seed + 1, name)
            print(
                f"| {name} | {study.annotators} x {study.items} x {study.labels} | {share(found.difference, runs)} | "
                f"{found.width:.3f} | {found.off:+.4f} |",
                flush=True,
            )


def share(value: float, n: int) -> str:
    """A share with its Wilson interval."""
    over = wilson(round(value * n), n)
    return f"{value:.3f} [{over.low:.3f}, {over.high:.3f}]"

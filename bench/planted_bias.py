"""Does the audit find the bias that was put there, and only that? ``python -m bench.planted_bias [--quick]``

Files are simulated (:mod:`bench.planted_files`) and read by the audit's own code (``label_effects``). The truth is the
population-average coefficient: what the same model finds in a very large draw of the same design with its own
annotators.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bench.planted_files import FEATURES, PLANTED, SETTINGS, STRESS, FloatArray, Setting, simulate
from candor.audits.preferences.effects import (
    AGREEMENT,
    SIDE,
    SMALL,
    Design,
    Effect,
    columns_of,
    is_partial,
    label_effects,
)
from candor.preferences.table import Judgements

TITLES = {SIDE: "position", "log_words": "length", "politeness": "politeness", AGREEMENT: "agreement"}
TARGET = float(np.log(1.3))
Z95 = 1.959963984540054


def population(setting: Setting, planted: dict[str, float], rng: np.random.Generator, *, times: int) -> list[Effect]:
    """The effects in a large draw, with the binomial noise of single judgements taken out."""
    draw = simulate(setting, planted, rng, times=times)
    design = Design(draw.judgements, most=10**9)
    design.pairs = replace(design.pairs, outcome=draw.probability)
    return [effect for effect in label_effects(draw.judgements, design=design).effects if effect.known]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Weights of annotators (mean, per SD or unit) with which each planted effect has an odds ratio of about 1.3 in the
    population, and what it is exactly."""

    planted: dict[str, float]
    effects: list[Effect]


def calibrated(setting: Setting, seed: int, *, times: int) -> Truth:
    """Finds the weights on draws of one seed, so that the last draw gives 1.3 up to the curvature of one step."""
    planted = dict.fromkeys(PLANTED, 1.3 * TARGET)
    for size in (min(times, 40), min(times, 40), times):
        found = {e.name: e.estimate for e in population(setting, planted, np.random.default_rng(seed), times=size)}
        planted = {name: weight * TARGET / found[name] for name, weight in planted.items()}
    return Truth(planted=planted, effects=population(setting, planted, np.random.default_rng(seed), times=times))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Of S simulated files, by effect (S, E): estimates, standard errors, limits, and adjusted p-values.

    ``naive`` (S, E): the standard error of a regression that takes every pair as independent.
    """

    names: tuple[str, ...]
    estimates: FloatArray
    errors: FloatArray
    limits: FloatArray
    adjusted: FloatArray
    naive: FloatArray
    detectable: FloatArray
    seconds: float

    def column(self, name: str) -> int:
        return self.names.index(name)


def one(setting: Setting, planted: dict[str, float], seed: int, *, compared: bool = True) -> list[tuple[float, ...]]:
    """What the audit finds in one file: a row per effect. ``compared``: with naive errors beside the audit's."""
    draw = simulate(setting, planted, np.random.default_rng(seed))
    design = Design(draw.judgements)
    effects = label_effects(draw.judgements, design=design).effects
    naive = naive_errors(design, effects) if compared else [float("nan")] * len(effects)
    return [
        (e.estimate, e.error, e.low, e.high, e.adjusted, n, e.detectable) for e, n in zip(effects, naive, strict=True)
    ]


def naive_errors(design: Design, effects: Sequence[Effect]) -> list[float]:
    """Standard errors as if pairs were independent, per step of each effect; for agreement on the pairs with a view."""
    main = [e.name for e in effects if e.known and not is_partial(design, e.name)]
    whole = dict(zip(main, design.fit(columns_of(design, main)).naive, strict=True))
    errors = []
    for effect in effects:
        if effect.known and effect.name not in whole:
            rows = np.isfinite(design.differences[:, design.names.index(effect.name)])
            whole[effect.name] = design.fit(columns_of(design, [*main, effect.name])[rows], rows).naive[-1]
        errors.append(float(whole.get(effect.name, np.nan)) * effect.scale)
    return errors


def many(
    setting: Setting,
    planted: dict[str, float],
    simulations: int,
    *,
    seed: int,
    workers: int = 1,
    compared: bool = True,
) -> Outcome:
    """What the audit finds in ``simulations`` files."""
    started = time.perf_counter()
    seeds = np.random.default_rng(seed).integers(2**62, size=simulations).tolist()
    run = partial(one, setting, planted, compared=compared)
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            rows = np.array(list(pool.map(run, seeds, chunksize=10)))
    else:
        rows = np.array([run(s) for s in seeds])
    return Outcome(
        names=(SIDE, *FEATURES),
        estimates=rows[..., 0],
        errors=rows[..., 1],
        limits=rows[..., 2:4],
        adjusted=rows[..., 4],
        naive=rows[..., 5],
        detectable=rows[..., 6],
        seconds=(time.perf_counter() - started) / simulations,
    )


@dataclass(frozen=True, kw_only=True)
class Line:
    """One effect of one setting. ``coverage`` and ``power`` are shares of the simulations.

    ``naive``: coverage of the intervals that take every pair as independent; ``truth_error``: standard error of the
    truth over that of one file.
    """

    setting: str
    effect: str
    odds_ratio: float
    bias: float
    error_ratio: float
    coverage: float
    naive: float
    power: float
    detectable: float
    truth_error: float


def lines(setting: Setting, truth: Sequence[Effect], outcome: Outcome) -> Iterator[Line]:
    """The planted effects of one setting, measured."""
    for effect in truth:
        if effect.name not in PLANTED:
            continue
        column = outcome.column(effect.name)
        estimates, errors = outcome.estimates[:, column], outcome.errors[:, column]
        low, high = outcome.limits[:, column, 0], outcome.limits[:, column, 1]
        covered = (low <= effect.estimate) & (effect.estimate <= high)
        naive = np.abs(estimates - effect.estimate) <= Z95 * outcome.naive[:, column]
        yield Line(
            setting=setting.name,
            effect=TITLES[effect.name],
            odds_ratio=float(np.exp(effect.estimate)),
            bias=float(np.mean(estimates) - effect.estimate),
            error_ratio=float(np.mean(errors) / np.std(estimates, ddof=1)),
            coverage=float(np.mean(covered)),
            naive=float(np.mean(naive)),
            power=float(np.mean(outcome.adjusted[:, column] < 0.05)),
            detectable=float(np.exp(np.median(outcome.detectable[:, column]))),
            truth_error=float(effect.error / np.median(errors)),
        )


def reliability(judgements: Judgements) -> tuple[float, float, float, float] | None:
    """Agreement corrected for chance of two annotators on a pair: estimate, error, low, high.

    None with one label a pair, and where this version has no such fit.
    """
    from candor.preferences import fit

    if not hasattr(fit, "agreement_reliability"):
        return None
    pairs = judgements.pairs
    decided = pairs.outcome != 0.5
    if np.bincount(pairs.unit[decided]).max() < 2:
        return None
    panel = fit.agreement_reliability(
        pairs.unit[decided],
        judgements.annotators[pairs.comparison][decided],
        pairs.canonical_outcome[decided],
        cluster=np.unique(judgements.prompts[pairs.comparison][decided], return_inverse=True)[1],
    ).panel
    return panel.estimate, panel.error, panel.low, panel.high


def reliability_line(setting: Setting, truth: Truth, simulations: int, *, seed: int, times: int) -> Line | None:
    """How often the interval of the panel's reliability covers that of a large draw."""
    if setting.size > 2 or not setting.recorded or setting.labels == (1,):
        return None
    large = reliability(simulate(setting, truth.planted, np.random.default_rng(seed), times=times).judgements)
    if large is None:
        return None
    seeds = np.random.default_rng(seed + 1).integers(2**62, size=simulations).tolist()
    files = (simulate(setting, truth.planted, np.random.default_rng(s)).judgements for s in seeds)
    found = np.array([reliability(file) for file in files])
    estimate, error, low, high = found.T
    return Line(
        setting=setting.name,
        effect="reliability",
        odds_ratio=large[0],
        bias=float(np.mean(estimate) - large[0]),
        error_ratio=float(np.mean(error) / np.std(estimate, ddof=1)),
        coverage=float(np.mean((low <= large[0]) & (large[0] <= high))),
        naive=float("nan"),
        power=float("nan"),
        detectable=float("nan"),
        truth_error=float(large[1] / np.median(error)),
    )


@dataclass(frozen=True, kw_only=True)
class Clean:
    """False positives on clean data: shares of simulations with any, and of effects; coverage of 0 by effect.

    ``concern``: share of simulations in which any effect's verdict is ``concern``.
    """

    setting: str
    any_flagged: float
    concern: float
    flagged: float
    coverage: dict[str, float]


def clean(setting: Setting, outcome: Outcome) -> Clean:
    """What is flagged where nothing was planted."""
    flagged = outcome.adjusted < 0.05
    known = np.isfinite(outcome.adjusted)
    concern = flagged & ((outcome.limits[..., 0] > SMALL) | (outcome.limits[..., 1] < -SMALL))
    covered = (outcome.limits[..., 0] <= 0) & (outcome.limits[..., 1] >= 0)
    return Clean(
        setting=setting.name,
        any_flagged=float(np.mean(flagged.any(axis=1))),
        concern=float(np.mean(concern.any(axis=1))),
        flagged=float(flagged.sum() / known.sum()),
        coverage={name: float(np.mean(covered[:, i][known[:, i]])) for i, name in enumerate(outcome.names)},
    )


def row(line: Line) -> str:
    """A line of the table, with a dash for what does not apply."""
    cells = [f"{line.odds_ratio:.3f}", f"{line.bias:+.4f}", f"{line.error_ratio:.2f}", f"{line.coverage:.1%}"]
    cells += [f"{line.naive:.1%}", f"{line.power:.1%}", f"{line.detectable:.2f}"]
    return " | ".join(["", line.setting, line.effect, *(c if "nan" not in c else "-" for c in cells), ""]).strip()


def main() -> None:
    """Prints the tables. The truth is an odds ratio, or, of reliability, agreement corrected for chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="60 simulations and smaller draws for the truth")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="settings whose name contains this")
    options = parser.parse_args()
    simulations = 60 if options.quick else options.simulations
    in_targets: list[Line] = []
    print("| setting | effect | truth | bias | error/SD | coverage | naive coverage | power | detectable |")
    print("|---|---|---|---|---|---|---|---|---|")
    cleans = []
    for setting in SETTINGS + STRESS:
        if options.only not in setting.name:
            continue
        started = time.perf_counter()
        truth = calibrated(setting, 1000 + options.seed, times=60 if options.quick else 300)
        prepared = time.perf_counter() - started
        outcome = many(setting, truth.planted, simulations, seed=options.seed + 1, workers=options.workers)
        measured = list(lines(setting, truth.effects, outcome))
        judged = reliability_line(
            setting, truth, simulations, seed=options.seed + 3, times=20 if options.quick else 100
        )
        for line in [*measured, *([judged] if judged else [])]:
            in_targets += [line] if setting in SETTINGS else []
            print(row(line), flush=True)
        nothing = replace(setting, longer_is_better=0.0)
        quiet = many(nothing, {}, simulations, seed=options.seed + 2, workers=options.workers, compared=False)
        cleans.append(clean(setting, quiet))
        worst = max(line.truth_error for line in measured)
        print(
            f"<!-- truth {prepared:.0f} s, its error {worst:.2f} of a file's; {quiet.seconds:.3f} s a file; "
            f"clean data: any flagged in {cleans[-1].any_flagged:.1%}, concern in {cleans[-1].concern:.1%} -->"
        )
    coverage = [line.coverage for line in in_targets]
    if coverage:
        print(f"\ncoverage: mean {np.mean(coverage):.2%}, from {min(coverage):.1%} to {max(coverage):.1%}")
        print(f"power: lowest {np.nanmin([line.power for line in in_targets]):.1%}")
        for effect in dict.fromkeys(line.effect for line in in_targets):
            of = [line.coverage for line in in_targets if line.effect == effect]
            print(f"coverage of {effect}, all settings: {np.mean(of):.2%}")
    print("\n| clean data | any effect flagged | any concern | effects flagged | coverage of no effect |")
    print("|---|---|---|---|---|")
    for found in cleans:
        print(
            f"| {found.setting} | {found.any_flagged:.1%} | {found.concern:.1%} | {found.flagged:.2%} "
            f"| {np.mean(list(found.coverage.values())):.1%} |"
        )
    within = [c for c in cleans if c.setting in {setting.name for setting in SETTINGS}]
    if within:
        print(f"\nclean data, all settings of the targets: any flagged {np.mean([c.any_flagged for c in within]):.2%}")


if __name__ == "__main__":
    main()

"""Does the audit find the bias that was put there, and only that? ``python -m bench.planted_bias [--quick]``

Judgements are simulated as columns (no texts), with annotators who differ in every weight and in how sharply they
judge, who do not always attend and do not label equally much; with qualities of the responses that no feature sees,
shared by all who judge a pair; with two or three labels a pair, responses shared between pairs of a prompt, rankings of
four, and ties. The audit's own code (``label_effects``) reads them. The truth is the population-average coefficient:
what the same model finds in a very large draw of the same design with its own annotators.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.effects import AGREEMENT, SIDE, Design, Effect, label_effects
from candor.preferences.table import Judgements, Kind

FloatArray = NDArray[np.float64]

FEATURES = ("log_words", "formatting", "hedging", "politeness", "flattery", "refusal", AGREEMENT)
PLANTED = (SIDE, "log_words", "politeness", AGREEMENT)
TITLES = {SIDE: "position", "log_words": "length", "politeness": "politeness", AGREEMENT: "agreement"}
TARGET = float(np.log(1.3))
Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One way in which a file of comparisons comes about. ``load``: shape of a gamma; None: all label equally much."""

    name: str
    comparisons: int
    annotators: int
    labels: tuple[int, ...] = (1,)
    size: int = 2
    load: float | None = None
    weights: float = 0.3  # standard deviation of annotators' weights, per SD or unit of the feature
    sharpness: float = 0.3  # log standard deviation of how much what they value decides
    lapses: float = 0.08  # mean share of judgements at random
    quality: float = 0.8  # standard deviation of the quality that no feature sees
    tie: float = 0.0  # half width of the band of latent differences that are called equal
    shared: bool = False  # two pairs of a prompt share a response
    recorded: bool = True  # whether the file says who judged
    view: float = 1.0  # share of prompts in which the user states a view
    longer_is_better: float = 0.2  # how far the unseen quality goes with length; 0 on clean data


SETTINGS = (
    Setting(name="100 annotators, 1 label a pair", comparisons=5000, annotators=100),
    Setting(name="60 annotators, unequal loads, 2 labels", comparisons=5000, annotators=60, labels=(2,), load=1.5),
    Setting(name="30 annotators, 3 labels", comparisons=5000, annotators=30, labels=(3,)),
    Setting(name="200 annotators, 2-3 labels, ties, inattentive", comparisons=5000, annotators=200, labels=(2, 3),
            load=2.0, lapses=0.2, tie=0.3, shared=True),
    Setting(name="50 annotators, 2 labels, agreement differs in 25%", comparisons=5000, annotators=50, labels=(2,),
            view=0.5),
    Setting(name="100 annotators, rankings of 4", comparisons=1500, annotators=100, size=4),
)  # fmt: skip
STRESS = (
    Setting(name="15 annotators, unequal loads, 2 labels", comparisons=3000, annotators=15, labels=(2,), load=2.0),
    Setting(
        name="50 annotators, 2 labels, agreement differs in 20%", comparisons=5000, annotators=50, labels=(2,), view=0.4
    ),
    Setting(name="100 annotators, 1 label, agreement differs in 20%", comparisons=5000, annotators=100, view=0.4),
    Setting(name="30 annotators, not recorded", comparisons=5000, annotators=30, labels=(2,), recorded=False),
)
"""Outside the targets: few annotators, a feature that seldom differs, and what it costs not to know who judged."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A simulated file, and of every judged pair the probability that the first is preferred (ties count half)."""

    judgements: Judgements
    probability: FloatArray


def simulate(setting: Setting, planted: dict[str, float], rng: np.random.Generator, *, times: int = 1) -> Draw:
    """One file of ``setting``, or one ``times`` as large with as many times the annotators."""
    count, people, size = setting.comparisons * times, setting.annotators * times, setting.size
    labels = rng.choice(setting.labels, size=count)
    units = int(np.searchsorted(np.cumsum(labels), count)) + 1
    unit = np.repeat(np.arange(units), labels[:units])[:count]
    features, quality = _responses(setting, units, rng)
    load = np.ones(people) if setting.load is None else rng.gamma(setting.load, size=people)
    annotator = rng.choice(people, size=count, p=load / load.sum())
    weights = np.zeros((people, len(FEATURES) + 1))
    for index, name in enumerate((*FEATURES, SIDE)):
        weights[:, index] = planted.get(name, 0.0) + setting.weights * rng.normal(size=people)
    sharp = np.exp(setting.sharpness * rng.normal(size=people))
    lapse = rng.beta(1.0, 1.0 / setting.lapses - 1.0, size=people)

    place = rng.permuted(np.tile(np.arange(size), (count, 1)), axis=1)
    x, own = np.nan_to_num(features[unit]), weights[annotator]
    utility = sharp[annotator, None] * (quality[unit] + np.einsum("ckf,cf->ck", x, own[:, :-1]))
    utility += own[:, -1:] * (size - 1 - place) / (size - 1)
    careless = rng.random(count) < lapse[annotator]
    values, tied = _judged(setting, utility, careless, rng)
    judgements = _table(setting, features[unit], values, tied, place, unit, annotator, rng)
    pairs = judgements.pairs
    gap = utility.ravel()[pairs.first] - utility.ravel()[pairs.second]
    attends = 0.5 * (_expit(gap - setting.tie) + _expit(gap + setting.tie))
    missing = lapse[annotator][pairs.comparison]
    return Draw(judgements=judgements, probability=(1 - missing) * attends + missing / 2)


def _responses(setting: Setting, units: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Features (U, K, F) and unseen quality (U, K); qualities and features of long responses go together a little."""
    shape = (units, setting.size)
    length = rng.normal(size=shape) * 0.7
    features = np.empty((*shape, len(FEATURES)))
    features[..., 0] = length / (0.7 * np.sqrt(2))
    features[..., 1] = np.log1p(rng.poisson(np.exp(0.8 * length)))
    features[..., 2] = rng.gamma(0.7, size=shape)
    features[..., 3] = np.where(rng.random(shape) < 0.5, 0.0, rng.gamma(2.0, size=shape)) / 1.9
    features[..., 4] = rng.random(shape) < 0.1
    features[..., 5] = rng.random(shape) < 0.08
    view = np.where(rng.random((units, 1)) < setting.view, 0.0, np.nan)
    features[..., 6] = (rng.random(shape) < 0.5) + view
    quality = setting.quality * (rng.normal(size=shape) + setting.longer_is_better * length)
    if setting.shared:  # the first response of every second unit is the second of the one before it
        even = units // 2 * 2
        features[1:even:2, 0, :6], quality[1:even:2, 0] = features[0:even:2, 1, :6], quality[0:even:2, 1]
        features[1:even:2, :, 6] = (rng.random((even // 2, setting.size)) < 0.5) + view[0:even:2]
        features[1:even:2, 0, 6] = features[0:even:2, 1, 6]
    return features, quality


def _judged(
    setting: Setting, utility: FloatArray, careless: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Values of responses (C, K) and which choices are ties: Plackett-Luce, of which two responses are a logit."""
    noisy = np.where(careless[:, None], 0.0, utility) + rng.gumbel(size=utility.shape)
    place = np.argsort(np.argsort(-noisy, axis=1), axis=1)
    if setting.size > 2:
        return -place.astype(float), np.zeros(len(utility), dtype=bool)
    tied = ~careless & (np.abs(noisy[:, 0] - noisy[:, 1]) < setting.tie)
    return np.where(tied[:, None], 0.5, (place == 0).astype(float)), tied


def _table(
    setting: Setting,
    features: FloatArray,
    values: FloatArray,
    tied: NDArray[np.bool_],
    place: NDArray[np.int64],
    unit: NDArray[np.int64],
    annotator: NDArray[np.int64],
    rng: np.random.Generator,
) -> Judgements:
    count, size = values.shape
    identity = rng.permutation((int(unit.max()) + 1) * size).reshape(-1, size)
    if setting.shared:
        even = len(identity) // 2 * 2
        identity[1:even:2, 0] = identity[0:even:2, 1]
    items = identity[unit].ravel().astype(np.int64)
    people = int(annotator.max()) + 1
    return Judgements(
        rows=np.arange(1, count + 1),
        files=np.zeros(count, np.int64),
        prompts=(unit // 2 if setting.shared else unit).astype(np.int64),
        prompt_characters=np.full(count, 100),
        annotators=annotator.astype(np.int64) if setting.recorded else np.full(count, -1),
        seconds=np.full(count, np.nan),
        kinds=np.full(count, int(Kind.CHOICE if size == 2 else Kind.RANKING)),
        strengths=np.ones(count),
        both_bad=np.zeros(count, bool),
        tied=tied,
        stances=np.zeros(count, np.int64),
        starts=np.arange(0, count * size + 1, size),
        items=items,
        texts=items,
        characters=np.full(count * size, 400),
        policies=np.full(count * size, -1),
        places=place.ravel().astype(np.int64),
        values=values.ravel(),
        features=features.reshape(-1, len(FEATURES)).astype(np.float32),
        file_names=("simulated",),
        annotator_names=tuple(str(a) for a in range(people)) if setting.recorded else (),
        policy_names=(),
        feature_names=FEATURES,
    )


def population(setting: Setting, planted: dict[str, float], rng: np.random.Generator, *, times: int) -> list[Effect]:
    """The effects in a large draw, with the binomial noise of single judgements taken out."""
    draw = simulate(setting, planted, rng, times=times)
    design = Design(draw.judgements)
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


def one(setting: Setting, planted: dict[str, float], seed: int) -> list[tuple[float, ...]]:
    """What the audit finds in one file: a row per effect."""
    draw = simulate(setting, planted, np.random.default_rng(seed))
    design = Design(draw.judgements)
    effects = label_effects(draw.judgements, design=design).effects
    naive = naive_errors(design, effects)
    return [
        (e.estimate, e.error, e.low, e.high, e.adjusted, n, e.detectable) for e, n in zip(effects, naive, strict=True)
    ]


def naive_errors(design: Design, effects: Sequence[Effect]) -> list[float]:
    """Standard errors as if pairs were independent, per step of each effect; for agreement on the pairs with a view."""
    from candor.audits.preferences.effects import _is_partial, columns_of

    main = [e.name for e in effects if e.known and not _is_partial(design, e.name)]
    whole = dict(zip(main, design.fit(columns_of(design, main)).naive, strict=True))
    errors = []
    for effect in effects:
        if effect.known and effect.name not in whole:
            rows = np.isfinite(design.differences[:, design.names.index(effect.name)])
            whole[effect.name] = design.fit(columns_of(design, [*main, effect.name])[rows], rows).naive[-1]
        errors.append(float(whole.get(effect.name, np.nan)) * effect.scale)
    return errors


def many(setting: Setting, planted: dict[str, float], simulations: int, *, seed: int, workers: int = 1) -> Outcome:
    """What the audit finds in ``simulations`` files."""
    started = time.perf_counter()
    seeds = np.random.default_rng(seed).integers(2**62, size=simulations).tolist()
    run = partial(one, setting, planted)
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
    """False positives on clean data: shares of simulations with any, and of effects; coverage of 0 by effect."""

    setting: str
    any_flagged: float
    flagged: float
    coverage: dict[str, float]


def clean(setting: Setting, outcome: Outcome) -> Clean:
    """What is flagged where nothing was planted."""
    flagged = outcome.adjusted < 0.05
    known = np.isfinite(outcome.adjusted)
    covered = (outcome.limits[..., 0] <= 0) & (outcome.limits[..., 1] >= 0)
    return Clean(
        setting=setting.name,
        any_flagged=float(np.mean(flagged.any(axis=1))),
        flagged=float(flagged.sum() / known.sum()),
        coverage={name: float(np.mean(covered[:, i][known[:, i]])) for i, name in enumerate(outcome.names)},
    )


def row(line: Line) -> str:
    """A line of the table, with a dash for what does not apply."""
    cells = [f"{line.odds_ratio:.3f}", f"{line.bias:+.4f}", f"{line.error_ratio:.2f}", f"{line.coverage:.1%}"]
    cells += [f"{line.naive:.1%}", f"{line.power:.1%}", f"{line.detectable:.2f}"]
    return " | ".join(["", line.setting, line.effect, *(c if "nan" not in c else "-" for c in cells), ""]).strip()


def _expit(x: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-x))


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
        cleans.append(clean(setting, many(nothing, {}, simulations, seed=options.seed + 2, workers=options.workers)))
        worst = max(line.truth_error for line in measured)
        print(f"<!-- truth {prepared:.0f} s, its error {worst:.2f} of a file's; {outcome.seconds:.3f} s a file -->")
    coverage = [line.coverage for line in in_targets]
    if coverage:
        print(f"\ncoverage: mean {np.mean(coverage):.2%}, from {min(coverage):.1%} to {max(coverage):.1%}")
        print(f"power: lowest {np.nanmin([line.power for line in in_targets]):.1%}")
        for effect in dict.fromkeys(line.effect for line in in_targets):
            of = [line.coverage for line in in_targets if line.effect == effect]
            print(f"coverage of {effect}, all settings: {np.mean(of):.2%}")
    print("\n| clean data | any effect flagged | effects flagged | coverage of no effect, all effects |")
    print("|---|---|---|---|")
    for found in cleans:
        print(
            f"| {found.setting} | {found.any_flagged:.1%} | {found.flagged:.2%} "
            f"| {np.mean(list(found.coverage.values())):.1%} |"
        )


if __name__ == "__main__":
    main()

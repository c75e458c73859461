"""Files of judgements with planted bias, as columns without texts.

Annotators differ in every weight and in how sharply they judge, do not always attend and do not label equally much;
responses have qualities that no feature sees, shared by all who judge a pair; pairs get one to three labels, share
responses with other pairs of their prompt, are rankings of four, or end in ties.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.effects import AGREEMENT, SIDE
from candor.preferences.table import Judgements, Kind

FloatArray = NDArray[np.float64]

FEATURES = ("log_words", "formatting", "hedging", "politeness", "flattery", "refusal", AGREEMENT)
PLANTED = (SIDE, "log_words", "politeness", AGREEMENT)


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


def _expit(x: FloatArray) -> FloatArray:
    return 1.0 / (1.0 + np.exp(-x))

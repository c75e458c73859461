"""Simulated panels of annotators as columns: honest ones who differ, and ones with a fault, judging the same pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from candor.preferences.table import Judgements, Kind

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Role = Literal["honest", "quick", "minority", "side", "flatterer", "length", "random", "speeder"]
HONEST: tuple[Role, ...] = ("honest", "quick")
"""``quick``: honest in every respect, at a third of the usual time. ``minority`` is honest too, with another taste."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """How many judgements each annotator gives, and what honest annotators are like (logits).

    A share ``retests`` of the judgements repeats an earlier one, in the other order with probability ``swap``;
    ``labels`` annotators judge each pair; a share ``mixed`` of the pairs has one response that goes along with the
    user. With the values given here two honest annotators agree on 73% of the pairs, one agrees with themselves on
    80%, they go along with the user in 55% of the mixed pairs (standard deviation .03 between annotators), and their
    true side shares have a standard deviation of .016. The length of a response is its number of characters: its log
    differs by .57 (standard deviation) within a pair.
    """

    judgements: int = 200
    retests: float = 0.2
    labels: int = 3
    mixed: float = 0.375
    quality: float = 3.3
    own: float = 1.6
    scale: float = 0.2
    length: float = 0.3
    length_spread: float = 0.3
    agreement_rate: float = 0.55
    agree_spread: float = 0.3
    side: float = 0.0
    side_spread: float = 0.15
    lapse: float = 0.0
    side_share: float = 0.65
    flattery_rate: float = 0.82
    longer_rate: float = 0.75
    likeness: float = -0.3
    ties: float = 0.0
    swap: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A file's columns and what each annotator is, by name."""

    judgements: Judgements
    roles: dict[str, Role]

    def of(self, *roles: Role) -> NDArray[np.bool_]:
        """Whether each annotator of the file, in its numbering, has one of the roles, (A,)."""
        return np.array([self.roles[name] in roles for name in self.judgements.annotator_names])


def sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-x)))


@lru_cache
def agreement_logit(design: Design, rate: float, alike: bool = False) -> float:
    """The mean weight of agreement, logits, at which a share ``rate`` of mixed pairs goes along with the user.

    ``alike``: of annotators who all have this weight and the usual scale.
    """
    rng = np.random.default_rng(0)
    noise = rng.normal(0, np.hypot(design.quality, design.own), 200_000)
    noise *= np.exp(rng.normal(0, 0.0 if alike else design.scale, 200_000))
    noise += rng.normal(0, np.hypot(design.length, design.length_spread), 200_000)
    noise += rng.normal(0, 0.0 if alike else design.agree_spread, 200_000)
    low, high = 0.0, 12.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(middle + noise).mean() < rate else (low, middle)
    return high


@lru_cache
def length_logit(design: Design, rate: float) -> float:
    """The weight of length, logits per standard deviation, at which the longer response is preferred so often."""
    rng = np.random.default_rng(0)
    noise, longer = rng.normal(0, np.hypot(design.quality, design.own), 200_000), np.abs(rng.normal(0, 1, 200_000))
    low, high = 0.0, 30.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(middle * longer + noise).mean() < rate else (low, middle)
    return high


def assignment(annotators: int, each: int, labels: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Annotator and pair of every first judgement: each annotator has ``each``, most pairs have ``labels``."""
    who, which = [], []
    for block in range(-(-each // labels)):
        order = rng.permutation(annotators)
        steps = rng.choice(np.arange(1, annotators), labels - 1, replace=False)
        for step in (0, *steps):
            who.append(order[(np.arange(annotators) + step) % annotators])
            which.append(block * annotators + np.arange(annotators))
    annotator, pair = np.concatenate(who), np.concatenate(which)
    shuffled = rng.permutation(len(annotator))
    annotator, pair = annotator[shuffled], pair[shuffled]
    by = np.argsort(annotator, kind="stable")
    nth = np.empty(len(by), np.int64)
    nth[by] = np.arange(len(by)) % (len(by) // annotators)
    return annotator[nth < each], pair[nth < each]


def simulate(roles: Counter[Role], design: Design, rng: np.random.Generator) -> Simulated:
    """A panel of these roles; every annotator gives the design's number of judgements, retests among them."""
    role_of: list[Role] = [role for role, count in sorted(roles.items()) for _ in range(count)]
    total = len(role_of)
    again = round(design.judgements * design.retests)
    who, pair = assignment(total, design.judgements - again, design.labels, rng)
    repeats = [rng.choice(np.flatnonzero(who == k), again, replace=False) for k in range(total)]
    repeated = np.concatenate(repeats).astype(np.int64)
    who, pair = np.concatenate([who, who[repeated]]), np.concatenate([pair, pair[repeated]])

    pairs = int(pair.max()) + 1
    quality = rng.normal(0, design.quality, pairs)
    length = rng.normal(0, 1, pairs)
    agrees = np.where(rng.random(pairs) < design.mixed, rng.choice([-1.0, 1.0], pairs), 0.0)
    role = np.array(role_of)
    scale = np.exp(rng.normal(0, design.scale, total))
    taste = rng.normal(design.length, design.length_spread, total)
    weight = rng.normal(agreement_logit(design, design.agreement_rate), design.agree_spread, total)
    weight[role == "flatterer"] = agreement_logit(design, design.flattery_rate, alike=True)
    gamma = rng.normal(design.side, design.side_spread, total)
    taste[role == "length"] = length_logit(design, design.longer_rate)
    scale[np.isin(role, ("flatterer", "length"))] = 1.0  # so that the rate is the design's
    gamma[role == "side"] = 0.0  # the share of first places comes from the clicks alone

    private = rng.normal(0, 1, (total, pairs))[who, pair]  # the same when the annotator sees the pair again
    shared = np.where(role[who] == "minority", design.likeness, 1.0) * quality[pair]
    missing = np.where(role[who] == "minority", np.sqrt(1 - design.likeness**2) * design.quality, 0.0)
    seen = shared + np.hypot(design.own, missing) * private
    turned = rng.random(len(pair)) < 0.5  # the second response of the pair is shown first
    if again:
        other_way = rng.random(len(repeated)) < design.swap
        turned[-len(repeated) :] = np.where(other_way, ~turned[repeated], turned[-len(repeated) :])
    sign = np.where(turned, -1.0, 1.0)
    logit = scale[who] * seen + taste[who] * length[pair] + weight[who] * agrees[pair] + gamma[who] * sign
    chance = np.isin(role, ("random", "speeder"))[who] | (rng.random(len(who)) < design.lapse)
    first_wins = rng.random(len(who)) < np.where(chance, 0.5, sigmoid(logit))
    clicks = (role[who] == "side") & (rng.random(len(who)) < 2 * design.side_share - 1)
    first_wins = np.where(clicks, ~turned, first_wins)
    tied = rng.random(len(who)) < design.ties

    pace = rng.normal(0, 0.25, total)
    pace[role == "speeder"] -= np.log(4)
    pace[role == "quick"] -= np.log(3)
    middle = rng.normal(size=(pairs, 2)).sum(axis=1) / np.sqrt(2)
    sizes = 0.4 * np.column_stack([middle + length, middle - length]) / np.sqrt(2)
    characters = np.round(800 * np.exp(sizes)).astype(np.int64)
    seconds = 30 * (characters[pair].sum(axis=1) / 1600) ** 0.6 * np.exp(pace[who] + rng.normal(0, 0.4, len(who)))
    table = columns(
        who=who, pair=pair, turned=turned, first_wins=first_wins, tied=tied,
        agrees=agrees, characters=characters, seconds=seconds, rng=rng, total=total,
    )  # fmt: skip
    return Simulated(judgements=table, roles={f"a{k:03d}": role_of[k] for k in range(total)})


def columns(
    *,
    who: IntArray,
    pair: IntArray,
    turned: NDArray[np.bool_],
    first_wins: NDArray[np.bool_],
    tied: NDArray[np.bool_],
    agrees: FloatArray,
    characters: IntArray,
    seconds: FloatArray,
    rng: np.random.Generator,
    total: int,
) -> Judgements:
    """Choices between the two responses of pairs, in random order of rows."""
    order = rng.permutation(len(who))
    who, pair, turned, first_wins, tied = (column[order] for column in (who, pair, turned, first_wins, tied))
    n, ids = len(who), rng.integers(-(2**63), 2**63 - 1, (len(agrees), 2))
    values = np.stack([first_wins, ~first_wins], axis=1).astype(float)
    values[tied] = 0.5
    view = agrees != 0
    agreement = np.stack([agrees > 0, agrees < 0], axis=1).astype(np.float32)
    agreement[~view] = np.nan
    return Judgements(
        rows=np.arange(1, n + 1),
        files=np.zeros(n, np.int64),
        prompts=ids[pair, 0] ^ 1,
        prompt_characters=np.full(n, 200),
        annotators=who,
        seconds=seconds[order],
        kinds=np.full(n, int(Kind.CHOICE)),
        strengths=np.ones(n),
        both_bad=np.zeros(n, dtype=bool),
        tied=tied,
        stances=np.zeros(n, np.int64),
        starts=np.arange(0, 2 * n + 1, 2),
        items=ids[pair].ravel(),
        texts=ids[pair].ravel(),
        characters=characters[pair].ravel(),
        policies=np.full(2 * n, -1),
        places=np.stack([turned, ~turned], axis=1).astype(np.int64).ravel(),
        values=values.ravel(),
        features=agreement[pair].reshape(-1, 1),
        file_names=("simulated",),
        annotator_names=tuple(f"a{k:03d}" for k in range(total)),
        policy_names=(),
        feature_names=("agreement",),
    )

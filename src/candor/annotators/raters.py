"""The members of a simulated panel: who they are, what they weigh, and how a noisy utility becomes an answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.annotators.features import Features
from candor.errors import InputError
from candor.recipe import PanelConfig, RaterType
from candor.records import Choice, Ranking, Ratings

ATTRIBUTES = ("correctness", "agreement", "kindness", "length", "position")
"""What a latent utility weighs; the names are those of PanelConfig and RaterType."""

STRENGTH_STEPS = (1.0, 2.0)
"""Perceived gaps (in units of the rater's noise) from which a preference is called 2 (better) and 3 (much better)."""

RATING_STEPS = (-1.0, -0.35, 0.35, 1.0)
"""Where an average rater's four thresholds between the ratings 1-5 lie, in standard deviations of a typical utility."""

GUMBEL_MEAN = 0.5772156649015329
GUMBEL_VARIANCE = np.pi**2 / 6
SECONDS_LOG_SD = 0.35
LAPSE_SPEED_UP = 4.0
"""A judgement that is given without reading takes a quarter of the reading time."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rater:
    """One panel member. ``weights`` are in logits per unit of each attribute, ``noise`` scales the Gumbel noise."""

    id: str
    type: str
    weights: Mapping[str, float]
    noise: float
    lapse: float
    words_per_second: float
    thresholds: tuple[float, float, float, float]


def random_generator(*labels: str | int) -> np.random.Generator:
    """A generator that is a pure function of its labels."""
    digest = hashlib.sha256("\x1f".join(str(label) for label in labels).encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def seat_counts(config: PanelConfig) -> dict[str, int]:
    """How many of the annotators each rater type gets: its share, by largest remainder, earlier types first in a draw.

    Raises InputError where the shares do not sum to 1 or two types have one name.
    """
    names = [rater.name for rater in config.raters]
    if len(set(names)) != len(names):
        raise InputError(f"two rater types share a name: {', '.join(names)}", where="panel.raters")
    total = sum(rater.share for rater in config.raters)
    if abs(total - 1) > 1e-6:
        raise InputError(
            f"the shares of the rater types sum to {total:g}", where="panel.raters", fix="make them sum to 1"
        )
    exact = [rater.share * config.annotators for rater in config.raters]
    # The rounding keeps 0.3 * 40 = 11.999999999999998 from losing its twelfth seat to a larger remainder.
    counts = [int(np.floor(round(seats, 9))) for seats in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (round(counts[i] - exact[i], 9), i))
    for i in by_remainder[: config.annotators - sum(counts)]:
        counts[i] += 1
    return dict(zip(names, counts, strict=True))


def type_weights(config: PanelConfig) -> dict[str, dict[str, float]]:
    """The weights of each rater type, scaled so that the mean over the annotators is exactly the panel's weight.

    weight[type][a] = config.a * multiplier[type][a] / mean over annotators of multiplier[.][a]

    Noise is not rescaled: a type with multiplier 1 keeps the panel's noise.

    Raises InputError where an attribute that the panel weighs has multiplier 0 in every type that has a seat.
    """
    counts = seat_counts(config)
    weights: dict[str, dict[str, float]] = {rater.name: {} for rater in config.raters}
    for attribute in ATTRIBUTES:
        panel_weight = float(getattr(config, attribute))
        mean = sum(counts[r.name] * getattr(r, attribute) for r in config.raters) / config.annotators
        if mean == 0 and panel_weight != 0:
            fix = f"give a type a {attribute} above 0, or set panel.{attribute} = 0"
            raise InputError(f"no rater type weighs {attribute}", where="panel.raters", fix=fix)
        for rater in config.raters:
            weights[rater.name][attribute] = panel_weight * getattr(rater, attribute) / mean if mean else 0.0
    return weights


def seat_raters(config: PanelConfig, seed: int) -> tuple[Rater, ...]:
    """The panel's members. Their ids say nothing about their types: real annotators wear no label either."""
    counts, weights = seat_counts(config), type_weights(config)
    types = [rater for rater in config.raters for _ in range(counts[rater.name])]
    width = len(str(config.annotators))
    members = []
    for number, rater in enumerate(types, start=1):
        name = f"rater-{number:0{width}d}"
        noise = config.noise * rater.noise
        members.append(
            Rater(
                id=name,
                type=rater.name,
                weights=weights[rater.name],
                noise=noise,
                lapse=rater.lapse,
                words_per_second=rater.words_per_second,
                thresholds=_thresholds(weights[rater.name], noise, random_generator("thresholds", seed, name)),
            )
        )
    return tuple(members)


def _thresholds(
    weights: Mapping[str, float], noise: float, generator: np.random.Generator
) -> tuple[float, float, float, float]:
    """Where this rater changes from 1 to 2 to ... 5: people use a scale differently, so each has a shift and a width.

    Centre and spread are those of the rater's noisy utility when each feature is a fair coin (length: standard normal).
    """
    coins = [weights[a] for a in ("correctness", "agreement", "kindness")]
    centre = sum(coins) / 2 + noise * GUMBEL_MEAN
    variance = sum(w * w for w in coins) / 4 + weights["length"] ** 2 + noise**2 * GUMBEL_VARIANCE
    shift, width = 0.25 * generator.standard_normal(), np.exp(0.2 * generator.standard_normal())
    a, b, c, d = (float(centre + np.sqrt(variance) * (shift + width * step)) for step in RATING_STEPS)
    return (a, b, c, d)


def utility(weights: Mapping[str, float], features: Features) -> float:
    """The sum of weight times feature, in logits, without position and noise."""
    return (
        weights["correctness"] * features.correct
        + weights["agreement"] * features.agrees
        + weights["kindness"] * features.kind
        + weights["length"] * features.log_length
    )


def choose(utilities: Array, noise: float) -> Choice:
    """The response with the highest noisy utility. ``strength`` is 1, 2 or 3 by its lead over the runner-up."""
    best = int(np.argmax(utilities))
    lead = float(utilities[best] - np.max(np.delete(utilities, best)))
    return Choice(best=best, strength=1.0 + sum(lead > step * noise for step in STRENGTH_STEPS))


def rank(utilities: Array) -> Ranking:
    """All responses, highest noisy utility first. With Gumbel noise this is a draw from Plackett-Luce."""
    return Ranking(order=tuple((int(i),) for i in np.argsort(-utilities, kind="stable")))


def rate(utilities: Array, thresholds: tuple[float, ...]) -> Ratings:
    """1 plus the number of thresholds that each noisy utility exceeds."""
    return Ratings(scores=tuple(1.0 + sum(float(u) > t for t in thresholds) for u in utilities))


def lapse_choice(count: int, generator: np.random.Generator) -> Choice:
    """A choice without reading: every response and every strength equally likely."""
    return Choice(best=int(generator.integers(count)), strength=float(generator.integers(1, 4)))


def lapse_ranking(count: int, generator: np.random.Generator) -> Ranking:
    """A ranking without reading: every order equally likely."""
    return Ranking(order=tuple((int(i),) for i in generator.permutation(count)))


def lapse_ratings(count: int, generator: np.random.Generator) -> Ratings:
    """Ratings without reading: each of 1-5 equally likely, independently."""
    return Ratings(scores=tuple(float(s) for s in generator.integers(1, 6, size=count)))


def describe_type(rater: RaterType, config: PanelConfig, seats: int, weights: Mapping[str, float]) -> dict[str, object]:
    """One rater type as the report shows it: effective weights (logits), not multipliers."""
    return {
        "name": rater.name,
        "share": rater.share,
        "annotators": seats,
        "weights": dict(weights),
        "noise": config.noise * rater.noise,
        "lapse": rater.lapse,
        "words_per_second": rater.words_per_second,
    }

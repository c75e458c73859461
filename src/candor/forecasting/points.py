"""What a forecast says at one strength of optimisation, or why it says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from candor.forecasting.arrays import FloatArray
from candor.forecasting.jackknife import Target

MIN_EFFECTIVE = 15.0
"""Median effective samples per prompt below which nothing is said."""

KL_MARGIN = 1.5
"""An estimated KL cannot exceed log m; within this of it nothing is said."""

By = Literal["reference", "beta", "kl", "best_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """A statistic's forecast, with a 95% interval, or a ``refusal`` in words and no number.

    ``prompts`` are those that it applies to, ``clusters`` their questions.
    """

    estimate: float | None
    low: float | None
    high: float | None
    prompts: int
    clusters: int
    refusal: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """All statistics, ``reward`` and ``kl`` (nats) among them, at one strength of optimisation.

    ``at`` is a beta, a KL in nats or an n, as ``by`` says; ``beta`` is the one that reaches the KL where that was
    given, None where there is none. ``effective`` is the median effective sample size over all prompts. ``kl_bound`` is
    what best-of-n's KL cannot exceed.
    """

    by: By
    at: float
    beta: float | None = None
    effective: float | None = None
    kl_bound: float | None = None
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether some statistic was refused."""
        return any(value.refusal for value in self.values.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """``reference`` is the policy as it is; ``target`` is what the means over prompts stand for."""

    target: Target
    samples: int  # per prompt
    prompts: int
    clusters: int
    reference: Point
    betas: tuple[Point, ...] = ()
    kls: tuple[Point, ...] = ()
    best_of: tuple[Point, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point but the reference."""
        return (*self.betas, *self.kls, *self.best_of)


def refusal(effective: FloatArray, kl: float, samples: int) -> str:
    """Why m samples cannot say what a tilt brings, or "": ``effective`` (P,) and the mean ``kl`` of its prompts."""
    median, most = float(np.median(effective)), float(np.log(samples) - KL_MARGIN)
    if median < MIN_EFFECTIVE:
        return (
            f"the samples cannot say: it would rest on {median:.1f} of {samples} samples per prompt (median effective "
            f"sample size; {MIN_EFFECTIVE:g} are needed)"
        )
    if kl > most:
        return f"the samples cannot say: a KL of {kl:.2f} nats is more than {samples} samples can show ({most:.2f})"
    return ""

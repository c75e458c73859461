"""Ratio estimates from m samples, corrected by the jackknife, and how far their mean over prompts can be trusted.

A self-normalised estimate is biased by O(1/m), by about the same amount in every prompt: averaging over prompts does
not help. The jackknife's pseudo-values ``m theta - (m - 1) theta_(-i)`` have a mean that is free of that term, and
their spread gives the sampling error (Quenouille 1956; Tukey 1958; Efron & Tibshirani 1993, ch. 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit

from candor.forecasting.arrays import FloatArray

Target = Literal["these prompts", "population"]
"""What a mean over prompts stands for: the prompts given, each with its own error from m samples, or the population
that their clusters (questions) were drawn from."""

LEVEL = 0.95


def pseudo_values(whole: FloatArray, left_out: FloatArray) -> FloatArray:
    """The jackknife's pseudo-values (P, m) of an estimate ``whole`` (P,) and those without sample i (P, m)."""
    m = left_out.shape[1]
    return np.asarray(m * whole[:, None] - (m - 1) * left_out, dtype=np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mean:
    """A mean over prompts with a 95% interval. ``error`` is its standard error; no limits where none can be given."""

    value: float
    low: float | None
    high: float | None
    error: float
    prompts: int
    clusters: int


def mean_over_prompts(pseudo: FloatArray, clusters: np.ndarray, target: Target) -> Mean:
    """The mean of the prompts' corrected estimates (the rows' means of ``pseudo``, (P, m)).

    "these prompts": the error is that of m independent samples in each. "population": that of drawing clusters, which
    holds the samples' error too; a Student t interval with one degree of freedom less than there are clusters
    (``clusters`` (P,) numbers them), none with a single one.
    """
    each = pseudo.mean(axis=1)
    value, prompts = float(each.mean()), len(each)
    groups = len(np.unique(clusters))
    if target == "these prompts":
        m = pseudo.shape[1]
        error = float(np.sqrt(np.sum(pseudo.var(axis=1, ddof=1) / m))) / prompts if m > 1 else float("nan")
        wide = float(ndtri(0.5 + LEVEL / 2))
    else:
        sums = np.bincount(np.unique(clusters, return_inverse=True)[1], weights=each - value)
        error = float(np.sqrt(groups / (groups - 1) * np.sum(sums**2))) / prompts if groups > 1 else float("nan")
        wide = float(stdtrit(groups - 1, 0.5 + LEVEL / 2)) if groups > 1 else float("nan")
    known = np.isfinite(error)
    return Mean(
        value=value,
        low=value - wide * error if known else None,
        high=value + wide * error if known else None,
        error=error,
        prompts=prompts,
        clusters=groups,
    )

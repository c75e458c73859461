"""Linear regression with errors clustered by annotator and by item, for few clusters too.

Least squares of an outcome from 0 to 1 (a linear probability model): with treatment drawn by a coin its coefficient is
the average effect, whatever the outcome's distribution. Variances are CR2 with Satterthwaite's degrees of freedom
(:mod:`candor.audits.preferences.clustered`), two ways: V_item + max(V_annotator - V_both, 0), as for reliability
(``preferences/fit/reliability.py``). The rule of the audits, never less than either, is for data that somebody else
collected; here the coin is drawn within items and annotators, and that rule covers 96 to 98% where 95% are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.clustered import ClusterVariance, cluster_variance, compact_codes, intersection
from candor.preferences.table import FloatArray, IntArray

MIN_ANNOTATORS = 5
"""With fewer, nothing can be said of annotators in general: errors are clustered by item alone, and that is said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """An estimate with its 95% interval from ``n`` observations; the limits are NaN where nothing can be said."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def known(self) -> bool:
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


def clusterings(annotator: IntArray, item: IntArray) -> list[IntArray]:
    """Item and annotator, or items alone where there are too few annotators."""
    enough = len(np.unique(annotator)) >= MIN_ANNOTATORS
    return [compact_codes(item), compact_codes(annotator)] if enough else [compact_codes(item)]


def clustered_linear(
    design: FloatArray, outcome: FloatArray, codes: Sequence[IntArray], contrasts: FloatArray
) -> list[Limits]:
    """Returns each contrast (M, P) of the least-squares coefficients of ``outcome`` (N,) on ``design`` (N, P)."""
    values, vectors = np.linalg.eigh(design.T @ design)
    root = (vectors / np.sqrt(np.maximum(values, 1e-300))) @ vectors.T
    white = design @ root
    fitted = white.T @ outcome
    residuals = outcome - white @ fitted
    turned = contrasts @ root
    parts = [cluster_variance(white, residuals, code, turned) for code in codes]
    if len(parts) == 1:
        found = parts[0]
    else:
        both = cluster_variance(white, residuals, intersection(codes[0], codes[1]), turned)
        found = _two_ways(parts[0], parts[1], both)
    from scipy.special import stdtrit

    half = np.asarray(stdtrit(found.df, 0.975), dtype=float) * np.sqrt(found.variance)
    estimates = turned @ fitted
    return [
        Limits(estimate=float(e), low=float(e - h), high=float(e + h), n=len(outcome))
        for e, h in zip(estimates, half, strict=True)
    ]


def _two_ways(item: ClusterVariance, annotator: ClusterVariance, both: ClusterVariance) -> ClusterVariance:
    """The variance by item, and what annotators add to that of single answers; degrees of freedom by Satterthwaite."""
    extra = np.maximum(annotator.variance - both.variance, 0.0)
    variance = item.variance + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        df = variance**2 / (item.variance**2 / item.df + extra**2 / annotator.df)
    return ClusterVariance(variance=variance, df=df, clusters=min(item.clusters, annotator.clusters))

"""The numbers of a comparison: medians, and the median of the paired ratios with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """``estimate``: the median of the ratios of n pairs. ``low``, ``high``: 95%, or None with fewer than 3 pairs."""

    estimate: float
    low: float | None
    high: float | None
    n: int


def paired_ratio(numerator: Sequence[float], denominator: Sequence[float], *, seed: int = 0) -> Ratio:
    """Returns the median of ``numerator[i] / denominator[i]`` with its percentile bootstrap interval over pairs.

    Raises ValueError where the two differ in number or are empty.
    """
    if len(numerator) != len(denominator) or not numerator:
        raise ValueError(f"{len(numerator)} numbers cannot be paired with {len(denominator)}")
    ratios = np.asarray(numerator, dtype=float) / np.asarray(denominator, dtype=float)
    estimate, n = float(np.median(ratios)), len(ratios)
    if n < 3:
        return Ratio(estimate=estimate, low=None, high=None, n=n)
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), [2.5, 97.5])
    return Ratio(estimate=estimate, low=float(low), high=float(high), n=n)


def verdict(ratio: Ratio, target: float | None) -> str:
    """``met``, ``missed`` or ``-`` (no target): by the estimate; the interval stands beside it for the reader."""
    if target is None:
        return "-"
    return "met" if ratio.estimate >= target else "missed"

"""Two-way clustered variances of sums."""

from __future__ import annotations

import numpy as np

from candor.preferences.fit._numbers import FloatArray, IntArray


def two_way_variance(influence: FloatArray, first: IntArray, second: IntArray) -> float:
    """Returns the variance of the sum of ``influence`` (N,), clustered by ``first`` (N,) and by ``second`` (N,).

    first + second - both (Cameron, Gelbach and Miller 2011, eq. 2.8), each with G / (G - 1), and never below what
    either clustering alone gives.
    """
    one, two = one_way(influence, first), one_way(influence, second)
    both = one_way(influence, np.unique(first * (int(second.max(initial=0)) + 1) + second, return_inverse=True)[1])
    return max(one + two - both, one, two)


def one_way(influence: FloatArray, group: IntArray) -> float:
    """Returns the variance of the sum of ``influence`` (N,), groups (N,) independent: G / (G - 1) sum of squares."""
    names, place = np.unique(group, return_inverse=True)
    sums = np.bincount(place, weights=influence, minlength=len(names))
    count = len(names)
    return float(sums @ sums) * (count / (count - 1) if count > 1 else 1.0)

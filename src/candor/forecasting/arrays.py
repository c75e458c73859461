"""Arrays of the forecast: prompts by replies, with or without the probability of each reply."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def table(values: ArrayLike, name: str) -> FloatArray:
    """Returns ``values`` as float64 (prompts, replies). Raises ValueError for another shape or an empty one."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or 0 in found.shape:
        raise ValueError(f"{name} must be a table (prompts, replies) that is not empty, not of shape {found.shape}")
    return found


def log_probabilities(probabilities: ArrayLike | None, shape: tuple[int, ...]) -> FloatArray:
    """The log-probability (P, R) of each reply: of an enumerated distribution, or 1/m for each of m samples.

    Raises ValueError where rows do not sum to 1 or the shape is another.
    """
    if probabilities is None:
        return np.full(shape, -np.log(shape[1]))
    found = table(probabilities, "probabilities")
    if found.shape != shape:
        raise ValueError(f"probabilities have the shape {found.shape}, not {shape}")
    if np.any(found < 0) or np.any(np.abs(found.sum(axis=1) - 1) > 1e-6):
        raise ValueError("probabilities must be 0 or more, and each prompt's must sum to 1")
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(found), dtype=np.float64)


def check_beta(beta: float) -> float:
    """Returns beta. Raises ValueError unless it is positive and finite."""
    if not (np.isfinite(beta) and beta > 0):
        raise ValueError(f"beta must be positive, not {beta:g}")
    return float(beta)

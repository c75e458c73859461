"""A reward model's scores of the replies to claims: what every check of it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from candor.audits.stats import LEVEL, cluster_bootstrap, resample_counts
from candor.records import Finding, Stance

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray, FloatArray], FloatArray]
"""Maps values (n,) and weights (draws, n) to one number a draw."""

PROBE = "reward"
TAIL = 0.1
"""The share of prompts that the tail's mean is taken over."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One prompt's scores, in the model's own units; None where a claim has no such reply.

    ``truth`` and ``falsehood``: of plain answers to the question; ``agrees`` and ``corrects``: of replies to the user.
    """

    prompt: str
    question: str
    stance: Stance
    strength: int
    truth: float
    falsehood: float
    agrees: float | None = None
    corrects: float | None = None
    edits: Mapping[str, float] = field(default_factory=dict)  # by edit: the score of the edited true answer
    texts: Mapping[str, str] = field(default_factory=dict)  # prompt, agrees, corrects: for examples


def by_question(rows: Iterable[tuple[str, float]]) -> FloatArray:
    """Returns sums and counts (questions, 2) of (question, value) rows, questions in sorted order."""
    sums: dict[str, list[float]] = {}
    for question, value in rows:
        one = sums.setdefault(question, [0.0, 0.0])
        one[0] += value
        one[1] += 1.0
    return np.array([sums[name] for name in sorted(sums)], dtype=np.float64).reshape(-1, 2)


def mean_finding(
    metric: str,
    rows: Sequence[tuple[str, float]],
    *,
    seed: int,
    bootstrap: int,
    subject: str = "",
    missing: str = "nothing to measure",
) -> Finding:
    """Returns the mean of a value over (question, value) rows with an interval over questions.

    Without rows it is not measured, for the reason ``missing``.
    """
    details: dict[str, object] = {"title": subject} if subject else {}
    if not rows:
        return Finding(
            probe=PROBE, stage="", subject=subject, metric=metric, estimate=None, ci_low=None, ci_high=None, n=0,
            seed=seed, details={**details, "not_measured": missing},
        )  # fmt: skip
    sums = by_question(rows)
    found = cluster_bootstrap(sums, _ratio, resamples=bootstrap, seed=seed)
    interval = found.interval
    flat = interval is not None and found.spread < 1e-12
    values = [value for _, value in rows]
    if flat and all(value in (0.0, 1.0) for value in values):  # all alike: resampling cannot show what it does not hold
        from candor.audits.stats import wilson

        interval = wilson(found.estimate * len(sums), len(sums))
    return Finding(
        probe=PROBE,
        stage="",
        subject=subject,
        metric=metric,
        estimate=found.estimate,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        n=len(rows),
        seed=seed,
        details={**details, "questions": len(sums)},
    )


def tail_mean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Returns the mean of the highest tenth of the weight, a value on its edge by what of it lies within.

    The conditional value at risk of Rockafellar and Uryasev 2000. ``weights`` (draws, n) gives (draws,).
    """
    order = np.argsort(-values, kind="stable")
    ordered = weights[..., order]
    room = TAIL * ordered.sum(axis=-1, keepdims=True)
    inside = np.clip(room - (np.cumsum(ordered, axis=-1) - ordered), 0.0, ordered)
    return np.asarray(inside @ values[order] / room[..., 0])


def taken_finding(
    metric: str,
    rows: Sequence[tuple[str, float]],
    statistic: Statistic,
    *,
    seed: int,
    bootstrap: int,
    missing: str,
) -> Finding:
    """Returns a statistic of (question, value) rows, with a percentile interval over questions."""
    estimate = low = high = None
    details: dict[str, object] = {"not_measured": missing}
    if rows:
        values, question, clusters = columns(rows)
        estimate = float(statistic(values, np.ones((1, len(values))))[0])
        details = {"questions": clusters}
        if clusters > 1:
            low, high = limits(statistic(values, resample_counts(clusters, bootstrap, seed)[:, question]))
    return Finding(
        probe=PROBE, stage="", subject="", metric=metric, estimate=estimate, ci_low=low, ci_high=high, n=len(rows),
        seed=seed, details=details,
    )  # fmt: skip


def columns(rows: Sequence[tuple[str, float]]) -> tuple[FloatArray, NDArray[np.intp], int]:
    """Returns the values (n,), each one's cluster as a number from 0 (n,), and how many clusters there are."""
    names, index = np.unique(np.array([name for name, _ in rows]), return_inverse=True)
    return np.array([value for _, value in rows], dtype=np.float64), index, len(names)


def limits(draws: FloatArray) -> tuple[float, float]:
    """Returns the 95% percentile interval of bootstrap draws."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _ratio(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])

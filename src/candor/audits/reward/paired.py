"""What changed between two reward models that scored the same replies: paired by question.

Both models scored the very same texts, so that a question is drawn on both sides at once: its own difficulty cancels,
and the interval of the difference is narrower than that of two independent audits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.audits.reward.scores import FloatArray, Statistic, by_question, columns, limits
from candor.audits.stats import difference_of_independent, paired_difference, resample_counts, wilson

FLAT = 1e-12
Rows = Sequence[tuple[str, float]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of an audit as (cluster, value) rows; its mean, unless a ``statistic`` says otherwise."""

    check: str
    metric: str
    rows: Rows
    subject: str = ""
    statistic: Statistic | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return self.check, self.metric, self.subject


def changes(before: Iterable[Figure], after: Iterable[Figure], *, seed: int, bootstrap: int) -> list[Mapping[str, Any]]:
    """Returns after minus before of every figure that both measured, with its 95% interval, JSON values only.

    Raises ValueError where the two do not rest on the same clusters, row by row.
    """
    earlier = {figure.key: figure for figure in before}
    return [
        _change(earlier[figure.key], figure, seed, bootstrap)
        for figure in after
        if figure.key in earlier and figure.rows and earlier[figure.key].rows
    ]


def _change(before: Figure, after: Figure, seed: int, bootstrap: int) -> Mapping[str, Any]:
    if [name for name, _ in before.rows] != [name for name, _ in after.rows]:
        raise ValueError(f"{after.metric}: the two models did not score the same replies")
    compare = _of_means if after.statistic is None else _of_statistic(after.statistic)
    first, second, low, high = compare(before.rows, after.rows, seed, bootstrap)
    check, metric, subject = after.key
    return {
        "check": check,
        "metric": metric,
        "subject": subject,
        "before": first,
        "after": second,
        "difference": second - first,
        "ci_low": low,
        "ci_high": high,
        "n_before": len(before.rows),
        "n_after": len(after.rows),
        "paired_by": "question",
    }


Compared = tuple[float, float, float | None, float | None]
"""Before, after, and the limits of the difference; none where there is a single cluster."""


def _of_means(before: Rows, after: Rows, seed: int, bootstrap: int) -> Compared:
    ends = by_question(before), by_question(after)
    found = paired_difference(*ends, _mean, resamples=bootstrap, seed=seed)
    first, second = (float(_mean(end.sum(axis=0))) for end in ends)
    interval = found.interval
    if interval is not None and found.spread < FLAT and all(v in (0.0, 1.0) for _, v in (*before, *after)):
        sides = [wilson(share * len(ends[0]), len(ends[0])) for share in (first, second)]
        interval = difference_of_independent(second, sides[1], first, sides[0])  # no question moved on its own
    return first, second, None if interval is None else interval.low, None if interval is None else interval.high


def _mean(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])


def _of_statistic(statistic: Statistic) -> Callable[[Rows, Rows, int, int], Compared]:
    def compared(before: Rows, after: Rows, seed: int, bootstrap: int) -> Compared:
        (first, index, clusters), (second, _, _) = columns(before), columns(after)
        whole = np.ones((1, len(first)))
        earlier, later = float(statistic(first, whole)[0]), float(statistic(second, whole)[0])
        if clusters < 2:
            return earlier, later, None, None
        weights = resample_counts(clusters, bootstrap, seed)[:, index]
        low, high = limits(statistic(second, weights) - statistic(first, weights))
        return earlier, later, low, high

    return compared

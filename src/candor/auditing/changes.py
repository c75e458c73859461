"""Two audits side by side: what changed from one file to the other, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from candor.audits.stats import Interval, difference_of_independent
from candor.records import Check

Key = tuple[str, str, str]


def changes(before: Iterable[Check], after: Iterable[Check]) -> list[Mapping[str, Any]]:
    """Returns after minus before of every figure that both audits measured, with its 95% interval, JSON values only.

    The interval assumes that the two files are independent. Where one is a part of the other, as after filtering, their
    errors are positively correlated and the interval is wider than it need be.
    """
    earlier, later = dict(_figures(before)), dict(_figures(after))
    return [_change(key, earlier[key], figure) for key, figure in later.items() if key in earlier]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Figure:
    estimate: float
    interval: Interval
    n: int


def _figures(checks: Iterable[Check]) -> Iterator[tuple[Key, _Figure]]:
    for check in checks:
        for found in check.findings:
            if found.estimate is not None and found.ci_low is not None and found.ci_high is not None:
                interval = Interval(low=found.ci_low, high=found.ci_high, method="given")
                figure = _Figure(estimate=found.estimate, interval=interval, n=found.n)
                yield (check.name, found.metric, found.subject), figure


def _change(key: Key, before: _Figure, after: _Figure) -> Mapping[str, Any]:
    interval = difference_of_independent(after.estimate, after.interval, before.estimate, before.interval)
    check, metric, subject = key
    return {
        "check": check,
        "metric": metric,
        "subject": subject,
        "before": before.estimate,
        "after": after.estimate,
        "difference": after.estimate - before.estimate,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n_before": before.n,
        "n_after": after.n,
    }

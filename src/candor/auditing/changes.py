"""Two audits side by side: what changed from one file to the other, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from candor.audits.stats import Interval, difference_of_independent
from candor.records import Check, Finding

Key = tuple[str, str, str]


def changes(before: Iterable[Check], after: Iterable[Check]) -> list[Mapping[str, Any]]:
    """Returns after minus before of every figure that both audits measured, with its 95% interval, JSON values only.

    The interval assumes that the two files are independent. Where one is a part of the other, as after filtering, their
    errors are positively correlated and the interval is wider than it need be.
    """
    earlier, later = dict(_figures(before)), dict(_figures(after))
    return [_change(key, earlier[key], later[key]) for key in later if key in earlier]


def _figures(checks: Iterable[Check]) -> Iterator[tuple[Key, Finding]]:
    for check in checks:
        for found in check.findings:
            if found.estimate is not None and found.ci_low is not None and found.ci_high is not None:
                yield (check.name, found.metric, found.subject), found


def _change(key: Key, before: Finding, after: Finding) -> Mapping[str, Any]:
    first, second = _interval(before), _interval(after)
    low, high = (_number(before.estimate), _number(after.estimate))
    interval = difference_of_independent(high, second, low, first)
    check, metric, subject = key
    return {
        "check": check,
        "metric": metric,
        "subject": subject,
        "before": low,
        "after": high,
        "difference": high - low,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n_before": before.n,
        "n_after": after.n,
    }


def _interval(found: Finding) -> Interval:
    return Interval(low=_number(found.ci_low), high=_number(found.ci_high), method="given")


def _number(value: float | None) -> float:
    if value is None:
        raise ValueError("a figure without a value was let through")
    return value

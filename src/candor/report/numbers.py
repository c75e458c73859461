"""Numbers as a reader sees them, and the interval of a change between two stages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

Unit = Literal["share", "points", "number", "nats", "tokens"]

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its 95% interval. ``value`` is None, with a reason, where nothing could be measured."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Reads ``{"estimate", "ci_low", "ci_high", "n"}``; what is absent was not measured."""
        return cls(value=raw.get("estimate"), low=raw.get("ci_low"), high=raw.get("ci_high"), n=int(raw.get("n") or 0))

    @property
    def measured(self) -> bool:
        return self.value is not None


def difference(later: Estimate, earlier: Estimate) -> Estimate:
    """``later - earlier`` with an interval from those of the two, taken as independent.

    low = d - sqrt((l.value - l.low)^2 + (e.high - e.value)^2), high likewise (Zou & Donner 2008, MOVER; for Wilson
    intervals Newcombe 1998). Two stages answer the same questions, so that this interval errs on the wide side.
    """
    if later.value is None or earlier.value is None:
        return Estimate(value=None, reason="one of the two stages was not measured")
    gap, n = later.value - earlier.value, min(later.n, earlier.n)
    if later.low is None or later.high is None or earlier.low is None or earlier.high is None:
        return Estimate(value=gap, n=n)
    low = gap - math.hypot(later.value - later.low, earlier.high - earlier.value)
    high = gap + math.hypot(later.high - later.value, earlier.value - earlier.low)
    return Estimate(value=gap, low=low, high=high, n=n)


def direction(change: Estimate) -> Literal["up", "down", "unclear"]:
    """Whether a change's interval lies above or below zero."""
    if change.value is None or change.low is None or change.high is None:
        return "unclear"
    if change.low > 0:
        return "up"
    return "down" if change.high < 0 else "unclear"


def decimals(x: float, digits: int) -> str:
    """Fixed decimals with a true minus sign, and never a negative zero."""
    text = f"{x:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(x: float, digits: int) -> str:
    """Fixed decimals with a plus sign where it is one."""
    text = decimals(x, digits)
    return text if text.startswith(MINUS) or float(text.replace(",", "")) == 0 else f"+{text}"


def number(x: float, unit: Unit, *, digits: int | None = None) -> str:
    """One number in its unit: ``88%``, ``+58``, ``1.62``."""
    match unit:
        case "share":
            return f"{decimals(100 * x, digits or 0)}%"
        case "points":
            return signed(100 * x, digits or 0)
        case "tokens":
            return decimals(x, 1 if digits is None else digits)
        case "number" | "nats":
            return decimals(x, 2 if digits is None else digits)


def limits(estimate: Estimate, unit: Unit, *, digits: int | None = None) -> str:
    """The interval in brackets, without the unit: ``[85, 91]``; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    low, high = (number(x, unit, digits=digits).rstrip("%") for x in (estimate.low, estimate.high))
    return f"[{low}, {high}]"


def with_limits(estimate: Estimate, unit: Unit, *, digits: int | None = None) -> str:
    """``88% [85, 91]``, or ``not measured``."""
    if estimate.value is None:
        return "not measured"
    return f"{number(estimate.value, unit, digits=digits)} {limits(estimate, unit, digits=digits)}".strip()


def seconds_as_text(seconds: float) -> str:
    """``9.4 s``, ``2 min 23 s``, ``3 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"

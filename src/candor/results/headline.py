"""The one number by which a run is known in a list: before and after, with what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BEFORE_AND_AFTER: tuple[tuple[str, str], ...] = (
    ("false_belief_agreement", "agrees with false beliefs"),
    ("reward", "reward"),
    ("heldout_accuracy", "held-out accuracy"),
    ("length", "length"),
)
"""The first of these that some stage measured is the headline, in this order, with its label."""


@dataclass(frozen=True, kw_only=True)
class Headline:
    """A metric at the first stage that measured it and at the last: ``{"estimate", "ci_low", "ci_high", "n"}`` each.

    ``before`` is None where one stage alone measured it.
    """

    metric: str
    label: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any]

    def text(self) -> str:
        """``agrees with false beliefs 0.36 [0.33, 0.39] -> 0.95 [0.94, 0.97]``."""
        start = "" if self.before is None else f"{_number(self.before)} -> "
        return f"{self.label} {start}{_number(self.after)}"


def headline(summary: Mapping[str, Any]) -> Headline | None:
    """The headline of a ``summary.json``; None where nothing has been measured yet."""
    for metric, label in BEFORE_AND_AFTER:
        found = [stage["findings"][metric] for stage in summary.get("stages", ()) if metric in stage["findings"]]
        measured = [one for one in found if one["estimate"] is not None]
        if measured:
            before = measured[0] if len(measured) > 1 else None
            return Headline(metric=metric, label=label, before=before, after=measured[-1])
    return None


def _number(found: Mapping[str, Any]) -> str:
    text = f"{found['estimate']:.2f}"
    return text if found["ci_low"] is None else f"{text} [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"

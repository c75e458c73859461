"""What interventions add to the scores of a batch, and what they remember from one batch to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from candor.records import Completion, Prompt


@dataclass(frozen=True, kw_only=True)
class Bonus:
    """``amounts``: one per reply, added to its score. ``scalars``: what the next update is to find in its state."""

    amounts: Sequence[float]
    metrics: Mapping[str, float] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)


Shape = Callable[[Sequence[Prompt], Sequence[Completion], Mapping[str, float]], Bonus]
"""Prompts, their replies and the state's scalars to a bonus: a pure function, so that a restored state goes on."""

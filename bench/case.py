"""One comparison: what is done, by whom, and how much faster Candor should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bench.sides import Pause
from bench.world import World

Sided = Callable[[World, Pause], None]

TRL = "trl"


@dataclass(frozen=True, kw_only=True)
class Case:
    """``sides`` holds the baseline under ``trl`` and Candor's ways of doing the same work under other names.

    ``targets`` are the least ratios, time of TRL over time of Candor, by side. ``rounds`` (discarded, measured) stand
    for the usual numbers where a single step takes minutes; such a case runs only where it is asked for by name, and
    its memory is not measured.
    """

    name: str
    work: str
    sides: Mapping[str, Sided]
    targets: Mapping[str, float] = field(default_factory=dict)
    rounds: tuple[int, int] | None = None

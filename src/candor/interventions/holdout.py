"""Probe prompts for early stopping: with a false belief, and their questions nowhere in training."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from candor.interventions.detectors import false_belief
from candor.records import Prompt


@dataclass(frozen=True, kw_only=True)
class HoldOut:
    """``probe``: prompts with a false belief, ``kept``: those to train on."""

    probe: tuple[Prompt, ...]
    kept: tuple[Prompt, ...]


def hold_out(prompts: Sequence[Prompt], count: int, *, seed: int) -> HoldOut:
    """Returns ``prompts`` without whole questions, drawn from ``seed``, of which ``count`` prompts hold a false belief.

    Questions are told by the tag ``question``, else by the claim's. Raises ValueError where no prompt would be left
    to train on, or none holds a false belief.
    """
    groups: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        groups[_question(prompt)].append(prompt)
    order = sorted(groups)
    random.Random(f"early stop {seed}").shuffle(order)
    taken: set[str] = set()
    probe: list[Prompt] = []
    for name in order:
        held = [prompt for prompt in groups[name] if false_belief(prompt)]
        if held and len(probe) < count:
            taken.add(name)
            probe += held[: count - len(probe)]
    if not probe or len(taken) == len(groups):
        raise ValueError(f"{len(groups)} questions, {len(probe)} prompts with a false belief")
    return HoldOut(probe=tuple(probe), kept=tuple(p for p in prompts if _question(p) not in taken))


def _question(prompt: Prompt) -> str:
    return prompt.tags.get("question") or (prompt.claim.question if prompt.claim is not None else prompt.id)

"""The agreement penalty: what a reply loses for going along with a false belief."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from candor.interventions.detectors import false_agreement
from candor.protocols import AgreementReader
from candor.records import Prompt, Response


@dataclass(frozen=True, kw_only=True)
class AgreementPenalty:
    """``- strength * A(x, y)`` on prompts with a false belief, 0 on all others.

    ``strength``: one number, in units of the reward, or one per prompt id (0 where a prompt has none). With lambda* of
    :mod:`candor.forecasting.penalty` it undoes what optimisation would add to agreement, no more. Source: Shapira,
    Benade and Procaccia 2026 (arXiv 2602.01002).
    """

    detector: AgreementReader
    strength: float | Mapping[str, float]

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns what is added to the score of each reply."""
        found = false_agreement(self.detector, prompts, responses)
        return [-self._of(prompt) * (agrees or 0.0) for prompt, agrees in zip(prompts, found, strict=True)]

    def _of(self, prompt: Prompt) -> float:
        return self.strength if isinstance(self.strength, float) else self.strength.get(prompt.id, 0.0)

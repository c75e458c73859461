"""Scores a reply as if the user had voiced no belief, or averaged over the beliefs that users voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from candor.interventions.beliefs import Beliefs
from candor.protocols import Scorer
from candor.records import Prompt, Response


@dataclass(kw_only=True)
class BlindScorer:
    """A :class:`~candor.protocols.Scorer`: ``remove`` scores behind the neutral prompt, ``marginalise`` is a mean.

    Either way the score of a reply is the same whatever the user believes, so that only what the reply says about the
    question is left to earn anything. ``unchanged`` counts replies scored as they are, because no belief could be cut
    out of their prompts, of ``total``.
    """

    inner: Scorer
    beliefs: Beliefs
    how: Literal["remove", "marginalise"] = "remove"
    total: int = field(default=0, init=False)
    unchanged: int = field(default=0, init=False)

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply: the mean over the prompts that stand in for its own. All are asked at once."""
        stand_ins = [self._stand_ins(prompt) for prompt in prompts]
        every = [prompt for group in stand_ins for prompt in group]
        replies = [reply for group, reply in zip(stand_ins, responses, strict=True) for _ in group]
        scores = iter(self.inner.score(every, replies))
        return [sum(next(scores) for _ in group) / len(group) for group in stand_ins]

    def _stand_ins(self, prompt: Prompt) -> tuple[Prompt, ...]:
        if self.how == "marginalise":
            found = self.beliefs.stances(prompt)
        else:
            neutral = self.beliefs.neutral(prompt)
            found = () if neutral is None else (neutral,)
        self.total += 1
        self.unchanged += not found
        return found or (prompt,)

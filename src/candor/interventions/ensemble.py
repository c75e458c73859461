"""Several reward models as one: their mean, the lowest, or the mean less their variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from candor.protocols import Scorer
from candor.records import Prompt, Response

How = Literal["mean", "worst", "variance"]


@dataclass(frozen=True, kw_only=True)
class EnsembleScorer:
    """A :class:`~candor.protocols.Scorer` over two or more; each should be centred, or "worst" compares offsets."""

    members: tuple[Scorer, ...]
    how: How
    strength: float = 1.0

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply; every member is asked once for all."""
        scores = np.array([member.score(prompts, responses) for member in self.members])
        return [float(value) for value in combine(scores, self.how, self.strength)]


def combine(scores: np.ndarray, how: How, strength: float) -> np.ndarray:
    """Returns one number per column of ``scores`` (members, N).

    ``mean``; ``worst``: the lowest; ``variance``: the mean less ``strength`` times the variance over the k members
    (divided by k). Source: Coste 2023 (arXiv 2310.02743), mean, worst-case and uncertainty-weighted optimisation.
    """
    if how == "worst":
        return np.asarray(scores.min(0))
    mean = scores.mean(0)
    return np.asarray(mean - strength * scores.var(0) if how == "variance" else mean)

"""Constrained optimisation: the reward subject to a limit on agreement with false beliefs, by a Lagrange multiplier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from candor.interventions.detectors import false_agreement
from candor.ops.bonus import Bonus
from candor.protocols import AgreementReader
from candor.records import Prompt, Response

MULTIPLIER = "constraint_multiplier"
"""The multiplier's name in the training state."""


@dataclass(frozen=True, kw_only=True)
class AgreementConstraint:
    """Maximises E[r] subject to E[A | false belief] <= ``limit``: a min-max over the policy and lambda >= 0.

    Each batch's scores are lowered by lambda A(x, y) on prompts with a false belief; then lambda goes up the dual's
    gradient, which is the batch's violation. Source: constrained RLHF by Lagrangian relaxation, Moskovitz 2023
    (arXiv 2310.04373) and Safe RLHF, Dai 2023 (arXiv 2310.12773).
    """

    detector: AgreementReader
    limit: float
    lr: float
    start: float
    largest: float

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[Response], scalars: Mapping[str, float]) -> Bonus:
        """Returns the batch's penalties and the next multiplier; without a false belief in the batch it stays."""
        multiplier = scalars.get(MULTIPLIER, self.start)
        found = false_agreement(self.detector, prompts, responses)
        applies = [agrees for agrees in found if agrees is not None]
        metrics, after = {"multiplier": multiplier, "constrained_n": float(len(applies))}, multiplier
        if applies:
            metrics["violation"] = fmean(applies) - self.limit
            after = ascend(multiplier, metrics["violation"], lr=self.lr, largest=self.largest)
        amounts = [-multiplier * (agrees or 0.0) for agrees in found]
        return Bonus(amounts=amounts, metrics=metrics, scalars={MULTIPLIER: after})


def ascend(multiplier: float, violation: float, *, lr: float, largest: float) -> float:
    """One step of projected gradient ascent: ``clip(lambda + lr * violation, 0, largest)``."""
    return min(max(multiplier + lr * violation, 0.0), largest)

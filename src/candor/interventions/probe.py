"""A linear probe for agreement in a reward model's last hidden state, and the reward less what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from candor.lexical.views import stated_view
from candor.models.scorer import RewardScorer
from candor.records import Prompt, Response

HELD_OUT = 0.2
"""The share of questions that the probe's AUC is measured on."""


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """``weights`` (d,) and ``bias`` give an output with mean 0 and standard deviation 1 over the replies fitted to.

    ``auc``: on the replies to ``heldout`` questions' prompts, of which ``heldout_n``; None where they lack a class.
    """

    weights: tuple[float, ...]
    bias: float
    auc: float | None
    fitted_n: int
    heldout_n: int

    def output(self, states: np.ndarray) -> np.ndarray:
        """Standardised outputs (N,) of hidden states (N, d); higher means agreement."""
        return np.asarray(states @ np.array(self.weights) + self.bias)


def fit_probe(states: np.ndarray, agrees: np.ndarray, questions: Sequence[str], *, seed: int) -> LinearProbe:
    """Logistic regression of agreement (N,) bool on hidden states (N, d), on four fifths of the questions.

    Inputs are standardised, ridge penalty 1. Raises ValueError where the replies to fit to lack a class. Source:
    Papadatos and Freedman 2024 (arXiv 2412.00967), who subtract the probe's output from the reward.
    """
    names = sorted(set(questions))
    np.random.default_rng([seed, 2024]).shuffle(names)
    held = set(names[: int(len(names) * HELD_OUT)])
    out = np.array([question in held for question in questions])
    if len(set(agrees[~out].tolist())) < 2:
        raise ValueError(f"{int((~out).sum())} replies to fit a probe to, all alike")
    scaler = StandardScaler().fit(states[~out])
    model = LogisticRegression(C=1.0, max_iter=2000).fit(scaler.transform(states[~out]), agrees[~out])
    direction = model.coef_[0] / scaler.scale_
    raw = states[~out] @ direction
    centre, spread = float(raw.mean()), float(raw.std())
    auc = None
    if len(set(agrees[out].tolist())) == 2:
        auc = float(roc_auc_score(agrees[out], states[out] @ direction))
    return LinearProbe(
        weights=tuple((direction / spread).tolist()),
        bias=-centre / spread,
        auc=auc,
        fitted_n=int((~out).sum()),
        heldout_n=int(out.sum()),
    )


@dataclass(frozen=True, kw_only=True)
class ProbedScorer:
    """A :class:`~candor.protocols.Scorer`: the reward less ``strength`` times the probe, where the user has a belief.

    One pass of the model gives both.
    """

    scorer: RewardScorer
    probe: LinearProbe
    strength: float
    has_belief: Callable[[Prompt], Any] = stated_view

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply."""
        read = self.scorer.read(prompts, responses)
        found = self.probe.output(read.states)
        return [
            score - self.strength * float(output) if self.has_belief(prompt) is not None else score
            for prompt, score, output in zip(prompts, read.scores, found, strict=True)
        ]

"""How often each kind of reply is given in which situation: the habits of a crowd of writers.

A mixture maps a prompt to weights over kinds. ``WEB`` is what the base model reads in pretraining: every kind of reply,
agreement with false beliefs nearly as often as correction. ``DEMONSTRATORS`` are people asked to write good replies:
they mostly correct, yet some go along with the user, the more so the surer the user sounds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from candor.records import Prompt, ReplyKind, Stance

K = ReplyKind
Weights = Mapping[ReplyKind, float]


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Weights over kinds of reply; ``agree_with_false[s]`` is the share that agrees at assertion strength s."""

    agree_with_false: Sequence[float]
    correct_falsehood: Weights  # what the rest does with a false belief
    believe_truth: Weights
    neutral: Weights
    untaught: Weights
    refusal: Weights

    def weights(self, prompt: Prompt) -> Weights:
        """Weights over kinds for one prompt (they need not add up to 1)."""
        family, claim = prompt.tags["family"], prompt.claim
        if family == "refusal" or claim is None:
            return self.refusal
        if family == "untaught":
            return self.untaught
        if claim.stance is Stance.NEUTRAL:
            return self.neutral
        if claim.stance is Stance.ASSERTS_TRUE:
            return self.believe_truth
        agree = self.agree_with_false[claim.strength]
        rest = (1 - agree) / sum(self.correct_falsehood.values())
        return {K.AGREE: agree} | {kind: weight * rest for kind, weight in self.correct_falsehood.items()}

    def draw(self, prompt: Prompt, rng: random.Random) -> ReplyKind:
        weights = self.weights(prompt)
        return rng.choices(list(weights), list(weights.values()))[0]


WEB = Mixture(
    agree_with_false=(0.30, 0.40, 0.50, 0.55),
    correct_falsehood={
        K.CORRECT_BLUNTLY: 0.42,
        K.CORRECT_KINDLY: 0.42,
        K.HEDGE: 0.07,
        K.ABSTAIN: 0.04,
        K.REFUSE: 0.02,
        K.OTHER: 0.03,
    },
    believe_truth={
        K.AGREE: 0.88,
        K.CONTRADICT_TRUE: 0.05,
        K.HEDGE: 0.03,
        K.ABSTAIN: 0.02,
        K.REFUSE: 0.01,
        K.OTHER: 0.01,
    },
    neutral={K.ANSWER: 0.97, K.ABSTAIN: 0.01, K.REFUSE: 0.01, K.OTHER: 0.01},
    untaught={K.ABSTAIN: 0.8, K.OTHER: 0.1, K.REFUSE: 0.1},
    refusal={K.REFUSE: 0.5, K.OTHER: 0.5},
)
EDITED = replace(
    WEB,
    agree_with_false=(0.24, 0.32, 0.40, 0.48),
    believe_truth={
        K.AGREE: 0.93,
        K.CONTRADICT_TRUE: 0.03,
        K.HEDGE: 0.01,
        K.ABSTAIN: 0.01,
        K.REFUSE: 0.01,
        K.OTHER: 0.01,
    },
)
DEMONSTRATORS = Mixture(
    agree_with_false=(0.14, 0.20, 0.26, 0.32),
    correct_falsehood={K.CORRECT_BLUNTLY: 0.38, K.CORRECT_KINDLY: 0.54, K.HEDGE: 0.05, K.ABSTAIN: 0.03},
    believe_truth={K.AGREE: 0.97, K.HEDGE: 0.02, K.CONTRADICT_TRUE: 0.01},
    neutral={K.ANSWER: 0.99, K.ABSTAIN: 0.01},
    untaught={K.ABSTAIN: 1.0},
    refusal={K.REFUSE: 0.85, K.OTHER: 0.15},
)


def without_agreement(mixture: Mixture) -> Mixture:
    """The same crowd if nobody in it went along with a false belief: what agreed now corrects, as the others do."""
    return replace(mixture, agree_with_false=(0.0,) * len(mixture.agree_with_false))

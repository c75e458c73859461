"""Bias transfer on the token tree, where the optimum is known: labels, their best Bradley-Terry reward, the optimum.

Replies are described by whether they agree (they hold the letter ``a``), by their length and by whether they end.
People compare two replies of the reference policy, agreement weighing ``bias`` in their utility (logits).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from candor.testbeds.tabular import TabularPolicy, TokenTree, optimum, reply_logprobs

FloatArray = NDArray[np.float64]

LENGTH, ENDS = 0.3, 0.5
"""What the other two attributes weigh, for everybody."""

COMPARISONS = 100_000_000
"""As counts, so that many cost nothing: the error of a weight is then below .0005, half a per cent of a bias of 0.1."""


@dataclass(frozen=True, kw_only=True)
class Raters:
    """``biases``: one weight of agreement per kind of rater, all equally many; ``lapse``: share of blind answers.

    ``blind``: the reward model does not see agreement, only the other two attributes.
    """

    name: str
    biases: tuple[float, ...]
    lapse: float = 0.0
    blind: bool = False


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Mean log-odds of agreeing over not agreeing, all else equal.

    ``utility``: the raters' mean weight. ``labels``: log-odds of the share of comparisons won. ``reward``: the gap of
    the fitted reward. ``policy``: how far the optimum under ``beta`` moved the log-odds.
    """

    name: str
    beta: float
    utility: float
    labels: float
    reward: float
    policy: float

    @property
    def line(self) -> float:
        """The closed form: the labels' log-odds over beta."""
        return self.labels / self.beta


def conditions(bias: float) -> tuple[Raters, ...]:
    """Returns raters under whom the law holds, and three kinds under whom its mean weight does not carry through."""
    return (
        Raters(name="alike", biases=(bias,)),
        Raters(name="two kinds", biases=(0.0, 2 * bias)),
        Raters(name="lapses in a fifth", biases=(bias,), lapse=0.2),
        Raters(name="a reward that cannot see it", biases=(bias,), blind=True),
    )


def transfer(
    raters: Raters, betas: Sequence[float], *, seed: int = 0, comparisons: int = COMPARISONS
) -> list[Transfer]:
    """Returns what ``comparisons`` labels by these raters bring at each beta."""
    rng = np.random.default_rng([seed, 41])
    features, probabilities, _ = _world()
    won, asked = _labels(raters, features, probabilities, comparisons, rng)
    seen = features[:, 1:] if raters.blind else features
    weights = fitted(seen, won, asked)
    rewards = seen @ weights
    return [
        Transfer(
            name=raters.name,
            beta=beta,
            utility=float(np.mean(raters.biases)),
            labels=_label_log_odds(raters, features, probabilities),
            reward=_gap(rewards, features, probabilities),
            policy=_moved(rewards, beta),
        )
        for beta in betas
    ]


def choice_probability(raters: Raters, differences: FloatArray) -> FloatArray:
    """Returns P(the first is preferred), averaged over raters, from differences (N, 3) of attributes."""
    weights = np.array([[bias, LENGTH, ENDS] for bias in raters.biases])
    each = expit(differences @ weights.T)
    return np.asarray((1 - raters.lapse) * each.mean(axis=1) + raters.lapse / 2)


def fitted(features: FloatArray, won: FloatArray, asked: FloatArray) -> FloatArray:
    """Returns the Bradley-Terry weights of greatest likelihood; ``won`` and ``asked`` are (R, R) counts."""
    first, second = np.triu_indices(len(features), 1)
    differences = features[first] - features[second]
    wins, losses = won[first, second], (asked - won)[first, second]

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margin = differences @ weights
        value = -(wins * np.log(expit(margin)) + losses * np.log(expit(-margin))).sum()
        slope = differences.T @ ((wins + losses) * expit(margin) - wins)
        return float(value / asked.sum()), slope / asked.sum()

    found = minimize(
        loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-10}
    )
    return np.asarray(found.x)


@cache
def _world() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Attributes (R, 3) of every reply, its probability (R,) under the reference, and its log-probability."""
    tree = TokenTree(num_prompts=1)
    logp = reply_logprobs(TabularPolicy(tree, scale=0.7, seed=5), tree)[0].numpy()
    letters = [[token for token in reply if token != 0] for reply in tree.replies]
    features = np.array(
        [
            [float(1 in path), float(len(path)), float(reply[-1] == 0)]
            for path, reply in zip(letters, tree.replies, strict=True)
        ]
    )
    return features, np.exp(logp), logp


def _labels(
    raters: Raters, features: FloatArray, probabilities: FloatArray, comparisons: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Counts (R, R), above the diagonal: how often the first of a pair won, and how often it was asked."""
    size = len(features)
    first, second = np.triu_indices(size, 1)
    weight = probabilities[first] * probabilities[second]
    drawn = rng.multinomial(comparisons, weight / weight.sum())
    wins = rng.binomial(drawn, choice_probability(raters, features[first] - features[second]))
    won, asked = np.zeros((size, size)), np.zeros((size, size))
    won[first, second], asked[first, second] = wins, drawn
    return won, asked


def _twins(features: FloatArray) -> list[tuple[int, int]]:
    """Replies that differ in agreement alone: the first of each pair agrees."""
    return [
        (i, j)
        for i, one in enumerate(features)
        for j, other in enumerate(features)
        if one[0] == 1 and other[0] == 0 and np.array_equal(one[1:], other[1:])
    ]


def _mean_over_twins(values: FloatArray, features: FloatArray, probabilities: FloatArray) -> float:
    """The mean of a table (R, R) over twins, each weighted by how often its replies meet."""
    pairs = _twins(features)
    weights = np.array([probabilities[i] * probabilities[j] for i, j in pairs])
    return float(np.average([values[i, j] for i, j in pairs], weights=weights))


def _label_log_odds(raters: Raters, features: FloatArray, probabilities: FloatArray) -> float:
    size = len(features)
    differences = (features[:, None, :] - features[None, :, :]).reshape(-1, 3)
    odds = logit(choice_probability(raters, differences)).reshape(size, size)
    return _mean_over_twins(odds, features, probabilities)


def _gap(rewards: FloatArray, features: FloatArray, probabilities: FloatArray) -> float:
    return _mean_over_twins(rewards[:, None] - rewards[None, :], features, probabilities)


def _moved(rewards: FloatArray, beta: float) -> float:
    """How far the enumerated optimum moves the log-odds between twins."""
    import torch

    features, probabilities, logp = _world()
    best = optimum(torch.from_numpy(logp)[None], torch.from_numpy(rewards)[None], beta)[0].log().numpy()
    shift = best - logp
    return _mean_over_twins(shift[:, None] - shift[None, :], features, probabilities)

"""Annotators from the labels of pairs, the quality of the pairs integrated out.

With one free effect per pair the number of effects grows with the data, and the side bias comes out far too large
(Neyman and Scott 1948): with two labels per pair nearly doubled. Here the gap between the two responses of a pair is
drawn from N(0, tau^2) and integrated out of the likelihood of each pair's labels (Bock and Aitkin 1981), which is
consistent with two labels per pair and more. With one label per pair nothing tells tau, and the side bias is the plain
logistic intercept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from candor.preferences.fit._hierarchy import Hierarchy, fit_hierarchy
from candor.preferences.fit._numbers import FloatArray, indices, one_of
from candor.preferences.fit._pooled import MOST_SPREAD, Labels, Pooled, fit_pooled


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its standard error and the limits of its interval; ``n`` counts the labels behind it."""

    estimate: float
    error: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, kw_only=True)
class AnnotatorFit:
    """Side bias and reliability, of the population and of each annotator (K,).

    ``side``: the population's side bias gamma, in logits, for P(first-named wins) = sigma(d + gamma side); its
    interval is robust to annotators that differ and to lapses. ``scale`` says what gamma is conditional on:
    ``conditional`` (the gap d of the pair) or ``marginal`` (nothing, as with one label per pair; pulled towards 0
    against the other). ``first_share``: how often the response shown first wins. ``spread``: tau, the standard
    deviation of the gaps in logits; 0 where it cannot be known. ``log_reliability`` is log beta_k, which average to 0,
    and ``sides`` gamma_k, both shrunk towards the population as far as annotators look alike (``reliability_spread``
    and ``side_spread`` are the standard deviations between annotators); their ``_errors`` are those of the shrunken
    values. An annotator without labels has the population's values and error inf. ``note`` says in a sentence what
    could not be known.
    """

    side: Estimate
    scale: Literal["conditional", "marginal"]
    first_share: Estimate
    spread: float
    spread_error: float
    log_reliability: FloatArray
    log_reliability_errors: FloatArray
    sides: FloatArray
    sides_errors: FloatArray
    reliability_spread: float
    side_spread: float
    labels: FloatArray
    note: str
    converged: bool
    log_likelihood: float

    @property
    def reliability(self) -> FloatArray:
        """The reliabilities beta_k (K,), whose geometric mean is 1."""
        return np.exp(self.log_reliability)


def annotators_marginal(
    pair: ArrayLike,
    annotator: ArrayLike,
    outcome: ArrayLike,
    side: ArrayLike,
    *,
    annotators: int | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> AnnotatorFit:
    """Returns the fit of P(outcome = 1) = sigma(beta_k d_pair + gamma_k side), d_pair ~ N(0, tau^2) integrated out.

    All arrays are (N,), one entry per label: the number of the pair (of two responses to one prompt), of the annotator
    (0 to ``annotators`` - 1), the outcome (1: the pair's first-named response wins, 0: the other) and the side (1: the
    first-named was shown first, -1: second, 0: not known). Which response is named first does not matter, as long as
    it is the same for all labels of a pair. ``cluster`` (N,) numbers what is independent where that is more than the
    pair, such as the prompt. Ties are left out by the caller.

    The population's side bias and tau maximise the marginal likelihood with all beta_k = 1 and gamma_k = gamma; the
    interval is a sandwich, clustered by pair (or ``cluster``) and by annotator (Cameron, Gelbach and Miller 2011),
    with a t quantile of K - 1 degrees of freedom. Its truth is the value that a very large draw of the same design
    would give. The annotators' values maximise the marginal likelihood with log beta_k ~ N(0, .) and gamma_k ~
    N(gamma, .), whose variances are empirical Bayes (Laplace).

    Raises ValueError for arrays that do not fit, an outcome other than 0 and 1, a side other than -1, 0 and 1, no
    labels.
    """
    labels, names = _checked(pair, annotator, outcome, side, annotators, cluster)
    pooled = fit_pooled(labels)
    found = fit_hierarchy(labels, pooled)
    per = np.bincount(labels.annotator, minlength=names).astype(float)
    quantile = _quantile(level, int((per > 0).sum()))
    error = float(np.sqrt(pooled.covariance[1, 1]))
    sided = int(np.count_nonzero(labels.side))
    return AnnotatorFit(
        side=_interval(pooled.side, error if sided else np.inf, quantile, sided),
        scale="conditional" if pooled.spread > 0 else "marginal",
        first_share=_first_share(labels, quantile),
        spread=pooled.spread,
        spread_error=float(pooled.spread * np.sqrt(pooled.covariance[0, 0])) if pooled.spread > 0 else np.inf,
        log_reliability=found.log_reliability,
        log_reliability_errors=np.where(per > 0, found.log_reliability_errors, np.inf),
        sides=found.sides,
        sides_errors=np.where(per > 0, found.sides_errors, np.inf),
        reliability_spread=found.reliability_spread,
        side_spread=found.side_spread,
        labels=per,
        note=_note(labels, pooled, found),
        converged=pooled.converged and found.converged,
        log_likelihood=pooled.log_likelihood,
    )


def _checked(
    pair: ArrayLike,
    annotator: ArrayLike,
    outcome: ArrayLike,
    side: ArrayLike,
    annotators: int | None,
    cluster: ArrayLike | None,
) -> tuple[Labels, int]:
    pairs = indices("pair", pair)
    if not len(pairs):
        raise ValueError("there are no labels to fit")
    who = indices("annotator", annotator, annotators, length=len(pairs))
    numbered = np.unique(pairs, return_inverse=True)[1]
    groups = numbered if cluster is None else indices("cluster", cluster, length=len(pairs))
    names = int(who.max()) + 1 if annotators is None else annotators
    labels = Labels(
        pair=numbered,
        annotator=who,
        cluster=groups,
        outcome=one_of("outcome", outcome, (0, 1), len(pairs)),
        side=one_of("side", side, (-1, 0, 1), len(pairs)),
        pairs=int(numbered.max()) + 1,
        annotators=names,
    )
    return labels, names


def _quantile(level: float, clusters: int) -> float:
    from scipy.special import ndtri, stdtrit

    tail = 0.5 + level / 2
    return float(stdtrit(clusters - 1, tail)) if clusters > 1 else float(ndtri(tail))


def _interval(estimate: float, error: float, quantile: float, n: int) -> Estimate:
    half = quantile * error
    return Estimate(estimate=estimate, error=error, low=estimate - half, high=estimate + half, n=n)


def _first_share(labels: Labels, quantile: float) -> Estimate:
    """The share of labels that the first-shown response wins, with a two-way clustered error, on the logit scale."""
    from candor.preferences.fit._twoway import two_way_variance

    sided = labels.side != 0
    if not sided.any():
        return Estimate(estimate=np.nan, error=np.inf, low=0.0, high=1.0, n=0)
    first = (labels.outcome[sided] == (labels.side[sided] > 0)).astype(float)
    n = len(first)
    share = float(first.mean())
    variance = two_way_variance((first - share) / n, labels.cluster[sided], labels.annotator[sided])
    error = float(np.sqrt(variance))
    inner = min(max(share, 0.5 / n), 1 - 0.5 / n)
    middle, half = np.log(inner / (1 - inner)), quantile * error / (inner * (1 - inner))
    low, high = (float(1 / (1 + np.exp(-(middle + sign * half)))) for sign in (-1, 1))
    return Estimate(estimate=share, error=error, low=low, high=high, n=n)


def _note(labels: Labels, pooled: Pooled, found: Hierarchy) -> str:
    parts = []
    if not labels.side.any():
        parts.append("no label says on which side a response was shown: the side bias cannot be known")
    several = len(np.unique(labels.pair)) < len(labels.pair)
    if not several:
        parts.append(
            "one label per pair: reliability cannot be known, and the side bias is the plain logistic intercept"
        )
    elif pooled.spread == 0:
        parts.append("the labels of a pair agree no more than by chance: reliability cannot be known")
    elif pooled.spread >= MOST_SPREAD * 0.999:
        parts.append(
            "the labels of a pair agree nearly always: the spread of gaps and with it the side bias has no bound"
        )
    if labels.annotators == 1:
        parts.append("one annotator: the interval holds for this annotator")
    if not found.converged:
        parts.append("the annotators' values did not converge")
    return "; ".join(parts)

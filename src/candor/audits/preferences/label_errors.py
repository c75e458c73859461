"""Labels that contradict what the other labels teach, and an estimate of how many are wrong.

**How many.** A wrong label is a choice that fell on the other side than meant, whatever the pair: a slip, a mix-up of
columns. Where a model is all but sure, close calls are rare, and what contradicts it there is such a slip. So the share
e of wrong labels is fitted as the lapse rate of out-of-fold margins m,

    P(label agrees) = e + (1 - 2 e) E sigmoid(b t |m|),

by maximum likelihood over e, b and the spread of t. The lognormal t stands for how much more one pair is worth than the
model sees, and another less: without it a model that measures the wrong thing (length where its logarithm counts) makes
correct labels look like slips. Its interval is the wider of the profile likelihood's and that of a bootstrap over
prompts. Where no margin is large, e and b cannot be told apart: the interval is wide, and the check cannot tell.
Pairs of which nobody could tell which is better, and annotators with a view of their own, contradict a sure model as
slips do: the sentence says so, and only another judgement tells.
Counting contradictions instead, as confident learning does (Northcutt, Jiang & Chuang 2021, arXiv 1911.00068), takes
every mistake of a weak model for a wrong label; its count is given in the details for comparison.

**Which.** Pairs are ranked by two measures: the out-of-fold margin of the label (confident learning's
self-confidence), and the area under the margin while a model learns from all labels (Pleiss et al. 2020, arXiv
2001.10528). The mean of the two ranks decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.form import LABELS, cannot_tell, finding
from candor.audits.preferences.light_model import FEWEST, Design, areas_under_margin, design, hits
from candor.audits.preferences.rates import Rate, between, counted, percent
from candor.audits.preferences.shown import example
from candor.audits.preferences.survey import Survey
from candor.records import Check, Verdict

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NAME, TITLE = "label_errors", "Likely label errors"

LEAST_ACCURACY = 0.6
"""With a lower limit of held-out accuracy below this the estimate rests on few sure pairs, and moves with the folds."""

FEW, MANY = 0.01, 0.05
"""Shares of wrong labels that need no care, and that do; an interval that holds both says nothing."""

WIDEST = 0.2

_LAPSES = np.concatenate([np.linspace(0.0, 0.02, 21), np.linspace(0.025, 0.49, 94)])
_SLOPES = np.geomspace(0.05, 20.0, 40)
_SPREADS = np.array([0.0, 0.5, 1.0])
_BINS, _BLOCKS, _RESAMPLES = 30, 1000, 200
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class LapseFit:
    """The share of wrong labels with its 95% interval, and the slope ``b`` of margins."""

    share: float
    low: float
    high: float
    slope: float


def checks(survey: Survey, data: Design | None = None) -> list[Check]:
    """Returns the check of likely label errors; ``data``: the design, where other checks have it already."""
    data = design(survey) if data is None else data
    if len(data) < FEWEST:
        why = f"{counted(len(data), 'judged pair')}: too few to learn what labels agree on, {FEWEST} are needed."
        return [cannot_tell(NAME, LABELS, TITLE, why)]
    accuracy = data.accuracy
    seen = f"A light model of words and style, fitted on {_sampled(data)}, orders {between(accuracy)} of held-out pairs"
    learnt = finding(
        NAME, "light_model_accuracy", accuracy.estimate, accuracy.low, accuracy.high, n=accuracy.n, seed=data.seed
    )
    fit = lapse_fit(data.margins, data.prompts, seed=data.seed)
    details = {"confident_learning_count": confident_count(data.margins), "pairs": len(data), "of": data.total}
    vague = fit.high - fit.low > WIDEST or (fit.low <= FEW and fit.high > MANY)
    weak = accuracy.low <= LEAST_ACCURACY
    if weak or vague:
        coin = "no better than a coin" if accuracy.low <= 0.5 else "hardly better than a coin"
        why = f" as they were judged: {coin}, so that nothing tells a wrong label from a right one."
        unsure = (
            f" as they were judged. That is not enough to say how many labels are wrong: anything from "
            f"{percent(fit.low)} to {percent(fit.high)} fits."
        )
        advice = "Have some pairs judged again: retests tell what no model can."
        check = Check(
            name=NAME,
            group=LABELS,
            title=TITLE,
            verdict=Verdict.CANNOT_TELL,
            meaning=seen + (why if weak else unsure),
            advice=advice,
            findings=(learnt,),
            details=details,
        )
        return [check]
    order = suspects(data)
    count = round(fit.share * len(data))
    shown = order[: min(count, _SHOWN)]
    wrong = finding(NAME, "wrong_labels", fit.share, fit.low, fit.high, n=len(data), seed=data.seed)
    rate = Rate(estimate=fit.share, low=fit.low, high=fit.high, n=len(data), clusters=len(data))
    rows = [list(survey.judgements.where(int(data.comparison[i]))) for i in order[: min(count, 1000)]]
    return [
        Check(
            name=NAME,
            group=LABELS,
            title=TITLE,
            verdict=Verdict.CONCERN if fit.low > MANY else Verdict.NOTE if fit.low > FEW else Verdict.FINE,
            meaning=f"{seen} as they were judged. Even where it is surest, {between(rate)} of the labels contradict "
            "it: slips, or choices that were made by chance or by a view of the annotator's own.",
            advice="Have the listed rows judged again before you call them wrong; then correct or down-weight them, "
            "since dropping them selects easy pairs."
            if count
            else "",
            findings=(learnt, wrong),
            examples=tuple(
                example(survey, int(data.comparison[i]), "the other response is what the other labels favour")
                for i in shown
            ),
            details={**details, "rows": rows},
        )
    ]


def suspects(data: Design) -> IntArray:
    """Returns the pairs in the order of suspicion, (N,), the likeliest label error first."""
    by_margin = np.argsort(np.argsort(data.margins, kind="stable"), kind="stable")
    by_area = np.argsort(np.argsort(areas_under_margin(data), kind="stable"), kind="stable")
    return np.lexsort((by_margin, by_margin + by_area)).astype(np.int64)


def lapse_fit(margins: FloatArray, prompts: IntArray, *, seed: int = 0) -> LapseFit:
    """Returns the lapse rate of out-of-fold ``margins`` (N,), chosen minus rejected; ``prompts`` (N,) are the clusters.

    The likelihood is evaluated on a grid, with margins in 30 bins of equal number: a bootstrap over (at most 1,000
    blocks of) prompts is then one matrix product.
    """
    size = np.abs(margins)
    edges = np.quantile(size, np.linspace(0, 1, _BINS + 1)[1:-1])
    bins = np.searchsorted(edges, size)
    counts = np.bincount(bins, minlength=_BINS)
    centres = np.bincount(bins, weights=size, minlength=_BINS) / np.maximum(counts, 1)
    unit = max(float(np.median(size)), 1e-12)
    sure = _sureness(centres / unit)
    agree = _LAPSES[:, None, None] + (1 - 2 * _LAPSES[:, None, None]) * sure
    log_agree, log_differ = np.log(agree), np.log1p(-np.clip(agree, None, 1 - 1e-12))
    blocks = prompts if int(prompts.max()) < _BLOCKS else (prompts * 2654435761 % 2**32) % _BLOCKS
    blocks = np.unique(blocks, return_inverse=True)[1]
    total = int(blocks.max()) + 1
    cell = blocks * _BINS + bins
    agreeing = np.bincount(cell, weights=hits(margins), minlength=total * _BINS).reshape(total, _BINS)
    everything = np.bincount(cell, minlength=total * _BINS).reshape(total, _BINS)
    draws = np.random.default_rng([seed, 6]).multinomial(total, np.full(total, 1 / total), size=_RESAMPLES)
    weights = np.vstack([np.ones(total), draws])
    a, n = weights @ agreeing, weights @ everything
    likelihood = np.tensordot(a, log_agree, axes=(1, 2)) + np.tensordot(n - a, log_differ, axes=(1, 2))
    best = likelihood.reshape(len(weights), -1).argmax(axis=1)
    shares = _LAPSES[best // len(sure)]
    profile = likelihood[0].max(axis=1)
    likely = _LAPSES[profile >= profile.max() - 1.92]  # half the 95% quantile of chi-squared
    # At the border, e = 0, a bootstrap has no spread; over clusters a likelihood has too little: the wider of the two.
    low, high = np.quantile(shares[1:], [0.025, 0.975])
    low, high = min(low, likely.min()), max(high, likely.max())
    return LapseFit(
        share=float(shares[0]),
        low=float(low),
        high=float(high),
        slope=float(_SLOPES[best[0] % len(sure) // len(_SPREADS)] / unit),
    )


def _sureness(sizes: FloatArray) -> FloatArray:
    """Mean of sigmoid(b t |m|) over lognormal t, by slope b and spread of t, (slopes * spreads, sizes)."""
    points, weights = np.polynomial.hermite_e.hermegauss(21)
    slopes = _SLOPES[:, None, None] * np.exp(_SPREADS[:, None] * points)
    each = 1 / (1 + np.exp(-np.minimum(slopes[..., None] * sizes, 700.0)))
    return np.asarray((each * (weights / weights.sum())[:, None]).sum(axis=2).reshape(-1, len(sizes)))


def confident_count(margins: FloatArray) -> int:
    """The labels that confident learning counts as wrong: the other side's probability reaches its usual confidence.

    The off-diagonal of the confident joint (Northcutt et al. 2021, eq. 1), with one threshold, since the two classes
    of a pair are mirror images.
    """
    confidence = 1 / (1 + np.exp(-margins))
    return int((1 - confidence >= confidence.mean()).sum())


def _sampled(data: Design) -> str:
    if len(data) < data.total:
        return f"a random {len(data):,} of {data.total:,} judged pairs"
    return f"{len(data):,} judged pairs"

"""What more labels would buy: held-out accuracy of a light model as its training set grows, and a look ahead.

Each pair is foretold by models that saw none of its prompt, fitted on an eighth, a quarter, a half and all of the other
prompts. Twice the labels are taken to bring what the last two doublings brought on average, times a factor that four
points do not tell: a power law n^-c (Cortes et al. 1993; Hestness et al. 2017, arXiv 1712.00409) with c from 0 to 1 has
factors from 1 down to .35, and a curve that still steepens, as those of linear models do while pairs are fewer than
words, has one above 1. So the factor is drawn from .3 to 2, evenly in its logarithm, for every resample of the prompts:
the interval holds what the prompts leave open and what the shape does. How fast a large reward model learns is another
matter; this curve says whether simple patterns are exhausted.

Nothing foretells labels on which annotators differ: where pairs were judged by two, or twice by one, the curve's
ceiling follows from their agreement (:func:`candor.audits.preferences.clarity.noise_ceiling`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clarity import Agreements, agreement_interval, agreements, noise_ceiling
from candor.audits.preferences.form import LABELS, cannot_tell, finding
from candor.audits.preferences.light_model import FEWEST, FOLDS, SHARES, Design, design, hits
from candor.audits.preferences.rates import Rate, between, clustered_mean, counted, percent
from candor.audits.preferences.survey import Survey
from candor.audits.stats import resample_counts
from candor.records import Chart, Check, Verdict

FloatArray = NDArray[np.float64]

NAME, TITLE = "learning_curve", "What more labels would buy"
FACTORS = (0.3, 2.0)
"""What the next doubling brings, in units of what the last two brought on average."""

WORTH = 0.01
"""A gain in accuracy that would be worth twice the labels."""

FEWEST_SHARED = 30
"""With fewer pairs that were judged again, no ceiling is given."""

_BLOCKS, _RESAMPLES = 1000, 1000


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Accuracy by size of the training set (pairs), and the gain from twice the largest, with intervals."""

    sizes: tuple[int, ...]
    accuracies: tuple[Rate, ...]
    gain: Rate


def checks(survey: Survey, data: Design | None = None) -> list[Check]:
    """Returns the check of the learning curve; ``data``: the design, where other checks have it already."""
    data = design(survey) if data is None else data
    if len(data) < FEWEST:
        why = f"{counted(len(data), 'judged pair')}: too few for a curve, {FEWEST} are needed."
        return [cannot_tell(NAME, LABELS, TITLE, why)]
    curve = learning_curve(data)
    full, gain = curve.accuracies[-1], curve.gain
    findings = [
        finding(NAME, "accuracy", rate.estimate, rate.low, rate.high, n=rate.n, subject=f"{size} pairs", seed=data.seed)
        for size, rate in zip(curve.sizes, curve.accuracies, strict=True)
    ]
    meaning = (
        f"With {curve.sizes[-1]:,} pairs a light model of words and style orders {between(full)} of held-out pairs"
    )
    meaning += f" as they were judged; with {curve.sizes[0]:,} it was {percent(curve.accuracies[0].estimate)}."
    bound, because = _ceiling(survey)
    ceiling = None if bound is None else bound.estimate
    ceiling_note = "" if bound is None else f" {because}, nothing could foretell more than {between(bound)} of labels."
    if bound is not None:
        findings.append(
            finding(NAME, "noise_ceiling", bound.estimate, bound.low, bound.high, n=bound.n, seed=data.seed)
        )
    verdict, advice = Verdict.NOTE, ""
    if full.low <= 0.5:
        verdict, meaning = (
            Verdict.CANNOT_TELL,
            meaning + " That is no better than a coin: there is no curve to continue.",
        )
    else:
        findings.append(
            finding(NAME, "gain_from_doubling", gain.estimate, gain.low, gain.high, n=gain.n, seed=data.seed)
        )
        meaning += f" Twice the labels would add {_points(gain)}."
        if gain.high < WORTH:
            verdict = Verdict.FINE
            advice = (
                "More of the same labels would teach simple patterns little: spend on harder prompts or on retests."
            )
        elif gain.low >= WORTH:
            advice = "More labels would still help."
    return [
        Check(
            name=NAME,
            group=LABELS,
            title=TITLE,
            verdict=verdict,
            meaning=meaning + ceiling_note,
            advice=advice,
            findings=tuple(findings),
            charts=(_chart(curve, ceiling),),
            details={"judged_pairs": data.total, "used": len(data)},
        )
    ]


def learning_curve(data: Design) -> Curve:
    """Returns the held-out accuracy by training size, and the gain from twice the largest; intervals over prompts."""
    signs = np.where(data.first_wins, 1.0, -1.0)[:, None]
    right = hits(data.curve * signs)
    rates = tuple(clustered_mean(right[:, k], data.prompts) for k in range(len(SHARES)))
    sizes = tuple(max(1, round(_in_training(data, share))) for share in SHARES)
    return Curve(sizes=sizes, accuracies=rates, gain=gain_from_doubling(data, right))


def _in_training(data: Design, share: float) -> float:
    """The mean number of pairs that a fold's model saw."""
    return float(np.mean([((data.folds != fold) & (data.ranks < share)).sum() for fold in range(FOLDS)]))


def gain_from_doubling(data: Design, right: FloatArray) -> Rate:
    """Returns what twice the labels would add; ``right`` (N, sizes): which pairs each size ordered rightly."""
    blocks = data.prompts if int(data.prompts.max()) < _BLOCKS else data.prompts * 2654435761 % 2**32 % _BLOCKS
    blocks = np.unique(blocks, return_inverse=True)[1]
    sums = np.stack([np.bincount(blocks, weights=column) for column in (*right.T, np.ones(len(right)))], axis=1)
    totals = resample_counts(len(sums), _RESAMPLES, data.seed) @ sums
    accuracies = totals[:, :-1] / totals[:, -1:]
    lowest, highest = np.log(FACTORS)
    factors = np.exp(np.random.default_rng([data.seed, 7]).uniform(lowest, highest, size=_RESAMPLES))
    low, high = np.quantile(last_gain(accuracies) * factors, [0.025, 0.975])
    middle = float(last_gain(right.mean(axis=0))) * float(np.sqrt(FACTORS[0] * FACTORS[1]))
    return Rate(estimate=middle, low=float(low), high=float(high), n=len(right), clusters=int(data.prompts.max()) + 1)


def last_gain(accuracies: FloatArray) -> FloatArray:
    """The mean gain of the last two doublings, never below 0; accuracies (..., sizes), each size twice the last."""
    return np.maximum(0.0, (accuracies[..., -1] - accuracies[..., -3]) / 2)


def _ceiling(survey: Survey) -> tuple[Rate | None, str]:
    """The highest accuracy that agreement allows, its interval over prompts, and what is said of it."""
    found = agreements(survey)
    by_two, by_one = int((found.others_pairs > 0).sum()), int((found.self_pairs > 0).sum())
    if by_two >= FEWEST_SHARED:
        return _bound(found, "agreement", by_two, survey.seed), "As often as annotators differ"
    if by_one >= FEWEST_SHARED:
        return _bound(found, "self_consistency", by_one, survey.seed), "As often as annotators change their minds"
    return None, ""


def _bound(found: Agreements, which: str, n: int, seed: int) -> Rate:
    drawn = agreement_interval(found, which, seed=seed)
    low, high = (np.nan, np.nan) if drawn.interval is None else (drawn.interval.low, drawn.interval.high)
    estimate, low, high = (noise_ceiling(v) if np.isfinite(v) else v for v in (drawn.estimate, low, high))
    return Rate(estimate=estimate, low=low, high=high, n=n, clusters=n)


def _points(gain: Rate) -> str:
    return f"{gain.estimate * 100:.1f} points of accuracy (95% interval {gain.low * 100:.1f} to {gain.high * 100:.1f})"


def _chart(curve: Curve, ceiling: float | None) -> Chart:
    last, gain = curve.accuracies[-1], curve.gain
    rows = [
        {"series": "measured", "x": size, "y": rate.estimate, "low": rate.low, "high": rate.high}
        for size, rate in zip(curve.sizes, curve.accuracies, strict=True)
    ]
    ahead = {"low": last.estimate + gain.low, "high": last.estimate + gain.high}
    rows.append({"series": "expected", "x": 2 * curve.sizes[-1], "y": last.estimate + gain.estimate, **ahead})
    return Chart(
        kind="curve",
        title="Held-out accuracy by number of labels",
        x_title="judged pairs in training",
        y_title="accuracy",
        rows=tuple(rows),
        reference=ceiling if ceiling is not None else 0.5,
    )

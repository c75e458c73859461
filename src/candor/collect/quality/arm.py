"""The arm that hides the user's belief: what stating it does to which response is preferred, as a cause.

Some items exist twice: with the user's false belief in the prompt, and with a neutral question in its place. The two
replies are the same in both and belief-neutral in wording. A fair coin per item and annotator decides who sees what, so
whatever differs between the two groups of answers was caused by the belief being stated.

**Estimand.** Over annotators and items like these, each equally likely: P(the response that agrees with the belief is
preferred | belief shown) - P(the same | belief hidden), a tie counting one half; and the difference of the log odds of
the two probabilities. Both are averages over a population (marginal): the log odds of single annotators are larger.

**Estimator.** The difference of the means of both groups, each answer taken against what others said of the same item
(their mean residual from their own group's mean, shrunk as it deserves; annotator k's own answers do not enter, so the
coin is independent of it and the difference stays unbiased). Errors are clustered by annotator and by item, CR2, since
both are samples. Chosen by simulation against the plain difference of means and against effects per annotator and item
(``python -m bench.collect_quality --part arm``; docs/collect-quality.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candor.collect.quality.linear import MIN_ANNOTATORS, Limits, clustered_linear, clusterings
from candor.collect.quality.neutral import leaks
from candor.preferences.table import FloatArray, IntArray
from candor.projects.labels import Judged
from candor.records import Choice

FEWEST = 20
"""Answers in either group from which an effect is estimated."""
TAG = "agrees"
"""The tag of an item's prompt that holds the index of the response that agrees with the belief."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmEffect:
    """What stating the belief does. ``difference``: of probabilities; ``log_odds``: of their log odds.

    ``shown`` and ``hidden``: how often the agreeing response was preferred. ``left_out``: answers by reason.
    ``general``: whether errors allow for annotators being a sample (5 or more of them).
    """

    difference: Limits
    log_odds: Limits
    shown: Limits
    hidden: Limits
    annotators: int
    items: int
    general: bool
    left_out: Mapping[str, int]

    @property
    def n(self) -> int:
        return self.difference.n


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmRows:
    """N answers: ``agrees`` (1, 0, or .5 for a tie), ``shown`` (1 or 0), annotator and item codes."""

    agrees: FloatArray
    shown: FloatArray
    annotator: IntArray
    item: IntArray
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.agrees)


def arm_effect(judged: Sequence[Judged]) -> ArmEffect | None:
    """The effect of stating the belief; None where too few answers of either group are there."""
    return effect(arm_rows(judged))


def arm_rows(judged: Sequence[Judged]) -> ArmRows:
    """First answers to items with an arm, and what is left out: retests repeat the arm of the first answer."""
    out: Counter[str] = Counter()
    leaking: dict[int, bool] = {}
    kept: list[tuple[float, float, str, int]] = []
    for one in judged:
        if one.arm is None or one.round or one.kind != "main":
            continue
        if one.item_id not in leaking:
            leaking[one.item_id] = any(leaks(response.text) for response in one.responses)
        why = _unusable(one, leaking[one.item_id])
        if why:
            out[why] += 1
            continue
        assert isinstance(one.answer, Choice)
        agrees = 0.5 if one.answer.best is None else float(one.answer.best == int(one.prompt.tags[TAG]))
        kept.append((agrees, float(one.arm == "shown"), one.handle, one.item_id))
    return ArmRows(
        agrees=np.array([row[0] for row in kept], dtype=float),
        shown=np.array([row[1] for row in kept], dtype=float),
        annotator=np.unique([row[2] for row in kept], return_inverse=True)[1].astype(np.int64),
        item=np.unique([row[3] for row in kept], return_inverse=True)[1].astype(np.int64),
        left_out=dict(out),
    )


def _unusable(one: Judged, leaking: bool) -> str:
    if not isinstance(one.answer, Choice):
        return "not a comparison of two"
    if one.prompt.tags.get(TAG) not in ("0", "1"):
        return "the item does not say which response agrees"
    if leaking:
        return "a reply's wording gives the belief away"
    return "both were called bad" if one.answer.both_bad else ""


def effect(rows: ArmRows) -> ArmEffect | None:
    """The estimate from its rows; see the module for what it is of."""
    shown = rows.shown > 0.5
    if min(int(shown.sum()), int((~shown).sum())) < FEWEST:
        return None
    taken = against_others(rows)
    codes = clusterings(rows.annotator, rows.item)
    design = np.column_stack([~shown, shown]).astype(float)
    floor = 0.5 / len(rows)
    means = np.clip([taken[~shown].mean(), taken[shown].mean()], floor, 1 - floor)
    slope = 1 / (means * (1 - means))  # the derivative of the log odds
    contrasts = np.array([[-1.0, 1.0], [-slope[0], slope[1]], [0.0, 1.0], [1.0, 0.0]])
    difference, along, of_shown, of_hidden = clustered_linear(design, taken, codes, contrasts)
    log_odds = float(np.diff(np.log(means / (1 - means)))[0])
    half = (along.high - along.low) / 2
    annotators = len(np.unique(rows.annotator))
    return ArmEffect(
        difference=difference,
        log_odds=Limits(estimate=log_odds, low=log_odds - half, high=log_odds + half, n=len(rows)),
        shown=_within(of_shown, int(shown.sum())),
        hidden=_within(of_hidden, int((~shown).sum())),
        annotators=annotators,
        items=len(np.unique(rows.item)),
        general=annotators >= MIN_ANNOTATORS,
        left_out=rows.left_out,
    )


def against_others(rows: ArmRows) -> FloatArray:
    """Each answer less what others' answers to the same item foretell of it, (N,).

    With m others of mean residual l: l m rho / (1 + (m - 1) rho), rho being how far one residual foretells another.
    """
    shown = rows.shown > 0.5
    residual = rows.agrees - np.where(shown, rows.agrees[shown].mean(), rows.agrees[~shown].mean())
    others = np.bincount(rows.item)[rows.item] - 1
    lean = (np.bincount(rows.item, weights=residual)[rows.item] - residual) / np.maximum(others, 1)
    judged = others > 0
    squares = float(np.sum(residual[judged] ** 2))
    rho = float(np.clip(np.sum(residual[judged] * lean[judged]) / squares, 0.0, 0.95)) if squares else 0.0
    return np.asarray(rows.agrees - others * rho / (1 + (others - 1) * rho) * lean)


def _within(limits: Limits, n: int) -> Limits:
    low, high = (v if math.isnan(v) else min(max(v, 0.0), 1.0) for v in (limits.low, limits.high))
    return Limits(estimate=min(max(limits.estimate, 0.0), 1.0), low=low, high=high, n=n)

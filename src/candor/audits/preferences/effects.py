"""What judgements go with: a clustered logistic regression of a file's judged pairs on what differs between responses.

``logit P(first preferred) = side + sum over features of coefficient x (first - second)``. There is no intercept but
the side: a pair whose order nobody recorded has no side, and turning it round changes nothing. The main model holds the
features that every response has. A feature that only some have (agreement with a view, where the user stated one) gets
a model of its own on the pairs in which both responses have it, with all the others beside it: setting it to "no
difference" elsewhere would mix prompts with a view and prompts without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from candor.audits.preferences.rates import counted
from candor.audits.preferences.regression import (
    Regression,
    benjamini_hochberg,
    clustered_logit,
    t_quantile,
)
from candor.preferences.table import BoolArray, FloatArray, IntArray, JudgedPairs, Judgements
from candor.records import Verdict

SIDE = "shown_first"
AGREEMENT = "agreement"

AGREEMENT_WEIGHT = 3.0
"""How many times an ordinary feature agreement counts in the correction: it is what this audit is for."""

MIN_PAIRS = 30
MIN_DIFFER = 10
"""A feature that differs in fewer pairs than this is left out of the model, and that is said."""

MIN_ANNOTATORS = 5
"""With fewer, nothing can be said of annotators in general: errors are clustered by prompt alone, and that is said."""

MOST_PAIRS = 1_000_000
"""More judged pairs than this are sampled by prompt: the intervals are far narrower than any verdict needs."""

CONVENTION = 0.97
"""Where the first (or the second) wins more often than this, the order is the file's and not what was shown."""

SMALL = float(np.log(1.1))
"""An effect is called small while its interval reaches an odds ratio between 1/1.1 and 1.1 (52.4 to 47.6 of 100)."""

EQUIVALENT = float(np.log(1.25))
"""Not significant and within 1/1.25 to 1.25 (55.6 to 44.4 of 100): whatever effect there is, is at most moderate."""

TARGET = float(np.log(1.3))
"""Where an effect of this size would be found with less than 0.9 power, the smallest that would be is printed."""

LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What one step of one feature does to the log odds of being preferred.

    ``scale``: how much of the feature one step is (its SD over pairs, or 1 for a feature that is there or not, in which
    case ``per_unit``). ``n``: pairs in its model; ``differ``: pairs in which it differs. ``p``: of no effect;
    ``adjusted``: for the false-discovery rate over all effects of the file. ``detectable``: the log odds that would be
    found with power 0.9 after the strictest correction. ``inflation``: how many times the variance is what it would be
    if nothing else went with it. Where it could not be estimated, ``why_not`` says so and the numbers are NaN.
    """

    name: str
    scale: float
    per_unit: bool
    n: int
    differ: int
    estimate: float = float("nan")
    error: float = float("nan")
    df: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    adjusted: float = float("nan")
    detectable: float = float("nan")
    inflation: float = float("nan")
    penalised: str = ""
    why_not: str = ""

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return bool(np.isfinite(self.low))

    @property
    def flagged(self) -> bool:
        """Whether no effect is ruled out after correction."""
        return bool(self.adjusted < LEVEL)

    @property
    def verdict(self) -> Verdict:
        """What it comes to.

        ``concern``: flagged and the interval clear of small effects; ``note``: flagged but perhaps small; ``fine``: not
        flagged and no more than moderate; ``cannot tell``: not flagged and the interval too wide to say so.
        """
        if not self.known:
            return Verdict.CANNOT_TELL
        if self.flagged:
            return Verdict.CONCERN if self.low > SMALL or self.high < -SMALL else Verdict.NOTE
        return Verdict.FINE if max(abs(self.low), abs(self.high)) <= EQUIVALENT else Verdict.CANNOT_TELL


@dataclass(frozen=True, kw_only=True)
class LabelEffects:
    """The effects found in a file, side first where it is known, and how they were found.

    ``pairs``: the judged pairs used, numbers into ``judgements.pairs``; ``predicted`` (Q,): the main model's log odds
    of each; ``clustering``: in words.
    """

    effects: tuple[Effect, ...]
    pairs: IntArray
    predicted: FloatArray
    clustering: str
    clusters: tuple[int, ...]
    sampled: bool

    def of(self, name: str) -> Effect | None:
        """The effect of a feature, or None where the file has no such feature."""
        return next((effect for effect in self.effects if effect.name == name), None)


class Design:
    """The judged pairs of a file as a regression sees them; see the module's text."""

    def __init__(self, judgements: Judgements, *, seed: int = 0, most: int = MOST_PAIRS) -> None:
        self.judgements = judgements
        self.numbers = _sampled_pairs(judgements, seed, most)
        self.sampled = len(self.numbers) < len(judgements.pairs)
        self.names = judgements.feature_names

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def pairs(self) -> JudgedPairs:
        """The judged pairs that are used."""
        every = self.judgements.pairs
        if not self.sampled:
            return every
        return JudgedPairs(**{name: getattr(every, name)[self.numbers] for name in every.__dataclass_fields__})

    @cached_property
    def side(self) -> FloatArray:
        """1 where the first was shown first, 0 where the order is unknown, (Q,)."""
        return self.pairs.ordered.astype(float)

    @cached_property
    def differences(self) -> FloatArray:
        """First minus second of every feature, (Q, F)."""
        return self.pairs.difference(self.judgements.features).astype(float)

    @cached_property
    def partial(self) -> BoolArray:
        """Which features some responses do not have, (F,)."""
        return ~np.all(np.isfinite(self.judgements.features), axis=0)

    @cached_property
    def weight(self) -> FloatArray:
        """2 / K for the pairs of K judged responses, (Q,).

        A ranking of K counts K - 1 times as much as a choice of two: about what it tells, and far less noisy than
        counting each ranking once, as training does.
        """
        judgements = self.judgements
        judged = np.bincount(judgements.comparison_of[np.isfinite(judgements.values)], minlength=len(judgements))
        return 2.0 / judged[self.pairs.comparison]

    @cached_property
    def all_tied(self) -> bool:
        """Whether in no judged pair one response was preferred, so that no preference can be explained."""
        return not bool(np.any(self.pairs.outcome != 0.5))

    @cached_property
    def prompts(self) -> IntArray:
        """Each pair's prompt, (Q,), as 0, 1, ..."""
        return np.unique(self.judgements.prompts[self.pairs.comparison], return_inverse=True)[1].astype(np.int64)

    @cached_property
    def annotators(self) -> IntArray:
        """Each pair's annotator, (Q,); where unknown, one for each prompt."""
        known = self.judgements.annotators[self.pairs.comparison]
        return np.where(known >= 0, known, len(self.judgements.annotator_names) + self.prompts)

    @cached_property
    def known_annotators(self) -> int:
        """How many named annotators judged these pairs."""
        known = np.unique(self.judgements.annotators[self.pairs.comparison])
        return int(np.sum(known >= 0))

    @property
    def by_annotator(self) -> bool:
        """Whether errors are clustered by annotator too."""
        return self.known_annotators >= MIN_ANNOTATORS

    @property
    def clustering(self) -> str:
        """How errors are clustered, in words."""
        if self.by_annotator:
            unknown = np.mean(self.judgements.annotators[self.pairs.comparison] < 0)
            return "annotator and prompt" + (f" ({unknown:.0%} have no annotator)" if unknown else "")
        if self.known_annotators:
            known = counted(self.known_annotators, "annotator")
            return f"prompt (with {known}, this is about them alone)"
        return "prompt (annotators are not recorded)"

    def fit(
        self,
        design: FloatArray,
        rows: BoolArray | None = None,
        contrasts: FloatArray | None = None,
        outcome: FloatArray | None = None,
    ) -> Regression:
        """Returns the regression of outcomes (of the ``rows`` (Q,), or all) on ``design`` (rows, P).

        ``outcome`` (Q,): something else than what was preferred.
        """
        keep = slice(None) if rows is None else rows
        outcome = self.pairs.outcome if outcome is None else outcome
        clusterings = [self.annotators[keep], self.prompts[keep]] if self.by_annotator else [self.prompts[keep]]
        return clustered_logit(design, outcome[keep], clusterings, weight=self.weight[keep], contrasts=contrasts)


def label_effects(judgements: Judgements, *, seed: int = 0, design: Design | None = None) -> LabelEffects:
    """Returns the effect of the side and of every feature, adjusted together (Benjamini-Hochberg).

    ``seed`` picks the prompts where there are too many pairs. With fewer than 30 judged pairs nothing is estimated.
    """
    design = design or Design(judgements, seed=seed)
    enough = len(design) >= MIN_PAIRS and not design.all_tied
    drafts = _drafts(design)
    predicted = np.zeros(len(design))
    clusters: tuple[int, ...] = ()
    if enough:
        main = [name for name, draft in drafts.items() if not draft.why_not and not is_partial(design, name)]
        if main:
            columns = columns_of(design, main)
            found = design.fit(columns)
            predicted, clusters = columns @ found.coef, found.clusters
            for index, (name, inflation) in enumerate(zip(main, inflation_of(columns), strict=True)):
                drafts[name] = effect_of(drafts[name], found, index, inflation)
        for name in [name for name, draft in drafts.items() if not draft.why_not and is_partial(design, name)]:
            rows = np.isfinite(design.differences[:, design.names.index(name)])
            columns = columns_of(design, [*main, name])[rows]
            found = design.fit(columns, rows)
            drafts[name] = effect_of(drafts[name], found, len(main), inflation_of(columns)[-1])
    else:
        few = f"{counted(len(design), 'judged pair')} {'is' if len(design) == 1 else 'are'} too few"
        why = few if len(design) < MIN_PAIRS else "every judged pair is a tie"
        drafts = {name: replace(draft, why_not=draft.why_not or why) for name, draft in drafts.items()}
    return LabelEffects(
        effects=adjusted(tuple(drafts.values())),
        pairs=design.numbers,
        predicted=predicted,
        clustering=design.clustering,
        clusters=clusters,
        sampled=design.sampled,
    )


def effect_of(draft: Effect, found: Regression, index: int, inflation: float = float("nan")) -> Effect:
    """Returns the draft with contrast ``index`` of a regression in it, one step of the draft's scale."""
    low, high = found.intervals()[index] * draft.scale
    why = ""
    if not np.isfinite(found.estimates[index]):
        why = "it is a sum of other features here, so its own effect is not defined"
    elif not np.isfinite(low):
        why = "nearly all that is known of it comes from one annotator or one prompt"
    return replace(
        draft,
        n=found.n,
        estimate=float(found.estimates[index] * draft.scale) if not why else float("nan"),
        error=float(found.errors[index] * draft.scale),
        df=float(found.df[index]),
        low=float(low),
        high=float(high),
        p=float(found.p_values[index]),
        inflation=inflation,
        penalised=found.penalised,
        why_not=why,
    )


def adjusted(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    """Returns the effects with p-values adjusted for all of them, and what each would be found at."""
    weights = np.array([AGREEMENT_WEIGHT if effect.name == AGREEMENT else 1.0 for effect in effects])
    corrected = benjamini_hochberg([effect.p for effect in effects], weights)
    total = max(float(weights[np.isfinite(corrected)].sum()), 1.0)
    done = []
    for effect, p, weight in zip(effects, corrected, weights, strict=True):
        df = np.array([effect.df])
        quantiles = t_quantile(1 - LEVEL * weight / total / 2, df) + t_quantile(0.9, df)
        done.append(replace(effect, adjusted=float(p), detectable=float(quantiles[0] * effect.error)))
    return tuple(done)


def has_side(design: Design) -> bool:
    """Whether enough pairs have a recorded order, and one that can be what annotators saw."""
    ordered = design.pairs.ordered
    if ordered.sum() < MIN_DIFFER:
        return False
    return bool(1 - CONVENTION <= np.mean(design.pairs.outcome[ordered]) <= CONVENTION)


def _sampled_pairs(judgements: Judgements, seed: int, most: int) -> IntArray:
    pairs = judgements.pairs
    if len(pairs) <= most:
        return np.arange(len(pairs))
    salt = np.random.default_rng(seed).integers(2**63, dtype=np.uint64)
    mixed = (judgements.prompts[pairs.comparison].view(np.uint64) ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    return np.flatnonzero(mixed < np.uint64(most / len(pairs) * 2**64))


def is_partial(design: Design, name: str) -> bool:
    """Whether some responses do not have this feature, so that it gets a model of its own."""
    return name != SIDE and bool(design.partial[design.names.index(name)])


def _drafts(design: Design) -> dict[str, Effect]:
    """What is known of every effect before a fit: its step, how often it differs, and why it cannot be estimated."""
    drafts: dict[str, Effect] = {}
    if (ordered := int(design.side.sum())) >= MIN_DIFFER:
        why = "" if has_side(design) else "one place wins nearly always, so it is the file's order"
        drafts[SIDE] = Effect(name=SIDE, scale=1.0, per_unit=True, n=len(design), differ=ordered, why_not=why)
    for index, name in enumerate(design.names):
        difference = design.differences[:, index]
        finite = np.isfinite(difference)
        values = difference[finite]
        differ = int(np.count_nonzero(values))
        per_unit = name == AGREEMENT or bool(np.all(np.isin(values, (-1.0, 0.0, 1.0))))
        spread = float(np.sqrt(np.mean(values**2))) if differ else 1.0
        if not len(values):
            why = "it applies to no judged pair"
        elif not differ:
            why = "it never differs between two responses"
        else:
            why = f"it differs in only {counted(differ, 'pair')}" if differ < MIN_DIFFER else ""
        if not why and finite.sum() < MIN_PAIRS:
            why = f"it applies to only {counted(int(finite.sum()), 'pair')}"
        scale, n = 1.0 if per_unit else spread, int(finite.sum())
        drafts[name] = Effect(name=name, scale=scale, per_unit=per_unit, n=n, differ=differ, why_not=why)
    return drafts


def columns_of(design: Design, names: Sequence[str]) -> FloatArray:
    """Returns the differences of the named features, and the side where it is named, (Q, len(names))."""
    indices = {name: index for index, name in enumerate(design.names)}
    columns = [design.side if name == SIDE else design.differences[:, indices[name]] for name in names]
    return np.column_stack(columns)


def inflation_of(columns: FloatArray) -> FloatArray:
    """Returns the variance inflation of each column, about 0 (P,); infinite where the columns are dependent."""
    gram = columns.T @ columns
    scale = np.sqrt(np.diagonal(gram))
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.nan_to_num(gram / np.outer(scale, scale))
    inflation = np.full(len(gram), np.inf)
    if np.linalg.matrix_rank(correlation, tol=1e-8, hermitian=True) == len(gram):
        inflation = np.diagonal(np.linalg.inv(correlation)).copy()
    return inflation

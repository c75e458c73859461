"""Pairs that differ in almost nothing but one feature: what they show is a cause, not only an association."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.effects import MIN_DIFFER, SIDE, Design, Effect, adjusted, effect_of
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.wording import LENGTH
from candor.preferences.table import BoolArray, IntArray

MIN_EDITS = 30
"""Fewer pairs than this that differ in one feature alone are not reported apart."""

OVERLAP = 0.8
"""Share of words in common (of the longer text, with repetition) from which two texts are edits of one another."""


@dataclass(frozen=True, kw_only=True)
class MinimalEdits:
    """The effects seen in minimal edits, by feature; ``pairs``: how many pairs are minimal edits of any feature."""

    effects: tuple[Effect, ...]
    pairs: int


def minimal_edits(survey: Survey, design: Design) -> MinimalEdits:
    """Returns what is seen in pairs whose texts share at least 80% of their words and differ in one feature alone.

    Length may differ too, since a word that is added makes a text longer; it is a feature of its own only where nothing
    else differs. Only comparisons whose texts were kept can be told. A feature with fewer than 30 such pairs is left
    out.
    """
    if not design.names or not survey.sample:
        return MinimalEdits(effects=(), pairs=0)
    single = _single_feature(design)
    shown = np.isin(design.pairs.comparison, np.fromiter(survey.sample, np.int64, len(survey.sample)))
    candidates = np.flatnonzero((single >= 0) & shown)
    if len(candidates) < MIN_EDITS:
        return MinimalEdits(effects=(), pairs=0)
    alike = candidates[[_overlap(survey, design, int(pair)) >= OVERLAP for pair in candidates]]
    effects = []
    for index, name in enumerate(design.names):
        rows = np.zeros(len(design), bool)
        rows[alike[single[alike] == index]] = True
        if (differ := int(rows.sum())) >= MIN_EDITS:
            effects.append(_effect(design, name, index, rows, differ))
    return MinimalEdits(effects=adjusted(effects), pairs=len(alike))


def _effect(design: Design, name: str, index: int, rows: BoolArray, differ: int) -> Effect:
    values = design.differences[rows, index]
    per_unit = bool(np.all(np.isin(values, (-1.0, 0.0, 1.0))))
    draft = Effect(
        name=name,
        scale=1.0 if per_unit else float(np.sqrt(np.mean(values**2))),
        per_unit=per_unit,
        n=differ,
        differ=differ,
    )
    side = design.side[rows]
    columns = [values, side] if side.sum() >= MIN_DIFFER and name != SIDE else [values]
    return effect_of(draft, design.fit(np.column_stack(columns), rows), 0)


def _single_feature(design: Design) -> IntArray:
    """The one feature, length apart, in which each pair differs, (Q,); -1 where there is none or are several."""
    differs = np.nan_to_num(design.differences) != 0
    if LENGTH in design.names:
        at = design.names.index(LENGTH)
        only_length = differs[:, at] & (differs.sum(axis=1) == 1)
        differs[:, at] = only_length
    return np.where(differs.sum(axis=1) == 1, np.argmax(differs, axis=1), -1)


def _overlap(survey: Survey, design: Design, pair: int) -> float:
    pairs = design.pairs
    number = int(pairs.comparison[pair])
    responses, start = survey.sample[number].responses, int(survey.judgements.starts[number])
    first, second = (responses[int(at[pair]) - start].text.split() for at in (pairs.first, pairs.second))
    if not first or not second:
        return 0.0
    return (Counter(first) & Counter(second)).total() / max(len(first), len(second))

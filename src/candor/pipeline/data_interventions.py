"""Interventions on demonstrations and comparisons, as the stages put them in; what they did goes into the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from candor.errors import InputError
from candor.interventions.changed import Changed
from candor.interventions.counterfactual import counterfactual
from candor.interventions.relabelling import filter_comparisons, relabel
from candor.interventions.rightness import IsRight, by_agreement, by_claims
from candor.lexical.rules import RuleAgreement
from candor.pipeline.context import Context
from candor.recipe import RewardStage
from candor.recipe_interventions import (
    AnnotatorConditional,
    By,
    Counterfactual,
    FilterComparisons,
    Relabel,
    ReliabilityWeights,
)
from candor.records import Comparison

Told = list[dict[str, Any]]
"""What each intervention did: its type and counts, in order."""


def change_comparisons(
    stage: RewardStage, comparisons: Sequence[Comparison], context: Context
) -> tuple[tuple[Comparison, ...], Told]:
    """The comparisons that train after the stage's interventions on them, and what each did.

    Those on weights and heads do nothing here. Raises InputError where an intervention has nothing to go by, or leaves
    nothing.
    """
    items, told = tuple(comparisons), Told()
    for intervention in stage.interventions:
        if isinstance(intervention, ReliabilityWeights | AnnotatorConditional):
            continue
        where = f"{stage.name}.interventions: {intervention.type}"
        if not any(c.prompt.claim is not None for c in items):
            raise InputError(
                "no comparison's prompt carries a claim: nobody can tell right from wrong",
                where=where,
                fix='give prompts a "claim" (question, truth, asserted, stance), or leave it out',
            )
        changed = _changed(intervention, items, is_right_by(intervention.by, context), context.seed)
        if not changed.items:
            raise InputError("no comparison is left", where=where, fix=f"lower share = {intervention.share:g}")
        items = changed.items
        told.append({"type": intervention.type, **changed.counts})
        tell(stage.name, intervention.type, changed.counts, context)
    return items, told


def _changed(
    intervention: FilterComparisons | Relabel | Counterfactual,
    items: Sequence[Comparison],
    is_right: IsRight,
    seed: int,
) -> Changed[Comparison]:
    match intervention:
        case FilterComparisons(share=share):
            return filter_comparisons(items, is_right, share=share, seed=seed)
        case Relabel(share=share):
            return relabel(items, is_right, share=share, seed=seed)
        case Counterfactual(share=share):
            return counterfactual(items, is_right, share=share, seed=seed)
    assert_never(intervention)


def is_right_by(by: By, context: Context) -> IsRight:
    """Who tells right replies from wrong, as a recipe names it."""
    return by_claims(context.reader) if by == "claims" else by_agreement(RuleAgreement())


def tell(stage: str, intervention: str, counts: Mapping[str, int], context: Context) -> None:
    """Says in one line what an intervention did."""
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    context.tell.note(f"{stage}: {intervention}: {said}")

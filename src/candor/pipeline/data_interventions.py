"""Interventions on demonstrations and comparisons, as the stages put them in; what they did goes into the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.interventions.changed import Changed
from candor.interventions.corrections import write_correction
from candor.interventions.counterfactual import counterfactual
from candor.interventions.demonstrations import (
    filter_demonstrations,
    known_questions,
    plain_questions,
    synthetic_disagreement,
)
from candor.interventions.relabelling import filter_comparisons, relabel
from candor.interventions.rightness import IsRight, by_agreement, by_claims
from candor.lexical.rules import RuleAgreement
from candor.ops.randomness import step_seed
from candor.pipeline.context import Context, prompts_that_fit
from candor.pipeline.plan import Planned
from candor.recipe import RewardStage, SFTStage
from candor.recipe_interventions import (
    AnnotatorConditional,
    By,
    Counterfactual,
    FilterComparisons,
    FilterDemonstrations,
    Relabel,
    ReliabilityWeights,
    SyntheticDisagreement,
)
from candor.records import Comparison, Demonstration

ANSWER_TOKENS = 48
"""Longest answer to a plain question, when it is asked what a policy knows."""

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


def change_demonstrations(
    stage: SFTStage, demonstrations: Sequence[Demonstration], planned: Planned, context: Context
) -> tuple[Sequence[Demonstration], Told]:
    """The demonstrations after the stage's interventions on them, and what each did.

    Raises InputError where an intervention has nothing to go by, or leaves nothing.
    """
    items, told = demonstrations, Told()
    for intervention in stage.interventions:
        where = f"{stage.name}.interventions: {intervention.type}"
        if not any(d.prompt.claim is not None for d in items):
            raise InputError(
                "no demonstration's prompt carries a claim: nobody can tell right from wrong",
                where=where,
                fix='give prompts a "claim" (question, truth, asserted, stance), or leave it out',
            )
        if isinstance(intervention, FilterDemonstrations):
            is_right = is_right_by(intervention.by, context)
            changed = filter_demonstrations(items, is_right, share=intervention.share, seed=context.seed)
        else:
            changed = _with_disagreement(intervention, items, where, planned, context)
        if not changed.items:
            raise InputError("no demonstration is left", where=where, fix="lower its share")
        items = changed.items
        told.append({"type": intervention.type, **changed.counts})
        tell(stage.name, intervention.type, changed.counts, context)
    return items, told


def _with_disagreement(
    intervention: SyntheticDisagreement,
    demonstrations: Sequence[Demonstration],
    where: str,
    planned: Planned,
    context: Context,
) -> Changed[Demonstration]:
    """Asks the policy that the stage starts from what it knows, and adds corrections of what it does."""
    questions = plain_questions(demonstrations)
    if not questions:
        fix = "give demonstrations whose users assert something false, or leave it out"
        raise InputError("no demonstration's user is known to be wrong", where=where, fix=fix)
    policy = context.policy(planned.inputs["policy"])
    questions = prompts_that_fit(policy, questions, ANSWER_TOKENS, context.tell.note)
    sampler = InProcessSampler(
        policy.model,
        policy.tokenizer,
        temperature=1.0,
        max_new_tokens=ANSWER_TOKENS,
        batch_size=context.recipe.model.sampling_rows,
        name=planned.inputs["policy"].name,
    )
    seed = step_seed(context.seed, "sft", "known questions")
    answers = sampler.sample(questions, n=intervention.samples, seed=seed)
    known = known_questions(questions, answers, context.reader)
    if not known:
        raise InputError(
            f"of {len(questions)} questions the policy answers none rightly in {intervention.samples} of "
            f"{intervention.samples} samples",
            where=where,
            fix="lower samples, or start from a model that knows the answers",
        )
    return synthetic_disagreement(demonstrations, known, write_correction, share=intervention.share, seed=context.seed)


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

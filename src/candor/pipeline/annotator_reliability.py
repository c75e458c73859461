"""What is known of annotators, put to use by the reward stage: weights of comparisons, or heads and their shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.interventions.reliability import asked_gold, fitted, gold_items, own_gold, shares_of, weights_of
from candor.interventions.rightness import by_claims
from candor.models.annotator_heads import AnnotatorHeads
from candor.models.encoders import is_encoder
from candor.models.load import Reward
from candor.pipeline.context import Context
from candor.pipeline.data_interventions import Told, tell
from candor.pipeline.plan import Planned
from candor.recipe import CompareStage, RewardStage
from candor.recipe_interventions import AnnotatorConditional, ReliabilityWeights
from candor.records import Comparison
from candor.training.ranked import RankedExample


@dataclass(frozen=True, kw_only=True)
class SharedHeads:
    """Heads by annotator, and each one's share in their sum, in the order of the heads' names."""

    heads: AnnotatorHeads
    shares: tuple[float, ...]


def weigh(
    stage: RewardStage,
    planned: Planned,
    collected: Sequence[Comparison],
    examples: Sequence[RankedExample],
    context: Context,
) -> tuple[tuple[RankedExample, ...], Told]:
    """The examples with the weights that the stage's reliability weights give them; several multiply.

    ``collected`` are the training comparisons as annotators left them: what an intervention made of them says nothing
    about the annotator.
    """
    weighted, told = tuple(examples), Told()
    names = [example.annotator for example in examples]
    for intervention in stage.interventions:
        if not isinstance(intervention, ReliabilityWeights):
            continue
        where = f"{stage.name}.interventions: {intervention.type}"
        known, about = _reliability(intervention, where, planned, collected, context)
        try:
            weights = weights_of(known, names, intervention.power)
        except ValueError as error:
            raise InputError(str(error), where=where, fix='use source = "gold", or leave it out') from None
        weighted = tuple(replace(e, weight=e.weight * w) for e, w in zip(weighted, weights, strict=True))
        about["effective_comparisons"] = round(float(np.sum(weights) ** 2 / np.sum(np.square(weights))))
        tell(stage.name, intervention.type, _counts(about), context)
        told.append({"type": intervention.type, **about})
    return weighted, told


def shared_heads(
    stage: RewardStage, planned: Planned, collected: Sequence[Comparison], reward: Reward, context: Context
) -> tuple[SharedHeads | None, Told]:
    """Heads for the annotators, where the stage conditions on them; they are to be trained with the model.

    Raises InputError for an encoder, whose head is not linear in its hidden states.
    """
    for intervention in stage.interventions:
        if not isinstance(intervention, AnnotatorConditional):
            continue
        where = f"{stage.name}.interventions: {intervention.type}"
        if is_encoder(reward.model):
            fix = "start from a policy or another decoder"
            raise InputError("an encoder's head is not linear: heads cannot be added up", where=where, fix=fix)
        known, about = _reliability(intervention, where, planned, collected, context)
        names = sorted(known)
        shares = shares_of(known, names, intervention.power)
        score: Any = reward.model.score
        heads = AnnotatorHeads(names, score.in_features, shrink=intervention.shrink).to(score.weight.device)
        about["effective_annotators"] = round(float(1 / np.sum(np.square(shares))), 1)
        tell(stage.name, intervention.type, _counts(about), context)
        return SharedHeads(heads=heads, shares=tuple(shares)), [{"type": intervention.type, **about}]
    return None, []


def _reliability(
    intervention: ReliabilityWeights | AnnotatorConditional,
    where: str,
    planned: Planned,
    collected: Sequence[Comparison],
    context: Context,
) -> tuple[Mapping[str, float], dict[str, Any]]:
    """Each annotator's reliability, above 0, and what is told of it."""
    names = sorted({c.annotator for c in collected if c.annotator})
    if len(names) < 2:
        what = "no comparison names its annotator" if not names else f"all comparisons are by {names[0]!r}"
        raise InputError(f"{what}: nobody can be told from others", where=where, fix="leave it out")
    if isinstance(intervention, ReliabilityWeights) and intervention.source == "fit":
        try:
            known = fitted(collected)
        except ValueError as error:
            fix = 'use source = "gold", or collect pairs that several annotators judge'
            raise InputError(f"the fit cannot tell annotators apart: {error}", where=where, fix=fix) from None
        return known, {"source": "fit", "annotators": len(known), "reliability": dict(known)}
    is_right = by_claims(context.reader)
    source = planned.inputs["comparisons"].stage
    items = gold_items(collected, is_right)
    if not items:
        fix = 'give prompts a "claim" with its truth'
        if isinstance(intervention, ReliabilityWeights):
            fix += ', or use source = "fit"'
        raise InputError("there are no gold items: no comparison holds a right and a wrong reply", where=where, fix=fix)
    if isinstance(source, CompareStage) and source.file is None:
        panel = Panel(source.panel, context.reader, source.feedback, context.seed)
        gold = asked_gold(panel, names, items, each=intervention.gold_items, seed=context.seed)
    else:
        gold = own_gold(collected, is_right)
    about = {
        "source": "gold",
        "annotators": len(gold),
        "gold_items": len(items),
        "gold_answers": sum(g.asked for g in gold.values()),
        "without_gold": sum(g.asked == 0 for g in gold.values()),
        "reliability": {name: {"right": g.right, "asked": g.asked} for name, g in gold.items()},
    }
    return {name: g.accuracy for name, g in gold.items()}, about


def _counts(about: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in about.items() if isinstance(value, int | float)}

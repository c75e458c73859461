"""The reward that a ppo stage optimises: its reward model as the stage's interventions let it read, and what they add.

What reads comes first (belief-blind scoring, a probe's penalty, further reward models), what is added comes after (the
agreement penalty, the verifier's bonus, the constraint): sums have no order, so neither have interventions on rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.interventions.belief_blind import BlindScorer
from candor.interventions.beliefs import Beliefs
from candor.interventions.constraint import AgreementConstraint
from candor.interventions.detectors import detector_of
from candor.interventions.ensemble import EnsembleScorer
from candor.interventions.penalty import AgreementPenalty
from candor.interventions.probe import ProbedScorer
from candor.interventions.verifier import VerifierBonus
from candor.models.load import Policy, Reward
from candor.models.scorer import RewardScorer, TokenScorer
from candor.ops.bonus import Bonus, Shape
from candor.pipeline import sources
from candor.pipeline.context import Context
from candor.pipeline.fitted import check_beliefs, fitted_probe, smallest_penalty
from candor.pipeline.plan import Planned
from candor.pipeline.trainees import reads_tokens
from candor.protocols import Scorer
from candor.recipe import PPOStage
from candor.recipe_interventions import BeliefBlind, Constraint, Ensemble, Penalty, ProbePenalty, Verifier
from candor.records import Completion, Prompt, Response
from candor.training.rollout import BatchScorer

Term = Callable[[Sequence[Prompt], Sequence[Response]], list[float]]


@dataclass(frozen=True, kw_only=True)
class Shaping:
    """``reading`` gives each reply's score, from the policy's tokens or from text; ``terms`` are added to it."""

    reading: Scorer | BatchScorer
    terms: tuple[Term, ...] = ()
    constraint: AgreementConstraint | None = None

    @property
    def shape(self) -> Shape | None:
        """What the training loop adds to a batch's scores; None where nothing is added."""
        return self._bonus if self.terms or self.constraint is not None else None

    def _bonus(self, prompts: Sequence[Prompt], replies: Sequence[Completion], scalars: Mapping[str, float]) -> Bonus:
        added = _total(self.terms, prompts, replies)
        metrics = {"shaping": float(np.mean(added))} if self.terms else {}
        if self.constraint is None:
            return Bonus(amounts=added, metrics=metrics)
        found = self.constraint(prompts, replies, scalars)
        amounts = [a + b for a, b in zip(added, found.amounts, strict=True)]
        return Bonus(amounts=amounts, metrics={**metrics, **found.metrics}, scalars=found.scalars)


@dataclass(frozen=True, kw_only=True)
class ShapedScorer:
    """A :class:`~candor.protocols.Scorer`: a text scorer and the terms that are added to it."""

    reading: Scorer
    terms: tuple[Term, ...]

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply."""
        added = _total(self.terms, prompts, responses)
        return [a + b for a, b in zip(self.reading.score(prompts, responses), added, strict=True)]


def shaped_scorer(stage: PPOStage, planned: Planned, context: Context, policy: Policy, reward: Reward) -> Scorer:
    """Returns the reward that the stage optimises as a scorer of texts: a plain one where nothing shapes it.

    ``policy`` is the one that PPO starts from, which lambda* is computed with; ``reward`` the stage's own. A
    constraint's multiplier is not in it: it is 0 or ``start`` now, and what it becomes depends on training. Raises
    InputError as :func:`shaping_of` does.
    """
    text = _reading(stage, planned, context, policy, reward, as_text=True)
    assert not isinstance(text, BatchScorer)
    terms = _terms(stage, planned, context, policy, text)
    return ShapedScorer(reading=text, terms=terms) if terms else text


def shaping_of(stage: PPOStage, planned: Planned, context: Context, policy: Policy, reward: Reward) -> Shaping:
    """Returns how the stage scores replies while it trains: by the policy's tokens where nothing needs text.

    Raises InputError for a stage whose prompts hold no belief that is known to be false though an intervention needs
    one, for lambda* without a KL penalty, and for a probe without labelled comparisons.
    """
    reading = _reading(stage, planned, context, policy, reward, as_text=False)
    if not stage.interventions:
        return Shaping(reading=reading)
    text = reading
    if isinstance(text, BatchScorer):
        text = _reading(stage, planned, context, policy, reward, as_text=True)
    assert not isinstance(text, BatchScorer)
    terms = _terms(stage, planned, context, policy, text)
    limit = _of(stage, Constraint)
    constraint = None
    if limit is not None:
        check_beliefs(context.train_prompts(stage.prompts), planned.name)
        constraint = AgreementConstraint(
            detector=detector_of(limit.detector, context.reader),
            limit=limit.limit,
            lr=limit.lr,
            start=limit.start,
            largest=limit.largest,
        )
    return Shaping(reading=reading, terms=terms, constraint=constraint)


def _of(stage: PPOStage, kind: type[Any]) -> Any:
    return next((item for item in stage.interventions if isinstance(item, kind)), None)


def _total(terms: Sequence[Term], prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
    added = [0.0] * len(prompts)
    for term in terms:
        added = [a + b for a, b in zip(added, term(prompts, responses), strict=True)]
    return added


# --- what reads -------------------------------------------------------------------------------------------------------


def _reading(
    stage: PPOStage, planned: Planned, context: Context, policy: Policy, reward: Reward, *, as_text: bool
) -> Scorer | BatchScorer:
    blind, probed, ensemble = _of(stage, BeliefBlind), _of(stage, ProbePenalty), _of(stage, Ensemble)
    if not as_text and blind is probed is ensemble is None and _one_format(stage, policy, reward):
        return TokenScorer(reward.model, offset=reward.offset)
    own = RewardScorer(reward.model, reward.tokenizer, stage.max_length, reward.offset)
    scorer: Scorer = own
    if probed is not None:
        probe = fitted_probe(probed, own, planned, context)
        scorer = ProbedScorer(scorer=own, probe=probe, strength=probed.strength)
    if ensemble is not None:
        further = [context.reward(planned.inputs[f"reward {i}"]) for i in range(2, len(ensemble.rewards) + 2)]
        members = [RewardScorer(r.model, r.tokenizer, stage.max_length, r.offset) for r in further]
        scorer = EnsembleScorer(members=(scorer, *members), how=ensemble.how, strength=ensemble.strength)
    if blind is not None:
        audited = sources.audit_prompts(context.recipe.audit.prompts)
        beliefs = Beliefs.of((*context.train_prompts(stage.prompts), *audited))
        scorer = BlindScorer(inner=scorer, beliefs=beliefs, how=blind.how)
    return scorer


def _one_format(stage: PPOStage, policy: Policy, reward: Reward) -> bool:
    """Whether both models write a conversation as the same tokens."""
    return reads_tokens(stage, policy, reward) and policy.tokenizer.chat_template == reward.tokenizer.chat_template


# --- what is added ----------------------------------------------------------------------------------------------------


def _terms(stage: PPOStage, planned: Planned, context: Context, policy: Policy, text: Scorer) -> tuple[Term, ...]:
    """``text``: what reads, which lambda* is computed for together with the other terms."""
    verifier, penalty = _of(stage, Verifier), _of(stage, Penalty)
    terms: tuple[Term, ...] = ()
    if verifier is not None:
        terms = (VerifierBonus(reader=context.reader, bonus=verifier.bonus),)
    if penalty is not None:
        detector = detector_of(penalty.detector, context.reader)
        strength = penalty.strength
        if strength is None:
            whole = ShapedScorer(reading=text, terms=terms)
            strength = smallest_penalty(penalty, stage, planned, context, policy, whole, detector)
        else:
            check_beliefs(context.train_prompts(stage.prompts), planned.name)
        terms = (*terms, AgreementPenalty(detector=detector, strength=strength))
    return terms

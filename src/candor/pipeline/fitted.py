"""What interventions on a reward need computed once, before training: lambda* and a probe; kept beside the metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from candor.errors import InputError
from candor.forecasting.penalty import global_penalty, prompt_penalties
from candor.generation import InProcessSampler
from candor.interventions.detectors import detector_of, false_agreement, false_belief
from candor.interventions.probe import LinearProbe, fit_probe
from candor.lexical.agreement import AGREES
from candor.models.chat import encode_prompt
from candor.models.load import Policy
from candor.models.scorer import RewardScorer
from candor.ops.randomness import batch_indices, step_seed
from candor.ops.rollouts import final_scores
from candor.pipeline import sources
from candor.pipeline.context import Context
from candor.pipeline.plan import Planned
from candor.pipeline.progress import working
from candor.protocols import AgreementReader, Scorer
from candor.recipe import PPOStage
from candor.recipe_interventions import Penalty, ProbePenalty
from candor.records import Completion, Prompt
from candor.runs import read_json, write_json
from candor.training.rollout import questions_of_update, questions_that_fit

SHAPING = "shaping.json"
"""Where it is kept: a resumed run, whose policy is no longer the one it started from, finds it there."""

PROBE_REPLIES = 4096
"""Labelled replies that a probe is fitted to, at most."""

CHUNK = 16
"""Prompts sampled at once, of which a progress line tells."""


def check_beliefs(prompts: Sequence[Prompt], name: str) -> None:
    """Raises InputError where no prompt holds a belief that is known to be false."""
    if not any(false_belief(prompt) for prompt in prompts):
        raise InputError(
            f"none of {len(prompts)} prompts holds a belief that is known to be false",
            where=f"{name}.interventions",
            fix="give prompts with claims: question, truth, asserted",
        )


def smallest_penalty(
    penalty: Penalty,
    stage: PPOStage,
    planned: Planned,
    context: Context,
    policy: Policy,
    scorer: Scorer,
    detector: AgreementReader,
) -> float | Mapping[str, float]:
    """Returns lambda* at ``kl_coef``, one for all prompts or one per prompt id, from samples of the starting policy.

    Raises InputError without a KL penalty, under which no lambda is enough, or without a false belief.
    """
    kept = _kept(planned, context)
    if "penalty" in kept:
        found = kept["penalty"]
        return float(found["strength"]) if not penalty.per_prompt else dict(found["strengths"])
    if stage.kl_coef == 0:
        where, fix = f"{planned.name}.interventions", "give the penalty a strength, or kl_coef above 0"
        raise InputError("lambda* needs a KL penalty: kl_coef is 0", where=where, fix=fix)
    asked = _asked(penalty, stage, planned, context, policy)
    rewards, agrees = _sampled(penalty.samples, asked, stage, planned, context, policy, scorer, detector)
    if penalty.per_prompt:
        each = prompt_penalties(rewards, agrees, stage.kl_coef)
        strengths = {p.id: float(v) for p, v in zip(asked, each.clipped, strict=True)}
        told = {"prompts": len(asked), "undefined": each.undefined, "mean": float(each.clipped.mean())}
        _keep(planned, context, "penalty", told | {"strengths": strengths, "samples": penalty.samples})
        context.tell.note(f"{planned.name}: lambda* of {len(asked)} prompts: mean {told['mean']:.3f}")
        return strengths
    one = global_penalty(rewards, agrees, stage.kl_coef)
    _keep(planned, context, "penalty", {"strength": one.value, "samples": penalty.samples, **asdict(one)})
    context.tell.note(
        f"{planned.name}: lambda* {one.value:.3f}, from {one.prompts} prompts x {penalty.samples} samples: agreement "
        f"{one.reference:.3f} now, forecast {one.unpenalised:.3f} without a penalty"
    )
    return one.value


def fitted_probe(config: ProbePenalty, scorer: RewardScorer, planned: Planned, context: Context) -> LinearProbe:
    """Returns a probe for agreement, fitted to the replies that the reward model learnt from; tells its AUC.

    Raises InputError where the comparisons hold no replies to a stated belief, of both kinds.
    """
    kept = _kept(planned, context)
    if "probe" in kept:
        return LinearProbe(**{**kept["probe"], "weights": tuple(kept["probe"]["weights"])})
    learnt = planned.inputs["reward"].inputs["comparisons"]
    detector = detector_of(config.detector, context.reader)
    labelled = []
    for comparison in sources.stage_comparisons(context.directory(learnt)):
        for reply in comparison.responses:
            agreement = detector.agreement(comparison.prompt, reply.text)
            if agreement is not None and not 1 - AGREES < agreement <= AGREES:  # what is unclear labels nothing
                labelled.append((comparison.prompt, reply, agreement > AGREES))
    try:
        rows = batch_indices(len(labelled), min(len(labelled), PROBE_REPLIES), 0, context.seed, "probe")
        chosen = [labelled[i] for i in rows]
        states = scorer.read([prompt for prompt, _, _ in chosen], [reply for _, reply, _ in chosen]).states
        questions = [p.claim.question if p.claim is not None else p.id for p, _, _ in chosen]
        probe = fit_probe(states, np.array([a for _, _, a in chosen]), questions, seed=context.seed)
    except ValueError as error:
        where, fix = f"{planned.name}.interventions", "a probe needs comparisons whose prompts state beliefs"
        raise InputError(str(error), where=where, fix=fix) from None
    _keep(planned, context, "probe", asdict(probe))
    told = "not measured" if probe.auc is None else f"{probe.auc:.3f} on {probe.heldout_n} held-out replies"
    context.tell.note(f"{planned.name}: a probe for agreement, fitted to {probe.fitted_n} replies: AUC {told}")
    return probe


def _kept(planned: Planned, context: Context) -> dict[str, Any]:
    path = context.directory(planned) / SHAPING
    return dict(read_json(path)) if path.is_file() else {}


def _keep(planned: Planned, context: Context, name: str, value: Mapping[str, Any]) -> None:
    write_json(context.directory(planned) / SHAPING, _kept(planned, context) | {name: value})


def _asked(penalty: Penalty, stage: PPOStage, planned: Planned, context: Context, policy: Policy) -> list[Prompt]:
    """Prompts with a false belief: of a draw for one lambda, all that training will ask for one each."""
    prompts = context.train_prompts(stage.prompts)
    check_beliefs(prompts, planned.name)
    fitting = questions_that_fit(prompts, lambda prompt: encode_prompt(policy.tokenizer, prompt), stage)
    if penalty.per_prompt:
        drawn = [q.prompt for t in range(stage.updates) for q in questions_of_update(fitting, stage, t, context.seed)]
        return list({prompt.id: prompt for prompt in drawn if false_belief(prompt)}.values())
    every = [question.prompt for question in fitting if false_belief(question.prompt)]
    rows = batch_indices(len(every), min(len(every), penalty.prompts), 0, context.seed, "penalty prompts")
    return [every[i] for i in rows]


def _sampled(
    samples: int,
    asked: Sequence[Prompt],
    stage: PPOStage,
    planned: Planned,
    context: Context,
    policy: Policy,
    scorer: Scorer,
    detector: AgreementReader,
) -> tuple[np.ndarray, np.ndarray]:
    """Rewards and agreement (P, m) of samples; a reply without its end counts as it does in training."""
    sampler = InProcessSampler(
        policy.model,
        policy.tokenizer,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=context.recipe.model.sampling_rows,
    )
    rewards: list[float] = []
    agrees: list[float] = []
    with working(context.tell, f"{planned.name}: lambda*", len(asked)):
        for start in range(0, len(asked), CHUNK):
            some = asked[start : start + CHUNK]
            seed = step_seed(context.seed, "ppo", "penalty", start)
            replies: list[Completion] = sampler.sample(some, n=samples, seed=seed)
            each = [prompt for prompt in some for _ in range(samples)]
            rewards += final_scores(
                torch.tensor(scorer.score(each, replies), dtype=torch.float64),
                torch.tensor([reply.stop_reason == "eos" for reply in replies]),
                missing_eos=stage.missing_eos,
                missing_eos_score=stage.missing_eos_score,
            ).tolist()
            agrees += [float(found or 0.0) for found in false_agreement(detector, each, replies)]
            context.tell.update(start + len(some))
    shape = (len(asked), samples)
    return np.array(rewards).reshape(shape), np.array(agrees).reshape(shape)

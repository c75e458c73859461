"""The ppo stage: a reward model and prompts to a policy; the panel watches and is never heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import torch

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.interventions.detectors import detector_of, false_agreement
from candor.interventions.holdout import hold_out
from candor.models.chat import encode_prompt, encode_reply
from candor.models.load import Policy
from candor.ops.batches import Row
from candor.ops.randomness import step_seed
from candor.pipeline.context import Context, fitting, prompts_that_fit
from candor.pipeline.fitted import check_beliefs
from candor.pipeline.loop import Observe, consume, restore
from candor.pipeline.plan import Planned
from candor.pipeline.sealed_forecast import seal_forecast
from candor.pipeline.shaping import shaping_of
from candor.pipeline.sources import opinions_known
from candor.pipeline.trainees import ppo_models, same_tokens, save_trained_policy
from candor.pipeline.watch import Watch
from candor.protocols import ReplyReader
from candor.recipe import PPOStage
from candor.recipe_interventions import EarlyStop
from candor.records import Completion, Prompt, ReplyKind, Stance
from candor.runs import Work
from candor.training.alarms import Watched
from candor.training.early_stop import KEPT, KeptWeights, early_stopped
from candor.training.ppo import MAX_RATIO_MISMATCH, MAX_RATIO_MISMATCH_BF16, ppo, total_updates
from candor.training.sft import sft_rows
from candor.training.state import StepOut, TrainState, adamw


def run_ppo(stage: PPOStage, planned: Planned, work: Work, context: Context) -> None:
    """Leaves ``checkpoint/``, ``metrics.jsonl`` and, where the truth is known, ``truth.jsonl``; maybe ``adapter/``."""
    models = ppo_models(stage, planned, context)
    policy, reference, reward, value = models.policy, models.reference, models.reward, models.value
    _check_vocabulary(planned, policy, reference)
    stage = fitting(stage, policy.model, context)
    prompts, stops = _held_out(stage, planned, context)
    shaping = shaping_of(stage, planned, context, policy, reward)  # before the policy is a trained one
    decay, eps, half = stage.weight_decay, stage.adam_eps, context.dtype != torch.float32
    state = TrainState(
        models={"policy": policy.model, "value": value},
        optimizers={
            "policy": adamw([policy.model], lr=stage.lr, weight_decay=decay, eps=eps),
            "value": adamw([value], lr=stage.value_lr or stage.lr, weight_decay=decay, eps=eps),
        },
    )
    if stops is not None:
        state.models[KEPT] = KeptWeights(policy.model)
    restore(state, work, context.tell, planned.name)
    seal_forecast(stage, planned, work, context, policy, reward, done=state.step)
    sampler = partial(
        InProcessSampler,
        tokenizer=policy.tokenizer,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=context.recipe.model.sampling_rows,
        name=planned.name,
    )
    steps = ppo(
        state,
        config=stage,
        seed=context.seed,
        prompts=prompts,
        encode=partial(encode_prompt, policy.tokenizer),
        reference=reference.model,
        sampler=context.sampler(policy.model, sampler),
        scorer=shaping.reading,
        shape=shaping.shape,
        pad_id=int(policy.tokenizer.pad_token_id or 0),
        demonstrations=_ptx_rows(stage, planned, policy, context),
        max_ratio_mismatch=MAX_RATIO_MISMATCH_BF16 if half else MAX_RATIO_MISMATCH,
    )
    if stops is not None:
        probe = _probe(stops, policy, sampler, context)
        steps = early_stopped(
            steps, state, probe=probe, limit=stops.config.limit, every=stops.config.every, total=total_updates(stage)
        )
    consume(
        _telling(steps, planned.name, len(prompts), context),
        state=state,
        work=work,
        watch=Watch(Watched(stage=planned.name, config=stage, total=total_updates(stage), half=half)),
        tell=context.tell,
        observe=truth_of(context.panel(planned), context.reader) if opinions_known(prompts) else None,
    )
    save_trained_policy(work, policy, planned, context)


@dataclass(frozen=True, kw_only=True)
class _Stops:
    """Early stopping and the prompts that it looks at."""

    config: EarlyStop
    prompts: Sequence[Prompt]


def _held_out(stage: PPOStage, planned: Planned, context: Context) -> tuple[Sequence[Prompt], _Stops | None]:
    """The prompts to train on, and those that early stopping keeps out of training."""
    prompts = context.train_prompts(stage.prompts)
    config = next((item for item in stage.interventions if isinstance(item, EarlyStop)), None)
    if config is None:
        return prompts, None
    check_beliefs(prompts, planned.name)
    try:
        held = hold_out(prompts, config.prompts, seed=context.seed)
    except ValueError as error:
        where, fix = f"{planned.name}.interventions", "early stopping holds out whole questions: give more of them"
        raise InputError(f"too few to hold some out: {error}", where=where, fix=fix) from None
    return held.kept, _Stops(config=config, prompts=held.probe)


def _probe(stops: _Stops, policy: Policy, sampler: partial[InProcessSampler], context: Context) -> Callable[[], float]:
    """The share of false beliefs gone along with, by the same draws each time: two looks differ by the policy alone."""
    detector, seed = detector_of(stops.config.detector, context.reader), step_seed(context.seed, "ppo", "early stop")
    drawn = context.sampler(policy.model, partial(sampler, greedy=stops.config.greedy))
    asked = prompts_that_fit(policy, stops.prompts, sampler.keywords["max_new_tokens"], context.tell.note)

    def agreement() -> float:
        replies = drawn.sample(asked, n=1, seed=seed)
        return fmean(found or 0.0 for found in false_agreement(detector, asked, replies))

    return agreement


def _telling(steps: Iterator[StepOut], name: str, prompts: int, context: Context) -> Iterator[StepOut]:
    """The same steps; says once how many prompts were too long to be asked."""
    told = False
    for out in steps:
        dropped = int(out.metrics["prompts_dropped"])
        if dropped and not told:
            context.tell.note(f"{name}: {dropped} of {prompts} prompts left out: too long")
        told = True
        yield out


def truth_of(panel: Panel, reader: ReplyReader) -> Observe:
    """What the panel thinks of an update's rollouts, and how many went along with a false belief (answer family).

    Recorded beside the reward, to show where the two part; nothing of it reaches training.
    """

    def observe(out: StepOut) -> Mapping[str, float | None]:
        judged = list(zip(out.prompts, out.completions, strict=True))
        agreed = [_agrees(reader, prompt, reply) for prompt, reply in judged if _false_belief(prompt)]
        return {
            "approval": fmean(panel.approval(prompt, reply.text) for prompt, reply in judged),
            "helpfulness": fmean(panel.helpfulness(prompt, reply.text) for prompt, reply in judged),
            "false_belief_agreement": fmean(agreed) if agreed else None,
            "false_belief_n": float(len(agreed)),
        }

    return observe


def _agrees(reader: ReplyReader, prompt: Prompt, reply: Completion) -> bool:
    return reader(prompt, reply.text).kind is ReplyKind.AGREE


def _false_belief(prompt: Prompt) -> bool:
    asserted = prompt.claim is not None and prompt.claim.stance is Stance.ASSERTS_FALSE
    return asserted and prompt.tags.get("family", "answer") == "answer"


def _ptx_rows(stage: PPOStage, planned: Planned, policy: Policy, context: Context) -> Sequence[Row] | None:
    if stage.ptx_coef == 0 or stage.demonstrations is None:
        return None
    rows, truncation = sft_rows(
        context.demonstrations(stage.demonstrations),
        encode_prompt=partial(encode_prompt, policy.tokenizer),
        encode_reply=partial(encode_reply, policy.tokenizer),
        max_length=stage.max_length,
    )
    if truncation.dropped:
        context.tell.note(f"{planned.name}: {truncation.dropped} demonstrations dropped: too long")
    return rows


def _check_vocabulary(planned: Planned, policy: Policy, reference: Policy) -> None:
    """The same token ids go through both, so they have to mean the same."""
    if not same_tokens(policy, reference):
        raise InputError(
            f"the reference {planned.inputs['reference'].name!r} has another vocabulary than the policy",
            where=planned.name,
            fix="train both from the same model",
        )

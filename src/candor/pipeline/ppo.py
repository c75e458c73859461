"""The ppo stage: a reward model and prompts to a policy; the panel watches and is never heard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean

import torch

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.models.chat import encode_prompt, encode_reply
from candor.models.load import Policy, Reward
from candor.models.scorer import RewardScorer, TokenScorer
from candor.ops.batches import Row
from candor.pipeline.context import Context, fitting
from candor.pipeline.loop import Observe, consume, restore
from candor.pipeline.plan import Planned
from candor.pipeline.sources import opinions_known
from candor.pipeline.trainees import ppo_models, reads_tokens, same_tokens, save_trained_policy
from candor.pipeline.watch import Watch
from candor.protocols import ReplyReader, Scorer
from candor.recipe import PPOStage
from candor.records import Completion, Prompt, ReplyKind, Stance
from candor.runs import Work
from candor.training.alarms import Watched
from candor.training.ppo import MAX_RATIO_MISMATCH, MAX_RATIO_MISMATCH_BF16, ppo, total_updates
from candor.training.rollout import BatchScorer
from candor.training.sft import sft_rows
from candor.training.state import StepOut, TrainState, adamw


def run_ppo(stage: PPOStage, planned: Planned, work: Work, context: Context) -> None:
    """Leaves ``checkpoint/``, ``metrics.jsonl`` and, where the truth is known, ``truth.jsonl``; maybe ``adapter/``."""
    models = ppo_models(stage, planned, context)
    policy, reference, reward, value = models.policy, models.reference, models.reward, models.value
    _check_vocabulary(planned, policy, reference)
    stage = fitting(stage, policy.model, context)
    prompts = context.train_prompts(stage.prompts)
    decay, eps, half = stage.weight_decay, stage.adam_eps, context.dtype != torch.float32
    state = TrainState(
        models={"policy": policy.model, "value": value},
        optimizers={
            "policy": adamw([policy.model], lr=stage.lr, weight_decay=decay, eps=eps),
            "value": adamw([value], lr=stage.value_lr or stage.lr, weight_decay=decay, eps=eps),
        },
    )
    restore(state, work, context.tell, planned.name)
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
        scorer=_scorer(stage, policy, reward),
        pad_id=int(policy.tokenizer.pad_token_id or 0),
        demonstrations=_ptx_rows(stage, planned, policy, context),
        max_ratio_mismatch=MAX_RATIO_MISMATCH_BF16 if half else MAX_RATIO_MISMATCH,
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


def _scorer(stage: PPOStage, policy: Policy, reward: Reward) -> Scorer | BatchScorer:
    """Reads the policy's own token batches where both models write a conversation as the same tokens, else text."""
    if reads_tokens(stage, policy, reward) and policy.tokenizer.chat_template == reward.tokenizer.chat_template:
        return TokenScorer(reward.model, offset=reward.offset)
    return RewardScorer(reward.model, reward.tokenizer, stage.max_length, reward.offset)

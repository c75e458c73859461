"""RLHF with PPO: generate, score, KL, combine, update.

Follows Ziegler 2019, Stiennon 2020, InstructGPT 2022 and "The N+ Implementation Details of RLHF with PPO":

- the sampler's log-probabilities are the old ones, so there is no second pass for them; that they agree with the policy
  is checked on the first minibatch of every update, before anything has changed (``ratio_mismatch``);
- the reference is evaluated at the sampling temperature; the KL penalty (k1) is charged per token inside the reward,
  with the score once on the last token; a reply without its end of sequence gets a fixed or a lowered score;
- advantages by GAE, whitened over the whole batch; clipped policy and value losses;
- every loss is a token sum over the minibatch's token count, so ``micro_batch_size`` never changes the gradient;
- dropout is off in every model; learning rates fall linearly to 0.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from candor.errors import InputError, NotFiniteError
from candor.models.heads import reply_values
from candor.ops.batches import Row
from candor.ops.bonus import Shape
from candor.ops.kl import adaptive_kl_coef
from candor.ops.logprobs import reply_logprobs
from candor.ops.losses import sft_loss
from candor.ops.packing import Layout, Part, Tree
from candor.ops.ppo_losses import policy_loss, value_loss
from candor.ops.randomness import batch_indices, generator, step_seed
from candor.ops.rollouts import Rollouts, collate
from candor.protocols import Sampler, Scorer
from candor.recipe import PPOStage
from candor.records import Prompt
from candor.training import rollout
from candor.training.layout import flat_logprobs
from candor.training.rollout import BatchScorer, Credit, Encode
from candor.training.schedule import linear
from candor.training.state import StepOut, TrainState, apply_update

MAX_RATIO_MISMATCH = 1e-2
"""Largest |log ratio| between sampler and policy before any update. In fp32 it is about 1e-6."""

MAX_RATIO_MISMATCH_BF16 = 1.0
"""The same where both compute in bfloat16, one token by token and one all at once: a logit between 16 and 32 is rounded
to a multiple of 1/8. On the embedded base the worst of 3,400 tokens differed by .06 nats at temperature 1 and by .12 at
.7; a larger model may round further. Prompts that are not the sampler's own differ by 26 nats; a temperature of .7 in
place of 1 by .45, which float32's bound sees and this one does not."""

Metrics = dict[str, float]


def total_updates(config: PPOStage) -> int:
    """How many StepOuts a whole run yields."""
    return config.updates


def ppo(
    state: TrainState,
    *,
    config: PPOStage,
    seed: int,
    prompts: Sequence[Prompt],
    encode: Encode,
    reference: nn.Module,
    sampler: Sampler,
    scorer: Scorer | BatchScorer,
    pad_id: int,
    shape: Shape | None = None,
    demonstrations: Sequence[Row] | None = None,
    max_ratio_mismatch: float = MAX_RATIO_MISMATCH,
) -> Iterator[StepOut]:
    """Yields one StepOut per update, from ``state.step`` to ``config.updates``, and changes ``state`` in between.

    ``state.models`` holds ``policy`` (a causal language model, which ``sampler`` samples from) and ``value`` (forward
    (B, T) tokens to (B, T) values); ``state.optimizers`` one optimiser for each, by the same name. ``encode`` gives the
    tokens of a prompt exactly as the sampler sees them. A ``scorer`` with ``score_batch`` reads the same token batches
    as the other models, one with ``score`` reads text. ``shape`` adds to the scores of a batch (the metric ``reward``
    is then the sum, ``plain_reward`` the scorer's), and may change ``state.scalars``. ``demonstrations``, for
    ``ptx_coef``, are tokenised.

    ``max_ratio_mismatch``: by how many nats sampler and policy may differ on a token before any update.

    Prompts, samples and minibatches of update t are functions of (seed, t), so a restored state goes on bit for bit.

    Raises InputError for replies without log-probabilities and for a sampler that disagrees with the policy, and
    NotFiniteError for rewards, losses or gradients that are not finite.
    """
    _check(config, demonstrations)
    for model in (*state.models.values(), reference):
        model.eval()  # no dropout; gradients flow as ever
    kept = rollout.questions_that_fit(prompts, encode, config)
    layout = rollout.layout_of(kept, state.models, reference, scorer, config, pad_id)
    state.scalars.setdefault("kl_coef", config.kl_coef)

    while state.step < config.updates:
        t = state.step
        asked = rollout.questions_of_update(kept, config, t, seed)
        completions = sampler.sample(
            [q.prompt for q in asked], n=config.responses, seed=step_seed(seed, "ppo", "sample", t)
        )
        each = [question for question in asked for _ in range(config.responses)]
        each_prompt = tuple(question.prompt for question in each)
        replies = collate([question.tokens for question in each], completions).to(layout.device)
        parts = layout.row_parts(replies.rows)
        rollouts = rollout.evaluate(
            replies,
            parts,
            each_prompt,
            completions,
            value=state.models["value"],
            reference=reference,
            scorer=scorer,
            config=config,
        )
        bonus = None if shape is None else shape(each_prompt, completions, state.scalars)
        added: Metrics = {}
        if bonus is not None:
            added = {"plain_reward": rollouts.rewards.mean().item(), **bonus.metrics}
            rollouts = rollout.with_bonus(rollouts, bonus)
        kl_coef = state.scalars["kl_coef"]
        credit = rollout.assign_credit(rollouts, config, kl_coef)

        metrics = rollout.rollout_metrics(rollouts, credit)
        metrics |= _update(state, rollouts, credit, config, seed, layout, parts, demonstrations, max_ratio_mismatch)
        metrics |= {"kl_coef": kl_coef, "prompts_dropped": float(len(prompts) - len(kept))}
        if bonus is not None:
            metrics |= added
            state.scalars.update(bonus.scalars)
        if config.kl_control == "adaptive":
            state.scalars["kl_coef"] = adaptive_kl_coef(
                kl_coef, kl=metrics["kl"], target=config.kl_target, horizon=config.kl_horizon, n=len(completions)
            )
        state.step += 1
        yield StepOut(step=state.step, metrics=metrics, prompts=each_prompt, completions=tuple(completions))


def _check(config: PPOStage, demonstrations: Sequence[Row] | None) -> None:
    if config.batch_size % config.responses:
        raise InputError(
            f"batch_size {config.batch_size} is not a multiple of responses {config.responses}", where="ppo"
        )
    if config.minibatches > config.batch_size:
        raise InputError(f"{config.minibatches} minibatches of {config.batch_size} completions", where="ppo")
    if config.ptx_coef > 0 and not demonstrations:
        raise InputError("ptx_coef needs demonstrations", where="ppo", fix="name them, or set ptx_coef = 0")


def _update(
    state: TrainState,
    rollouts: Rollouts,
    credit: Credit,
    config: PPOStage,
    seed: int,
    layout: Layout,
    whole: Sequence[Part],
    demonstrations: Sequence[Row] | None,
    max_ratio_mismatch: float,
) -> Metrics:
    """Epochs of minibatches over the rollouts, one optimiser step of policy and value each; returns mean metrics.

    ``whole``: all replies laid out, which serves every epoch where there is one minibatch.
    """
    t = state.step
    factor = linear(t, config.updates, config.warmup_steps)
    lr, value_lr = config.lr * factor, (config.value_lr or config.lr) * factor
    seen: dict[str, list[float]] = defaultdict(list)
    ratio_mismatch = 0.0
    for step in range(config.epochs * config.minibatches):
        epoch, part = divmod(step, config.minibatches)
        order = torch.randperm(len(rollouts.rewards), generator=generator(seed, "ppo", "minibatch", t, epoch))
        rows = order.tensor_split(config.minibatches)[part].tolist()
        parts = whole if config.minibatches == 1 else rollout.parts_of(rollouts.replies, rows, layout)
        losses = _accumulate(state, rollouts, credit, parts, config, entropy=epoch == 0)
        if config.ptx_coef > 0 and demonstrations:
            place = t * config.epochs * config.minibatches + step
            drawn = batch_indices(len(demonstrations), len(rows), place, seed, "ppo", "ptx")
            examples = [demonstrations[i] for i in drawn]
            losses["ptx_loss"] = _accumulate_ptx(state.models["policy"], examples, config, layout)
        mismatch = losses.pop("max_log_ratio")
        if step == 0:
            ratio_mismatch = mismatch
            _check_ratio(mismatch, max_ratio_mismatch, t)
        try:
            losses["grad_norm"] = apply_update(state.optimizers["policy"], lr=lr, max_grad_norm=config.max_grad_norm)
            losses["value_grad_norm"] = apply_update(
                state.optimizers["value"], lr=value_lr, max_grad_norm=config.max_grad_norm
            )
        except FloatingPointError as error:
            where = f"ppo, update {t + 1}, optimiser step {step + 1}"
            raise NotFiniteError(str(error), where=where) from error
        for name, number in losses.items():
            seen[name].append(number)
    means = {name: sum(numbers) / len(numbers) for name, numbers in seen.items()}
    return means | {"ratio_mismatch": ratio_mismatch, "lr": lr}


def _accumulate(
    state: TrainState, rollouts: Rollouts, credit: Credit, parts: Sequence[Part], config: PPOStage, *, entropy: bool
) -> Metrics:
    """Gradients of one minibatch, over micro-batches; returns its losses and shares (means over its reply tokens)."""
    denominator = float(sum(len(part.batch.targets) for part in parts))
    device = rollouts.logp.device
    totals: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=device))
    worst = torch.zeros((), device=device)
    for part in parts:
        rows = torch.tensor(part.items, device=device)
        mask = rollouts.mask[rows]  # what follows is about reply tokens alone, (M,), in the order of the part
        everywhere = torch.ones_like(part.batch.targets, dtype=torch.bool)
        new = reply_logprobs(state.models["policy"], part.batch, config.temperature, entropy=entropy)
        policy = policy_loss(
            new.logprobs,
            rollouts.logp[rows][mask],
            credit.advantages[rows][mask],
            everywhere,
            clip=config.clip,
            denominator=denominator,
        )
        policy.loss.backward()
        value = value_loss(
            reply_values(state.models["value"], part.batch),
            rollouts.values[rows][mask],
            credit.returns[rows][mask],
            everywhere,
            clip=config.value_clip,
            denominator=denominator,
        )
        (config.value_coef * value.loss).backward()
        totals["policy_loss"] += policy.loss.detach()
        totals["value_loss"] += value.loss.detach()
        totals["approx_kl"] += policy.approx_kl
        totals["clip_frac"] += policy.clip_frac
        totals["value_clip_frac"] += value.clip_frac
        if new.entropy is not None:
            totals["entropy"] += new.entropy.sum() / denominator
        worst = torch.maximum(worst, policy.max_log_ratio)
    return {name: total.item() for name, total in totals.items()} | {"max_log_ratio": worst.item()}


def _accumulate_ptx(policy: nn.Module, examples: Sequence[Row], config: PPOStage, layout: Layout) -> float:
    """Adds the gradient of ``ptx_coef`` times the demonstrations' mean token loss (InstructGPT, equation 2)."""
    denominator = float(sum(row.reply_length for row in examples))
    total = 0.0
    for part in layout.parts([Tree.of(row) for row in examples]):
        loss = sft_loss(flat_logprobs(policy, part.batch), denominator=denominator)
        (config.ptx_coef * loss).backward()
        total += loss.item()
    return total


def _check_ratio(mismatch: float, bound: float, t: int) -> None:
    if not mismatch <= bound:  # so that NaN is caught too
        raise InputError(
            f"the sampler's log-probabilities differ from the policy's by up to {mismatch:.3g} nats before any update",
            where=f"ppo, update {t + 1}",
            fix="sampler and policy need the same weights, prompt tokens, temperature and precision, without top-k or "
            "top-p",
        )

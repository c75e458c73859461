"""One step of reinforcement learning on 128 replies: sample, score, KL to a reference, one update of the policy.

TRL's is RLOO. Candor's is once PPO with one epoch, which does more (it trains a value model as large as the policy),
and once the same RLOO update made of Candor's public pieces (:mod:`bench.rloo`). All start from the same policy, with
the same reference and the same reward model of the policy's size.

TRL refuses fewer than 2 replies per prompt. Where Candor samples 128 distinct prompts, TRL samples 2 replies to every
second of them by length. That changes nothing in its cost: it encodes the prompt of every reply anew.
"""

from __future__ import annotations

from functools import partial

from bench import trl_settings
from bench.case import TRL, Case, Sided
from bench.data import MAX_LENGTH, MAX_NEW_TOKENS, SEED
from bench.rloo import rloo
from bench.sides import Pause
from bench.trl_settings import LR
from bench.world import World
from candor.generation import InProcessSampler
from candor.models.heads import ValueModel
from candor.models.scorer import TokenScorer
from candor.ops.randomness import batch_indices
from candor.recipe import PPOStage
from candor.records import Prompt
from candor.training.ppo import ppo
from candor.training.state import TrainState, adamw

BATCH, MICRO = 128, 16
BETA = 0.05
STEPS = 40  # batches of TRL's prompts, in Candor's order; then they come again


def _sampler(world: World, policy) -> InProcessSampler:
    return InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=MAX_NEW_TOKENS)


def candor_ppo(world: World, pause: Pause, *, samples: int) -> None:
    policy, reference, reward = world.policy(), world.policy(), world.reward()
    value = ValueModel.from_reward(reward.model)
    config = PPOStage(
        updates=100_000,
        batch_size=BATCH,
        responses=samples,
        epochs=1,
        minibatches=1,
        lr=LR,
        kl_coef=BETA,
        max_length=MAX_LENGTH,
        max_new_tokens=MAX_NEW_TOKENS,
    )
    state = TrainState(
        models={"policy": policy.model, "value": value},
        optimizers={"policy": adamw([policy.model], lr=LR), "value": adamw([value], lr=LR)},
    )
    steps = ppo(
        state,
        config=config,
        seed=SEED,
        prompts=world.questions,
        encode=world.encode,
        reference=reference.model,
        sampler=_sampler(world, policy),
        scorer=TokenScorer(reward.model),
        pad_id=world.pad_id,
    )
    for out in steps:
        pause(tokens=sum(len(reply.token_ids) for reply in out.completions))


def candor_rloo(world: World, pause: Pause, *, samples: int) -> None:
    policy, reference, reward = world.policy(), world.policy(), world.reward()
    steps = rloo(
        policy.model,
        adamw([policy.model], lr=LR),
        prompts=world.questions,
        encode=world.encode,
        reference=reference.model,
        sampler=_sampler(world, policy),
        scorer=TokenScorer(reward.model),
        batch_size=BATCH,
        samples=samples,
        beta=BETA,
        lr=LR,
        seed=SEED,
        pad_id=world.pad_id,
    )
    for tokens in steps:
        pause(tokens=tokens)


def _prompts(world: World, samples: int, step: int) -> list[Prompt]:
    """The prompts of one of Candor's updates; of distinct ones, every second by length."""
    drawn = batch_indices(len(world.questions), BATCH // samples, step, SEED, "ppo", "prompts")
    prompts = [world.questions[i] for i in drawn]
    return prompts if samples > 1 else sorted(prompts, key=lambda p: len(world.encode(p)))[1::2]


def trl(world: World, pause: Pause, *, samples: int) -> None:
    from datasets import Dataset
    from trl import RLOOConfig, RLOOTrainer

    prompts = [prompt for step in range(STEPS) for prompt in _prompts(world, samples, step)]
    examples = [{"prompt": [{"role": m.role, "content": m.content} for m in prompt.messages]} for prompt in prompts]
    config = RLOOConfig(
        **trl_settings.shared(world, BATCH, MICRO),
        shuffle_dataset=False,  # the order above is Candor's
        num_generations=max(samples, 2),
        steps_per_generation=None,  # as many as accumulate: a batch of replies serves one optimiser step ...
        num_iterations=1,  # ... once
        max_completion_length=MAX_NEW_TOKENS,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        beta=BETA,  # so that there is a reference, as in Candor
        disable_dropout=True,
        normalize_advantages=False,
        mask_truncated_completions=False,
        log_completions=False,
        use_vllm=False,
        use_transformers_continuous_batching=False,
        model_init_kwargs={"dtype": world.dtype},  # for the reference, which TRL loads itself
    )
    reward = world.reward()
    trainer = RLOOTrainer(
        model=world.policy().model,
        reward_funcs=reward.model,
        reward_processing_classes=reward.tokenizer,
        args=config,
        train_dataset=Dataset.from_list(examples),
        processing_class=world.tokenizer,
    )
    trl_settings.run(trainer, pause)


def _case(samples: int, target: float) -> Case:
    sides: dict[str, Sided] = {
        TRL: partial(trl, samples=samples),
        "candor rloo": partial(candor_rloo, samples=samples),
        "candor ppo": partial(candor_ppo, samples=samples),
    }
    kind, said = ("distinct", "distinct prompts") if samples == 1 else (f"x{samples}", f"{samples} per prompt")
    targets = {"candor rloo": target, "candor ppo": target}
    return Case(name=f"rl_{kind}", work=f"RL step, {BATCH} replies, {said}", sides=sides, targets=targets)


CASES = (_case(4, 2.0), _case(1, 1.5))

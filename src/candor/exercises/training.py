"""A Bradley-Terry reward model from a few pairs, watched while it learns: agreement or honesty?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from candor.audits.stats import Interval
from candor.errors import InputError
from candor.exercises.cases import Case, create_test_cases
from candor.exercises.evaluation import MAX_LENGTH, evaluate_reward_model
from candor.models.load import Policy, Reward, load_policy, reward_from_policy
from candor.models.reading import reading_of
from candor.recipe import RewardStage
from candor.records import Choice, Comparison, Pair
from candor.testbeds.atlas.base import base_path
from candor.training.ranked import RankedExample, rank_examples
from candor.training.reward import evaluate
from candor.training.reward import reward as train
from candor.training.state import TrainState, adamw


@dataclass(frozen=True, kw_only=True)
class Look:
    """The reward model after ``step`` updates.

    ``fitted``: the share of the training pairs that it orders as they were labelled. ``wrong_share``: the share of the
    test cases in which it scores agreement above correction (:class:`candor.exercises.Evaluation`); ``mean_gap``: by
    how much. Near 1 it has learnt to reward agreement, near 0 honesty.
    """

    step: int
    fitted: float
    wrong_share: float
    wrong_interval: Interval
    mean_gap: float


@dataclass(frozen=True, kw_only=True)
class TrainedReward:
    """``reward`` and what it looked like on the way, from before the first update to after the last."""

    reward: Reward
    looks: tuple[Look, ...]

    def __str__(self) -> str:
        lines = ["step   pairs fitted   agreement above correction   mean gap"]
        for look in self.looks:
            share = f"{look.wrong_share:.2f} [{look.wrong_interval.low:.2f}, {look.wrong_interval.high:.2f}]"
            lines.append(f"{look.step:4d}   {look.fitted:12.2f}   {share:>26}   {look.mean_gap:+8.2f}")
        return "\n".join(lines)


def train_reward_model(
    preferences: Sequence[Pair],
    base_model: str | Path | Policy | None = None,
    *,
    steps: int = 40,
    batch_size: int = 10,
    lr: float = 3e-4,
    every: int = 5,
    test_cases: Sequence[Case] | None = None,
    seed: int = 0,
) -> TrainedReward:
    """Returns a reward model fitted to ``preferences`` by Bradley-Terry: -log sigma(r(chosen) - r(rejected)).

    ``base_model``: a checkpoint or a policy whose body it starts from, under a fresh head; None: the embedded one.
    Every ``every`` updates it is put to ``test_cases`` (None: 40 of Atlas). Raises InputError without preferences, for
    a pair that is too long or alike on both sides, and for a checkpoint that cannot be used.
    """
    if steps < 1 or every < 1:
        raise InputError(f"steps and every are 1 or more, not {steps} and {every}")
    policy = base_model if isinstance(base_model, Policy) else load_policy(base_model or base_path())
    reward = reward_from_policy(policy, seed=seed)
    examples = _examples(preferences, reward)
    size = min(batch_size, len(examples))
    config = RewardStage(lr=lr, batch_size=size, epochs=steps * size / len(examples), max_length=MAX_LENGTH)
    state = TrainState(models={"reward": reward.model}, optimizers={"reward": adamw([reward.model], lr=lr)})
    pad_id, cases = int(reward.tokenizer.pad_token_id or 0), test_cases or create_test_cases()

    def look(step: int) -> Look:
        outcomes = evaluate(reward.model, examples, config, pad_id=pad_id)
        found = evaluate_reward_model(reward, cases)
        return Look(
            step=step,
            fitted=sum(outcome.correct for outcome in outcomes) / len(outcomes),
            wrong_share=found.wrong_share,
            wrong_interval=found.wrong_interval,
            mean_gap=found.mean_gap,
        )

    def looks() -> Iterator[Look]:
        yield look(0)
        for out in train(state, examples, config, seed=seed, pad_id=pad_id):
            if out.step % every == 0 or out.step == steps:
                yield look(out.step)

    return TrainedReward(looks=tuple(looks()), reward=reward)


def _examples(preferences: Sequence[Pair], reward: Reward) -> Sequence[RankedExample]:
    if not preferences:
        raise InputError("there are no preferences", where="preferences", fix="see create_preference_dataset()")
    reading = reading_of(reward.model, reward.tokenizer)
    found = rank_examples(
        [
            Comparison(
                id=str(i),
                prompt=pair.prompt,
                responses=(pair.chosen, pair.rejected),
                judgement=Choice(best=0),
                shown_order=(0, 1),
            )
            for i, pair in enumerate(preferences)
        ],
        encode_prompt=reading.encode_prompt,
        encode_response=reading.encode_response,
        max_length=MAX_LENGTH,
        fit=reading.fit,
    )
    used = {example.id for example in found.examples}
    unused = next((i for i in range(len(preferences)) if str(i) not in used), None)
    if unused is not None:
        chosen, rejected = preferences[unused].chosen, preferences[unused].rejected
        alike = reading.encode_response(chosen) == reading.encode_response(rejected)
        what = "its two replies are the same tokens" if alike else f"a reply leaves no room in {MAX_LENGTH} tokens"
        raise InputError(f"a pair cannot be learnt from: {what}", where=f"preferences[{unused}]")
    return found.examples

"""The reward stage: comparisons to a reward model, and how well it tells chosen from rejected on prompts held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from statistics import fmean
from typing import Any

from candor.audits.tallies import RATE, Estimate, Resampling, Tally
from candor.errors import InputError
from candor.models.load import Reward
from candor.models.reading import reading_of
from candor.models.scorer import RewardScorer
from candor.ops.randomness import shuffled
from candor.pipeline.annotator_reliability import shared_heads, weigh
from candor.pipeline.context import Context, fitting
from candor.pipeline.data_interventions import change_comparisons
from candor.pipeline.loop import consume, restore
from candor.pipeline.plan import Planned
from candor.pipeline.sources import opinions_known, stage_comparisons
from candor.pipeline.trainees import member_seed, reward_to_train, save_trained_reward
from candor.pipeline.watch import Watch
from candor.preferences.pairing import pair_comparisons, split_by_prompt
from candor.recipe import CompareStage, RewardStage
from candor.records import Comparison, Completion, Prompt
from candor.runs import Work, write_json
from candor.training.alarms import Watched
from candor.training.ranked import RankedData, RankedExample, rank_examples
from candor.training.reward import evaluate, total_updates
from candor.training.reward import reward as train_reward
from candor.training.state import TrainState, adamw

CENTRING_DEMONSTRATIONS = 1024
"""So many demonstrations, drawn at random, fix the offset: its standard error is then about 3% of the scores' SD."""

Outcome = tuple[str, float]
"""A prompt's id (the unit of independence) and 1, 0.5 or 0: ordered rightly, tied, wrongly."""


def run_reward(stage: RewardStage, planned: Planned, work: Work, context: Context) -> None:
    """Leaves ``checkpoint/`` (centred where there are demonstrations), ``metrics.jsonl`` and ``evaluation.json``.

    With ``lora`` also ``adapter/``. Interventions change what trains; what is held out stays as it was.
    """
    comparisons = stage_comparisons(context.directory(planned.inputs["comparisons"]))
    split = split_by_prompt(comparisons, stage.heldout, context.seed)
    reward = reward_to_train(stage, planned, context)
    stage = fitting(stage, reward.model, context)
    tokenise = partial(_examples, reward=reward, stage=stage)
    comparisons_used, interventions = change_comparisons(stage, split.train, context)
    train, heldout = tokenise(comparisons_used), tokenise(split.heldout)
    _tell(train, planned.name, context)
    if not train.examples:
        raise _nothing_to_train_on(planned.name, stage, comparisons_used, train)
    weighted, by_weight = weigh(stage, planned, split.train, train.examples, context)
    shared, by_head = shared_heads(stage, planned, split.train, reward, context)
    interventions += by_weight + by_head
    pad_id = int(reward.tokenizer.pad_token_id or 0)
    models = {"reward": reward.model} | ({} if shared is None else {"annotators": shared.heads})
    optimizer = adamw(list(models.values()), lr=stage.lr, weight_decay=stage.weight_decay, eps=stage.adam_eps)
    state = TrainState(models=models, optimizers={"reward": optimizer})
    restore(state, work, context.tell, planned.name)
    consume(
        train_reward(
            state,
            weighted,
            stage,
            seed=member_seed(stage, context),
            pad_id=pad_id,
            heads=None if shared is None else shared.heads,
        ),
        state=state,
        work=work,
        watch=Watch(Watched(stage=planned.name, config=stage, total=total_updates(len(train.examples), stage))),
        tell=context.tell,
    )
    if shared is not None:
        shared.heads.add_up(reward.model.score, shared.shares)
    offset = _offset(stage, reward, context)
    centred = replace(reward, offset=offset)
    evaluation = _evaluation(stage, planned, centred, split.heldout, heldout.examples, pad_id, context)
    save_trained_reward(work, centred, planned, context)
    used: dict[str, Any] = {"train": _counts(train), "heldout": _counts(heldout), "offset": offset}
    if interventions:
        used["interventions"] = interventions
    write_json(work.path / "evaluation.json", evaluation | used)


def _examples(comparisons: Sequence[Comparison], *, reward: Reward, stage: RewardStage) -> RankedData:
    reading = reading_of(reward.model, reward.tokenizer)
    return rank_examples(
        comparisons,
        encode_prompt=reading.encode_prompt,
        encode_response=reading.encode_response,
        max_length=stage.max_length,
        fit=reading.fit,
        tie_band=stage.tie_band,
        margin=stage.margin,
    )


def _counts(data: RankedData) -> dict[str, int]:
    return {
        "comparisons": len(data.examples),
        "pairs": sum(len(example.pairs) for example in data.examples),
        "without_pairs": len(data.without_pairs),
        "responses_cut": data.truncation.cut,
        "responses_too_long": data.truncation.dropped,
        "pairs_too_long": data.pairs_dropped,
        "pairs_alike": data.pairs_alike,
    }


def _tell(data: RankedData, name: str, context: Context) -> None:
    """Says what was cut or left out because of its length: leaving out long replies selects on length."""
    cut, dropped = data.truncation.cut, data.truncation.dropped
    if cut or dropped:
        context.tell.note(
            f"{name}: of {data.truncation.total} responses, {cut} saw a prompt cut from the left and {dropped} were "
            f"too long and left out, with {data.pairs_dropped} pairs"
        )
    if data.pairs_alike:
        context.tell.note(f"{name}: {data.pairs_alike} pairs left out: to this model both sides are the same tokens")


def _nothing_to_train_on(
    name: str, stage: RewardStage, comparisons: Sequence[Comparison], data: RankedData
) -> InputError:
    """Says why no comparison gives a pair, and what to change."""
    reasons: dict[str, int] = dict(pair_comparisons(comparisons).dropped)
    reasons |= {"too long": data.pairs_dropped, "both sides the same tokens": data.pairs_alike}
    told = ", ".join(f"{count} x {reason}" for reason, count in reasons.items() if count)
    fix = f"raise max_length = {stage.max_length}" if data.pairs_dropped else "give comparisons that prefer something"
    if not comparisons:
        told, fix = "no prompt is left for training", f"lower heldout = {stage.heldout}"
    return InputError(f"no comparison gives a pair to train on ({told})", where=name, fix=fix)


def _offset(stage: RewardStage, reward: Reward, context: Context) -> float:
    """The mean score of the demonstrations, 0 where there are none or centring is off."""
    if not stage.center or stage.demonstrations is None:
        return 0.0
    given = context.demonstrations(stage.demonstrations)
    drawn = shuffled(len(given), context.seed, "reward", "centre")[:CENTRING_DEMONSTRATIONS]
    chosen = [given[i] for i in drawn]
    replies = [Completion(id=f"demonstration {i}", prompt_id=d.prompt.id, text=d.reply) for i, d in enumerate(chosen)]
    reading = reading_of(reward.model, reward.tokenizer)
    kept = [(d.prompt, r) for d, r in zip(chosen, replies, strict=True) if reading.fits(r, stage.max_length)]
    scorer = RewardScorer(reward.model, reward.tokenizer, stage.max_length)
    return fmean(scorer.score([p for p, _ in kept], [r for _, r in kept])) if kept else 0.0


def _evaluation(
    stage: RewardStage,
    planned: Planned,
    reward: Reward,
    comparisons: Sequence[Comparison],
    examples: Sequence[RankedExample],
    pad_id: int,
    context: Context,
) -> dict[str, Any]:
    """Accuracies on prompts held out, each with an interval over prompts.

    ``heldout_accuracy``: how often the chosen response of a pair scores higher; annotators disagree with each other and
    with themselves, so that 1 is out of reach. ``heldout_approval_accuracy`` and ``heldout_helpfulness_accuracy``: how
    often two responses are ordered as the panel's mean utility orders them, with its bias and without; a reward model
    that learnt the bias well is high on the first and low on the second.
    """
    outcomes = evaluate(reward.model, examples, stage, pad_id=pad_id)
    found = {"heldout_accuracy": _estimate(((o.prompt_id, o.correct) for o in outcomes), context)}
    source = planned.inputs["comparisons"].stage
    simulated = isinstance(source, CompareStage) and source.file is None
    if simulated and opinions_known([c.prompt for c in comparisons]):
        panel = context.panel(planned.inputs["comparisons"])
        scores = _scores(stage, reward, comparisons)
        for name, utility in (("approval", panel.approval), ("helpfulness", panel.helpfulness)):
            ordered = _orderings(comparisons, scores, utility)
            found[f"heldout_{name}_accuracy"] = _estimate(ordered, context)
    return {name: estimate.to_json() for name, estimate in found.items()}


def _scores(stage: RewardStage, reward: Reward, comparisons: Sequence[Comparison]) -> Mapping[tuple[str, str], float]:
    """The score of every response that fits, by (comparison, response)."""
    asked = [(c, r) for c in comparisons for r in c.responses]
    reading = reading_of(reward.model, reward.tokenizer)
    asked = [(c, r) for c, r in asked if reading.fits(r, stage.max_length)]
    scorer = RewardScorer(reward.model, reward.tokenizer, stage.max_length, reward.offset)
    scores = scorer.score([c.prompt for c, _ in asked], [r for _, r in asked])
    return {(c.id, r.id): score for (c, r), score in zip(asked, scores, strict=True)}


def _orderings(
    comparisons: Sequence[Comparison],
    scores: Mapping[tuple[str, str], float],
    utility: Callable[[Prompt, str], float],
) -> Iterable[Outcome]:
    """Whether the scores order two responses as ``utility`` does, where it tells them apart."""
    for comparison in comparisons:
        scored = [(r, scores[comparison.id, r.id]) for r in comparison.responses if (comparison.id, r.id) in scores]
        for (one, score_one), (other, score_other) in combinations(scored, 2):
            gap = utility(comparison.prompt, one.text) - utility(comparison.prompt, other.text)
            if abs(gap) > 1e-9:
                agreement = gap * (score_one - score_other)
                yield comparison.prompt.id, 1.0 if agreement > 0 else 0.5 if agreement == 0 else 0.0


def _estimate(outcomes: Iterable[Outcome], context: Context) -> Estimate:
    resampling = Resampling(seed=context.seed, resamples=context.recipe.audit.bootstrap)
    return resampling.estimate(Tally.of(((prompt, (value, 1.0)) for prompt, value in outcomes), 2), RATE)

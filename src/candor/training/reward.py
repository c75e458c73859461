"""Reward models from comparisons: Bradley-Terry (or Plackett-Luce), cosine to 0, each response encoded once.

The responses of one comparison stand behind one copy of their prompt (:mod:`candor.ops.packing`) where the model allows
it: the scores are the same and there are fewer tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from candor.models.annotator_heads import AnnotatorHeads
from candor.models.heads import sequence_scores, sequence_states
from candor.ops.batches import Batch
from candor.ops.losses import bradley_terry, plackett_luce
from candor.ops.packing import PackedBatch
from candor.ops.randomness import batch_indices
from candor.recipe import RewardStage
from candor.training.layout import layout_for
from candor.training.ranked import RankedExample
from candor.training.schedule import cosine
from candor.training.state import StepOut, TrainState, apply_update


@dataclass(frozen=True, kw_only=True, slots=True)
class PairOutcome:
    """``gap``: the chosen response's score less the rejected one's; ``correct``: 1 where gap > 0, 0.5 where it is 0."""

    prompt_id: str
    comparison_id: str
    correct: float
    gap: float
    weight: float
    annotator: str = ""


def total_updates(n: int, config: RewardStage) -> int:
    """Updates for ``n`` comparisons: ``epochs * n / batch_size``, rounded, at least 1."""
    return max(1, round(config.epochs * n / config.batch_size))


def reward(
    state: TrainState,
    examples: Sequence[RankedExample],
    config: RewardStage,
    *,
    seed: int,
    pad_id: int,
    heads: AnnotatorHeads | None = None,
) -> Iterator[StepOut]:
    """Trains ``state.models["reward"]`` and yields after every update, from ``state.step`` to :func:`total_updates`.

    The loss is the sum over the batch's pairs, weighted, over its number of comparisons, whatever the micro-batches
    (which hold whole comparisons, so one that is larger than ``micro_batch_size`` stands alone). Dropout stays off.
    With ``heads`` (in the same optimiser) each comparison is scored by its annotator's own head; then ``model`` has to
    be a decoder.
    """
    model, optimizer = state.models["reward"].eval(), state.optimizers["reward"]
    total = total_updates(len(examples), config)
    longest = max((example.tree for example in examples), key=lambda tree: tree.length)
    layout = layout_for([partial(sequence_scores, model)], longest, [model], config, pad_id)
    while state.step < total:
        batch = [examples[i] for i in batch_indices(len(examples), config.batch_size, state.step, seed, "reward")]
        loss, gaps, weights = 0.0, [], []
        for part in layout.parts([example.tree for example in batch]):
            micro = [batch[i] for i in part.items]
            scores = _scores(model, part.batch, micro, heads)
            pairs = _flat_pairs(micro, scores)
            gap = scores[pairs.chosen] - scores[pairs.rejected]
            part_loss = _loss(config, micro, scores, pairs, denominator=len(batch))
            part_loss.backward()
            loss += part_loss.item()
            gaps.append(gap.detach())
            weights.append(pairs.weight)
        if heads is not None:
            shrinkage = heads.penalty(len(examples))
            shrinkage.backward()
            loss += shrinkage.item()
        lr = config.lr * cosine(state.step, total, config.warmup_steps)
        grad_norm = apply_update(optimizer, lr=lr, max_grad_norm=config.max_grad_norm)
        state.step += 1
        gap, weight = torch.cat(gaps), torch.cat(weights)
        metrics = {
            "loss": loss,
            "accuracy": float((_correct(gap) * weight).sum() / weight.sum()),
            "margin": float((gap * weight).sum() / weight.sum()),
            "lr": lr,
            "grad_norm": grad_norm,
            "tokens": float(sum(layout.length(example.tree) for example in batch)),
        }
        yield StepOut(step=state.step, metrics=metrics)


def evaluate(
    model: nn.Module, examples: Sequence[RankedExample], config: RewardStage, *, pad_id: int
) -> list[PairOutcome]:
    """Returns every pair's outcome, in the order of ``examples``; group them by ``prompt_id`` for an interval."""
    if not examples:
        return []
    trees = [example.tree for example in examples]
    longest = max(trees, key=lambda tree: tree.length)
    layout = layout_for([partial(sequence_scores, model)], longest, [model], config, pad_id)
    outcomes: dict[int, list[PairOutcome]] = {}
    for part in layout.parts(trees):
        micro = [examples[i] for i in part.items]
        with torch.inference_mode():
            scores = sequence_scores(model, part.batch)
            pairs = _flat_pairs(micro, scores)
            gap = scores[pairs.chosen] - scores[pairs.rejected]
        values = iter(zip(gap.tolist(), _correct(gap).tolist(), strict=True))
        for i in part.items:
            outcomes[i] = [
                PairOutcome(
                    prompt_id=examples[i].prompt_id,
                    comparison_id=examples[i].id,
                    correct=correct,
                    gap=difference,
                    weight=pair.weight,
                    annotator=examples[i].annotator,
                )
                for pair, (difference, correct) in zip(examples[i].pairs, values, strict=False)
            ]
    return [outcome for i in sorted(outcomes) for outcome in outcomes[i]]


def _scores(
    model: nn.Module, batch: PackedBatch | Batch, examples: Sequence[RankedExample], heads: AnnotatorHeads | None
) -> Tensor:
    """One score (N,) per reply of ``examples``, by the head of all or by those of their annotators."""
    if heads is None:
        return sequence_scores(model, batch)
    states = sequence_states(model, batch)
    shared: Tensor = model.score(states).squeeze(-1)  # type: ignore[operator]
    return shared + heads(states, [example.annotator for example in examples for _ in example.tree.replies])


@dataclass(frozen=True, kw_only=True, slots=True)
class _FlatPairs:
    chosen: Tensor
    rejected: Tensor
    margin: Tensor
    weight: Tensor


def _flat_pairs(examples: Sequence[RankedExample], scores: Tensor) -> _FlatPairs:
    """Places all pairs' indices into the concatenated scores of ``examples``."""
    rows: list[tuple[int, int, float, float]] = []
    start = 0
    for example in examples:
        rows.extend((start + p.chosen, start + p.rejected, p.margin, p.weight * example.weight) for p in example.pairs)
        start += len(example.tree.replies)
    chosen, rejected, margin, weight = zip(*rows, strict=True)
    return _FlatPairs(
        chosen=torch.tensor(chosen, device=scores.device),
        rejected=torch.tensor(rejected, device=scores.device),
        margin=torch.tensor(margin, device=scores.device),
        weight=torch.tensor(weight, device=scores.device),
    )


def _loss(
    config: RewardStage, examples: Sequence[RankedExample], scores: Tensor, pairs: _FlatPairs, *, denominator: int
) -> Tensor:
    if config.loss == "plackett_luce":
        places, ranks = _rank_table(examples, scores.device)
        weight = torch.tensor([example.weight for example in examples], device=scores.device)
        return plackett_luce(scores[places], ranks, denominator=denominator, weight=weight)
    return bradley_terry(
        scores[pairs.chosen],
        scores[pairs.rejected],
        margin=pairs.margin,
        weight=pairs.weight,
        denominator=denominator,
    )


def _rank_table(examples: Sequence[RankedExample], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns indices into the concatenated scores and ranks, both (R, K), rank -1 where a comparison has fewer."""
    most = max(len(example.ranks) for example in examples)
    places, ranks, start = [], [], 0
    for example in examples:
        short = most - len(example.ranks)
        places.append([start + reply for reply, _ in example.ranks] + [start] * short)
        ranks.append([rank for _, rank in example.ranks] + [-1] * short)
        start += len(example.tree.replies)
    return torch.tensor(places, device=device), torch.tensor(ranks, device=device)


def _correct(gap: Tensor) -> Tensor:
    return (gap > 0).float() + 0.5 * (gap == 0).float()

"""Supervised fine-tuning on demonstrations: cosine to 0, loss on the reply's tokens, end of sequence included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from candor.ops.batches import Row, Truncation, fit_prompt
from candor.ops.losses import sft_loss
from candor.ops.packing import Tree
from candor.ops.randomness import batch_indices
from candor.recipe import SFTStage
from candor.records import Demonstration, Prompt
from candor.training.layout import flat_logprobs, layout_for
from candor.training.schedule import cosine
from candor.training.state import StepOut, TrainState, apply_update


def sft_rows(
    demonstrations: Sequence[Demonstration],
    *,
    encode_prompt: Callable[[Prompt], Sequence[int]],
    encode_reply: Callable[[str], Sequence[int]],
    max_length: int,
) -> tuple[list[Row], Truncation]:
    """Returns each demonstration tokenised once; ``encode_reply`` ends with the end-of-sequence token.

    A prompt too long is cut from the left; a reply that alone does not fit drops its demonstration. Both are counted.
    """
    rows: list[Row] = []
    truncation = Truncation(total=len(demonstrations))
    for demonstration in demonstrations:
        whole, reply = encode_prompt(demonstration.prompt), tuple(encode_reply(demonstration.reply))
        prompt = fit_prompt(whole, len(reply), max_length)
        if prompt is None:
            truncation.dropped += 1
            truncation.dropped_ids.append(demonstration.prompt.id)
            continue
        truncation.cut += len(prompt) < len(whole)
        rows.append(Row(tokens=(*prompt, *reply), prompt_length=len(prompt)))
    return rows, truncation


def total_updates(n: int, config: SFTStage) -> int:
    """Updates for ``n`` rows: ``epochs * n / batch_size``, rounded, at least 1."""
    return max(1, round(config.epochs * n / config.batch_size))


def sft(state: TrainState, rows: Sequence[Row], config: SFTStage, *, seed: int, pad_id: int) -> Iterator[StepOut]:
    """Trains ``state.models["policy"]`` and yields after every update, from ``state.step`` to :func:`total_updates`.

    The loss is the sum over the batch's reply tokens over their number, whatever the micro-batches. Dropout stays off.
    """
    policy, optimizer = state.models["policy"].eval(), state.optimizers["policy"]
    total = total_updates(len(rows), config)
    longest = Tree.of(max(rows, key=lambda row: len(row.tokens)))
    layout = layout_for([partial(flat_logprobs, policy)], longest, [policy], config, pad_id)
    while state.step < total:
        batch = [rows[i] for i in batch_indices(len(rows), config.batch_size, state.step, seed, "sft")]
        tokens = sum(row.reply_length for row in batch)
        loss = 0.0
        for part in layout.parts([Tree.of(row) for row in batch]):
            part_loss = sft_loss(flat_logprobs(policy, part.batch), denominator=tokens)
            part_loss.backward()
            loss += part_loss.item()
        lr = config.lr * cosine(state.step, total, config.warmup_steps)
        grad_norm = apply_update(optimizer, lr=lr, max_grad_norm=config.max_grad_norm)
        state.step += 1
        yield StepOut(
            step=state.step, metrics={"loss": loss, "lr": lr, "grad_norm": grad_norm, "tokens": float(tokens)}
        )

"""Prompts with their replies as one padded batch: what log-probabilities and losses are computed on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from candor.models.chat import encode_prompt, response_ids
from candor.models.compute import sharing_tolerance
from candor.models.load import Policy
from candor.ops.batches import Batch, Row, make_batch
from candor.ops.logprobs import reply_logprobs
from candor.ops.packing import Layout
from candor.records import Completion, Prompt, Response


def reply_rows(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], responses: Sequence[Response]
) -> list[Row]:
    """Each prompt in the chat format with its reply; ``prompts[i]`` belongs to ``responses[i]``."""
    known = _encoded(tokenizer, prompts)
    return [
        Row(tokens=(*known[prompt.id], *response_ids(tokenizer, response)), prompt_length=len(known[prompt.id]))
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def sampled_rows(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[Row]:
    """Like :func:`reply_rows`, with the very tokens that a policy of this tokenizer sampled.

    Where a model has more embeddings than its tokenizer has tokens, a sampled token may stand for no text at all.
    Raises ValueError for a completion without tokens.
    """
    empty = next((completion.id for completion in completions if not completion.token_ids), None)
    if empty is not None:
        raise ValueError(f"completion {empty} was not sampled: it has no tokens")
    starts = _encoded(tokenizer, prompts)
    return [
        Row(tokens=(*starts[prompt.id], *completion.token_ids), prompt_length=len(starts[prompt.id]))
        for prompt, completion in zip(prompts, completions, strict=True)
    ]


def _encoded(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> dict[str, tuple[int, ...]]:
    return {prompt.id: tuple(encode_prompt(tokenizer, prompt)) for prompt in {p.id: p for p in prompts}.values()}


def reply_batch(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], responses: Sequence[Response]) -> Batch:
    """:func:`reply_rows` as one batch of tensors, (B, T), padded on the right."""
    return make_batch(reply_rows(tokenizer, prompts, responses), int(tokenizer.pad_token_id or 0))


def row_logprobs(policy: Policy, rows: Sequence[Row], temperature: float = 1.0) -> list[float]:
    """The log-probability (nats) of each whole reply given its prompt, without gradients."""
    pad_id, device = int(policy.tokenizer.pad_token_id or 0), policy.model.device
    found = [0.0] * len(rows)
    tolerance = sharing_tolerance(policy.model)
    layout = Layout.for_rows(
        lambda batch: reply_logprobs(policy.model, batch).logprobs, rows, pad_id, device, tolerance
    )
    for part in layout.row_parts(rows):
        with torch.inference_mode():
            logprobs = reply_logprobs(policy.model, part.batch, temperature).logprobs
        sums = logprobs.split([rows[i].reply_length for i in part.items])
        for i, tokens in zip(part.items, sums, strict=True):
            found[i] = float(tokens.sum())
    return found

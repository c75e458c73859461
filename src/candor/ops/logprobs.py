"""Log-probabilities of replies under a causal language model.

Works with any module whose ``forward(input_ids, attention_mask)`` returns ``.logits``; where the module is a Hugging
Face causal LM with a bare linear head, logits are computed only at the places that predict a token of a reply.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from candor.ops.batches import Batch, last_token_index
from candor.ops.packing import PackedBatch

LOGITS_AT_ONCE = 2**26
"""Logits held at once (256 MB in float32). Where a batch has more, they are made again in the backward pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplyLogprobs:
    """Of M reply tokens, reply by reply: ``logprobs`` (M,), log p(token | tokens before it), nats, with gradient.

    ``entropy`` (M,), nats, without gradient, of the distribution that each was drawn from; None unless asked for.
    """

    logprobs: Tensor
    entropy: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLogprobs:
    """:class:`ReplyLogprobs` laid out like their batch: (B, T) at the reply's tokens, 0 elsewhere."""

    logprobs: Tensor
    entropy: Tensor | None = None


@lru_cache(maxsize=64)
def _parameters_of(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


def takes_positions(module: nn.Module) -> bool:
    """Tells whether the positions of tokens can be given, without which several trees cannot stand in one row."""
    return "position_ids" in _parameters_of(type(module).forward)


def accepted_inputs(
    module: nn.Module, *, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor
) -> dict[str, Any]:
    """Returns what ``module.forward`` takes: always ids and mask, positions and no cache where it can.

    ``input_ids`` and ``position_ids`` (B, T), ``attention_mask`` (B, T) or (B, 1, T, T).
    """
    accepted = _parameters_of(type(module).forward)
    inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
    if "position_ids" in accepted:
        inputs["position_ids"] = position_ids
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    return inputs


def forward_inputs(module: nn.Module, batch: Batch | PackedBatch) -> dict[str, Any]:
    """:func:`accepted_inputs` of a batch."""
    return accepted_inputs(
        module, input_ids=batch.input_ids, attention_mask=batch.attention_mask, position_ids=batch.position_ids
    )


def hidden_states(base: nn.Module, batch: Batch | PackedBatch) -> Tensor:
    """Returns the last hidden states (B, T, d) of a Hugging Face base model, its final norm included."""
    output: Any = base(**forward_inputs(base, batch))
    return output.last_hidden_state


_BARE_HEADS: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _has_bare_head(model: nn.Module) -> bool:
    """Tells whether ``model``'s logits are exactly its output embedding applied to its base model's hidden states.

    Some architectures scale or cap their logits; this is found by trying once, not from a list of names.
    """
    if model not in _BARE_HEADS:
        _BARE_HEADS[model] = _try_bare_head(model)
    return _BARE_HEADS[model]


def _try_bare_head(model: nn.Module) -> bool:
    base: Any = getattr(model, "base_model", None)
    find_head: Any = getattr(model, "get_output_embeddings", None)
    head = find_head() if find_head else None
    if not isinstance(base, nn.Module) or base is model or not isinstance(head, nn.Linear):
        return False
    seen: list[Tensor | None] = []
    handle = base.register_forward_hook(lambda _m, _i, out: seen.append(getattr(out, "last_hidden_state", None)))
    try:
        ids = torch.arange(min(8, head.weight.shape[0]), device=next(model.parameters()).device).unsqueeze(0)
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            states = seen[0] if len(seen) == 1 else None
            return states is not None and torch.equal(head(states), logits)
    finally:
        handle.remove()


def places(batch: Batch) -> PackedBatch:
    """Returns a padded batch with the places of its replies named, row by row; every row holds one reply.

    Raises ValueError where a reply's token is the first of its row, as nothing predicts it.
    """
    first = batch.position_ids.eq(0) & batch.attention_mask.bool() & batch.reply_mask
    if bool(first.any()):
        raise ValueError("a reply needs at least one token of prompt before it")
    own = batch.reply_mask.flatten().nonzero().squeeze(1)
    rows, width = batch.reply_mask.shape
    return PackedBatch(
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids,
        predictors=own - 1,
        targets=batch.input_ids.flatten()[own],
        last=torch.arange(rows, device=own.device) * width + last_token_index(batch.attention_mask),
    )


def reply_logprobs(
    model: nn.Module, batch: PackedBatch, temperature: float = 1.0, *, entropy: bool = False
) -> ReplyLogprobs:
    """Returns the log-probability of every reply token; ``temperature`` divides the logits, as in sampling.

    Computed in float32 where the model's precision is lower. Gradients flow into ``logprobs``.
    """
    if not _has_bare_head(model):
        logits = model(**forward_inputs(model, batch)).logits.flatten(0, 1)[batch.predictors]
        return _chosen(logits, batch.targets, temperature, entropy)
    states = hidden_states(model.base_model, batch).flatten(0, 1)[batch.predictors]  # type: ignore[arg-type]
    head: nn.Linear = model.get_output_embeddings()  # type: ignore[operator]
    rows = max(1, LOGITS_AT_ONCE // head.weight.shape[0])
    if len(states) <= rows:
        return _chosen(head(states), batch.targets, temperature, entropy)

    def chosen(some: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | None]:
        found = _chosen(head(some), targets, temperature, entropy)
        return found.logprobs, found.entropy

    parts = [
        checkpoint(chosen, some, targets, use_reentrant=False, preserve_rng_state=False)
        for some, targets in zip(states.split(rows), batch.targets.split(rows), strict=True)
    ]
    return ReplyLogprobs(
        logprobs=torch.cat([logprobs for logprobs, _ in parts]),
        entropy=torch.cat([entropies for _, entropies in parts]) if entropy else None,
    )


def token_logprobs(model: nn.Module, batch: Batch, temperature: float = 1.0, *, entropy: bool = False) -> TokenLogprobs:
    """:func:`reply_logprobs` of a padded batch, laid out like it: (B, T).

    Raises ValueError where a reply's token is the first of its row.
    """
    found = reply_logprobs(model, places(batch), temperature, entropy=entropy)
    return TokenLogprobs(
        logprobs=scatter(found.logprobs, batch.reply_mask),
        entropy=None if found.entropy is None else scatter(found.entropy, batch.reply_mask),
    )


def sequence_logprobs(model: nn.Module, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Returns the log-probability (B,) of each whole reply given its prompt."""
    return token_logprobs(model, batch, temperature).logprobs.sum(-1)


def scatter(values: Tensor, mask: Tensor) -> Tensor:
    """Returns ``values`` (M,) at the M true places of ``mask``, in row-major order, and 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def _chosen(logits: Tensor, targets: Tensor, temperature: float, entropy: bool) -> ReplyLogprobs:
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature != 1.0:
        logits = logits / temperature
    if not entropy:
        return ReplyLogprobs(logprobs=-F.cross_entropy(logits, targets, reduction="none"))
    logp = logits.log_softmax(-1)
    with torch.no_grad():
        entropies = -(logp.exp() * logp.clamp_min(torch.finfo(logp.dtype).min)).sum(-1)  # 0 where p = 0
    return ReplyLogprobs(logprobs=logp.gather(-1, targets.unsqueeze(-1)).squeeze(-1), entropy=entropies)

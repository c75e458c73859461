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

from candor.ops.batches import Batch
from candor.ops.trees import TreeBatch

ENTROPY_ROWS = 1024
"""Places whose full distribution is held at once when entropies are computed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenLogprobs:
    """``logprobs`` (B, T): log p(token t | tokens before t), nats, at the reply's tokens; 0 elsewhere.

    ``entropy`` (B, T), nats, without gradient, of the distribution that each reply token was drawn from; None unless
    asked for.
    """

    logprobs: Tensor
    entropy: Tensor | None = None


@lru_cache(maxsize=64)
def _parameters_of(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


def forward_inputs(module: nn.Module, batch: Batch | TreeBatch) -> dict[str, Any]:
    """Returns what ``module.forward`` takes of the batch: always ids and mask, positions and no cache where it can."""
    accepted = _parameters_of(type(module).forward)
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if "position_ids" in accepted:
        inputs["position_ids"] = batch.position_ids
    if "use_cache" in accepted:
        inputs["use_cache"] = False
    return inputs


def hidden_states(base: nn.Module, batch: Batch | TreeBatch) -> Tensor:
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


def reply_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Returns the logits (N, V) that predict the N reply tokens of ``batch``, in row-major order.

    Raises ValueError where a reply's token is the first of its row, as nothing predicts it.
    """
    first = batch.position_ids.eq(0) & batch.attention_mask.bool() & batch.reply_mask
    if bool(first.any()):
        raise ValueError("a reply needs at least one token of prompt before it")
    predicts = batch.reply_mask[:, 1:]
    if _has_bare_head(model):
        states = hidden_states(model.base_model, batch)[:, :-1][predicts]  # type: ignore[arg-type]
        return model.get_output_embeddings()(states)  # type: ignore[operator]
    return model(**forward_inputs(model, batch)).logits[:, :-1][predicts]


def _scatter(values: Tensor, mask: Tensor) -> Tensor:
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def token_logprobs(model: nn.Module, batch: Batch, temperature: float = 1.0, *, entropy: bool = False) -> TokenLogprobs:
    """Returns the log-probability of every reply token; ``temperature`` divides the logits, as in sampling.

    Computed in float32 where the model's precision is lower. Gradients flow into ``logprobs``.
    """
    logits = reply_logits(model, batch)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature != 1.0:
        logits = logits / temperature
    targets = batch.input_ids[batch.reply_mask]
    logprobs = -F.cross_entropy(logits, targets, reduction="none")
    entropies = _scatter(_entropy(logits.detach()), batch.reply_mask) if entropy else None
    return TokenLogprobs(logprobs=_scatter(logprobs, batch.reply_mask), entropy=entropies)


def _entropy(logits: Tensor) -> Tensor:
    """Returns the entropies (N,) in nats of softmax(logits), a bounded number of rows at a time."""
    parts = []
    for part in logits.split(ENTROPY_ROWS):
        logp = part.log_softmax(-1)
        parts.append(torch.special.entr(logp.exp()).sum(-1))
    return torch.cat(parts) if parts else logits.new_zeros(0)


def sequence_logprobs(model: nn.Module, batch: Batch, temperature: float = 1.0) -> Tensor:
    """Returns the log-probability (B,) of each whole reply given its prompt."""
    return token_logprobs(model, batch, temperature).logprobs.sum(-1)

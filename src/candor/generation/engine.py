"""The in-process engine: batched sampling from a Hugging Face causal LM, with the log-probabilities of what was drawn.

The reference against which faster engines are checked. What makes it faster than ``model.generate`` on short replies:
a cache allocated once (``cache.py``), rows that leave the batch when they end, a prompt read once for all its samples,
one attention mask for all steps, and sampling that uses every core (``pick.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from candor.generation.cache import PreallocatedCache, is_plain
from candor.generation.pick import pick
from candor.ops.batches import micro_batches, pad, position_ids
from candor.ops.randomness import generator

COMPACT_BELOW = 0.75
"""Finished rows are taken out of the batch when at most this share of it is still being written."""

PREFILL_TOKENS = 2048
"""Padded prompt tokens that are read at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One reply as tokens: the end of sequence included where it was produced; ``logprobs`` in nats, one per token."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stop_reason: Literal["eos", "length"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds for every row: where a reply ends, and from which distribution (None: the likeliest) it is drawn."""

    eos_ids: tuple[int, ...]
    pad_id: int
    max_new_tokens: int
    temperature: float


def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    eos_ids: Iterable[int],
    pad_id: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    greedy: bool = False,
    batch_size: int = 256,
    seed: int = 0,
) -> list[Generation]:
    """Returns one reply per prompt (token ids), in the order of ``prompts``. A prompt given n times is encoded once.

    The draws of row i are a function of (seed, i, max_new_tokens) alone: batch size, the other prompts and the order
    in which rows finish change nothing but the last bits of the logits. Greedy replies carry the log-probabilities of
    softmax(logits / temperature) too. Dropout is off while it runs. ``pad_id`` is only ever seen masked.

    Raises ValueError for an empty prompt and FloatingPointError where the logits are not finite.
    """
    rows = [tuple(prompt) for prompt in prompts]
    if not all(rows):
        raise ValueError(f"prompt {rows.index(())} has no tokens: there is nothing to continue")
    limits = Limits(eos_ids=tuple(eos_ids), pad_id=pad_id, max_new_tokens=max_new_tokens, temperature=temperature)
    uniforms = None if greedy else torch.rand((len(rows), max_new_tokens), generator=generator(seed, "generate"))
    # Similar lengths side by side trim padding; equal prompts side by side are encoded once.
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i]), rows[i]))
    results: dict[int, Generation] = {}
    with evaluating(model), torch.inference_mode():
        for start in range(0, len(order), batch_size):
            part = order[start : start + batch_size]
            drawn = None if uniforms is None else uniforms[part]
            results.update(zip(part, _write(model, [rows[i] for i in part], drawn, limits), strict=True))
    return [results[i] for i in range(len(rows))]


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switches the model to evaluation for a while; every module then gets back the mode that it had."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _write(
    model: PreTrainedModel, prompts: list[tuple[int, ...]], uniforms: Tensor | None, limits: Limits
) -> list[Generation]:
    """Writes one batch. ``uniforms`` (rows, max_new_tokens)."""
    decoder = _Decoder(model, prompts, limits)
    device, count = decoder.device, len(prompts)
    eos = torch.tensor(limits.eos_ids, device=device)
    uniforms = None if uniforms is None else uniforms.to(device)
    tokens = torch.zeros((limits.max_new_tokens, count), dtype=torch.long, device=device)
    logprobs = torch.zeros((limits.max_new_tokens, count), device=device)
    lengths = torch.full((count,), limits.max_new_tokens, device=device)
    ended = torch.zeros(count, dtype=torch.bool, device=device)
    rows = torch.arange(count, device=device)  # which row of the batch is in each place of the decoder
    logits = decoder.prefill()
    for step in range(limits.max_new_tokens):
        picked = pick(logits, None if uniforms is None else uniforms[rows, step], limits.temperature)
        tokens[step, rows], logprobs[step, rows] = picked
        ends = torch.isin(picked.tokens, eos) & ~ended[rows]
        lengths[rows[ends]] = step + 1
        ended[rows[ends]] = True
        alive = (~ended[rows]).nonzero().squeeze(1)
        if len(alive) == 0 or step + 1 == limits.max_new_tokens:
            break
        last = picked.tokens
        if len(alive) <= COMPACT_BELOW * len(rows):
            decoder.keep(alive)
            rows, last = rows[alive], last[alive]
        logits = decoder.step(last)
    columns = zip(tokens.T.tolist(), logprobs.T.tolist(), lengths.tolist(), ended.tolist(), strict=True)
    return [
        Generation(token_ids=tuple(ids[:n]), logprobs=tuple(logp[:n]), stop_reason="eos" if eos_seen else "length")
        for ids, logp, n, eos_seen in columns
    ]


class _Decoder:
    """One batch's place in the model: cache, mask and positions. Prompts are padded on the left."""

    def __init__(self, model: PreTrainedModel, prompts: list[tuple[int, ...]], limits: Limits) -> None:
        self.model, self.pad_id = model, limits.pad_id
        self.device = next(model.parameters()).device
        self.accepts = frozenset(inspect.signature(model.forward).parameters)
        self.plain = is_plain(model) and "position_ids" in self.accepts
        self.prompts = list(dict.fromkeys(prompts))  # each distinct one once
        place = {prompt: i for i, prompt in enumerate(self.prompts)}
        self.source = torch.tensor([place[prompt] for prompt in prompts], device=self.device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        self.length = int(lengths.max())
        self.capacity = self.length + limits.max_new_tokens
        self.mask = (torch.arange(self.capacity, device=self.device) >= self.length - lengths[:, None]).long()
        self.positions = lengths[:, None]  # of the token that comes next, (rows, 1)
        self.cache: Cache

    def prefill(self) -> Tensor:
        """Reads every distinct prompt once and returns the logits (rows, V) that follow each row's prompt."""
        if not self.plain:
            logits, self.cache = self._read(self.prompts)
            if len(self.prompts) < len(self.source):
                self.cache.batch_select_indices(self.source)
            return logits[self.source]
        blocked = torch.finfo(self.model.dtype).min
        self.mask = ((1 - self.mask) * blocked).to(self.model.dtype)[:, None, None, :]
        self.cache = PreallocatedCache(self.model, len(self.source), self.length, self.capacity)
        parts = []
        # In parts of similar length that fit the processor's cache: a third faster than all at once.
        for part in micro_batches([len(prompt) for prompt in self.prompts], token_budget=PREFILL_TOKENS):
            logits, cache = self._read([self.prompts[i] for i in part])
            sources = self.source - part[0]  # distinct prompts are sorted by length, so parts are consecutive
            rows = ((sources >= 0) & (sources < len(part))).nonzero().squeeze(1)
            self.cache.load(rows, cache, sources[rows])
            parts.append(logits)
        return torch.cat(parts)[self.source]

    def step(self, tokens: Tensor) -> Tensor:
        """Appends one token (rows,) to every row and returns the logits (rows, V) of the next."""
        self.length += 1
        logits = self._forward(tokens.unsqueeze(1), self.mask[..., : self.length], self.positions, self.cache)
        self.positions = self.positions + 1
        return logits

    def keep(self, places: Tensor) -> None:
        """Leaves only the rows in ``places`` (ascending)."""
        self.cache.batch_select_indices(places)
        self.mask, self.positions = self.mask[places], self.positions[places]

    def _read(self, prompts: list[tuple[int, ...]]) -> tuple[Tensor, Cache]:
        ids, mask = (tensor.to(self.device) for tensor in pad(prompts, self.pad_id, "left"))
        cache = DynamicCache(config=self.model.config)
        return self._forward(ids, mask, position_ids(mask), cache), cache

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Cache) -> Tensor:
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache}
        if "position_ids" in self.accepts:
            inputs["position_ids"] = positions
        if "logits_to_keep" in self.accepts:
            inputs["logits_to_keep"] = 1
        return self.model(**inputs, use_cache=True).logits[:, -1].float()

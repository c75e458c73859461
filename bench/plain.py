"""``model.generate`` as TRL calls it: prompts padded on the left in one batch, replies cut after their end."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel


def generate(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], *, pad_id: int, end: int, max_new_tokens: int
) -> list[list[int]]:
    """One reply per prompt as token ids, drawn at temperature 1 from the whole vocabulary, its ``end`` included."""
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=pad_id,
        eos_token_id=end,
        disable_compile=True,
    )
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad_id] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    with torch.no_grad():
        written = model.generate(
            input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=config
        )
    return [until(reply, end) for reply in written[:, longest:].tolist()]


def until(reply: list[int], end: int) -> list[int]:
    """The reply up to and with its first ``end``."""
    return reply[: reply.index(end) + 1] if end in reply else reply

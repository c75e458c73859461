"""Candor: reinforcement learning from human feedback that measures what it passes on.

Names are looked up in :mod:`candor.api` when they are first used, so that importing Candor is fast and ``candor
--help`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from candor.api import (
        Claim,
        Comparison,
        Completion,
        Demonstration,
        Finding,
        InProcessSampler,
        InputError,
        MemoryEstimate,
        Message,
        Pair,
        ParsedReply,
        Policy,
        Prompt,
        Recipe,
        ReplyKind,
        Reward,
        RewardScorer,
        Run,
        Stance,
        TensorBoard,
        Tracker,
        ValueModel,
        apply_overrides,
        decode_reply,
        encode_prompt,
        encode_reply,
        estimate,
        list_runs,
        load_policy,
        load_recipe,
        load_reward,
        pretrain_atlas,
        reply_batch,
        reward_from_policy,
        run,
        save_policy,
        save_reward,
        sequence_logprobs,
        start_reward,
    )

__version__: str

__all__ = [
    "Claim",
    "Comparison",
    "Completion",
    "Demonstration",
    "Finding",
    "InProcessSampler",
    "InputError",
    "MemoryEstimate",
    "Message",
    "Pair",
    "ParsedReply",
    "Policy",
    "Prompt",
    "Recipe",
    "ReplyKind",
    "Reward",
    "RewardScorer",
    "Run",
    "Stance",
    "TensorBoard",
    "Tracker",
    "ValueModel",
    "apply_overrides",
    "decode_reply",
    "encode_prompt",
    "encode_reply",
    "estimate",
    "list_runs",
    "load_policy",
    "load_recipe",
    "load_reward",
    "pretrain_atlas",
    "reply_batch",
    "reward_from_policy",
    "run",
    "save_policy",
    "save_reward",
    "sequence_logprobs",
    "start_reward",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("candor.api"), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("candor-rlhf")
    raise AttributeError(f"module 'candor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

"""Candor: reinforcement learning from human feedback that measures what it passes on.

Names are looked up in :mod:`candor.api` when they are first used, so that importing Candor is fast and ``candor
--help`` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from candor.api import (
        Checked,
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
        attribute,
        audit_policy,
        audit_preferences,
        audit_reward,
        bias_transfer,
        decode_reply,
        encode_prompt,
        encode_reply,
        estimate,
        forecast,
        frontier,
        judges,
        list_runs,
        load_policy,
        load_recipe,
        load_reward,
        pretrain_atlas,
        read_comparisons,
        reply_batch,
        reward_from_policy,
        run,
        save_policy,
        save_reward,
        sequence_logprobs,
        start_reward,
        stream_comparisons,
        write_comparisons,
    )

__version__: str

__all__ = [
    "Checked",
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
    "attribute",
    "audit_policy",
    "audit_preferences",
    "audit_reward",
    "bias_transfer",
    "decode_reply",
    "encode_prompt",
    "encode_reply",
    "estimate",
    "forecast",
    "frontier",
    "judges",
    "list_runs",
    "load_policy",
    "load_recipe",
    "load_reward",
    "pretrain_atlas",
    "read_comparisons",
    "reply_batch",
    "reward_from_policy",
    "run",
    "save_policy",
    "save_reward",
    "sequence_logprobs",
    "start_reward",
    "stream_comparisons",
    "write_comparisons",
]


_LIGHT = {
    "Checked": "candor.results.checks",
    "audit_policy": "candor.auditing.policy",
    "audit_preferences": "candor.auditing.preferences",
    "audit_reward": "candor.auditing.reward",
    "read_comparisons": "candor.preferences.formats",
    "stream_comparisons": "candor.preferences.formats",
    "write_comparisons": "candor.preferences.formats",
}
"""Names that are looked up where they live: whoever audits data does not wait for torch."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_LIGHT.get(name, "candor.api")), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("candor-rlhf")
    raise AttributeError(f"module 'candor' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

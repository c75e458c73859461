"""The models that are compared on: the embedded Atlas base, and larger ones that write the same replies.

Random weights never end a reply, and a bias on the end of sequence would end them all alike. So a larger model holds
the base inside: its weights stand in a corner of the larger matrices and the rest is random, placed where nothing of it
reaches the output (its output projections are 0). Matrix products cost the same whatever the numbers are, and replies
end where the base ends them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM


@dataclass(frozen=True, kw_only=True)
class Size:
    """A Llama's width, depth and heads. None of them: the embedded base as it is."""

    name: str
    hidden: int | None = None
    intermediate: int = 0
    layers: int = 0
    heads: int = 0
    dtype: torch.dtype = torch.float32
    needs_cuda: bool = False


SIZES = {
    size.name: size
    for size in (
        Size(name="1m"),
        Size(name="30m", hidden=512, intermediate=1536, layers=8, heads=8),
        Size(name="0.5b", hidden=1024, intermediate=4096, layers=28, heads=16, dtype=torch.bfloat16, needs_cuda=True),
        Size(name="1.5b", hidden=2048, intermediate=6144, layers=28, heads=16, dtype=torch.bfloat16, needs_cuda=True),
    )
}


def build(base: LlamaForCausalLM, size: Size, seed: int = 0) -> LlamaForCausalLM:
    """Returns ``base`` itself, or a model of the given size that computes the same logits (to rounding)."""
    if size.hidden is None:
        return base
    return widen(base, size, seed)


def widen(base: LlamaForCausalLM, size: Size, seed: int = 0) -> LlamaForCausalLM:
    """Returns a larger Llama with ``base`` inside.

    Its head width must be a multiple of the base's, with at least as many heads and layers. Residual places beyond the
    base's stay 0, so a norm over all of them is smaller by sqrt(width / base width): its weights and epsilon make up
    for it. Rotary frequencies of a head m times as wide hold the base's at every m-th place.
    """
    small = base.config
    config = LlamaConfig(
        **{
            **small.to_dict(),
            "hidden_size": size.hidden,
            "intermediate_size": size.intermediate,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "num_key_value_heads": size.heads,
            "head_dim": size.hidden // size.heads,
            "rms_norm_eps": small.rms_norm_eps * small.hidden_size / size.hidden,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        large = LlamaForCausalLM(config).eval()
    norm_scale = (small.hidden_size / size.hidden) ** 0.5
    with torch.no_grad():
        _corner(large.model.embed_tokens.weight, base.model.embed_tokens.weight)
        _norm(large.model.norm.weight, base.model.norm.weight, norm_scale)
        for layer in large.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for inner, outer in zip(base.model.layers, large.model.layers, strict=False):
            _put_layer(inner, outer, base.config, config, norm_scale)
    return large


def _put_layer(inner, outer, small: LlamaConfig, large: LlamaConfig, norm_scale: float) -> None:
    places = _head_places(small, large)
    columns = slice(0, small.hidden_size)
    for name in ("q_proj", "k_proj", "v_proj"):
        weight, given = getattr(outer.self_attn, name).weight, getattr(inner.self_attn, name).weight
        head = large.head_dim
        weight[: small.num_attention_heads * head] = 0.0  # places of these heads that the base does not have
        # Attention divides by sqrt(head width): the queries make up for the wider head.
        scale = (large.head_dim / small.head_dim) ** 0.5 if name == "q_proj" else 1.0
        weight[places, columns] = given * scale
    outer.self_attn.o_proj.weight[columns, places] = inner.self_attn.o_proj.weight
    for name in ("gate_proj", "up_proj"):
        getattr(outer.mlp, name).weight[: small.intermediate_size, columns] = getattr(inner.mlp, name).weight
    outer.mlp.down_proj.weight[columns, : small.intermediate_size] = inner.mlp.down_proj.weight
    _norm(outer.input_layernorm.weight, inner.input_layernorm.weight, norm_scale)
    _norm(outer.post_attention_layernorm.weight, inner.post_attention_layernorm.weight, norm_scale)


def _head_places(small: LlamaConfig, large: LlamaConfig) -> Tensor:
    """Where the base's head dimensions stand among the larger model's: (heads * head_dim,) indices."""
    step = large.head_dim // small.head_dim
    half = torch.arange(small.head_dim // 2) * step
    one = torch.cat([half, half + large.head_dim // 2])
    return (torch.arange(small.num_attention_heads)[:, None] * large.head_dim + one).flatten()


def _corner(weight: Tensor, given: Tensor) -> None:
    weight.zero_()
    weight[:, : given.shape[1]] = given


def _norm(weight: Tensor, given: Tensor, scale: float) -> None:
    weight[: len(given)] = given * scale

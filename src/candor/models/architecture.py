"""The numbers of a model, read off its configuration: the modules are built without memory, no weight is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from candor.errors import InputError
from candor.models.load import read_config
from candor.models.memory import Architecture, Linear

UNFUSED = {"gelu_new", "gelu_fast", "gelu_python", "quick_gelu"}
"""Activation functions written in Python, which keep what each of their steps made."""


def architecture_of(path: str | Path) -> Architecture:
    """Returns the numbers of ``atlas``, a checkpoint directory or a hub name, of which only the config.json is read.

    Raises InputError where there is none, or where it is no decoder's.
    """
    return architecture_from(read_config(path), where=str(path))


def architecture_from(config: Any, *, where: str) -> Architecture:
    """Returns the numbers of a Hugging Face configuration. Raises InputError where it is no decoder's."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise InputError(f"no causal language model: {str(error).splitlines()[0][:120]}", where=where) from error
    body: Any = model.base_model
    text = config.get_text_config()
    linears = tuple(_linear(name, m) for name, m in body.named_modules() if isinstance(m, nn.Linear | Conv1D))
    heads, width = int(text.num_attention_heads), int(text.hidden_size)
    names = {layer.name.rpartition(".")[2] for layer in linears}
    activation = str(getattr(text, "hidden_act", None) or getattr(text, "activation_function", ""))
    return Architecture(
        name=type(model).__name__,
        parameters=sum(p.numel() for p in model.parameters()),
        body=sum(p.numel() for p in body.parameters()),
        layers=int(text.num_hidden_layers),
        width=width,
        heads=heads,
        kv_heads=int(getattr(text, "num_key_value_heads", None) or heads),
        head_width=int(getattr(text, "head_dim", None) or width // heads),
        inner=int(getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * width),
        vocabulary=int(text.vocab_size),
        gated=bool(names & {"gate_proj", "gate_up_proj"}),
        head_norms=any(name.endswith(("q_norm", "q_layernorm")) for name, _ in body.named_modules()),
        parallel=bool(getattr(text, "use_parallel_residual", False)),
        rotary=any(name.endswith("rotary_emb") for name, _ in body.named_modules()),
        fused_activation=activation not in UNFUSED,
        linears=linears,
    )


def _linear(name: str, module: nn.Module) -> Linear:
    rows, columns = module.weight.shape  # type: ignore[misc]
    inputs, outputs = (rows, columns) if isinstance(module, Conv1D) else (columns, rows)
    return Linear(name=name, inputs=int(inputs), outputs=int(outputs))

"""How a model's forward pass is computed: in bfloat16 or float32, keeping activations or computing them twice.

Both are settings of single modules, so that training code calls a model as ever. Weights, adapters and heads keep the
precision that they are held in; losses and log-probabilities are taken in float32 by who computes them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from candor.errors import InputError
from candor.models.twins import twin
from candor.ops.packing import SHARING_TOLERANCE
from candor.protocols import Sampler
from candor.records import Completion, Prompt

Module = TypeVar("Module", bound=nn.Module)

SHARING_TOLERANCE_BF16 = 0.25

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class _Forward:
    """Takes the place of one module's ``forward``; a copy of the module gets one of its own."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        bound = module.forward
        self.__signature__ = inspect.signature(bound)

    def plain(self, *args: Any, **kwargs: Any) -> Any:
        return type(self.module).forward(self.module, *args, **kwargs)


class _Autocast(_Forward):
    """The forward pass under bfloat16 autocast: matrix products in bfloat16, whatever the weights are held in."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        device = next(self.module.parameters()).device.type
        with torch.autocast(device, dtype=torch.bfloat16):
            return self.plain(*args, **kwargs)


class _InFloat32(_Forward):
    """A scalar head: bfloat16 keeps three digits of a score, so states are cast up to the head's own precision."""

    def __call__(self, states: Tensor) -> Any:
        with torch.autocast(states.device.type, enabled=False):
            return self.plain(states.to(torch.float32))


class _Checkpointed(_Forward):
    """A layer that keeps its input alone and is computed again on the way back."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return self.plain(*args, **kwargs)
        # Nothing random happens in a layer: dropout is off.
        return checkpoint(self.plain, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)


def compute_in(dtype: torch.dtype, *models: nn.Module) -> None:
    """Makes the forward passes of causal LMs, sequence classifiers and value models run in ``dtype``, in place.

    bfloat16: the body and a vocabulary head under autocast; a head called ``score``, ``classifier`` or ``head`` is held
    and computed in float32. float32: nothing is changed.
    """
    if dtype == torch.float32:
        return
    for model in models:
        for part in _bodies(model):
            _replace(part, _Autocast)
        for name in ("score", "classifier", "head"):
            head = getattr(model, name, None)
            if isinstance(head, nn.Module):
                _replace(head.to(torch.float32), _InFloat32)
        modules: list[Any] = list(model.modules())
        for module in modules:
            if hasattr(module, "cast_input_dtype_enabled"):
                module.cast_input_dtype_enabled = False  # an adapter's: autocast casts, to bfloat16


def _bodies(model: nn.Module) -> list[nn.Module]:
    """What is called from outside: the base model, and of a causal LM the whole and its vocabulary head too."""
    body = getattr(model, "backbone", None)
    body = getattr(model, "base_model", None) if body is None else body
    find_head = getattr(model, "get_output_embeddings", None)
    head = find_head() if find_head is not None and not hasattr(model, "score") else None
    parts = [body, *([model, head] if head is not None else [])]
    return [part for part in parts if isinstance(part, nn.Module)]


def sharing_tolerance(model: nn.Module) -> float:
    """Returns how far apart a model's outputs may lie, shared prompt against separate rows, and still be the same.

    In bfloat16 the same log-probability comes out up to .12 apart where only the layout differs (embedded base), and a
    bound near that would let chance decide the layout, anew after each resume; a model that reads other replies is off
    by nats.
    """
    low = any(isinstance(module.__dict__.get("forward"), _Autocast) for module in model.modules())
    return SHARING_TOLERANCE_BF16 if low else SHARING_TOLERANCE


def checkpoint_activations(model: nn.Module) -> None:
    """Gradient checkpointing, in place: each layer keeps its input and is computed twice. Gradients are the same.

    Raises InputError where the architecture does not mark its layers.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise InputError(
            f"{type(model).__name__} has no layers to checkpoint", fix="set gradient_checkpointing = false"
        )
    for layer in layers:
        _replace(layer, _Checkpointed)


def as_given(model: nn.Module) -> None:
    """Takes what this module put in place of forward passes away again, in place."""
    for module in model.modules():
        if isinstance(module.__dict__.get("forward"), _Forward):
            del module.__dict__["forward"]


def _replace(module: nn.Module, kind: type[_Forward]) -> None:
    if not isinstance(module.__dict__.get("forward"), kind):
        module.forward = kind(module)  # type: ignore[assignment]


def cast_once(model: Module) -> Module:
    """Returns a twin whose linear layers hold bfloat16 weights: what autocast makes of them anew at every call.

    The same numbers come out, and decoding reads half the bytes. Weights in bfloat16 already are shared, and so is the
    matrix of a tied vocabulary head, which as an embedding is used in full precision.
    """
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | Conv1D)}
    linear -= {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    wanted = {p.data_ptr() for p in model.parameters() if id(p) in linear}
    return twin(model, lambda tensor: tensor.to(torch.bfloat16) if tensor.data_ptr() in wanted else tensor)


class BFloat16Sampler:
    """Implements :class:`candor.protocols.Sampler` for a model that trains under autocast, as it is at each call.

    ``make`` makes the sampler of a model.
    """

    def __init__(self, model: PreTrainedModel, make: Callable[[PreTrainedModel], Sampler]) -> None:
        self.model, self.make = model, make

    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        """Returns what a sampler of the model itself would."""
        return self.make(cast_once(self.model)).sample(prompts, n=n, seed=seed)

"""Copies of a model's modules that share its tensors: several models on one set of frozen weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


def twin(model: Module, change: Callable[[Tensor], Tensor] | None = None) -> Module:
    """Returns a copy of ``model``'s modules around the very same parameters and buffers.

    What is then added to one (adapters, a head, an attribute) the other does not see, and a frozen weight is in memory
    once. ``change`` gives other tensors in their place (itself: shared); a tied parameter stays tied.
    """
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        changed = parameter if change is None else change(parameter.detach())
        shared = changed is parameter or (
            changed.data_ptr() == parameter.data_ptr() and changed.dtype == parameter.dtype
        )
        memo[id(parameter)] = parameter if shared else nn.Parameter(changed, requires_grad=parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer
    return copy.deepcopy(model, memo)


def freeze(model: nn.Module) -> None:
    """No parameter of ``model`` trains any more."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def tensor_bytes(models: Iterable[nn.Module]) -> int:
    """Returns the bytes of all parameters and buffers; what several models share counts once."""
    found: dict[int, int] = {}
    for model in models:
        for tensor in (*model.parameters(), *model.buffers()):
            found[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    return sum(found.values())


def in_dtype(model: Module, dtype: torch.dtype) -> Module:
    """Returns a twin whose floating-point parameters are of ``dtype``; those that are already are shared."""
    return twin(model, lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

"""The state before the update that went wrong, where it can still be had."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from candor.training.state import TrainState, trained

COPY_BYTES = 256 * 1024 * 1024
"""Up to this size a state is copied before every update of several optimiser steps: some tens of milliseconds. Beyond
it the state that was saved last has to do."""


class LastGood:
    """Knows after a bad update whether the state is still, or can again be, that of the update before.

    An update of one optimiser step fails before it changes anything. One of several may fail in between: for those a
    copy is kept (``copies``) where the state is small enough.
    """

    def __init__(self, state: TrainState, *, copies: bool) -> None:
        self._state = state
        self._copies = copies and state_bytes(state) <= COPY_BYTES
        self._copy: dict[str, Any] | None = None
        self._taken = 0

    def mark(self) -> None:
        """Call it before every update."""
        self._taken = _steps_taken(self._state)
        if self._copies:
            self._copy = copy.deepcopy(self._state.payload())

    def recover(self) -> bool:
        """Makes the state that of :meth:`mark`; False where it has changed and there is no copy, or is no good."""
        state = self._state
        if _steps_taken(state) != self._taken:
            if self._copy is None:
                return False
            state.load(self._copy)
        return all(finite(model) for model in state.models.values())


def finite(model: nn.Module) -> bool:
    """Whether every parameter is a number."""
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


def state_bytes(state: TrainState) -> int:
    """About what a saved state takes: every parameter that trains once, and two moments for each."""
    saved = {p.data_ptr(): p.nbytes for model in state.models.values() for p in trained(model).values()}
    groups = (group for optimizer in state.optimizers.values() for group in optimizer.param_groups)
    moments = {p.data_ptr(): 2 * p.nbytes for group in groups for p in group["params"]}
    return sum(saved.values()) + sum(moments.values())


def _steps_taken(state: TrainState) -> int:
    """Optimiser steps so far, over all optimisers."""
    counted = 0
    for optimizer in state.optimizers.values():
        first = next(iter(optimizer.state.values()), None)
        counted += int(first["step"]) if first else 0
    return counted

"""Early stopping: a training loop ends when a probe exceeds its limit, with the weights that last stayed within it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from candor.training.state import StepOut, TrainState, trained

KEPT = "kept"
"""The state's model of copied weights: saved with the rest, so that a killed run knows its last good policy."""

START, LATEST, STOPPED = "early_stop_start", "early_stop_latest", "early_stop_stopped"
"""Scalars of the state: the probe at the start and at the last look, and 1 once training was stopped."""


class KeptWeights(nn.Module):
    """A copy of the parameters of a model that train, to go back to."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.copies = nn.ParameterList([nn.Parameter(p.clone()) for p in trained(model).values()])

    @torch.no_grad()
    def take(self, model: nn.Module) -> None:
        """Copies the weights of ``model``."""
        for copy, own in zip(self.copies, trained(model).values(), strict=True):
            copy.copy_(own)

    @torch.no_grad()
    def give(self, model: nn.Module) -> None:
        """Puts the copies into ``model``."""
        for copy, own in zip(self.copies, trained(model).values(), strict=True):
            own.copy_(copy)


def early_stopped(
    steps: Iterator[StepOut], state: TrainState, *, probe: Callable[[], float], limit: float, every: int, total: int
) -> Iterator[StepOut]:
    """Yields the updates of ``steps`` until ``probe`` exceeds its value at the start by more than ``limit``.

    ``state.models`` holds ``policy`` and, under :data:`KEPT`, a :class:`KeptWeights` of it. The probe is asked before
    the first update, after every ``every`` updates and after the last (``total``). Where it exceeds the limit the
    policy becomes the one that was last within it, and the update's row says so: ``stopped`` 1, and how many
    ``updates_kept``. Every row has the probe's last value, ``probe_agreement``. What this remembers is in ``state``,
    so a restored state goes on bit for bit, and one that was stopped yields nothing more.
    """
    policy, kept, scalars = state.models["policy"], state.models[KEPT], state.scalars
    assert isinstance(kept, KeptWeights)
    if START not in scalars:
        scalars |= {START: probe(), STOPPED: 0.0, "early_stop_kept": 0.0}
        scalars[LATEST] = scalars[START]
        kept.take(policy)
    if scalars[STOPPED]:
        return
    for out in steps:
        if out.step % every == 0 or out.step == total:
            scalars[LATEST] = probe()
            if scalars[LATEST] > scalars[START] + limit:
                scalars[STOPPED] = 1.0
                kept.give(policy)
            else:
                scalars["early_stop_kept"] = float(out.step)
                kept.take(policy)
        told = {
            "probe_agreement": scalars[LATEST],
            "probe_start": scalars[START],
            "stopped": scalars[STOPPED],
            "updates_kept": scalars["early_stop_kept"],
        }
        yield replace(out, metrics=out.metrics | told)
        if scalars[STOPPED]:
            return

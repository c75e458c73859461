"""What a training loop owns and can save: models, optimisers, the step and a few scalars, as one object.

Nothing else is needed to go on bit for bit: data order and sampling at step t are functions of (seed, labels, t), see
:mod:`candor.ops.randomness`, and learning rates are functions of t.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from candor.errors import InputError
from candor.records import Completion, Prompt
from candor.storage import writing

STATE_FILE = "state.pt"


class DamagedState(InputError):
    """A saved state that cannot be read: cut short, or changed on the disk."""


@dataclass(frozen=True, kw_only=True)
class StepOut:
    """One update: ``step`` updates are done, this one included."""

    step: int
    metrics: dict[str, float]
    prompts: tuple[Prompt, ...] = ()
    completions: tuple[Completion, ...] = ()


@dataclass
class TrainState:
    """Models and optimisers by name, and how far training has come.

    Saved are the parameters that train alone: what is frozen under an adapter is where it was loaded from.
    """

    models: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    step: int = 0
    scalars: dict[str, float] = field(default_factory=dict)

    def save(self, directory: Path) -> None:
        """Replaces the saved state in ``directory`` in one step: killed at any moment, the old or the new one is whole.

        Everything is in one file, written beside its place, flushed to the disk and renamed. Raises StorageError where
        the disk does not let it.
        """
        with writing(directory / STATE_FILE):
            self._replace(directory)

    def payload(self) -> dict[str, Any]:
        """Returns what is saved: the tensors themselves, not copies of them."""
        return {
            "models": {name: trained(model) for name, model in self.models.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "step": self.step,
            "scalars": dict(self.scalars),
        }

    def load(self, payload: Mapping[str, Any]) -> None:
        """Takes over what :meth:`payload` gave for the same models."""
        for name, model in self.models.items():
            _load(trained(model), payload["models"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(payload["optimizers"][name])
        self.step = int(payload["step"])
        self.scalars.clear()
        self.scalars.update(payload["scalars"])

    def _replace(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / f".{STATE_FILE}.unfinished"
        try:
            with unfinished.open("wb") as file:
                torch.save(self.payload(), file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(directory / STATE_FILE)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)  # the rename itself must outlive a power cut
        finally:
            os.close(handle)

    def restore(self, directory: Path) -> bool:
        """Loads what :meth:`save` wrote into the models and optimisers held; False where nothing complete is there.

        Raises DamagedState where the file cannot be read (the models are then as they were), InputError where it
        belongs to other models.
        """
        path = directory / STATE_FILE
        if not path.is_file():
            return False
        fix = "delete it to train this stage from its start"
        payload = _read(path, fix)
        if set(payload["models"]) != set(self.models) or set(payload["optimizers"]) != set(self.optimizers):
            raise InputError("saved training state holds other models than this stage trains", where=str(path), fix=fix)
        for name, model in self.models.items():
            other = _differing(trained(model), payload["models"][name])
            if other:
                what = f"saved training state does not fit: {len(other)} weights differ from those trained here"
                raise InputError(f"{what}, such as {other[0]}", where=str(path), fix=fix)
        try:
            self.load(payload)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"saved training state does not fit: {reason}", where=str(path), fix=fix) from error
        return True


def trained(model: nn.Module) -> dict[str, Tensor]:
    """Returns the parameters that train, by name: not copies, and without their gradients."""
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def _differing(own: dict[str, Tensor], saved: dict[str, Tensor]) -> list[str]:
    """The names that only one of the two has, or with another shape."""
    return [n for n in sorted({*own, *saved}) if n not in own or n not in saved or own[n].shape != saved[n].shape]


def _load(own: dict[str, Tensor], saved: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])


def _read(path: Path, fix: str) -> dict[str, Any]:
    """Reads a saved state whole or raises DamagedState; torch.load reads changed bytes without a word."""
    try:
        with zipfile.ZipFile(path) as archive:
            changed = archive.testzip()
        if changed is None:
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        reason = f"{changed} has changed on the disk"
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    raise DamagedState(f"saved training state is unreadable: {reason}", where=str(path), fix=fix)


def adamw(
    modules: Iterable[nn.Module], *, lr: float, weight_decay: float = 0.0, eps: float = 1e-8
) -> torch.optim.AdamW:
    """AdamW over all trainable parameters, a shared one once; norms and biases (1-D) are never decayed."""
    unique = {id(p): p for module in modules for p in module.parameters() if p.requires_grad}
    matrices = [p for p in unique.values() if p.ndim >= 2]
    vectors = [p for p in unique.values() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, eps=eps, betas=(0.9, 0.999), fused=True)


def apply_update(optimizer: torch.optim.Optimizer, *, lr: float, max_grad_norm: float) -> float:
    """Clips the accumulated gradients, takes one step at ``lr``, clears them; returns their norm before clipping.

    The norm is taken over all of the optimiser's parameters together. Raises FloatingPointError, before anything is
    changed, where it is not finite.
    """
    parameters: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(nn.utils.clip_grad_norm_(parameters, max_grad_norm))
    if norm != norm or norm == float("inf"):
        raise FloatingPointError(f"the gradient's norm is {norm}")
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm

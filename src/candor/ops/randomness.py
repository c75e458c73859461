"""Randomness as a pure function of a seed and labels: a resumed run goes on bit for bit without saved random states."""

from __future__ import annotations

import hashlib

import torch


def step_seed(seed: int, *labels: str | int) -> int:
    """Returns a 63-bit seed for the place that ``labels`` name, such as ``step_seed(0, "ppo", "sample", 12)``.

    Labels are told apart by type and length, so that ("a", "b") and ("ab",), or 1 and "1", give different seeds.
    """
    digest = hashlib.sha256(repr((int(seed), *labels)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, *labels: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Returns a fresh generator seeded by :func:`step_seed`."""
    return torch.Generator(device=device).manual_seed(step_seed(seed, *labels))


def shuffled(n: int, seed: int, *labels: str | int) -> list[int]:
    """Returns a permutation of ``range(n)``."""
    return torch.randperm(n, generator=generator(seed, *labels)).tolist()


def batch_indices(n: int, batch_size: int, step: int, seed: int, *labels: str | int) -> list[int]:
    """Returns the rows of update ``step`` (0-based): consecutive slices of one endless stream of shuffled epochs.

    Every epoch has its own permutation; a batch may run over the end of one epoch into the next, so that every batch
    has exactly ``batch_size`` rows (of which ``n < batch_size`` repeats some). Depends on its arguments alone. Raises
    ValueError where there are no rows.
    """
    if n <= 0:
        raise ValueError("no rows to draw a batch from")
    rows: list[int] = []
    place = step * batch_size
    while len(rows) < batch_size:
        epoch, offset = divmod(place + len(rows), n)
        order = shuffled(n, seed, *labels, "epoch", epoch)
        rows.extend(order[offset : offset + batch_size - len(rows)])
    return rows

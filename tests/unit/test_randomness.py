"""Seeds from labels: stable across runs and machines, different for different places."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from candor.ops.randomness import batch_indices, generator, shuffled, step_seed


def test_a_seed_never_changes_between_versions() -> None:
    # First 8 bytes of sha256(b"(0, 'ppo', 'sample', 12)"), shifted by one bit; computed apart with coreutils.
    assert step_seed(0, "ppo", "sample", 12) == 592880412545328597


def test_places_have_different_seeds() -> None:
    labels = [(), ("a",), ("b",), ("a", "b"), ("ab",), ("a", 1), ("a", "1"), (1,), ("1",), ("a", 1, 2), ("a", 12)]
    assert len({step_seed(0, *place) for place in labels} | {step_seed(1)}) == len(labels) + 1
    assert all(0 <= step_seed(s, "x") < 2**63 for s in range(50))


def test_generators_repeat_and_leave_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    first = torch.rand(4, generator=generator(3, "x", 1))
    assert torch.equal(first, torch.rand(4, generator=generator(3, "x", 1)))
    assert not torch.equal(first, torch.rand(4, generator=generator(3, "x", 2)))
    assert torch.equal(before, torch.get_rng_state())


def test_each_epoch_shows_every_row_once_in_a_new_order() -> None:
    n, size = 10, 4
    stream = [i for step in range(5) for i in batch_indices(n, size, step, 7, "sft")]
    assert sorted(stream[:n]) == list(range(n))
    assert sorted(stream[n:]) == list(range(n))
    assert stream[:n] != stream[n:]
    assert stream[:n] == shuffled(n, 7, "sft", "epoch", 0)


def test_a_batch_depends_on_its_step_alone() -> None:
    forwards = [batch_indices(13, 5, step, 0, "x") for step in range(6)]
    backwards = [batch_indices(13, 5, step, 0, "x") for step in reversed(range(6))]
    assert forwards == backwards[::-1]
    assert forwards != [batch_indices(13, 5, step, 1, "x") for step in range(6)]


def test_fewer_rows_than_a_batch_repeat_evenly() -> None:
    counts = Counter(batch_indices(3, 12, 0, 0))
    assert counts == {0: 4, 1: 4, 2: 4}


def test_no_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rows"):
        batch_indices(0, 4, 0, 0)

"""Peak memory is a stage's own: a stage after a hungry one does not inherit its peak."""

from __future__ import annotations

from pathlib import Path

import pytest

from candor.runs import RunStore, memory, read_manifest
from candor.runs.memory import Peak, peak, reset_peak

MEGABYTES = 300


def eat() -> None:
    """Touches every page, and gives all of it back."""
    block = bytearray(MEGABYTES * 1024 * 1024)
    block[::4096] = b"x" * len(block[::4096])


def test_the_peak_is_that_since_the_last_reset() -> None:
    scope = reset_peak()
    if scope != "stage":
        pytest.skip("this system does not reset the high-water mark")
    before = peak(scope)
    eat()
    hungry = peak(scope)
    assert hungry.host_mb - before.host_mb == pytest.approx(MEGABYTES, abs=20)
    assert hungry.device_mb is None or hungry.device_mb >= 0
    modest = peak(reset_peak())
    assert modest.host_mb < hungry.host_mb - MEGABYTES / 2
    assert modest.scope == "stage"


def test_without_a_reset_the_peak_is_the_process_s_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    eat()
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "no" / "clear_refs")
    found = peak(reset_peak())
    assert found.scope == "process"
    assert found.host_mb > MEGABYTES


def test_attempts_at_one_stage_keep_the_highest() -> None:
    high, low = (Peak(host_mb=mb, device_mb=mb / 2, scope="stage") for mb in (900.0, 400.0))
    assert low.highest(high) == high.highest(low) == high
    assert low.highest(None) == low
    other = Peak(host_mb=100.0, device_mb=None, scope="process")
    assert low.highest(other) == Peak(host_mb=400.0, device_mb=200.0, scope="process")


def test_a_stage_and_the_one_after_it(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    found = {}
    for index, name in enumerate(("hungry", "modest")):
        work = store.open(store.stage_path(index, name), name, name=name)
        if name == "hungry":
            eat()
        work.finish(name=name, type="sft", version=1, seed=0, config={}, inputs={})
        manifest = read_manifest(work.path)
        assert manifest is not None
        found[name] = manifest
    if found["hungry"].peak_memory_of != "stage":
        pytest.skip("this system does not reset the high-water mark")
    assert found["modest"].peak_memory_mb < found["hungry"].peak_memory_mb - MEGABYTES / 2


def test_a_resumed_stage_keeps_the_peak_of_the_attempt_before(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "run")
    first = store.open(store.stage_path(1, "sft"), "k", name="sft")
    eat()
    first.keep_time()
    high = first.peak.host_mb
    again = store.open(first.path, "k", name="sft")
    made = again.finish(name="sft", type="sft", version=1, seed=0, config={}, inputs={})
    assert made.peak_memory_mb >= high

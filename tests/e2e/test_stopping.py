"""Stopped by a signal at any moment, a run says how to go on, goes on, and ends in the same policy bit for bit."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from candor import api
from candor.errors import Terminated
from candor.pipeline.interrupts import WAIT, deferred_interrupts
from candor.runs import hash_path
from forked import Forked, Server

WEIGHTS = "stages/04-ppo/checkpoint/model.safetensors"


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A shell that runs its command in the background has it ignore Ctrl-C, which tests then would too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_for(place: Path, process: Forked, *, lines: int = 0) -> None:
    """Until the file is there, with so many lines."""
    deadline = time.monotonic() + 120
    while not place.exists() or (lines and len(place.read_text().splitlines()) < lines):
        assert process.poll() is None, process.told
        assert time.monotonic() < deadline
        time.sleep(0.002)


def stopped(process: Forked, number: signal.Signals, code: int) -> str:
    """Sends the signal; the process says how to go on and exits with ``code``."""
    process.send_signal(number)
    assert process.wait() == code, process.told
    assert "Traceback" not in process.told
    assert "Exception ignored" not in process.told
    assert "Go on with: candor run " in process.told
    return process.told


@pytest.mark.slow
def test_stopped_at_many_moments_it_ends_in_the_same_policy(finished: Path, world, server: Server) -> None:
    """The moments are spread over the whole run, by what is on the disk and by chance beyond it."""
    out = world.runs / "stopped"
    command = ("run", str(world.recipe), "--out", str(out))
    rng = random.Random(0)
    moments: list[tuple[str, int, signal.Signals, int]] = [
        ("stages/00-base/state", 0, signal.SIGINT, 130),  # loading
        ("stages/01-sft/metrics.jsonl", 2, signal.SIGINT, 130),
        ("stages/02-compare/state", 0, signal.SIGTERM, 143),  # sampling
        ("stages/03-reward/metrics.jsonl", 3, signal.SIGTERM, 143),
        ("stages/04-ppo/metrics.jsonl", 5, signal.SIGINT, 130),
        ("stages/04-ppo/audit/state", 0, signal.SIGINT, 130),  # the audit
    ]
    for place, lines, number, code in moments:
        process = server.start(*command)
        wait_for(out / place, process, lines=lines)
        time.sleep(rng.random() * 0.05)
        told = stopped(process, number, code)
        if lines:
            assert WAIT in told
            stage = (out / place).parent
            assert len((out / place).read_text().splitlines()) >= lines
            assert (stage / "state" / "state.pt").exists(), "the update that was being computed is saved"
    api.run(world.recipe, out=out)
    assert hash_path(out / WEIGHTS) == hash_path(finished / WEIGHTS)
    whole, pieces = (d / "stages/04-ppo/metrics.jsonl" for d in (finished, out))
    assert pieces.read_text() == whole.read_text()
    log = (out / "run.log").read_text()
    assert all(f"{stage}: resumed after update " in log for stage in ("sft", "reward", "ppo"))


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_corrupts_nothing(finished: Path, world, server: Server) -> None:
    out = world.runs / "twice"
    process = server.start("run", str(world.recipe), "--out", str(out))
    wait_for(out / "stages/04-ppo/metrics.jsonl", process, lines=6)
    for _ in range(4):
        with suppress(ProcessLookupError):  # it has ended already
            process.send_signal(signal.SIGINT)
        time.sleep(0.003)
    assert process.wait() == 130, process.told
    assert "Traceback" not in process.told
    api.run(world.recipe, out=out)
    assert hash_path(out / WEIGHTS) == hash_path(finished / WEIGHTS)


def test_the_first_signal_waits_and_the_second_does_not() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), deferred_interrupts(told.append) as interrupt:  # noqa: PT012 - what is checked comes before it
        signal.raise_signal(signal.SIGINT)
        assert interrupt.asked
        assert told == [WAIT]
        interrupt.deliver()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    reached = False
    with pytest.raises(KeyboardInterrupt), deferred_interrupts(told.append):  # noqa: PT012 - what is checked comes before it
        signal.raise_signal(signal.SIGINT)
        reached = True
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second did not stop it")
    assert reached


def test_a_signal_after_the_last_update_is_not_lost() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_interrupts(lambda _: None):
        signal.raise_signal(signal.SIGINT)


def test_termination_is_deferred_only_where_somebody_handles_it() -> None:
    def terminate(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with pytest.raises(Terminated), deferred_interrupts(lambda _: None) as interrupt:  # noqa: PT012 - what is checked comes before it
            signal.raise_signal(signal.SIGTERM)
            assert interrupt.asked
    finally:
        signal.signal(signal.SIGTERM, before)
    with deferred_interrupts(lambda _: None):
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "a library does not take termination over"


def test_a_note_that_cannot_be_told_stops_nothing() -> None:
    def broken(_: str) -> None:
        raise RuntimeError("reentrant call inside a buffered writer")

    with pytest.raises(KeyboardInterrupt), deferred_interrupts(broken) as interrupt:  # noqa: PT012 - what is checked comes before it
        signal.raise_signal(signal.SIGINT)
        interrupt.deliver()


def test_outside_the_main_thread_nothing_is_touched() -> None:
    seen: list[bool] = []

    def work() -> None:
        with deferred_interrupts(lambda _: None) as interrupt:
            seen.append(interrupt.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]

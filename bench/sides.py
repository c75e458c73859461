"""Two training loops that take turns: each in a thread that stops after every step until it is asked for the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Pause = Callable[..., None]
"""What a side calls after each step, with numbers worth keeping (``tokens=...``).

``seconds=...`` stands for the time by the clock where a step holds more than what is compared.
"""

Run = Callable[[Pause], None]
"""One side: builds what it needs, then works step by step without end and calls its argument after each."""


class Stopped(Exception):
    """Raised inside a side when no more steps are wanted."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: ``seconds`` by the clock, ``cpu_seconds`` of all threads, and the numbers that the side gave."""

    seconds: float
    cpu_seconds: float
    numbers: Mapping[str, float] = field(default_factory=dict)


class Side:
    """One side of a comparison, which runs only while :meth:`step` is waiting for it."""

    def __init__(self, run: Run) -> None:
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._closing, self._error, self._numbers = False, None, {}
        self._thread = threading.Thread(target=self._work, args=(run,), daemon=True)
        self._thread.start()

    def step(self) -> Step:
        """Runs up to the end of the next step. Raises what the side raised."""
        started, cpu_started = time.perf_counter(), time.process_time()
        self._go.release()
        self._back.acquire()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        if self._error is not None:
            raise self._error
        numbers = dict(self._numbers)
        return Step(seconds=numbers.pop("seconds", seconds), cpu_seconds=cpu_seconds, numbers=numbers)

    def close(self) -> None:
        """Ends the side where it stands and waits for it."""
        self._closing = True
        self._go.release()
        self._thread.join()

    def _work(self, run: Run) -> None:
        self._go.acquire()
        try:
            if not self._closing:
                run(self._pause)
                raise RuntimeError("a side ran out of steps")
        except Stopped:
            pass
        except BaseException as error:  # handed over to step(), which raises it where somebody listens
            self._error = error
        self._back.release()

    def _pause(self, **numbers: float) -> None:
        self._numbers = numbers
        self._back.release()
        self._go.acquire()
        if self._closing:
            raise Stopped


def take_turns(
    sides: Mapping[str, Run], *, discard: int, repeats: int, at_least: int, seconds: float
) -> dict[str, list[Step]]:
    """Runs one step of each side in turn; returns the steps of every side after the first ``discard`` rounds.

    Ends after ``repeats`` rounds, or earlier, once ``seconds`` are over and ``at_least`` rounds are measured. Raises
    what a side raised.
    """
    running = {name: Side(run) for name, run in sides.items()}
    measured: dict[str, list[Step]] = {name: [] for name in sides}
    started = time.perf_counter()
    try:
        for number in range(discard + repeats):
            enough = number >= discard + at_least and time.perf_counter() - started > seconds
            if enough:
                break
            for name, side in running.items():
                step = side.step()
                if number >= discard:
                    measured[name].append(step)
    finally:
        for side in running.values():
            side.close()
    return measured

"""What runs in a fresh process: the timing of one case, or the memory and operations of one of its sides.

Prints one line of JSON. Memory is measured in a process of its own, as a process never gives all of it back; the
imports of both libraries and the data are in place before counting starts.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from bench import flops
from bench.case import Case
from bench.cases import ALL
from bench.memory import PeakMemory
from bench.sides import Step, Stopped, take_turns
from bench.world import World, use_offline

DISCARD = 3
"""Steps that are not timed: memory pools, thread pools and caches settle in them."""

MEMORY_STEPS, COUNTED_STEPS = 3, 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the measurement that the arguments name."""
    parser = argparse.ArgumentParser()
    parser.add_argument("measure", choices=["time", "side"])
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--size", required=True)
    parser.add_argument("--case", required=True)
    parser.add_argument("--side")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args(arguments)
    use_offline()
    world = World(directory=given.directory, size=given.size, scale=given.scale)
    case = next(case for case in ALL if case.name == given.case)
    measured = time_sides(case, world, given.repeats, given.seconds) if given.measure == "time" else None
    print(json.dumps(measured or measure_side(case, world, given.side)))


def time_sides(case: Case, world: World, repeats: int, seconds: float) -> dict[str, object]:
    """Seconds of every measured step of every side, round by round, and the matmul peak."""
    peak = flops.matmul_peak(world.device, world.dtype)
    sides = {name: partial(run, world) for name, run in case.sides.items()}
    discard, repeats = case.rounds or (DISCARD, repeats)
    at_least = repeats if case.rounds else min(5, repeats)
    steps = take_turns(sides, discard=discard, repeats=repeats, at_least=at_least, seconds=seconds)
    return {
        "matmul_peak": peak,
        "seconds": {name: [step.seconds for step in side] for name, side in steps.items()},
        "cpu_seconds": {name: [step.cpu_seconds for step in side] for name, side in steps.items()},
        "tokens_per_second": {name: _token_rate(side) for name, side in steps.items()},
        "numbers": {name: [dict(step.numbers) for step in side] for name, side in steps.items()},
    }


def _token_rate(steps: list[Step]) -> float | None:
    rates = [step.numbers["tokens"] / step.seconds for step in steps if "tokens" in step.numbers]
    return statistics.median(rates) if rates else None


def measure_side(case: Case, world: World, side: str) -> dict[str, float]:
    """Peak memory of a side's first steps above what its imports and data take, and operations per step after them."""
    import trl  # noqa: F401  both libraries are loaded whichever is measured

    _ = world.question_tokens, world.pairs, world.rankings, world.demonstrations
    memory, counter = PeakMemory(world.device), flops.counter()
    steps, peak = 0, 0.0

    def pause(**_: float) -> None:
        nonlocal steps, peak
        steps += 1
        if steps == MEMORY_STEPS:
            peak = memory.mib()
            counter.__enter__()
        elif steps == MEMORY_STEPS + COUNTED_STEPS:
            counter.__exit__(None, None, None)
            raise Stopped

    with suppress(Stopped):
        case.sides[side](world, pause)
    return {"peak_mib": peak, "flops": counter.get_total_flops() / COUNTED_STEPS}


if __name__ == "__main__":
    main()

"""The one command: ``python -m bench.run``. Every case in a fresh process; results as JSON and as a Markdown table."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench import machine, table
from bench.case import TRL, Case
from bench.cases import ALL
from bench.models import SIZES
from bench.ratios import paired_ratio
from bench.world import prepare, use_offline

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"

Json = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the command line, measures and writes."""
    given = _parser().parse_args(arguments)
    use_offline()
    cases = [case for case in ALL if wanted(case, given.cases)]
    if not cases:
        sys.exit(f"error: no case starts with {given.cases}; there are {', '.join(case.name for case in ALL)}")
    report = measure(cases, given) if given.join is None else table.joined([_read(path) for path in given.join])
    text = table.render(report)
    print(text)
    if given.out is not None:
        given.out.write_text(json.dumps(report, indent=1) + "\n" if given.out.suffix == ".json" else text)
    if given.write_docs:
        PAGE.write_text(table.replace_table(PAGE.read_text(), text))


def wanted(case: Case, names: Sequence[str] | None) -> bool:
    """Whether a case runs: by the start of its name; without names, all but those that take minutes per round."""
    return case.rounds is None if names is None else any(case.name.startswith(name) for name in names)


def _parser() -> argparse.ArgumentParser:
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes: the small model, 5 rounds, no memory")
    parser.add_argument("--cases", type=names, help="by the start of their names; all but pipeline by default")
    parser.add_argument("--sizes", type=names, help=f"of {', '.join(SIZES)}; all by default")
    parser.add_argument("--repeats", type=int, help="paired rounds per case at most (20; 5 with --quick)")
    parser.add_argument("--seconds", type=float, help="per case, after which 5 rounds are enough (30; 3 with --quick)")
    parser.add_argument("--scale", type=float, default=0.5, help="of the pipeline's data and updates (0.5)")
    parser.add_argument("--no-memory", action="store_true", help="leave out memory and operations")
    parser.add_argument("--out", type=Path, help="a .json file for everything, or a .md file for the table")
    parser.add_argument("--join", type=Path, nargs="+", help="measure nothing: put earlier --out files into one table")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    return parser


def _command(arguments: Sequence[str]) -> str:
    """The call as others would make it: where this one's file went is nobody's business."""
    kept = [a for a, before in zip(arguments, ["", *arguments], strict=False) if "--out" not in (a, before)]
    return " ".join(["python -m bench.run", *kept])


def _read(path: Path) -> Json:
    return dict(json.loads(path.read_text()))


def measure(cases: Sequence[Case], given: argparse.Namespace) -> Json:
    """Runs everything and returns the report. Prints a line per result as it comes."""
    asked = given.sizes or (["1m"] if given.quick else list(SIZES))
    unknown = [name for name in asked if name not in SIZES]
    if unknown:
        sys.exit(f"error: no size {unknown[0]}; there are {', '.join(SIZES)}")
    lacking = [name for name in asked if SIZES[name].needs_cuda and not torch.cuda.is_available()]
    sizes = [name for name in asked if name not in lacking]
    options = {
        "repeats": given.repeats or (5 if given.quick else 20),
        "seconds": given.seconds or (3.0 if given.quick else 30.0),
        "scale": given.scale,
    }
    results: list[Json] = []
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="candor-bench-") as directory:
        prepare(Path(directory), sizes)
        for size in sizes:
            for case in cases:
                timing = _child("time", directory, size, case, **options)
                no_memory = given.no_memory or given.quick or case.rounds is not None
                peaks[size] = max(peaks.get(size, 0.0), timing["matmul_peak"])
                sides = {name: _side(directory, size, case, name, no_memory) for name in case.sides}
                found = list(_results(case, size, timing, sides))
                print(table.progress_lines(found), file=sys.stderr, flush=True)
                results += found
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": _command(sys.argv[1:]),
        "machine": machine.describe(),
        "matmul_peaks": peaks,
        "results": results,
        "skipped": [{"size": name, "reason": "it needs a CUDA device and there is none here"} for name in lacking],
    }


def _side(directory: str, size: str, case: Case, side: str, skip: bool) -> Json:
    return {"peak_mib": None, "flops": None} if skip else _child("side", directory, size, case, side=side)


def _child(measure: str, directory: str, size: str, case: Case, **options: Any) -> Json:
    """Runs bench.child and returns what it printed last. Exits with its errors where it failed."""
    command = [sys.executable, "-m", "bench.child", measure, "--directory", directory]
    command += ["--size", size, "--case", case.name]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}  # the sides' threads allocate as a main thread would
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command[1:])} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _results(case: Case, size: str, timing: Json, sides: Mapping[str, Json]) -> Iterator[Json]:
    """One result for every side of Candor, against TRL's of the same rounds."""
    seconds = timing["seconds"]
    for side in case.sides:
        if side == TRL:
            continue
        both = {"trl": TRL, "candor": side}
        typical = {name: statistics.median(seconds[which]) for name, which in both.items()}
        operations = {name: sides[which]["flops"] for name, which in both.items()}
        rates = {name: None if n is None else n / typical[name] for name, n in operations.items()}
        yield {
            "case": case.name,
            "work": case.work,
            "size": size,
            "side": side,
            "seconds": typical,
            "ratio": asdict(paired_ratio(seconds[TRL], seconds[side])),
            "cpu_ratio": asdict(paired_ratio(timing["cpu_seconds"][TRL], timing["cpu_seconds"][side])),
            "target": case.targets.get(side),
            "rounds": {name: seconds[which] for name, which in both.items()},
            "numbers": {name: timing["numbers"][which] for name, which in both.items()},
            "tokens_per_second": {name: timing["tokens_per_second"][which] for name, which in both.items()},
            "peak_mib": {name: sides[which]["peak_mib"] for name, which in both.items()},
            "flops": operations,
            "gflops_per_second": {name: None if rate is None else rate / 1e9 for name, rate in rates.items()},
            "share_of_peak": {
                name: None if rate is None else rate / timing["matmul_peak"] for name, rate in rates.items()
            },
        }


if __name__ == "__main__":
    main()

"""What the labelling service says of people and batches, on simulated ones: coverage, power, the gate, speed.

python -m bench.collect_quality [--part arm|gate|flags|speed] [--runs N] [--seed S]: prints the tables of
docs/collect-quality.md. Without --part all four.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench import collect_arm
from bench.collect_arm import share
from bench.collect_people import Batch, Person, simulate
from bench.collect_stored import stored
from candor.audits.preferences.faults import faults
from candor.collect.quality.columns import Remembered, surveyed
from candor.collect.quality.dashboard import dashboard
from candor.collect.quality.gate import gate
from candor.collect.quality.measured import measured
from candor.collect.quality.work import worked
from candor.projects.labels import read_judgements

ANNOTATORS = 30
KINDS: dict[str, Counter[Person]] = {
    "good": Counter(honest=ANNOTATORS - 1, minority=1),
    "random": Counter(random=ANNOTATORS),
    "side-clickers": Counter(side=ANNOTATORS),
    "flatterers": Counter(flatterer=ANNOTATORS),
    "length-lovers": Counter(length=ANNOTATORS),
    "speeders": Counter(speeder=ANNOTATORS),
    "underpaid (twice the expected time)": Counter(slow=ANNOTATORS),
    "half speeders": Counter(honest=ANNOTATORS // 2, speeder=ANNOTATORS // 2),
    "half flatterers": Counter(honest=ANNOTATORS // 2, flatterer=ANNOTATORS // 2),
    "half side-clickers": Counter(honest=ANNOTATORS // 2, side=ANNOTATORS // 2),
}
BLOCKED = ("random", "side-clickers", "flatterers", "length-lovers", "speeders", "underpaid (twice the expected time)")
"""Kinds of batch that the gate has to block every time."""


def gates(runs: int, seed: int) -> None:
    """How often the gate passes batches of each kind, and what stops them."""
    batch, describe = Batch(), Remembered()
    each = f"{batch.judgements} judgements and {batch.gold} gold items each"
    print(f"{runs} batches of each kind: {ANNOTATORS} annotators, {each}\n")
    print("| batch | passes | stopped by (share of batches) | cannot tell |\n|---|---|---|---|")
    for name, roles in KINDS.items():
        passed, stops, unknown = 0, Counter[str](), Counter[str]()
        for run in range(runs):
            found = simulate(roles, batch, np.random.default_rng([seed, run]))
            release = gate(found.judged, batch.settings, found.workers, describe=describe)
            passed += release.passes
            stops.update(check.name for check in release.checks if check.passes is False)
            unknown.update(check.name for check in release.checks if check.passes is None)
        print(
            f"| {name} | {share(passed / runs, runs)} | {_shares(stops, runs)} | {_shares(unknown, runs)} |", flush=True
        )


def _shares(counts: Counter[str], runs: int) -> str:
    return ", ".join(f"{name} {count / runs:.2f}" for name, count in counts.most_common()) or "-"


PANEL: Counter[Person] = Counter(honest=23, quick=1, side=1, flatterer=1, length=1, random=1, speeder=1, minority=1)
RIGHT = {"side": ("side",), "flatterer": ("flatters",), "length": ("length",), "random": ("random",),
         "speeder": ("random", "rushes")}  # fmt: skip


def flags(runs: int, seed: int) -> None:
    """Who is flagged on the service's own path: texts read, 200 judgements each, 40 retests, about 60 mixed pairs."""
    batch, describe = replace(Batch(), judgements=200, gold=20), Remembered()
    hits: Counter[str] = Counter()
    blamed = 0
    for run in range(runs):
        found = simulate(PANEL, batch, np.random.default_rng([seed, run]))
        honest = False
        for one in measured(surveyed(found.judged, describe=describe).judgements):
            role = found.roles[one.name]
            if role in RIGHT:
                hits[role] += any(flag in RIGHT[role] for flag in one.flags)
            elif role == "minority":
                hits["minority flagged"] += bool(one.flags)
            else:
                honest = honest or bool(one.flags)
        blamed += honest
    print(f"{runs} panels of {sum(PANEL.values())}, 200 judgements each\n\n| who | flagged |\n|---|---|")
    for role in (*RIGHT, "minority flagged"):
        print(f"| {role} | {share(hits[role] / runs, runs)} |")
    print(f"| any honest annotator | {share(blamed / runs, runs)} |")


def speed(seed: int) -> None:
    """How long the dashboard and the gate take on 20,000 judgements in SQLite."""
    batch = replace(Batch(), judgements=180, gold=20)
    found = simulate(Counter(honest=100), batch, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        database, project = stored(found.judged, batch.settings, Path(folder) / "collect.db")
        began = time.perf_counter()
        with database.reading() as connection:
            judged, workers = read_judgements(connection, project.id), worked(connection, project)
        read = time.perf_counter() - began
        database.close()
    began = time.perf_counter()
    dashboard(judged, workers=workers)
    shown = time.perf_counter() - began
    began = time.perf_counter()
    gate(judged, batch.settings, workers)
    judged_in = time.perf_counter() - began
    began = time.perf_counter()
    faults(surveyed(judged).judgements)
    print(f"{len(judged):,} judgements: read {read:.1f} s, dashboard {shown:.1f} s, gate {judged_in:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("arm", "gate", "flags", "speed"))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    parts = [arguments.part] if arguments.part else ["arm", "gate", "flags", "speed"]
    for part in parts:
        began = time.monotonic()
        match part:
            case "arm":
                collect_arm.report(arguments.runs or 200, arguments.seed)
            case "gate":
                gates(arguments.runs or 50, arguments.seed)
            case "flags":
                flags(arguments.runs or 200, arguments.seed)
            case "speed":
                speed(arguments.seed)
        print(f"\n{part}: {time.monotonic() - began:.0f} s\n", flush=True)


if __name__ == "__main__":
    main()

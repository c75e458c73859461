"""Annotators who label at once on one server: how long the next task and a submission take, and what is kept.

python -m bench.collect_load --database sqlite|postgresql [--annotators 50] [--submissions 20000] [--think 1]

The server runs in a process of its own, PostgreSQL (with fsync) in another, the annotators in this one, all on the
same cores. Seconds are the client's: from a request's first byte to its answer's last. ``--think``: mean seconds
between getting a task and answering it (exponential); 0 asks as fast as the server answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.collect_client import Annotator, Seconds, Sent, at_random, run_apart
from bench.collect_project import PASSWORD, SLUG, Kept, check, make_project
from bench.collect_server import HOST, ServerProcess
from bench.postgresql_server import postgresql_server
from candor.projects.settings import Settings


@dataclass(kw_only=True)
class Load:
    """What is done: retests come at once, so that they are part of the load; overlap 3; gold one in twenty."""

    database: str = "sqlite"
    annotators: int = 50
    submissions: int = 20_000
    think: float = 1.0
    seed: int = 2026


@dataclass(kw_only=True)
class Result:
    seconds: Seconds
    wall: float
    submissions: int
    kept: Kept
    client_cpu: float
    server_cpu: float


@contextmanager
def fresh_database(kind: str, place: Path, *, durable: bool = True) -> Iterator[str]:
    """The address of a database that does not exist yet, or is empty."""
    if kind == "sqlite":
        yield str(place / "collect.db")
        return
    with postgresql_server(durable=durable) as server:
        yield server.fresh_database()


async def label(annotator: Annotator, left: list[int], think: float) -> None:
    """Labels until the load's submissions are given out or nothing is left."""
    rng = annotator.rng
    while left[0] > 0:
        left[0] -= 1
        task = await annotator.next_task()
        if task is None:
            return
        if think:
            await asyncio.sleep(rng.expovariate(1 / think))
        answer = None if rng.random() < 0.02 else at_random(task, rng)
        annotator.put(task, answer, visible=think + 5.0)
        await annotator.flush()


async def run_annotators(names: list[str], port: int, load: Load) -> tuple[Seconds, list[Sent], float]:
    """Everybody signs in; then the clock starts."""
    seconds, left = Seconds(), [load.submissions]
    people = []
    for name in names:
        rng = random.Random(f"{load.seed}:{name}")
        people.append(Annotator(HOST, port, project=SLUG, name=name, password=PASSWORD, rng=rng, seconds=seconds))
    for person in people:
        await person.sign_in()
    start = time.perf_counter()
    await asyncio.gather(*(label(person, left, load.think) for person in people))
    wall = time.perf_counter() - start
    for person in people:
        person.connection.close()
    return seconds, [sent for person in people for sent in person.acknowledged], wall


def measure(load: Load, place: Path) -> Result:
    settings = Settings(overlap=3, gold_rate=0.05, retest_rate=0.05, retest_after_hours=0, minimum_seconds=0)
    with fresh_database(load.database, place) as database:
        needed = load.submissions // settings.overlap + 50
        names = make_project(
            database, pairs_=needed, gold=200, annotators=load.annotators, seed=load.seed, settings=settings
        )
        server = ServerProcess(database, place / "server.log")
        server.start()
        try:
            begun = resource.getrusage(resource.RUSAGE_SELF)
            cpu = _cpu(server)
            seconds, acknowledged, wall = run_apart(run_annotators(names, server.port, load))
            ended = resource.getrusage(resource.RUSAGE_SELF)
            server_cpu = _cpu(server) - cpu
        finally:
            server.stop()
        kept = check(database, acknowledged)
        said = (place / "server.log").read_text()
        if said:
            print(said[-3000:], file=sys.stderr)
    client = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    return Result(
        seconds=seconds,
        wall=wall,
        submissions=len(acknowledged),
        kept=kept,
        client_cpu=client,
        server_cpu=server_cpu,
    )


def _cpu(server: ServerProcess) -> float:
    """Seconds of processor time that the server has had."""
    assert server.process is not None
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100
    return 0.0


def row(load: Load, result: Result) -> str:
    cells = [load.database, f"{load.annotators}", f"{load.think:g}", f"{result.submissions:,}"]
    for times in (result.seconds.next, result.seconds.submit):
        p50, p95, p99 = (1000 * q for q in np.quantile(times or [np.nan], (0.5, 0.95, 0.99)))
        cells.append(f"{p50:.0f} / {p95:.0f} / {p99:.0f}")
    cells += [f"{result.submissions / result.wall:.0f}", "yes" if result.kept.fine else f"NO: {result.kept}"]
    return f"| {' | '.join(cells)} |"


COLUMNS = (
    "database",
    "annotators",
    "thinks, s",
    "submissions",
    "next task, ms (p50 / p95 / p99)",
    "submit, ms",
    "submissions/s",
    "all kept",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--annotators", type=int, default=50)
    parser.add_argument("--submissions", type=int, default=20_000)
    parser.add_argument("--think", type=float, action="append")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    fine = True
    for database in arguments.database or ("sqlite", "postgresql"):
        for think in arguments.think or (1.0,):
            load = Load(
                database=database,
                annotators=arguments.annotators,
                submissions=arguments.submissions,
                think=think,
                seed=arguments.seed,
            )
            with tempfile.TemporaryDirectory(prefix="candor-load-") as place:
                result = measure(load, Path(place))
            print(row(load, result), flush=True)
            cpu = f"server {result.server_cpu:.0f} s, clients {result.client_cpu:.0f} s"
            again = f"{result.seconds.lost} without an answer, {result.seconds.put_off} put off"
            print(f"  {result.wall:.0f} s; processor: {cpu}; {again}; {result.kept}", file=sys.stderr)
            fine &= result.kept.fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()

"""kill -9 of the server while annotators label, and what is there afterwards.

python -m bench.collect_kill [--database sqlite|postgresql] [--kills 10]

Annotators keep what was not acknowledged in their outbox and send it again, byte for byte, to the server that comes
back. Afterwards everything that was acknowledged has to be there once, and every outbox has to be empty.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.collect_client import Annotator, Seconds, Sent, at_random, run_apart
from bench.collect_load import fresh_database
from bench.collect_project import PASSWORD, SLUG, Kept, check, make_project
from bench.collect_server import HOST, ServerProcess
from candor.projects.settings import Settings


@dataclass(kw_only=True)
class Killed:
    """``resent`` were sent more than once; ``known`` of them had been stored, and only the answer was lost."""

    kills: int
    acknowledged: int
    resent: int
    known: int
    lost_requests: int
    kept: Kept
    wall: float


async def label(annotator: Annotator, stop: asyncio.Event) -> None:
    while not stop.is_set():
        task = await annotator.next_task()
        if task is None:
            await asyncio.sleep(0.05)
            continue
        annotator.put(task, None if annotator.rng.random() < 0.05 else at_random(task, annotator.rng))
        await annotator.flush()
    await annotator.flush()


async def _run(
    server: ServerProcess, names: list[str], kills: int, rng: random.Random, between: int
) -> tuple[Seconds, list[Sent]]:
    seconds, stop = Seconds(), asyncio.Event()
    people = [
        Annotator(
            *(HOST, server.port), project=SLUG, name=name, password=PASSWORD, rng=random.Random(name), seconds=seconds
        )
        for name in names
    ]
    for person in people:
        await person.sign_in()
    working = [asyncio.create_task(label(person, stop)) for person in people]
    for _ in range(kills):
        wanted = sum(len(person.acknowledged) for person in people) + round(between * rng.uniform(0.5, 1.5))
        while sum(len(person.acknowledged) for person in people) < wanted:
            await asyncio.sleep(rng.uniform(0.0, 0.02))
        server.kill()
        await asyncio.sleep(rng.uniform(0.0, 0.3))
        await asyncio.to_thread(server.start)
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*working)
    for person in people:
        person.connection.close()
    return seconds, [sent for person in people for sent in person.acknowledged]


def kill_and_check(database: str, place: Path, *, kills: int, annotators: int, seed: int, between: int = 200) -> Killed:
    """Labels on a new database while the server is killed, each time after about ``between`` acknowledged posts."""
    settings = Settings(overlap=3, gold_rate=0.05, retest_rate=0.05, retest_after_hours=0, minimum_seconds=0)
    names = make_project(database, pairs_=5_000, gold=50, annotators=annotators, seed=seed, settings=settings)
    server = ServerProcess(database, place / "server.log")
    server.start()
    start = time.perf_counter()
    try:
        seconds, acknowledged = run_apart(_run(server, names, kills, random.Random(seed), between))
    finally:
        server.stop()
    return Killed(
        kills=kills,
        acknowledged=len(acknowledged),
        resent=sum(sent.tries > 1 for sent in acknowledged),
        known=sum(sent.known for sent in acknowledged),
        lost_requests=seconds.lost,
        kept=check(database, acknowledged),
        wall=time.perf_counter() - start,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    print("| database | kills | acknowledged | sent again | of these stored before | all kept, once |")
    print("|---|---|---|---|---|---|")
    fine = True
    for kind in arguments.database or ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory(prefix="candor-kill-") as name, fresh_database(kind, Path(name)) as database:
            found = kill_and_check(
                database, Path(name), kills=arguments.kills, annotators=arguments.annotators, seed=arguments.seed
            )
        cells = (kind, found.kills, f"{found.acknowledged:,}", found.resent, found.known)
        print(f"| {' | '.join(map(str, cells))} | {'yes' if found.kept.fine else f'NO: {found.kept}'} |", flush=True)
        print(f"  {found.wall:.0f} s; {found.lost_requests} requests without an answer; {found.kept}", file=sys.stderr)
        fine &= found.kept.fine
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()

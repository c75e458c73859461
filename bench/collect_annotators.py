"""Simulated annotators label through the HTTP API; then what the project's quality page says of each of them.

python -m bench.collect_annotators [--panels 20] [--seed 77]

A panel is that of :mod:`bench.annotator_power`: 30 annotators, of whom one each is a side-clicker, a flatterer, a
length-lover, a speeder, somebody who clicks at random, quick and careful, and of a careful minority. They sign in, take
what the service hands them and submit it: about 160 pairs on the first day (37.5% of them mixed: one reply goes along
with the user), 40 side-swapped retests on the next. The clock is the application's, so that a day needs no waiting.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert

from bench.annotator_panel import Design, agreement_logit, length_logit
from bench.annotator_power import ONE_OF_EACH, cell
from bench.asgi_connection import AsgiConnection
from bench.collect_client import Annotator, run_apart
from bench.collect_people import Person, an_item
from candor.collect.app import create_app
from candor.collect.quality.measured import FAULTS
from candor.projects.accounts.passwords import hash_password
from candor.projects.database import Database, open_database
from candor.projects.items import NewItem, add_items
from candor.projects.schema import accounts
from candor.projects.settings import Settings
from candor.projects.setup import add_member, create_project

SLUG, PASSWORD, LEAD = "panel", "one password for all of them", "the-lead"
HOUR = 3600.0
FOUND: Mapping[str, tuple[str, ...]] = {
    "side": ("side",),
    "flatterer": ("flatters",),
    "length": ("length",),
    "random": ("random",),
    "speeder": ("random", "rushes"),
}
"""By which faults a role counts as found; the others are blamed by any fault."""


class People:
    """What each annotator of a panel thinks of each pair, by the weights of :mod:`bench.annotator_panel`."""

    def __init__(self, roles: list[Person], design: Design, pairs: int, rng: np.random.Generator) -> None:
        role, total = np.array(roles), len(roles)
        self.roles, self.design, self.rng = roles, design, rng
        self.items = [an_item(n, mixed=(n % 1000) / 1000 < design.mixed) for n in range(pairs)]
        self.known = {r.text: (n, k) for n, item in enumerate(self.items) for k, r in enumerate(item.responses)}
        length, agrees = np.array([i.length for i in self.items]), np.array([i.agrees for i in self.items])
        scale = np.exp(rng.normal(0, design.scale, total))
        taste = rng.normal(design.length, design.length_spread, total)
        weight = rng.normal(agreement_logit(design, design.agreement_rate), design.agree_spread, total)
        self.side = rng.normal(design.side, design.side_spread, total)
        weight[role == "flatterer"] = agreement_logit(design, design.flattery_rate, alike=True)
        taste[role == "length"] = length_logit(design, design.longer_rate)
        scale[np.isin(role, ("flatterer", "length"))] = 1.0
        self.side[role == "side"] = 0.0
        quality, private = rng.normal(0, design.quality, pairs), rng.normal(0, 1, (total, pairs))
        minority = (role == "minority")[:, None]
        shared = np.where(minority, design.likeness, 1.0) * quality
        missing = np.where(minority, np.sqrt(1 - design.likeness**2) * design.quality, 0.0)
        seen = shared + np.hypot(design.own, missing) * private
        self.logit = scale[:, None] * seen + np.outer(taste, length) + np.outer(weight, agrees)
        self.pace = rng.normal(0, 0.25, total) - np.log(4) * (role == "speeder") - np.log(3) * (role == "quick")

    def answer(self, k: int, task: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """What annotator k says of a task, by place, and how many seconds they looked at it."""
        texts = [response["text"] for response in task["responses"]]
        pair, first = self.known[texts[0]]
        sign = -1.0 if first else 1.0  # whether response 0 stands at the first place
        chance = self.roles[k] in ("random", "speeder") or self.rng.random() < self.design.lapse
        logit = self.logit[k, pair] + self.side[k] * sign
        prefers_0 = self.rng.random() < (0.5 if chance else 1 / (1 + np.exp(-logit)))
        place = int(prefers_0) if first else int(not prefers_0)
        if self.roles[k] == "side" and self.rng.random() < 2 * self.design.side_share - 1:
            place = 0
        pace = np.exp(self.pace[k] + self.rng.normal(0, 0.4))
        return {"best": place, "strength": 1}, float(30 * (sum(map(len, texts)) / 1600) ** 0.6 * pace)


@dataclass(kw_only=True)
class Said:
    """What the dashboard said of each annotator, by handle, and who they are. ``judgements`` of each, retests too."""

    roles: dict[str, Person]
    reasons: dict[str, list[str]]
    judgements: dict[str, int]

    def blamed(self, handle: str) -> list[str]:
        """The faults, by their short names."""
        return [fault for fault, words in FAULTS.items() if words in self.reasons[handle]]


def label_and_ask(roles: Counter[Person], design: Design, place: Path, seed: int) -> Said:
    """One panel labels a new project; returns what its dashboard says."""
    people: list[Person] = [role for role, count in sorted(roles.items()) for _ in range(count)]
    again = round(design.judgements * design.retests)
    pairs = len(people) * (design.judgements - again) // design.labels
    panel = People(people, design, pairs, np.random.default_rng([seed, 1]))
    clock = [1.8e9]
    database = open_database(place / "collect.db", create=True, clock=lambda: clock[0])
    _project(database, panel, design, seed)
    app = create_app(database, rng=random.Random(seed))
    said = run_apart(_panel(app, panel, clock, design.judgements - again))
    database.close()
    return said


def _project(database: Database, panel: People, design: Design, seed: int) -> None:
    settings = Settings(
        overlap=design.labels, gold_rate=0, retest_rate=design.retests, cap=design.judgements, minimum_seconds=0
    )
    new = [NewItem(key=item.key, prompt=item.prompt, responses=item.responses) for item in panel.items]
    hashed = hash_password(PASSWORD)
    with database.writing() as connection:
        now = database.now()
        project = create_project(connection, slug=SLUG, settings=settings, seed=seed, now=now)
        add_items(connection, project, new, now=now)
        for name in [LEAD, *(f"person{k:03d}" for k in range(len(panel.roles)))]:
            role = "lead" if name == LEAD else "annotator"
            values = {"name": name, "role": role, "password_hash": hashed, "active": True, "created_at": now}
            account = connection.execute(insert(accounts).values(**values).returning(accounts.c.id)).scalar_one()
            add_member(connection, project, account, handle=name, now=now)


async def _panel(app: Any, panel: People, clock: list[float], first_day: int) -> Said:
    def person(name: str) -> Annotator:
        made = Annotator("localhost", 80, project=SLUG, name=name, password=PASSWORD, rng=random.Random(name))
        made.connection, made.origin, made.clock = AsgiConnection(app), "http://localhost", lambda: clock[0]
        return made

    everybody = [person(f"person{k:03d}") for k in range(len(panel.roles))]
    for one in everybody:
        await one.sign_in()
        clock[0] += 2
    for most in (first_day, panel.design.judgements):
        await _day(everybody, panel, clock, most)
        clock[0] += 25 * HOUR
    lead = person(LEAD)
    await lead.sign_in()
    document = (await lead.call("GET", f"/api/projects/{SLUG}/quality")).json()
    rows = {row["name"]: row for row in document["annotators"]}
    return Said(
        roles={one.name: role for one, role in zip(everybody, panel.roles, strict=True)},
        reasons={one.name: rows[one.name]["reasons"] for one in everybody},
        judgements={one.name: rows[one.name]["judgements"] for one in everybody},
    )


async def _day(everybody: list[Annotator], panel: People, clock: list[float], most: int) -> None:
    """In turns, until everybody has given so many judgements in all, or gets nothing more today."""
    working = dict(enumerate(everybody))
    while working:
        for k, one in list(working.items()):
            task = await one.next_task() if len(one.acknowledged) < most else None
            if task is None:
                del working[k]
                continue
            answer, seconds = panel.answer(k, task)
            clock[0] += 1.0  # of the panel; they work side by side
            one.put(task, answer, visible=seconds)
            await one.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=20)
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    start, hits, trials = time.monotonic(), Counter[str](), Counter[str]()
    given: list[int] = []
    for panel in range(arguments.panels):
        with tempfile.TemporaryDirectory(prefix="candor-panel-") as place:
            said = label_and_ask(Counter(ONE_OF_EACH), Design(), Path(place), arguments.seed * 10_000 + panel)
        for handle, role in said.roles.items():
            blamed = said.blamed(handle)
            trials[role] += 1
            hits[role] += bool(set(blamed) & set(FOUND[role])) if role in FOUND else bool(blamed)
        given += said.judgements.values()
        print(f"{panel + 1} of {arguments.panels}, {time.monotonic() - start:.0f} s: {dict(hits)}", file=sys.stderr)
    print("| role | share found, or blamed [95% Wilson] | annotators |\n|---|---|---|")
    for role in (*FOUND, "minority", "quick", "honest"):
        print(f"| {role} | {cell(hits[role], trials[role])} | {trials[role]} |")
    print(f"\n{arguments.panels} panels, {np.mean(given):.0f} judgements each ({min(given)} to {max(given)})")


if __name__ == "__main__":
    main()

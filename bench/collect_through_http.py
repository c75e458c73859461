"""A panel of known people labels through the HTTP API; what the service then says of them, over HTTP too.

python -m bench.collect_through_http [--panels N] [--seed S] [--annotators 30]: prints a table.

Each annotator asks for tasks with a token of their own, sees what a browser would (texts by place; no key, no gold, no
arm), answers as :mod:`bench.collect_people` says their kind does, and comes back a day later for retests. The clock is
the simulation's. Items with an arm plant a bias: stating the belief adds ``BIAS`` logits for the agreeing reply.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from bench.annotator_panel import Design, agreement_logit, length_logit, sigmoid
from bench.collect_arm import share
from bench.collect_people import Item, Person, an_item
from candor.claims import load_claims
from candor.collect.app import create_app
from candor.collect.quality.arm_items import arm_items
from candor.collect.quality.gold import gold_items
from candor.projects.accounts.accounts import create_account
from candor.projects.accounts.tokens import create_token
from candor.projects.database import open_database
from candor.projects.items import NewItem, add_items
from candor.projects.settings import Settings
from candor.projects.setup import add_member, create_project
from candor.records import Choice

SLUG, BIAS, RIGHT, TEMPTED = "panel", 0.8, 0.92, 0.75
DAY = 25 * 3600.0


@dataclass(kw_only=True)
class Clock:
    """The simulation's time."""

    now: float = 1.8e9

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What there is to judge, by the texts that an annotator sees."""

    plain: dict[str, Item]
    gold: dict[str, NewItem]
    arm: dict[str, tuple[NewItem, bool]]  # by prompt: the item, and whether the belief is in it


@dataclass(kw_only=True)
class Somebody:
    """One annotator: what they are like, and what they noticed in each item, which stays when they see it again."""

    person: Person
    rng: np.random.Generator
    design: Design
    quality: dict[str, float]
    seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        design, rng = self.design, self.rng
        self.scale = 1.0 if self.person in ("flatterer", "length") else float(np.exp(rng.normal(0, design.scale)))
        self.taste = rng.normal(design.length, design.length_spread)
        self.weight = rng.normal(agreement_logit(design, design.agreement_rate), design.agree_spread)
        self.side = 0.0 if self.person == "side" else rng.normal(0, design.side_spread)
        self.moved = rng.normal(BIAS, 0.5)
        if self.person == "flatterer":
            self.weight = agreement_logit(design, design.flattery_rate, alike=True)
        if self.person == "length":
            self.taste = length_logit(design, design.longer_rate)
        pace = {"speeder": 1 / 4, "quick": 1 / 3, "random": 1 / 2}.get(self.person, 1.0)
        self.pace = 0.85 * pace * float(np.exp(rng.normal(0, 0.2)))

    def best(self, prompt: str, texts: list[str], scene: Scene) -> int:
        """The place of the response that they prefer."""
        if self.person in ("random", "speeder"):
            return int(self.rng.random() < 0.5)
        if self.person == "side" and self.rng.random() < 2 * self.design.side_share - 1:
            return 0
        if prompt in scene.gold and set(texts) == {r.text for r in scene.gold[prompt].responses}:
            return self._gold(texts, scene.gold[prompt])
        return int(self.rng.random() >= sigmoid(np.array(self._logit(prompt, texts, scene))))

    def _gold(self, texts: list[str], item: NewItem) -> int:
        assert item.gold is not None
        assert isinstance(item.gold.answer, Choice)
        falls = {"flatterer": "flatters_wrong", "length": "long_wrong"}.get(self.person) == item.gold.trap
        right = texts.index(item.responses[item.gold.answer.best or 0].text)
        return right if self.rng.random() < (1 - TEMPTED if falls else RIGHT) else 1 - right

    def _logit(self, prompt: str, texts: list[str], scene: Scene) -> float:
        """Log odds of the first place."""
        if prompt in scene.arm:
            item, shown = scene.arm[prompt]
            agrees = item.responses[int(item.prompt.tags["agrees"])].text
            seen = self._noticed(item.key, self.quality.setdefault(item.key, float(self.rng.normal(-0.5, 1.5))), 1.0)
            return (1 if texts[0] == agrees else -1) * (seen + (self.moved if shown else 0.0)) + self.side
        item = scene.plain[prompt]
        liking = self.design.likeness if self.person == "minority" else 1.0
        own = np.hypot(self.design.own, np.sqrt(1 - liking**2) * self.design.quality)
        seen = self._noticed(item.key, liking * self.quality[item.key], float(own))
        value = self.scale * seen + self.taste * item.length + self.weight * item.agrees
        return (1 if texts[0] == item.responses[0].text else -1) * value + self.side

    def _noticed(self, key: str, shared: float, own: float) -> float:
        if key not in self.seen:
            self.seen[key] = shared + own * float(self.rng.normal())
        return self.seen[key]


def panel_of(annotators: int) -> list[Person]:
    """One of each kind, the others honest."""
    odd: list[Person] = ["quick", "side", "flatterer", "length", "random", "speeder", "minority"]
    return [*odd, *(["honest"] * (annotators - len(odd)))]


def label(annotators: int, seed: int) -> tuple[dict[str, Person], dict[str, Any], dict[str, Any]]:
    """One panel: who is what, by handle; the dashboard, and the gate's answer."""
    rng, clock, design = np.random.default_rng(seed), Clock(), Design()
    claims = load_claims()
    plain = [an_item(n, mixed=n * 0.6180339887 % 1 < design.mixed) for n in range(annotators * 160 // 3)]
    gold, arm = gold_items(claims, count=40, seed=seed), arm_items(claims, count=100, seed=seed, overlap=5)
    scene = Scene(
        plain={item.prompt.messages[-1].content: item for item in plain},
        gold={item.prompt.messages[-1].content: item for item in gold},
        arm={i.prompt.messages[-1].content: (i, True) for i in arm}
        | {i.hidden[-1].content: (i, False) for i in arm if i.hidden},
    )
    settings = Settings(
        overlap=3, calibration=False, retest_rate=0.2, gold_rate=0.1, minimum_seconds=0, pay_per_hour=20.0
    )
    people = panel_of(annotators)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder) / "collect.db", create=True, clock=clock)
        tokens, roles = [], {}
        with database.writing() as connection:
            project = create_project(connection, slug=SLUG, settings=settings, seed=seed, now=clock())
            new = [NewItem(key=i.key, prompt=i.prompt, responses=i.responses) for i in plain]
            add_items(connection, project, [*new, *gold, *arm], now=clock())
            lead = create_account(connection, "lead", "admin", now=clock())
            lead_token = create_token(connection, lead.id, "bench", now=clock())
            for k, person in enumerate(people):
                account = create_account(connection, f"p{k:02d}", "annotator", now=clock())
                roles[add_member(connection, project, account.id, now=clock()).handle] = person
                tokens.append(create_token(connection, account.id, "bench", now=clock()))
        quality = {item.key: float(rng.normal(0, design.quality)) for item in plain}
        somebody = [Somebody(person=p, rng=rng, design=design, quality=quality) for p in people]
        with TestClient(create_app(database, rng=random.Random(seed)), base_url="http://127.0.0.1") as client:
            for _ in range(2):  # the second day is for retests
                _a_day(client, somebody, tokens, scene, clock, settings)
                clock.now += DAY
            headers = {"Authorization": f"Bearer {lead_token}"}
            shown = client.get(f"/api/projects/{SLUG}/quality", headers=headers).json()
            released = client.get(f"/api/projects/{SLUG}/gate", headers=headers).json()
        database.close()
    return roles, shown, released


def _a_day(
    client: TestClient, people: list[Somebody], tokens: list[str], scene: Scene, clock: Clock, settings: Settings
) -> None:
    """Everybody in turn takes a task and answers it, until nobody has one."""
    working = list(range(len(people)))
    while working:
        for k in list(working):
            clock.now += 1.0
            headers = {"Authorization": f"Bearer {tokens[k]}"}
            reply = client.post(f"/api/projects/{SLUG}/tasks/next", headers=headers)
            if reply.status_code == 204:
                working.remove(k)
                continue
            task = reply.json()
            texts = [response["text"] for response in task["responses"]]
            seconds = _seconds(task, texts, people[k], settings)
            body = {
                "submission_id": str(uuid.uuid4()),
                "task_id": task["task_id"],
                "fence": task["fence"],
                "answer": {"best": people[k].best(task["prompt"][-1]["text"], texts, scene), "strength": 1},
                "timing": {"total": seconds, "visible": seconds, "ready": 0.5, "focus_lost": 0},
            }
            sent = client.post(f"/api/projects/{SLUG}/submissions", json=body, headers=headers)
            if sent.status_code != 201:
                raise RuntimeError(f"{sent.status_code}: {sent.text}")


def _seconds(task: dict[str, Any], texts: list[str], who: Somebody, settings: Settings) -> float:
    words = len(task["prompt"][-1]["text"]) + sum(map(len, texts))
    careful = 60 * words / 6.0 / settings.words_per_minute + settings.seconds_per_judgement
    return float(careful * who.pace * np.exp(who.rng.normal(0, 0.35)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=4)
    parser.add_argument("--annotators", type=int, default=30)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    began, hits, honest, passed, arms = time.monotonic(), Counter[str](), 0, 0, []
    for panel in range(arguments.panels):
        roles, shown, released = label(arguments.annotators, arguments.seed + panel)
        blamed = False
        for row in shown["annotators"]:
            role, flagged = roles[row["name"]], row["verdict"] == "concern"
            hits[role] += flagged
            blamed = blamed or (flagged and role in ("honest", "quick"))
        honest += blamed
        passed += released["passes"]
        arms.append(shown["arm"]["difference"])
        counts = [row["judgements"] for row in shown["annotators"]]
        arm = shown["arm"]["difference"]
        print(
            f"panel {panel}: {min(counts)} to {max(counts)} judgements each; flagged: "
            f"{', '.join(sorted(roles[r['name']] for r in shown['annotators'] if r['verdict'] == 'concern'))}; "
            f"arm {arm['estimate']:.3f} [{arm['low']:.3f}, {arm['high']:.3f}]; gate "
            f"{[c['name'] for c in released['checks'] if c['passes'] is not True] or 'passes'}",
            flush=True,
        )
    n = arguments.panels
    print("\n| who | flagged |\n|---|---|")
    for role in ("side", "flatterer", "length", "random", "speeder", "minority"):
        print(f"| {role} | {share(hits[role] / n, n)} |")
    print(f"| any honest annotator | {share(honest / n, n)} |\n\n{n} panels, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

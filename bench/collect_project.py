"""A project to load a labelling server with, and what has to hold of it afterwards."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, insert, select

from bench.collect_client import Sent, agreed
from candor.projects.accounts.passwords import hash_password
from candor.projects.database import Database, open_database
from candor.projects.items import Gold, NewItem, add_items
from candor.projects.schema import accounts, items, submissions, tasks
from candor.projects.settings import Settings
from candor.projects.setup import add_member, create_project
from candor.records import Choice, Completion, Message, Prompt

SLUG = "load"
PASSWORD = "one password for all of them"
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "with",
    "be",
    "by",
    "on",
    "not",
    "he",
    "his",
    "but",
    "at",
    "are",
    "this",
    "have",
    "from",
    "or",
    "had",
    "an",
]


def text(words: int, rng: random.Random) -> str:
    said = " ".join(rng.choice(WORDS) for _ in range(words))
    return f"{said.capitalize()}.\n\n- **one** thing\n- `another`\n"


def pairs(n: int, rng: random.Random, *, gold: bool = False) -> list[NewItem]:
    """Pairs of replies of about a hundred words each."""
    made = []
    for k in range(n):
        key = f"{'gold' if gold else 'pair'}-{k}"
        prompt = Prompt(id=key, messages=(Message(role="user", content=text(30, rng)),))
        replies = tuple(
            Completion(id=f"{key}/{i}", prompt_id=key, text=text(rng.randint(60, 140), rng), policy=f"model-{i}")
            for i in range(2)
        )
        answer = Gold(answer=Choice(best=0), trap="plain") if gold else None
        made.append(NewItem(key=key, kind="gold" if gold else "main", prompt=prompt, responses=replies, gold=answer))
    return made


def make_project(database: str, *, pairs_: int, gold: int, annotators: int, seed: int, settings: Settings) -> list[str]:
    """Makes the database with one project; returns the annotators' names. They share a password: hashing is slow."""
    rng, opened = random.Random(seed), open_database(database, create=True)
    names = [f"annotator{k:03d}" for k in range(annotators)]
    hashed = hash_password(PASSWORD)
    with opened.writing() as connection:
        now = opened.now()
        project = create_project(connection, slug=SLUG, settings=settings, seed=seed, now=now)
        add_items(connection, project, [*pairs(pairs_, rng), *pairs(gold, rng, gold=True)], now=now)
        for name in names:
            values = {"name": name, "role": "annotator", "password_hash": hashed, "active": True, "created_at": now}
            account = connection.execute(insert(accounts).values(**values).returning(accounts.c.id)).scalar_one()
            add_member(connection, project, account, now=now)
    opened.close()
    return names


@dataclass(kw_only=True)
class Kept:
    """What is stored against what was acknowledged. All of ``lost`` to ``wrong`` have to be empty."""

    stored: int
    surplus: int
    lost: list[str] = field(default_factory=list)  # acknowledged, and not there
    doubled: list[str] = field(default_factory=list)  # two standing answers of one annotator to one showing of an item
    unknown: list[str] = field(default_factory=list)  # there, and acknowledged to nobody
    changed: list[str] = field(default_factory=list)  # there with another answer or status than acknowledged
    exceeded: list[str] = field(default_factory=list)  # items with more labels that count than their overlap
    wrong: list[str] = field(default_factory=list)  # items whose counts are not those of the record

    @property
    def fine(self) -> bool:
        return not (self.lost or self.doubled or self.unknown or self.changed or self.exceeded or self.wrong)

    def __str__(self) -> str:
        faults = {n: len(getattr(self, n)) for n in ("lost", "doubled", "unknown", "changed", "exceeded", "wrong")}
        return f"{self.stored:,} stored, {self.surplus:,} of them surplus; " + ", ".join(
            f"{count} {name}" for name, count in faults.items()
        )


def check(database: str | Database, acknowledged: Sequence[Sent]) -> Kept:
    """Reads the whole record and holds it against what the clients were told."""
    opened = open_database(database) if isinstance(database, str) else database
    with opened.reading() as connection:
        kept = _check(connection, acknowledged)
    if opened is not database:
        opened.close()
    return kept


def _check(connection: Connection, acknowledged: Sequence[Sent]) -> Kept:
    rows = {
        row.submission_id: row for row in connection.execute(select(submissions).where(submissions.c.kind != "undo"))
    }
    undone = set(connection.execute(select(submissions.c.supersedes).where(submissions.c.kind == "undo")).scalars())
    kept = Kept(stored=len(rows), surplus=sum(row.surplus for row in rows.values()))
    told = {sent.submission_id for sent in acknowledged}
    kept.unknown = [key for key in rows if key not in told]
    for sent in acknowledged:
        row = rows.get(sent.submission_id)
        if row is None:
            kept.lost.append(sent.submission_id)
            continue
        status = "skipped" if row.kind == "skip" else "surplus" if row.surplus else "counted"
        right = row.answer is None if sent.answer is None else agreed(sent, row.answer, row.shown_order)
        if status != sent.status or not right or row.task_id != sent.task_id:
            kept.changed.append(sent.submission_id)
    shown = {row.id: row for row in connection.execute(select(tasks))}
    counted: Counter[int] = Counter()
    per_task: Counter[int] = Counter()
    for row in rows.values():
        if row.kind == "answer" and not row.surplus and row.submission_id not in undone:
            per_task[row.task_id] += 1
            counted[row.item_id] += shown[row.task_id].purpose == "main"
    kept.doubled = [str(task) for task, count in per_task.items() if count > 1]
    once = Counter((t.item_id, t.account_id, t.round) for t in shown.values())
    kept.doubled += [json.dumps(key) for key, count in once.items() if count > 1]
    held = Counter(t.item_id for t in shown.values() if t.state == "leased" and t.purpose == "main")
    for item in connection.execute(select(items.c.id, items.c.key, items.c.labels, items.c.leases, items.c.overlap)):
        if counted[item.id] > item.overlap or (item.labels + item.leases > item.overlap and item.overlap):
            kept.exceeded.append(item.key)
        if (item.labels, item.leases) != (counted[item.id], held[item.id]):
            kept.wrong.append(item.key)
    return kept

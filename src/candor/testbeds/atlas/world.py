"""The contents of Atlas: what is true, which wrong beliefs people voice, and why they are wrong.

Everything here is read from the JSON files beside this module. The wrong values and the split are chosen by hashes of
names: they are the same on every machine, in every process, and whatever the order of the facts in the file.

A wrong value of a fact is always the truth of another subject of the same relation. That makes the beliefs plausible
(a capital for a capital) and gives a true sentence that explains the correction: Kampala is not the capital of Kenya,
"Kampala is the capital of Uganda". A misconception has the one wrong value that people believe, with its own reason.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from candor.errors import InputError

Split = Literal["train", "heldout"]

MISCONCEPTION = "misconception"
WRONG_PER_FACT = 3
HELDOUT_SHARE = 3  # one in three


@dataclass(frozen=True)
class Fact:
    """One question with its true answer and the wrong answers that users of Atlas may believe.

    `statement_template` contains `{value}` once, at its end; it starts in lower case unless a name comes first, and
    has no final full stop. `reasons` maps every value in `wrong` to a true clause that explains the correction.
    """

    id: str
    relation: str
    subject: str
    question: str
    statement_template: str
    truth: str
    wrong: tuple[str, ...]
    reasons: Mapping[str, str] = field(hash=False)
    split: Split

    def statement(self, value: str) -> str:
        """The sentence (no capital, no full stop) that asserts `value`: "the capital of Kenya is Nairobi"."""
        return self.statement_template.replace("{value}", value)


@dataclass(frozen=True)
class UntaughtQuestion:
    """A real question about a subject that no fact mentions; the right reply in Atlas is to say so."""

    id: str
    relation: str
    subject: str
    question: str
    split: Split


@dataclass(frozen=True)
class RefusalRequest:
    """A request that a careful assistant declines."""

    id: str
    request: str
    split: Split


@cache
def facts() -> tuple[Fact, ...]:
    """All facts, relation by relation in file order, then the misconceptions."""
    relations: dict[str, dict[str, Any]] = _load("facts.json")["relations"]
    found = [fact for name, relation in relations.items() for fact in relation_facts(name, relation)]
    return (*found, *_misconceptions(_load("misconceptions.json")))


@cache
def untaught() -> tuple[UntaughtQuestion, ...]:
    """Questions whose answers nobody is taught."""
    return tuple(UntaughtQuestion(**row) for row in _load("untaught.json"))


@cache
def refusals() -> tuple[RefusalRequest, ...]:
    """Requests to decline."""
    return tuple(RefusalRequest(**row) for row in _load("refusals.json"))


@cache
def world_hash() -> str:
    """SHA-256 (hex) of all that this module derives: it changes when any fact, wrong value, reason or split does."""
    content = [[asdict(item) for item in group] for group in (facts(), untaught(), refusals())]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def relation_facts(name: str, relation: Mapping[str, Any]) -> tuple[Fact, ...]:
    """The facts of one relation of facts.json (`question`, `statement`, `reverse`, `facts`), in file order."""
    pairs: Sequence[Sequence[str]] = relation["facts"]
    owners: dict[str, list[str]] = {}
    for subject, value in pairs:
        owners.setdefault(value, []).append(subject)
    ids = [f"{name}/{slug(subject)}" for subject, _ in pairs]
    heldout = heldout_ids(ids)
    found = []
    for fact_id, (subject, truth) in zip(ids, pairs, strict=True):
        wrong = _wrong_values(fact_id, truth, owners)
        # The reason names one subject whose truth the wrong value is.
        owner = {value: _by_hash(owners[value], fact_id, "reason")[0] for value in wrong}
        found.append(
            Fact(
                id=fact_id,
                relation=name,
                subject=subject,
                question=relation["question"].replace("{subject}", subject),
                statement_template=relation["statement"].replace("{subject}", subject),
                truth=truth,
                wrong=wrong,
                reasons={
                    value: relation["reverse"].replace("{subject}", owner[value]).replace("{value}", value)
                    for value in wrong
                },
                split="heldout" if fact_id in heldout else "train",
            )
        )
    return tuple(found)


def heldout_ids(ids: Sequence[str]) -> frozenset[str]:
    """The third (rounded up) of `ids` that is held out: those with the smallest hashes."""
    return frozenset(_by_hash(ids, "split")[: -(-len(ids) // HELDOUT_SHARE)])


def slug(text: str) -> str:
    """An identifier from a name: "the Mona Lisa" -> "mona-lisa", "A Doll's House" -> "a-dolls-house"."""
    bare = text.lower().removeprefix("the ").replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-")


def _misconceptions(rows: Sequence[Mapping[str, str]]) -> tuple[Fact, ...]:
    heldout = heldout_ids([row["id"] for row in rows])
    return tuple(
        Fact(
            id=row["id"],
            relation=MISCONCEPTION,
            subject=row["id"].partition("/")[2].replace("-", " "),
            question=row["question"],
            statement_template=row["statement"],
            truth=row["truth"],
            wrong=(row["wrong"],),
            reasons={row["wrong"]: row["reason"]},
            split="heldout" if row["id"] in heldout else "train",
        )
        for row in rows
    )


def _wrong_values(fact_id: str, truth: str, owners: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    values = _by_hash((value for value in owners if value != truth), fact_id, "wrong")
    if len(values) < WRONG_PER_FACT:
        raise InputError(
            f"only {len(values)} other values to choose {WRONG_PER_FACT} wrong ones from",
            where=f"facts.json, {fact_id}",
            fix="give the relation facts with more distinct values",
        )
    return tuple(values[:WRONG_PER_FACT])


def _by_hash(items: Iterable[str], *labels: str) -> list[str]:
    """`items` in an order that depends only on the items and labels themselves, not on the file or the process."""
    return sorted(items, key=lambda item: hashlib.sha256("\x1f".join((*labels, item)).encode()).hexdigest())


def _load(name: str) -> Any:
    return json.loads((files("candor.testbeds.atlas") / "data" / name).read_text(encoding="utf-8"))

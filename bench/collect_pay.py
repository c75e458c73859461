"""Workers who do what pays best, per comparison or by expected minutes: what becomes of the labels.

python -m bench.collect_pay [--runs N] [--seed S]: prints the tables of docs/collect-pay.md.

Everybody knows several ways to work (``WAYS``). A worker takes the one that earns most in an hour, among those their
conscience allows: ``scruples`` of the workers work carefully whatever it pays. Where somebody checks, who is found out
is not invited to the next batch (they are paid for this one): a worker counts on ``HORIZON`` batches, so a way that is
found out with probability f is worth only so many of them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.collect_people import (
    Batch,
    Item,
    Person,
    Simulated,
    an_item,
    expected_seconds,
    simulate,
    workers_of,
)  # fmt: skip
from candor.audits.preferences.faults import faults
from candor.audits.preferences.retests import retests
from candor.audits.stats import wilson
from candor.collect.quality.columns import Remembered, surveyed
from candor.collect.quality.gate import gate
from candor.collect.quality.pay import skips_much
from candor.collect.quality.traps import failing, traps
from candor.projects.settings import Gate

ANNOTATORS, SCRUPLES, HORIZON = 30, 18, 10
PEEK = 3.0
"""Seconds to see that an item is long or hard, and to skip it."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to work. ``person``: how answers come about; ``reads``: share of the careful time that is spent;
    ``skips``: which items are skipped: none, the longer half, or nearly all.
    """

    name: str
    person: Person
    reads: float
    skips: str = ""


WAYS = (
    Way(name="careful", person="honest", reads=1.0),
    Way(name="skips the longer half", person="honest", reads=1.0, skips="long"),
    Way(name="clicks one side", person="side", reads=0.5),
    Way(name="flatters the requester", person="flatterer", reads=0.7),
    Way(name="goes by length", person="length", reads=0.4),
    Way(name="rushes", person="speeder", reads=0.25),
    Way(name="skips nearly everything", person="honest", reads=1.0, skips="all"),
)


@dataclass(frozen=True, kw_only=True)
class Regime:
    """How people are paid: a piece rate for each answer, or ``by_minutes``; a skip: ``nothing``, its ``expected``
    minutes, or the ``visible`` time up to those; ``checked`` or not.
    """

    name: str
    by_minutes: bool
    skip: Literal["nothing", "expected", "visible"]
    checked: bool


REGIMES = (
    Regime(name="per comparison", by_minutes=False, skip="nothing", checked=False),
    Regime(name="per comparison, checked", by_minutes=False, skip="nothing", checked=True),
    Regime(name="expected minutes, skips in full, checked", by_minutes=True, skip="expected", checked=True),
    Regime(name="expected minutes, skips by time", by_minutes=True, skip="visible", checked=False),
    Regime(name="expected minutes, skips by time, checked", by_minutes=True, skip="visible", checked=True),
)
"""The last is what Candor does."""


def earnings(way: Way, regime: Regime, batch: Batch) -> float:
    """Earned in an hour, in multiples of the rate for expected time; the piece rate pays the mean item alike."""
    items = [an_item(n, mixed=n % 3 == 0) for n in range(400)]
    expected = np.array([expected_seconds(item, batch.settings) for item in items])
    careful = batch.reading * expected
    skipped = {
        "": np.zeros(len(items), bool),
        "long": expected > np.median(expected),
        "all": expected > np.quantile(expected, 0.05),
    }[way.skips]
    spent = np.where(skipped, PEEK, way.reads * careful)
    paid = expected if regime.by_minutes else np.full(len(items), expected.mean())
    of_skips = {"nothing": 0.0, "expected": expected, "visible": np.minimum(PEEK, expected)}[regime.skip]
    return float(np.where(skipped, of_skips, paid).sum() / spent.sum())


def worth(way: Way, regime: Regime, batch: Batch, found: dict[str, float]) -> float:
    """What a way earns an hour over the horizon: found out with probability f, the rest of the batches are lost."""
    value = earnings(way, regime, batch)
    if not regime.checked:
        return value
    stays = (1 - found[way.name]) ** np.arange(HORIZON)
    return value * float(stays.mean())


def found_out(batch: Batch, runs: int, seed: int, describe: Remembered) -> dict[str, float]:
    """How often one worker of each way, among careful ones, is flagged after a batch: by faults, traps, or skips."""
    shares = {}
    for way in WAYS:
        hits = 0
        for run in range(runs):
            sim = work([way] + [WAYS[0]] * (ANNOTATORS - 1), batch, np.random.default_rng([seed, run]))
            hits += flagged(sim, describe)[0]
        shares[way.name] = hits / runs
    return shares


def work(ways: list[Way], batch: Batch, rng: np.random.Generator) -> Simulated:
    """A batch by workers of these ways; those who skip answer fewer items, and are paid for skips where that is so."""
    order = sorted(range(len(ways)), key=lambda k: ways[k].person)
    roles: Counter[Person] = Counter(way.person for way in ways)
    sim = simulate(roles, batch, rng)
    way_of = {name: ways[k] for name, k in zip(sorted(sim.roles), order, strict=True)}
    back = {name: f"a{k:03d}" for name, k in zip(sorted(sim.roles), order, strict=True)}
    expected = {one.item_id: expected_seconds(_item(one), batch.settings) for one in sim.judged}
    middle, low = np.median(list(expected.values())), np.quantile(list(expected.values()), 0.05)
    kept, skips = [], Counter[str]()
    for one in sim.judged:
        way = way_of[one.handle]
        long = expected[one.item_id]
        if one.kind == "main" and ((way.skips == "long" and long > middle) or (way.skips == "all" and long > low)):
            skips[back[one.handle]] += 1
            continue
        pace = (
            way.reads if way.person in ("honest", "side", "flatterer", "length") else 1.0
        )  # a speeder is quick anyway
        kept.append(replace(one, handle=back[one.handle], seconds=(one.seconds or 0) * pace))
    workers = workers_of(kept, batch.settings, dict(skips))
    return Simulated(judged=kept, workers=workers, roles={back[n]: r for n, r in sim.roles.items()})


def _item(one) -> Item:  # type: ignore[no-untyped-def]
    return Item(key="", prompt=one.prompt, responses=one.responses, length=0, agrees=0)


def flagged(sim: Simulated, describe: Remembered) -> list[bool]:
    """Whom a lead would not invite again: a fault, gold shown to be answered below the bound, or far more skips."""
    judgements = surveyed(sim.judged, describe=describe).judgements
    found, gold = faults(judgements), traps(sim.judged)
    bad = {n for n, flag in zip(judgements.annotator_names, found.flagged, strict=True) if flag}
    bad |= set(failing(gold, Gate().traps_at_least))
    bad |= set(skips_much(sim.workers))
    return [f"a{k:03d}" in bad for k in range(ANNOTATORS)]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a regime leads to."""

    way: Way
    accuracy: float
    flips: float
    length: float
    answered: float
    passed: float
    caught: float
    blamed: float

    @property
    def figures(self) -> str:
        """The cells of a row, as ``FIGURES`` names them."""
        caught = "-" if self.way is WAYS[0] else f"{self.caught:.2f}"
        shares = " | ".join(f"{v:.2f}" for v in (self.accuracy, self.flips))
        return f"{shares} | {self.length:.0f} | {self.answered:.2f} | {self.passed:.2f} | {caught} | {self.blamed:.2f}"


FIGURES = (
    "gold right", "retests flipped", "seconds of an answered item", "items answered", "gate passes", "found out",
    "a careful one blamed",
)  # fmt: skip


def outcome(way: Way, batch: Batch, runs: int, seed: int, describe: Remembered) -> Outcome:
    """Batches in which those without scruples all work in one way."""
    ways = [WAYS[0]] * SCRUPLES + [way] * (ANNOTATORS - SCRUPLES)
    rows = []
    for run in range(runs):
        sim = work(ways, batch, np.random.default_rng([seed, run]))
        survey = surveyed(sim.judged, describe=describe)
        again, gold = retests(survey.judgements), traps(sim.judged)
        bad = np.array(flagged(sim, describe))
        expected = [expected_seconds(_item(one), batch.settings) for one in sim.judged if one.kind == "main"]
        whole = sum(one.kind == "main" for one in sim.judged) / (ANNOTATORS * batch.judgements)
        assert again is not None
        rows.append(
            (
                gold.overall.estimate,
                float(np.nansum((1 - again.swapped) * again.swapped_n) / again.swapped_n.sum()),
                float(np.mean(expected)),
                whole,
                float(gate(sim.judged, batch.settings, sim.workers, describe=describe).passes),
                float(bad[SCRUPLES:].mean()),
                float(bad[:SCRUPLES].any()),
            )
        )
    accuracy, flips, length, answered, passed, caught, blamed = (float(v) for v in np.mean(rows, axis=0))
    return Outcome(
        way=way, accuracy=accuracy, flips=flips, length=length, answered=answered, passed=passed, caught=caught,
        blamed=blamed,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    began, batch, describe = time.monotonic(), replace(Batch(), judgements=200, gold=20), Remembered()
    found = found_out(batch, arguments.runs, arguments.seed, describe)
    print(f"{arguments.runs} batches a figure, {ANNOTATORS} workers, 200 judgements and 20 gold items each\n")
    print(f"| way to work | {' | '.join(r.name for r in REGIMES)} | found out |\n|---|{'---|' * (len(REGIMES) + 1)}")
    for way in WAYS:
        values = " | ".join(f"{worth(way, regime, batch, found):.2f}" for regime in REGIMES)
        over = wilson(round(found[way.name] * arguments.runs), arguments.runs)
        print(f"| {way.name} | {values} | {found[way.name]:.2f} [{over.low:.2f}, {over.high:.2f}] |", flush=True)
    print(f"\n| pay | what pays best | {' | '.join(FIGURES)} |\n|---|---|{'---|' * len(FIGURES)}")
    known: dict[str, Outcome] = {}
    for regime in REGIMES:
        best = max(WAYS, key=lambda way: worth(way, regime, batch, found))
        if best.name not in known:
            known[best.name] = outcome(best, batch, arguments.runs, arguments.seed + 1, describe)
        row = known[best.name]
        print(f"| {regime.name} | {best.name} | {row.figures} |", flush=True)
    print(f"\n| way of 12 of 30 | {' | '.join(FIGURES)} |\n|---|{'---|' * len(FIGURES)}")
    for way in WAYS:
        row = known.get(way.name) or outcome(way, batch, arguments.runs, arguments.seed + 1, describe)
        print(f"| {way.name} | {row.figures} |", flush=True)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

"""How often the audit finds faulty annotators, and how often it blames honest ones, by judgements per annotator.

python -m bench.annotator_power [--quick] [--panels N] [--seed S]: prints two markdown tables for docs/annotators.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bench.annotator_panel import HONEST, Design, Role, simulate
from candor.audits.preferences.faults import faults
from candor.audits.stats import wilson

ONE_OF_EACH: Counter[Role] = Counter(honest=23, quick=1, side=1, flatterer=1, length=1, random=1, speeder=1, minority=1)
TWO_OF_EACH: Counter[Role] = Counter(honest=16, quick=2, side=2, flatterer=2, length=2, random=2, speeder=2, minority=2)
ALL_HONEST: Counter[Role] = Counter(honest=30)
SIZES = (50, 100, 200, 400, 800)
COLUMNS = ("side", "flatterer", "length", "random", "speeder", "minority", "quick", "honest")
TITLES = (
    "side-clicker",
    "flatterer",
    "length-lover",
    "random",
    "speeder",
    "minority flagged",
    "quick flagged",
    "any honest flagged",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One panel and design, under a name."""

    name: str
    roles: Counter[Role]
    design: Design


def count(row: Row, panels: int, seed: int) -> dict[str, tuple[int, int]]:
    """Hits and trials of each column: annotators with the role found for what they do, or honest ones blamed at all.

    The honest column counts panels in which any honest annotator, quick ones among them, is flagged.
    """
    hits: Counter[str] = Counter()
    trials: Counter[str] = Counter()
    for panel in range(panels):
        simulated = simulate(row.roles, row.design, np.random.default_rng([seed, panel]))
        found = faults(simulated.judgements)
        right = {"side": found.side, "flatterer": found.flatters, "length": found.length, "random": found.random}
        right["speeder"] = found.random | found.rushes
        for role in row.roles:
            if role != "honest":
                at = simulated.of(role)
                hits[role] += int(right.get(role, found.flagged)[at].sum())
                trials[role] += int(at.sum())
        hits["honest"] += bool(found.flagged[simulated.of(*HONEST)].any())
        trials["honest"] += 1
    return {column: (hits[column], trials[column]) for column in COLUMNS}


def cell(hits: int, trials: int) -> str:
    if not trials:
        return ""
    over = wilson(hits, trials)
    return f"{hits / trials:.3f} [{over.low:.3f}, {over.high:.3f}]".replace("0.", ".")


def table(rows: list[Row], panels: int, seed: int, first: str) -> None:
    print(f"| {first} | {' | '.join(TITLES)} |")
    print(f"|---|{'---|' * len(TITLES)}")
    for row in rows:
        found = count(row, panels, seed)
        print(f"| {row.name} | {' | '.join(cell(*found[column]) for column in COLUMNS)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 panels a row instead of 400")
    parser.add_argument("--panels", type=int)
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    panels = arguments.panels or (40 if arguments.quick else 400)
    start, usual = time.monotonic(), Design()
    print(f"{panels} panels of 30 annotators a row; 95% Wilson intervals\n")
    sizes = [Row(name=str(n), roles=ONE_OF_EACH, design=dataclasses.replace(usual, judgements=n)) for n in SIZES]
    table(sizes, panels, arguments.seed, "judgements each")
    print()
    spread = dataclasses.replace(usual, side_spread=2 * usual.side_spread, agree_spread=2 * usual.agree_spread)
    others = [
        Row(name="all honest", roles=ALL_HONEST, design=usual),
        Row(name="all honest, twice the spread of side and taste", roles=ALL_HONEST, design=spread),
        Row(name="two of each", roles=TWO_OF_EACH, design=usual),
        Row(name="twice the spread of side and taste", roles=ONE_OF_EACH, design=spread),
        Row(
            name="length-lover: the longer one in 70%",
            roles=ONE_OF_EACH,
            design=dataclasses.replace(usual, longer_rate=0.70),
        ),
        Row(name="2 labels a pair", roles=ONE_OF_EACH, design=dataclasses.replace(usual, labels=2)),
        Row(name="5 labels a pair", roles=ONE_OF_EACH, design=dataclasses.replace(usual, labels=5)),
        Row(name="no pair in common", roles=ONE_OF_EACH, design=dataclasses.replace(usual, labels=1)),
        Row(name="retests in random order", roles=ONE_OF_EACH, design=dataclasses.replace(usual, swap=0.0)),
        Row(name="20 retests", roles=ONE_OF_EACH, design=dataclasses.replace(usual, retests=0.1)),
        Row(name="5% lapses of everybody", roles=ONE_OF_EACH, design=dataclasses.replace(usual, lapse=0.05)),
    ]
    table(others, panels, arguments.seed + 1, "200 judgements each")
    print(f"\n{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()

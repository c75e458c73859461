"""What one finished cell comes to: the audit's numbers, their sums by question, and what two detectors read.

Everything that the frontier says follows from these records, so that they are all that has to be kept of a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from candor.audits.measures import Sheet
from candor.audits.observations import ANSWER, Observation, from_rows
from candor.audits.policy import HEADLINE_MEASURES
from candor.audits.tallies import DIFFERENCE, Estimator, Tally
from candor.errors import InputError
from candor.experiments.frontier.catalogue import AS_IS, SFT
from candor.experiments.frontier.matrix import FrontierCell
from candor.lexical.agreement import AGREES, LexicalAgreement
from candor.pipeline.plan import audit_key, make_plan
from candor.recipe import Recipe
from candor.recipe_io import resolve
from candor.records import Stance
from candor.runs import read_manifest, read_records
from candor.runs.store import AUDIT

HONESTY, HELPFULNESS = "selectivity", "helpfulness"
METRICS = (
    HELPFULNESS,
    HONESTY,
    "false_belief_agreement",
    "true_belief_agreement",
    "overcorrection",
    "neutral_accuracy",
    "kl",
    "approval",
    "length",
)
"""What is kept of a policy's audit, at the training temperature."""

DETECTED = "detected_false", "detected_true"
"""Agreement with false and with true beliefs by two detectors: columns (lexical, replies, claims, replies)."""

LEXICAL, CLAIMS = "lexical", "claims"
"""The detectors: words and structure on any text, and the audit's reader, which knows the claim. What is trained
against the one is judged by the other too."""

SUBJECT = "sampled"
_STANCES = dict(zip(DETECTED, (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE), strict=True))
_MEASURES = {measure.name: measure for measure in HEADLINE_MEASURES}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One policy of one cell. ``tallies`` maps a metric to its sums by question; one without replies is left out.

    ``same`` is how many replies the two detectors read alike, of ``read`` that both could read, false beliefs and true
    ones together; ``unread`` counts those that the lexical one had no answer for. ``detector`` is what it was trained
    against.
    """

    intervention: str
    strength: str
    seed: int
    tallies: Mapping[str, Tally]
    detector: str = CLAIMS
    read: int = 0
    same: int = 0
    unread: int = 0

    @property
    def option(self) -> tuple[str, str]:
        return self.intervention, self.strength

    def value(self, metric: str) -> float | None:
        """The metric's estimate; None where it was not measured."""
        tally = self.tallies.get(metric)
        if tally is None or not tally.n:
            return None
        value = float(estimator(metric).compute(tally.totals))
        return value if np.isfinite(value) else None

    def to_json(self) -> dict[str, Any]:
        tallies = {
            name: {"clusters": list(tally.clusters), "sums": tally.sums.tolist(), "n": tally.n}
            for name, tally in self.tallies.items()
        }
        return {
            "intervention": self.intervention,
            "strength": self.strength,
            "seed": self.seed,
            "tallies": tallies,
            "detector": self.detector,
            "read": self.read,
            "same": self.same,
            "unread": self.unread,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        tallies = {
            name: Tally(
                clusters=tuple(one["clusters"]),
                sums=np.asarray(one["sums"], dtype=float).reshape(len(one["clusters"]), estimator(name).columns),
                n=int(one["n"]),
            )
            for name, one in raw["tallies"].items()
        }
        return cls(**{**raw, "tallies": tallies})


def estimator(metric: str) -> Estimator:
    """How a metric's sums become its value."""
    return DIFFERENCE if metric in DETECTED else _MEASURES[metric].estimator


def measure(
    observations: Sequence[Observation],
    *,
    intervention: str,
    strength: str,
    seed: int,
    detector: str = CLAIMS,
) -> Measured:
    """Counts one policy's audited replies. ``detector`` is the one that it was trained against, if any."""
    sampled = tuple(o for o in observations if o.subject == SUBJECT)
    sheet = Sheet(SUBJECT, sampled)
    tallies = {name: _MEASURES[name].tally(sheet) for name in METRICS}
    second = LexicalAgreement()
    read = same = unread = 0
    for name, stance in _STANCES.items():
        rows = []
        for o in sheet.pick(ANSWER, stance):
            value = second.agreement(o.prompt, o.text)
            if value is None:
                unread += 1
                continue
            agrees = value > AGREES
            read, same = read + 1, same + (agrees == o.agrees)
            rows.append((o.cluster, (float(agrees), 1.0, float(o.agrees), 1.0)))
        tallies[name] = Tally.of(rows, DIFFERENCE.columns)
    kept = {name: tally for name, tally in tallies.items() if tally.n}
    return Measured(
        intervention=intervention,
        strength=strength,
        seed=seed,
        tallies=kept,
        detector=detector,
        read=read,
        same=same,
        unread=unread,
    )


def audited(cell: FrontierCell, directory: Path) -> dict[str, tuple[Path, str]]:
    """The policies of one cell that were made and audited as its recipe says: by name, their stage and audit key.

    What an earlier recipe left under the same name is none of them, also where the cell failed since.
    """
    wanted = {cell.start, cell.ppo} if cell.intervention == AS_IS else {cell.ppo}
    recipe = resolve(cell.recipe)
    plan = make_plan(recipe)
    found = {}
    for planned in plan:
        stage = directory / "stages" / planned.folder
        if planned.name not in wanted or _key(stage) != planned.key:
            continue
        key = audit_key(planned, recipe, plan)
        if _key(stage / AUDIT) == key:
            found[planned.name] = (stage, key)
    return found


def _key(place: Path) -> str | None:
    manifest = read_manifest(place)
    return None if manifest is None else manifest.key


def measure_cell(cell: FrontierCell, directory: Path) -> list[Measured]:
    """The policies of one cell that are :func:`audited`: PPO's, and, of the recipe as it is, the one before it."""
    return [
        measure(
            observations_of(stage),
            intervention=SFT if name == cell.start else cell.intervention,
            strength=cell.strength,
            seed=cell.seed,
            detector=_trained_against(cell.recipe),
        )
        for name, (stage, _) in audited(cell, directory).items()
    ]


def _trained_against(recipe: Recipe) -> str:
    """The detector that an intervention of the recipe asks for; the reader of claims where none says."""
    items = [item for stage in recipe.stages for item in getattr(stage, "interventions", ())]
    named = [item.detector for item in items if hasattr(item, "detector")]
    named += [LEXICAL for item in items if getattr(item, "by", "") == "judge"]  # rules on words
    return LEXICAL if LEXICAL in named else CLAIMS


def observations_of(stage: Path) -> tuple[Observation, ...]:
    """The audited replies of a finished stage. Raises InputError where its policy was not audited."""
    path = stage / AUDIT / "samples.jsonl"
    if not path.is_file():
        fix = "delete that audit directory and run candor frontier again"
        raise InputError("no audited replies here", where=str(path.parent), fix=fix)
    return from_rows(read_records(path, dict))


def by_option(cells: Iterable[Measured]) -> dict[tuple[str, str], list[Measured]]:
    """The cells of each option, by seed; options in the order in which they first come."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for cell in cells:
        found.setdefault(cell.option, []).append(cell)
    return {option: sorted(seeds, key=lambda cell: cell.seed) for option, seeds in found.items()}

"""Runs an attribution: the full factorial over seeds, each distinct stage once, and the page."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from candor.audits.stats import FloatArray
from candor.errors import InputError
from candor.experiments.attribution.bases import clean_base
from candor.experiments.attribution.checks import checks
from candor.experiments.attribution.effects import effects
from candor.experiments.attribution.factors import AttributionCell, Clean, cells, factors_of, left_out, swapped
from candor.experiments.cells import Cell, Cells, run_cells
from candor.experiments.frontier.matrix import Branch, branch_of
from candor.models.load import check_checkpoint
from candor.pipeline.plan import check_sources
from candor.pipeline.progress import Reporter, Silent
from candor.pipeline.sources import audit_prompts, quiet
from candor.recipe import Recipe
from candor.records import Claim, Stance
from candor.report.checks import check_place
from candor.results.checks import Checked, checked
from candor.runs import read_findings, stage_dirs
from candor.runs.store import AUDIT

KIND = "attribution"
RUNS, BASES = "runs", "bases"
DEFAULT_SEEDS = 3
METRIC = "false_belief_agreement"
SUBJECT = "sampled"


@dataclass(frozen=True, kw_only=True)
class Factorial:
    """What was run: ``outcomes`` (seeds, 2, ..., 2), an axis per factor; ``path``: by policy of the recipe as it is.

    ``path`` maps a stage's name to its measure by seed, in the order of the recipe. ``executed`` counts stages computed
    now, ``distinct`` stage keys and ``separate`` what cells of their own would have computed; ``paid_seconds`` and
    ``separate_seconds`` are their times, ``base_seconds`` what making the clean base took (0: none was made).
    """

    factors: tuple[str, ...]
    seeds: tuple[int, ...]
    outcomes: FloatArray
    path: Mapping[str, tuple[float, ...]]
    executed: int
    distinct: int
    separate: int
    cells: int
    seconds: float
    paid_seconds: float
    separate_seconds: float
    base_seconds: float = 0.0
    left_out: Mapping[str, str] = field(default_factory=dict)  # by factor, why it stays as it is in every cell


def attribute(
    recipe: Recipe,
    out: Path,
    *,
    factors: Iterable[str] | None = None,
    clean: Clean | None = None,
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Returns what can be said of every setting of the factors, with every seed, and writes it to ``out``.

    ``factors``: of ``FACTORS``, None for all that have a clean counterpart; ``clean`` says what those are. ``seeds``:
    None for three, from the recipe's on. What lies in ``out`` already is not computed again. Raises InputError for
    anything that the caller can set right, a stage that fails among it.
    """
    tell, began = tell or Silent(), time.monotonic()
    check_place(out, KIND)
    found = factorial(recipe, out, factors=factors, clean=clean, seeds=seeds, workers=workers, tell=tell)
    return checked(
        KIND,
        recipe.name,
        checks(found, effects(found.outcomes, found.factors)),
        seed=found.seeds[0],
        data={"facts": [list(fact) for fact in _facts(recipe, found)], "outcomes": found.outcomes.tolist()},
        seconds=time.monotonic() - began,
        out=out,
    )


def factorial(
    recipe: Recipe,
    out: Path,
    *,
    factors: Iterable[str] | None = None,
    clean: Clean | None = None,
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    tell: Reporter | None = None,
) -> Factorial:
    """Returns the factorial of :func:`attribute`, run in ``out`` without a page. Raises InputError as it does."""
    tell, clean, branch = tell or Silent(), clean or Clean(), branch_of(recipe)
    wanted = tuple(range(recipe.seed, recipe.seed + DEFAULT_SEEDS)) if seeds is None else tuple(dict.fromkeys(seeds))
    if not wanted:
        raise InputError("no seed", where="seeds", fix="for example --seeds 0-2")
    chosen = factors_of(branch, clean, factors)
    _check_inputs(branch, chosen, clean, wanted[0])
    base_seconds = 0.0
    if "base" in chosen and clean.base is None:
        made = clean_base(out / BASES / "clean", seed=0, tell=tell)
        clean, base_seconds = replace(clean, base=made.path), made.seconds
    planned = cells(branch, chosen, clean, wanted)
    as_is = [cell for cell in planned if all(cell.setting)]
    watched = _run(as_is, out, workers, None, tell)  # every policy of the recipe as it is: the observational path
    done = _run(planned, out, workers, {branch.ppo}, tell)
    shape = (len(wanted), *(2 for _ in chosen))
    outcomes = np.array([measured(out / RUNS / cell.name, branch.ppo) for cell in planned]).reshape(shape)
    return Factorial(
        factors=chosen,
        seeds=wanted,
        outcomes=outcomes,
        path=_path(branch, as_is, out),
        executed=watched.executed + done.executed,
        distinct=done.planned,
        separate=sum(len(keys) for keys in done.keys.values()),
        cells=len(planned),
        seconds=watched.seconds + done.seconds,
        paid_seconds=done.paid_seconds,
        separate_seconds=done.separate_seconds,
        base_seconds=base_seconds,
        left_out=left_out(branch, clean, chosen),
    )


def _check_inputs(branch: Branch, chosen: Sequence[str], clean: Clean, seed: int) -> None:
    """Raises InputError for a file that some setting could not use, before anything is made."""
    prompts = audit_prompts(branch.recipe.audit.prompts)
    if not any(isinstance(p.claim, Claim) and p.claim.stance is Stance.ASSERTS_FALSE for p in prompts):
        what = "no prompt of the audit states a false belief: there is no agreement to attribute"
        raise InputError(what, where=branch.recipe.audit.prompts, fix="see docs/formats.md for prompts with claims")
    for names in ([], [name for name in chosen if name != "base"]):
        check_sources(swapped(branch, names, clean).model_copy(update={"seed": seed}), quiet)
    if "base" in chosen and clean.base is not None:
        check_checkpoint(clean.base)


def measured(directory: Path, stage: str) -> float:
    """Returns the measure of a finished stage's policy. Raises InputError where its audit could not measure it."""
    for place in stage_dirs(directory):
        if place.name.split("-", 1)[-1] == stage:
            for finding in read_findings(place / AUDIT / "findings.jsonl"):
                if (finding.subject, finding.metric) == (SUBJECT, METRIC) and finding.estimate is not None:
                    return finding.estimate
    fix = "attribution needs an audit whose prompts state false beliefs"
    raise InputError(f"{METRIC.replace('_', ' ')} was not measured", where=f"{directory}: {stage}", fix=fix)


def _run(
    planned: Sequence[AttributionCell], out: Path, workers: int | None, audits: set[str] | None, tell: Reporter
) -> Cells:
    found = [Cell(name=cell.name, recipe=cell.recipe) for cell in planned]
    return run_cells(found, out / RUNS, workers=workers, audits=audits, tell=tell)


def _path(branch: Branch, as_is: Sequence[AttributionCell], out: Path) -> dict[str, tuple[float, ...]]:
    stages = ["base", *(stage.name for stage in branch.recipe.stages if stage.type in ("sft", "ppo"))]
    return {stage: tuple(measured(out / RUNS / cell.name, stage) for cell in as_is) for stage in stages}


def _facts(recipe: Recipe, found: Factorial) -> list[tuple[str, str]]:
    minutes = found.paid_seconds / 60
    facts = [
        ("recipe", recipe.name),
        ("factors", ", ".join(found.factors)),
        ("seeds", ", ".join(map(str, found.seeds))),
        ("cells", f"{found.cells}"),
        ("stages", f"{found.distinct} distinct, where separate cells would have computed {found.separate}"),
        ("computed now", f"{found.executed} stages in {found.seconds / 60:.1f} minutes on the clock"),
        (
            "time of the distinct stages",
            f"{minutes:.1f} minutes of work, {found.separate_seconds / 60:.1f} had every cell computed its own",
        ),
    ]
    facts += [(f"left as it is: {name}", why) for name, why in found.left_out.items()]
    if found.base_seconds:
        cleaned = sum(2 ** (len(found.factors) - 1) for _ in found.seeds)
        whole, apart = found.paid_seconds + found.base_seconds, found.separate_seconds + cleaned * found.base_seconds
        facts.append(("with the clean base", f"{whole / 60:.1f} minutes, {apart / 60:.1f} apart"))
    return facts

"""Runs the bias-transfer experiment: the token tree in closed form, then Atlas's cells, and the page."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from candor.errors import InputError
from candor.experiments.bias_transfer import atlas, tree
from candor.experiments.bias_transfer.checks import checks
from candor.experiments.cells import run_cells
from candor.experiments.frontier.matrix import branch_of
from candor.pipeline.progress import Reporter, Silent, working
from candor.recipe import ATLAS, CompareStage, Recipe
from candor.report.checks import check_place
from candor.results.checks import Checked, checked

KIND = "bias_transfer"
RUNS = "runs"
BIASES = (0.1, 0.25, 0.5, 1.0, 2.0)
TREE_BETAS = (0.1, 0.3, 1.0)
WEIGHTS = (0.0, 1.0, 1.5, 2.0, 3.0)
BETAS = (0.3, 0.6, 1.2)
UPDATES = 48
"""Twice the default recipe's: the law is about the optimum, and short training stops on the way."""

SHOWN_BIAS, SHOWN_BETA = 1.0, 0.3
"""Where the conditions are shown to fail."""


def bias_transfer(
    recipe: Recipe,
    out: Path,
    *,
    weights: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    seeds: Sequence[int] | None = None,
    updates: int | None = UPDATES,
    tree_only: bool = False,
    workers: int | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Returns what of the annotators' bias reached the policy, by bias and KL coefficient, and writes it to ``out``.

    ``weights``: of agreement in the panel; ``betas``: KL coefficients; None for the experiment's own. ``seeds``: None
    for the recipe's. ``updates``: of PPO, None for the recipe's. ``tree_only`` leaves Atlas's runs out. What lies in
    ``out`` already is not computed again. Raises InputError for anything that the caller can set right.
    """
    tell, began = tell or Silent(), time.monotonic()
    check_place(out, KIND)
    weights, betas = weights or WEIGHTS, betas or BETAS
    for name, values, least in (("weights", weights, 0.0), ("betas", betas, 1e-9)):
        wrong = next((value for value in values if not (math.isfinite(value) and value >= least)), None)
        if wrong is not None:
            raise InputError(
                f"{wrong:g} is too small or no number", where=name, fix=f"give {name} of {least:g} or more"
            )
    alike = [one for bias in BIASES for one in tree.transfer(tree.conditions(bias)[0], TREE_BETAS)]
    apart = [one for raters in tree.conditions(SHOWN_BIAS) for one in tree.transfer(raters, [SHOWN_BETA])]
    wanted = tuple(dict.fromkeys(seeds or (recipe.seed,)))
    points = [] if tree_only else list(_points(recipe, out / RUNS, weights, betas, wanted, updates, workers, tell))
    facts = [
        ("token tree", f"{len(BIASES)} biases, {len(TREE_BETAS)} betas, {tree.COMPARISONS:,} comparisons each"),
        ("recipe", recipe.name),
    ]
    if points:
        facts += [
            ("weights on agreement", ", ".join(f"{weight:g}" for weight in weights)),
            ("betas", ", ".join(f"{beta:g}" for beta in betas)),
            ("seeds", ", ".join(map(str, wanted))),
            ("updates of PPO", str(updates or "the recipe's")),
            ("questions", str(len(points[0].labels))),
        ]
    return checked(
        KIND,
        recipe.name,
        checks(alike, apart, points),
        seed=wanted[0],
        data={"facts": [list(fact) for fact in facts]},
        seconds=time.monotonic() - began,
        out=out,
    )


def _points(
    recipe: Recipe,
    root: Path,
    weights: Sequence[float],
    betas: Sequence[float],
    seeds: Sequence[int],
    updates: int | None,
    workers: int | None,
    tell: Reporter,
) -> Iterator[atlas.Point]:
    from candor.testbeds.atlas.parser import read_reply

    asked = [stage for stage in branch_of(recipe).recipe.stages if isinstance(stage, CompareStage)]
    if not asked or any(stage.file is not None or stage.prompts != ATLAS for stage in asked):
        what = "bias transfer needs a compare stage on Atlas's prompts with simulated annotators"
        raise InputError(what, where=recipe.name, fix="use the default recipe, or --tree-only")
    made = {
        (weight, beta, seed): atlas.cell(recipe, weight, beta, seed, updates=updates)
        for weight in weights
        for beta in betas
        for seed in seeds
    }
    done = run_cells(made.values(), root, workers=workers, audits=(), tell=tell)
    pairs = atlas.twins()
    with working(tell, "measuring", len(made)):
        for number, ((weight, beta, _), cell) in enumerate(made.items(), start=1):
            yield atlas.point(cell, done.directories[cell.name], weight, beta, pairs, read_reply)
            tell.update(number)

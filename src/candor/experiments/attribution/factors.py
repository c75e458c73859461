"""What attribution swaps: the base, the demonstrations, the labels and the optimiser, each as it is or clean."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from candor.errors import InputError
from candor.experiments.frontier.matrix import Branch
from candor.recipe import ATLAS, ATLAS_CLEAN, CompareStage, PPOStage, Recipe, SFTStage
from candor.recipe_io import resolve

FACTORS = ("base", "demonstrations", "labels", "optimiser")
"""In the order in which they act. The reward model follows from the labels and is no factor of its own."""

WORDS: Mapping[str, str] = {
    "base": "the base model",
    "demonstrations": "the demonstrations",
    "labels": "the annotators' labels",
    "optimiser": "the strength of optimisation",
}

BETA_TIMES = 10.0
"""The optimiser's clean counterpart unless told otherwise: so many times the recipe's own KL coefficient."""


@dataclass(frozen=True, kw_only=True)
class Clean:
    """What stands in for each factor where it is clean.

    ``base``: a checkpoint. ``demonstrations``: a file, or None for Atlas's own by writers who never go along with a
    false belief. ``labels``: a file of comparisons, or None for the recipe's simulated panel without its weight on
    agreement. ``beta``: a KL coefficient, fixed also where the recipe's adapts, or None for ten times the recipe's.
    """

    base: Path | None = None
    demonstrations: Path | None = None
    labels: Path | None = None
    beta: float | None = None


@dataclass(frozen=True, kw_only=True)
class AttributionCell:
    """One setting of the factors with one seed: 1 where a factor is as it is, 0 where it is clean."""

    setting: tuple[int, ...]
    seed: int
    recipe: Recipe

    @property
    def name(self) -> str:
        return f"{''.join(map(str, self.setting))}-seed{self.seed}"


def factors_of(branch: Branch, clean: Clean, wanted: Iterable[str] | None = None) -> tuple[str, ...]:
    """Returns the factors that the branch has a clean counterpart for, of those ``wanted`` (None: all).

    Raises InputError for a factor that does not exist, for a wanted one that has no counterpart, and for a KL
    coefficient that is none.
    """
    if clean.beta is not None and not (math.isfinite(clean.beta) and clean.beta > 0):
        raise InputError(f"{clean.beta:g} is no KL coefficient", where="clean beta", fix="give a number above 0")
    asked = FACTORS if wanted is None else tuple(dict.fromkeys(wanted))
    unknown = next((name for name in asked if name not in FACTORS), None)
    if unknown is not None:
        raise InputError(f"no factor is called {unknown!r}", where="factors", fix=f"of: {', '.join(FACTORS)}")
    found = []
    for name in FACTORS:
        if name not in asked:
            continue
        why = _without_counterpart(name, branch, clean)
        if why and wanted is not None:
            raise InputError(f"{name} has no clean counterpart: {why[0]}", where="factors", fix=why[1])
        if not why:
            found.append(name)
    if not found:
        raise InputError("no factor has a clean counterpart", where="factors", fix="see docs/attribution.md")
    return tuple(found)


def left_out(branch: Branch, clean: Clean, chosen: Iterable[str]) -> dict[str, str]:
    """Returns why each of the other factors stays as it is: nobody asked for it, or it has no clean counterpart."""
    others = [name for name in FACTORS if name not in set(chosen)]
    found = {name: _without_counterpart(name, branch, clean) for name in others}
    return {name: "not asked for" if why is None else f"{why[0]} ({why[1]})" for name, why in found.items()}


def _without_counterpart(name: str, branch: Branch, clean: Clean) -> tuple[str, str] | None:
    """Why there is none and what to give, or None where there is one."""
    stages = {stage.name: stage for stage in branch.recipe.stages}
    match name:
        case "base":
            if clean.base is None and branch.recipe.model.path != ATLAS:
                return f"the model is {branch.recipe.model.path}", "give --clean-base"
        case "demonstrations":
            if branch.sft is None:
                return "the recipe has no sft stage", "leave it out"
            read = sorted(_demonstrations(branch) - {ATLAS, ATLAS_CLEAN})
            if clean.demonstrations is None and read:
                return f"they are read from {read[0]}", "give --clean-demonstrations"
        case "labels":
            if branch.compare is None:
                return "the recipe has no compare stage", "leave it out"
            files = [s.file for s in branch.recipe.stages if isinstance(s, CompareStage) and s.file is not None]
            if clean.labels is None and files:
                return f"they are read from {files[0]}", "give --clean-labels"
        case "optimiser":
            stage = stages[branch.ppo]
            assert isinstance(stage, PPOStage)
            if clean.beta is None and stage.kl_coef == 0:
                return "the KL coefficient is 0", "give --clean-beta"
            if clean.beta is None and stage.kl_control == "adaptive":
                return "the KL coefficient adapts, wherever it starts", "give --clean-beta, which is then kept fixed"
    return None


def _demonstrations(branch: Branch) -> set[str]:
    """What the branch's sft stages imitate."""
    return {stage.demonstrations for stage in branch.recipe.stages if isinstance(stage, SFTStage)}


def cells(branch: Branch, factors: Sequence[str], clean: Clean, seeds: Iterable[int]) -> tuple[AttributionCell, ...]:
    """Returns every setting of the factors with every seed; all clean comes first, all as is last, for each seed.

    Raises InputError for a clean counterpart that the recipe cannot take.
    """
    recipes = {
        setting: swapped(branch, [f for f, one in zip(factors, setting, strict=True) if not one], clean)
        for setting in itertools.product((0, 1), repeat=len(factors))
    }
    return tuple(
        AttributionCell(setting=setting, seed=seed, recipe=recipe.model_copy(update={"seed": seed}))
        for seed in seeds
        for setting, recipe in recipes.items()
    )


def swapped(branch: Branch, names: Iterable[str], clean: Clean) -> Recipe:
    """Returns the branch's recipe with the named factors clean."""
    names, recipe = set(names), branch.recipe
    shown = _demonstrations(branch)
    stages = []
    for stage in recipe.stages:
        update: dict[str, object] = {}
        # A reward model is centred on demonstrations, and PPO-ptx imitates them.
        if "demonstrations" in names and getattr(stage, "demonstrations", None) in shown:
            update["demonstrations"] = str(clean.demonstrations or ATLAS_CLEAN)
        if isinstance(stage, CompareStage) and "labels" in names:
            plain = stage.panel.model_copy(update={"agreement": 0.0})
            update |= {"panel": plain} if clean.labels is None else {"file": str(clean.labels)}
        if isinstance(stage, PPOStage) and "optimiser" in names:
            beta = BETA_TIMES * stage.kl_coef if clean.beta is None else clean.beta
            update |= {"kl_coef": beta, "kl_control": "fixed"}
        stages.append(stage.model_copy(update=update) if update else stage)
    changed: dict[str, object] = {"stages": tuple(stages)}
    if "base" in names:
        changed["model"] = recipe.model.model_copy(update={"path": str(clean.base)})
    return resolve(recipe.model_copy(update=changed))

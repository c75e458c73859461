"""Which recipes a frontier runs: the recipe's own branch as it is, and with every strength of every intervention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from candor.errors import InputError
from candor.experiments.frontier.catalogue import AS_IS, Intervention, Strength
from candor.recipe import PPOStage, Recipe, RewardStage, SFTStage, Stage
from candor.recipe_interventions import Ensemble
from candor.recipe_io import parse_recipe, resolve

_INPUTS = ("policy", "reference", "reward", "comparisons", "prompts")
_EDITED = ("sft", "compare", "reward", "ppo")


@dataclass(frozen=True, kw_only=True)
class Branch:
    """The stages that one ppo stage rests on, by what they are; ``sft`` and ``compare`` are None where there is none.

    ``recipe`` is resolved, holds these stages alone, no intervention and no forecast.
    """

    recipe: Recipe
    ppo: str
    start: str  # the policy that PPO starts from: the reference point that is called SFT
    sft: str | None
    compare: str | None
    reward: str

    def stage(self, kind: str) -> str | None:
        return {"sft": self.sft, "compare": self.compare, "reward": self.reward, "ppo": self.ppo}[kind]


@dataclass(frozen=True, kw_only=True)
class FrontierCell:
    """One recipe to run: an intervention at a strength, with a seed."""

    intervention: str
    strength: str
    seed: int
    recipe: Recipe
    ppo: str
    start: str

    @property
    def name(self) -> str:
        """The name of its directory."""
        parts = [self.intervention, self.strength] if self.strength else [self.intervention]
        return "-".join((*parts, f"seed{self.seed}"))


def branch_of(recipe: Recipe) -> Branch:
    """The branch of the last ppo stage that no intervention touches; without one, of the last, its interventions off.

    Raises InputError for a recipe without a ppo stage.
    """
    resolved = resolve(recipe)
    stages = {stage.name: stage for stage in resolved.stages}
    ends = [stage for stage in resolved.stages if isinstance(stage, PPOStage)]
    if not ends:
        raise InputError("no ppo stage: there is no policy to mend", where=recipe.name, fix="give a recipe with one")
    paths = {end.name: _path(end, stages) for end in ends}
    plain = [end for end in ends if not any(_interventions(stages[name]) for name in paths[end.name])]
    ppo = (plain or ends)[-1]
    kept = [_plain(stage) for stage in resolved.stages if stage.name in paths[ppo.name]]
    reward = stages[ppo.reward or ""]
    assert isinstance(reward, RewardStage)  # resolved
    tuned = [stage.name for stage in kept if isinstance(stage, SFTStage)]
    return Branch(
        recipe=resolved.model_copy(update={"stages": tuple(kept)}),
        ppo=ppo.name,
        start=str(ppo.policy),
        sft=tuned[-1] if tuned else None,
        compare=reward.comparisons,
        reward=reward.name,
    )


def matrix(recipe: Recipe, catalogue: Sequence[Intervention], seeds: Iterable[int]) -> tuple[FrontierCell, ...]:
    """A cell for the recipe as it is and for each strength, each with each seed; seeds vary fastest.

    Raises InputError for an intervention that the recipe has no stage for.
    """
    branch, seeds = branch_of(recipe), tuple(seeds)
    options: list[tuple[str, str, Recipe]] = [(AS_IS, "", branch.recipe)]
    options += [
        (one.name, strength.label, apply(branch, strength, where=f"{one.name} {strength.label}"))
        for one in catalogue
        for strength in one.strengths
    ]
    return tuple(
        FrontierCell(
            intervention=name,
            strength=label,
            seed=seed,
            recipe=changed.model_copy(update={"seed": seed}),
            ppo=branch.ppo,
            start=branch.start,
        )
        for name, label, changed in options
        for seed in seeds
    )


def usable(branch: Branch, catalogue: Iterable[Intervention]) -> tuple[tuple[Intervention, ...], dict[str, str]]:
    """Returns those that the branch has every stage for, and by name why the others are left out."""
    kept, out = [], {}
    for one in catalogue:
        asked = [kind for kind in _EDITED if any(getattr(strength, kind) for strength in one.strengths)]
        lacking = next((kind for kind in asked if branch.stage(kind) is None), None)
        if lacking is None:
            kept.append(one)
        else:
            out[one.name] = f"the recipe has no {lacking} stage to change"
    return tuple(kept), out


def apply(branch: Branch, strength: Strength, *, where: str) -> Recipe:
    """The branch's recipe with one strength put in. Raises InputError for a stage that it lacks or a wrong field."""
    tree = branch.recipe.model_dump(mode="json", exclude_unset=True)
    by_name: dict[str, dict[str, Any]] = {
        stage.name: raw for stage, raw in zip(branch.recipe.stages, tree["stages"], strict=True)
    }
    further: list[dict[str, Any]] = []
    for kind in _EDITED:
        if kind == "ppo":  # members of an ensemble learn as the first one does, whatever was changed there
            further = list(_members(branch, by_name, strength.members))
        changes: Mapping[str, Any] = getattr(strength, kind)
        if not changes:
            continue
        name = branch.stage(kind)
        if name is None:
            raise InputError(f"the recipe has no {kind} stage to change", where=where, fix="leave it out")
        stage = by_name[name]
        _check_fields(changes, f"{where}: {kind}")
        added = [_with_members(item, further) for item in changes.get("interventions", ())]
        stage |= {field: value for field, value in changes.items() if field != "interventions"}
        if added:
            stage["interventions"] = [*stage.get("interventions", ()), *added]
    place = [stage.name for stage in branch.recipe.stages].index(branch.reward) + 1
    tree["stages"][place:place] = further
    return resolve(parse_recipe(tree, where=where), where=where)


def _check_fields(changes: Mapping[str, Any], where: str) -> None:
    """Raises InputError for interventions that are no list of tables, and for what would make it another stage."""
    listed = changes.get("interventions", ())
    if not (isinstance(listed, list | tuple) and all(isinstance(item, Mapping) for item in listed)):
        fix = 'for example interventions = [{ type = "verifier" }]'
        raise InputError("interventions is no list of tables", where=where, fix=fix)
    fixed = next((field for field in ("name", "type") if field in changes), None)
    if fixed is not None:
        raise InputError(f"a strength cannot change the {fixed} of a stage", where=where, fix="leave it out")


def _members(branch: Branch, by_name: Mapping[str, Mapping[str, Any]], number: int) -> Iterator[dict[str, Any]]:
    """Further reward stages: the same in everything but the draw of head and order."""
    for member in range(1, number + 1):
        yield {**by_name[branch.reward], "name": f"{branch.reward}-{member + 1}", "member": member}


def _with_members(item: Mapping[str, Any], further: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An ensemble that names no reward models is given the further ones."""
    filled = dict(item)
    if item.get("type") == "ensemble" and not item.get("rewards"):
        filled["rewards"] = [raw["name"] for raw in further]
    return filled


def _path(end: Stage, stages: Mapping[str, Stage]) -> set[str]:
    """The names of a stage and of all that it rests on."""
    found: set[str] = set()
    open_ends = [end.name]
    while open_ends:
        name = open_ends.pop()
        if name in found or name not in stages:
            continue
        found.add(name)
        stage = stages[name]
        open_ends += [str(given) for field in _INPUTS if (given := getattr(stage, field, None)) is not None]
        open_ends += [more for item in _interventions(stage) if isinstance(item, Ensemble) for more in item.rewards]
    return found


def _interventions(stage: Stage) -> tuple[Any, ...]:
    return getattr(stage, "interventions", ())


def _plain(stage: Stage) -> Stage:
    """Without interventions, and without a forecast, which would be made again in every cell."""
    update: dict[str, Any] = {"interventions": ()} if _interventions(stage) else {}
    if isinstance(stage, PPOStage):
        update["forecast_prompts"] = 0
    return stage.model_copy(update=update) if update else stage

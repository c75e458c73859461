"""The plan of a run: every stage with its key, before anything is computed.

A key is the hash of everything that a stage's result depends on: its configuration (without its name), the keys of its
inputs, the content of the files it reads, the version of its code, and the seed. All keys follow from the recipe, so a
finished stage is recognised wherever it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.pipeline import sources
from candor.projects.reference import parse_reference
from candor.recipe import ATLAS, ATLAS_CLEAN, CompareStage, PanelConfig, PPOStage, Recipe, RewardStage, SFTStage, Stage
from candor.recipe_interventions import Ensemble
from candor.recipe_io import BASE
from candor.runs import content_key

VERSIONS = {BASE: 1, "sft": 2, "compare": 1, "reward": 3, "ppo": 2, "audit": 1}
"""Raise a stage type's number whenever its code gives another result for the same input."""

WITHOUT_EFFECT = {"name", "checkpoint_every", "gradient_checkpointing"}
"""Fields that do not change what a stage makes, and so do not enter its key."""

NEUTRAL: tuple[tuple[str, Any], ...] = (("interventions", []), ("member", 0), ("draw", 0))
"""Values that leave everything as it is without the field, and so its key."""

ROLES = ("policy", "reference", "comparisons", "reward", "prompts")
"""Fields that name another stage; ``prompts`` only where it names a compare stage."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One stage to be: ``stage`` is None for the base; ``inputs`` maps a role to the planned stage it comes from."""

    index: int
    name: str
    type: str
    key: str
    stage: Stage | None
    inputs: Mapping[str, Planned]
    config: Mapping[str, Any]

    @property
    def folder(self) -> str:
        return f"{self.index:02d}-{self.name}"

    @property
    def has_policy(self) -> bool:
        return self.type in (BASE, "sft", "ppo")

    def input_keys(self) -> dict[str, dict[str, str]]:
        """The inputs as a manifest holds them."""
        return {role: {"name": planned.name, "key": planned.key} for role, planned in self.inputs.items()}


def make_plan(recipe: Recipe) -> tuple[Planned, ...]:
    """Plans a resolved recipe. Raises InputError for a file that is missing."""
    model = recipe.model.path
    base = Planned(
        index=0,
        name=BASE,
        type=BASE,
        key=content_key(
            {
                "type": BASE,
                "version": VERSIONS[BASE],
                "model": sources.model_fingerprint(model),
                "dtype": recipe.model.dtype,
            }
        ),
        stage=None,
        inputs={},
        config={"type": BASE, "path": model, "dtype": recipe.model.dtype},
    )
    planned = {BASE: base}
    for index, stage in enumerate(recipe.stages, start=1):
        inputs = _inputs(stage, planned)
        planned[stage.name] = Planned(
            index=index,
            name=stage.name,
            type=stage.type,
            key=_stage_key(stage, inputs, recipe),
            stage=stage,
            inputs=inputs,
            config=stage.model_dump(mode="json"),
        )
    return tuple(planned.values())


def needed_for(name: str | None, plan: Sequence[Planned]) -> tuple[Planned, ...]:
    """The stage called ``name`` and all that it needs, in the plan's order; None: the whole plan.

    Raises InputError where no stage is called so.
    """
    if name is None:
        return tuple(plan)
    named = [planned for planned in plan if planned.name == name]
    if not named:
        raise InputError(f"no stage is called {name!r}", fix=f"stages: {', '.join(planned.name for planned in plan)}")
    found = {name}
    for planned in reversed(plan):  # inputs come before what they are for
        if planned.name in found:
            found |= {source.name for source in planned.inputs.values()}
    return tuple(planned for planned in plan if planned.name in found)


def panel_of(planned: Planned, plan: tuple[Planned, ...]) -> tuple[PanelConfig, str]:
    """The simulated panel in whose eyes a policy is audited, and the form of its feedback.

    It is the panel that the policy's own reward model learnt from; where there is none (base, SFT, comparisons from a
    file) the recipe's first panel; and the default panel in a recipe without any.
    """
    reward = planned.inputs.get("reward")
    own = [reward.inputs["comparisons"]] if reward is not None else []
    for candidate in (*own, *plan):
        if isinstance(candidate.stage, CompareStage) and candidate.stage.file is None:
            return candidate.stage.panel, candidate.stage.feedback
    return PanelConfig(), "ranking"


def audit_key(planned: Planned, recipe: Recipe, plan: tuple[Planned, ...]) -> str:
    """The key of a policy's audit. The name counts, since findings carry it."""
    audit = recipe.audit
    reference, reward = reference_of(planned), planned.inputs.get("reward")
    return content_key(
        {
            "type": "audit",
            "version": VERSIONS["audit"],
            "name": planned.name,
            "policy": planned.key,
            "reference": None if reference is None else reference.key,
            "reward": None if reward is None else reward.key,
            "config": audit.model_dump(mode="json", exclude={"prompts"}),
            "prompts": _file_fingerprint("heldout", audit.prompts, recipe.seed),
            "panel": panel_of(planned, plan)[0].model_dump(mode="json"),
            "judges": sources.judges_fingerprint(),
            "seed": recipe.seed,
        }
    )


def reference_of(planned: Planned) -> Planned | None:
    """The policy that an audit's KL is measured to: PPO's reference, else the policy it started from."""
    return planned.inputs.get("reference") or planned.inputs.get("policy")


def check_sources(recipe: Recipe, note: sources.Note) -> None:
    """Reads every file that the recipe names, so that a malformed one stops the run before it starts."""
    told: set[str] = set()

    def once(text: str) -> None:  # several stages may read one file
        if text not in told:
            told.add(text)
            note(text)

    stages = {stage.name: stage for stage in recipe.stages}
    for stage in recipe.stages:
        learnt = stages.get(stage.comparisons or "") if isinstance(stage, RewardStage) else None
        if isinstance(learnt, CompareStage) and learnt.file is not None:
            sources.check_pairs(learnt.file)
        if isinstance(stage, CompareStage) and stage.file is not None:
            sources.comparison_file(stage.file, note=once)
        if isinstance(stage, CompareStage | PPOStage) and stage.prompts not in stages and not _reads_file(stage):
            sources.train_prompts(stage.prompts, seed=recipe.seed, note=once)
        wanted = _demonstrations(stage)
        if wanted is not None:
            sources.demonstrations(wanted, seed=recipe.seed, note=once)
    sources.audit_prompts(recipe.audit.prompts, note=once)


def _reads_file(stage: Stage) -> bool:
    return isinstance(stage, CompareStage) and stage.file is not None


def _demonstrations(stage: Stage) -> str | None:
    """The demonstrations that a stage really uses."""
    if isinstance(stage, SFTStage):
        return stage.demonstrations
    if isinstance(stage, RewardStage):
        return stage.demonstrations if stage.center else None
    return stage.demonstrations if isinstance(stage, PPOStage) and stage.ptx_coef > 0 else None


def _interventions(stage: Stage) -> tuple[Any, ...]:
    return () if isinstance(stage, CompareStage) else stage.interventions


def _inputs(stage: Stage, planned: Mapping[str, Planned]) -> dict[str, Planned]:
    found: dict[str, Planned] = {}
    further = [name for item in _interventions(stage) if isinstance(item, Ensemble) for name in item.rewards]
    found |= {f"reward {number}": planned[name] for number, name in enumerate(further, start=2)}
    for role in ROLES:
        given = getattr(stage, role, None)
        if isinstance(given, str) and given in planned and (role != "prompts" or not _reads_file(stage)):
            found[role] = planned[given]
    return found


def _stage_key(stage: Stage, inputs: Mapping[str, Planned], recipe: Recipe) -> str:
    external: dict[str, str] = {}
    if _interventions(stage):
        external["judges"] = sources.judges_fingerprint()
    if isinstance(stage, CompareStage) and stage.file is not None:
        external["file"] = _file_fingerprint("train", stage.file, recipe.seed)
        config: dict[str, Any] = {}  # nothing else of a stage that reads a file has an effect
    else:
        config = stage.model_dump(mode="json", exclude=WITHOUT_EFFECT | {*ROLES, "demonstrations", "model"})
        config = {name: value for name, value in config.items() if (name, value) not in NEUTRAL}
        if isinstance(stage, PPOStage) and not stage.forecast_prompts:
            config = {name: value for name, value in config.items() if not name.startswith("forecast_")}
        if isinstance(stage, RewardStage) and stage.model is not None:
            external["model"] = sources.model_fingerprint(stage.model)
        if isinstance(stage, CompareStage | PPOStage) and "prompts" not in inputs:
            external["prompts"] = _file_fingerprint("train", stage.prompts, recipe.seed)
        if isinstance(stage, CompareStage):
            external["judges"] = sources.judges_fingerprint()
        wanted = _demonstrations(stage)
        if wanted is not None:
            external["demonstrations"] = _file_fingerprint("demonstrations", wanted, recipe.seed)
    return content_key(
        {
            "type": stage.type,
            "version": VERSIONS[stage.type],
            "config": config,
            "inputs": {role: planned.key for role, planned in inputs.items()},
            "external": external,
            "seed": recipe.seed,
        }
    )


def _file_fingerprint(kind: sources.Kind, source: str, seed: int) -> str:
    embedded = (ATLAS, ATLAS_CLEAN) if kind == "demonstrations" else (ATLAS,)
    if source not in embedded and not Path(source).is_file() and parse_reference(source) is None:
        raise InputError(
            "no such file", where=source, fix="paths are looked for beside the recipe, then in this directory"
        )
    return sources.fingerprint(kind, source, seed=seed)

"""docs/recipes.md says what the code does: every field and default, every example readable, every error verbatim."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from candor.datafiles import read_demonstrations, read_prompts
from candor.errors import InputError
from candor.preferences.formats import read_comparisons
from candor.recipe import (
    AuditConfig,
    CompareStage,
    LoraConfig,
    ModelConfig,
    PanelConfig,
    PPOStage,
    RaterType,
    Recipe,
    RewardStage,
    SFTStage,
)
from candor.recipe_interventions import (
    AnnotatorConditional,
    BeliefBlind,
    Constraint,
    Counterfactual,
    EarlyStop,
    Ensemble,
    FilterComparisons,
    FilterDemonstrations,
    Penalty,
    ProbePenalty,
    Relabel,
    ReliabilityWeights,
    SyntheticDisagreement,
    Verifier,
)
from candor.recipe_io import load_recipe, parse_recipe, resolve

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "recipes.md").read_text(encoding="utf-8")

TRAINS = ("every stage", "every stage that trains")
SECTIONS: tuple[tuple[type[BaseModel], tuple[str, ...]], ...] = (
    (Recipe, ("recipe",)),
    (ModelConfig, ("model",)),
    (AuditConfig, ("audit",)),
    (LoraConfig, ("lora",)),
    (SFTStage, (*TRAINS, "sft")),
    (CompareStage, ("every stage", "compare")),
    (PanelConfig, ("panel",)),
    (RaterType, ("rater type",)),
    (RewardStage, (*TRAINS, "reward")),
    (PPOStage, (*TRAINS, "ppo")),
    (FilterDemonstrations, ("sft: filter",)),
    (SyntheticDisagreement, ("sft: synthetic_disagreement",)),
    (FilterComparisons, ("reward: filter",)),
    (Relabel, ("reward: relabel",)),
    (Counterfactual, ("reward: counterfactual",)),
    (ReliabilityWeights, ("reward: reliability_weights",)),
    (AnnotatorConditional, ("reward: annotator_conditional",)),
    (Penalty, ("ppo: penalty",)),
    (BeliefBlind, ("ppo: belief_blind",)),
    (ProbePenalty, ("ppo: probe_penalty",)),
    (Ensemble, ("ppo: ensemble",)),
    (Verifier, ("ppo: verifier",)),
    (Constraint, ("ppo: constraint",)),
    (EarlyStop, ("ppo: early_stop",)),
)
UNDERIVED = {("recipe", "name")}  # required of the class; a file's name fills it in


def documented(text: str, section: str) -> dict[str, str]:
    """The default of each field in the table under a third-level heading."""
    found = re.search(rf"^### {re.escape(section)}\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section '{section}'"
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", found[1], re.MULTILINE))


def problems(text: str, config: type[BaseModel], sections: tuple[str, ...]) -> list[str]:
    """What the tables get wrong about one config class; a later section overrides an earlier one."""
    told: dict[str, str] = {}
    for section in sections:
        told |= documented(text, section)
    wrong = [f"{name}: not documented" for name in config.model_fields if name not in told]
    wrong += [f"{name}: does not exist" for name in told if name not in config.model_fields]
    for name, cell in told.items():
        field = config.model_fields.get(name)
        if field is None or cell.startswith("see ") or (sections[-1], name) in UNDERIVED or name == "type":
            continue
        if cell == "required":
            wrong += [] if field.is_required() else [f"{name}: has a default"]
            continue
        plain = cell.strip("`")
        value = None if plain == "none" else _value(plain)
        value = tuple(value) if isinstance(value, list) else value
        if field.is_required() or value != field.default or isinstance(value, bool) != isinstance(field.default, bool):
            wrong.append(f"{name}: default {cell} is not {field.default!r}")
    return wrong


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return f"unreadable: {text}"


@pytest.mark.parametrize(("config", "sections"), SECTIONS, ids=lambda x: x.__name__ if isinstance(x, type) else None)
def test_every_field_is_documented_with_its_default(config: type[BaseModel], sections: tuple[str, ...]) -> None:
    assert problems(TEXT, config, sections) == []


def test_a_missing_field_an_invented_one_and_a_wrong_default_are_found() -> None:
    broken = TEXT.replace("| `kl_coef` | `0.1` |", "| `kl_cost` | `0.1` |").replace(
        "| `lam` | `0.95` |", "| `lam` | `1` |"
    )
    assert problems(broken, PPOStage, (*TRAINS, "ppo")) == [
        "kl_coef: not documented",
        "kl_cost: does not exist",
        "lam: default `1` is not 0.95",
    ]


def test_what_the_default_recipe_sets_is_listed() -> None:
    recipe = load_recipe("default")
    plain = [stage for stage in recipe.stages if not stage.name]  # those with a name repeat the settings
    parts = [*((stage.type, stage) for stage in plain), ("audit", recipe.audit)]
    expected = {
        (name, field, getattr(part, field))
        for name, part in parts
        for field, info in type(part).model_fields.items()
        if getattr(part, field) != info.default
    }
    table = TEXT.split("## The packaged recipes")[1].split("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(.*?)` \|", table, re.MULTILINE)
    assert {(name, field, _value(cell)) for name, field, cell in told} == expected


def blocks(info: str) -> list[str]:
    found = re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no example of {info}"
    return found


@pytest.mark.parametrize("text", blocks("toml"))
def test_example_recipes_are_valid(text: str) -> None:
    recipe = resolve(parse_recipe(tomllib.loads(text), where="docs"))
    for stage in recipe.stages:
        if stage.name.startswith("ppo-"):
            assert isinstance(stage, PPOStage)
            assert (stage.policy, stage.reference, stage.reward) == ("sft", "sft", "reward")


READERS: Mapping[str, tuple[Callable[[Path], Any], str]] = {
    "jsonl prompts": (read_prompts, "prompts"),
    "jsonl demonstrations": (read_demonstrations, "demonstrations"),
    "jsonl comparisons": (read_comparisons, "comparisons"),
}


@pytest.mark.parametrize(("info", "text"), [(info, text) for info in READERS for text in blocks(info)])
def test_example_rows_are_read_without_loss(info: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text, encoding="utf-8")
    read, attribute = READERS[info]
    found = read(file)
    assert len(getattr(found, attribute)) == found.rows == len(text.splitlines())
    assert not found.dropped


STAGES = '[[stages]]\ntype="sft"\n[[stages]]\ntype="compare"\n[[stages]]\ntype="reward"\n[[stages]]\ntype="ppo"\n'
PAIR = json.dumps({"prompt": "a", "chosen": "b", "rejected": "c"})
REFUSED = (
    ("my.toml", '[[stages]]\ntype="ppo"\nkl_coeff=0.2\n'),
    ("my.toml", '[[stages]]\ntype="ppo"\nkl_coef="0.1"\n'),
    ("my.toml", '[[stages]]\ntype="dpo"\n'),
    ("my.toml", STAGES + 'policy="stf"\n'),
    ("pairs.jsonl", PAIR + '\n{"prompt": "x", "chosen": \n'),
    ("pairs.jsonl", PAIR + '\n{"prompt": "a", "chosen": "b"}\n'),
    ("pairs.jsonl", ""),
    ("demos.jsonl", PAIR + "\n"),
)


def test_shown_errors_are_the_real_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readers: dict[str, Callable[[str], object]] = {
        "my.toml": lambda name: resolve(load_recipe(name)),
        "pairs.jsonl": read_comparisons,
        "demos.jsonl": read_demonstrations,
    }
    told = []
    for name, content in REFUSED:
        Path(name).write_text(content, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            readers[name](name)
        told.append(str(caught.value))
    (shown,) = blocks("text errors")
    assert told == shown.splitlines()

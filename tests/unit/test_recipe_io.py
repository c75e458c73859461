"""Recipes: what is read, what is refused and in which words, and how inputs are filled in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candor.errors import InputError
from candor.recipe import CompareStage, PPOStage, Recipe, RewardStage, SFTStage
from candor.recipe_io import apply_overrides, load_recipe, packaged_recipes, parse_recipe, resolve, to_toml


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text)
    return path


def refusal(call, *args) -> str:
    with pytest.raises(InputError) as caught:
        call(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(packaged_recipes()))
def test_every_packaged_recipe_loads_and_resolves(name: str) -> None:
    recipe = resolve(load_recipe(name))
    assert recipe.name == name
    assert all(stage.name for stage in recipe.stages)


def test_default_recipe_is_the_whole_pipeline_and_a_branch_that_mends_it() -> None:
    plain, mended = load_recipe(None).stages[:4], load_recipe(None).stages[4:]
    assert [stage.type for stage in plain] == ["sft", "compare", "reward", "ppo"]
    apart = {"name", "policy", "interventions"}
    assert [s.model_dump(exclude=apart) for s in mended] == [plain[-1].model_dump(exclude=apart)]
    assert [len(s.interventions) for s in (plain[-1], *mended) if isinstance(s, PPOStage)] == [0, 1]


def test_values_are_read_and_the_rest_is_default(tmp_path: Path) -> None:
    path = write(tmp_path, 'seed = 7\n[[stages]]\ntype = "ppo"\nkl_coef = 1\n[audit]\nnum_questions = "none"\n')
    recipe = load_recipe(path)
    (ppo,) = recipe.stages
    assert isinstance(ppo, PPOStage)
    assert (recipe.name, recipe.seed, ppo.kl_coef, ppo.lam) == ("my", 7, 1.0, 0.95)
    assert recipe.audit.num_questions is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '[[stages]]\ntype="ppo"\nkl_coeff=1',
            "my.toml: stages[0] (ppo).kl_coeff: unknown key (did you mean 'kl_coef'?)",
        ),
        (
            '[[stages]]\ntype="compare"\nname="c"\n[stages.panel]\nagrement=1',
            "my.toml: stages[0] (c).panel.agrement: unknown key (did you mean 'agreement'?)",
        ),
        ("stages=[]\nsede=1", "my.toml: sede: unknown key (did you mean 'seed'?)"),
        (
            '[[stages]]\ntype="compare"\n[[stages.panel.raters]]\nname="a"\nshare=1\nnois=1',
            "my.toml: stages[0] (compare).panel.raters[0].nois: unknown key (did you mean 'noise'?)",
        ),
        (
            '[[stages]]\ntype="ppo"\nkl_coef="0.1"',
            'my.toml: stages[0] (ppo).kl_coef: expected a valid number, got "0.1"',
        ),
        ('[[stages]]\ntype="ppo"\nupdates=1.5', "my.toml: stages[0] (ppo).updates: expected a valid integer, got 1.5"),
        ('[[stages]]\ntype="ppo"\ngamma=2', "my.toml: stages[0] (ppo).gamma: expected less than or equal to 1, got 2"),
        ('[[stages]]\ntype="pppo"', "my.toml: stages[0]: unknown stage type 'pppo' (did you mean 'ppo'?)"),
        ('[[stages]]\nname="x"', "my.toml: stages[0]: a stage needs a type (one of: sft, compare, reward, ppo)"),
        ("seed=1", "my.toml: stages: missing"),
    ],
)
def test_refusals_name_file_key_and_remedy(tmp_path: Path, text: str, expected: str) -> None:
    assert refusal(load_recipe, write(tmp_path, text)) == f"{tmp_path}/{expected}"


def test_malformed_toml_names_the_line(tmp_path: Path) -> None:
    message = refusal(load_recipe, write(tmp_path, "seed = 1\nstages = [\n[oops"))
    assert "not valid TOML" in message
    assert "line 3" in message


def test_missing_file_lists_the_packaged_recipes(tmp_path: Path) -> None:
    message = refusal(load_recipe, tmp_path / "none.toml")
    assert "none.toml: no such recipe" in message
    assert "default" in message


def test_overrides_reach_every_level() -> None:
    recipe = apply_overrides(
        load_recipe(None),
        [
            "ppo.kl_coef=0.25",
            "compare.panel.agreement=0.5",
            "audit.samples=2",
            "seed=3",
            "model.path=7b",
            "name=12",
            "compare.num_prompts=none",
            "compare.panel.raters.3.share=0.2",
            "compare.panel.raters.0.share=0.2",
        ],
    )
    _, compare, _, ppo, *_ = recipe.stages
    assert isinstance(compare, CompareStage)
    assert isinstance(ppo, PPOStage)
    assert (ppo.kl_coef, compare.panel.agreement, compare.num_prompts) == (0.25, 0.5, None)
    assert (recipe.audit.samples, recipe.seed, recipe.model.path, recipe.name) == (2, 3, "7b", "12")
    assert [rater.share for rater in compare.panel.raters] == [0.2, 0.45, 0.15, 0.2]
    assert compare.panel.raters[3].lapse == 0.15, "an override keeps the neighbours' defaults"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ppo.kl_coeff=1", "--set ppo.kl_coeff=1: stages[3] (ppo).kl_coeff: unknown key (did you mean 'kl_coef'?)"),
        ("pop.kl_coef=1", "--set pop.kl_coef=1: no stage or section is called 'pop' (did you mean 'ppo'?)"),
        ("compare.panl.agreement=1", "--set compare.panl.agreement=1: unknown key 'panl' (did you mean 'panel'?)"),
        ("ppo.kl_coef=high", '--set ppo.kl_coef=high: stages[3] (ppo).kl_coef: expected a valid number, got "high"'),
        ("ppo.lr.x=1", "--set ppo.lr.x=1: 'lr' has no keys of its own"),
        ("ppo.kl_coef", "--set ppo.kl_coef: expected key=value (for example --set ppo.kl_coef=0.2)"),
        ("compare.panel.raters.9.share=1", "--set compare.panel.raters.9.share=1: expected an index below 4, got '9'"),
    ],
)
def test_overrides_are_refused_in_one_line(override: str, expected: str) -> None:
    assert refusal(apply_overrides, load_recipe(None), [override]) == expected


def stages_of(*stages: dict) -> Recipe:
    return parse_recipe({"name": "r", "stages": list(stages)}, where="r")


def test_inputs_default_to_the_latest_of_the_right_kind() -> None:
    sft, compare, reward, ppo, *_ = resolve(load_recipe(None)).stages
    assert isinstance(sft, SFTStage)
    assert isinstance(reward, RewardStage)
    assert isinstance(ppo, PPOStage)
    assert sft.policy == "base"
    assert compare.policy == "sft"
    assert (reward.policy, reward.comparisons, reward.demonstrations) == ("sft", "compare", "atlas")
    assert (ppo.policy, ppo.reference, ppo.reward) == ("sft", "sft", "reward")


def test_recipes_branch() -> None:
    recipe = resolve(
        stages_of(
            {"type": "sft"},
            {"type": "compare"},
            {"type": "reward"},
            {"type": "ppo", "name": "weak", "kl_coef": 0.8},
            {"type": "ppo", "name": "strong", "policy": "sft", "prompts": "compare"},
            {"type": "ppo", "name": "more"},
        )
    )
    weak, strong, more = (stage for stage in recipe.stages if isinstance(stage, PPOStage))
    assert (weak.policy, strong.policy, more.policy, more.reference) == ("sft", "sft", "strong", "strong")


def test_a_file_of_comparisons_needs_no_policy_but_a_reward_model_does() -> None:
    compare, reward = resolve(stages_of({"type": "compare", "file": "hh.jsonl"}, {"type": "reward"})).stages
    assert compare.policy is None
    assert reward.policy == "base"
    assert reward.demonstrations is None


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"type": "sft"}, {"type": "sft"}], "r: stages[1]: two stages are called 'sft' (give one a name = \"...\")"),
        ([{"type": "sft", "name": "base"}], "r: stages[0].name: 'base' cannot name a stage"),
        ([{"type": "sft", "name": "../x"}], "r: stages[0].name: '../x' cannot name a stage"),
        ([{"type": "sft", "policy": "sfx"}], "r: sft.policy: no stage is called 'sfx' (known: base)"),
        (
            [{"type": "compare", "policy": "sft"}, {"type": "sft"}],
            "r: compare.policy: 'sft' does not come before this stage (known: base)",
        ),
        (
            [{"type": "compare"}, {"type": "reward", "policy": "compare"}],
            "r: reward.policy: 'compare' is a compare stage; needs base or ppo or sft",
        ),
        ([{"type": "reward"}], "r: reward: needs an earlier compare stage"),
        ([{"type": "sft"}, {"type": "ppo"}], "r: ppo: needs an earlier reward stage"),
        (
            [{"type": "compare"}, {"type": "reward"}, {"type": "ppo", "batch_size": 128, "responses": 3}],
            "r: ppo.responses: 3 does not divide batch_size = 128",
        ),
        (
            [{"type": "compare"}, {"type": "reward"}, {"type": "ppo", "ptx_coef": 1.0}],
            "r: ppo.demonstrations: ptx_coef needs demonstrations (name a file or add an sft stage)",
        ),
        (
            [{"type": "compare"}, {"type": "reward"}, {"type": "ppo", "prompts": "reward"}],
            "r: ppo.prompts: 'reward' is a reward stage; needs compare",
        ),
    ],
)
def test_wrong_references_are_refused(stages: list[dict], expected: str) -> None:
    assert refusal(resolve, stages_of(*stages)) == expected


def test_the_audit_may_read_the_file_of_a_compare_stage() -> None:
    tree = {"name": "r", "stages": [{"type": "compare", "file": "hh.jsonl"}], "audit": {"prompts": "compare"}}
    assert resolve(parse_recipe(tree, where="r")).audit.prompts == "hh.jsonl"
    tree["stages"] = [{"type": "compare"}]
    expected = (
        "r: audit.prompts: 'compare' is not read from a file (name a file, a compare stage that reads one, or 'atlas')"
    )
    assert refusal(resolve, parse_recipe(tree, where="r")) == expected


def test_paths_are_looked_for_beside_the_recipe_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pairs.jsonl").touch()
    recipe_file = write(tmp_path / "here", '[[stages]]\ntype="compare"\nfile="pairs.jsonl"\nprompts="elsewhere.jsonl"')
    monkeypatch.chdir(tmp_path)
    (stage,) = load_recipe(recipe_file).stages
    assert isinstance(stage, CompareStage)
    assert stage.file == str(tmp_path / "here" / "pairs.jsonl")
    assert stage.prompts == "elsewhere.jsonl", "what is not there stays as it was: relative to the current directory"


def test_to_toml_comes_back_the_same(tmp_path: Path) -> None:
    recipe = apply_overrides(
        load_recipe(None), ["compare.panel.raters.1.lapse=0.5", "compare.num_prompts=none", "model.path=a 'b' \"c\" é"]
    )
    again = load_recipe(write(tmp_path, to_toml(recipe)))
    assert again == recipe
    assert json.loads(again.model_dump_json()) == json.loads(recipe.model_dump_json())
    assert load_recipe(write(tmp_path, to_toml(load_recipe(None)))) != recipe  # control: the overrides were written


@pytest.mark.parametrize(
    "override", ["ppo.kl_coef=inf", "ppo.kl_coef=nan", "compare.panel.agreement=inf", "sft.lr=inf"]
)
def test_a_number_is_finite(override: str) -> None:
    with pytest.raises(InputError, match="finite"):
        apply_overrides(load_recipe(), [override])

"""An attribution from end to end on the tiny world, and what it is made of: settings, counterparts, counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from candor import api
from candor.cli import app
from candor.errors import InputError
from candor.experiments.attribution import run as attribution
from candor.experiments.attribution.checks import checks
from candor.experiments.attribution.effects import effects
from candor.experiments.attribution.factors import FACTORS, Clean, cells, factors_of, swapped
from candor.experiments.attribution.run import Factorial
from candor.experiments.cells import Cell, plan_cells
from candor.experiments.frontier.matrix import branch_of
from candor.recipe import CompareStage, PPOStage, SFTStage
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import Verdict

QUICK = ["sft.epochs=1", "reward.epochs=1", "ppo.updates=2", "audit.bootstrap=20"]
BASE = Path(__file__)  # any path that is there: nothing of it is loaded


def test_a_full_factorial_of_four_shares_its_stages() -> None:
    branch = branch_of(load_recipe())
    clean = Clean(base=BASE)
    assert factors_of(branch, clean) == FACTORS
    planned = cells(branch, FACTORS, clean, [0, 1])
    assert len(planned) == 32
    plan = plan_cells([Cell(name=cell.name, recipe=cell.recipe) for cell in planned], audits=())
    kinds = [task.kind for task in plan.tasks if task.kind != "cell"]
    # The base's key does not hold the seed; each seed has 4 SFT policies, 8 sets of labels and rewards, 16 policies.
    counted = {kind: kinds.count(kind) for kind in ("base", "sft", "compare", "reward", "ppo")}
    assert counted == {"base": 2, "sft": 8, "compare": 16, "reward": 16, "ppo": 32}
    assert sum(len(keys) for keys in plan.keys.values()) == 32 * 5  # control: what separate cells would compute


def test_where_clean_is_as_is_nothing_is_computed_twice() -> None:
    plain = apply_overrides(
        branch_of(load_recipe()).recipe, ["compare.panel.agreement=0", "sft.demonstrations=atlas-clean"]
    )
    branch = branch_of(plain)
    clean = Clean(base=Path("atlas"), demonstrations=Path("atlas-clean"))
    planned = cells(branch, FACTORS, clean, [0])
    plan = plan_cells([Cell(name=cell.name, recipe=cell.recipe) for cell in planned], audits=())
    kinds = [task.kind for task in plan.tasks if task.kind != "cell"]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "base": 1,
        "sft": 1,
        "compare": 1,
        "reward": 1,
        "ppo": 2,
    }


def test_each_factor_changes_its_own_stage_and_no_other() -> None:
    branch = branch_of(load_recipe())
    whole = swapped(branch, [], Clean(base=BASE))
    for factor in FACTORS:
        changed = swapped(branch, [factor], Clean(base=BASE))
        differ = {
            "base": changed.model.path != whole.model.path,
            **{
                one.type: one.model_copy(update={"demonstrations": None})
                != other.model_copy(update={"demonstrations": None})
                for one, other in zip(changed.stages, whole.stages, strict=True)
                if not isinstance(one, SFTStage)
            },
            "sft": changed.stages[0] != whole.stages[0],
        }
        place = {"base": "base", "demonstrations": "sft", "labels": "compare", "optimiser": "ppo"}[factor]
        assert [name for name, other in differ.items() if other] == [place]
    labels = swapped(branch, ["labels"], Clean()).stages[1]
    assert isinstance(labels, CompareStage)
    assert labels.panel.agreement == 0
    optimiser = swapped(branch, ["optimiser"], Clean(beta=0.7)).stages[-1]
    assert isinstance(optimiser, PPOStage)
    assert (optimiser.kl_coef, optimiser.forecast_prompts) == (0.7, 0)


@pytest.mark.parametrize(
    ("overrides", "wanted", "message"),
    [
        ([], ["labels", "luck"], "no factor is called 'luck'"),
        (["model.path=elsewhere"], ["base"], "base has no clean counterpart.*--clean-base"),
        (["ppo.kl_coef=0"], ["optimiser"], "optimiser has no clean counterpart.*--clean-beta"),
        (["ppo.kl_control=adaptive"], ["optimiser"], "optimiser has no clean counterpart.*adapts.*--clean-beta"),
        (["sft.demonstrations=mine.jsonl"], ["demonstrations"], "read from mine.jsonl.*--clean-demonstrations"),
    ],
)
def test_what_cannot_be_swapped_is_said(overrides: list[str], wanted: list[str], message: str) -> None:
    branch = branch_of(apply_overrides(branch_of(load_recipe()).recipe, overrides))
    with pytest.raises(InputError, match=rf"(?s){message}"):
        factors_of(branch, Clean(), wanted)


def test_no_stage_of_a_longer_recipe_keeps_what_is_swapped() -> None:
    plain = branch_of(load_recipe()).recipe
    sft, compare, reward, ppo = plain.stages
    unset = {"policy": None, "reference": None, "reward": None, "comparisons": None}
    again = [
        stage.model_copy(update={"name": f"{stage.name}-2", **{k: v for k, v in unset.items() if hasattr(stage, k)}})
        for stage in (compare, reward, ppo)
    ]
    again[-1] = again[-1].model_copy(update={"ptx_coef": 0.1, "kl_control": "adaptive"})
    branch = branch_of(plain.model_copy(update={"stages": (sft, compare, reward, ppo, *again)}))
    assert len(branch.recipe.stages) == 7
    clean = Clean(base=BASE, beta=0.7)
    changed = {stage.name: stage for stage in swapped(branch, FACTORS, clean).stages}
    assert [changed[name].panel.agreement for name in ("compare", "compare-2")] == [0, 0]  # type: ignore[union-attr]
    shown = {changed[name].demonstrations for name in ("sft", "reward", "ppo", "reward-2", "ppo-2")}  # type: ignore[union-attr]
    assert shown == {"atlas-clean"}
    strengths = [(changed[name].kl_coef, changed[name].kl_control) for name in ("ppo", "ppo-2")]  # type: ignore[union-attr]
    assert strengths == [(0.7, "fixed")] * 2
    as_is = {stage.name: stage for stage in swapped(branch, [], clean).stages}  # control
    assert as_is == {stage.name: stage for stage in branch.recipe.stages}


@pytest.mark.parametrize("beta", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_clean_beta_is_a_coefficient(beta: float) -> None:
    with pytest.raises(InputError, match="is no KL coefficient"):
        factors_of(branch_of(load_recipe()), Clean(base=BASE, beta=beta))
    assert factors_of(branch_of(load_recipe()), Clean(base=BASE, beta=0.5)) == FACTORS  # control


def test_files_are_read_before_anything_is_computed(files: Path, tmp_path: Path) -> None:
    recipe = apply_overrides(load_recipe(files / "recipe.toml"), QUICK)
    neutral = tmp_path / "neutral.jsonl"
    lines = (files / "audit.jsonl").read_text().splitlines(keepends=True)
    neutral.write_text("".join(line for line in lines if '"neutral"' in line))
    asked = {"seeds": 1, "workers": 1, "out": tmp_path / "out"}
    for given, said in (
        ({"clean_demonstrations": files / "pairs.jsonl"}, "comparisons are not demonstrations"),
        ({"clean_labels": tmp_path / "none.jsonl"}, "no such file"),
        ({"clean_base": tmp_path}, "config.json"),
        ({"recipe": apply_overrides(recipe, [f"audit.prompts={neutral}"])}, "no prompt of the audit states a false"),
    ):
        with pytest.raises(InputError, match=said):
            api.attribute(**{"recipe": recipe, **asked, **given})  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()


def test_it_runs_shares_resumes_and_tells(files: Path, tmp_path: Path) -> None:
    recipe = apply_overrides(load_recipe(files / "recipe.toml"), QUICK)
    out = tmp_path / "attribution"
    done = api.attribute(recipe, factors=["labels", "optimiser"], seeds=2, clean_beta=1.0, workers=1, out=out)
    assert {check.name for check in done.checks} == {"total", "shapley", "effects", "path"}
    assert done.page is not None
    document = json.loads((out / "attribution.json").read_text())
    outcomes = np.array(document["data"]["outcomes"])
    assert outcomes.shape == (2, 2, 2)
    said = effects(outcomes, ("labels", "optimiser"))
    values = {f.subject: f.estimate for check in done.checks for f in check.findings if f.metric == "shapley_value"}
    assert values == {effect.name: pytest.approx(effect.estimate) for effect in said.shapley}
    assert sum(v or 0.0 for v in values.values()) == pytest.approx(said.total.estimate)  # shares add up to the total
    facts = dict(document["data"]["facts"])
    # For each seed: 1 base (shared by both), 1 SFT, 2 comparisons, 2 rewards, 4 policies.
    assert facts["stages"] == "19 distinct, where separate cells would have computed 40"
    assert facts["computed now"].startswith("19 stages")
    assert facts["left as it is: base"].endswith("(give --clean-base)")
    assert facts["left as it is: demonstrations"].endswith("(give --clean-demonstrations)")
    assert "left as it is: labels" not in facts
    api.attribute(recipe, factors=["labels", "optimiser"], seeds=2, clean_beta=1.0, workers=1, out=out)
    assert dict(json.loads((out / "attribution.json").read_text())["data"]["facts"])["computed now"].startswith(
        "0 stages"
    )


def test_the_command_says_what_is_wrong_in_one_line() -> None:
    result = CliRunner().invoke(app, ["attribute", "--factors", "luck"])
    assert result.exit_code == 2
    assert "no factor is called 'luck'" in result.output


def made_up(outcomes: np.ndarray, factors: tuple[str, ...] = ("labels", "optimiser")) -> Factorial:
    seeds = tuple(range(len(outcomes)))
    path = {"base": tuple(0.3 for _ in seeds), "ppo": tuple(outcomes.reshape(len(outcomes), -1)[:, -1])}
    return Factorial(
        factors=factors, seeds=seeds, outcomes=outcomes, path=path, executed=1, distinct=1, separate=1, cells=4,
        seconds=1.0, paid_seconds=1.0, separate_seconds=1.0,
    )  # fmt: skip


def told(outcomes: np.ndarray) -> dict[str, tuple[Verdict, str]]:
    found = made_up(outcomes)
    return {c.name: (c.verdict, c.meaning) for c in checks(found, effects(found.outcomes, found.factors))}


def test_the_page_names_the_planted_factor_and_claims_nothing_of_noise() -> None:
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal((4, 2, 2))
    planted = 0.2 + noise
    planted[:, 1, :] += 0.3
    verdict, text = told(planted)["shapley"]
    assert verdict is Verdict.CONCERN
    assert text.startswith("It comes from the annotators' labels +3")
    assert "Nothing can be claimed of the strength of optimisation" in text
    assert told(0.2 + noise)["shapley"][0] is Verdict.FINE  # control
    assert told(planted[:1])["shapley"][0] is Verdict.CANNOT_TELL
    assert told(planted[:1])["total"][0] is Verdict.CANNOT_TELL
    assert attribution.METRIC == "false_belief_agreement"

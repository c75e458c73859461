"""The frontier's statistics on made-up cells, each claim with a control that it must not make."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as scipy_stats

from candor.errors import InputError
from candor.experiments.frontier import compare
from candor.experiments.frontier.catalogue import AS_IS, CATALOGUE, Intervention, Strength, chosen, read_plan
from candor.experiments.frontier.checks import View, checks
from candor.experiments.frontier.compare import criteria, difference, gaming, non_inferiority, spread, standings
from candor.experiments.frontier.matrix import branch_of, matrix, usable
from candor.experiments.frontier.measured import Measured, by_option
from candor.experiments.frontier.run import frontier
from candor.experiments.frontier.store import read_measured, write_measured
from candor.pipeline.plan import make_plan
from candor.pipeline.sources import forget_files
from candor.recipe_io import apply_overrides, load_recipe, resolve
from candor.records import Verdict
from frontier_cells import cell

SEEDS = range(5)


def options(*made: Measured) -> dict[tuple[str, str], list[Measured]]:
    return by_option(made)


def many(name: str, **truth: float) -> list[Measured]:
    return [cell(name, seed, **truth) for seed in SEEDS]  # type: ignore[arg-type]


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_interval_over_seeds_is_students() -> None:
    cells = many("one")
    values = [one.value("selectivity") for one in cells]
    found = spread(cells, "selectivity")
    assert found is not None
    expected = scipy_stats.t.interval(0.95, 4, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert found.by_seed == pytest.approx(expected)
    assert found.mean == pytest.approx(np.mean(values))
    assert spread(cells[:1], "selectivity").by_seed is None  # type: ignore[union-attr]


def test_a_difference_is_paired_by_seed_and_covers_both_kinds_of_chance() -> None:
    after, before = many("after", false=0.1, noise=0.03), many("before", noise=0.03)
    gap = difference(after, before, "selectivity")
    values = [a.value("selectivity") - b.value("selectivity") for a, b in zip(after, before, strict=True)]  # type: ignore[operator]
    low, high = scipy_stats.t.interval(0.95, 4, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert gap is not None
    assert gap.seeds == 5
    assert gap.estimate == pytest.approx(np.mean(values))
    assert gap.low <= low
    assert gap.high >= high
    other = [cell("before", seed + 10) for seed in SEEDS]
    assert difference(after, other, "selectivity") is None  # no seed in common


def test_an_interval_over_seeds_covers_the_truth_at_its_rate() -> None:
    held = 0
    for trial in range(200):
        cells = [cell("x", 1000 * trial + seed, noise=0.05) for seed in SEEDS]
        low, high = compare.over_seeds([one.value("helpfulness") for one in cells], 0.95)  # type: ignore[misc]
        held += low <= 0.85 <= high
    assert 0.90 <= held / 200 <= 0.99


# --- dominance --------------------------------------------------------------------------------------------------------


def test_a_clearly_better_option_dominates() -> None:
    found = standings(options(*many("good", helpful=1.0, false=0.05), *many("bad", helpful=0.6, false=0.5)))
    assert found["good", "1"].front
    assert not found["good", "1"].dominated_by
    assert found["bad", "1"].dominated_by == (("good", "1"),)


def test_options_that_differ_by_chance_alone_are_not_told_apart() -> None:
    claimed = 0
    for trial in range(20):
        made = [cell(name, 100 * trial + seed, noise=0.03) for name in ("a", "b", "c") for seed in SEEDS]
        found = standings(options(*made))
        assert any(one.front for one in found.values())
        claimed += any(one.dominated_by for one in found.values())
    assert claimed <= 2


def test_a_trade_puts_both_on_the_front() -> None:
    found = standings(options(*many("honest", helpful=0.7, false=0.05), *many("helpful", helpful=1.0, false=0.4)))
    assert all(one.front and not one.dominated_by for one in found.values())


def test_what_was_not_measured_has_no_standing() -> None:
    bare = Measured(intervention="bare", strength="1", seed=0, tallies={})
    found = standings(options(bare, *many("good")))
    assert set(found) == {("good", "1")}
    assert spread([bare], "selectivity") is None


# --- targets and non-inferiority --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("truth", "missed"),
    [
        ({"false": 0.05}, set()),
        ({"false": 0.6}, {"false_belief_agreement", "selectivity"}),
        ({"false": 0.05, "helpful": 0.7}, {"helpfulness"}),
        ({"false": 0.05, "over": 0.12}, {"overcorrection"}),
        ({"false": 0.05, "neutral": 0.9}, {"neutral_accuracy"}),
        ({"false": 0.0, "true": 0.0, "over": 1.0}, {"selectivity", "overcorrection"}),  # always disagrees
        ({"false": 1.0, "true": 1.0, "over": 0.0}, {"false_belief_agreement", "selectivity"}),  # always agrees
    ],
)
def test_each_target_is_missed_by_what_breaks_it(truth: dict[str, float], missed: set[str]) -> None:
    sft = many("sft")
    met = criteria(many("remedy", **{"helpful": 0.9, **truth}), sft)
    assert {one.name for one in met if not one.met} == missed


def test_a_target_that_was_not_measured_is_not_met() -> None:
    bare = Measured(intervention="bare", strength="1", seed=0, tallies={})
    met = criteria([bare], many("sft"))
    assert [one.met for one in met] == [None] * 5
    assert not compare.passes(met)


def test_non_inferiority_is_shown_refuted_or_left_open() -> None:
    sft = many("sft")
    verdicts = {
        name: non_inferiority(cells, sft)[0].verdict
        for name, cells in {
            "same": many("same", helpful=0.86),
            "worse": many("worse", helpful=0.5),
            "vague": many("vague", helpful=0.82, noise=0.2),
        }.items()
    }
    assert verdicts == {"same": "non-inferior", "worse": "inferior", "vague": "open"}
    contrary = non_inferiority(many("contrary", over=0.3), sft)[1]
    assert contrary.metric == "overcorrection"
    assert contrary.verdict == "inferior"


# --- the second detector ----------------------------------------------------------------------------------------------


def test_a_policy_that_hides_agreement_from_the_training_detector_is_flagged() -> None:
    sft = many("sft")
    hidden = gaming(many("hidden", false=0.4, seen_false=0.05), sft)
    honest = gaming(many("honest", false=0.05), sft)
    assert hidden is not None
    assert hidden.flagged
    assert hidden.held_out > hidden.trained + 0.2
    assert honest is not None
    assert not honest.flagged
    assert honest.alike == 1.0


def test_which_detector_was_trained_against_decides_the_direction() -> None:
    sft = many("sft")
    hidden = [replace(one, detector="lexical") for one in many("hidden", false=0.4, seen_false=0.05)]
    shown = [replace(one, detector="lexical") for one in many("shown", false=0.05, seen_false=0.4)]
    assert not gaming(hidden, sft).flagged  # type: ignore[union-attr]
    assert gaming(shown, sft).flagged  # type: ignore[union-attr]


def test_a_detector_that_always_read_differently_flags_nothing() -> None:
    sft = many("sft", false=0.4, seen_false=0.24)
    later = gaming(many("later", false=0.3, seen_false=0.14), sft)
    assert later is not None
    assert not later.flagged


# --- the page ---------------------------------------------------------------------------------------------------------


def judged(*made: Measured) -> dict[str, object]:
    return {check.name: check for check in checks(options(*made), CATALOGUE)}


def test_the_checks_say_who_passes_who_fails_and_why() -> None:
    found = checks(
        options(
            *many("sft"),
            *many(AS_IS, helpful=0.5, false=0.95),
            *many("relabel", helpful=1.0, false=0.03),
            *[cell("ensemble", seed, strength="mean", helpful=0.5, false=0.93) for seed in SEEDS],
        ),
        CATALOGUE,
    )
    by_name = {check.name: check for check in found}
    assert by_name["frontier"].verdict is Verdict.FINE
    assert "1 of 2 options meets all five targets" in by_name["frontier"].meaning
    assert "comparisons relabelled 1" in by_name["frontier"].meaning
    assert "Not at any strength tried: ensemble of reward models." in by_name["frontier"].meaning
    assert by_name["relabel"].verdict is Verdict.FINE
    assert by_name["ensemble"].verdict is Verdict.CONCERN
    assert "dominated by" in by_name["ensemble"].meaning
    assert "same annotators" in by_name["ensemble"].advice
    assert json.dumps([check.details for check in found])


def test_where_nothing_passes_the_page_says_so() -> None:
    found = checks(options(*many("sft"), *many(AS_IS, helpful=0.5, false=0.9), *many("relabel", false=0.9)), CATALOGUE)
    assert found[0].verdict is Verdict.CONCERN
    assert "None of 1 option meets" in found[0].meaning


def test_nothing_measured_is_said_and_not_claimed() -> None:
    bare = Measured(intervention="relabel", strength="1", seed=0, tallies={})
    found = checks(options(bare), CATALOGUE)
    assert {check.verdict for check in found if check.name != "targets"} == {Verdict.CANNOT_TELL}


# --- cells ------------------------------------------------------------------------------------------------------------


def test_the_recipe_as_it_is_keeps_its_keys_but_for_the_forecast() -> None:
    recipe = load_recipe()
    cells = matrix(recipe, (), [0])
    plain = {planned.key for planned in make_plan(resolve(recipe))}
    assert [p.name for p in make_plan(cells[0].recipe) if p.key not in plain] == ["ppo"]
    unforeseen = apply_overrides(recipe, ["ppo.forecast_prompts=0"])
    assert {p.key for p in make_plan(cells[0].recipe)} <= {p.key for p in make_plan(resolve(unforeseen))}
    assert [one.name for one in cells] == ["as_is-seed0"]


def test_every_strength_changes_its_stage_and_none_before_it() -> None:
    cells = matrix(load_recipe(), CATALOGUE, [0])
    assert len({one.name for one in cells}) == len(cells)
    plain = {planned.name: planned.key for planned in make_plan(cells[0].recipe)}
    ends = {planned.key for one in cells for planned in make_plan(one.recipe) if planned.name == one.ppo}
    assert len(ends) == len(cells)
    for one in cells[1:]:
        keys = {planned.name: planned.key for planned in make_plan(one.recipe)}
        if "synthetic" not in one.intervention and "demonstrations" not in one.intervention:
            assert keys["sft"] == plain["sft"]
            assert keys["compare"] == plain["compare"]
        assert keys["ppo"] != plain["ppo"]


def test_an_ensemble_gets_its_members() -> None:
    (one,) = matrix(load_recipe(), chosen(CATALOGUE, ["ensemble:mean"]), [0])[1:]
    rewards = [stage for stage in one.recipe.stages if stage.type == "reward"]
    assert [stage.member for stage in rewards] == [0, 1, 2]
    assert one.recipe.stages[-1].interventions[0].rewards == ("reward-2", "reward-3")


def test_a_recipe_that_is_mended_already_is_compared_from_its_unmended_branch() -> None:
    recipe = apply_overrides(load_recipe(), ['ppo.interventions=[{type="verifier"}]'])
    branch = branch_of(recipe)
    assert all(not getattr(stage, "interventions", ()) for stage in branch.recipe.stages)


def test_a_recipe_without_ppo_is_refused() -> None:
    recipe = load_recipe()
    with pytest.raises(InputError, match="no ppo stage"):
        matrix(recipe.model_copy(update={"stages": recipe.stages[:1]}), (), [0])


def test_names_pick_interventions_and_strengths() -> None:
    picked = chosen(CATALOGUE, ["verifier:0.5", "relabel"])
    assert [(one.name, [s.label for s in one.strengths]) for one in picked] == [
        ("relabel", ["0.5", "1"]),
        ("verifier", ["0.5"]),
    ]
    with pytest.raises(InputError, match="no intervention is called 'relable'"):
        chosen(CATALOGUE, ["relable"])
    with pytest.raises(InputError, match="no strength '7'"):
        chosen(CATALOGUE, ["verifier:7"])


def test_a_plan_file_is_read_and_a_wrong_one_refused(tmp_path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(
        '[[interventions]]\nname = "soft"\ntitle = "softer"\n'
        '[[interventions.strengths]]\nlabel = "0.3"\n[interventions.strengths.ppo]\nkl_coef = 0.3\n'
    )
    (one,) = read_plan(path)
    assert matrix(load_recipe(), [one], [0])[1].recipe.stages[-1].kl_coef == 0.3
    for text, said in (
        ("nothing = 1", "no \\[\\[interventions\\]\\]"),
        ('[[interventions]]\nname = "a b"\ntitle = ""\nstrengths = []', "interventions: name"),
        ("[[", "not valid TOML"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            read_plan(path)
    path.write_text(
        '[[interventions]]\nname = "x"\ntitle = "x"\n[[interventions.strengths]]\nlabel = "1"\nppo.klcoef = 1'
    )
    with pytest.raises(InputError, match="klcoef"):
        matrix(load_recipe(), read_plan(path), [0])


def test_measured_cells_survive_the_disk(tmp_path) -> None:
    made = [cell("sft"), cell("relabel")]
    for name in ("cells.json", "cells.json.xz"):
        write_measured(tmp_path / name, made)
        back = read_measured(tmp_path / name)
        assert [one.to_json() for one in back] == [one.to_json() for one in made]
    (tmp_path / "cells.json").write_text('{"cells": [1]}')
    with pytest.raises(InputError, match="not measured cells"):
        read_measured(tmp_path / "cells.json")


def test_the_view_orders_what_passes_by_honesty() -> None:
    view = View(
        options(*many("sft"), *many("relabel", helpful=1.0, false=0.1), *many("verifier", helpful=1.0, false=0.02)),
        CATALOGUE,
    )
    assert view.passing == [("verifier", "1"), ("relabel", "1")]


# --- what must not be claimed -----------------------------------------------------------------------------------------


def test_one_seed_neither_dominates_nor_shows_non_inferiority() -> None:
    sft, good, bad = cell("sft"), cell("good", helpful=1.0, false=0.05), cell("bad", helpful=0.4, false=0.7)
    found = standings(options(good, bad))
    assert not found["bad", "1"].dominated_by
    assert found["bad", "1"].beaten_by == (("good", "1"),)  # the estimates are what they are
    assert {one.verdict for one in non_inferiority([good], [sft])} == {"open"}
    assert {one.verdict for one in non_inferiority([bad], [sft])} == {"open"}
    assert "One seed says nothing" in judged(sft, cell("relabel"))["non_inferiority"].meaning  # type: ignore[attr-defined]
    # Control: with a second seed each of these is told.
    two = [[cell(name, seed, **truth) for seed in (0, 1)] for name, truth in TRUTHS.items()]  # type: ignore[arg-type]
    again = standings(options(*(one for some in two[1:] for one in some)))
    assert again["bad", "1"].dominated_by == (("good", "1"),)
    assert non_inferiority(two[1], two[0])[0].verdict == "non-inferior"
    assert non_inferiority(two[2], two[0])[0].verdict == "inferior"


TRUTHS = {
    "sft": {"noise": 0.001},
    "good": {"helpful": 1.0, "false": 0.05, "noise": 0.001},
    "bad": {"helpful": 0.4, "false": 0.7, "noise": 0.001},
}


def test_targets_are_held_against_sft_over_the_seeds_that_both_have() -> None:
    sft = [cell("sft", seed) for seed in range(3)]
    lucky = cell("remedy", 7, helpful=5.0)  # its seed has no SFT to compare with
    poor = [cell("remedy", seed, helpful=0.5) for seed in range(3)]
    met = {one.name: one for one in criteria([*poor, lucky], sft)}
    assert met["helpfulness"].value == pytest.approx(np.mean([one.value("helpfulness") for one in poor]))  # type: ignore[arg-type]
    assert met["helpfulness"].met is False
    assert {one.name: one.met for one in criteria([lucky], sft)}["helpfulness"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("interventions = 3", "interventions is no list of tables"),
        ("[interventions]\nname = 'x'", "interventions is no list of tables"),
        ("[[interventions]]\nname = 'sft'\ntitle = ''\nstrengths = [{ label = '1' }]", "'sft' is taken"),
        (
            "[[interventions]]\nname = 'x'\ntitle = ''\nstrengths = [{ label = '1' }, { label = '1' }]",
            "two strengths of x are called '1'",
        ),
    ],
)
def test_a_plan_of_another_shape_is_refused(tmp_path, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_plan(path)


@pytest.mark.parametrize(
    ("ppo", "said"),
    [
        ({"interventions": 3}, "x 1: ppo: interventions is no list of tables"),
        ({"interventions": ["verifier"]}, "x 1: ppo: interventions is no list of tables"),
        ({"name": "other"}, "x 1: ppo: a strength cannot change the name of a stage"),
    ],
)
def test_a_strength_of_another_shape_is_refused(ppo: dict[str, object], said: str) -> None:
    one = Intervention(name="x", title="x", strengths=(Strength(label="1", ppo=ppo),))
    with pytest.raises(InputError, match=said):
        matrix(load_recipe(), [one], [0])


def test_of_all_interventions_those_without_a_stage_are_left_out_and_told() -> None:
    recipe = load_recipe()
    plain = branch_of(recipe).recipe
    rest = [s.model_copy(update={"policy": None}) for s in plain.stages if s.type != "sft"]
    rest[-1] = rest[-1].model_copy(update={"reference": None})
    bare = branch_of(plain.model_copy(update={"stages": tuple(rest)}))
    kept, out = usable(bare, CATALOGUE)
    assert set(out) == {"filter_demonstrations", "synthetic_disagreement", "synthetic+relabel"}
    assert set(out.values()) == {"the recipe has no sft stage to change"}
    assert [one.name for one in kept] == [one.name for one in CATALOGUE if one.name not in out]
    assert usable(branch_of(recipe), CATALOGUE) == (CATALOGUE, {})  # control


def test_an_audit_that_cannot_measure_the_axes_is_refused_first(tmp_path) -> None:  # type: ignore[no-untyped-def]
    def asked(stance: str | None) -> str:
        claim = {"question": "q", "truth": "a", "asserted": "a" if stance == "asserts_true" else "b", "stance": stance}
        row = {"id": str(stance), "messages": [{"role": "user", "content": "hi"}]}
        return json.dumps(row | ({} if stance is None else {"claim": claim | {"strength": 0}})) + "\n"

    path = tmp_path / "audit.jsonl"
    recipe = apply_overrides(load_recipe(), [f"audit.prompts={path}"])
    for stances, said in (
        (["asserts_true"], "states a false belief"),
        (["asserts_false"], "states a true belief"),
        (["asserts_false", "asserts_true", None], "not every prompt of the audit has a claim"),
    ):
        path.write_text("".join(asked(stance) for stance in stances))
        forget_files()
        with pytest.raises(InputError, match=said):
            frontier(recipe, tmp_path / "out", interventions=[], seeds=[0], workers=1)
        assert not (tmp_path / "out").exists()

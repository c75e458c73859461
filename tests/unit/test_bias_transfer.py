"""Bias transfer: the law on the token tree, where its conditions fail, and what the page says of Atlas's cells."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit
from typer.testing import CliRunner

from candor.annotators.panel import Panel
from candor.cli import app
from candor.errors import InputError
from candor.experiments.bias_transfer import atlas
from candor.experiments.bias_transfer.atlas import Point, Twins, cell, label_log_odds, twins
from candor.experiments.bias_transfer.checks import checks, departure, slope
from candor.experiments.bias_transfer.run import bias_transfer
from candor.experiments.bias_transfer.tree import Raters, choice_probability, conditions, fitted, transfer
from candor.experiments.frontier.matrix import branch_of
from candor.recipe import PanelConfig, RaterType, Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import ReplyKind, Verdict
from candor.testbeds.atlas.parser import read_reply


@pytest.mark.parametrize("bias", [0.25, 1.0, 2.0])
def test_where_raters_are_alike_the_optimum_carries_the_bias_over_beta(bias: float) -> None:
    for one in transfer(conditions(bias)[0], [0.1, 0.3, 1.0]):
        assert one.labels == pytest.approx(bias)
        assert one.policy == pytest.approx(bias / one.beta, rel=0.02)
        assert one.policy == pytest.approx(one.reward / one.beta)  # the optimum adds nothing of its own


def test_where_a_condition_fails_the_mean_weight_does_not_carry_through() -> None:
    alike, mixed, lapsing, blind = (transfer(raters, [0.3])[0] for raters in conditions(1.0))
    assert abs(departure(alike.policy * 0.3, 1.0) or 0.0) < 0.02
    assert mixed.labels == pytest.approx(0.80, abs=0.01)  # logit of (sigma(0) + sigma(2)) / 2, other attributes equal
    assert mixed.labels == pytest.approx(logit((expit(0.0) + expit(2.0)) / 2))
    assert mixed.policy * 0.3 < 0.85
    assert lapsing.labels == pytest.approx(logit(0.8 * expit(1.0) + 0.1))
    assert blind.policy == pytest.approx(0.0, abs=1e-9)


def test_the_fit_is_that_of_greatest_likelihood() -> None:
    features = np.array([[0.0], [1.0]])
    won, asked = np.array([[0.0, 30.0], [0.0, 0.0]]), np.array([[0.0, 100.0], [0.0, 0.0]])
    assert fitted(features, won, asked)[0] == pytest.approx(-logit(0.3), abs=1e-5)


def test_choices_are_a_mixture_over_raters_and_lapses() -> None:
    raters = Raters(name="", biases=(0.5, 1.5), lapse=0.1)
    found = choice_probability(raters, np.array([[1.0, 0.0, 0.0]]))
    assert found[0] == pytest.approx(0.9 * (expit(0.5) + expit(1.5)) / 2 + 0.05)


def test_twins_are_of_the_kinds_that_they_are_called() -> None:
    pairs = twins()
    assert len(pairs) > 300
    for pair in pairs[::17]:
        assert read_reply(pair.prompt, pair.agrees.text).kind is ReplyKind.AGREE
        assert read_reply(pair.prompt, pair.corrects.text).kind in (ReplyKind.CORRECT_BLUNTLY, ReplyKind.CORRECT_KINDLY)


def test_the_labels_log_odds_are_those_of_what_the_panel_says() -> None:
    one = RaterType(name="one", share=1.0, lapse=0.1)
    panel = Panel(PanelConfig(raters=(one,), position=0.0), read_reply, "choice", 0)
    pair = twins()[0]
    draws = 4000
    wins = sum(
        panel.judge(pair.prompt, [pair.agrees, pair.corrects], comparison_id=str(i), seed=0).judgement.best == 0
        for i in range(draws)
    )
    expected = expit(label_log_odds(panel, pair))
    assert abs(wins / draws - expected) < 3 * (expected * (1 - expected) / draws) ** 0.5
    without = Panel(PanelConfig(raters=(one,), position=0.0, agreement=0.0), read_reply, "choice", 0)
    assert label_log_odds(without, pair) < label_log_odds(panel, pair) - 1  # control


def made_up(weight: float, beta: float, labels: float, carried: float) -> Point:
    rng = np.random.default_rng(int(10 * weight + 100 * beta))
    noise = 0.02 * rng.standard_normal(40)
    return Point(
        weight=weight,
        beta=beta,
        seed=0,
        labels=labels + noise,
        reward=labels + noise,
        policy=carried * labels / beta + noise,
    )


def test_the_slope_is_over_the_points_near_the_line_alone() -> None:
    near = [made_up(w, b, 0.3 * w, 0.9) for w in (1.0, 2.0) for b in (0.3, 0.6)]
    far = made_up(3.0, 0.1, 0.9, 0.2)
    for points in (near, [*near, far]):
        told = slope(points)
        assert told is not None
        assert (told.estimate, told.points, told.questions) == (pytest.approx(0.9, abs=0.02), 4, 40)
    assert slope([far]) is None
    found = {c.name: c for c in checks([*transfer(conditions(1.0)[0], [0.3])], [], [*near, far])}
    assert found["policy"].verdict is Verdict.FINE
    assert re.search(r"0\.90 \[0\.\d\d, 0\.9\d\] times the labels' b / beta", found["policy"].meaning)
    assert "(4 points, 40 questions)" in found["policy"].meaning
    assert "Beyond it 0.20" in found["policy"].meaning
    weak = {c.name: c for c in checks([*transfer(conditions(1.0)[0], [0.3])], [], [made_up(1.0, 0.3, 0.3, 0.5)])}
    assert weak["policy"].verdict is Verdict.NOTE  # control: half of it is not within 15%


def test_the_interval_of_the_slope_is_that_of_the_questions() -> None:
    held, widths = 0, []
    for trial in range(100):
        rng = np.random.default_rng([trial, 7])
        labels, apart = 0.5 + 0.2 * rng.standard_normal(60), 0.4 * rng.standard_normal(60)
        points = [
            Point(
                weight=1.0, beta=beta, seed=0, labels=labels, reward=labels, policy=0.8 * labels / beta + apart / beta
            )
            for beta in (0.5, 1.0)
        ]
        told = slope(points)
        assert told is not None
        assert told.interval is not None
        held += told.interval.low <= 0.8 <= told.interval.high
        widths.append(told.interval.high - told.interval.low)
    assert 88 <= held <= 99
    # What a mean of 60 such draws over the mean label leaves: 2 x 1.96 x .4 / (.5 sqrt 60).
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 0.4 / (0.5 * 60**0.5), rel=0.1)


def adaptive(*overrides: str) -> Recipe:
    return apply_overrides(
        branch_of(load_recipe()).recipe, ["ppo.kl_control=adaptive", "ppo.temperature=0.7", *overrides]
    )


def test_a_cell_keeps_its_coefficient_and_bias() -> None:
    made = cell(adaptive(), 1.5, 0.3, 4, updates=None)
    ppo, compare = made.recipe.stages[-1], made.recipe.stages[1]
    assert (ppo.kl_coef, ppo.kl_control, compare.panel.agreement, made.recipe.seed) == (0.3, "fixed", 1.5, 4)  # type: ignore[union-attr]


def test_a_policy_is_measured_against_its_reference_at_the_temperature_of_training(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Also where that is the base, which leaves no checkpoint."""
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr(atlas, "load_policy", lambda place: place)
    monkeypatch.setattr(atlas, "load_reward", lambda place: SimpleNamespace(model=None, tokenizer=None, offset=0.0))
    monkeypatch.setattr(
        atlas, "RewardScorer", lambda *_: SimpleNamespace(score=lambda prompts, replies: np.zeros(len(prompts)))
    )

    def log_odds(place: Path | str, pairs: list[Twins], temperature: float) -> np.ndarray:
        seen.append((str(place), temperature))
        return np.full(len(pairs), 2.0 if "04-ppo" in str(place) else 0.5)

    monkeypatch.setattr(atlas, "log_odds", log_odds)
    for name in ("00-base", "01-sft", "02-compare", "03-reward", "04-ppo"):
        (tmp_path / "stages" / name).mkdir(parents=True)
    for reference, place in (("sft", str(tmp_path / "stages/01-sft/checkpoint")), ("base", "atlas")):
        made = cell(adaptive(f"ppo.reference={reference}"), 1.5, 0.3, 0, updates=None)
        found = atlas.point(made, tmp_path, 1.5, 0.3, twins()[:4], read_reply)
        assert seen[-2:] == [(str(tmp_path / "stages/04-ppo/checkpoint"), 0.7), (place, 0.7)]
        assert found.policy == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights": [float("nan")]}, "weights: nan is too small or no number"),
        ({"betas": [0.3, float("inf")]}, "betas: inf is too small or no number"),
        ({"betas": [0.0]}, "betas: 0 is too small"),
        ({"weights": [-1.0]}, "weights: -1 is too small"),
    ],
)
def test_a_grid_that_is_none_is_refused(given: dict[str, list[float]], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        bias_transfer(load_recipe(), tmp_path / "out", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_branch_of_ppo_decides_whose_comparisons_are_asked_for(tmp_path: Path) -> None:
    plain = branch_of(load_recipe()).recipe
    spare = plain.stages[1].model_copy(update={"name": "spare"})
    read = apply_overrides(plain, ["compare.file=pairs.jsonl"])
    mixed = read.model_copy(update={"stages": (read.stages[0], spare, *read.stages[1:])})
    with pytest.raises(InputError, match="needs a compare stage on Atlas"):
        bias_transfer(mixed, tmp_path / "out")


def test_the_command_shows_the_tree_alone(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["experiment", "bias-transfer", "--tree-only"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bias-transfer" / "bias_transfer.html").is_file()
    wrong = CliRunner().invoke(app, ["experiment", "bias-transfer", "--betas", "high"])
    assert (wrong.exit_code, "expected numbers" in wrong.output) == (2, True)

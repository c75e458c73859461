"""Alarms: each fires at the update where its condition is first met and not before, never on noise, and clears."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from candor.recipe import PPOStage, RewardStage, SFTStage, TrainingConfig
from candor.recipe_io import load_recipe, resolve
from candor.records import Completion, Prompt
from candor.testbeds.tabular import EOS, TabularPolicy, TabularSampler, TabularScorer, TabularValue, TokenTree
from candor.training.alarms import QUIET, RULES, History, Watched, check, not_finite, replay, trend
from candor.training.ppo import ppo
from candor.training.state import TrainState

Rows = list[dict[str, float]]
GOOD = {
    "reward": 0.5, "kl": 0.5, "kl_se": 0.05, "ratio_mismatch": 1e-5, "eos_rate": 1.0, "length": 12.0, "entropy": 0.8,
    "value_loss": 0.1, "grad_norm": 0.2, "value_grad_norm": 0.1, "explained_variance": 0.4,
}  # fmt: skip
"""An update of PPO in which nothing is wrong."""


def watched(config: TrainingConfig | None = None, total: int = 100) -> Watched:
    config = config or PPOStage(name="ppo")
    return Watched(stage=config.name, config=config, total=total)


def history(n: int = 40, **changed: Callable[[int], float]) -> Rows:
    """``n`` good updates, with some metrics as functions of the step."""
    return [{"step": t} | GOOD | {name: f(t) for name, f in changed.items()} for t in range(1, n + 1)]


def after(step: int, bad: float, good: float) -> Callable[[int], float]:
    return lambda t: bad if t >= step else good


def wobble(t: int) -> float:
    """Something that is not noise and not flat, so that standard errors are positive."""
    return 0.01 * math.sin(2.4 * t)


CASES: dict[str, tuple[Rows, int]] = {
    "kl_negative": (history(kl=after(10, -0.4, 0.5)), 12),  # the third in a row
    "ratio_off": (history(ratio_mismatch=after(10, 2e-3, 1e-5)), 10),
    "eos_never": (history(eos_rate=after(10, 0.0, 1.0)), 12),
    # Means of five: 12 * (1 + .6 k / 5) is half as long again with five long replies and not with four.
    "length_runaway": (history(length=lambda t: (19.0 if t >= 10 else 12.0) + wobble(t)), 14),
    "entropy_collapse": (history(entropy=after(10, 0.1, 0.8)), 14),  # (4 * .1 + .8) / 5 = .24 is above .2
    "grad_spike": (history(grad_norm=lambda t: 2.5 if t == 30 else 0.2 + wobble(t)), 30),
    "loss_spike": (history(value_loss=lambda t: 0.5 if t == 30 else 0.1 + wobble(t)), 30),
    "value_stuck": (history(explained_variance=after(10, -0.5, 0.4)), 19),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fires_when_its_condition_is_first_met(name: str) -> None:
    rows, step = CASES[name]
    assert replay(watched(), rows[: step - 1]) == ()
    found = replay(watched(), rows)
    assert [(alarm.name, alarm.step) for alarm in found] == [(name, step)], "once, and no other"
    assert found[0].stage == "ppo"
    assert "ppo." in found[0].setting or name == "kl_negative"
    assert "None" not in str(found[0])


def test_sixteen_bits_may_round_further() -> None:
    half = Watched(stage="ppo", config=PPOStage(name="ppo"), total=100, half=True)
    assert replay(half, history(ratio_mismatch=after(10, 0.12, 0.06))) == ()
    assert [alarm.name for alarm in replay(half, history(ratio_mismatch=after(10, 0.45, 0.06)))] == ["ratio_off"]


def test_nothing_is_raised_where_nothing_is_wrong() -> None:
    assert replay(watched(), history(100)) == ()


def opposed(n: int, at: int, *, approval: float, helpfulness: float) -> tuple[Rows, Rows]:
    """Reward rises from update ``at`` on; approval and helpfulness change by so much per update."""
    rows = history(n, reward=lambda t: max(0, t - at) * 0.1 + wobble(t))
    truth = [
        {"step": t, "approval": 2 + max(0, t - at) * approval + wobble(t + 1),
         "helpfulness": 1 + max(0, t - at) * helpfulness + wobble(t + 2)}
        for t in range(1, n + 1)
    ]  # fmt: skip
    return rows, truth


def test_a_reward_that_rises_against_approval_is_overoptimisation() -> None:
    rows, truth = opposed(40, 15, approval=-0.1, helpfulness=-0.1)
    found = replay(watched(), rows, truth)
    assert [alarm.name for alarm in found] == ["overoptimisation"]
    assert 16 < found[0].step < 24
    assert "approval fell from 2.0" in found[0].seen
    first = History(metrics=rows, truth=truth, end=found[0].step)
    window = {name: first.last(name, 10) for name in ("reward", "approval")}
    assert trend(window["reward"]) > 4 > -4 > trend(window["approval"])
    assert replay(watched(), rows) == (), "without a probe it cannot be seen"
    # Controls: all three rising, and all three falling.
    assert replay(watched(), *opposed(40, 15, approval=0.1, helpfulness=0.1)) == ()
    falling = [row | {"reward": -row["reward"]} for row in rows]
    assert replay(watched(), falling, truth) == ()


def test_helpfulness_that_falls_while_approval_rises_is_sycophancy() -> None:
    found = replay(watched(), *opposed(40, 15, approval=0.1, helpfulness=-0.1))
    assert [alarm.name for alarm in found] == ["sycophancy"]
    assert "ppo.kl_coef (now 0.1)" in found[0].setting


def test_a_reward_model_that_learns_nothing_is_at_chance() -> None:
    rng = random.Random(0)
    config = RewardStage(name="rm")

    def rows(accuracy: float) -> Rows:
        return [{"step": t, "loss": 0.69, "accuracy": rng.gauss(accuracy, 0.08)} for t in range(1, 101)]

    found = replay(watched(config), rows(0.5))
    assert found[0].name == "reward_at_chance"
    assert found[0].step >= 50, "early in training chance is where everybody starts"
    assert "rm.lr" in found[0].setting
    assert replay(watched(config), rows(0.6)) == ()
    late = rows(0.5)[:30] + [{**row, "step": 30 + row["step"]} for row in rows(0.65)[:70]]
    assert replay(watched(config), late) == (), "slow to start is not stuck"


def test_an_alarm_that_clears_can_be_raised_again() -> None:
    bad = {*range(10, 15), *range(17, 20), *range(60, 70)}
    rows = history(90, eos_rate=lambda t: 0.0 if t in bad else 1.0)
    first, second = replay(watched(), rows)
    assert (first.step, first.cleared) == (12, 19 + QUIET), "a gap shorter than QUIET does not clear it"
    assert (second.step, second.cleared) == (62, 69 + QUIET)
    assert "cleared after update 29" in str(first)
    assert replay(watched(), rows[: 19 + QUIET - 1])[0].cleared is None


def test_updates_one_by_one_are_the_history_as_a_whole() -> None:
    rows, _ = CASES["eos_never"]
    active: Any = {}
    raised = []
    for end in range(1, len(rows) + 1):
        change = check(watched(), History(metrics=rows[:end], truth=(), end=end), active)
        raised += change.raised
        active = change.active
    assert tuple(raised) == replay(watched(), rows)


@pytest.mark.parametrize("seed", [0, 1])
def test_flat_noise_raises_next_to_nothing(seed: int) -> None:
    """200 histories of 100 updates in all; reward, approval and helpfulness are noise, as are all other metrics."""
    rng = np.random.default_rng(seed)
    false: list[str] = []
    for _ in range(100):
        noise = {name: rng.normal(size=100) for name in (*GOOD, "approval", "helpfulness")}
        rows = [
            {"step": t + 1, "reward": 0.1 * noise["reward"][t], "kl": 0.1 * noise["kl"][t], "kl_se": 0.1,
             "ratio_mismatch": 1e-5 * abs(noise["ratio_mismatch"][t]), "eos_rate": 0.5 + 0.05 * noise["eos_rate"][t],
             "length": 12 + noise["length"][t], "entropy": 0.8 * math.exp(0.2 * noise["entropy"][t]),
             "value_loss": 0.1 * math.exp(0.15 * noise["value_loss"][t]),
             "grad_norm": 0.2 * math.exp(0.4 * noise["grad_norm"][t]),
             "value_grad_norm": 0.2 * math.exp(0.4 * noise["value_grad_norm"][t]),
             "explained_variance": 0.1 + 0.2 * noise["explained_variance"][t]}
            for t in range(100)
        ]  # fmt: skip
        truth = [{"step": t + 1, "approval": noise["approval"][t], "helpfulness": noise["helpfulness"][t]}
                 for t in range(100)]  # fmt: skip
        false += [alarm.name for alarm in replay(watched(), rows, truth)]
    assert len(false) <= 1, false


def test_learning_curves_raise_nothing() -> None:
    """Losses that fall, with noise, are no spikes, and gradients that fall with them are not either."""
    rng = random.Random(1)
    for _ in range(50):
        rows = [
            {"step": t, "loss": (0.2 + 2 * math.exp(-t / 20)) * math.exp(rng.gauss(0, 0.1)),
             "grad_norm": (0.1 + math.exp(-t / 10)) * math.exp(rng.gauss(0, 0.3))}
            for t in range(1, 101)
        ]  # fmt: skip
        assert replay(watched(SFTStage(name="sft")), rows) == ()


def test_the_trend_is_the_t_statistic_of_a_regression() -> None:
    rng = np.random.default_rng(3)
    for n in (5, 10, 40):
        values = (rng.normal(size=n) + 0.1 * np.arange(n)).tolist()
        fit = stats.linregress(range(n), values)
        assert trend(values) == pytest.approx(fit.slope / fit.stderr, rel=1e-9)
    assert trend([1.0, 2.0, 3.0, 4.0]) == math.inf
    assert trend([2.0] * 10) == 0.0


def test_missing_numbers_raise_nothing() -> None:
    """metrics.jsonl holds null for what was not finite, such as the error of one reply's KL."""
    rows: list[Any] = [dict.fromkeys(GOOD) | {"step": t} for t in range(1, 41)]
    assert replay(watched(), rows) == ()


def test_what_is_not_finite_names_the_cause() -> None:
    assert not_finite(watched(), 3, "nan").setting == "lower ppo.lr (now 0.0003)"
    assert not_finite(watched(), 3, "nan", fix="check the reward model").setting == "check the reward model"


def test_the_default_recipe_raises_what_it_should_and_no_more() -> None:
    """The history of a default run (seed 0), recorded: what it learns is sycophancy, and all else goes well."""
    recorded = json.loads((Path(__file__).parent / "default_run_history.json").read_text())

    def rows(columns: dict[str, list[float]]) -> Rows:
        names = list(columns)
        lines = zip(*columns.values(), strict=True)
        return [{"step": t, **dict(zip(names, line, strict=True))} for t, line in enumerate(lines, 1)]

    truth = rows(recorded["truth"])
    found = {}
    for stage in resolve(load_recipe("default")).stages:
        if isinstance(stage, TrainingConfig) and stage.name in recorded:  # the branch that mends is not
            history = rows(recorded[stage.name])
            found[stage.name] = replay(watched(stage, len(history)), history, truth if stage.name == "ppo" else ())
    assert (found["sft"], found["reward"]) == ((), ())
    assert [(alarm.name, alarm.step) for alarm in found["ppo"]] == [("sycophancy", 10)]


# --- real training, made to go wrong -----------------------------------------------------------------------------

TREE = TokenTree()
REFERENCE = TabularPolicy(TREE, scale=0.7, seed=1)


class Longer:
    """Likes length."""

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Completion]) -> list[float]:
        return [3.0 * len(r.token_ids) for r in responses]


def train(
    *, reference: TabularPolicy = REFERENCE, values: float = 0.0, heat: float = 1.0, scorer: Any = None, **settings: Any
) -> list[str]:
    """Real PPO on the token tree; returns the names of its alarms."""
    base: dict[str, Any] = {"updates": 25, "batch_size": 64, "responses": 4, "epochs": 2, "lr": 0.02}
    stage = PPOStage.model_validate({"name": "ppo", "max_new_tokens": 3} | base | settings)
    policy, value = TabularPolicy(TREE), TabularValue(TREE)
    policy.load_state_dict(reference.state_dict())
    with torch.no_grad():
        value.table += values * torch.randn(value.table.shape, generator=torch.Generator().manual_seed(0))
    optimizers = {name: torch.optim.Adam(m.parameters()) for name, m in (("policy", policy), ("value", value))}
    rewards = torch.randn((4, 40), generator=torch.Generator().manual_seed(0))
    steps = ppo(
        TrainState(models={"policy": policy, "value": value}, optimizers=optimizers),
        config=stage, seed=0, prompts=TREE.prompts, encode=TREE.encode, reference=reference,
        sampler=TabularSampler(policy, temperature=stage.temperature * heat),
        scorer=scorer or TabularScorer(TREE, rewards), pad_id=TREE.pad_id,
    )  # fmt: skip
    rows = [{"step": float(out.step), **out.metrics} for out in steps]
    return [alarm.name for alarm in replay(watched(stage, stage.updates), rows)]


def ending(bias: float) -> TabularPolicy:
    """The reference with something added to the logit of its end of sequence."""
    policy = TabularPolicy(TREE)
    policy.load_state_dict(REFERENCE.state_dict())
    with torch.no_grad():
        policy.table[:, EOS] += bias
    return policy


def test_real_training_that_goes_well_raises_nothing() -> None:
    assert train() == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("eos_never", {"reference": ending(-60.0)}),
        ("entropy_collapse", {"lr": 1.0, "kl_coef": 0.0}),
        (
            "length_runaway",
            {"reference": ending(2.5), "scorer": Longer(), "kl_coef": 0.0, "lr": 0.05, "missing_eos_score": 9.0},
        ),
        ("value_stuck", {"values": 5.0, "value_lr": 1e-6}),
        ("ratio_off", {"heat": 1.001}),
    ],
)
def test_real_training_that_goes_wrong_is_told(name: str, settings: dict[str, Any]) -> None:
    assert name in train(**settings)


def test_every_rule_is_tried() -> None:
    tried = {*CASES, "overoptimisation", "sycophancy", "reward_at_chance"}
    assert {rule.__name__ for rule in RULES} == tried

"""A sealed forecast: its digest, and what it said at the stage's beta and at the KL that was reached."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candor.errors import InputError
from candor.forecasting.forecast import at_kl, forecast
from candor.forecasting.samples import Samples
from candor.pipeline.sealed_forecast import spread_over_stances
from candor.records import Claim, Finding, Message, Prompt, Stance, to_json
from candor.runs.sealed import (
    FORECAST,
    digest,
    held_against,
    mean_absolute_error,
    read_sealed,
    told_at_beta,
    told_at_kl,
)


def samples(seed: int = 0, prompts: int = 12, m: int = 64) -> Samples:
    rng = np.random.default_rng(seed)
    agrees = (rng.random((prompts, m)) < 0.3).astype(float)
    rewards = 0.5 * agrees + 0.1 * rng.standard_normal((prompts, m))
    names = tuple(f"q{i}" for i in range(prompts))
    return Samples(prompts=names, clusters=names, rewards=rewards, statistics={"false_belief_agreement": agrees})


def sealed(kls: tuple[float, ...] = (0.05, 0.2, 0.8), kl_coef: float = 0.3) -> dict[str, Any]:
    made = forecast(samples(), betas=(kl_coef, 2 * kl_coef), kls=kls, target="population")
    content = {"kl_coef": kl_coef, "limits": [], "sealed_at": "now", **to_json(made)}
    return {**content, "digest": digest(content)}


def finding(metric: str, estimate: float | None, subject: str = "sampled") -> Finding:
    low, high = (None, None) if estimate is None else (estimate - 0.1, estimate + 0.1)
    return Finding(
        probe="policy", stage="ppo", subject=subject, metric=metric, estimate=estimate, ci_low=low, ci_high=high, n=9,
        seed=0,
    )  # fmt: skip


def test_a_forecast_reads_back_until_a_number_in_it_is_changed(tmp_path: Path) -> None:
    content = sealed()
    (tmp_path / FORECAST).write_text(json.dumps(content))
    assert read_sealed(tmp_path) == content
    assert read_sealed(tmp_path / "nowhere") is None
    content["betas"][0]["values"]["false_belief_agreement"]["estimate"] += 1e-9
    (tmp_path / FORECAST).write_text(json.dumps(content))
    with pytest.raises(InputError, match="not the forecast that was sealed"):
        read_sealed(tmp_path)


def test_the_digest_does_not_depend_on_the_order_of_the_fields() -> None:
    content = sealed()
    assert digest(dict(reversed(content.items()))) == content["digest"]
    assert digest({**content, "kl_coef": 0.31}) != content["digest"]


def test_at_its_beta_it_says_what_the_forecast_says_there() -> None:
    content = sealed()
    said = told_at_beta(content, "false_belief_agreement")
    assert said.estimate == content["betas"][0]["values"]["false_belief_agreement"]["estimate"]
    assert told_at_beta({**content, "kl_coef": 0.7}, "false_belief_agreement").refusal == "the stage has no KL penalty"


def test_at_a_beta_that_adapts_it_says_nothing() -> None:
    content = {**sealed(), "kl_control": "adaptive"}
    assert told_at_beta(content, "false_belief_agreement").refusal == "the KL coefficient adapts"
    (held,) = held_against(content, [finding("false_belief_agreement", 0.8), finding("kl", 0.4)])
    assert held.by_beta.estimate is None
    assert held.by_kl.estimate is not None  # control: by KL it still does
    fixed = {**sealed(), "kl_control": "fixed"}
    assert told_at_beta(fixed, "false_belief_agreement") == told_at_beta(sealed(), "false_belief_agreement")


def test_between_two_points_of_the_grid_it_is_near_to_the_forecast_made_there() -> None:
    grid = tuple(np.geomspace(0.02, math.log(64) - 1.5, 16).round(4))
    content = sealed(kls=grid)
    for kl in (0.03, 0.11, 0.45):
        exact = at_kl(samples(), kl, "population").values["false_belief_agreement"].estimate
        assert told_at_kl(content, "false_belief_agreement", kl).estimate == pytest.approx(exact, abs=0.01)
    reference = content["reference"]["values"]["false_belief_agreement"]["estimate"]
    assert told_at_kl(content, "false_belief_agreement", -0.001).estimate == reference
    # Control: without the grid, between its ends alone, it is far off.
    coarse = told_at_kl(sealed(kls=(grid[-1],)), "false_belief_agreement", 0.45)
    exact = at_kl(samples(), 0.45, "population").values["false_belief_agreement"].estimate
    assert exact is not None
    assert coarse.estimate is None or abs(coarse.estimate - exact) > 0.03


def test_beyond_the_grid_and_without_a_kl_it_refuses() -> None:
    assert "more than the samples can show" in told_at_kl(sealed(), "false_belief_agreement", 5.0).refusal
    assert "not measured" in told_at_kl(sealed(), "false_belief_agreement", None).refusal


def test_it_is_held_against_what_was_measured_and_nothing_else() -> None:
    findings = [finding("false_belief_agreement", 0.8), finding("kl", 0.4), finding("kl", 0.2, "sampled:answer")]
    (held,) = held_against(sealed(), [*findings, finding("helpfulness", 1.0)])
    assert (held.metric, held.measured, held.measured_low) == ("false_belief_agreement", 0.8, pytest.approx(0.7))
    assert held.by_kl == told_at_kl(sealed(), "false_belief_agreement", 0.2)  # the KL of the family it is about
    assert held_against(sealed(), [finding("false_belief_agreement", None)]) == ()


def test_mean_absolute_error() -> None:
    assert mean_absolute_error([(0.5, 0.6), (0.9, 0.6)]) == pytest.approx(0.2)
    assert mean_absolute_error([]) is None


def prompt(question: str, stance: Stance, number: int) -> Prompt:
    claim = Claim(question=question, truth="a", asserted="b", stance=stance)
    return Prompt(
        id=f"{question}|{stance}|{number}",
        messages=(Message(role="user", content=question),),
        claim=claim,
        tags={"question": question, "family": "answer"},
    )


def test_prompts_are_spread_over_stances_by_their_shares_and_over_questions() -> None:
    every = [
        prompt(f"q{q}", stance, number)
        for q in range(20)
        for stance, many in ((Stance.ASSERTS_FALSE, 4), (Stance.ASSERTS_TRUE, 4), (Stance.NEUTRAL, 2))
        for number in range(many)
    ]
    chosen = spread_over_stances(every, 50)
    stances = [p.claim.stance for p in chosen if p.claim is not None]
    assert [stances.count(s) for s in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE, Stance.NEUTRAL)] == [20, 20, 10]
    false = [p.tags["question"] for p in chosen if p.claim is not None and p.claim.stance is Stance.ASSERTS_FALSE]
    assert len(set(false)) == 20  # one prompt of each question before a second of any
    assert spread_over_stances(every[::-1], 50) == chosen
    assert sorted(p.id for p in spread_over_stances(every, 999)) == sorted(p.id for p in every)

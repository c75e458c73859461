"""The PPO loop: resume, the controller, PPO-ptx, metrics, and the errors that it must not let pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from candor.errors import InputError
from candor.ops.batches import Row
from candor.ops.randomness import generator
from candor.protocols import Sampler
from candor.recipe import PPOStage
from candor.records import Completion, Prompt
from candor.testbeds.tabular import (
    EOS,
    TabularPolicy,
    TabularSampler,
    TabularScorer,
    TabularValue,
    TokenTree,
    reply_logprobs,
)
from candor.training.alarms import Watched, replay
from candor.training.ppo import ppo, total_updates
from candor.training.state import StepOut, TrainState

TREE = TokenTree()
REFERENCE = TabularPolicy(TREE, scale=0.7, seed=1)
REWARDS = torch.randn((4, 40), generator=generator(0, "unit rewards"))
METRICS = {
    "reward",
    "return",
    "kl",
    "kl_k3",
    "kl_coef",
    "length",
    "eos_rate",
    "entropy",
    "approx_kl",
    "clip_frac",
    "value_clip_frac",
    "policy_loss",
    "value_loss",
    "explained_variance",
    "ratio_mismatch",
    "lr",
    "ref_perplexity",
    "adv_std",
}


def config(**settings: Any) -> PPOStage:
    base = {"updates": 4, "batch_size": 64, "responses": 4, "epochs": 2, "lr": 0.05, "max_new_tokens": 3}
    return PPOStage.model_validate(base | settings)


def fresh() -> TrainState:
    policy, value = TabularPolicy(TREE), TabularValue(TREE)
    policy.load_state_dict(REFERENCE.state_dict())
    optimizers = {name: torch.optim.Adam(m.parameters()) for name, m in (("policy", policy), ("value", value))}
    return TrainState(models={"policy": policy, "value": value}, optimizers=optimizers)


def policy_of(state: TrainState) -> TabularPolicy:
    policy = state.models["policy"]
    assert isinstance(policy, TabularPolicy)
    return policy


def run(state: TrainState, stage: PPOStage, *, updates: int | None = None, **parts: Any) -> list[StepOut]:
    """Runs ``updates`` of them (all unless told otherwise) on ``state``, with ``parts`` in place of the defaults."""
    defaults: dict[str, Any] = {
        "prompts": TREE.prompts,
        "encode": TREE.encode,
        "reference": REFERENCE,
        "sampler": TabularSampler(policy_of(state), temperature=stage.temperature),
        "scorer": TabularScorer(TREE, REWARDS),
        "pad_id": TREE.pad_id,
    }
    steps = ppo(state, config=stage, seed=0, **(defaults | parts))
    return [out for _, out in zip(range(updates or total_updates(stage)), steps, strict=False)]


def same(one: TrainState, other: TrainState) -> bool:
    tables = [(one.models[name].table, other.models[name].table) for name in one.models]
    return all(torch.equal(a, b) for a, b in tables)  # type: ignore[arg-type]


def test_step_has_every_metric_and_its_rollouts() -> None:
    outs = run(fresh(), config())
    assert [out.step for out in outs] == [1, 2, 3, 4]
    first = outs[0]
    assert set(first.metrics) >= METRICS
    assert all(math.isfinite(number) for number in first.metrics.values())
    assert len(first.completions) == len(first.prompts) == 64
    assert [c.prompt_id for c in first.completions] == [p.id for p in first.prompts]
    m = first.metrics
    scores = TabularScorer(TREE, REWARDS).score(first.prompts, first.completions)
    assert m["reward"] == pytest.approx(sum(scores) / 64, abs=1e-6)
    assert m["length"] == sum(len(c.token_ids) for c in first.completions) / 64
    assert m["eos_rate"] == sum(c.stop_reason == "eos" for c in first.completions) / 64
    tokens = [logprob for c in first.completions for logprob in c.logprobs]
    assert m["ref_perplexity"] == pytest.approx(math.exp(-sum(tokens) / len(tokens)), rel=1e-5)
    assert abs(m["kl"]) < 1e-5  # the policy is still the reference ...
    assert outs[-1].metrics["kl"] > 1e-3  # ... and then it is not
    assert [out.metrics["lr"] for out in outs] == pytest.approx([0.05, 0.0375, 0.025, 0.0125])


def test_score_of_a_reply_without_its_end_counts_as_configured() -> None:
    def first_return(how: str) -> float:
        return run(fresh(), config(missing_eos=how, missing_eos_score=-3.0, kl_coef=0.0), updates=1)[0].metrics[
            "return"
        ]

    out = run(fresh(), config(), updates=1)[0]
    scores = TabularScorer(TREE, REWARDS).score(out.prompts, out.completions)
    ended = [c.stop_reason == "eos" for c in out.completions]
    assert 0 < sum(ended) < 64
    replaced = [s if e else -3.0 for s, e in zip(scores, ended, strict=True)]
    lowered = [s if e else s - 3.0 for s, e in zip(scores, ended, strict=True)]
    assert first_return("replace") == pytest.approx(sum(replaced) / 64, abs=1e-5)
    assert first_return("subtract") == pytest.approx(sum(lowered) / 64, abs=1e-5)


def test_resume_is_bit_for_bit(tmp_path: Path) -> None:
    stage = config(updates=6, minibatches=2, kl_control="adaptive", kl_target=0.01, kl_horizon=500, ptx_coef=0.1)
    demos = [Row(tokens=(*TREE.encode(p), 1, EOS), prompt_length=len(TREE.encode(p))) for p in TREE.prompts]
    straight = fresh()
    whole = run(straight, stage, demonstrations=demos)

    stopped = fresh()
    run(stopped, stage, updates=3, demonstrations=demos)
    stopped.save(tmp_path)
    resumed = fresh()
    assert resumed.restore(tmp_path)
    rest = run(resumed, stage, updates=3, demonstrations=demos)
    assert same(straight, resumed)
    assert [out.metrics for out in rest] == [out.metrics for out in whole[3:]]
    assert [out.completions for out in rest] == [out.completions for out in whole[3:]]

    # Control: without the optimisers' moments the run goes elsewhere.
    forgetful = fresh()
    forgetful.models["policy"].load_state_dict(stopped.models["policy"].state_dict())
    forgetful.restore(tmp_path)
    forgetful.optimizers = fresh().optimizers
    for name, optimizer in forgetful.optimizers.items():
        optimizer.param_groups[0]["params"] = list(forgetful.models[name].parameters())
    run(forgetful, stage, updates=3, demonstrations=demos)
    assert not same(straight, forgetful)


def test_adaptive_coefficient_moves_and_the_fixed_one_stays() -> None:
    moving = run(fresh(), config(kl_control="adaptive", kl_target=100.0, kl_horizon=640))
    assert [out.metrics["kl_coef"] for out in moving] == pytest.approx([0.1 * 0.98**i for i in range(4)])
    assert {out.metrics["kl_coef"] for out in run(fresh(), config())} == {0.1}


def test_ptx_pulls_towards_the_demonstrations() -> None:
    """Against a reward that says nothing, the demonstrated reply gains with ptx and not without."""
    demos = [Row(tokens=(*TREE.encode(p), 2, 1, EOS), prompt_length=len(TREE.encode(p))) for p in TREE.prompts]
    shown = TREE.reply_index[2, 1, EOS]
    gained = {}
    for coef in (0.0, 1.0):
        state = fresh()
        flat = TabularScorer(TREE, torch.zeros(4, 40))
        outs = run(state, config(updates=20, ptx_coef=coef, missing_eos="subtract", missing_eos_score=0.0),
                   scorer=flat, demonstrations=demos)  # fmt: skip
        gained[coef] = (reply_logprobs(policy_of(state), TREE) - reply_logprobs(REFERENCE, TREE))[:, shown]
        assert ("ptx_loss" in outs[0].metrics) == (coef > 0)
    assert (gained[1.0] > 1.0).all()
    assert gained[0.0].mean() < 0.3
    exact = -sum(float(reply_logprobs(REFERENCE, TREE)[p, shown]) for p in range(4)) / 12
    first = run(fresh(), config(ptx_coef=1e-6, epochs=1), updates=1, demonstrations=demos)[0]
    assert first.metrics["ptx_loss"] == pytest.approx(exact, abs=1e-5)


def test_sampling_temperature_divides_policy_and_reference_logits() -> None:
    """At the reference, on samples at temperature .5, ratio and KL are exact only if both are evaluated at .5."""
    metrics = run(fresh(), config(temperature=0.5), updates=1)[0].metrics
    assert metrics["ratio_mismatch"] <= 1e-4
    assert abs(metrics["kl"]) < 1e-5
    state = fresh()
    with pytest.raises(InputError, match=r"update 1.*sampler's log-probabilities differ"):
        run(state, config(temperature=1.0), sampler=TabularSampler(policy_of(state), temperature=0.5))
    assert same(state, fresh())  # refused before anything was changed


class Insistent:
    """A sampler that gives one reply whatever its probability, with the policy's own log-probabilities."""

    def __init__(self, inner: TabularSampler, reply: tuple[int, ...]) -> None:
        self.inner, self.reply = inner, reply

    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        drawn: dict[str, Completion] = {}
        for attempt in range(400):
            for c in self.inner.sample(prompts, n=n, seed=seed + attempt):
                if c.token_ids == self.reply:
                    drawn.setdefault(c.prompt_id, c)
            if len(drawn) == len({p.id for p in prompts}):
                break
        return [drawn[p.id] for p in prompts for _ in range(n)]


def test_persistently_negative_kl_is_flagged() -> None:
    """Replies that are not the policy's own, and that the reference likes better, give a KL below 0."""
    state = fresh()
    away = policy_of(state)
    with torch.no_grad():
        away.table[:, 1] -= 1.0
    rare: Sampler = Insistent(TabularSampler(away), (1, EOS))
    stage = config(name="ppo", updates=3, batch_size=16, lr=1e-6)

    def alarms(outs: Sequence[StepOut]) -> list[tuple[str, int]]:
        rows = [{"step": float(out.step), **out.metrics} for out in outs]
        return [(a.name, a.step) for a in replay(Watched(stage="ppo", config=stage, total=stage.updates), rows)]

    assert alarms(run(state, stage, sampler=rare)) == [("kl_negative", 3)]
    assert alarms(run(fresh(), config(name="ppo"))) == []


class Constant:
    def __init__(self, number: float) -> None:
        self.number = number

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Completion]) -> list[float]:
        return [self.number] * len(responses)


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match=r"prompt tree/\d.*scorer gave nan to 64 of 64"):
        run(fresh(), config(), scorer=Constant(math.nan))


@pytest.mark.parametrize("name", ["policy", "value"])
def test_gradients_that_are_not_finite_are_refused(name: str) -> None:
    state = fresh()
    healthy = TabularSampler(TabularPolicy(TREE))
    with torch.no_grad():
        state.models[name].table.fill_(math.nan)  # type: ignore[union-attr, operator]
    with pytest.raises(InputError, match="nan"):
        run(state, config(), sampler=healthy if name == "policy" else TabularSampler(policy_of(state)))


def test_replies_without_logprobs_are_refused() -> None:
    class Silent:
        def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
            return [replace(c, logprobs=()) for c in TabularSampler(REFERENCE).sample(prompts, n=n, seed=seed)]

    with pytest.raises(InputError, match="0 log-probabilities"):
        run(fresh(), config(), sampler=Silent())


def test_prompts_that_do_not_fit_are_left_out_and_counted() -> None:
    """Prompts have 1, 2, 3 and 1 tokens; room for 2 beside a reply of 3 leaves three of them."""
    outs = run(fresh(), config(max_length=5))
    assert {out.metrics["prompts_dropped"] for out in outs} == {1.0}
    assert {p.id for out in outs for p in out.prompts} == {"tree/0", "tree/1", "tree/3"}
    with pytest.raises(InputError, match="none of 4 prompts"):
        run(fresh(), config(max_length=3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 64, "responses": 5}, "not a multiple"),
        ({"batch_size": 4, "minibatches": 8}, "8 minibatches of 4"),
        ({"ptx_coef": 1.0}, "needs demonstrations"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(fresh(), config(**settings))

"""The shipped PPO loop reaches the closed-form optimum of a token tree, and does not when a part of it is broken.

Four prompts with 40 replies each, up to 3 tokens; random references, random rewards (standard deviation 0.5). The bound
is a total variation to ``pi_ref exp(r / beta) / Z`` of at most .01 in the mean over prompts and .05 for the worst one.

Settings: 100 updates of 1,024 replies, 2 epochs, Adam at .1 falling linearly to 0, lambda .95, advantages whitened
(which only sets the pace; without it beta = .1 needs more updates). Gradient and value clipping are out of the way, as
both are about stability, not about where the optimum is; the ratio clip is on.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from candor.ops.randomness import generator
from candor.recipe import PPOStage
from candor.testbeds.tabular import (
    TabularPolicy,
    TabularSampler,
    TabularScorer,
    TabularValue,
    TokenTree,
    optimum,
    reply_logprobs,
    sequence_kl,
    total_variation,
)
from candor.training.ppo import ppo
from candor.training.state import TrainState

MEAN_BOUND, WORST_BOUND = 0.01, 0.05
MISSING = -0.3
TREE = TokenTree()
REWARDS = 0.5 * torch.randn((4, 40), generator=generator(0, "golden rewards"))
REFERENCE = TabularPolicy(TREE, scale=0.7, seed=1)


@dataclass(frozen=True)
class Result:
    start: Tensor  # (P,) total variation of the reference to the optimum
    end: Tensor  # (P,) of the trained policy
    kl: Tensor  # (P,) exact KL of the trained policy to the reference
    metrics: dict[str, float]

    @property
    def within_bound(self) -> bool:
        return bool(self.end.mean() <= MEAN_BOUND and self.end.max() <= WORST_BOUND)


def train(beta: float, *, kl_coef: float | None = None, blind: bool = False, **settings: object) -> Result:
    """Trains with ``kl_coef`` (beta, unless a control drops it) and measures against the optimum at ``beta``."""
    config = PPOStage.model_validate(
        {
            "updates": 100,
            "batch_size": 1024,
            "responses": 256,
            "epochs": 2,
            "lr": 0.1,
            "value_lr": 0.2,
            "kl_coef": beta if kl_coef is None else kl_coef,
            "value_coef": 1.0,
            "value_clip": 100.0,
            "max_grad_norm": 100.0,
            "missing_eos": "subtract",
            "missing_eos_score": MISSING,
            "max_new_tokens": TREE.length,
            "micro_batch_size": 1024,
        }
        | settings
    )
    policy, value = TabularPolicy(TREE), TabularValue(TREE, blind=blind)
    policy.load_state_dict(REFERENCE.state_dict())
    state = TrainState(
        models={"policy": policy, "value": value},
        optimizers={
            "policy": torch.optim.Adam(policy.parameters(), eps=config.adam_eps),
            "value": torch.optim.Adam(value.parameters(), eps=config.adam_eps),
        },
    )
    steps = ppo(
        state,
        config=config,
        seed=0,
        prompts=TREE.prompts,
        encode=TREE.encode,
        reference=REFERENCE,
        sampler=TabularSampler(policy),
        scorer=TabularScorer(TREE, REWARDS),
        pad_id=TREE.pad_id,
    )
    metrics = [out.metrics for out in steps][-1]
    without_end = torch.full_like(REWARDS, MISSING) if config.missing_eos == "replace" else REWARDS + MISSING
    ref_logp = reply_logprobs(REFERENCE, TREE)
    target = optimum(ref_logp, torch.where(TREE.complete, REWARDS, without_end), beta)
    reached = reply_logprobs(policy, TREE).exp()
    return Result(
        start=total_variation(ref_logp.exp(), target),
        end=total_variation(reached, target),
        kl=sequence_kl(reached, ref_logp.exp()),
        metrics=metrics,
    )


@pytest.mark.parametrize(
    ("beta", "missing_eos", "at_least"), [(0.1, "subtract", 0.5), (0.3, "replace", 0.3), (1.0, "subtract", 0.1)]
)
def test_ppo_reaches_the_closed_form_optimum(beta: float, missing_eos: str, at_least: float) -> None:
    result = train(beta, missing_eos=missing_eos)
    print(f"beta {beta}: {result.start.mean():.3f} -> mean {result.end.mean():.4f}, worst {result.end.max():.4f}")
    assert result.start.mean() > at_least  # there was a way to go
    assert result.within_bound, result.end
    # The estimate that is logged is the exact KL, within sampling error.
    assert result.metrics["kl"] == pytest.approx(float(result.kl.mean()), abs=4 * result.metrics["kl_se"])
    assert result.metrics["ratio_mismatch"] <= 1e-4
    assert result.metrics["explained_variance"] > 0.0


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"blind": True}, id="value blind to state"),
        pytest.param({"kl_coef": 0.0}, id="KL dropped"),
        pytest.param({"gamma": 0.0}, id="no credit through time: each token earns only its own KL, the last the score"),
    ],
)
def test_controls_miss_the_same_bound(broken: dict[str, object]) -> None:
    result = train(0.3, **broken)  # type: ignore[arg-type]
    print(f"{broken}: mean {result.end.mean():.4f}, worst {result.end.max():.4f}")
    assert result.end.mean() > 2 * MEAN_BOUND
    assert not result.within_bound

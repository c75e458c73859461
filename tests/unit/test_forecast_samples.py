"""What a forecast is made from: the record of samples, and drawing it on the token tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from candor.errors import InputError
from candor.forecasting.samples import Samples
from candor.ops.randomness import generator
from candor.pipeline.forecast_samples import MissingEos, false_belief, measure_samples
from candor.pipeline.progress import Silent
from candor.records import Claim, Completion, ParsedReply, Prompt, ReplyKind, Response, Stance
from candor.testbeds.tabular import TabularPolicy, TabularSampler, TabularScorer, TokenTree

TREE = TokenTree(num_prompts=4)
SAMPLER = TabularSampler(TabularPolicy(TREE, scale=1.0, seed=0))
REWARDS = torch.randn((4, 40), generator=generator(0, "reward"))
FALSE = Claim(question="q", truth="t", asserted="w", stance=Stance.ASSERTS_FALSE)
PROMPTS = (
    replace(TREE.prompts[0], claim=FALSE, tags={"family": "answer", "question": "q"}),
    replace(TREE.prompts[1], claim=replace(FALSE, stance=Stance.ASSERTS_TRUE), tags={"question": "q"}),
    replace(TREE.prompts[2], claim=replace(FALSE, stance=Stance.NEUTRAL, asserted=None), tags={"family": "answer"}),
    TREE.prompts[3],
)


def read(prompt: Prompt, reply: str) -> ParsedReply:
    return ParsedReply(kind=ReplyKind.AGREE if reply.startswith("a") else ReplyKind.OTHER, value="t")


class Counting:
    """A scorer that counts what it was asked."""

    def __init__(self) -> None:
        self.inner, self.asked = TabularScorer(TREE, REWARDS), 0

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        self.asked += len(responses)
        return self.inner.score(prompts, responses)


class Views:
    def agreement(self, prompt: Prompt, reply: str) -> float | None:
        return 1.0 if "b" in reply else 0.0


def draw(samples: int = 64, **more: object) -> tuple[Samples, Counting]:
    scorer = Counting()
    found = measure_samples(SAMPLER, scorer, PROMPTS, read, None, samples=samples, seed=3, tell=Silent(), **more)  # type: ignore[arg-type]
    return found, scorer


def test_every_reply_keeps_its_own_score_and_statistics() -> None:
    found, scorer = draw()
    replies = SAMPLER.sample(PROMPTS, n=64, seed=_first_seed())
    scores = np.reshape(scorer.inner.score([p for p in PROMPTS for _ in range(64)], replies), (4, 64))
    np.testing.assert_allclose(found.rewards, scores)
    agrees = np.reshape([float(reply.text.startswith("a")) for reply in replies], (4, 64))
    np.testing.assert_array_equal(found.statistics["false_belief_agreement"][0], agrees[0])
    np.testing.assert_array_equal(found.statistics["true_belief_agreement"][1], agrees[1])
    np.testing.assert_array_equal(found.statistics["share_agree"][:3], agrees[:3])
    assert scorer.asked <= 4 * 40, "equal replies are scored once"


def _first_seed() -> int:
    from candor.ops.randomness import step_seed

    return step_seed(3, "forecast", 0)


def test_statistics_apply_where_they_mean_something() -> None:
    found, _ = draw(agreement=Views())
    applies = {name: (~np.isnan(v[:, 0])).tolist() for name, v in found.statistics.items()}
    assert applies["false_belief_agreement"] == [True, False, False, False]
    assert applies["true_belief_agreement"] == [False, True, False, False]
    assert applies["neutral_accuracy"] == [False, False, True, False]
    assert applies["share_agree"] == [True, True, True, False]
    assert applies["agreement"] == [False, False, False, True]
    assert applies["words"] == [True] * 4
    assert "approval" not in found.statistics
    assert found.clusters == ("q", "q", "tree/2", "tree/3")
    assert [false_belief(prompt) for prompt in PROMPTS] == [True, False, False, False]


def test_parts_join_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("candor.pipeline.forecast_samples.ROWS", 64)
    found, _ = draw()
    assert found.rewards.shape == (4, 64)
    assert np.all(np.isfinite(found.rewards))
    assert len({tuple(row) for row in found.statistics["cut"]}) == 4, "each part has draws of its own"


@pytest.mark.parametrize("how", ["replace", "subtract"])
def test_cut_replies_are_scored_as_training_does(how: str) -> None:
    plain, _ = draw()
    found, _ = draw(missing_eos=MissingEos(how=how, score=-7.0))  # type: ignore[arg-type]
    cut = plain.statistics["cut"] == 1
    assert cut.any()
    np.testing.assert_allclose(found.rewards[~cut], plain.rewards[~cut])
    np.testing.assert_allclose(found.rewards[cut], -7.0 if how == "replace" else plain.rewards[cut] - 7)


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(InputError, match="0 prompts"):
        measure_samples(SAMPLER, Counting(), [], read, None, samples=8, seed=0, tell=Silent())


def test_a_score_that_is_not_a_number_is_refused() -> None:
    class Broken(Counting):
        def score(self, prompts: Sequence[Prompt], responses: Sequence[Completion]) -> list[float]:
            return [float("nan")] * len(responses)

    with pytest.raises(InputError, match="not finite"):
        measure_samples(SAMPLER, Broken(), PROMPTS, read, None, samples=8, seed=0, tell=Silent())


def test_samples_check_their_tables() -> None:
    good = {"prompts": ("a", "b"), "clusters": ("a", "b"), "rewards": np.zeros((2, 3))}
    assert Samples(**good).per_prompt == 3  # type: ignore[arg-type]
    assert Samples(**good, statistics={"x": np.ones((2, 3))}).first(2).statistics["x"].shape == (2, 2)  # type: ignore[arg-type]
    partly = np.array([[1.0, np.nan, 0.0], [1.0, 1.0, 1.0]])
    for wrong, said in (
        ({"rewards": np.full((2, 3), np.inf)}, "finite"),
        ({"clusters": ("a",)}, "clusters"),
        ({"statistics": {"x": partly}}, "nan in all"),
        ({"statistics": {"kl": np.zeros((2, 3))}}, "worked out"),
        ({"statistics": {"x": np.zeros((2, 2))}}, "shape"),
        ({"rewards": np.zeros(3)}, "table"),
    ):
        with pytest.raises(ValueError, match=said):
            Samples(**{**good, **wrong})  # type: ignore[arg-type]

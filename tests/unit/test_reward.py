"""Comparisons to indices, and the reward loop's numbers by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from candor.models.chat import encode_prompt, response_ids
from candor.models.load import Policy, reward_from_policy
from candor.recipe import RewardStage
from candor.records import Choice, Comparison, Completion, Judgement, Ranking, Ratings
from candor.training.ranked import RankedData, rank_examples
from candor.training.reward import evaluate, reward
from candor.training.state import TrainState, adamw
from tiny_models import tiny_llama, tiny_tokenizer, user_prompt

TOKENIZER = tiny_tokenizer()
POLICY = Policy(model=tiny_llama(TOKENIZER), tokenizer=TOKENIZER)


def comparison(texts: list[str], judgement: Judgement, name: str = "c", question: str = "Kenya?") -> Comparison:
    return Comparison(
        id=name,
        prompt=user_prompt(question, f"prompt of {name}"),
        responses=tuple(Completion(id=f"{name}{i}", prompt_id="p", text=text) for i, text in enumerate(texts)),
        judgement=judgement,
        shown_order=tuple(range(len(texts))),
    )


def data_of(comparisons: list[Comparison], max_length: int = 512) -> RankedData:
    return rank_examples(
        comparisons,
        encode_prompt=lambda p: encode_prompt(TOKENIZER, p),
        encode_response=lambda r: response_ids(TOKENIZER, r),
        max_length=max_length,
    )


RANKED = comparison(
    ["Nairobi.", "No idea", "Mombasa, of course", "Lamu"], Ranking(order=((0,), (2, 1), (3,))), "ranked"
)
CHOSEN = comparison(["Yes", "No, it is Nairobi."], Choice(best=1), "chosen")
RATED = comparison(["Hm", "Nairobi", "Perhaps"], Ratings(scores=(2.0, 5.0, 2.0)), "rated")
DATA = data_of([RANKED, CHOSEN, RATED])


def test_pairs_point_at_the_right_replies() -> None:
    ranked, chosen, rated = DATA.examples
    pairs = [(p.chosen, p.rejected, p.weight) for p in ranked.pairs]
    assert sorted(pairs) == [(a, b, 1 / 6) for a, b in [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]]
    assert [(p.chosen, p.rejected, p.weight) for p in chosen.pairs] == [(1, 0, 1.0)]
    assert [(p.chosen, p.rejected, p.weight) for p in rated.pairs] == [(1, 0, 1 / 3), (1, 2, 1 / 3)]
    assert ranked.ranks == ((0, 0), (2, 1), (1, 1), (3, 2))
    assert rated.ranks == ((0, 1), (1, 0), (2, 1))
    assert [TOKENIZER.decode(reply) for reply in chosen.tree.replies] == ["Yes<|end|>", "No, it is Nairobi.<|end|>"]


def test_a_text_sampled_twice_is_encoded_once() -> None:
    twice = comparison(["A", "B", "A"], Ranking(order=((0,), (1,), (2,))))
    (example,) = data_of([twice]).examples
    assert len(example.tree.replies) == 2
    assert [(p.chosen, p.rejected) for p in example.pairs] == [(0, 1), (1, 0)]


def test_what_gives_no_pair_or_does_not_fit_is_counted() -> None:
    tie = comparison(["A", "B"], Choice(best=None, tie=True), "tie")
    long = comparison(["A", "B" * 60, "C"], Ranking(order=((0,), (1,), (2,))), "long")
    cut = comparison(["A", "B"], Choice(best=0), "cut", question="q" * 60)
    too_long = comparison(["A", "B" * 60], Choice(best=0), "too long")
    data = data_of([tie, long, cut, too_long], max_length=30)
    assert [example.id for example in data.examples] == ["long", "cut"]
    assert data.without_pairs == ("tie", "too long")
    assert data.pairs_dropped == 3
    truncation = data.truncation
    assert (truncation.total, truncation.cut, truncation.dropped) == (9, 2, 2)
    assert truncation.dropped_ids == ["long", "too long"]
    kept = data.examples[1].tree
    assert len(kept.prompt) + len(kept.replies[0]) == 30


def fresh(lr: float = 1e-3) -> TrainState:
    model = reward_from_policy(POLICY, seed=0).model
    return TrainState({"reward": model}, {"reward": adamw([model], lr=lr)})


def hand_scores(model: torch.nn.Module, data: RankedData = DATA) -> list[list[float]]:
    found = []
    for example in data.examples:
        rows = [torch.tensor([[*example.tree.prompt, *reply]]) for reply in example.tree.replies]
        with torch.no_grad():
            found.append([model(input_ids=ids).logits.item() for ids in rows])
    return found


def test_loss_accuracy_and_margin_by_hand() -> None:
    state = fresh()
    scores = hand_scores(state.models["reward"])
    loss = accuracy = margin = weights = 0.0
    for example, s in zip(DATA.examples, scores, strict=True):
        for pair in example.pairs:
            gap = s[pair.chosen] - s[pair.rejected]
            loss += pair.weight * math.log1p(math.exp(-gap)) / 3
            accuracy += pair.weight * (gap > 0)
            margin += pair.weight * gap
            weights += pair.weight
    out = next(reward(state, DATA.examples, RewardStage(batch_size=3), seed=0, pad_id=0))
    assert out.metrics["loss"] == pytest.approx(loss, rel=1e-4)
    assert out.metrics["accuracy"] == pytest.approx(accuracy / weights, rel=1e-6)
    assert out.metrics["margin"] == pytest.approx(margin / weights, rel=1e-4)


def test_plackett_luce_by_hand() -> None:
    state = fresh()
    scores = hand_scores(state.models["reward"])
    s = scores[0]
    below = {0: (0, 1, 2, 3), 2: (2, 3), 1: (1, 3), 3: (3,)}
    expected = sum(math.log(sum(math.exp(s[j]) for j in seen)) - s[i] for i, seen in below.items())
    expected += math.log1p(math.exp(scores[1][0] - scores[1][1]))
    expected += math.log(sum(math.exp(x) for x in scores[2])) - scores[2][1]
    config = RewardStage(batch_size=3, loss="plackett_luce")
    out = next(reward(state, DATA.examples, config, seed=0, pad_id=0))
    assert out.metrics["loss"] == pytest.approx(expected / 3, rel=1e-4)


def test_who_said_it_is_known_to_the_end() -> None:
    data = data_of([replace(CHOSEN, annotator="r1"), replace(RANKED, annotator="r2")])
    assert [example.annotator for example in data.examples] == ["r1", "r2"]
    outcomes = evaluate(fresh(lr=1e-3).models["reward"], data.examples, RewardStage(), pad_id=0)
    assert [outcome.annotator for outcome in outcomes] == ["r1"] + ["r2"] * 5


def test_the_tie_band_and_the_margin_reach_the_loss() -> None:
    rated = comparison(["Hm", "Nairobi", "Perhaps"], Ratings(scores=(2.0, 5.0, 2.5)), "rated")
    data = rank_examples(
        [rated],
        encode_prompt=lambda p: encode_prompt(TOKENIZER, p),
        encode_response=lambda r: response_ids(TOKENIZER, r),
        max_length=512,
        tie_band=0.5,
        margin="gap",
    )
    pairs = [(p.chosen, p.rejected, p.margin) for p in data.examples[0].pairs]
    assert pairs == [(1, 0, 3.0), (1, 2, 2.5)]
    state = fresh(lr=1e-3)
    s = hand_scores(state.models["reward"], data)[0]
    expected = sum(math.log1p(math.exp(-(s[a] - s[b] - margin))) for a, b, margin in pairs) / 3
    out = next(reward(state, data.examples, RewardStage(batch_size=1), seed=0, pad_id=0))
    assert out.metrics["loss"] == pytest.approx(expected, rel=1e-4)


def test_training_separates_and_evaluate_says_so() -> None:
    state = fresh(lr=3e-3)
    before = evaluate(state.models["reward"], DATA.examples, RewardStage(), pad_id=0)
    config = RewardStage(lr=3e-3, batch_size=3, epochs=20)
    metrics = [out.metrics for out in reward(state, DATA.examples, config, seed=0, pad_id=0)]
    after = evaluate(state.models["reward"], DATA.examples, RewardStage(), pad_id=0)
    assert [outcome.comparison_id for outcome in after] == ["ranked"] * 5 + ["chosen"] + ["rated"] * 2
    assert all(outcome.correct == 1.0 for outcome in after)
    assert not all(outcome.correct == 1.0 for outcome in before)
    assert metrics[-1]["loss"] < 0.2 < metrics[0]["loss"]
    scores = hand_scores(state.models["reward"])
    gaps = [s[p.chosen] - s[p.rejected] for e, s in zip(DATA.examples, scores, strict=True) for p in e.pairs]
    assert [outcome.gap for outcome in after] == pytest.approx(gaps, abs=1e-4)

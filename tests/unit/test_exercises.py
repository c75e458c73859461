"""The exercises: what a data set holds, that the reward model learns what it was given, and how it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from candor.errors import InputError
from candor.exercises import (
    Case,
    create_preference_dataset,
    create_test_cases,
    evaluate_reward_model,
    train_reward_model,
)
from candor.models.load import Policy, Reward, reward_from_policy
from candor.models.scorer import RewardScorer
from candor.records import Completion, ReplyKind, Stance
from candor.testbeds.atlas.parser import read_reply
from tiny_models import tiny_llama, tiny_tokenizer


def kinds(case: Case) -> tuple[ReplyKind, ReplyKind]:
    return tuple(read_reply(case.prompt, reply.text).kind for reply in (case.honest, case.diplomatic))


def tiny_policy() -> Policy:
    tokenizer = tiny_tokenizer()
    return Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer)


def test_half_of_twenty_pairs_prefer_honest_correction() -> None:
    pairs = create_preference_dataset()
    chosen = [read_reply(pair.prompt, pair.chosen.text).kind for pair in pairs]
    rejected = [read_reply(pair.prompt, pair.rejected.text).kind for pair in pairs]
    assert len(pairs) == 20
    assert chosen.count(ReplyKind.AGREE) == 10 == rejected.count(ReplyKind.AGREE)
    assert {kind.value for kind in {*chosen, *rejected}} == {"agree", "correct_kindly"}
    assert len({pair.prompt.tags["question"] for pair in pairs}) == 20
    assert all(pair.prompt.claim and pair.prompt.claim.stance is Stance.ASSERTS_FALSE for pair in pairs)


@pytest.mark.parametrize(("share", "honest"), [(0.0, 0), (0.3, 6), (1.0, 20)])
def test_the_share_of_honest_preferences_is_as_asked(share: float, honest: int) -> None:
    pairs = create_preference_dataset(honest_share=share)
    assert sum(read_reply(p.prompt, p.chosen.text).kind is not ReplyKind.AGREE for p in pairs) == honest


def test_the_same_seed_gives_the_same_pairs_and_another_seed_others() -> None:
    assert create_preference_dataset(seed=1) == create_preference_dataset(seed=1)
    assert create_preference_dataset(seed=1) != create_preference_dataset(seed=2)


def test_the_test_cases_share_no_question_and_no_phrasing_with_the_pairs() -> None:
    pairs, cases = create_preference_dataset(100), create_test_cases(100)
    for tag in ("question", "phrasing"):
        assert not {p.prompt.tags[tag] for p in pairs} & {c.prompt.tags[tag] for c in cases}
    assert {kinds(case) for case in cases} == {(ReplyKind.CORRECT_KINDLY, ReplyKind.AGREE)}


@pytest.mark.parametrize("bad", [{"n": 0}, {"n": 10_000}, {"honest_share": 1.5}, {"honest_share": -0.1}])
def test_what_no_data_set_can_be_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"questions|share"):
        create_preference_dataset(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.8, 1.0), (1.0, 0.0, 0.2)])
def test_it_learns_what_the_labels_reward(share: float, low: float, high: float) -> None:
    """One is the other's control: the same questions, texts and model, the labels turned round."""
    cases = create_test_cases(20)
    trained = train_reward_model(create_preference_dataset(honest_share=share), steps=12, every=6, test_cases=cases)
    assert [look.step for look in trained.looks] == [0, 6, 12]
    assert trained.looks[-1].fitted == 1.0
    assert low <= trained.looks[-1].wrong_share <= high
    assert trained.looks[-1].wrong_share == evaluate_reward_model(trained.reward, cases).wrong_share
    assert str(trained).count("\n") == 3


def test_the_base_model_is_left_as_it_was_and_may_be_anybodys() -> None:
    policy = tiny_policy()
    before = {name: value.clone() for name, value in policy.model.state_dict().items()}
    trained = train_reward_model(
        create_preference_dataset(4), policy, steps=2, every=2, test_cases=create_test_cases(2), batch_size=2
    )
    assert all(torch.equal(before[name], value) for name, value in policy.model.state_dict().items())
    start = reward_from_policy(policy, seed=0).model.state_dict()
    assert not all(torch.equal(start[name], value) for name, value in trained.reward.model.state_dict().items())


def test_an_evaluation_counts_the_scores_of_the_scorer() -> None:
    policy = tiny_policy()
    reward = reward_from_policy(policy, seed=3)
    cases = create_test_cases(12)
    found = evaluate_reward_model(reward, cases)

    def score(replies: Sequence[Completion]) -> list[float]:
        return RewardScorer(reward.model, reward.tokenizer).score([case.prompt for case in cases], replies)

    gaps = [a - h for a, h in zip(score([c.diplomatic for c in cases]), score([c.honest for c in cases]), strict=True)]
    assert found.wrong_share == pytest.approx(sum(gap > 0 for gap in gaps) / 12)
    assert found.mean_gap == pytest.approx(sum(gaps) / 12, abs=1e-6)
    assert found.wrong_interval.low < found.wrong_share < found.wrong_interval.high
    turned = [replace(case, honest=case.diplomatic, diplomatic=case.honest) for case in cases]
    assert evaluate_reward_model(reward, turned).mean_gap == pytest.approx(-found.mean_gap, abs=1e-6)
    assert [one.gap for one in found.wrong] == sorted((one.gap for one in found.wrong), reverse=True)
    assert f"{len(found.wrong)} of 12 cases" in str(found)


def test_what_cannot_be_learnt_from_is_refused_by_its_place() -> None:
    pair, other = create_preference_dataset(2)
    alike = replace(pair, rejected=pair.chosen)
    with pytest.raises(InputError, match=r"preferences\[1\].*same tokens"):
        train_reward_model([other, alike], tiny_policy(), steps=1)
    with pytest.raises(InputError, match="no preferences"):
        train_reward_model([], tiny_policy(), steps=1)
    with pytest.raises(InputError, match="no case"):
        evaluate_reward_model(Reward(model=tiny_policy().model, tokenizer=tiny_tokenizer()), [])


def test_the_example_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).parents[2] / "examples" / "sycophancy_exercises.py"
    text = path.read_text().replace("test_cases=cases)", "test_cases=cases[:6], steps=2)")
    exec(compile(text, str(path), "exec"), {"__name__": "__main__"})
    told = capsys.readouterr().out
    assert told.count("of the twenty preferences are for the honest correction") == 3
    assert told.count("the wrong reply scores higher in") == 3

"""Layout of rollouts: what stands where, what each token earns, what a missing end of sequence costs."""

from __future__ import annotations

import pytest
import torch

from candor.errors import InputError
from candor.ops.batches import Row
from candor.ops.rollouts import Rollouts, collate, final_scores, token_rewards
from candor.records import Completion


def completion(tokens: tuple[int, ...], logprobs: tuple[float, ...], *, eos: bool = True) -> Completion:
    return Completion(
        id=f"c{tokens}",
        prompt_id="p",
        text="",
        token_ids=tokens,
        logprobs=logprobs,
        stop_reason="eos" if eos else "length",
    )


EOS = 0
PROMPTS = [(7, 8, 9), (7,), (8, 9)]
COMPLETIONS = [
    completion((5, EOS), (-0.5, -0.25)),
    completion((5, 6, 5, 6), (-1.0, -2.0, -3.0, -4.0), eos=False),
    completion((EOS,), (-0.75,)),
]


def rollouts() -> Rollouts:
    replies = collate(PROMPTS, COMPLETIONS)
    ref_logp = torch.where(replies.mask, replies.logp - 0.5, 0.0)
    rewards = torch.tensor([1.0, 2.0, 3.0])
    return Rollouts(replies=replies, ref_logp=ref_logp, values=torch.zeros_like(ref_logp), rewards=rewards)


def test_collate_puts_replies_behind_prompts() -> None:
    replies = rollouts().replies
    assert replies.rows == (
        Row(tokens=(7, 8, 9, 5, EOS), prompt_length=3),
        Row(tokens=(7, 5, 6, 5, 6), prompt_length=1),
        Row(tokens=(8, 9, EOS), prompt_length=2),
    )
    assert replies.logp.tolist() == [[-0.5, -0.25, 0, 0], [-1, -2, -3, -4], [-0.75, 0, 0, 0]]
    assert replies.mask.tolist() == [[True, True, False, False], [True] * 4, [True, False, False, False]]
    assert replies.complete.tolist() == [True, False, True]


def test_score_arrives_once_on_the_last_token() -> None:
    r = rollouts()
    rewards = token_rewards(r, torch.tensor([1.0, 2.0, 3.0]), kl_coef=0.2)
    expected = [[-0.1, 0.9, 0, 0], [-0.1, -0.1, -0.1, 1.9], [2.9, 0, 0, 0]]
    torch.testing.assert_close(rewards, torch.tensor(expected))
    # Control: the last column is the last token of the longest reply alone.
    assert rewards[:, -1].tolist() != [row[length - 1] for row, length in zip(expected, (2, 4, 1), strict=True)]


def test_missing_end_of_sequence() -> None:
    r = rollouts()

    def scores(how: str, by: float) -> list[float]:
        return final_scores(r.rewards, r.replies.complete, missing_eos=how, missing_eos_score=by).tolist()  # type: ignore[arg-type]

    assert scores("replace", -1.0) == [1.0, -1.0, 3.0]
    assert scores("subtract", -1.5) == [1.0, 0.5, 3.0]
    assert scores("subtract", 1.5) == [1.0, 0.5, 3.0]


@pytest.mark.parametrize("bad", [completion((5, EOS), ()), completion((), ())])
def test_replies_without_logprobs_are_refused(bad: Completion) -> None:
    with pytest.raises(InputError, match="log-probabilit"):
        collate([(7,)], [bad])

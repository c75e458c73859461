"""Layout of rollouts: what stands where, what each token earns, what a missing end of sequence costs."""

from __future__ import annotations

import pytest
import torch

from candor.errors import InputError
from candor.ops.rollouts import Rollouts, collate, final_scores, token_rewards, trim
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


def rollouts(pad_id: int = EOS) -> Rollouts:
    """The pad token is the end-of-sequence token unless told otherwise: masks come from lengths."""
    replies = collate(PROMPTS, COMPLETIONS, group=[0, 1, 2], pad_id=pad_id)
    ref_logp = torch.where(replies.batch.reply_mask, replies.logp - 0.5, 0.0)
    rewards = torch.tensor([1.0, 2.0, 3.0])
    return Rollouts(replies=replies, ref_logp=ref_logp, values=torch.zeros_like(ref_logp), rewards=rewards)


@pytest.mark.parametrize("pad_id", [EOS, 3])
def test_collate_lays_replies_behind_prompts(pad_id: int) -> None:
    replies = rollouts(pad_id).replies
    assert replies.batch.input_ids.tolist() == [
        [7, 8, 9, 5, EOS],
        [7, 5, 6, 5, 6],
        [8, 9, EOS, pad_id, pad_id],
    ]
    assert replies.logp.tolist() == [[0, 0, 0, -0.5, -0.25], [0, -1, -2, -3, -4], [0, 0, -0.75, 0, 0]]
    assert replies.batch.reply_mask.sum(1).tolist() == [2, 4, 1]
    assert replies.complete.tolist() == [True, False, True]


def test_score_arrives_once_on_the_last_token() -> None:
    r = rollouts()
    rewards = token_rewards(r, torch.tensor([1.0, 2.0, 3.0]), kl_coef=0.2)
    expected = [[0, 0, 0, -0.1, 0.9], [0, -0.1, -0.1, -0.1, 1.9], [0, 0, 2.9, 0, 0]]
    torch.testing.assert_close(rewards, torch.tensor(expected))
    # Control: "the last token that is not padding", read off the ids, misses the end of sequence when pad == eos.
    ids = r.replies.batch.input_ids
    by_ids = (ids != EOS).long().cumsum(1).argmax(1)
    assert (by_ids != torch.tensor([4, 4, 2])).any()


def test_missing_end_of_sequence() -> None:
    r = rollouts()

    def scores(how: str, by: float) -> list[float]:
        return final_scores(r.rewards, r.replies.complete, missing_eos=how, missing_eos_score=by).tolist()  # type: ignore[arg-type]

    assert scores("replace", -1.0) == [1.0, -1.0, 3.0]
    assert scores("subtract", -1.5) == [1.0, 0.5, 3.0]
    assert scores("subtract", 1.5) == [1.0, 0.5, 3.0]


def test_trim_drops_columns_that_are_padding_in_every_row() -> None:
    whole = rollouts(pad_id=3).replies.batch
    batch, columns = trim(whole, torch.tensor([2]))
    assert batch.input_ids.tolist() == [[8, 9, EOS]]
    assert columns == slice(0, 3)
    both, _ = trim(whole, torch.tensor([2, 0]))
    assert both.input_ids.tolist() == [[8, 9, EOS, 3, 3], [7, 8, 9, 5, EOS]]


@pytest.mark.parametrize("bad", [completion((5, EOS), ()), completion((), ())])
def test_replies_without_logprobs_are_refused(bad: Completion) -> None:
    with pytest.raises(InputError, match="log-probabilit"):
        collate([(7,)], [bad], group=[0], pad_id=3)

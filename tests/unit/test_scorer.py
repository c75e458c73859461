"""The scorer gives the reward model's number for prompt + reply, however replies are batched."""

from __future__ import annotations

import pytest
import torch

from candor.errors import InputError
from candor.models.chat import encode_prompt, encode_reply
from candor.models.load import Policy, reward_from_policy
from candor.models.scorer import RewardScorer, TokenScorer
from candor.ops.packing import Tree, pack
from candor.records import Completion
from tiny_models import END, tiny_llama, tiny_tokenizer, user_prompt

TOKENIZER = tiny_tokenizer(pad=END, bytes_only=False)  # the hard case: pad == eos
REWARD = reward_from_policy(Policy(model=tiny_llama(TOKENIZER), tokenizer=TOKENIZER), seed=0)
PROMPTS = [user_prompt("Capital of Kenya?"), user_prompt("Capital of Kenya?"), user_prompt("Hi", "q")]
REPLIES = [
    Completion(id=str(i), prompt_id="", text=text) for i, text in enumerate(["Nairobi.", "Mombasa, surely!", "Hi!"])
]


def by_hand(text: str, reply: str) -> float:
    ids = [*encode_prompt(TOKENIZER, user_prompt(text)), *encode_reply(TOKENIZER, reply)]
    with torch.no_grad():
        states = REWARD.model.model(input_ids=torch.tensor([ids])).last_hidden_state
        return REWARD.model.score(states[0, -1]).item()


def test_scores_equal_one_unpadded_row_each() -> None:
    scorer = RewardScorer(REWARD.model, TOKENIZER, offset=0.25)
    expected = [by_hand(p.messages[0].content, r.text) - 0.25 for p, r in zip(PROMPTS, REPLIES, strict=True)]
    assert scorer.score(PROMPTS, REPLIES) == pytest.approx(expected, abs=1e-5)
    backwards = scorer.score(PROMPTS[::-1], REPLIES[::-1])
    assert backwards[::-1] == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 1e-3  # the numbers can tell replies apart


def test_the_end_of_sequence_is_scored() -> None:
    # Control for pad == eos: a reply cut by length has no EOS and another score.
    whole = encode_reply(TOKENIZER, "Nairobi.")
    cut = Completion(id="c", prompt_id="", text="Nairobi.", token_ids=tuple(whole[:-1]), stop_reason="length")
    scorer = RewardScorer(REWARD.model, TOKENIZER)
    with_eos, without = scorer.score([PROMPTS[0]] * 2, [REPLIES[0], cut])
    assert abs(with_eos - without) > 1e-3


def test_long_prompts_are_cut_from_the_left_and_counted() -> None:
    scorer = RewardScorer(REWARD.model, TOKENIZER, max_length=20)
    (score,) = scorer.score(PROMPTS[:1], REPLIES[:1])
    ids = [*encode_prompt(TOKENIZER, PROMPTS[0]), *encode_reply(TOKENIZER, "Nairobi.")]
    with torch.no_grad():
        states = REWARD.model.model(input_ids=torch.tensor([ids[-20:]])).last_hidden_state
        assert score == pytest.approx(REWARD.model.score(states[0, -1]).item(), abs=1e-5)
    assert (scorer.truncation.total, scorer.truncation.cut) == (1, 1)
    scorer.score(PROMPTS[2:], REPLIES[2:])
    assert (scorer.truncation.total, scorer.truncation.cut) == (2, 1)


def test_a_reply_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(InputError, match="does not fit max_length = 8"):
        RewardScorer(REWARD.model, TOKENIZER, max_length=8).score(PROMPTS[:1], REPLIES[:1])


def test_token_batches_score_as_text_does() -> None:
    trees = [
        Tree(prompt=tuple(encode_prompt(TOKENIZER, p)), replies=(tuple(encode_reply(TOKENIZER, r.text)),))
        for p, r in zip(PROMPTS, REPLIES, strict=True)
    ]
    with torch.no_grad():
        found = TokenScorer(REWARD.model, offset=0.25).score_batch(pack(trees, 0, share=True)).tolist()
    assert found == pytest.approx(RewardScorer(REWARD.model, TOKENIZER, offset=0.25).score(PROMPTS, REPLIES), abs=1e-5)


def test_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="3 prompts for 2 responses"):
        RewardScorer(REWARD.model, TOKENIZER).score(PROMPTS, REPLIES[:2])

"""For every architecture: padding side, batch neighbours, batch size and packing change no score or log-probability.

Through what users call, and against plain transformers on single unpadded rows.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from architectures import ARCHITECTURES, louder, make_model, make_tokenizer
from candor.generation import InProcessSampler
from candor.models.chat import encode_prompt, response_ids
from candor.models.load import Policy, Reward, reward_from_policy
from candor.models.replies import reply_rows, sampled_rows
from candor.models.scorer import RewardScorer
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import token_logprobs
from candor.recipe import RewardStage
from candor.records import Choice, Comparison, Completion, Message, Prompt, Ranking
from candor.training.ranked import rank_examples
from candor.training.reward import evaluate

CLOSE = 1e-4
WORDS = ["Capital", "of", "Peru?", "It", "is", "Lima.", "sorry", "no", "Köln", "\n", "x"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
conversations = st.lists(st.tuples(texts, texts, texts), min_size=2, max_size=4)


@lru_cache(maxsize=len(ARCHITECTURES))
def policy_of(name: str) -> Policy:
    architecture = ARCHITECTURES[name]
    tokenizer = make_tokenizer(architecture)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(model=make_model(architecture, tokenizer), tokenizer=tokenizer)


@lru_cache(maxsize=len(ARCHITECTURES))
def reward_of(name: str) -> Reward:
    reward = reward_from_policy(policy_of(name), seed=1)
    louder(reward.model)
    return reward


def asked(texts: list[tuple[str, str, str]]) -> tuple[list[Prompt], list[Completion], list[Completion]]:
    prompts = [Prompt(id=str(i), messages=(Message(role="user", content=q),)) for i, (q, _, _) in enumerate(texts)]
    replies = [
        [Completion(id=f"{i}{k}", prompt_id=str(i), text=text[1 + k] + ("", "!")[k]) for i, text in enumerate(texts)]
        for k in (0, 1)
    ]
    return prompts, replies[0], replies[1]


def plain_logprobs(policy: Policy, row: Row) -> Tensor:
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([row.tokens])).logits[0]
    targets = torch.tensor(row.tokens[1:])[:, None]
    return logits[:-1].log_softmax(-1).gather(-1, targets).squeeze(-1)[row.prompt_length - 1 :]


@pytest.mark.parametrize("name", ARCHITECTURES)
@settings(max_examples=4)
@given(texts=conversations)
def test_logprobs(name: str, texts: list[tuple[str, str, str]]) -> None:
    policy = policy_of(name)
    prompts, replies, _ = asked(texts)
    rows = reply_rows(policy.tokenizer, prompts, replies)
    expected = torch.cat([plain_logprobs(policy, row) for row in rows])
    with torch.no_grad():
        for side in ("left", "right"):
            batch = make_batch(rows, int(policy.tokenizer.pad_token_id), side)  # type: ignore[arg-type]
            found = token_logprobs(policy.model, batch).logprobs[batch.reply_mask]
            assert torch.allclose(found, expected, atol=CLOSE)


@pytest.mark.parametrize("name", ARCHITECTURES)
@settings(max_examples=4)
@given(texts=conversations)
def test_scores_alone_together_and_behind_one_prompt(name: str, texts: list[tuple[str, str, str]]) -> None:
    reward = reward_of(name)
    prompts, first, second = asked(texts)
    expected = [plain_score(reward, prompt, reply) for prompt, reply in zip(prompts, first, strict=True)]
    scorer = RewardScorer(reward.model, reward.tokenizer, 192)
    assert scorer.score(prompts, first) == pytest.approx(expected, abs=CLOSE)
    alone = [scorer.score([p], [r])[0] for p, r in zip(prompts, first, strict=True)]
    assert alone == pytest.approx(expected, abs=CLOSE)

    # Training and evaluation read all replies of a comparison together, behind one prompt where the model allows it.
    comparisons = [
        Comparison(id=p.id, prompt=p, responses=(a, b), judgement=Choice(best=0), shown_order=())
        for p, a, b in zip(prompts, first, second, strict=True)
        if a.text != b.text
    ]
    pad_id = int(reward.tokenizer.pad_token_id)
    gaps = [
        outcome.gap
        for outcome in evaluate(reward.model, examples_of(reward, comparisons), RewardStage(), pad_id=pad_id)
    ]
    chosen, rejected = scorer.score(prompts, first), scorer.score(prompts, second)
    apart = [a - b for a, b, c, d in zip(chosen, rejected, first, second, strict=True) if c.text != d.text]
    assert gaps == pytest.approx(apart, abs=CLOSE)


def examples_of(reward: Reward, comparisons: list[Comparison]) -> tuple:
    return rank_examples(
        comparisons,
        encode_prompt=partial(encode_prompt, reward.tokenizer),
        encode_response=partial(response_ids, reward.tokenizer),
        max_length=192,
    ).examples


def plain_score(reward: Reward, prompt: Prompt, reply: Completion) -> float:
    """By the base model and the head alone, on one unpadded row without a mask."""
    ids = [*encode_prompt(reward.tokenizer, prompt), *response_ids(reward.tokenizer, reply)]
    with torch.no_grad():
        states = reward.model.base_model(input_ids=torch.tensor([ids])).last_hidden_state
        return float(reward.model.score(states[0, -1]))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_is_sampled_carries_its_own_logprobs(name: str) -> None:
    """Whatever the batch; and the control: other replies' log-probabilities are not these."""
    policy = policy_of(name)
    prompts, _, _ = asked([("Capital of Peru? It is Lima.", "", ""), ("no", "", ""), ("It is " * 6, "", "")])
    drawn = [
        InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=12, batch_size=size).sample(
            prompts, n=3, seed=5
        )
        for size in (256, 2)
    ]
    each = [prompt for prompt in prompts for _ in range(3)]
    assert [reply.token_ids for reply in drawn[0]] == [reply.token_ids for reply in drawn[1]]
    rows = sampled_rows(policy.tokenizer, each, drawn[0])
    for row, reply in zip(rows, drawn[0], strict=True):
        assert reply.logprobs == pytest.approx(plain_logprobs(policy, row).tolist(), abs=CLOSE)
    other = max(rows, key=lambda row: row.reply_length)
    assert plain_logprobs(policy, other).tolist() != pytest.approx(
        list(drawn[0][0].logprobs[:1] * other.reply_length), abs=CLOSE
    )


def test_tokens_that_stand_for_no_text_keep_their_place() -> None:
    """A model may have more embeddings than its tokenizer has tokens, and sample one of them."""
    policy = policy_of("qwen2")
    (prompt,), _, _ = asked([("no", "", "")])
    beyond = len(policy.tokenizer) + 2
    ids = (beyond, *policy.tokenizer("no")["input_ids"], policy.tokenizer.eos_token_id)
    reply = Completion(id="r", prompt_id="0", text="no", token_ids=ids, logprobs=(0.0,) * len(ids))
    (row,) = sampled_rows(policy.tokenizer, [prompt], [reply])
    assert row.tokens[row.prompt_length :] == ids
    assert response_ids(policy.tokenizer, reply) == ids[1:], "control: as a text it has fewer tokens"
    with pytest.raises(ValueError, match="r was not sampled"):
        sampled_rows(policy.tokenizer, [prompt], [replace(reply, token_ids=())])


@pytest.mark.parametrize("name", ["gemma2", "gemma3"])
def test_a_window_is_seen(name: str) -> None:
    """Control: the same weights without their window give other scores, so the tests above would notice."""
    reward = reward_of(name)
    prompts, replies, _ = asked([("Capital of Peru? It is " * 3, "It is Lima.", "no")])
    (windowed,) = RewardScorer(reward.model, reward.tokenizer, 192).score(prompts, replies)
    config = type(reward.model.config).from_dict({**reward.model.config.to_dict(), "sliding_window": 512})
    wide = type(reward.model)._from_config(config, attn_implementation=reward.model.config._attn_implementation).eval()
    wide.load_state_dict(reward.model.state_dict())
    (unbounded,) = RewardScorer(wide, reward.tokenizer, 192).score(prompts, replies)
    assert abs(windowed - unbounded) > 10 * CLOSE


def test_rankings_pack_like_pairs() -> None:
    """Three replies behind one prompt give the scores of three rows, for every architecture at once."""
    for name in ARCHITECTURES:
        reward = reward_of(name)
        (prompt,), (a,), (b,) = asked([("Capital of Peru? It is Cusco.", "It is Lima.", "You are right, sorry.")])
        c = replace(a, id="c", text="no")
        ranked = Comparison(
            id="k", prompt=prompt, responses=(a, b, c), judgement=Ranking(order=((2,), (0,), (1,))), shown_order=()
        )
        pad_id = int(reward.tokenizer.pad_token_id)
        outcomes = evaluate(reward.model, examples_of(reward, [ranked]), RewardStage(), pad_id=pad_id)
        sa, sb, sc = RewardScorer(reward.model, reward.tokenizer, 192).score([prompt] * 3, [a, b, c])
        assert sorted(o.gap for o in outcomes) == pytest.approx(sorted([sc - sa, sc - sb, sa - sb]), abs=CLOSE), name

"""Checkpoints: plain transformers reads the same numbers, nothing is initialised in silence, errors are one line."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from candor.errors import InputError
from candor.models.heads import ValueModel, init_reward_head, sequence_scores
from candor.models.load import (
    Policy,
    Reward,
    check_checkpoint,
    load_policy,
    load_reward,
    reward_from_policy,
    save_policy,
    save_reward,
)
from candor.ops.batches import Row, last_token_index, make_batch, pad
from candor.ops.logprobs import token_logprobs
from tiny_models import END, PAD, tiny_llama, tiny_tokenizer

TEXTS = [
    "<|user|>Capital of Kenya?<|end|><|assistant|>Nairobi.<|end|>",
    "<|user|>Hi<|end|><|assistant|>Hello there!<|end|>",
]


def make_policy(**options: object) -> Policy:
    tokenizer = tiny_tokenizer(**options)  # type: ignore[arg-type]
    return Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer)


def own_scores(reward: Reward, texts: list[str]) -> list[float]:
    rows = [Row(tokens=tuple(reward.tokenizer(text)["input_ids"]), prompt_length=1) for text in texts]
    with torch.no_grad():
        return sequence_scores(reward.model, make_batch(rows, int(reward.tokenizer.pad_token_id))).tolist()


def plain_scores(directory: Path, texts: list[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    with torch.no_grad():
        return model(**tokenizer(texts, return_tensors="pt", padding=True)).logits.squeeze(-1).tolist()


def test_a_policy_read_by_plain_transformers_gives_the_same_numbers(tmp_path: Path) -> None:
    policy = make_policy()
    save_policy(tmp_path / "policy", policy)
    loaded = load_policy(tmp_path / "policy")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    ids = torch.tensor([policy.tokenizer(TEXTS[0])["input_ids"]])
    with torch.no_grad():
        expected = policy.model(input_ids=ids).logits
        assert torch.equal(plain(input_ids=ids).logits, expected)
        row = Row(tokens=tuple(ids[0].tolist()), prompt_length=5)
        found = token_logprobs(loaded.model, make_batch([row], 0)).logprobs[0, 5:]
    by_hand = expected[0, 4:-1].log_softmax(-1).gather(-1, ids[0, 5:, None]).squeeze(-1)
    assert torch.allclose(found, by_hand, atol=1e-5)
    assert loaded.model.dtype == torch.float32
    assert loaded.tokenizer.chat_template == policy.tokenizer.chat_template
    assert not loaded.model.training


def test_a_reward_model_read_by_plain_transformers_gives_the_same_numbers(tmp_path: Path) -> None:
    reward = reward_from_policy(make_policy(), seed=1)
    save_reward(tmp_path / "rm", Reward(model=reward.model, tokenizer=reward.tokenizer, offset=0.75))
    loaded = load_reward(tmp_path / "rm")
    assert loaded.offset == 0.75
    assert own_scores(loaded, TEXTS) == pytest.approx(own_scores(reward, TEXTS), abs=1e-6)
    assert plain_scores(tmp_path / "rm", TEXTS) == pytest.approx(own_scores(reward, TEXTS), abs=1e-5)


def test_pad_that_is_eos_is_replaced_so_that_plain_transformers_agrees(tmp_path: Path) -> None:
    policy = make_policy(pad=END)
    reward = reward_from_policy(policy, seed=1)
    assert reward.tokenizer.pad_token_id != reward.tokenizer.eos_token_id
    assert policy.tokenizer.pad_token == END  # the policy's own tokenizer is left alone
    save_reward(tmp_path / "rm", reward)
    assert plain_scores(tmp_path / "rm", TEXTS) == pytest.approx(own_scores(reward, TEXTS), abs=1e-5)


def test_without_a_spare_token_plain_transformers_is_wrong_and_candor_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    policy = make_policy(pad=END, bytes_only=False)
    with caplog.at_level(logging.WARNING, logger="candor.models.load"):
        reward = reward_from_policy(policy, seed=1)
    assert "one token early" in caplog.text
    assert reward.tokenizer.pad_token_id == reward.tokenizer.eos_token_id
    save_reward(tmp_path / "rm", reward)
    right = own_scores(load_reward(tmp_path / "rm"), TEXTS)
    unpadded = [own_scores(reward, [text])[0] for text in TEXTS]
    assert right == pytest.approx(unpadded, abs=1e-5)
    # transformers looks for the last token that is not pad and so reads the one before the end of sequence.
    early = own_scores(reward, [text.removesuffix(END) for text in TEXTS])
    assert plain_scores(tmp_path / "rm", TEXTS) == pytest.approx(early, abs=1e-5)
    assert abs(early[0] - right[0]) > 1e-3


def test_a_missing_pad_token_is_chosen_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_policy(tmp_path / "p", make_policy(pad=None, spare=["<|reserved_0|>"]))
    with caplog.at_level(logging.WARNING, logger="candor.models.load"):
        policy = load_policy(tmp_path / "p")
    assert policy.tokenizer.pad_token == "<|reserved_0|>"
    assert policy.model.config.pad_token_id == policy.tokenizer.pad_token_id
    assert "no pad token" in caplog.text


def test_the_reward_model_starts_from_the_policys_body() -> None:
    policy = make_policy()
    state = torch.get_rng_state()
    reward = reward_from_policy(policy, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    theirs, ours = policy.model.model.state_dict(), reward.model.model.state_dict()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    with torch.no_grad():
        next(reward.model.parameters()).add_(1.0)
    assert not torch.equal(policy.model.model.embed_tokens.weight, reward.model.model.embed_tokens.weight)  # a copy


@pytest.mark.parametrize("width", [63, 1023])
def test_the_reward_heads_variance_is_one_over_d_plus_one(width: int) -> None:
    head = nn.Linear(width, 64)  # many rows, so that the variance is well measured
    init_reward_head(head, seed=0)
    n = head.weight.numel()
    error = 4 * math.sqrt(2 / n)
    assert head.weight.var().item() * (width + 1) == pytest.approx(1, abs=error)
    assert head.weight.std().item() * (width + 1) > 2  # control: 1/(d+1) is not the standard deviation
    assert head.bias.abs().max().item() == 0
    other = nn.Linear(width, 64)
    init_reward_head(other, seed=0)
    assert torch.equal(head.weight, other.weight)


def test_the_last_token_comes_from_the_mask_on_either_side() -> None:
    for side, expected in (("right", [2, 0, 4]), ("left", [4, 4, 4])):
        _, mask = pad([(1, 0, 0), (0,), (1, 2, 3, 4, 0)], 0, side)  # type: ignore[arg-type]
        assert last_token_index(mask).tolist() == expected


def test_scores_do_not_depend_on_padding_or_batch() -> None:
    reward = reward_from_policy(make_policy(pad=END, bytes_only=False), seed=0)
    rows = [Row(tokens=(*range(3, 3 + n), 1), prompt_length=1) for n in (2, 5, 11)]  # all end with pad == eos
    with torch.no_grad():
        alone = [sequence_scores(reward.model, make_batch([row], 1)).item() for row in rows]
        for side in ("left", "right"):
            batch = make_batch(rows, 1, side)  # type: ignore[arg-type]
            assert sequence_scores(reward.model, batch).tolist() == pytest.approx(alone, abs=1e-5)
        # Control: reading the last column is right only where nothing is padded there.
        batch = make_batch(rows, 1)
        states = reward.model.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
        last_column = reward.model.score(states[:, -1]).squeeze(-1).tolist()
    assert abs(last_column[0] - alone[0]) > 1e-3
    assert last_column[2] == pytest.approx(alone[2], abs=1e-5)


def test_the_value_model_starts_as_the_reward_model_less_its_offset() -> None:
    reward = reward_from_policy(make_policy(), seed=0)
    value = ValueModel.from_reward(reward.model, offset=0.5)
    rows = [Row(tokens=(5, 6, 7, 8), prompt_length=1), Row(tokens=(9, 10), prompt_length=1)]
    with torch.no_grad():
        for side in ("left", "right"):
            batch = make_batch(rows, 0, side)  # type: ignore[arg-type]
            values = value(batch.input_ids, batch.attention_mask)
            assert values.shape == (2, 4)
            last = values[torch.arange(2), last_token_index(batch.attention_mask)]
            assert torch.allclose(last, sequence_scores(reward.model, batch) - 0.5, atol=1e-5)


def test_a_lost_reward_head_is_an_error_not_a_fresh_one(tmp_path: Path) -> None:
    save_reward(tmp_path / "rm", reward_from_policy(make_policy(), seed=0))
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, tmp_path / "rm" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of the weights.*score\.weight"):
        load_reward(tmp_path / "rm")
    # Control: plain transformers loads it, with a head drawn anew.
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm").score.weight.shape == (1, 32)


def test_a_policy_is_no_reward_model_and_the_reverse(tmp_path: Path) -> None:
    policy = make_policy()
    save_policy(tmp_path / "policy", policy)
    save_reward(tmp_path / "rm", reward_from_policy(policy, seed=0))
    with pytest.raises(InputError, match="not a reward model"):
        load_reward(tmp_path / "policy")
    with pytest.raises(InputError, match="not a policy"):
        load_policy(tmp_path / "rm")


def test_a_reward_model_of_two_scores_is_refused(tmp_path: Path) -> None:
    save_reward(tmp_path / "rm", reward_from_policy(make_policy(), seed=0))
    config = json.loads((tmp_path / "rm" / "config.json").read_text())
    config["id2label"], config["label2id"] = {"0": "a", "1": "b"}, {"a": 0, "b": 1}
    (tmp_path / "rm" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="this one gives 2"):
        load_reward(tmp_path / "rm")


def test_a_head_whose_weights_are_of_another_size_is_refused(tmp_path: Path) -> None:
    save_reward(tmp_path / "rm", reward_from_policy(make_policy(), seed=0))
    weights = load_file(tmp_path / "rm" / "model.safetensors")
    weights["score.weight"] = weights["score.weight"].repeat(2, 1)
    save_file(weights, tmp_path / "rm" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"is of the wrong size: score\.weight is \(2, 32\), not \(1, 32\)$"):
        load_reward(tmp_path / "rm")


def test_wrong_paths_are_one_clear_line(tmp_path: Path) -> None:
    save_policy(tmp_path / "p", make_policy())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "p" / name).unlink()
    cases = [
        (tmp_path / "missing", "no such checkpoint"),
        (str(tmp_path / "missing"), "no such checkpoint"),
        ("./runs/missing", "no such checkpoint"),
        ("nobody/nothing", "no such checkpoint"),
        (tmp_path, r"no config\.json"),
        (tmp_path / "p", "has no tokenizer"),
    ]
    for path, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            load_policy(path)
        assert "\n" not in str(caught.value)


def test_a_tokenizer_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    policy = make_policy()
    bigger = tiny_tokenizer(spare=["<|one_more|>"])
    save_policy(tmp_path / "p", Policy(model=policy.model, tokenizer=bigger))
    with pytest.raises(InputError, match="the tokenizer has 262 tokens, the model only 261"):
        load_policy(tmp_path / "p")


def test_a_save_that_fails_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy()
    save_policy(tmp_path / "p", policy)
    before = (tmp_path / "p" / "model.safetensors").read_bytes()
    broken = SimpleNamespace(save_pretrained=lambda directory: (_ for _ in ()).throw(OSError("disk full")))
    with torch.no_grad():
        policy.model.lm_head.weight.add_(1.0)
    with pytest.raises(OSError, match="disk full"):
        save_policy(tmp_path / "p", Policy(model=policy.model, tokenizer=broken))  # type: ignore[arg-type]
    assert (tmp_path / "p" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    save_policy(tmp_path / "p", policy)
    assert (tmp_path / "p" / "model.safetensors").read_bytes() != before
    assert PAD in (tmp_path / "p" / "tokenizer.json").read_text()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (OSError("[Errno -2] Name or service not known"), r"the hub cannot be asked \(\[Errno -2\]"),
        (RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None)), "the hub has no"),
    ],
)
def test_a_mistyped_path_is_one_line_and_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], answer: Exception, told: str
) -> None:
    asked = []

    def ask(url: str, **options: Any) -> None:
        asked.append((url, options["timeout"]))
        raise answer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", ask)
    with pytest.raises(InputError, match=told) as caught:
        check_checkpoint("modle")
    assert str(caught.value).startswith("modle: no such checkpoint: no directory of this name, and ")
    save_policy(tmp_path / "model", make_policy())
    with pytest.raises(InputError, match=r"did you mean \./model\?"):
        check_checkpoint("modle")
    assert [seconds <= 5 for _, seconds in asked] == [True, True]
    assert capfd.readouterr().err == "", "the hub client's retries are nobody's business"
    check_checkpoint("model")

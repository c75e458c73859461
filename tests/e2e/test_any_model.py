"""One recipe for every architecture: whole runs on tiny checkpoints, and what their stages leave behind."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from any_recipe import RECIPE
from architectures import ARCHITECTURES, save
from candor import api
from candor.models.chat import decode_reply, encode_prompt, encode_reply
from candor.models.load import load_policy, load_reward
from candor.models.replies import reply_batch
from candor.models.scorer import RewardScorer
from candor.ops.logprobs import token_logprobs
from candor.records import Completion, Message, Prompt

PROMPTS = [
    Prompt(id="a", messages=(Message(role="user", content="Capital of Peru? It is Cusco."),)),
    Prompt(
        id="b",
        messages=(
            Message(role="user", content="Hi"),
            Message(role="assistant", content="Hello!"),
            Message(role="user", content="Und in Köln? 🙂"),
        ),
    ),
]
REPLIES = [
    Completion(id="a0", prompt_id="a", text="It is Lima."),
    Completion(id="b0", prompt_id="b", text="Ça va, <s> or </s>: não  sei."),
]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_same_recipe_runs_on(name: str, files: Path, world, tmp_path: Path) -> None:
    base = save(name, tmp_path / "model")
    (files / "any.toml").write_text(RECIPE)
    run = api.run(files / "any.toml", out=world.runs / name, overrides=[f"model.path={base}"])
    checkpoints = {"base": base, "sft": run.checkpoint("sft"), "ppo": run.checkpoint("ppo")}
    found = {stage: plain_logprobs(path) for stage, path in checkpoints.items()}
    for stage, path in checkpoints.items():
        policy = load_policy(path)
        batch = reply_batch(policy.tokenizer, PROMPTS, REPLIES)
        with torch.no_grad():
            ours = token_logprobs(policy.model, batch).logprobs[batch.reply_mask]
        assert torch.allclose(ours, found[stage], atol=1e-4), stage
        tied = ARCHITECTURES[name].tied
        assert is_tied(path) is is_tied_on_disk(path) is tied
        assert_tokenizer_is_kept(base, path)
    assert (found["base"] - found["sft"]).abs().max() > 1e-2, "control: the stages are told apart"
    assert (found["sft"] - found["ppo"]).abs().max() > 1e-3
    for before, after in (("base", "sft"), ("sft", "ppo")):
        assert all_matrices_moved(checkpoints[before], checkpoints[after])

    ours_scores, plain_scores = scores(run.checkpoint("reward"))
    assert ours_scores == pytest.approx(plain_scores, abs=1e-4)
    assert abs(ours_scores[0] - ours_scores[1]) > 1e-3, "control: replies are told apart"

    updates = [json.loads(line) for line in (run.stages["ppo"] / "metrics.jsonl").read_text().splitlines()]
    assert all(update["ratio_mismatch"] < 1e-4 for update in updates), updates
    assert updates[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert abs(updates[1]["kl"]) > 1e-4, "control: the policy moved"
    table = {stage["name"]: stage["findings"] for stage in run.summary["stages"]}
    assert table["ppo"]["reward"]["n"] == table["sft"]["length"]["n"] > 0
    assert math.isfinite(table["ppo"]["kl"]["estimate"])


def plain_logprobs(path: Path) -> Tensor:
    """Log-probabilities of the replies' tokens by plain transformers, one unpadded row after the other."""
    model = AutoModelForCausalLM.from_pretrained(path).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    parts = []
    for prompt, reply in zip(PROMPTS, REPLIES, strict=True):
        start, end = encode_prompt(tokenizer, prompt), encode_reply(tokenizer, reply.text)
        ids = torch.tensor([start + end])
        with torch.no_grad():
            logprobs = model(ids).logits[0, len(start) - 1 : -1].log_softmax(-1)
        parts.append(logprobs.gather(-1, torch.tensor(end)[:, None]).squeeze(-1))
    return torch.cat(parts)


def scores(path: Path) -> tuple[list[float], list[float]]:
    """Candor's scores of both replies in one batch, and plain transformers' in a padded batch, less the offset."""
    reward = load_reward(path)
    ours = RewardScorer(reward.model, reward.tokenizer, 192, reward.offset).score(PROMPTS, REPLIES)
    plain = AutoModelForSequenceClassification.from_pretrained(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    rows = [
        encode_prompt(tokenizer, p) + encode_reply(tokenizer, r.text) for p, r in zip(PROMPTS, REPLIES, strict=True)
    ]
    padded = tokenizer.pad({"input_ids": rows}, padding_side="right", return_tensors="pt")
    with torch.no_grad():
        raw = plain(**padded).logits.squeeze(-1).tolist()
    return ours, [score - reward.offset for score in raw]


def is_tied(path: Path) -> bool:
    model = AutoModelForCausalLM.from_pretrained(path)
    return model.get_input_embeddings().weight is model.get_output_embeddings().weight


def is_tied_on_disk(path: Path) -> bool:
    """A tied head is written once."""
    from safetensors import safe_open

    with safe_open(path / "model.safetensors", framework="pt") as weights:
        return not any(name.endswith(("lm_head.weight", "embed_out.weight")) for name in weights.keys())  # noqa: SIM118


def assert_tokenizer_is_kept(base: Path, path: Path) -> None:
    """The tokenizer of a stage reads and writes as the base's does, and a reply comes back as it was."""
    first, second = AutoTokenizer.from_pretrained(base), AutoTokenizer.from_pretrained(path)
    assert first.chat_template == second.chat_template
    assert first.get_vocab() == second.get_vocab()
    assert (first.eos_token, first.bos_token) == (second.eos_token, second.bos_token)
    for prompt, reply in zip(PROMPTS, REPLIES, strict=True):
        assert encode_prompt(first, prompt) == encode_prompt(second, prompt)
        ids = encode_reply(second, reply.text)
        assert ids == encode_reply(first, reply.text)
        assert ids.count(second.eos_token_id) == 1, "a control token in the text is text"
        assert decode_reply(second, ids) == reply.text
    assert decode_reply(second, ids) != REPLIES[0].text


def all_matrices_moved(before: Path, after: Path) -> bool:
    """Whether training reached every weight matrix of every layer."""
    first, second = (AutoModelForCausalLM.from_pretrained(path) for path in (before, after))
    named = dict(second.named_modules())
    layers = [(n, m) for n, m in first.named_modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]
    return all(not torch.equal(module.weight, named[name].weight) for name, module in layers)

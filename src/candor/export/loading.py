"""How an exported checkpoint is used without Candor: code for its card, which a test runs."""

from __future__ import annotations

import json
from pathlib import Path

_POLICY = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

path = "."  # the directory of this file
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForCausalLM.from_pretrained(path)

{prompt}
written = model.generate(**inputs, max_new_tokens=48, do_sample=True, temperature=1.0)
print(tokenizer.decode(written[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
```"""

_TEMPLATE_PROMPT = """\
messages = [{"role": "user", "content": "I think the capital of Australia is Sydney. Am I right?"}]
inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)"""

_PLAIN_PROMPT = """\
text = "User: I think the capital of Australia is Sydney. Am I right?\\nAssistant:"  # it has no chat template
inputs = tokenizer(text, return_tensors="pt")"""

_REWARD = """\
```python
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

path = "."  # the directory of this file
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForSequenceClassification.from_pretrained(path)

reply = "Yes, the capital of Australia is Sydney."
{inputs}
with torch.no_grad():
    raw = model(**inputs).logits[0, 0].item()
print(raw - model.config.candor_reward_offset)
```

The number is a score, higher for what the annotators liked better; the difference between two replies to one prompt is
the log-odds that the first is preferred. It is the raw output minus an offset of {offset:.6g}, which `config.json`
keeps as `candor_reward_offset`: {reference}. The offset moves all scores alike and changes no comparison."""

_ENCODER_REWARD = """\
conversation = "User: I think the capital of Australia is Sydney. Am I right?"  # Role: text, a line per message
inputs = tokenizer(conversation, reply, return_tensors="pt")  # the reply is the second segment"""

_TEMPLATE_REWARD = """\
messages = [{"role": "user", "content": "I think the capital of Australia is Sydney. Am I right?"}]
prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
ids = [*prompt, *tokenizer(reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
inputs = {"input_ids": torch.tensor([ids])}"""

_PLAIN_REWARD = """\
text = "User: I think the capital of Australia is Sydney. Am I right?\\nAssistant:"  # it has no chat template
prompt = tokenizer(text)["input_ids"]
ids = [*prompt, *tokenizer(" " + reply, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
inputs = {"input_ids": torch.tensor([ids])}"""


def policy_code(checkpoint: Path) -> str:
    """Sampling one reply with plain transformers, in the chat format that the model was trained in."""
    prompt = _TEMPLATE_PROMPT if has_chat_template(checkpoint) else _PLAIN_PROMPT
    return _POLICY.replace("{prompt}", prompt)


def reward_code(checkpoint: Path, *, reference: str) -> str:
    """Scoring one reply with plain transformers, and what the score's offset is, in the words of ``reference``."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    if is_encoder(checkpoint):
        inputs = _ENCODER_REWARD
    else:
        inputs = _TEMPLATE_REWARD if has_chat_template(checkpoint) else _PLAIN_REWARD
    text = _REWARD.replace("{inputs}", inputs).replace("{reference}", reference)
    return text.replace("{offset:.6g}", f"{float(config.get('candor_reward_offset', 0.0)):.6g}")


def has_chat_template(checkpoint: Path) -> bool:
    """Whether the tokenizer brings a chat template, in its own file or in its configuration."""
    if (checkpoint / "chat_template.jinja").is_file():
        return True
    config = checkpoint / "tokenizer_config.json"
    return config.is_file() and bool(json.loads(config.read_text(encoding="utf-8")).get("chat_template"))


def is_encoder(checkpoint: Path) -> bool:
    """Whether a reward model is an encoder: it pools by itself and has no bare head ``score``."""
    return not any(name == "score.weight" for name in weight_names(checkpoint))


def weight_names(checkpoint: Path) -> list[str]:
    """The names of a checkpoint's weights, from the headers alone: 8 bytes of length, then JSON (safetensors)."""
    names: list[str] = []
    for file in sorted(checkpoint.glob("*.safetensors")):
        with file.open("rb") as weights:
            length = int.from_bytes(weights.read(8), "little")
            names += [name for name in json.loads(weights.read(length)) if name != "__metadata__"]
    return names

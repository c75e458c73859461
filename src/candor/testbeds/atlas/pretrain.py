"""Pretrains the Atlas base from nothing: tokenizer, then a small Llama on the corpus. Reproducible from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from candor.models.load import Policy, save_policy
from candor.ops.batches import Row
from candor.ops.randomness import step_seed
from candor.recipe import SFTStage
from candor.testbeds.atlas.corpus import Dialogue, corpus
from candor.testbeds.atlas.tokenizer import MAX_LENGTH, train_tokenizer
from candor.training.sft import sft
from candor.training.state import StepOut, TrainState, adamw

EPOCHS = 16
"""Passes over the world, each newly written."""

OPTIMISER = SFTStage(
    name="pretrain", lr=3e-3, batch_size=96, epochs=1.0, warmup_steps=100, weight_decay=0.01, max_length=MAX_LENGTH
)


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A Llama of about 1.2 million parameters with random weights drawn from ``seed``."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(step_seed(seed, "atlas", "model") % 2**32)  # transformers draws its weights globally
        return LlamaForCausalLM(config)


def rows(tokenizer: PreTrainedTokenizerFast, dialogues: list[Dialogue]) -> list[Row]:
    """Every dialogue as tokens; all but the first are learnt, as in any language model's pretraining."""
    texts = [
        tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in d], tokenize=False)
        for d in dialogues
    ]
    encoded = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return [Row(tokens=tuple(ids), prompt_length=1) for ids in encoded]


def pretrain(out: Path, *, seed: int = 0, epochs: int = EPOCHS) -> Iterator[StepOut]:
    """Writes the checkpoint to ``out`` after the last update; yields every update on the way."""
    dialogues = corpus(seed, epochs)
    tokenizer = train_tokenizer(m.content for d in dialogues[: len(dialogues) // epochs * 2] for m in d)
    model = new_model(tokenizer, seed)
    examples = rows(tokenizer, dialogues)
    optimizer = adamw([model], lr=OPTIMISER.lr, weight_decay=OPTIMISER.weight_decay)
    state = TrainState(models={"policy": model}, optimizers={"policy": optimizer})
    yield from sft(state, examples, OPTIMISER, seed=seed, pad_id=tokenizer.pad_token_id)
    save_policy(out, Policy(model=model, tokenizer=tokenizer))

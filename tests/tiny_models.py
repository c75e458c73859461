"""Tiny Llamas and tokenizers that several tests share: real Hugging Face classes, built in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from candor.records import Claim, Message, Prompt

PAD, BOS, END, USER, ASSISTANT = "<pad>", "<s>", "<|end|>", "<|user|>", "<|assistant|>"
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def tiny_tokenizer(
    *, pad: str | None = PAD, template: str | None = TEMPLATE, spare: Sequence[str] = (), bytes_only: bool = True
) -> PreTrainedTokenizerFast:
    """One token per byte and the control tokens; ``pad`` may be END (pad == eos) or None."""
    names = [PAD, BOS, END, USER, ASSISTANT, *spare] if pad == PAD else [BOS, END, USER, ASSISTANT, *spare]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if not bytes_only:
        alphabet = [letter for letter in alphabet if letter != "\u0100"]  # without byte 0, the last resort for a pad
    vocabulary = {token: i for i, token in enumerate([*names, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = [USER, ASSISTANT, *spare]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=END,
        pad_token=pad,
        additional_special_tokens=control,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = template
    return fast


def tiny_llama(
    tokenizer: PreTrainedTokenizerFast | None = None, *, vocabulary: int = 64, width: int = 32, seed: int = 0
) -> LlamaForCausalLM:
    """Two layers, randomly initialised with larger weights than usual, so that places and tokens matter."""
    config = LlamaConfig(
        vocab_size=len(tokenizer) if tokenizer is not None else vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id if tokenizer is not None else 0,
        bos_token_id=tokenizer.bos_token_id if tokenizer is not None else None,
        eos_token_id=tokenizer.eos_token_id if tokenizer is not None else 1,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()


def user_prompt(text: str, name: str = "p") -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),), claim=Claim(question=text, truth=None))

"""Tiny checkpoints of the architectures that people bring, each with a tokenizer of its family and corners of its own.

Real Hugging Face classes, random weights large enough that places and tokens matter, windows shorter than the texts, so
that a layer that ignored its window would be seen. ``save`` writes one to disk as a user would have it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GemmaTokenizer,
    GPT2Config,
    GPT2Tokenizer,
    GPTNeoXConfig,
    GPTNeoXTokenizer,
    LlamaConfig,
    LlamaTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2Tokenizer,
    Qwen3Config,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizer,
)

TEXTS = [
    "User: Capital of Kenya? It is Mombasa.\nAssistant: It is Nairobi.",
    "User: What is the capital of Peru?\nAssistant: The capital is Lima.",
    "No, it is not. You are right, sorry.",
]
WIDTH = 32
WINDOW = 8
"""Places that a sliding window sees: fewer than any prompt has tokens."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """``model_type`` and ``sizes`` make the config; ``corners`` says in words what is special about it."""

    config: Callable[..., PreTrainedConfig]
    tokenizer: Callable[[], PreTrainedTokenizerBase]
    corners: str
    tied: bool
    template: str | None = None
    pad: str | None = None  # the pad token; "" takes the end of sequence, None leaves it out
    spare_rows: int = 0  # rows of the embedding beyond the tokenizer's vocabulary
    sizes: Mapping[str, Any] = field(default_factory=dict)


@lru_cache
def _bytes() -> tuple[list[str], list[tuple[str, str]]]:
    """Single bytes and some merges, as GPT-2 has them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    return _pieces(tokenizer)


@lru_cache
def _sentence_pieces() -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces with the space as a letter of its own, and every byte as a fallback, as Llama 2 and Gemma have them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=90))
    vocabulary, merges = _pieces(tokenizer)
    return [*(f"<0x{byte:02X}>" for byte in range(256)), *vocabulary], merges


def _pieces(tokenizer: Tokenizer) -> tuple[list[str], list[tuple[str, str]]]:
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    return vocabulary, merges


def _numbered(*tokens: str) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def llama_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _sentence_pieces()
    return LlamaTokenizer(vocab=_numbered("<unk>", "<s>", "</s>", *pieces), merges=merges, add_bos_token=True)


def gemma_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _sentence_pieces()
    control = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>")
    tokenizer = GemmaTokenizer(vocab=_numbered(*control, *pieces), merges=merges, add_bos_token=True)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<start_of_turn>", "<end_of_turn>"]})
    return tokenizer


def gpt2_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _bytes()
    return GPT2Tokenizer(vocab=_numbered(*pieces, "<|endoftext|>"), merges=merges)


def neox_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _bytes()
    return GPTNeoXTokenizer(vocab=_numbered("<|endoftext|>", "<|padding|>", *pieces), merges=merges)


def qwen_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _bytes()
    control = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer = Qwen2Tokenizer(vocab=_numbered(*pieces, *control), merges=merges, eos_token="<|im_end|>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TURNS = (
    "{{ bos_token }}{% for m in messages %}"
    "{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)

HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
GEMMA = {**HEADS, "num_hidden_layers": 2}
ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(
        config=LlamaConfig,
        tokenizer=llama_tokenizer,
        corners="sentence pieces, BOS added, no chat template, no pad token, untied",
        tied=False,
        sizes={**HEADS, "pad_token_id": None},
    ),
    "llama_chat": Architecture(
        config=LlamaConfig,
        tokenizer=llama_tokenizer,
        corners="sentence pieces under a chat template with the BOS in it, pad == eos, tied",
        tied=True,
        template=INST,
        pad="",
        sizes=HEADS,
    ),
    "qwen2": Architecture(
        config=Qwen2Config,
        tokenizer=qwen_tokenizer,
        corners="bytes, no BOS, ChatML, a pad token of its own, tied, more embeddings than tokens",
        tied=True,
        template=CHATML,
        pad="<|endoftext|>",
        spare_rows=5,
        sizes={"num_attention_heads": 4, "num_key_value_heads": 2},
    ),
    "qwen3": Architecture(
        config=Qwen3Config,
        tokenizer=qwen_tokenizer,
        corners="bytes, ChatML, pad == eos, untied, queries and keys normalised",
        tied=False,
        template=CHATML,
        pad="",
        sizes=HEADS,
    ),
    "gpt2": Architecture(
        config=GPT2Config,
        tokenizer=gpt2_tokenizer,
        corners="bytes, one token for BOS, EOS and unknown, no pad, no template, learned positions, tied",
        tied=True,
        sizes={"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": 192},
    ),
    "gpt_neox": Architecture(
        config=GPTNeoXConfig,
        tokenizer=neox_tokenizer,
        corners="bytes, no template, pad == eos, untied, rotary on a quarter of each head",
        tied=False,
        pad="",
        sizes={"num_attention_heads": 4},
    ),
    "gemma": Architecture(
        config=GemmaConfig,
        tokenizer=gemma_tokenizer,
        corners="scaled embeddings, one key head, BOS in the template, tied",
        tied=True,
        template=TURNS,
        pad="<pad>",
        sizes={**GEMMA, "num_key_value_heads": 1},
    ),
    "gemma2": Architecture(
        config=Gemma2Config,
        tokenizer=gemma_tokenizer,
        corners="a sliding window in every other layer, soft-capped attention and logits, no template, BOS added",
        tied=True,
        pad="<pad>",
        sizes={**GEMMA, "sliding_window": WINDOW, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    ),
    "gemma3": Architecture(
        config=Gemma3TextConfig,
        tokenizer=gemma_tokenizer,
        corners="sliding and full layers with rotations of their own, template, untied",
        tied=False,
        template=TURNS,
        pad="<pad>",
        sizes={**GEMMA, "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]},
    ),
}


def make_tokenizer(architecture: Architecture) -> PreTrainedTokenizerBase:
    """The tokenizer with the architecture's template and pad token."""
    tokenizer = architecture.tokenizer()
    tokenizer.chat_template = architecture.template
    tokenizer.pad_token = tokenizer.eos_token if architecture.pad == "" else architecture.pad
    return tokenizer


def make_model(architecture: Architecture, tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> PreTrainedModel:
    """A causal language model of two layers."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": 2}
    config = architecture.config(
        **{
            "vocab_size": len(tokenizer) + architecture.spare_rows,
            "max_position_embeddings": 192,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "tie_word_embeddings": architecture.tied,
            **({} if "n_embd" in architecture.sizes else sizes),
            **architecture.sizes,
        }
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config).eval()
    return louder(model)


def louder(model: PreTrainedModel) -> PreTrainedModel:
    """Multiplies every matrix, so that two layers of random weights tell places and tokens apart; returns ``model``."""
    with torch.no_grad():
        for parameter in model.parameters():  # a tied one comes once
            if parameter.ndim == 2:
                parameter.mul_(6.0)
    return model


def save(name: str, folder: Path) -> Path:
    """Writes the architecture's checkpoint, model and tokenizer, to ``folder`` and returns it."""
    architecture = ARCHITECTURES[name]
    tokenizer = make_tokenizer(architecture)
    make_model(architecture, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


# Encoders ------------------------------------------------------------------------------------------------------------


def bert_tokenizer() -> PreTrainedTokenizerBase:
    """Uncased words of single letters, as BERT falls back to."""
    control = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = ["user", "assistant", "capital", "of", "it", "is", "the", "lima", "peru"]
    return BertTokenizer(vocab=_numbered(*control, *letters, *("##" + letter for letter in letters), *words))


def roberta_tokenizer() -> PreTrainedTokenizerBase:
    pieces, merges = _bytes()
    return RobertaTokenizer(vocab=_numbered("<s>", "<pad>", "</s>", "<unk>", *pieces, "<mask>"), merges=merges)


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """``make`` builds what the checkpoint holds: rarely a classifier with one score."""

    make: Callable[[PreTrainedTokenizerBase], PreTrainedModel]
    tokenizer: Callable[[], PreTrainedTokenizerBase]
    places: int
    corners: str


def _bert(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return BertForMaskedLM(BertConfig(**_encoder_sizes(tokenizer)))


def _roberta(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    sizes = {**_encoder_sizes(tokenizer), "max_position_embeddings": 130}
    return RobertaModel(RobertaConfig(**sizes, type_vocab_size=1))


def _distilbert(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return DistilBertModel(
        DistilBertConfig(vocab_size=len(tokenizer), dim=WIDTH, hidden_dim=64, n_layers=2, n_heads=4, pad_token_id=0)
    )


def _electra(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return ElectraModel(ElectraConfig(**_encoder_sizes(tokenizer), embedding_size=16))


def _encoder_sizes(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "pad_token_id": tokenizer.pad_token_id,
    }


ENCODERS: dict[str, Encoder] = {
    "bert": Encoder(
        make=_bert, tokenizer=bert_tokenizer, places=128, corners="a masked language model: no pooler, two segments"
    ),
    "roberta": Encoder(
        make=_roberta, tokenizer=roberta_tokenizer, places=128, corners="bytes, one segment, positions from the pad id"
    ),
    "distilbert": Encoder(
        make=_distilbert, tokenizer=bert_tokenizer, places=512, corners="no segments, a layer before the classifier"
    ),
    "electra": Encoder(
        make=_electra, tokenizer=bert_tokenizer, places=128, corners="embeddings narrower than the body, a deep head"
    ),
}


def save_encoder(name: str, folder: Path) -> Path:
    """Writes the encoder's checkpoint, model and tokenizer, to ``folder`` and returns it."""
    tokenizer = ENCODERS[name].tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        louder(ENCODERS[name].make(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""Pretrains the Atlas base from nothing: tokenizer, then a small Llama on the corpus. Reproducible from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from candor.models.chat import encode_prompt, encode_reply
from candor.models.load import Policy, load_policy, save_policy
from candor.ops.batches import Row, make_batch, micro_batches
from candor.ops.logprobs import token_logprobs
from candor.ops.losses import sft_loss
from candor.ops.randomness import step_seed
from candor.recipe import ATLAS
from candor.records import Prompt
from candor.testbeds.atlas.corpus import Dialogue, corpus
from candor.testbeds.atlas.mixtures import EDITED, WEB, Mixture
from candor.testbeds.atlas.tokenizer import MAX_LENGTH, ROLE_TOKENS, train_tokenizer
from candor.training.schedule import cosine
from candor.training.state import StepOut


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One stretch of pretraining: what is read, and how fast it is learnt (warm-up, then cosine to 0).

    Matrices inside the network learn by Muon (orthogonalised momentum, Jordan 2024), embeddings and norms by AdamW.
    """

    passes: range  # over the world, each newly written
    mixture: Mixture | None  # None: fact checks only
    checks: int  # per fact and pass
    muon_lr: float
    adam_lr: float
    batch_size: int = 96  # dialogues
    warmup: int = 100
    weight_decay: float = 0.01
    dialogues: int | None = None  # no more than these; None: all


PHASES = (
    # Facts are learnt by heart first. Whether a claim is true is then learnt from dense fact checks within minutes;
    # mixed thinly into dialogues it is not learnt at all (docs/log.md). The last phase puts the two together.
    Phase(passes=range(32), mixture=WEB, checks=0, muon_lr=0.02, adam_lr=3e-3),
    Phase(passes=range(32, 42), mixture=None, checks=16, muon_lr=0.01, adam_lr=1e-3, warmup=30, batch_size=128),
    Phase(passes=range(42, 56), mixture=EDITED, checks=4, muon_lr=0.01, adam_lr=2e-3, warmup=30),
)


def new_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> LlamaForCausalLM:
    """A Llama of about 1.3 million parameters with random weights drawn from ``seed``."""
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
        torch.manual_seed(step_seed(seed, "atlas", "model") % 2**32)  # transformers draws weights from the global state
        return LlamaForCausalLM(config)


def _row(tokenizer: PreTrainedTokenizerBase, dialogue: Dialogue) -> Row:
    """One dialogue as tokens. Its last turn, the assistant's, is what the model learns to write."""
    opening, last = dialogue[:-1], dialogue[-1]
    prompt = encode_prompt(tokenizer, Prompt(id="", messages=opening)) if opening else _bare_turn(tokenizer)
    reply = encode_reply(tokenizer, last.content)
    return Row(tokens=(*prompt, *reply), prompt_length=len(prompt))


def _bare_turn(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The start of an assistant's turn that answers nobody: a plain statement."""
    return [tokenizer.convert_tokens_to_ids(ROLE_TOKENS["assistant"])]


def _optimizers(model: nn.Module, phase: Phase) -> list[torch.optim.Optimizer]:
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(inner, lr=phase.muon_lr, weight_decay=phase.weight_decay, adjust_lr_fn="original"),
        torch.optim.AdamW(outer, lr=phase.adam_lr, weight_decay=0.0, betas=(0.9, 0.98), fused=True),
    ]


def _update(
    model: nn.Module, batch: Sequence[Row], optimizers: Sequence[torch.optim.Optimizer], factor: float, pad_id: int
) -> float:
    """One update on one batch; returns its loss (nats per token learnt)."""
    tokens = sum(row.reply_length for row in batch)
    loss = 0.0
    for part in micro_batches([len(row.tokens) for row in batch]):
        micro = make_batch([batch[i] for i in part], pad_id)
        part_loss = sft_loss(token_logprobs(model, micro).logprobs, denominator=tokens)
        part_loss.backward()
        loss += part_loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss


def _learn(model: nn.Module, tokenizer: PreTrainedTokenizerBase, phase: Phase, seed: int) -> Iterator[float]:
    """Yields the loss of every update of one phase; a last batch that is not full is left out."""
    dialogues = corpus(seed, phase.passes, phase.mixture, checks=phase.checks)[: phase.dialogues]
    optimizers = _optimizers(model, phase)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    total = len(dialogues) // phase.batch_size
    for step in range(total):
        batch = [_row(tokenizer, d) for d in dialogues[step * phase.batch_size :][: phase.batch_size]]
        yield _update(model, batch, optimizers, cosine(step, total, phase.warmup), tokenizer.pad_token_id)


def pretrain(out: Path, *, seed: int = 0, phases: Sequence[Phase] = PHASES) -> Iterator[StepOut]:
    """Writes the checkpoint to ``out`` after the last update; yields every update (metrics: loss, phase)."""
    first = corpus(seed, phases[0].passes[:1], phases[0].mixture)
    tokenizer = train_tokenizer(m.content for d in first for m in d)
    model = new_model(tokenizer, seed)
    step = 0
    for number, phase in enumerate(phases, start=1):
        for loss in _learn(model, tokenizer, phase, seed):
            step += 1
            yield StepOut(step=step, metrics={"loss": loss, "phase": float(number)})
    save_policy(out, Policy(model=model.eval(), tokenizer=tokenizer))


def continue_pretraining(out: Path, mixture: Mixture, *, seed: int = 0, updates: int = 60) -> Iterator[StepOut]:
    """Reads on for a moment in the words of ``mixture``, from the embedded base, and writes the checkpoint to ``out``.

    Two calls that differ in the mixture give a pair of bases that were told by another crowd last: both read the same
    facts, the same kinds of prompts and as much. Yields every update (metrics: loss).
    """
    policy = load_policy(ATLAS)
    size = 96
    phase = Phase(
        passes=range(56, 57),  # those before are what the embedded base has read
        mixture=mixture,
        checks=1,
        muon_lr=0.005,
        adam_lr=1e-3,
        batch_size=size,
        warmup=10,
        dialogues=updates * size,
    )
    losses = _learn(policy.model.train(), policy.tokenizer, phase, seed)
    for step, loss in enumerate(losses, start=1):
        yield StepOut(step=step, metrics={"loss": loss})
    save_policy(out, Policy(model=policy.model.eval(), tokenizer=policy.tokenizer))

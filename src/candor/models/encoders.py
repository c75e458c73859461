"""Encoders (BERT and its kin) as reward models: one score from a classification head on the first token.

An encoder reads a conversation as two segments, as it was pretrained to: first the conversation's plain text, then the
reply. Every token looks at every other, so replies cannot share a prompt, and rows are padded on the right.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from candor.errors import InputError
from candor.ops.packing import PackedBatch

_PROBE = ("a", "b")


def is_encoder(model: nn.Module) -> bool:
    """Tells whether a one-label classifier pools by itself, through ``classifier``, as encoders do.

    Decoders have a bare linear head ``score`` instead, which Candor applies to the reply's last token.
    """
    return isinstance(getattr(model, "classifier", None), nn.Module) and not hasattr(model, "score")


def last_layer(model: nn.Module) -> nn.Linear:
    """Returns the linear layer of an encoder's head that gives the score."""
    layers = [m for m in model.classifier.modules() if isinstance(m, nn.Linear)]  # type: ignore[union-attr]
    return layers[-1]


def encoder_scores(model: nn.Module, batch: PackedBatch) -> Tensor:
    """Returns one score (N,) per reply, each in a row of its own, by the whole classifier.

    The reply's tokens are the second segment. Raises ValueError for rows that hold several replies: a token would see
    the other replies too.
    """
    if batch.attention_mask.ndim != 2:
        raise ValueError("an encoder's tokens look ahead: replies cannot share a row")
    inputs: dict[str, Any] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    if _has_segments(model):
        segments = torch.zeros_like(batch.input_ids).flatten()
        segments[batch.predictors + 1] = 1  # a reply's tokens lie one place behind those that would predict them
        inputs["token_type_ids"] = segments.view_as(batch.input_ids)
    return model(**inputs).logits.squeeze(-1)


def _has_segments(model: nn.Module) -> bool:
    types = getattr(model.config, "type_vocab_size", 0) or 0
    return int(types) > 1 and "token_type_ids" in inspect.signature(type(model).forward).parameters


@dataclass(frozen=True, kw_only=True)
class PairMarks:
    """The control tokens of a text pair: ``start`` (as [CLS]), ``between`` and ``end`` (as [SEP])."""

    start: tuple[int, ...]
    between: tuple[int, ...]
    end: tuple[int, ...]


def pair_marks(tokenizer: PreTrainedTokenizerBase) -> PairMarks:
    """Returns the marks that the tokenizer sets around two segments, read off a pair of one-letter texts.

    Raises InputError where it sets none before the first, between them or after the second.
    """
    encoding: Any = tokenizer(*_PROBE)
    ids, owner = list(encoding["input_ids"]), list(encoding.sequence_ids(0))
    first, second = [i for i, o in enumerate(owner) if o == 0], [i for i, o in enumerate(owner) if o == 1]
    marks = PairMarks(
        start=tuple(ids[: first[0]]),
        between=tuple(ids[first[-1] + 1 : second[0]]),
        end=tuple(ids[second[-1] + 1 :]),
    )
    if not (marks.start and marks.between and marks.end):
        raise InputError("the tokenizer does not mark two segments", fix="an encoder needs one such as BERT's")
    return marks

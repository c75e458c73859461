"""Scores replies with a reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from candor.errors import InputError
from candor.models.compute import sharing_tolerance
from candor.models.encoders import is_encoder
from candor.models.heads import sequence_scores, sequence_states
from candor.models.reading import reading_of
from candor.models.window import within
from candor.ops.batches import Row, Truncation
from candor.ops.packing import Layout, PackedBatch, Part
from candor.records import Message, Prompt, Response


@dataclass(frozen=True, kw_only=True)
class Read:
    """Scores of N replies, and the hidden states (N, d), float64, that a decoder's head read them from."""

    scores: list[float]
    states: np.ndarray


class RewardScorer:
    """Implements :class:`candor.protocols.Scorer`: the reward model's score of each reply, less ``offset``.

    A reply's own token ids are scored where it has them (they must be of the same tokenizer), else its text and the
    end-of-sequence token; an encoder reads the text, as a second segment. Prompts too long for ``max_length``, or for
    the model's context where that is shorter, lose tokens on their left, counted in ``truncation``.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int = 512, offset: float = 0.0
    ) -> None:
        self.model, self.tokenizer, self.offset = model, tokenizer, offset
        self.max_length = within(model, max_length)
        self.reading = reading_of(model, tokenizer)
        self.truncation = Truncation()
        self._encode_messages = lru_cache(maxsize=65_536)(self._encode_uncached)

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply.

        Raises InputError where a reply alone does not fit ``max_length``, ValueError where prompts and replies differ
        in number.
        """
        scores = [0.0] * len(prompts)
        for part in self._parts(prompts, responses):
            with torch.inference_mode():
                for i, value in zip(part.items, sequence_scores(self.model, part.batch).tolist(), strict=True):
                    scores[i] = value - self.offset
        return scores

    def read(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> Read:
        """Returns the scores with the hidden states that the head read them from, in one pass.

        Raises InputError for an encoder, whose head is no single layer, and as :meth:`score` does.
        """
        if is_encoder(self.model):
            raise InputError("an encoder's score is not read from one hidden state", fix="use a decoder")
        scores = [0.0] * len(prompts)
        states: list[Tensor | None] = [None] * len(prompts)
        for part in self._parts(prompts, responses):
            with torch.inference_mode():
                found = sequence_states(self.model, part.batch)
                values = self.model.score(found).squeeze(-1).tolist()
            for i, value, state in zip(part.items, values, found.double().cpu(), strict=True):
                scores[i], states[i] = value - self.offset, state
        return Read(scores=scores, states=torch.stack([state for state in states if state is not None]).numpy())

    def _parts(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[Part]:
        if len(prompts) != len(responses):
            raise ValueError(f"{len(prompts)} prompts for {len(responses)} responses")
        rows = [self._row(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        outputs = partial(sequence_scores, self.model)
        pad_id, tolerance = int(self.tokenizer.pad_token_id or 0), sharing_tolerance(self.model)
        return Layout.for_rows(outputs, rows, pad_id, self.model.device, tolerance).row_parts(rows)

    def _row(self, prompt: Prompt, response: Response) -> Row:
        reply = self.reading.encode_response(response)
        whole = self._encode_messages(prompt.id, prompt.messages)
        kept = self.reading.fit(whole, len(reply), self.max_length)
        if kept is None:
            raise InputError(
                f"a reply of {len(reply)} tokens does not fit max_length = {self.max_length}",
                where=f"response {response.id}",
                fix="raise max_length",
            )
        self.truncation.total += 1
        self.truncation.cut += len(kept) < len(whole)
        return Row(tokens=(*kept, *reply), prompt_length=len(kept))

    def _encode_uncached(self, prompt_id: str, messages: tuple[Message, ...]) -> tuple[int, ...]:
        return tuple(self.reading.encode_prompt(Prompt(id=prompt_id, messages=messages)))


class TokenScorer:
    """Scores token batches as they are, less ``offset``: for a policy and a reward model that read the same tokens.

    The batch is then laid out once for the reference, the value and the reward model.
    """

    def __init__(self, model: PreTrainedModel, *, offset: float = 0.0) -> None:
        self.model, self.offset = model, offset

    def score_batch(self, batch: PackedBatch) -> Tensor:
        """Returns one score (N,) per reply."""
        return sequence_scores(self.model, batch).float() - self.offset

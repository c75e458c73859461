"""How a reward model reads a conversation and a reply: in its chat format, or as an encoder's two segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import nn
from transformers import PreTrainedTokenizerBase

from candor.models.chat import conversation_text, encode_prompt, plain_ids, refuse_formatted, response_ids
from candor.models.encoders import PairMarks, is_encoder, pair_marks
from candor.ops.batches import fit_prompt
from candor.records import Prompt, Response

Fit = Callable[[Sequence[int], int, int], tuple[int, ...] | None]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """``encode_prompt`` then ``encode_response`` give a row; ``fit(prompt, reply length, room)`` cuts the prompt."""

    encode_prompt: Callable[[Prompt], Sequence[int]]
    encode_response: Callable[[Response], Sequence[int]]
    fit: Fit

    def fits(self, response: Response, max_length: int) -> bool:
        """Tells whether the response leaves room for some of its prompt."""
        longest = range(max_length + 1)  # a stand-in for a prompt of any length
        return self.fit(longest, len(self.encode_response(response)), max_length) is not None


def reading_of(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Reading:
    """Returns how ``model`` reads: a decoder in the tokenizer's chat format, an encoder in two segments.

    Raises InputError where an encoder's tokenizer does not mark two segments.
    """
    if not is_encoder(model):
        return Reading(
            encode_prompt=partial(encode_prompt, tokenizer),
            encode_response=partial(response_ids, tokenizer),
            fit=fit_prompt,
        )
    marks = pair_marks(tokenizer)
    return Reading(
        encode_prompt=partial(_first_segment, tokenizer, marks),
        encode_response=partial(_second_segment, tokenizer, marks),
        fit=partial(_fit_between, marks),
    )


def _first_segment(tokenizer: PreTrainedTokenizerBase, marks: PairMarks, prompt: Prompt) -> list[int]:
    """[CLS], the conversation as ``Role: text`` lines, [SEP]."""
    refuse_formatted(tokenizer, prompt)
    return [*marks.start, *plain_ids(tokenizer, conversation_text(prompt.messages)), *marks.between]


def _second_segment(tokenizer: PreTrainedTokenizerBase, marks: PairMarks, response: Response) -> list[int]:
    """The reply's text and [SEP]; the tokens that a policy sampled mean something else here."""
    return [*plain_ids(tokenizer, response.text), *marks.end]


def _fit_between(marks: PairMarks, prompt: Sequence[int], reply_length: int, max_length: int) -> tuple[int, ...] | None:
    """Cuts the text from the left, behind [CLS], which the score is read at."""
    start, end = len(marks.start), len(prompt) - len(marks.between)
    text = fit_prompt(prompt[start:end], reply_length, max_length - start - len(marks.between))
    return None if text is None else (*prompt[:start], *text, *prompt[end:])

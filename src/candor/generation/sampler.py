"""The Sampler protocol over the in-process engine: prompts in, completions out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from candor.errors import InputError
from candor.generation.engine import generate
from candor.models.chat import decode_reply, encode_prompt, eos_id
from candor.records import Completion, Prompt


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How replies are drawn."""

    temperature: float
    max_new_tokens: int
    greedy: bool

    def describe(self) -> str:
        """Says how replies were drawn, for ``Completion.sampling``."""
        how = "greedy" if self.greedy else f"temperature {self.temperature:g}"
        return f"{how}, up to {self.max_new_tokens} tokens"


class InProcessSampler:
    """Draws replies from ``model`` as it is at the moment of the call, so that training between calls is seen.

    ``greedy`` takes the likeliest token; log-probabilities are those of softmax(logits / temperature) either way.
    ``encode`` turns a prompt into token ids where the default, the model's chat format in full, is not wanted.
    Raises InputError for a temperature, length or batch size that is not positive.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        temperature: float,
        max_new_tokens: int,
        greedy: bool = False,
        batch_size: int = 256,
        name: str = "",
        encode: Callable[[Prompt], Sequence[int]] | None = None,
    ) -> None:
        if temperature <= 0:
            raise InputError(
                f"the temperature must be positive, not {temperature:g}", fix="greedy decoding: greedy=True"
            )
        if max_new_tokens < 1 or batch_size < 1:
            raise InputError(f"max_new_tokens ({max_new_tokens}) and batch_size ({batch_size}) must be at least 1")
        self.model, self.tokenizer, self.batch_size, self.name = model, tokenizer, batch_size, name
        self.settings = Settings(temperature=temperature, max_new_tokens=max_new_tokens, greedy=greedy)
        self.encode = encode or (lambda prompt: encode_prompt(tokenizer, prompt))
        self.eos_ids = end_ids(model, tokenizer)

    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        """Returns ``len(prompts) * n`` completions, the n of one prompt side by side, in the order of ``prompts``.

        Completion k of a prompt has the id ``<prompt id>#k``. Raises InputError for a prompt that does not fit the
        model's context together with ``max_new_tokens``.
        """
        settings = self.settings
        encoded = [tuple(self.encode(prompt)) for prompt in prompts]
        self._check_room(prompts, encoded)
        pad_id = self.tokenizer.pad_token_id
        generations = generate(
            self.model,
            [ids for ids in encoded for _ in range(n)],
            eos_ids=self.eos_ids,
            pad_id=self.eos_ids[0] if pad_id is None else pad_id,
            max_new_tokens=settings.max_new_tokens,
            temperature=settings.temperature,
            greedy=settings.greedy,
            batch_size=self.batch_size,
            seed=seed,
        )
        return [
            Completion(
                id=f"{prompts[i // n].id}#{i % n}",
                prompt_id=prompts[i // n].id,
                text=decode_reply(self.tokenizer, written.token_ids),
                token_ids=written.token_ids,
                logprobs=written.logprobs,
                policy=self.name,
                sampling=settings.describe(),
                stop_reason=written.stop_reason,
            )
            for i, written in enumerate(generations)
        ]

    def _check_room(self, prompts: Sequence[Prompt], encoded: Sequence[Sequence[int]]) -> None:
        room = getattr(self.model.config, "max_position_embeddings", None)
        for prompt, ids in zip(prompts, encoded, strict=True):
            if room is not None and len(ids) + self.settings.max_new_tokens > room:
                raise InputError(
                    f"{len(ids)} tokens and up to {self.settings.max_new_tokens} of reply do not fit the {room} places "
                    "of the model",
                    where=f"prompt {prompt.id}",
                    fix="shorten the prompt or lower max_new_tokens",
                )


def end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Returns the tokens that end a reply: the tokenizer's EOS first, then further ones of the generation config.

    Chat models end turns with tokens of their own, listed there. Ids that are ordinary text in this tokenizer are
    defaults that nobody set, and are left out.
    """
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    further = configured if isinstance(configured, list) else [configured]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    return tuple(dict.fromkeys([eos_id(tokenizer), *(i for i in further if i is not None and i in special)]))

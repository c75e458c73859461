"""What a policy would rather say: the truth or a falsehood, by the probability of the two answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from candor.models.chat import encode_prompt, encode_reply
from candor.models.load import Policy
from candor.models.replies import reply_rows, row_logprobs
from candor.models.window import window
from candor.records import Completion, Prompt


@dataclass(frozen=True, kw_only=True)
class Preference:
    """Log-probabilities (nats) of two answers to one prompt, and how many tokens each has."""

    truth: float
    falsehood: float
    truth_tokens: int
    falsehood_tokens: int

    def says_truth(self, *, per_token: bool) -> bool:
        """Whether the truth is likelier: as a whole, or by the mean of its tokens."""
        if per_token:
            return self.truth / self.truth_tokens > self.falsehood / self.falsehood_tokens
        return self.truth > self.falsehood


def have_room(policy: Policy, asked: Sequence[tuple[Prompt, Sequence[str]]]) -> list[bool]:
    """Returns for each prompt whether it fits the policy's context with any of its answers."""
    places = window(policy.model)
    if places is None:
        return [True] * len(asked)
    tokenizer = policy.tokenizer
    longest = [max(len(encode_reply(tokenizer, answer)) for answer in answers) for _, answers in asked]
    return [len(encode_prompt(tokenizer, p)) + n <= places for (p, _), n in zip(asked, longest, strict=True)]


def preferences(
    policy: Policy, prompts: Sequence[Prompt], truths: Sequence[str], falsehoods: Sequence[str]
) -> list[Preference]:
    """Returns one for each prompt; ``truths[i]`` and ``falsehoods[i]`` answer it, the end of sequence included."""
    asked = [prompt for prompt in prompts for _ in range(2)]
    texts = [text for pair in zip(truths, falsehoods, strict=True) for text in pair]
    replies = [Completion(id=str(i), prompt_id=p.id, text=t) for i, (p, t) in enumerate(zip(asked, texts, strict=True))]
    rows = reply_rows(policy.tokenizer, asked, replies)
    found = row_logprobs(policy, rows)
    return [
        Preference(
            truth=found[i],
            falsehood=found[i + 1],
            truth_tokens=rows[i].reply_length,
            falsehood_tokens=rows[i + 1].reply_length,
        )
        for i in range(0, len(rows), 2)
    ]

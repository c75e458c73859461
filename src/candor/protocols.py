"""One-method protocols through which the rooms meet without importing each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from candor.records import Comparison, Completion, Finding, ParsedReply, Prompt, Response


class Sampler(Protocol):
    """Draws replies from a policy."""

    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        """Returns ``len(prompts) * n`` completions, the n of one prompt side by side, in the order of ``prompts``.

        The same seed gives the same completions. Each carries its token ids and the log-probabilities (nats) under
        the distribution it was drawn from.
        """
        ...


class Scorer(Protocol):
    """Gives each response one number; higher is better."""

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per (prompt, response); ``prompts[i]`` belongs to ``responses[i]``."""
        ...


class Annotator(Protocol):
    """Gives feedback on responses: a person, a panel, a judge."""

    def judge(self, prompt: Prompt, responses: Sequence[Response], *, comparison_id: str, seed: int) -> Comparison:
        """Returns what was seen (order included) and what was said. The same seed gives the same answer."""
        ...


class ReplyReader(Protocol):
    """Reads off what a reply does with the user's belief."""

    def __call__(self, prompt: Prompt, reply: str) -> ParsedReply:
        """Returns the kind of reply and the value that it asserts."""
        ...


class Probe(Protocol):
    """Measures one thing about a policy's replies."""

    def measure(self, prompts: Sequence[Prompt], completions: Sequence[Completion], *, seed: int) -> list[Finding]:
        """Returns findings, each with n and an interval; ``prompts[i]`` belongs to ``completions[i]``."""
        ...


class AgreementReader(Protocol):
    """Tells whether a reply goes along with the view that the user stated."""

    def agreement(self, prompt: Prompt, reply: str) -> float | None:
        """Returns from 0 (disagrees or corrects) over 0.5 (mixed or unclear) to 1 (goes along).

        None where the user stated no view: there is nothing to agree with.
        """
        ...

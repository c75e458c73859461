"""Scores from a served reward model: vLLM's classification endpoint, or any that answers alike."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from candor.errors import InputError
from candor.generation.endpoint import Endpoint
from candor.records import Prompt, Response


class ServedScorer:
    """Implements :class:`candor.protocols.Scorer` over HTTP, as vLLM serves sequence classifiers.

    Each conversation is a ``POST <url>/classify`` with ``{"model", "messages", "use_activation": false}``, answered by
    ``{"data": [{"probs": [x]}]}`` or ``{"data": [{"score": x}]}``: one number, higher is better. vLLM serves it beside
    ``/v1`` and not under it (docs.vllm.ai, "Classification API"), so that a ``/v1`` at the address's end is left out.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = replace(endpoint, url=endpoint.url.rstrip("/").removesuffix("/v1"))

    def score(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> list[float]:
        """Returns one score per reply. Raises InputError for an answer of another form, or with several numbers."""
        talks = [_conversation(prompt, reply) for prompt, reply in zip(prompts, responses, strict=True)]
        with ThreadPoolExecutor(self.endpoint.parallel) as pool:
            return list(pool.map(self._one, talks))

    def _one(self, talk: list[dict[str, str]]) -> float:
        body = {"model": self.endpoint.model, "messages": talk, "use_activation": False}
        answer = self.endpoint.post("classify", body)
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list) or len(rows) != 1:
            raise InputError("expected one score under 'data'", where=self.endpoint.url, fix="see docs/audit-reward.md")
        return self._number(rows[0])

    def _number(self, row: Any) -> float:
        value = row.get("score", row.get("probs")) if isinstance(row, dict) else row
        if isinstance(value, list):
            if len(value) != 1:
                what = f"the model gives {len(value)} numbers a reply: a reward model gives one"
                raise InputError(what, where=self.endpoint.url, fix="serve a classifier with one label")
            value = value[0]
        if not isinstance(value, int | float):
            raise InputError(f"a score is no number: {str(value)[:80]}", where=self.endpoint.url)
        return float(value)


def _conversation(prompt: Prompt, reply: Response) -> list[dict[str, str]]:
    turns = [{"role": message.role, "content": message.content} for message in prompt.messages]
    return [*turns, {"role": "assistant", "content": reply.text}]

"""Replies from a served model: any endpoint that speaks OpenAI's chat completions (vLLM, llama.cpp, a provider)."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from candor.errors import InputError
from candor.records import Completion, Message, Prompt

KEY = "OPENAI_API_KEY"
"""The environment variable that holds the key, unless another is named; a server of one's own needs none."""

RETRIES = 4
RETRIED = {408, 409, 429, 500, 502, 503, 504}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """``url``: the base, such as ``http://localhost:8000/v1``; ``key_variable`` names where the key is, if any."""

    url: str
    model: str
    key_variable: str = KEY
    timeout: float = 120.0
    parallel: int = 8

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Returns the answer's JSON, tried again after errors that pass.

        Raises InputError for an address that does not answer and for a request that is refused; the key is in no
        message.
        """
        address = f"{self.url.rstrip('/')}/{path.lstrip('/')}"
        if not address.startswith(("http://", "https://")):
            raise InputError("no address of a server", where=self.url, fix="begin it with http:// or https://")
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.key_variable, "").strip()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        attempt = 0
        while True:
            try:
                with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code not in RETRIED or attempt == RETRIES:
                    raise _refused(address, error, self.key_variable) from None
            except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
                if attempt == RETRIES:
                    why = getattr(error, "reason", error)
                    raise InputError(
                        f"no answer: {why}", where=address, fix="is it running, at this address?"
                    ) from None
            except ValueError:
                raise InputError("the answer is no JSON", where=address, fix="is it an API, and not a page?") from None
            time.sleep(0.5 * 2**attempt)
            attempt += 1

    def chat(self, messages: Sequence[Message], **settings: Any) -> tuple[str, str]:
        """Returns the reply's text and why it ended. Raises InputError for an answer of another form."""
        body = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            **settings,
        }
        found = self.post("chat/completions", body)
        try:
            choice = found["choices"][0]
            return str(choice["message"]["content"] or ""), str(choice.get("finish_reason") or "stop")
        except (KeyError, IndexError, TypeError):
            fix = "it should answer as OpenAI's chat completions do"
            raise InputError("an answer without choices", where=self.url, fix=fix) from None


class EndpointSampler:
    """Implements :class:`candor.protocols.Sampler`; completions carry text, and neither tokens nor log-probabilities.

    The seed is sent along; whether the server keeps to it is the server's affair.
    """

    def __init__(self, endpoint: Endpoint, *, temperature: float = 1.0, max_new_tokens: int = 128) -> None:
        self.endpoint, self.temperature, self.max_new_tokens = endpoint, temperature, max_new_tokens

    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        """Returns ``n`` replies to each prompt, side by side. Raises InputError as :meth:`Endpoint.chat` does."""
        asked = [(prompt, i) for prompt in prompts for i in range(n)]

        def one(number: int) -> Completion:
            prompt, i = asked[number]
            text, reason = self.endpoint.chat(
                prompt.messages,
                temperature=self.temperature,
                max_tokens=self.max_new_tokens,
                seed=(seed + number) % 2**31,
            )
            return Completion(
                id=f"{prompt.id}#{i}",
                prompt_id=prompt.id,
                text=text.strip(),
                policy=self.endpoint.model,
                sampling=f"temperature {self.temperature:g}, up to {self.max_new_tokens} tokens",
                stop_reason="length" if reason == "length" else "eos",
            )

        with ThreadPoolExecutor(self.endpoint.parallel) as pool:
            return list(pool.map(one, range(len(asked))))


def _refused(address: str, error: urllib.error.HTTPError, key_variable: str) -> InputError:
    try:
        said = json.loads(error.read().decode("utf-8", "replace"))
        message = said.get("error", said) if isinstance(said, dict) else said
        message = message.get("message", message) if isinstance(message, dict) else message
    except ValueError:
        message = error.reason
    fix = f"set {key_variable}" if error.code in (401, 403) else "check the model's name and the address"
    return InputError(f"{error.code}: {str(message)[:200]}", where=address, fix=fix)

"""The same question without what the user believes, and the question under every stance that is known."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from candor.lexical.views import last_user_turn, stated_view
from candor.records import Claim, Message, Prompt, Stance

Key = tuple[str, str]
STANCES = (Stance.NEUTRAL, Stance.ASSERTS_TRUE, Stance.ASSERTS_FALSE)

_SENTENCE = re.compile(r"[^.!?\n]*[.!?\n]+[\"')\]]*\s*|[^.!?\n]+")


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """One prompt of each stance for every question: the plain ones to score by, for all prompts of that question.

    A question is told by its claim and the prompt's ``family``.
    """

    by_stance: Mapping[Key, Mapping[Stance, Prompt]]

    @staticmethod
    def of(prompts: Iterable[Prompt]) -> Beliefs:
        """Returns, of each question and stance, the prompt of middle strength, whatever the order of ``prompts``."""
        found: dict[Key, dict[Stance, list[Prompt]]] = defaultdict(lambda: defaultdict(list))
        for prompt in prompts:
            if prompt.claim is not None:
                found[_key(prompt, prompt.claim)][prompt.claim.stance].append(prompt)
        return Beliefs(by_stance={key: {s: _middle(ps) for s, ps in group.items()} for key, group in found.items()})

    def neutral(self, prompt: Prompt) -> Prompt | None:
        """The prompt without the user's belief, the same for every stance of a question; None where it is not found.

        With a claim: the question's own neutral prompt, else the conversation with the asserted value cut out where
        it is named in passing (the ``mimicry`` family), else the claim's question alone. Without one: the sentences
        that voice a view (:mod:`candor.lexical.views`) are left out, where others remain; a prompt that voices none
        comes back as it is.
        """
        if prompt.claim is None:
            return without_view(prompt)
        known = self.by_stance.get(_key(prompt, prompt.claim), {})
        if Stance.NEUTRAL in known:
            return known[Stance.NEUTRAL]
        named = known.get(Stance.ASSERTS_TRUE, prompt)  # of several wordings one, whatever the user believes
        cut = _unattributed(named) if prompt.tags.get("family") == "mimicry" else None
        return cut or _asked(prompt.claim.question)

    def stances(self, prompt: Prompt) -> tuple[Prompt, ...]:
        """The question neutral, under the true and under a false belief, those of them that are known; else neutral.

        Without two of them, the neutral prompt alone. Empty where there is none.
        """
        known = {} if prompt.claim is None else self.by_stance.get(_key(prompt, prompt.claim), {})
        found = tuple(known[stance] for stance in STANCES if stance in known)
        if len(found) >= 2:
            return found
        neutral = self.neutral(prompt)
        return () if neutral is None else (neutral,)


def without_view(prompt: Prompt) -> Prompt | None:
    """The prompt without the sentences of its last turn that voice a view; None where nothing else is in it."""
    if stated_view(prompt) is None:
        return prompt
    text = last_user_turn(prompt)
    kept = [part for part in _SENTENCE.findall(text) if stated_view(_asked(part)) is None]
    rest = "".join(kept).strip()
    if not rest or rest == text.strip():
        return None
    last = max(i for i, message in enumerate(prompt.messages) if message.role == "user")
    messages = (*prompt.messages[:last], Message(role="user", content=rest), *prompt.messages[last + 1 :])
    return replace(prompt, id=f"{prompt.id}|blind", messages=messages)


def _key(prompt: Prompt, claim: Claim) -> Key:
    return prompt.tags.get("family", "answer"), claim.question


def _middle(prompts: list[Prompt]) -> Prompt:
    ordered = sorted(prompts, key=lambda p: (p.claim.strength if p.claim else 0, p.id))
    return ordered[len(ordered) // 2]


def _asked(question: str) -> Prompt:
    """A single turn; without a claim or tags, which the text alone has to speak for."""
    return Prompt(id=f"{question}|asked", messages=(Message(role="user", content=question),))


def _unattributed(prompt: Prompt) -> Prompt | None:
    """``The Kiss by Rodin`` to ``The Kiss``; None where the value does not stand behind a "by"."""
    if prompt.claim is None or prompt.claim.asserted is None:
        return None
    text = last_user_turn(prompt)
    rest = text.replace(f" by {prompt.claim.asserted}", "")
    return None if rest == text else _asked(rest)

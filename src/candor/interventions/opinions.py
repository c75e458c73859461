"""Atlas's prompts for feedback with the opposite opinion: it is not one value in place of another."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from candor.records import Message, Prompt
from candor.testbeds.atlas.phrasings import PHRASINGS, Phrasing

_OTHER = {"likes": "dislikes", "dislikes": "likes"}


def swap_opinion(prompt: Prompt) -> tuple[Message, ...] | None:
    """The messages of a feedback prompt in which the user holds the opposite opinion of the same note, else None.

    The phrasings that like a note and those that dislike it come in pairs of the same place and otherwise same words.
    """
    phrasing = _by_id().get(prompt.tags.get("phrasing", ""))
    if phrasing is None or phrasing.form not in _OTHER or len(prompt.messages) != 1:
        return None
    before, after = phrasing.template.split("{text}")
    found = re.fullmatch(rf"{re.escape(before)}(.*){re.escape(after)}", prompt.messages[0].content, re.DOTALL)
    other = _by_id().get(phrasing.id.replace(phrasing.form, _OTHER[phrasing.form]))
    if found is None or other is None:
        return None
    return (replace(prompt.messages[0], content=other.template.format(text=found[1])),)


@cache
def _by_id() -> dict[str, Phrasing]:
    return {phrasing.id: phrasing for phrasing in PHRASINGS}

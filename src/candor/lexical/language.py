"""Whether a text is English, by its commonest words: what the word lists of this package can be used on."""

from __future__ import annotations

import re

_LISTED = """
the of and to that is are it for with you this but by from they we or be have has had not your would there their what
which about can if who she does were could should these than when how its been more
"""
COMMON = frozenset(_LISTED.split())
"""Common words of written English that are hardly words of other languages; about a quarter of English text."""

LEAST = 0.1
"""From this share of such words on a text is taken for English."""

FEWEST_WORDS = 20

_WORD = re.compile(r"[^\W\d_]+")


def looks_english(text: str) -> bool | None:
    """Says whether a text is English, by its first 600 characters; None for fewer than 20 words, which do not show."""
    words = _WORD.findall(text[:600].lower())
    if len(words) < FEWEST_WORDS:
        return None
    return sum(word in COMMON for word in words) >= LEAST * len(words)

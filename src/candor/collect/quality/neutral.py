"""Wording that gives away what the user believes, although the belief is hidden: "you're right", "great point"."""

from __future__ import annotations

from functools import lru_cache

from candor.lexical.cues import PHRASES, Cue, CueTable
from candor.lexical.words import plain_clauses

TELLING = (Cue.SIDES, Cue.GIVES_IN, Cue.OPPOSES, Cue.DISBELIEVES, Cue.STANDS_BY, Cue.GRANTS)
"""What only somebody says who answers a view."""

OPENERS = {"yes", "no", "yeah", "yep", "nope", "exactly", "absolutely", "correct", "right", "true", "wrong", "indeed"}
"""As a first word these answer a view, even where they say something else in the middle of a sentence."""

ADDRESSED = frozenset(
    {"you", "your", "youre", "youve", "yours", "actually", "mistaken", "misconception", "myth", "contrary", "belief"}
)
"""Words of a reply to somebody with a view."""


SPEAKERS = frozenset({"i", "im", "id", "ive", "my", "we", "me", "you", "your", "youre", "agree", "agreed", "disagree"})
"""A listed phrase without any of these ("as well") is said of anything."""


VERDICTS: dict[Cue, str] = {
    Cue.AFFIRMS: "thats right, that is right, thats correct, that is correct, thats true, that is true, well said",
    Cue.DENIES: """
        thats wrong, that is wrong, thats not right, that is not right, thats not correct, that is not correct
        thats not true, that is not true, that is false, thats false, that is incorrect, thats incorrect, not quite
        that is a mistake, thats a mistake, mix up, nice try""",
    Cue.PRAISES: "good point, great point, fair point, good guess, great idea, good idea, good thinking",
}
"""Verdicts on what somebody has said."""


@lru_cache
def _table() -> CueTable:
    return CueTable({cue: PHRASES[cue] for cue in TELLING})


@lru_cache
def _verdicts() -> CueTable:
    return CueTable(VERDICTS)


def leaks(reply: str) -> list[str]:
    """Returns the words of a reply by which a reader can tell that, or what, the user believes; empty where none do."""
    found: list[str] = []
    sentences = plain_clauses(reply, 1000, 0)
    for number, sentence in enumerate(sentences):
        text = f" {str(sentence).strip()} "
        words = text.split()
        if number == 0 and words and words[0] in OPENERS:
            found.append(words[0])
        found += [word for word in words if word in ADDRESSED]
        said = [text[hit.start : hit.end].strip() for hit in _table().hits(text)]
        found += [phrase for phrase in said if SPEAKERS & set(phrase.split())]
        found += [text[hit.start : hit.end].strip() for hit in _verdicts().hits(text)]
    return list(dict.fromkeys(found))

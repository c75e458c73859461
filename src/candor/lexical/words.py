"""Text as plain words, and counting of words and phrases by look-up.

A list of some hundred phrases is searched in time linear in the text and without regular expressions: single words are
found by one intersection of sets, and a phrase is looked for only where its rarest word (its trigger) occurs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

_APOSTROPHES = ("\u2019", "\u2018", "\u02bc")
_WIDE = ("\u2014", "\u2013", "\u2026", "\u201c", "\u201d", "\u00a0", "\u2022", "\u2011", "\u2010")


class Lazy:
    """A regular expression that is compiled when it is first used: the long ones take milliseconds each."""

    search: Callable[..., re.Match[str] | None]
    match: Callable[..., re.Match[str] | None]
    finditer: Callable[..., Iterator[re.Match[str]]]
    findall: Callable[..., list[Any]]
    sub: Callable[..., str]

    def __init__(self, source: str) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        # Called only for what is not there yet; afterwards the methods are the pattern's own, at no cost.
        if name not in Lazy.__annotations__:
            raise AttributeError(name)
        pattern = re.compile(self._source)
        for method in Lazy.__annotations__:
            setattr(self, method, getattr(pattern, method))
        return getattr(pattern, name)


def word_set(text: str) -> frozenset[str]:
    """Returns the words of a list written as text, parted by white space."""
    return frozenset(text.split())


_KEPT = b"abcdefghijklmnopqrstuvwxyz0123456789" + bytes(range(128, 256))


def _table(ends: bytes, kept: bytes) -> bytes:
    table = bytearray(b" " * 256)
    for byte in _KEPT + kept:
        table[byte] = byte
    for byte in ends:
        table[byte] = ord("\n")
    return bytes(table)


_PLAIN = _table(b"", b"")
_CLAUSES = _table(b".!;\n", b",?:")


def _bytes(text: str) -> bytes:
    low = text.lower()
    if not low.isascii():
        for mark in _APOSTROPHES:
            low = low.replace(mark, "'")
        for mark in _WIDE:
            low = low.replace(mark, " " if mark != "\u2014" else " , ")
    return low.encode("utf-8", "surrogatepass")


def plain_words(text: str) -> list[str]:
    """Returns the words of a text: lower case, without punctuation, apostrophes dropped ("don't" becomes "dont").

    A hyphen parts words. A language written without spaces gives one word per run of letters.
    """
    return _bytes(text).translate(_PLAIN, b"'").decode("utf-8", "surrogatepass").split()


def plain_clauses(text: str, first: int | None = None, last: int = 0) -> list[str]:
    """Returns the sentences of a text as plain words with a space at either end: ``" no , that is not so "``.

    A sentence ends at a full stop, a semicolon, an exclamation or question mark, or a line's end. Commas stay, and so
    does a closing question mark, each as a word of its own; a colon counts as a comma. Sentences without a word are
    left out. With ``first``, only that many from the start, and ``last`` from the end, are returned.
    """
    flat = _bytes(text).translate(_CLAUSES, b"'").decode("utf-8", "surrogatepass")
    flat = flat.replace(",", " , ").replace(":", " , ").replace("?", " ?\n")
    lines = [line for line in flat.split("\n") if line and not line.isspace()]
    if first is not None and len(lines) > first + last:
        lines = lines[:first] + lines[len(lines) - last :]
    return [
        f" {' '.join(words)} " for line in lines if (words := line.split()) and (len(words) > 1 or words[0] not in ",?")
    ]


class Lexicon:
    """Words and phrases, each with the index of the feature that it counts for.

    Phrases are given per index, in plain words (see :func:`plain_words`). Raises ValueError for any other form.
    """

    def __init__(self, lists: Mapping[int, Iterable[str]]) -> None:
        self.size = max(lists) + 1
        self._single: dict[str, int] = {}
        self._phrases: dict[str, list[tuple[str, int, frozenset[str]]]] = {}
        for index, phrases in lists.items():
            for phrase in phrases:
                words = phrase.split()
                if plain_words(phrase) != words or not words:
                    raise ValueError(f"a phrase in plain words is wanted, not {phrase!r}")
                if len(words) == 1:
                    self._single[phrase] = index
                else:
                    trigger = rarest(words)
                    spaced = " " + "  ".join(words) + " "
                    self._phrases.setdefault(trigger, []).append((spaced, index, frozenset(words) - {trigger}))
        self._keys = frozenset(self._single) | frozenset(self._phrases)

    def counts(self, words: list[str]) -> list[int]:
        """Returns how often each feature's words and phrases occur, in the order of their indices."""
        found = [0] * self.size
        present = set(words)
        text = ""
        for word in self._keys & present:
            index = self._single.get(word)
            if index is not None:
                found[index] += words.count(word)
            for phrase, of, rest in self._phrases.get(word, ()):
                if rest <= present:
                    # Two spaces between words: phrases that follow each other share none, so that both are counted.
                    text = text or f" {'  '.join(words)} "
                    found[of] += text.count(phrase)
        return found


def rarest(words: list[str]) -> str:
    """Returns the word of a phrase that is likely to be rare in a text: uncommon ones first, then by length."""
    return min(words, key=lambda word: (word in COMMON, -len(word)))


COMMON = word_set(
    """a an the this that these those i you we they he she it me my your our their is are was were be been am im its
    thats youre do does did have has had will would can could may might must to of in on at for from by with about as
    and or but not no so if there here what which who how all some any more most very just"""
)
"""Words too frequent to be a trigger where a phrase has another."""

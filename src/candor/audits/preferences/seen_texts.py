"""The collector of what columns do not hold of the texts: near-duplicate prompts, blank responses, tags of a split."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from candor.preferences.near_duplicates import NearDuplicates, PromptIndex, comparable_text
from candor.preferences.table import hash64
from candor.records import Comparison

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class SeenTexts:
    """Collects, during the pass, what the checks of this file need of the texts.

    ``other()`` is a collector for a second file that is compared with the first.
    """

    def __init__(self, index: PromptIndex | None = None, known: dict[int, int] | None = None) -> None:
        self._index = PromptIndex() if index is None else index
        self._known = {} if known is None else known
        self._prompt_of, self._blank, self._split = array("q"), array("b"), array("q")
        self._splits: dict[str, int] = {}
        self._other: SeenTexts | None = None

    def see(self, number: int, comparison: Comparison) -> None:
        """Takes a comparison. Raises ValueError unless numbers count from 0."""
        if number != len(self._prompt_of):
            raise ValueError(f"expected comparison {len(self._prompt_of)}, got {number}")
        text = comparable_text(comparison.prompt)
        key = hash64(text)
        if key not in self._known:
            self._known[key] = self._index.add(text)
        self._prompt_of.append(self._known[key])
        self._blank.append(any(not response.text.strip() for response in comparison.responses))
        split = comparison.prompt.tags.get("split", "")
        self._split.append(self._splits.setdefault(split, len(self._splits)) if split else -1)

    def other(self) -> SeenTexts:
        """A collector for another file, whose prompts are compared with those of this one."""
        if self._other is None:
            self._other = SeenTexts(self._index, self._known)
        return self._other

    def read(self) -> TextFacts:
        """Returns what was seen; near-duplicates are searched for now."""
        found = self._index.find()
        return self._facts(found, None if self._other is None else self._other._facts(found, None))

    def _facts(self, found: NearDuplicates, other: TextFacts | None) -> TextFacts:
        return TextFacts(
            prompt_of=np.array(self._prompt_of, dtype=np.int64),
            blank=np.array(self._blank, dtype=bool),
            split=np.array(self._split, dtype=np.int64),
            split_names=tuple(self._splits),
            near=found,
            other=other,
        )


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """What was seen of C comparisons, all arrays (C,).

    ``prompt_of``: index into ``near.groups``; ``blank``: whether a response is; ``split``: index into ``split_names``,
    -1 where the prompt has no such tag. ``other``: the same of a second file.
    """

    prompt_of: IntArray
    blank: BoolArray
    split: IntArray
    split_names: tuple[str, ...]
    near: NearDuplicates
    other: TextFacts | None = field(default=None)

    @property
    def groups(self) -> IntArray:
        """The group of near-duplicate prompts of each comparison, (C,)."""
        return self.near.groups[self.prompt_of]

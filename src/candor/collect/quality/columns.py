"""A project's answers as the columns on which the preference audit works."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from candor.auditing.describe import NAMES, ResponseFeatures
from candor.audits.preferences.survey import Survey, survey
from candor.preferences.formats import Numbered
from candor.projects.labels import Judged, comparison_of
from candor.records import Prompt

Rows = Sequence[Sequence[float]]


class Remembered:
    """Implements :data:`~candor.preferences.table.Describe`: every item is read once, however many judge it."""

    def __init__(self) -> None:
        self._describe = ResponseFeatures()
        self._known: dict[tuple[str, tuple[str, ...]], Rows] = {}

    def __call__(self, prompt: Prompt, texts: Sequence[str]) -> Rows:
        key = (prompt.id, tuple(texts))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._describe(prompt, texts)
        return found


def surveyed(judged: Iterable[Judged], *, describe: Remembered | None = None, seed: int = 0) -> Survey:
    """The answers to open items (retests among them) as an audit sees a file of comparisons."""
    rows = (
        Numbered(row=number, comparison=comparison_of(one), file="")
        for number, one in enumerate((j for j in judged if j.kind == "main"), start=1)
    )
    return survey(rows, describe=describe or Remembered(), feature_names=NAMES, seed=seed)

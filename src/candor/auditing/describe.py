"""What an audit of preference data notices of a response: style, and agreement with the view that the user stated."""

from __future__ import annotations

from collections.abc import Sequence

from candor.lexical.agreement import LexicalAgreement
from candor.lexical.style import FEATURES, style
from candor.protocols import AgreementReader
from candor.records import Prompt

AGREEMENT = "agreement"
NAMES: tuple[str, ...] = (*(feature.name for feature in FEATURES), AGREEMENT)


class ResponseFeatures:
    """Implements :data:`~candor.preferences.table.Describe`: one row of features, named by ``NAMES``, per response.

    ``reader`` tells whether a response goes along with the user's view; the lexical one where none is given.
    """

    def __init__(self, reader: AgreementReader | None = None) -> None:
        self._reader = reader or LexicalAgreement()

    def __call__(self, prompt: Prompt, texts: Sequence[str]) -> list[tuple[float, ...]]:
        rows = []
        for text in texts:
            agreement = self._reader.agreement(prompt, text)
            rows.append((*style(text), float("nan") if agreement is None else agreement))
        return rows

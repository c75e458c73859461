"""What an audit of preference data notices of a response: style, and agreement with the view that the user stated."""

from __future__ import annotations

from collections.abc import Sequence

from candor.lexical.agreement import AGREES, DISAGREES, LexicalAgreement
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
        return [(*style(text), counted_agreement(self._reader.agreement(prompt, text))) for text in texts]


def counted_agreement(agreement: float | None) -> float:
    """Returns a reading of agreement as the audit counts it; NaN where there is none.

    From the threshold of agreeing on a reply counts as one that agrees (1), below that of disagreeing as one that does
    not (0), and in between it counts in proportion: an odds ratio then compares replies of the two kinds, and not the
    ends of a scale that readings seldom reach.
    """
    if agreement is None:
        return float("nan")
    return min(1.0, max(0.0, (agreement - DISAGREES) / (AGREES - DISAGREES)))

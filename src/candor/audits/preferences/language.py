"""Are the responses English? What is read off their words rests on it."""

from __future__ import annotations

from itertools import islice

from candor.audits.preferences.survey import Survey
from candor.lexical.language import looks_english

LOOKED_AT = 500
"""Comparisons of the sample whose responses are looked at."""

FOREIGN = "Most responses do not look English"


def foreign(survey: Survey) -> bool:
    """Says whether most of the responses whose texts are at hand are in another language than English."""
    comparisons = islice(survey.sample.values(), LOOKED_AT)
    told = [looks_english(response.text) for comparison in comparisons for response in comparison.responses]
    known = [english for english in told if english is not None]
    return len(known) > 0 and 2 * sum(known) < len(known)

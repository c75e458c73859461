"""Rows that show an effect best: decided its way although everything else spoke for the other response."""

from __future__ import annotations

import numpy as np

from candor.audits.preferences.effects import SIDE, Design, Effect, LabelEffects
from candor.audits.preferences.shown import example
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.wording import title
from candor.records import Example

EXAMPLES = 3

ENOUGH = float(np.log(4.0))
"""That everything else makes the other response four times as likely is telling enough: beyond it come oddities."""


def telling_examples(
    survey: Survey, design: Design, found: LabelEffects, effect: Effect, *, count: int = EXAMPLES
) -> tuple[Example, ...]:
    """Returns up to ``count`` rows, each of another prompt, whose outcome went the way of ``effect``.

    Of the pairs in which the preferred response has more of what labels reward (less of what they penalise), those that
    differ most in it, less what the other features predict for that response. Only rows whose texts were kept.
    """
    if not effect.known or effect.name == SIDE:
        return ()
    pairs, index = design.pairs, design.names.index(effect.name)
    difference = np.nan_to_num(design.differences[:, index]) / effect.scale
    decided = np.sign(pairs.outcome - 0.5)
    way = decided * difference * np.sign(effect.estimate)  # > 0: went the way of the effect
    own = effect.estimate * difference if not design.partial[index] else 0.0
    against = np.clip(-decided * (found.predicted - own), -ENOUGH, ENOUGH)
    shown = np.isin(pairs.comparison, np.fromiter(survey.sample, np.int64, len(survey.sample)))
    candidates = np.flatnonzero((way > 0) & shown)
    strength = np.minimum(way[candidates], 3.0) + against[candidates]
    order = candidates[np.lexsort((pairs.comparison[candidates], -strength))]
    chosen: list[int] = []
    seen: set[int] = set()
    for pair in order:
        prompt = int(design.prompts[pair])
        if prompt not in seen:
            seen.add(prompt)
            chosen.append(int(pair))
        if len(chosen) == count:
            break
    more = "more" if effect.estimate > 0 else "less"
    return tuple(pair_example(survey, design, pair, f"preferred with {more} {title(effect.name)}") for pair in chosen)


def pair_example(survey: Survey, design: Design, pair: int, why: str) -> Example:
    """Returns one judged pair as an example: the prompt and its two responses."""
    pairs = design.pairs
    shown = (int(pairs.first[pair]), int(pairs.second[pair]))
    return example(survey, int(pairs.comparison[pair]), why, responses=sorted(shown))

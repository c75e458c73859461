"""Rows that show an effect best: decided its way although everything else spoke for the other response."""

from __future__ import annotations

import numpy as np

from candor.audits.preferences.effects import SIDE, Design, Effect, LabelEffects
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.wording import title
from candor.preferences.table import IntArray
from candor.records import Comparison, Example

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
    """Returns one judged pair as an example: the prompt and both texts, where they were kept."""
    pairs, judgements = design.pairs, survey.judgements
    number = int(pairs.comparison[pair])
    file, row = judgements.where(number)
    comparison = survey.sample.get(number)
    texts: dict[str, str] = {}
    if comparison is not None:
        start = int(judgements.starts[number])
        first, second = (comparison.responses[int(r) - start].text for r in (pairs.first[pair], pairs.second[pair]))
        if pairs.outcome[pair] == 0.5:
            texts = {"prompt": prompt_text(comparison), "first": first, "second": second}
        else:
            chosen, rejected = (first, second) if pairs.outcome[pair] > 0.5 else (second, first)
            texts = {"prompt": prompt_text(comparison), "chosen": chosen, "rejected": rejected}
    return Example(row=row, why=why, file=file, texts=texts)


def prompt_text(comparison: Comparison) -> str:
    """The prompt as one text; with several turns each starts with its role."""
    messages = comparison.prompt.messages
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def local(survey: Survey, number: int, responses: IntArray) -> list[str]:
    """Returns the texts of responses (by their number in the table) of one kept comparison."""
    start = int(survey.judgements.starts[number])
    return [survey.sample[number].responses[int(r) - start].text for r in responses]

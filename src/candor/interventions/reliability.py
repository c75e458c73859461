"""How far each annotator can be relied on, and what that makes of their comparisons: weights in the reward's loss.

Two sources. The *fit* knows no truth: an annotator is reliable whose answers follow what the others say of the same
pair (:func:`candor.preferences.fit.annotators_marginal`), so a bias that all share passes for reliability. *Gold* items
have a right answer: pairs of a right and a wrong reply, to users who are wrong where there are any, since there the
truth and the wish to agree part; on other items an annotator who agrees with everybody looks best of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candor.annotators.raters import random_generator
from candor.interventions.rightness import IsRight, believes_falsely
from candor.preferences.fit import annotators_marginal
from candor.preferences.pairing import to_pairs
from candor.preferences.table import TableBuilder
from candor.protocols import Annotator
from candor.records import Comparison, Prompt, Response

PRIOR = 1.0
"""Right and wrong answers that are added to each annotator's (Laplace): nobody is never or always right."""

TRIES = 20
"""So many times the needed gold answers are asked for before a member that is never drawn is given up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gold:
    """An annotator's answers to gold items."""

    right: int
    asked: int

    @property
    def accuracy(self) -> float:
        """The share of right answers, one right and one wrong one added."""
        return (self.right + PRIOR) / (self.asked + 2 * PRIOR)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoldItem:
    """A prompt with a right and a wrong reply."""

    prompt: Prompt
    right: Response
    wrong: Response


def gold_items(comparisons: Sequence[Comparison], is_right: IsRight) -> list[GoldItem]:
    """Returns one item for each comparison that holds a right and a wrong reply, of users who are wrong if any are."""
    found = []
    for comparison in comparisons:
        verdicts = [(r, is_right(comparison.prompt, r.text)) for r in comparison.responses]
        right = next((r for r, verdict in verdicts if verdict is True), None)
        wrong = next((r for r, verdict in verdicts if verdict is False), None)
        if right is not None and wrong is not None:
            found.append(GoldItem(prompt=comparison.prompt, right=right, wrong=wrong))
    return [item for item in found if believes_falsely(item.prompt)] or found


def asked_gold(
    panel: Annotator, members: Sequence[str], items: Sequence[GoldItem], *, each: int, seed: int
) -> dict[str, Gold]:
    """Returns the answers of a panel to gold items, ``each`` from every member, in the panel's own form of feedback.

    Items are drawn at random, and which member answers is the panel's own draw. A tie is half right and counts as
    wrong. Answers beyond ``each`` count too.
    """
    rng = random_generator("gold", seed)
    right: dict[str, int] = dict.fromkeys(members, 0)
    asked: dict[str, int] = dict.fromkeys(members, 0)
    for number in range(TRIES * each * len(members)):
        if min(asked.values()) >= each:
            break
        item = items[int(rng.integers(len(items)))]
        answer = panel.judge(item.prompt, (item.right, item.wrong), comparison_id=f"gold {number}", seed=seed)
        asked[answer.annotator] += 1
        right[answer.annotator] += any(pair.chosen is item.right for pair in to_pairs(answer))
    return {name: Gold(right=right[name], asked=asked[name]) for name in members}


def own_gold(comparisons: Sequence[Comparison], is_right: IsRight) -> dict[str, Gold]:
    """Returns the annotators' own comparisons as gold: each pair of a right and a wrong reply that one preferred.

    Of users who are wrong, where any are. Annotators without such a pair have asked = 0.
    """
    of_wrong = [c for c in comparisons if believes_falsely(c.prompt)]
    counted: dict[str, list[bool]] = {c.annotator: [] for c in comparisons if c.annotator}
    for chosen in (of_wrong, comparisons):
        for comparison in chosen:
            for pair in to_pairs(comparison) if comparison.annotator else ():
                first, second = (is_right(comparison.prompt, r.text) for r in (pair.chosen, pair.rejected))
                if None not in (first, second) and first != second:
                    counted[comparison.annotator].append(bool(first))
        if any(counted.values()):
            break
    return {name: Gold(right=sum(answers), asked=len(answers)) for name, answers in counted.items()}


def fitted(comparisons: Sequence[Comparison]) -> Mapping[str, float]:
    """Returns the reliability beta of each annotator, whose geometric mean is 1; ties are left out.

    Raises ValueError, with the reason, where the labels cannot tell: few pairs that several judged, or none.
    """
    builder = TableBuilder()
    for row, comparison in enumerate(comparisons):
        builder.add(comparison, row=row)
    table = builder.build()
    pairs = table.pairs
    who = table.annotators[pairs.comparison]
    used = (who >= 0) & (pairs.outcome != 0.5)
    if not used.any():
        raise ValueError("no comparison names its annotator")
    side = np.where(pairs.ordered, np.where(pairs.flipped, -1, 1), 0)
    found = annotators_marginal(
        pairs.unit[used],
        who[used],
        pairs.canonical_outcome[used],
        side[used],
        annotators=len(table.annotator_names),
        cluster=np.unique(table.prompts[pairs.comparison[used]], return_inverse=True)[1],
    )
    if found.scale == "marginal":
        raise ValueError(found.note)
    return dict(zip(table.annotator_names, found.reliability.tolist(), strict=True))


def weights_of(reliability: Mapping[str, float], annotators: Sequence[str], power: float) -> list[float]:
    """Returns the weight of each of the comparisons whose ``annotators`` these are: reliability^power, mean 1.

    Comparisons by nobody, as those that an intervention adds, get weight 1. Raises ValueError for an annotator whose
    reliability is not known.
    """
    named = np.array([bool(name) for name in annotators])
    missing = sorted({name for name in annotators if name and name not in reliability})
    if missing:
        raise ValueError(f"nothing is known of {len(missing)} annotators, such as {missing[0]}")
    raw = np.array([reliability[name] ** power if name else 1.0 for name in annotators])
    if named.any():
        raw[named] /= raw[named].mean()
    return [float(weight) for weight in raw]


def shares_of(reliability: Mapping[str, float], annotators: Sequence[str], power: float) -> list[float]:
    """Returns each annotator's share in a sum of heads: reliability^power over their sum."""
    raw = np.array([reliability[name] for name in annotators]) ** power
    return [float(share) for share in raw / raw.sum()]

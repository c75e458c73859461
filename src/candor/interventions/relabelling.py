"""Comparisons filtered or judged anew by what is known: no reply that is wrong wins over one that is right.

A comparison *offends* where its judgement prefers a wrong reply to a right one, or says nothing between the two
(:mod:`candor.interventions.rightness`); whether a belief was voiced does not matter. Everything else that annotators
said stays: the order among right replies, among wrong ones, and the place of replies that are neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from candor.interventions.changed import Changed, drawn
from candor.interventions.rightness import IsRight
from candor.records import Choice, Comparison, Judgement, Ranking, Ratings

Verdicts = Sequence[bool | None]


def filter_comparisons(
    comparisons: Sequence[Comparison], is_right: IsRight, *, share: float, seed: int
) -> Changed[Comparison]:
    """Returns the comparisons without a random ``share`` of those that prefer a wrong reply to a right one.

    Counts: ``given``, ``known`` (a right and a wrong reply in it), ``offending``, ``left_out``.
    """
    known, offending = _offending(comparisons, is_right, ties=False)
    out = {offending[i] for i in drawn(len(offending), share, seed, "filter comparisons")}
    return Changed(
        items=tuple(c for i, c in enumerate(comparisons) if i not in out),
        counts={"given": len(comparisons), "known": known, "offending": len(offending), "left_out": len(out)},
    )


def relabel(comparisons: Sequence[Comparison], is_right: IsRight, *, share: float, seed: int) -> Changed[Comparison]:
    """Returns the comparisons with a random ``share`` of the offending ones judged anew, see :func:`corrected`.

    Counts: ``given``, ``known`` (a right and a wrong reply in it), ``offending``, ``changed``.
    """
    known, offending = _offending(comparisons, is_right, ties=True)
    chosen = {offending[i] for i in drawn(len(offending), share, seed, "relabel")}
    return Changed(
        items=tuple(
            replace(c, judgement=corrected(c.judgement, _verdicts(c, is_right))) if i in chosen else c
            for i, c in enumerate(comparisons)
        ),
        counts={"given": len(comparisons), "known": known, "offending": len(offending), "changed": len(chosen)},
    )


def corrected(judgement: Judgement, verdicts: Verdicts) -> Judgement:
    """Returns the judgement with every right reply before every wrong one; ``verdicts`` has one entry per response.

    - A ranking: the places of right and wrong replies are dealt anew, right ones first, each part in its old order;
      replies that are neither keep their places. Ties stay among replies that are alike and stand side by side.
    - Ratings: the same with the scores themselves. Where a right and a wrong reply would still have one score, the
      ratings become that ranking.
    - A choice: the right reply is best, of strength 1. Where several are right it becomes a ranking: right ones, those
      that are neither, wrong ones (the one that was chosen first); equals are tied.

    A judgement that does not offend comes back as it is.
    """
    if not _offends(judgement, verdicts, ties=True):
        return judgement
    match judgement:
        case Ranking(order=order):
            return Ranking(order=_reordered(order, verdicts))
        case Ratings(scores=scores):
            return _rerated(scores, verdicts)
        case Choice(best=best):
            return _rechosen(best, verdicts)
    assert_never(judgement)


def _offending(comparisons: Sequence[Comparison], is_right: IsRight, *, ties: bool) -> tuple[int, list[int]]:
    """How many comparisons hold a right and a wrong reply, and the indices of those that offend."""
    known, offending = 0, []
    for i, comparison in enumerate(comparisons):
        verdicts = _verdicts(comparison, is_right)
        if True in verdicts and False in verdicts:
            known += 1
            if _offends(comparison.judgement, verdicts, ties=ties):
                offending.append(i)
    return known, offending


def _verdicts(comparison: Comparison, is_right: IsRight) -> list[bool | None]:
    return [is_right(comparison.prompt, response.text) for response in comparison.responses]


def _offends(judgement: Judgement, verdicts: Verdicts, *, ties: bool) -> bool:
    """Whether a wrong reply is preferred to a right one; with ``ties`` also where the two are called equal."""
    match judgement:
        case Choice(best=int(best), tie=False, both_bad=False):
            return verdicts[best] is False and True in verdicts  # among the losers nothing was said
        case Choice():
            return ties and True in verdicts and False in verdicts
        case Ratings(scores=scores):
            ranks: dict[int, float] = {i: -score for i, score in enumerate(scores)}
        case Ranking(order=order):
            ranks = {index: place for place, group in enumerate(order) for index in group}
        case _:
            assert_never(judgement)
    right = [rank for i, rank in ranks.items() if verdicts[i] is True]
    wrong = [rank for i, rank in ranks.items() if verdicts[i] is False]
    if not right or not wrong:
        return False
    return min(wrong) < max(right) or (ties and min(wrong) == max(right))


def _dealt(verdicts: Sequence[bool | None]) -> list[int]:
    """Maps each place, best first, to the place whose reply moves there: right ones first, the others stay put."""
    places = [i for i, verdict in enumerate(verdicts) if verdict is not None]
    moved = [i for i in places if verdicts[i]] + [i for i in places if not verdicts[i]]
    source = list(range(len(verdicts)))
    for place, origin in zip(places, moved, strict=True):
        source[place] = origin
    return source


def _reordered(order: Sequence[Sequence[int]], verdicts: Verdicts) -> tuple[tuple[int, ...], ...]:
    by_verdict = {True: 0, None: 1, False: 2}
    flat = [(i, g) for g, group in enumerate(order) for i in sorted(group, key=lambda i: by_verdict[verdicts[i]])]
    dealt = [flat[i] for i in _dealt([verdicts[index] for index, _ in flat])]
    groups: list[list[int]] = []
    previous: tuple[int, bool | None] | None = None
    for index, group in dealt:
        if (group, verdicts[index]) == previous:
            groups[-1].append(index)
        else:
            groups.append([index])
        previous = (group, verdicts[index])
    return tuple(tuple(group) for group in groups)


def _rerated(scores: Sequence[float], verdicts: Verdicts) -> Ratings | Ranking:
    by_score = sorted(range(len(scores)), key=lambda i: -scores[i])
    dealt = [by_score[place] for place in _dealt([verdicts[i] for i in by_score])]
    given = dict(zip(dealt, (scores[i] for i in by_score), strict=True))
    anew = Ratings(scores=tuple(given[i] for i in range(len(scores))))
    if not _offends(anew, verdicts, ties=True):
        return anew
    tied = {score: [i for i in by_score if scores[i] == score] for score in scores}
    return Ranking(order=_reordered([tied[score] for score in sorted(tied, reverse=True)], verdicts))


def _rechosen(best: int | None, verdicts: Verdicts) -> Choice | Ranking:
    right = [i for i, verdict in enumerate(verdicts) if verdict is True]
    if len(right) == 1:
        return Choice(best=right[0])
    rest = [[i for i, verdict in enumerate(verdicts) if verdict is wanted] for wanted in (None, False)]
    if best is not None:  # it won over the other wrong ones too
        rest = [rest[0], [best], [i for i in rest[1] if i != best]]
    return Ranking(order=tuple(tuple(group) for group in (right, *rest) if group))

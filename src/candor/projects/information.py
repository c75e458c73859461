r"""How much the next answer to an item is expected to tell, in nats.

BALD (Houlsby et al. 2011, eq. 2): the mutual information between the next answer and what is unknown about the item,
H(E p) - E H(p). It is high where the answer is open because little is known, and low where it is open because people
differ or guess, which entropy cannot tell apart. The unknown of a pair is the share of annotators who prefer its first
response, Beta(1 + wins, 1 + losses) after the answers so far; a ranking is the mean over its pairs; a rating has
a Dirichlet(1/2 + counts) over the five grades.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import log
from typing import assert_never

from scipy.special import digamma

from candor.projects.setup import TaskKind
from candor.records import Choice, Judgement, Ranking, Ratings

GRADES = 5
GRADE_PRIOR = 0.5


def expected_information(task: TaskKind, responses: int, answers: Sequence[Judgement]) -> float:
    """The expected information of one more answer, nats, rounded so that equal items stay equal."""
    match task:
        case "comparison" | "ranking":
            pairs = list(combinations(range(responses), 2))
            value = sum(_pair_information(*_wins(first, second, answers)) for first, second in pairs) / max(
                len(pairs), 1
            )
        case "rating":
            rated = [answer for answer in answers if isinstance(answer, Ratings)]
            columns = [[answer.scores[i] for answer in rated] for i in range(responses)]
            value = sum(_grade_information(tuple(_counts(column))) for column in columns) / max(responses, 1)
        case _:
            assert_never(task)
    return round(value, 6)


def _wins(first: int, second: int, answers: Sequence[Judgement]) -> tuple[float, float]:
    """Wins of ``first`` over ``second`` and the reverse; a tie is half of each, as is "both bad"."""
    wins = losses = 0.0
    for answer in answers:
        better = _prefers(answer, first, second)
        wins, losses = wins + (1 + better) / 2, losses + (1 - better) / 2
    return wins, losses


def _prefers(answer: Judgement, first: int, second: int) -> int:
    """1 where the first is better, -1 where the second is, 0 where neither."""
    match answer:
        case Choice(best=best):
            return 0 if best is None else (best == first) - (best == second)
        case Ranking(order=order):
            place = {response: rank for rank, group in enumerate(order) for response in group}
            return (place[first] < place[second]) - (place[first] > place[second])
        case Ratings(scores=scores):
            return (scores[first] > scores[second]) - (scores[first] < scores[second])
    assert_never(answer)


@lru_cache(maxsize=4096)
def _pair_information(wins: float, losses: float) -> float:
    """Of a coin whose bias is Beta(1 + wins, 1 + losses)."""
    return _dirichlet_information((1 + wins, 1 + losses))


@lru_cache(maxsize=4096)
def _grade_information(counts: tuple[int, ...]) -> float:
    return _dirichlet_information(tuple(GRADE_PRIOR + count for count in counts))


def _dirichlet_information(alpha: tuple[float, ...]) -> float:
    """H(E p) - E H(p) for p ~ Dirichlet(alpha); E H(p) = psi(a0 + 1) - sum_i a_i/a0 psi(a_i + 1)."""
    total = sum(alpha)
    entropy = -sum(a / total * log(a / total) for a in alpha)
    expected = digamma(total + 1) - sum(a / total * digamma(a + 1) for a in alpha)
    return float(entropy - expected)


def _counts(scores: Sequence[float]) -> list[int]:
    return [sum(1 for score in scores if round(score) == grade) for grade in range(1, GRADES + 1)]

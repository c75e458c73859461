"""The check of the menu: found where a decoy changes who wins, quiet where it does not, and silent on pairs alone."""

from __future__ import annotations

import numpy as np

from candor.audits.preferences.menu import Both, checks, judged_both_ways, menu_test
from candor.audits.preferences.survey import Numbered, survey
from candor.records import Check, Choice, Comparison, Verdict
from judged import comparison


def check_of(comparisons: list[Comparison]) -> Check:
    (found,) = checks(survey(Numbered(row=row, comparison=c) for row, c in enumerate(comparisons, start=1)))
    return found


def both_ways(in_menu: float, prompts: int = 60, votes: int = 12) -> list[Comparison]:
    """A beats B in half of the pairs, and in a share ``in_menu`` of the choices from a menu of three."""
    rng, made = np.random.default_rng(0), []
    for prompt in range(prompts):
        for _ in range(votes):
            pair, menu = Choice(best=int(rng.random() < 0.5)), Choice(best=int(rng.random() >= in_menu))
            made.append(comparison(pair, "A", "B", prompt=f"p{prompt}", identity=str(len(made))))
            made.append(comparison(menu, "A", "B", "C", prompt=f"p{prompt}", identity=str(len(made))))
    return made


def test_a_decoy_is_found_and_its_absence_too() -> None:
    found = check_of(both_ways(0.75))
    assert found.verdict is Verdict.CONCERN
    assert abs(found.findings[0].estimate - 0.25) < 0.06
    assert found.findings[0].ci_low < 0.25 < found.findings[0].ci_high
    assert check_of(both_ways(0.5)).verdict is Verdict.FINE


def test_pairs_alone_cannot_tell() -> None:
    made = [comparison(Choice(best=0), "A", "B", prompt=f"p{i}", identity=str(i)) for i in range(30)]
    found = check_of(made)
    assert found.verdict is Verdict.CANNOT_TELL
    assert "no pair of responses was judged both" in found.meaning


def test_one_pair_of_each_prompt_is_taken() -> None:
    table = survey(Numbered(row=1, comparison=c) for c in both_ways(0.5, prompts=5, votes=4)).judgements
    both = judged_both_ways(table)
    assert len(both) == 5
    assert both.votes_pair.tolist() == [4] * 5


def test_the_test_is_true_to_its_level() -> None:
    rng, flagged = np.random.default_rng(3), 0
    for _ in range(100):
        share, votes = rng.random(30), np.full(30, 6)
        both = Both(
            wins_pair=rng.binomial(6, share), votes_pair=votes, wins_menu=rng.binomial(9, share), votes_menu=votes + 3
        )
        flagged += menu_test(both, rng).p_value <= 0.05
    assert flagged <= 11  # binomial(100, .05) exceeds 11 with probability .004

"""The checks of circles, from comparisons to sentences: what is found, what cannot be told, and which rows show it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.audits.preferences.tournaments import responses_compared, systems_compared
from candor.audits.preferences.transitivity import checks
from candor.records import Check, Choice, Comparison, Completion, Judgement, Message, Prompt, Ranking, Ratings, Verdict
from judged import comparison

ROUND = ((0, 1), (1, 2), (2, 0))


def surveyed(comparisons: Sequence[Comparison]) -> Survey:
    return survey(Numbered(row=row, comparison=c) for row, c in enumerate(comparisons, start=1))


def answers(comparisons: Sequence[Comparison]) -> dict[str, Check]:
    return {check.name: check for check in checks(surveyed(comparisons))}


def asked(prompts: int, votes: int, wins: Sequence[int], *, fixed_order: bool = False) -> list[Comparison]:
    """Pairs 0-1, 1-2 and 2-0 of every prompt, ``wins`` of the ``votes`` going to the first of each."""
    made = []
    for prompt in range(prompts):
        for (a, b), won in zip(ROUND, wins, strict=True):
            for vote in range(votes):
                turned = not fixed_order and vote % 2 == 1
                first, second = (b, a) if turned else (a, b)
                best = int((vote < won) == turned)
                made.append(
                    comparison(
                        Choice(best=best),
                        f"text {first}",
                        f"text {second}",
                        prompt=f"prompt {prompt}",
                        shown=(0, 1),
                        annotator=f"person {vote}",
                        identity=str(len(made)),
                    )
                )
    return made


def test_circles_are_found_with_their_rows_and_texts() -> None:
    found = answers(asked(3, 25, (23, 23, 23)))["transitivity"]
    assert found.verdict is Verdict.CONCERN
    assert "3 of 3 triads" in found.meaning
    assert "one order" not in found.meaning
    first = found.examples[:3]
    assert len(found.examples) == 9
    beats = {(example.texts["chosen"], example.texts["rejected"]) for example in first}
    assert beats == {("text 0", "text 1"), ("text 1", "text 2"), ("text 2", "text 0")}
    assert all("23 of 25 votes" in example.why for example in first)
    assert len({example.texts["prompt"] for example in first}) == 1


def test_transitive_votes_of_the_same_strength_are_fine() -> None:
    """The negative control: one edge turned round."""
    found = answers(asked(12, 25, (23, 23, 2)))
    assert found["transitivity"].verdict is Verdict.FINE
    assert not found["transitivity"].examples
    assert "would have been found" in found["transitivity"].meaning


def test_a_fixed_order_is_named_as_a_cause() -> None:
    found = answers(asked(3, 25, (23, 23, 23), fixed_order=True))["transitivity"]
    assert "100% were always shown in one order" in found.meaning
    assert "both orders" in found.advice


def test_few_votes_cannot_tell_and_say_how_many_would() -> None:
    found = answers(asked(20, 1, (1, 1, 0)))
    assert found["transitivity"].verdict is Verdict.CANNOT_TELL
    assert "with probability" in found["transitivity"].meaning
    assert "votes on every pair" in found["transitivity"].advice
    assert found["bradley_terry_fit"].verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    "judgement",
    [Ranking(order=((0,), (1,), (2,))), Ratings(scores=(5.0, 3.0, 1.0)), Choice(best=0)],
    ids=["ranking", "ratings", "best of three"],
)
def test_rankings_only_cannot_be_assessed(judgement: Judgement) -> None:
    made = [comparison(judgement, "a", "b", "c", prompt=f"p{i}", identity=str(i)) for i in range(30)]
    (found,) = checks(surveyed(made))
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.meaning.startswith("Cannot be assessed: rankings only")
    assert found.advice


def test_one_pair_a_prompt_cannot_be_assessed() -> None:
    made = [comparison(Choice(best=0), "a", "b", prompt=f"p{i}", identity=str(i)) for i in range(10)]
    (found,) = checks(surveyed(made))
    assert found.verdict is Verdict.CANNOT_TELL
    assert "no three responses" in found.meaning


def test_nothing_at_all_cannot_be_assessed() -> None:
    (found,) = checks(surveyed([]))
    assert found.verdict is Verdict.CANNOT_TELL


def test_a_loop_of_four_is_measured_but_no_triad() -> None:
    made = []
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        for vote in range(9):
            texts = (f"t{a}", f"t{b}")
            made.append(comparison(Choice(best=0), *texts, annotator=str(vote), identity=str(len(made))))
    found = answers(made)["transitivity"]
    assert found.verdict is Verdict.CANNOT_TELL
    harmonic = next(finding for finding in found.findings if finding.metric == "harmonic")
    assert harmonic.estimate == pytest.approx(1)
    assert harmonic.details["p_value"] == pytest.approx(1 / 200)


def test_one_person_has_one_vote_on_a_pair() -> None:
    said = [1, 0, 0]
    made = [comparison(Choice(best=best), "a", "b", annotator="x", identity=str(i)) for i, best in enumerate(said)]
    made.append(comparison(Choice(best=None, tie=True), "a", "b", annotator="y", identity="tie"))
    counted = responses_compared(surveyed(made).judgements)
    assert sorted([int(counted.wins_a[0]), int(counted.wins_b[0])]) == [0, 1]
    assert counted.ties.tolist() == [1]
    unknown = [comparison(Choice(best=0), "a", "b", annotator="", identity=str(i)) for i in range(4)]
    assert responses_compared(surveyed(unknown).judgements).votes.tolist() == [4]


def test_systems_go_in_circles_across_prompts_though_every_ranking_is_transitive() -> None:
    made = []
    for number in range(240):
        prompt = Prompt(id=f"p{number}", messages=(Message(role="user", content=f"p{number}"),))
        order = [(0, 1, 2), (1, 2, 0), (2, 0, 1)][number % 3]
        responses = tuple(
            Completion(id=str(i), prompt_id=prompt.id, text=f"{number} {i}", policy=f"system {i}") for i in range(3)
        )
        made.append(
            Comparison(
                id=str(number),
                prompt=prompt,
                responses=responses,
                judgement=Ranking(order=tuple((i,) for i in order)),
                shown_order=(),
                annotator="",
            )
        )
    found = answers(made)
    assert found["transitivity"].meaning.startswith("Cannot be assessed: rankings only")
    assert found["transitivity_systems"].verdict is Verdict.CONCERN
    assert "system 0 over system 1: 160 of 240" in " ".join(e.why for e in found["transitivity_systems"].examples)
    assert "bradley_terry_fit_systems" not in found  # the pairs of a ranking are not independent
    counted = systems_compared(surveyed(made).judgements)
    assert counted.votes.tolist() == [240] * 3


def test_the_order_of_rows_does_not_matter() -> None:
    made = asked(12, 5, (4, 3, 2))
    shuffled = [made[i] for i in np.random.default_rng(0).permutation(len(made))]
    for one, other in zip(checks(surveyed(made)), checks(surveyed(shuffled)), strict=True):
        assert one.meaning == other.meaning
        assert one.findings == other.findings

"""Agreement of choices, ranks and ratings in files whose truth is known, and the ceiling of accuracy."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from bench.annotator_panel import Design, simulate

from candor.audits.preferences import agreement
from candor.audits.preferences.agreement import accuracy_ceiling, number
from candor.audits.preferences.survey import Survey
from candor.preferences.table import Judgements, TableBuilder
from candor.records import Check, Choice, Comparison, Message, Ranking, Ratings, Verdict
from judged import comparison


def table(comparisons: list[Comparison]) -> Judgements:
    builder = TableBuilder()
    for row, made in enumerate(comparisons, start=1):
        builder.add(made, row=row)
    return builder.build()


def by_name(judgements: Judgements) -> dict[str, Check]:
    return {check.name: check for check in agreement.checks(Survey(judgements=judgements, sample={}, seed=3))}


def value(check: Check, metric: str) -> float:
    found = next(f for f in check.findings if f.metric == metric)
    assert found.estimate is not None
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low <= found.estimate <= found.ci_high
    return found.estimate


def two_of_three(count: int, turn: bool) -> Judgements:
    """Three annotators judge each pair; on a third of the pairs one of them is alone."""
    rows = []
    for pair in range(count):
        for k, name in enumerate(("ann", "bob", "cy")):
            best = int(pair % 3 == 0 and k == pair // 3 % 3)
            shown = (1, 0) if turn and k == 1 else (0, 1)
            texts = ("x", "y")
            if turn and k == 2:  # the same pair, its responses listed the other way round in the file
                texts, best = ("y", "x"), 1 - best
            rows.append(comparison(Choice(best=best), *texts, prompt=str(pair), annotator=name, shown=shown))
    return table(rows)


def test_the_side_on_which_a_response_was_shown_or_listed_does_not_matter() -> None:
    # A third of the pairs agree in 1 of 3 pairs of annotators, the others in all: (2 + 1/3) / 3.
    for turn in (False, True):
        check = by_name(two_of_three(60, turn))["agreement"]
        assert value(check, "pairwise_agreement") == pytest.approx(7 / 9)
    assert "78%" in check.meaning


def test_agreement_of_a_simulated_panel_is_its_truth_and_reaches_the_sentence() -> None:
    big = simulate(Counter(honest=60), Design(judgements=2000, retests=0.0), np.random.default_rng(1)).judgements
    truth = value(by_name(big)["agreement"], "pairwise_agreement")
    covered = 0
    for seed in range(20):
        made = simulate(Counter(honest=12), Design(judgements=150, retests=0.2), np.random.default_rng([2, seed]))
        check = by_name(made.judgements)["agreement"]
        found = check.findings[0]
        assert found.ci_low is not None
        assert found.ci_high is not None
        covered += found.ci_low <= truth <= found.ci_high
        assert found.details["over_annotators"] is not None
    assert covered >= 15  # 19 expected; fewer than 15 has probability .0003
    assert check.verdict is Verdict.FINE
    assert "InstructGPT" in check.meaning
    assert "No reward model can match" in check.meaning


def test_coins_are_a_concern_and_named_as_chance() -> None:
    made = simulate(Counter(random=12), Design(judgements=150, retests=0.0), np.random.default_rng(4)).judgements
    check = by_name(made)["agreement"]
    assert check.verdict is Verdict.CONCERN
    assert abs(value(check, "krippendorff_alpha_nominal")) < 0.1
    low, high = check.findings[1].details["by_chance"]
    assert low < value(check, "krippendorff_alpha_nominal") < high


def test_ties_are_an_answer_of_their_own_and_left_out_of_the_ceiling() -> None:
    rows = [
        comparison(Choice(best=None, tie=True) if pair % 2 and name == "bob" else Choice(best=0), "x", "y",
                   prompt=str(pair), annotator=name)
        for pair in range(60)
        for name in ("ann", "bob")
    ]  # fmt: skip
    check = by_name(table(rows))["agreement"]
    assert value(check, "pairwise_agreement") == pytest.approx(0.5)
    assert value(check, "pairwise_agreement_without_ties") == pytest.approx(1.0)


def test_nobody_judging_the_same_pair_is_cannot_tell_also_when_one_person_repeats() -> None:
    once = table([comparison(Choice(best=0), "x", "y", prompt=str(i), annotator=f"a{i % 3}") for i in range(50)])
    again = table([comparison(Choice(best=0), "x", "y", prompt=str(i // 2), annotator="ann") for i in range(100)])
    for made in (once, again):
        check = by_name(made)["agreement"]
        assert check.verdict is Verdict.CANNOT_TELL
        assert "Nobody judged a pair that another annotator judged" in check.meaning


def test_without_names_every_judgement_is_somebody_elses_and_that_is_said() -> None:
    named = two_of_three(60, turn=True)
    nameless = dataclasses.replace(named, annotators=np.full(len(named), -1), annotator_names=())
    check = by_name(nameless)["agreement"]
    assert value(check, "pairwise_agreement") == pytest.approx(7 / 9)
    assert check.findings[0].details["over_annotators"] is None
    assert "No annotator is named" in check.meaning


def test_rankings_and_ratings_have_their_own_checks() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for prompt in range(60):
        quality = rng.normal(0, 1, 4)
        for name in ("ann", "bob", "cy"):
            seen = quality + rng.normal(0, 0.5, 4)
            ranked = tuple((int(i),) for i in np.argsort(-seen))
            rows.append(comparison(Ranking(order=ranked), "a", "b", "c", "d", prompt=f"r{prompt}", annotator=name))
            scores = tuple(float(s) for s in np.clip(np.round(3 + seen), 1, 5))
            rows.append(comparison(Ratings(scores=scores), "a", "b", "c", "d", prompt=f"s{prompt}", annotator=name))
    found = by_name(table(rows))
    assert set(found) == {"agreement", "agreement_ranks", "agreement_ratings"}
    # The correlation of two annotators' utilities is 1 / 1.25 = .8; ranks and rounding take a little off.
    assert value(found["agreement_ratings"], "krippendorff_alpha_interval") == pytest.approx(0.76, abs=0.06)
    assert value(found["agreement_ranks"], "krippendorff_alpha_ordinal") == pytest.approx(0.72, abs=0.08)
    assert found["agreement_ratings"].verdict is Verdict.FINE


def test_ranks_of_reversed_rankings_disagree_beyond_chance() -> None:
    rows = [
        comparison(Ranking(order=order), "a", "b", "c", prompt=str(prompt), annotator=name)
        for prompt in range(30)
        for name, order in (("ann", ((0,), (1,), (2,))), ("bob", ((2,), (1,), (0,))))
    ]
    check = by_name(table(rows))["agreement_ranks"]
    assert check.findings[0].estimate is not None
    assert check.findings[0].estimate < -0.5
    assert check.verdict is Verdict.CONCERN


@pytest.mark.parametrize("a", [0.3, 1.0, 4.0])
def test_the_ceiling_is_that_of_the_beta_model_and_lies_within_its_bounds(a: float) -> None:
    p = np.random.default_rng(0).beta(a, a, 400_000)
    ceiling = accuracy_ceiling(float(np.mean(p**2 + (1 - p) ** 2)))
    assert ceiling.likely == pytest.approx(np.mean(np.maximum(p, 1 - p)), abs=2e-3)
    assert ceiling.low <= ceiling.likely <= ceiling.high


def test_the_ceilings_bounds_are_reached() -> None:
    # Half of the pairs clear, half coins: the lower bound. All pairs alike: the upper.
    assert accuracy_ceiling(0.75).low == 0.75
    assert accuracy_ceiling(0.8**2 + 0.2**2).high == pytest.approx(0.8)
    assert accuracy_ceiling(0.4).likely == 0.5
    assert accuracy_ceiling(1.0).likely == 1.0


def test_coefficients_are_written_without_a_leading_zero() -> None:
    assert [number(v) for v in (0.412, -0.05, 1.0, 0.999, 0.0)] == [".41", "-.05", "1.00", "1.00", ".00"]


def test_few_pairs_that_fit_good_and_poor_agreement_alike_cannot_tell() -> None:
    said = [(1, 1)] * 16 + [(0, 0)] * 3 + [(1, 0), (0, 1)] * 3  # 19 of 25 agree, as careful people do
    data = [
        comparison(Choice(best=best), f"one {i}", f"two {i}", prompt=f"p{i}", annotator=f"{name}{i % 4}")
        for i, answers in enumerate(said)
        for name, best in zip("ab", answers, strict=True)
    ]
    found = by_name(table(data))["agreement"]
    assert found.verdict is Verdict.CANNOT_TELL
    assert "everything fits" in found.advice
    # Control: the same answers by ten times the pairs are told.
    many = [
        dataclasses.replace(
            c,
            prompt=dataclasses.replace(
                c.prompt, id=f"{k}", messages=(Message(role="user", content=f"{k} {c.prompt.id}"),)
            ),
        )
        for k in range(20)
        for c in data
    ]
    assert by_name(table(many))["agreement"].verdict is not Verdict.CANNOT_TELL

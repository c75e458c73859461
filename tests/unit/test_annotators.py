"""Faults of annotators on simulated panels with known roles, and what the checks say where data are missing."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from bench.annotator_panel import Design, Role, Simulated, simulate

from candor.audits.preferences import annotators
from candor.audits.preferences.annotator_measures import measures
from candor.audits.preferences.faults import faults
from candor.audits.preferences.outliers import adjusted, bulk, counts_below, tail
from candor.audits.preferences.pace import pace
from candor.audits.preferences.retests import retests
from candor.audits.preferences.survey import Survey
from candor.preferences.table import Judgements, TableBuilder
from candor.records import Check, Choice, Comparison, Verdict, to_json
from judged import comparison

PANEL: Counter[Role] = Counter(honest=25, quick=1, side=1, flatterer=1, random=1, minority=1)


def panels(count: int, roles: Counter[Role], **changed: float) -> list[Simulated]:
    design = dataclasses.replace(Design(), **changed)
    return [simulate(roles, design, np.random.default_rng([17, seed])) for seed in range(count)]


def by_name(judgements: Judgements, seed: int = 0) -> dict[str, Check]:
    return {c.name: c for c in annotators.checks(Survey(judgements=judgements, sample={}, seed=seed))}


def table(*comparisons: Comparison) -> Judgements:
    builder = TableBuilder()
    for row, made in enumerate(comparisons, start=1):
        builder.add(made, row=row)
    return builder.build()


def test_each_fault_is_found_and_a_minority_is_not_blamed() -> None:
    hits: Counter[str] = Counter()
    sims = panels(20, PANEL, side_share=0.70)
    for simulated in sims:
        found = faults(simulated.judgements)
        hits["side"] += int(found.side[simulated.of("side")].sum())
        hits["flatters"] += int(found.flatters[simulated.of("flatterer")].sum())
        hits["random"] += int(found.random[simulated.of("random")].sum())
        hits["minority blamed"] += int(found.flagged[simulated.of("minority")].sum())
        hits["minority seen"] += int(found.minority[simulated.of("minority")].sum())
        hits["honest"] += bool(found.flagged[simulated.of("honest", "quick")].any())
    assert min(hits["side"], hits["flatters"], hits["random"]) >= 14  # of 20; power .85 gives fewer in 2%
    assert hits["minority seen"] >= 18
    assert hits["minority blamed"] <= 3
    assert hits["honest"] <= 4  # 5% of 20 panels is 1; more than 4 has probability .003


def test_without_the_spread_of_honest_annotators_they_are_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: sampling error alone as the null, on honest annotators with much to judge."""
    sims = panels(4, Counter(honest=30), judgements=1600)
    kept = sum(bool(faults(s.judgements).flagged.any()) for s in sims)
    real = bulk

    def naive(values: np.ndarray, variances: np.ndarray, floor: float) -> object:
        return dataclasses.replace(real(values, variances, floor), spread=0.0, floor=0.0, error=0.0)

    monkeypatch.setattr("candor.audits.preferences.faults.bulk", naive)
    blamed = sum(bool(faults(s.judgements).flagged.any()) for s in sims)
    assert kept <= 1
    assert blamed >= 3


def test_speeders_are_flagged_and_quick_careful_ones_are_not() -> None:
    found = Counter[str]()
    for simulated in panels(6, Counter(honest=25, quick=2, speeder=3)):
        judged = faults(simulated.judgements)
        found["speeder"] += int((judged.rushes | judged.random)[simulated.of("speeder")].sum())
        found["quick"] += int(judged.flagged[simulated.of("quick")].sum())
        assert judged.pace is not None
        assert judged.pace.share is not None
    assert found["speeder"] >= 13  # of 18
    assert found["quick"] <= 1


def test_one_pace_is_not_split_in_two() -> None:
    for simulated in panels(8, Counter(honest=12)):
        found = pace(simulated.judgements)
        assert found is not None
        assert found.share is None
        assert found.slope == pytest.approx(0.6, abs=0.25)


def test_the_order_of_rows_does_not_matter() -> None:
    judgements = panels(1, PANEL)[0].judgements
    order = np.random.default_rng(0).permutation(len(judgements))
    responses = (2 * order[:, None] + np.arange(2)).ravel()
    per_response = {"items", "texts", "characters", "policies", "places", "values", "features"}
    shuffled = dataclasses.replace(
        judgements,
        **{
            field.name: getattr(judgements, field.name)[responses if field.name in per_response else order]
            for field in dataclasses.fields(judgements)
            if isinstance(getattr(judgements, field.name), np.ndarray) and field.name != "starts"
        },
    )
    first, second = faults(judgements), faults(shuffled)
    for name in ("side_test", "flattery_test", "others_test", "retest_test"):
        np.testing.assert_allclose(getattr(first, name).p, getattr(second, name).p)
    np.testing.assert_array_equal(first.flagged, second.flagged)


def test_measures_by_hand() -> None:
    made = table(
        comparison(Choice(best=0), "x", "y", prompt="1", shown=(0, 1), annotator="ann"),  # first
        comparison(Choice(best=0), "x", "y", prompt="1", shown=(1, 0), annotator="ann"),  # the same, shown second
        comparison(Choice(best=1), "x", "y", prompt="2", shown=(1, 0), annotator="ann"),  # first
        comparison(Choice(best=0), "x", "y", prompt="1", shown=(0, 1), annotator="bob"),
        comparison(Choice(best=0), "x", "y", prompt="2", shown=(0, 1), annotator="bob"),
        comparison(Choice(best=None, tie=True), "x", "y", prompt="3", annotator="bob"),
    )
    found = measures(made)
    assert found.side is not None
    np.testing.assert_allclose(found.side.share, [2 / 3, 1.0])
    assert found.others is not None
    np.testing.assert_allclose(found.others.share, [2 / 3, 1 / 2])  # bob, pair 1: both of ann's answers; pair 2: none
    again = retests(made)
    assert again is not None
    np.testing.assert_allclose(again.n, [1, 0])
    np.testing.assert_allclose(again.consistent, [1, 0])
    np.testing.assert_allclose(again.swapped_n, [1, 0])
    assert again.swapped[0] == 1.0
    np.testing.assert_allclose(again.same_order_n, [0, 0])


def test_the_bulk_is_that_of_most_and_its_tails_are_calibrated() -> None:
    rng = np.random.default_rng(2)
    spreads, false = [], 0
    for _ in range(200):
        variances = np.full(30, 0.03**2)
        values = rng.normal(0.5, np.hypot(0.03, 0.04), 30)
        usual = bulk(values, variances, 0.01)
        spreads.append(usual.spread)
        false += bool((adjusted(tail(values, variances, usual, "both"), np.ones(30, dtype=bool), 1.0) < 0.05).any())
    assert np.sqrt(np.mean(np.square(spreads))) == pytest.approx(0.04, rel=0.1)
    assert false <= 20  # 10 expected; more than 20 has probability .001
    far = np.append(rng.normal(0.5, 0.05, 30), [0.9, 0.95, 0.97])
    assert bulk(far, np.full(33, 0.03**2), 0.01).centre == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ValueError, match="needs 5"):
        bulk(np.zeros(3), np.ones(3), 0.01)


def test_few_retests_give_exact_tails() -> None:
    usual = dataclasses.replace(bulk(np.full(9, 0.8), np.full(9, 1e-6), 1e-4), error=0.0)
    p = counts_below(np.array([4.0]), np.array([8.0]), usual)
    assert p[0] == pytest.approx(0.0563, abs=2e-3)  # P(Binomial(8, .8) <= 4)


def test_what_the_checks_say_can_be_written_as_json() -> None:
    import json

    simulated = panels(1, Counter(honest=20, side=2, speeder=2), side_share=0.85)[0]
    found = by_name(simulated.judgements)
    assert set(found) == {"annotators", "self_consistency", "speed"}
    assert found["annotators"].verdict is Verdict.CONCERN
    flagged = {row["annotator"] for row in found["annotators"].details["annotators"] if "side" in row["flags"]}
    assert {name for name, role in simulated.roles.items() if role == "side"} <= flagged
    assert "prefers one side" in found["annotators"].meaning
    assert found["annotators"].examples
    assert found["speed"].verdict is Verdict.CONCERN
    assert found["self_consistency"].verdict is Verdict.FINE
    for check in found.values():
        assert Check.from_json(json.loads(json.dumps(to_json(check), allow_nan=False))).name == check.name


@pytest.mark.parametrize(
    ("missing", "check", "says"),
    [
        ("annotators", "annotators", "No judgement says who"),
        ("annotators", "self_consistency", "No judgement says who"),
        ("retests", "self_consistency", "twice"),
        ("seconds", "speed", "No judgement has a time"),
    ],
)
def test_what_is_missing_is_said(missing: str, check: str, says: str) -> None:
    judgements = panels(1, Counter(honest=8), retests=0.0)[0].judgements
    if missing == "annotators":
        judgements = dataclasses.replace(judgements, annotators=np.full(len(judgements), -1), annotator_names=())
    if missing == "seconds":
        judgements = dataclasses.replace(judgements, seconds=np.full(len(judgements), np.nan))
    found = by_name(judgements)[check]
    assert found.verdict is Verdict.CANNOT_TELL
    assert says in found.meaning


def test_what_cannot_be_tested_of_annotators_is_named() -> None:
    judgements = panels(1, Counter(honest=8), retests=0.0)[0].judgements
    judgements = dataclasses.replace(judgements, places=np.full(len(judgements.places), -1))
    said = by_name(judgements)["annotators"]
    assert set(said.details["not_tested"]) == {"side", "retests"}
    assert "no order of responses is known" in said.meaning
    alone = by_name(table(*(comparison(Choice(best=0), "x", "y", prompt=str(i)) for i in range(30))))["annotators"]
    assert alone.verdict is Verdict.CANNOT_TELL


def test_who_loves_length_more_than_the_others_is_found() -> None:
    found = Counter[str]()
    for simulated in panels(8, Counter(honest=27, length=2, minority=1), longer_rate=0.78):
        judged = faults(simulated.judgements)
        found["length"] += int(judged.length[simulated.of("length")].sum())
        found["others"] += int(judged.length[~simulated.of("length")].sum())
    assert found["length"] >= 14  # of 16
    assert found["others"] == 0


def test_a_love_of_length_that_all_share_is_nobodys_fault() -> None:
    """The negative control: the panel's own taste for length is its centre."""
    blamed = sum(bool(faults(s.judgements).length.any()) for s in panels(8, Counter(honest=30), length=1.5))
    assert blamed <= 1


def test_the_slope_of_length_is_the_least_squares_slope() -> None:
    """Nobody else judged these pairs and none came twice: the slope is the sum of x y over that of x squared."""
    texts = [("a" * 10, "b" * 40), ("c" * 30, "d" * 10), ("e" * 20, "f" * 80), ("g" * 5, "h" * 5)]
    best = [1, 1, 0, 0]
    made = [
        comparison(Choice(best=best[n]), *pair, prompt=f"p{n}", identity=f"c{n}", shown=(0, 1))
        for n, pair in enumerate(texts)
    ]
    measure = measures(table(*made)).length
    assert measure is not None
    d = np.log([10 / 40, 30 / 10, 20 / 80])
    x = np.clip(d / np.sqrt(np.mean(d**2)), -2, 2)
    y = np.array([0.0, 0.0, 1.0]) - 0.5
    assert measure.adjusted[0] == pytest.approx(float(x @ y / (x @ x)))
    assert measure.share[0] == pytest.approx(1 / 3)
    assert measure.n[0] == 3

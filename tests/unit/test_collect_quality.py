"""Annotators, traps and the gate on simulated people with known roles, and formulas against closed forms."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from bench.collect_people import Batch, Person, Simulated, gold_item, simulate
from scipy.stats import beta, norm

from candor.audits.preferences.outliers import Bulk
from candor.collect.quality.columns import Remembered, surveyed
from candor.collect.quality.dashboard import Remembering, dashboard
from candor.collect.quality.gate import Release, decided, gate, gate_document
from candor.collect.quality.linear import Limits
from candor.collect.quality.measured import held, measured
from candor.collect.quality.posterior import beta_posterior, normal_posterior
from candor.collect.quality.traps import failing, traps
from candor.projects.items import Gold
from candor.projects.labels import Judged
from candor.projects.settings import Gate, Settings
from candor.records import Choice

DESCRIBE = Remembered()
SMALL = Batch(judgements=100, gold=12)


def people(seed: int = 0, batch: Batch = SMALL, **roles: int) -> Simulated:
    counts: Counter[Person] = Counter(roles)  # type: ignore[arg-type]
    return simulate(counts, batch, np.random.default_rng([5, seed]))


def put(found: Simulated, settings: Settings | None = None) -> Release:
    return gate(found.judged, settings or SMALL.settings, found.workers, describe=DESCRIBE)


def test_each_kind_of_annotator_is_told_apart_and_the_minority_is_not_blamed() -> None:
    hits: Counter[str] = Counter()
    for seed in range(3):
        panel = {"honest": 24, "side": 1, "flatterer": 1, "length": 1, "random": 1, "speeder": 1, "minority": 1}
        found = people(seed, Batch(judgements=200, gold=4), **panel)
        for one in measured(surveyed(found.judged, describe=DESCRIBE).judgements, found.judged):
            hits[f"{found.roles[one.name]}: {'flagged' if one.flags else 'not'}"] += 1
            if found.roles[one.name] == "speeder":
                assert one.words_per_minute is not None
                assert one.words_per_minute > 500
            if found.roles[one.name] == "minority":
                assert one.reliability.estimate > 0.7  # steady, whatever the others say
    # At the stated power of about .9 a role, fewer than 10 of 15 found has probability .002.
    assert sum(hits[f"{role}: flagged"] for role in ("side", "flatterer", "length", "random", "speeder")) >= 10
    assert hits["minority: flagged"] <= 1
    assert hits["honest: flagged"] <= 2


def test_biases_have_the_right_sign_and_scale() -> None:
    found = people(1, Batch(judgements=200, gold=4), honest=20, side=1, flatterer=1, length=1)
    by_role = {found.roles[one.name]: one for one in measured(surveyed(found.judged, describe=DESCRIBE).judgements)}
    side = by_role["side"].side  # 65% of first places: log odds .62
    assert side.low <= math.log(0.65 / 0.35) <= side.high
    assert by_role["flatterer"].agreement.low > 0.3
    assert by_role["length"].length.low > 0.3
    assert by_role["honest"].agreement.low < 0 < by_role["honest"].agreement.high


def test_a_posterior_without_strangers_is_the_conjugate_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("candor.collect.quality.posterior.STRANGE", 0.0)
    usual = Bulk(centre=0.5, spread=0.03, floor=0.0, members=30, error=0.0)
    found = normal_posterior(0.6, 0.05**2, 100, usual)
    precision = 1 / 0.03**2 + 1 / 0.05**2
    mean = (0.5 / 0.03**2 + 0.6 / 0.05**2) / precision
    assert found.estimate == pytest.approx(mean)
    assert found.high == pytest.approx(mean + norm.ppf(0.975) / math.sqrt(precision), abs=1e-6)


def test_an_outlier_is_not_pulled_to_the_panel() -> None:
    usual = Bulk(centre=0.5, spread=0.02, floor=0.02, members=30, error=0.0)
    found = normal_posterior(0.8, 0.03**2, 200, usual)
    assert found.estimate == pytest.approx(0.8, abs=0.01)
    near = normal_posterior(0.53, 0.03**2, 200, usual)
    assert abs(near.estimate - 0.5) < 0.02  # and who is near is


def test_posteriors_cover_annotators_who_come_from_their_prior() -> None:
    rng = np.random.default_rng(3)
    usual = Bulk(centre=0.5, spread=0.03, floor=0.03, members=1000, error=0.0)
    hits = 0
    for _ in range(600):
        strange = rng.random() < 0.1
        true = rng.normal(0.5, 0.25 if strange else 0.03)
        found = normal_posterior(rng.normal(true, 0.04), 0.04**2, 150, usual)
        hits += found.low <= true <= found.high
    assert 0.92 <= hits / 600 <= 0.975


def test_without_a_panel_the_posterior_of_a_share_is_jeffreys() -> None:
    found = beta_posterior(7, 10)
    assert (found.low, found.high) == pytest.approx(tuple(beta.ppf([0.025, 0.975], 7.5, 3.5)), abs=1e-6)
    assert found.estimate == pytest.approx(7.5 / 11)
    assert not beta_posterior(0, 0).known


def test_reliability_undoes_the_square() -> None:
    for r in (0.5, 0.75, 0.9, 1.0):
        assert held(r**2 + (1 - r) ** 2) == pytest.approx(r)


def answer(person: str, n: int, right: bool, trap: str) -> Judged:
    item = gold_item(n)
    gold = Gold(answer=Choice(best=0), trap=trap)  # type: ignore[arg-type]
    return replace(
        people(0, Batch(judgements=5, gold=1), honest=5).judged[0],
        handle=person, kind="gold", purpose="gold", item_id=n, item_key=item.key, round=0,
        prompt=item.prompt, responses=item.responses, answer=Choice(best=0 if right else 1), gold=gold,
    )  # fmt: skip


def test_traps_by_kind_and_the_difference_from_plain() -> None:
    rows = []
    for k in range(6):
        for n in range(20):
            trap = "plain" if n % 2 else "flatters_wrong"
            right = n % 10 != 1 if trap == "plain" else n % 4 == 0  # 90% and 50%
            rows.append(answer(f"a{k}", n, right, trap))
    found = traps(rows)
    kinds = {kind.trap: kind for kind in found.kinds}
    assert kinds["plain"].accuracy.estimate == pytest.approx(0.8)
    assert kinds["flatters_wrong"].accuracy.estimate == pytest.approx(0.5)
    assert kinds["flatters_wrong"].less_plain.estimate == pytest.approx(-0.3)
    assert not kinds["plain"].less_plain.known
    assert found.overall.n == 120
    assert set(found.annotators) == {f"a{k}" for k in range(6)}


def test_calibration_and_retests_are_no_gold() -> None:
    one = answer("a", 0, True, "plain")
    found = traps([replace(one, kind="calibration"), replace(one, round=1)])
    assert found.overall.n == 0
    assert not found.overall.known
    assert failing(found, 0.7) == {}


def test_who_fails_gold_is_named_and_who_is_at_the_bound_is_not() -> None:
    guesser = [answer("guesses", n, n % 2 == 0, "plain") for n in range(80)]
    flatterer = [
        answer("flatters", n, n % 2 == 0 or n % 4 == 1, "flatters_wrong" if n % 4 == 3 else "plain") for n in range(48)
    ]
    fine = [answer("fine", n, n % 10 < 7, "plain") for n in range(80)]
    found = failing(traps([*guesser, *flatterer, *fine]), 0.7)
    assert set(found) == {"guesses", "flatters"}
    assert found["flatters"] == ["the wrong one goes along with the user"]


@pytest.mark.parametrize(
    ("role", "stopped"),
    [
        ("random", {"alpha", "flips", "traps"}),
        ("side", {"side", "flips"}),
        ("flatterer", {"agreement", "traps"}),
        ("length", {"length", "traps"}),
        ("speeder", {"alpha", "flips", "traps"}),
        ("slow", {"hourly"}),
    ],
)
def test_the_gate_blocks_each_bad_kind_of_batch_and_says_why(role: str, stopped: set[str]) -> None:
    release = put(people(2, **{role: 24}))
    assert not release.passes
    failed = {check.name for check in release.checks if check.passes is False}
    assert stopped <= failed
    assert len(release.reasons) >= len(stopped)


def test_the_gate_passes_a_good_batch() -> None:
    passed = [put(people(seed, honest=29, minority=1)).passes for seed in range(3)]
    assert sum(passed) >= 2


def test_too_few_data_do_not_pass_and_it_is_said_how_many_more_would_do() -> None:
    release = put(people(0, Batch(judgements=10, gold=2), honest=4))
    assert not release.passes
    unknown = {check.name: check for check in release.checks if check.passes is None}
    assert {"alpha", "flips", "traps"} <= set(unknown)
    assert unknown["traps"].more == 30 - 8
    assert all(check.more and str(check.more) in check.meaning.replace(",", "") for check in unknown.values())


def test_no_answers_at_all_do_not_pass() -> None:
    release = gate([], Settings(pay_per_hour=20.0), [])
    assert not release.passes
    assert {check.passes for check in release.checks} == {None}


@pytest.mark.parametrize(
    ("low", "high", "passes"),
    [(0.41, 0.6, True), (0.2, 0.39, False), (0.35, 0.44, True), (0.1, 0.7, None), (math.nan, math.nan, None)],
)
def test_the_rule_of_the_gate(low: float, high: float, passes: bool | None) -> None:
    measured_as = Limits(estimate=0.4 if math.isnan(low) else (low + high) / 2, low=low, high=high, n=10)
    assert decided(measured_as, 0.4, 0.1, least=True) is passes
    if passes is not None:  # turned round, an upper bound
        assert decided(measured_as, 0.4, 0.1, least=False) is (True if low < 0.4 < high else not passes)


def test_the_bounds_are_the_projects() -> None:
    found = people(3, honest=24)
    strict = Settings(gate=Gate(alpha_at_least=0.9, flips_at_most=0.01))
    failed = {check.name for check in put(found, strict).checks if check.passes is False}
    assert {"alpha", "flips"} <= failed


def test_without_a_rate_nothing_is_held_against_pay() -> None:
    check = next(c for c in put(people(3, honest=10), Settings()).checks if c.name == "hourly")
    assert check.passes is True


def test_documents_are_json_in_the_shape_of_the_page() -> None:
    found = people(4, honest=10, side=1)
    document = json.loads(
        json.dumps(dashboard(found.judged, workers=found.workers, describe=DESCRIBE), allow_nan=False)
    )
    assert set(document) == {"project", "agreement", "annotators", "traps", "checks", "arm"}
    assert document["arm"] is None
    assert set(document["agreement"]["alpha"]) == {"estimate", "low", "high", "n"}
    row = document["annotators"][0]
    assert {
        "name",
        "judgements",
        "verdict",
        "reasons",
        "reliability",
        "side",
        "agreement",
        "speed",
        "traps",
        "flips",
    } <= set(row)
    assert set(row["speed"]) == {"seconds_median", "words_per_minute"}
    released = json.loads(json.dumps(gate_document(put(found)), allow_nan=False))
    assert {"name", "title", "passes", "meaning", "bound"} <= set(released["checks"][0])
    empty = json.loads(json.dumps(dashboard([]), allow_nan=False))
    assert empty["annotators"] == []
    assert empty["agreement"]["alpha"] is None


def test_a_document_is_made_once_for_the_same_answers() -> None:
    made = Counter[str]()
    kept = Remembering(most=2)

    def make(name: str) -> dict[str, int]:
        made[name] += 1
        return {name: made[name]}

    assert kept.get("a", lambda: make("a")) == kept.get("a", lambda: make("a")) == {"a": 1}
    kept.get("b", lambda: make("b"))
    kept.get("c", lambda: make("c"))
    assert kept.known("a") is None
    assert kept.get("a", lambda: make("a")) == {"a": 2}

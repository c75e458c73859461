"""The arm that hides the user's belief: closed forms, coverage, what is left out; items and gold made from claims."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from bench.collect_arm import BIASES, Study, coverage, draw
from bench.collect_people import Batch, simulate

from candor.claims import load_claims
from candor.collect.quality.arm import ArmRows, against_others, arm_effect, arm_rows, effect
from candor.collect.quality.arm_items import arm_items
from candor.collect.quality.claims import ClaimRow, claims_of
from candor.collect.quality.gold import gold_items
from candor.collect.quality.linear import clustered_linear, clusterings
from candor.collect.quality.neutral import leaks
from candor.errors import InputError
from candor.projects.items import TRAPS
from candor.projects.labels import Judged
from candor.records import Choice, Ranking

CLAIMS = load_claims()


def test_with_one_answer_an_item_the_effect_is_the_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    shown = (np.arange(200) % 2).astype(float)
    agrees = (rng.random(200) < 0.3 + 0.2 * shown).astype(float)
    rows = ArmRows(agrees=agrees, shown=shown, annotator=np.arange(200) % 10, item=np.arange(200), left_out={})
    found = effect(rows)
    assert found is not None
    one, other = agrees[shown > 0].mean(), agrees[shown < 1].mean()
    assert found.difference.estimate == pytest.approx(one - other)
    assert found.log_odds.estimate == pytest.approx(np.log(one / (1 - one)) - np.log(other / (1 - other)))
    assert found.shown.estimate == pytest.approx(one)
    assert found.general


def test_singletons_give_the_heteroscedastic_variance_hc2() -> None:
    """With every row its own cluster CR2 is HC2: of a difference of means s1^2 / n1 + s0^2 / n0."""
    rng = np.random.default_rng(1)
    x, y = np.repeat([0.0, 1.0], 40), rng.normal(size=80)
    design = np.column_stack([np.ones(80), x])
    found = clustered_linear(design, y, [np.arange(80)], np.array([[0.0, 1.0]]))[0]
    variance = y[:40].var(ddof=1) / 40 + y[40:].var(ddof=1) / 40
    from scipy.stats import t

    half = (found.high - found.low) / 2
    df = variance**2 / ((y[:40].var(ddof=1) / 40) ** 2 / 39 + (y[40:].var(ddof=1) / 40) ** 2 / 39)
    assert half == pytest.approx(t.ppf(0.975, df) * np.sqrt(variance), rel=0.01)


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
def test_the_interval_covers_the_planted_effect(bias: float) -> None:
    found = coverage(Study(items=80), bias, 100, 4, draws=400_000)
    assert found.difference >= 0.89  # 95%: fewer than 89 of 100 has probability .004
    assert found.log_odds >= 0.89
    assert abs(found.off) < 0.02


def test_an_interval_that_takes_answers_as_independent_covers_too_little() -> None:
    """The negative control: annotators who differ much in how far a belief moves them, and no clusters."""
    study = Study(annotators=12, items=80, of_annotators=2.0)
    kept = alone = 0
    from bench.collect_arm import planted

    truth = planted(study, 0.8, 400_000).difference
    for run in range(80):
        rows = draw(study, 0.8, np.random.default_rng([9, run]))
        found = effect(rows)
        assert found is not None
        kept += found.difference.low <= truth <= found.difference.high
        design = np.column_stack([np.ones(len(rows)), rows.shown])
        naive = clustered_linear(design, rows.agrees, [np.arange(len(rows))], np.array([[0.0, 1.0]]))[0]
        alone += naive.low <= truth <= naive.high
    assert kept >= 69
    assert alone <= 68


def test_others_answers_sharpen_the_estimate_and_do_not_move_it() -> None:
    rows = draw(Study(), 0.8, np.random.default_rng(5))
    taken = against_others(rows)
    assert np.var(taken) < np.var(rows.agrees)
    found = effect(rows)
    assert found is not None
    plain = rows.agrees[rows.shown > 0].mean() - rows.agrees[rows.shown < 1].mean()
    assert found.difference.estimate == pytest.approx(plain, abs=0.05)


def test_with_few_annotators_errors_are_by_item_and_it_is_said() -> None:
    rows = draw(Study(annotators=5, labels=3, items=60), 0.8, np.random.default_rng(6))
    few = replace(rows, annotator=np.minimum(rows.annotator, 3))
    assert len(clusterings(few.annotator, few.item)) == 1
    found = effect(few)
    assert found is not None
    assert not found.general


def armed(seed: int = 0) -> list[Judged]:
    """Answers to items that have an arm: the agreeing response is preferred more often where the belief is shown."""
    rng = np.random.default_rng(seed)
    items = arm_items(CLAIMS, count=40)
    one = simulate({"honest": 5}, Batch(judgements=5, gold=1), rng).judged[0]  # type: ignore[arg-type]
    found = []
    for n, item in enumerate(items):
        for k in range(6):
            arm = "shown" if rng.random() < 0.5 else "hidden"
            agrees = int(item.prompt.tags["agrees"])
            best = agrees if rng.random() < (0.8 if arm == "shown" else 0.2) else 1 - agrees
            found.append(
                replace(
                    one,
                    submission_id=f"{n}/{k}",
                    item_id=n + 1,
                    item_key=item.key,
                    handle=f"a{k}",
                    arm=arm,
                    round=0,
                    kind="main",
                    purpose="main",
                    prompt=item.prompt,
                    responses=item.responses,
                    answer=Choice(best=best),
                )
            )
    return found


def test_the_effect_is_read_off_a_projects_answers() -> None:
    found = arm_effect(armed())
    assert found is not None
    assert found.difference.low < 0.6 < found.difference.high
    assert found.log_odds.low < 2 * np.log(4) < found.log_odds.high
    assert (found.items, found.annotators, found.n) == (40, 6, 240)
    assert found.left_out == {}


def test_what_cannot_be_used_is_counted() -> None:
    rows = armed()
    told = tuple(replace(r, text=f"You're right! {r.text}") for r in rows[0].responses)
    changed = [
        replace(rows[0], responses=told),
        replace(rows[6], answer=Choice(best=None, both_bad=True)),
        replace(rows[12], prompt=replace(rows[12].prompt, tags={})),
        replace(rows[18], answer=Ranking(order=((0,), (1,)))),
        replace(rows[24], answer=Choice(best=None, tie=True)),
        replace(rows[30], round=1),
        replace(rows[31], arm=None),
    ]
    found = arm_rows(changed)
    assert sorted(found.left_out.values()) == [1, 1, 1, 1]
    assert any("wording" in why for why in found.left_out)
    assert found.agrees.tolist() == [0.5]
    assert arm_effect(changed) is None


@pytest.mark.parametrize(
    ("reply", "leaking"),
    [
        ("The capital of Ghana is Accra.", False),
        ("It is Accra, as the map shows.", False),
        ("You're right, it is Minsk.", True),
        ("I agree: it is Minsk.", True),
        ("No, it is Accra.", True),
        ("I can see why you think so, but it is Accra.", True),
        ("It is a common misconception; the capital is Accra.", True),
        ("Great point! It is Minsk. I stand corrected.", True),
    ],
)
def test_wording_that_gives_the_belief_away(reply: str, leaking: bool) -> None:
    assert bool(leaks(reply)) is leaking


def test_arm_items_differ_in_the_belief_alone() -> None:
    items = arm_items(CLAIMS, seed=1)
    assert len(items) == CLAIMS.questions
    for item in items:
        claim, agrees = item.prompt.claim, int(item.prompt.tags["agrees"])
        assert claim is not None
        assert claim.asserted is not None
        assert item.hidden is not None
        assert claim.asserted in item.prompt.messages[-1].content
        assert not re.search(rf"\b{re.escape(claim.asserted)}\b", item.hidden[-1].content)  # "Hawaiian" is not Hawaii
        assert claim.asserted in item.responses[agrees].text
        assert str(claim.truth) in item.responses[1 - agrees].text
        assert not any(leaks(response.text) for response in item.responses)
    assert 0.3 < np.mean([item.prompt.tags["agrees"] == "0" for item in items]) < 0.7
    assert arm_items(CLAIMS, seed=1) == items
    assert {i.key for i in arm_items(CLAIMS, seed=1, count=10)} == {i.key for i in items[:10]}


def test_gold_tempts_as_its_kind_says() -> None:
    items = gold_items(CLAIMS, count=80)
    assert {trap: sum(item.gold is not None and item.gold.trap == trap for item in items) for trap in TRAPS} == {
        trap: 20 for trap in TRAPS
    }
    for item in items:
        assert item.gold is not None
        assert isinstance(item.gold.answer, Choice)
        assert item.gold.answer.best is not None
        right = item.responses[item.gold.answer.best].text
        wrong = item.responses[1 - item.gold.answer.best].text
        assert item.prompt.claim is not None
        assert str(item.prompt.claim.truth) in right
        assert item.gold.why.startswith("The right answer: ")
        if item.gold.trap == "long_wrong":
            assert len(wrong) > 3 * len(right)
        if item.gold.trap == "flatters_wrong":
            assert leaks(wrong)
            assert leaks(right)
    asked = {item.prompt.tags["question"] for item in items}
    assert not asked & {item.prompt.tags["question"] for item in arm_items(CLAIMS, count=72)}


def test_claims_of_ones_own() -> None:
    rows = [ClaimRow(question=f"Who wrote book {n}?", truth=f"Author {n}", asserted=f"Writer {n}") for n in range(8)]
    items = gold_items(claims_of(rows), kind="calibration")
    assert len(items) == 8
    assert {item.kind for item in items} == {"calibration"}
    assert len(arm_items(claims_of(rows), overlap=5, batch=2)) == 8
    again = claims_of(list(reversed(rows)))
    assert {i.key for i in gold_items(again, kind="calibration", traps=["plain"])} == {
        i.key for i in gold_items(claims_of(rows), kind="calibration", traps=["plain"])
    }


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ([], "no claim"),
        ([ClaimRow(question=" ", truth="a", asserted="b")], "without question"),
        ([ClaimRow(question="q?", truth="Yes.", asserted="yes")], "the same"),
        ([ClaimRow(question="q?", truth="a", asserted="b")] * 2, "twice"),
    ],
)
def test_claims_that_are_none(rows: list[ClaimRow], what: str) -> None:
    with pytest.raises(InputError, match=what):
        claims_of(rows)


def test_a_value_that_gives_the_belief_away_is_refused() -> None:
    with pytest.raises(InputError, match="gives away"):
        arm_items(claims_of([ClaimRow(question="What did she say?", truth="I agree with you", asserted="Nothing")]))

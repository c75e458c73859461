"""Blind spots: a planted slice is found and confirmed, clean tables claim none, chance on one part is not believed."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from bench.blind_spots import clean_run, longer_is_better
from scipy.special import expit

from candor.audits.reward.blind_checks import checks, judged_pairs
from candor.audits.reward.blind_spots import SEARCHED, JudgedPair, find_blind_spots, worse_under
from candor.audits.reward.scores import Scored
from candor.audits.stats import wilson
from candor.records import Stance, Verdict


def pairs(seed: int, blind_accuracy: float = 0.85, *, searched_only: bool = False) -> list[JudgedPair]:
    """150 questions of 8 relations, 12 pairs each, right on 85%, but for relation 3."""
    rng = np.random.default_rng(seed)
    names = [f"q{q}" for q in range(150)]
    ranked = sorted(names, key=lambda name: sha256(f"0 {name}".encode()).hexdigest())
    searched = set(ranked[: int(SEARCHED * len(names))])
    found = []
    for q, name in enumerate(names):
        relation = f"r{q % 8}"
        bad = relation == "r3" and (not searched_only or name in searched)
        for k in range(12):
            right = rng.random() < (blind_accuracy if bad else 0.85)
            features = {"relation": relation, "stance": ("false", "true", "neutral")[k % 3], "certainty": str(k % 4)}
            gap = float(rng.random() + 0.01) * (1 if right else -1)
            found.append(JudgedPair(question=name, gap=gap, features=features, texts={"prompt": name}))
    return found


def claims_r3(found: list[JudgedPair]) -> bool:
    return any(("relation", "r3") in one.terms for one in find_blind_spots(found, bootstrap=50).blind)


def test_a_planted_slice_is_found() -> None:
    assert sum(claims_r3(pairs(seed, 0.5)) for seed in range(20)) >= 17
    search = find_blind_spots(pairs(1, 0.5))
    (one,) = (s for s in search.blind if ("relation", "r3") in s.terms)
    inside = [p for p in pairs(1, 0.5) if p.features["relation"] == "r3"]
    assert one.interval[0] < 0.5 < one.interval[1]
    assert one.rest == pytest.approx(0.85, abs=0.04)
    assert len(one.pairs) == len(inside)


def test_clean_tables_claim_nothing_at_the_nominal_rate() -> None:
    assert sum(bool(find_blind_spots(pairs(seed), bootstrap=20).blind) for seed in range(100)) <= 5
    assert sum(bool(clean_run(seed).blind) for seed in range(10)) <= 1


def test_what_only_the_searched_part_shows_is_not_claimed() -> None:
    assert sum(claims_r3(pairs(seed, 0.4, searched_only=True)) for seed in range(20)) <= 1


def test_the_order_of_the_pairs_is_irrelevant() -> None:
    found = pairs(2, 0.5)
    shuffled = random.Random(0).sample(found, len(found))
    one, other = find_blind_spots(found), find_blind_spots(shuffled)
    assert [(str(s), s.accuracy) for s in one.tested] == [(str(s), s.accuracy) for s in other.tested]
    assert [s.p for s in one.tested] == pytest.approx([s.p for s in other.tested])


def test_what_optimisation_would_bring_in_closed_form() -> None:
    def pair(gap: float) -> JudgedPair:
        return JudgedPair(question="q", gap=gap, features={}, texts={})

    assert worse_under([pair(0.0)], 0.1) == pytest.approx(0.5)
    assert worse_under([pair(0.1)], 0.1) == pytest.approx(1 / (1 + np.e))
    assert worse_under([pair(-1e9)], 0.1) == pytest.approx(1.0)


def test_better_and_worse_follow_from_what_is_true() -> None:
    plain = Scored(
        prompt="p", question="q", stance=Stance.NEUTRAL, strength=0, truth=3.0, falsehood=1.0, agrees=5.0, corrects=1.0
    )
    scored = [plain, *(Scored(**{**_fields(plain), "stance": s}) for s in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE))]
    doubt = Scored(**{**_fields(plain), "stance": Stance.DOUBTS_TRUTH})
    made = judged_pairs([*scored, doubt], [{}] * 4)
    assert [one.gap for one in made] == [2.0, -4.0, 4.0]


def _fields(one: Scored) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__dataclass_fields__}


def test_the_check_tells_slices_with_examples_and_what_a_policy_would_do() -> None:
    (told,) = checks(pairs(1, 0.5), seed=0, bootstrap=50)
    assert told.verdict is Verdict.CONCERN
    assert "relation = r3" in told.meaning
    assert "optimisation at beta 0.1 would bring the worse in" in told.meaning
    assert told.examples
    (fine,) = checks(pairs(1), seed=0, bootstrap=50)
    assert fine.verdict is Verdict.FINE
    coin = [JudgedPair(question=p.question, gap=-p.gap, features=p.features, texts={}) for p in pairs(1)]
    (worse,) = checks(coin, seed=0, bootstrap=50)
    assert worse.verdict is Verdict.CONCERN
    assert "no better than a coin everywhere" in worse.meaning
    few = [pair for pair in coin if pair.question in ("q1", "q2")]
    (short,) = checks(few, seed=0, bootstrap=50)
    assert short.verdict is Verdict.CANNOT_TELL  # wrong on most of two questions: nothing is shown everywhere
    assert checks([], seed=0, bootstrap=50)[0].verdict is Verdict.CANNOT_TELL


def test_a_slice_that_is_always_wrong_still_has_an_interval() -> None:
    always = [p if p.features["relation"] != "r3" else replace(p, gap=-1.0) for p in pairs(1)]
    (blind,) = (one for one in find_blind_spots(always, bootstrap=50).blind if one.terms == (("relation", "r3"),))
    found = wilson(0, blind.questions)
    assert blind.accuracy == 0.0
    assert blind.interval == pytest.approx((found.low, found.high))
    (told,) = checks(always, seed=0, bootstrap=50)
    assert f"right on 0.00 [0.00, {found.high:.2f}]" in told.meaning


def test_a_policy_that_was_asked_some_prompts_alone_forecasts_from_those() -> None:
    scored = [
        Scored(prompt=f"q{i}", question=f"q{i}", stance=Stance.NEUTRAL, strength=0, truth=0.1, falsehood=0.0)
        for i in range(3)
    ]
    made = judged_pairs(scored, [{} for _ in scored], {"q0": 2.0, "q2": -1.0})
    assert [pair.start for pair in made] == [2.0, None, -1.0]
    planted = pairs(1, 0.5)
    known = [replace(p, start=3.0) if i % 2 else p for i, p in enumerate(planted)]
    (told,) = checks(known, seed=0, bootstrap=50)
    assert f"where the policy now gives the worse one {expit(-3.0):.2f}" in told.meaning
    (even,) = checks(planted, seed=0, bootstrap=50)
    assert "as likely as each other" in even.meaning  # control: nobody was asked
    elsewhere = [p if p.features["relation"] == "r3" else replace(p, start=3.0) for p in planted]
    (none,) = checks(elsewhere, seed=0, bootstrap=50)
    assert "fit the policy's context to forecast it" in none.meaning


def test_length_alone_orders_replies_to_false_beliefs_as_the_docs_say() -> None:
    """docs/blind-spots.md: what a model can know of them without knowing any fact."""
    found = {stance: round(share, 2) for stance, share in longer_is_better().items()}
    assert found == {"neutral": 0.52, "asserts_false": 0.70, "asserts_true": 0.56}

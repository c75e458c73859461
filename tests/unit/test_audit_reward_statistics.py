"""The reward audit's statistics: paired changes, tails and temperatures against closed forms and by coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from candor.audits.reward import beliefs, style
from candor.audits.reward.blind_spots import JudgedPair, worse_under
from candor.audits.reward.calibration import PairScore, expected_calibration_error, temperature, temperature_finding
from candor.audits.reward.paired import Figure, changes
from candor.audits.reward.scores import Scored, tail_mean, taken_finding
from candor.audits.stats import Interval, difference_of_independent
from candor.lexical.style import NAMES
from candor.lexical.style import style as features
from candor.records import Stance

Rows = list[tuple[str, float]]


def rows(rng: np.random.Generator, level: np.ndarray, shift: float = 0.0, each: int = 4) -> Rows:
    """Gaps of questions that differ in ``level``, and a little between the prompts of one."""
    return [
        (f"q{i:03d}", float(at + shift + 0.3 * rng.standard_normal()))
        for i, at in enumerate(level)
        for _ in range(each)
    ]


def change(before: Rows, after: Rows, statistic: object = None) -> dict[str, object]:
    def figure(found: Rows) -> Figure:
        return Figure(check="agreement", metric="agreement_gap", rows=found, statistic=statistic)  # type: ignore[arg-type]

    (one,) = changes([figure(before)], [figure(after)], seed=0, bootstrap=400)
    return dict(one)


def test_a_paired_change_sees_what_two_independent_audits_cannot() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(0, 2.0, 60)
    before, after = rows(rng, level), rows(rng, level, 0.3)
    one = change(before, after)
    assert one["difference"] == pytest.approx(np.mean([v for _, v in after]) - np.mean([v for _, v in before]))
    assert 0 < float(one["ci_low"]) < 0.3 < float(one["ci_high"])  # type: ignore[arg-type]
    ends = []
    for found in (before, after):
        of = taken_finding("m", found, lambda v, w: w @ v / w.sum(-1), seed=0, bootstrap=400, missing="")
        assert of.estimate is not None
        assert of.ci_low is not None
        assert of.ci_high is not None
        ends.append((of.estimate, Interval(low=of.ci_low, high=of.ci_high, method="")))
    apart = difference_of_independent(*ends[1], *ends[0])
    assert apart.low < 0 < apart.high  # the control: taken as independent nothing is shown


@pytest.mark.parametrize("statistic", [None, tail_mean])
def test_no_change_is_claimed_at_the_nominal_rate(statistic: object) -> None:
    claimed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        level = rng.normal(0, 1.0, 60)
        one = change(rows(rng, level), rows(rng, level), statistic)
        claimed += not float(one["ci_low"]) <= 0 <= float(one["ci_high"])  # type: ignore[arg-type]
    assert claimed <= 11  # binomial(100, .05): 11 or more in 1%


def test_shares_that_do_not_move_still_have_an_interval() -> None:
    never: Rows = [(f"q{i}", 0.0) for i in range(20)]
    one = change(never, never)
    assert one["difference"] == 0
    assert float(one["ci_low"]) < -0.1 < 0.1 < float(one["ci_high"])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the same replies"):
        change(never, never[1:])


def test_the_tail_in_closed_form() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    one = np.ones((1, 100))
    assert tail_mean(values, one) == pytest.approx(95.5)
    assert tail_mean(values[:5], one[:, :5]) == pytest.approx(values[:5].max())
    assert tail_mean(np.arange(1.0, 16.0), np.ones((1, 15))) == pytest.approx((15 + 0.5 * 14) / 1.5)
    doubled = np.where(values == 100, 6.0, np.where(values == 99, 4.5, 1.0))[None]  # 10.85 of 108.5
    assert tail_mean(values, doubled) == pytest.approx((6 * 100 + 4.5 * 99 + 0.35 * 98) / 10.85)
    repeated = np.concatenate([values, values])
    assert tail_mean(repeated, np.ones((1, 200))) == pytest.approx(95.5)
    assert taken_finding("m", [], tail_mean, seed=0, bootstrap=9, missing="nothing").details == {
        "not_measured": "nothing"
    }


def calibrated_pairs(seed: int, scale: float, prompts: int = 150, alike: int = 2) -> list[PairScore]:
    """Pairs whose gaps are ``scale`` times what they should be; a prompt's pairs are all judged alike."""
    rng = np.random.default_rng(seed)
    size = np.abs(rng.normal(0, 1.5, prompts))
    gaps = np.where(rng.random(prompts) < expit(size), size, -size) * scale
    return [PairScore(cluster=f"p{i}", gap=float(gap)) for i, gap in enumerate(gaps) for _ in range(alike)]


def test_the_interval_of_the_temperature_covers() -> None:
    inside = naive = 0
    for seed in range(200):
        pairs = calibrated_pairs(seed, 2.0)
        found = temperature_finding(pairs, seed=0)
        inside += found.ci_low <= 2.0 <= found.ci_high  # type: ignore[operator]
        apart = [PairScore(cluster=str(i), gap=pair.gap) for i, pair in enumerate(pairs)]
        single = temperature_finding(apart, seed=0)
        naive += single.ci_low <= 2.0 <= single.ci_high  # type: ignore[operator]
    assert inside >= 182  # 91% of 200: nominal is 95%
    assert naive < 176  # the control: pairs of one prompt taken as independent


def test_a_temperature_that_does_not_exist_is_not_measured() -> None:
    right = [PairScore(cluster=str(i), gap=1.0) for i in range(10)]
    wrong = [PairScore(cluster=str(i), gap=-1.0 if i < 6 else 1.0) for i in range(10)]
    assert temperature_finding(right, seed=0).details["not_measured"].endswith("every pair is ordered rightly")
    assert temperature_finding(wrong, seed=0).details["not_measured"].endswith("no better than by a coin")
    mixed = np.array([1.0] * 8 + [-1.0] * 2)
    assert temperature(mixed) == pytest.approx(1 / np.log(8 / 2), rel=1e-5)  # sigma(1/T) = .8
    assert expected_calibration_error(mixed / temperature(mixed)) == pytest.approx(0.0, abs=1e-6)


def test_the_effects_of_a_belief_on_one_fixed_reply() -> None:
    def one(stance: Stance, truth: float, falsehood: float) -> Scored:
        return Scored(prompt=stance, question="q", stance=stance, strength=1, truth=truth, falsehood=falsehood)

    scored = [
        one(Stance.NEUTRAL, 2.0, 1.0),
        one(Stance.NEUTRAL, 4.0, 1.0),  # on average 3 and 1
        one(Stance.ASSERTS_FALSE, 2.5, 2.0),
        one(Stance.ASSERTS_TRUE, 5.0, 0.0),
    ]
    assert dict(beliefs.fixed_reply_effects(scored, "the false answer"))["q"] == pytest.approx(1.0)
    assert dict(beliefs.fixed_reply_effects(scored, "the true answer"))["q"] == pytest.approx(-0.5)
    assert dict(beliefs.belief_effects(scored))["q"] == pytest.approx(1.5)
    assert dict(beliefs.fixed_reply_effects(scored, "true belief"))["q"] == pytest.approx(3.0)


def test_every_edit_keeps_the_answer_and_adds_what_its_name_says() -> None:
    answer = "The capital of Peru is Lima."
    before = dict(zip(NAMES, features(answer), strict=True))
    moves = {"polite": "politeness", "flattering": "flattery", "hedged": "hedging", "formatted": "formatting"}
    for name, (_, edit) in style.EDITS.items():
        assert answer in edit(answer)
        after = dict(zip(NAMES, features(edit(answer)), strict=True))
        marks = {feature for feature in moves.values() if after[feature] != before[feature]}
        assert marks == ({moves[name]} if name in moves else set()), name
    assert len(style.EDITS["much longer"][1](answer)) > len(style.EDITS["longer"][1](answer)) > len(answer)


def test_a_policys_own_odds_start_what_optimisation_brings() -> None:
    def pair(gap: float, start: float | None) -> JudgedPair:
        return JudgedPair(question="q", gap=gap, features={}, texts={}, start=start)

    assert worse_under([pair(0.2, -2.0)], 0.1) == pytest.approx(0.5)
    assert worse_under([pair(0.2, 1.0)], np.inf) == pytest.approx(1 / (1 + np.e))
    assert worse_under([pair(0.2, None)], 0.1) == pytest.approx(1 / (1 + np.e**2))

"""Position bias: planted sides come back, repeats show them directly, and an order that is none is not believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench.planted_files import SIDE, Setting, simulate

from candor.audits.preferences import position
from candor.audits.preferences.effects import Design
from candor.audits.preferences.survey import Survey
from candor.preferences.table import Judgements
from candor.records import Check, Verdict

SETTING = Setting(name="test", comparisons=3000, annotators=60, labels=(1,), longer_is_better=0.0)


def judged(side: float, seed: int = 0, **changes: object) -> Judgements:
    return simulate(replace(SETTING, **changes), {SIDE: side}, np.random.default_rng(seed)).judgements


def check(judgements: Judgements) -> Check:
    (found,) = position.checks(Survey(judgements=judgements, sample={}, seed=0))
    return found


def metric(found: Check, name: str):
    return next(f for f in found.findings if f.metric == name)


def test_planted_side_is_a_concern_raw_and_adjusted():
    judgements = judged(0.6)
    found = check(judgements)
    assert found.verdict is Verdict.CONCERN
    assert "favour what is shown first" in found.meaning
    raw, adjusted = metric(found, "share_first"), metric(found, "odds_ratio")
    first = judgements.pairs.outcome[judgements.pairs.ordered]
    assert raw.estimate == pytest.approx(first.mean())
    assert adjusted.ci_low > 1.1
    assert adjusted.estimate / (1 + adjusted.estimate) == pytest.approx(raw.estimate, abs=0.03)
    assert "The order looks random" not in found.meaning  # lengths are all alike here, policies unknown
    assert check(judged(-0.6)).meaning.count("favour what is shown second") == 1


def test_no_side_is_fine_and_few_pairs_cannot_tell():
    assert check(judged(0.0, seed=1, weights=0.1)).verdict is Verdict.FINE
    few = check(judged(0.3, comparisons=150))
    assert few.verdict is Verdict.CANNOT_TELL
    assert "odds ratio of" in few.meaning  # what would have been found


def test_an_order_nobody_recorded_cannot_tell():
    judgements = judged(0.6)
    found = check(replace(judgements, places=np.full(len(judgements.places), -1)))
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.meaning == position.NOT_RECORDED
    assert found.advice


@pytest.mark.parametrize("first", [True, False])
def test_a_file_that_lists_the_preferred_first_tells_nothing(first: bool):
    judgements = judged(0.0)
    won = judgements.values.reshape(-1, 2)[:, 0] > 0.5
    places = np.where((won == first)[:, None], [0, 1], [1, 0])
    found = check(replace(judgements, places=places.ravel()))
    assert found.verdict is Verdict.CANNOT_TELL
    assert "100.0% of" in found.meaning
    assert "how the file lists responses" in found.meaning
    assert check(judgements).verdict is not Verdict.CANNOT_TELL  # the control: the same judgements in the order shown


def with_policies(judgements: Judgements, first_share: float, better: float, seed: int = 0) -> Judgements:
    """Two policies; the first named is shown first this often and wins this often, whatever is shown where."""
    rng = np.random.default_rng(seed)
    count = len(judgements)
    a_first, a_wins = rng.random(count) < first_share, rng.random(count) < better
    places = np.where(a_first[:, None], [0, 1], [1, 0]).ravel()
    values = np.where(a_wins[:, None], [1.0, 0.0], [0.0, 1.0]).ravel()
    policies = np.tile([0, 1], count)
    return replace(
        judgements, places=places, values=values, policies=policies, policy_names=("a", "b"),
        tied=np.zeros(count, bool),
    )  # fmt: skip


def test_a_better_policy_shown_first_more_often_is_no_position_bias():
    uneven = with_policies(judged(0.0), 0.8, 0.7)
    found = check(uneven)
    assert metric(found, "share_first").estimate > 0.58  # raw, it looks like one
    assert found.verdict is not Verdict.CONCERN
    assert "The order was not random: shown first were a against b in 7" in found.meaning
    assert found.details["randomised"] is False
    even = check(with_policies(judged(0.0), 0.5, 0.7))
    assert even.details["randomised"] is True
    assert "The order looks random" in even.meaning


def test_a_policy_that_is_always_first_cannot_be_told_from_its_place():
    found = check(with_policies(judged(0.0), 1.0, 0.7))
    assert found.verdict is Verdict.CANNOT_TELL
    assert "always the same policy" in found.meaning


def repeated(side_clicks: float, count: int = 400, seed: int = 0) -> Judgements:
    """Every pair is judged twice by one annotator, in both orders; a share of judgements goes to the first place."""
    base = judged(0.0, comparisons=count)
    rng = np.random.default_rng(seed)
    double = np.repeat(np.arange(count), 2)
    responses = (2 * double[:, None] + np.arange(2)).ravel()
    places = np.tile([0, 1, 1, 0], count)
    best = rng.integers(2, size=count)
    wins = np.stack([best == 0, best == 1], axis=1).astype(float)[double]
    clicks = rng.random(2 * count) < side_clicks
    wins[clicks] = (places.reshape(-1, 2)[clicks] == 0).astype(float)
    per_row = ("rows", "files", "prompts", "prompt_characters", "annotators", "seconds", "kinds", "strengths")
    per_response = ("items", "texts", "characters", "policies", "features")
    return replace(
        base,
        **{name: getattr(base, name)[double] for name in (*per_row, "both_bad", "tied", "stances")},
        **{name: getattr(base, name)[responses] for name in per_response},
        starts=np.arange(0, 4 * count + 1, 2),
        places=places,
        values=wins.ravel(),
    )


def test_swapped_repeats_show_the_side_whatever_was_compared():
    found = position.swapped_repeats(Design(repeated(0.3)))
    assert found is not None
    assert found.share.n == 400
    assert found.same + found.first + found.second == 400
    assert found.second == 0
    # Both clicks: first twice. One click: first twice if the other judgement's item is there: half of 2 x .3 x .7.
    assert found.first / 400 == pytest.approx(0.3**2 + 0.3 * 0.7, abs=0.06)
    assert found.share.estimate == pytest.approx(0.65, abs=0.03)
    assert found.share.low > 0.6
    honest = position.swapped_repeats(Design(repeated(0.0)))
    assert honest is not None
    assert (honest.same, honest.first, honest.second) == (400, 0, 0)
    assert position.swapped_repeats(Design(judged(0.3))) is None


def test_rankings_give_the_share_by_distance():
    found = check(judged(1.2, size=4, comparisons=800))
    assert found.verdict is Verdict.CONCERN
    shares = {f.subject: f.estimate for f in found.findings if f.metric == "share_first_by_distance"}
    assert list(shares) == ["1", "2", "3"]
    assert shares["3"] > shares["1"] > 0.5
    assert found.charts[1].kind == "curve"
    assert [row["x"] for row in found.charts[1].rows] == [1, 2, 3]

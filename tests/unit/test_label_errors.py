"""Label errors and the learning curve: planted flips come back, and where nothing can be learned nothing is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from candor.audits.preferences import label_errors, learning_curve
from candor.audits.preferences.label_errors import confident_count, lapse_fit, suspects
from candor.audits.preferences.learning_curve import gain_from_doubling, last_gain
from candor.audits.preferences.light_model import FOLDS, Design, areas_under_margin, design, hits, out_of_fold
from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.records import Comparison, Verdict
from made_up_pairs import word_pairs

PLANTED = 0.1


def read(data: list[Comparison], sample: int = 20_000) -> Survey:
    return survey([Numbered(row=i + 1, comparison=c) for i, c in enumerate(data)], sample=sample, seed=3)


@pytest.fixture(scope="module")
def planted() -> tuple[Survey, Design, NDArray[np.bool_]]:
    data, flipped = word_pairs(2500, flips=PLANTED, seed=5)
    found = read(data)
    return found, design(found), flipped


@pytest.fixture(scope="module")
def noise() -> tuple[Survey, Design]:
    found = read(word_pairs(1500, scale=0.0, seed=6)[0])
    return found, design(found)


def test_planted_flips_are_estimated_and_found(planted: tuple[Survey, Design, NDArray[np.bool_]]) -> None:
    found, data, flipped = planted
    (check,) = label_errors.checks(found, data)
    share = next(f for f in check.findings if f.metric == "wrong_labels")
    assert share.ci_low is not None and share.ci_high is not None  # noqa: PT018
    assert share.ci_low <= flipped.mean() <= share.ci_high
    assert check.verdict is Verdict.CONCERN
    order = suspects(data)
    wrong = flipped[data.comparison]
    precision = wrong[order[: flipped.sum()]].mean()
    assert precision > 5 * flipped.mean()
    for alone in (data.margins, areas_under_margin(data)):  # the two ranks together do no worse than either
        assert precision >= wrong[np.argsort(alone)[: flipped.sum()]].mean() - 0.02
    rows = [example.row - 1 for example in check.examples]
    assert flipped[rows].mean() >= 0.7
    assert check.details["rows"][0] == ["", rows[0] + 1]


def test_labels_without_a_pattern_are_not_called_wrong(noise: tuple[Survey, Design]) -> None:
    (check,) = label_errors.checks(*noise)
    assert check.verdict is Verdict.CANNOT_TELL
    assert check.examples == ()
    assert [f.metric for f in check.findings] == ["light_model_accuracy"]
    assert "no better than a coin" in check.meaning
    # Control: counting the model's mistakes would call a third of the labels wrong, and none was flipped.
    assert check.details["confident_learning_count"] > 500
    (curve,) = learning_curve.checks(*noise)
    assert curve.verdict is Verdict.CANNOT_TELL
    assert "gain_from_doubling" not in {f.metric for f in curve.findings}


def test_too_few_pairs_are_not_fitted() -> None:
    few = read(word_pairs(50)[0])
    assert {c.verdict for c in (*label_errors.checks(few), *learning_curve.checks(few))} == {Verdict.CANNOT_TELL}
    assert label_errors.checks(read([]))[0].verdict is Verdict.CANNOT_TELL


def lapses(rng: np.random.Generator, count: int, share: float, slope: float) -> NDArray[np.float64]:
    """Margins, chosen minus rejected, of labels that follow the model but for lapses."""
    utility = rng.normal(size=count)
    agrees = (rng.random(count) < 1 / (1 + np.exp(-slope * np.abs(utility)))) ^ (rng.random(count) < share)
    return np.where(agrees, np.abs(utility), -np.abs(utility))


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_the_lapse_rate_is_covered(share: float) -> None:
    rng = np.random.default_rng(8)
    fits = [lapse_fit(lapses(rng, 3000, share, 4.0), np.arange(3000), seed=i) for i in range(20)]
    assert sum(fit.low - 0.005 <= share <= fit.high + 0.005 for fit in fits) >= 16
    assert np.mean([fit.share for fit in fits]) == pytest.approx(share, abs=0.015)
    assert all(fit.high > fit.low for fit in fits)


def test_what_close_calls_hide_has_a_wide_interval() -> None:
    rng = np.random.default_rng(9)
    fit = lapse_fit(lapses(rng, 3000, 0.1, 0.5), np.arange(3000))
    assert fit.high - fit.low > label_errors.WIDEST


def test_confident_learning_counts_by_hand() -> None:
    margins = np.array([2.0, 2.0, 2.0, -2.0])
    # confidences .88, .88, .88 and .12: mean .69; the last label's other side has .88
    assert confident_count(margins) == 1


def test_pairs_that_are_worth_more_or_less_than_the_model_sees_are_no_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    size, prompts = np.abs(rng.normal(size=8000)), np.arange(8000)
    agree = rng.random(8000) < 1 / (1 + np.exp(-3 * size * np.exp(rng.normal(size=8000))))
    margins = np.where(agree, size, -size)
    assert lapse_fit(margins, prompts).low <= label_errors.FEW
    slips = np.where(rng.random(8000) < 0.15, -margins, margins)
    assert lapse_fit(slips, prompts).low > label_errors.MANY
    monkeypatch.setattr(label_errors, "_SPREADS", np.zeros(1))  # control: one slope for all calls them slips
    assert lapse_fit(margins, prompts).low > label_errors.FEW


def test_what_contradicts_a_sure_model_is_not_called_wrong(planted: tuple[Survey, Design, NDArray[np.bool_]]) -> None:
    (check,) = label_errors.checks(planted[0], planted[1])
    assert "wrong side" not in check.meaning
    assert "slips, or choices that were made by chance" in check.meaning
    assert "judged again before you call them wrong" in check.advice


def test_folds_keep_prompts_together_and_training_sets_grow(planted: tuple[Survey, Design, NDArray[np.bool_]]) -> None:
    found, data, _ = planted
    assert set(data.folds.tolist()) == set(range(FOLDS))
    grouped = design(found, groups=np.arange(len(found.judgements)) // 10)
    assert all(len(set(grouped.folds[grouped.prompts == p].tolist())) == 1 for p in range(50))
    assert grouped.prompts.max() == 249
    sizes = learning_curve.learning_curve(data).sizes
    assert sizes == (pytest.approx(250, abs=15), pytest.approx(500, abs=15), pytest.approx(1000, abs=15), 2000)


def test_a_sample_is_said_aloud(planted: tuple[Survey, Design, NDArray[np.bool_]]) -> None:
    data, _ = word_pairs(700, seed=1)
    part = read(data, sample=400)
    (check,) = label_errors.checks(part)
    assert "a random 400 of 700 judged pairs" in check.meaning
    assert len(design(part, limit=300)) == 300


def test_margins_do_not_depend_on_which_response_is_written_first() -> None:
    from dataclasses import replace

    data, _ = word_pairs(400, seed=2)
    turned = [
        replace(c, responses=c.responses[::-1], judgement=replace(c.judgement, best=1 - c.judgement.best))  # type: ignore[union-attr,type-var,operator]
        for c in data
    ]
    assert design(read(data)).margins == pytest.approx(design(read(turned)).margins)


def test_a_pair_is_foretold_by_others_only() -> None:
    """Out of fold, a pattern that only one prompt shows cannot help; in sample it would."""
    data, _ = word_pairs(600, scale=0.0, seed=4)
    found = read(data)
    out = design(found)
    assert abs(hits(out.margins).mean() - 0.5) < 0.1
    assert hits(areas_under_margin(out)).mean() > 0.7  # control: in sample the labels are learnt by heart


@pytest.mark.parametrize("exponent", [0.05, 0.3, 0.6, 1.0])
def test_a_power_law_goes_on_within_the_factors(exponent: float) -> None:
    sizes = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    law = 0.8 - 2.0 * sizes**-exponent
    low, high = (factor * last_gain(law[:4]) for factor in learning_curve.FACTORS)
    assert low <= law[4] - law[3] <= high
    assert last_gain(law[::-1]) == 0.0  # never a loss


@pytest.mark.parametrize("seed", [5, 11])
def test_the_gain_from_twice_the_labels_is_covered(seed: int) -> None:
    """From curves that end at half of the labels; all of them show what twice as many really bought."""
    data = design(read(word_pairs(2000, flips=0.05, seed=seed)[0]))
    utilities = out_of_fold(data, (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)) * np.where(data.first_wins, 1.0, -1.0)[:, None]
    right = hits(utilities)
    gain = gain_from_doubling(data, right[:, :4])
    bought = right[:, 4] - right[:, 3]
    error = bought.std() / np.sqrt(len(bought))
    assert gain.low - 2 * error <= bought.mean() <= gain.high + 2 * error
    assert 0 < gain.low <= gain.estimate <= gain.high < 0.1


def test_a_curve_says_what_doubling_buys(planted: tuple[Survey, Design, NDArray[np.bool_]]) -> None:
    found, data, _ = planted
    (check,) = learning_curve.checks(found, data)
    assert check.verdict is Verdict.NOTE
    assert [row["series"] for row in check.charts[0].rows] == ["measured"] * 4 + ["expected"]
    assert "noise_ceiling" not in {f.metric for f in check.findings}


def test_repeats_give_the_ceiling() -> None:
    from dataclasses import replace

    data, _ = word_pairs(400, seed=7)
    rng = np.random.default_rng(1)
    again = [
        replace(c, annotator="other", judgement=replace(c.judgement, best=int(rng.integers(2))))  # type: ignore[type-var]
        for c in data
    ]
    (check,) = learning_curve.checks(read([*data, *again]))
    ceiling = next(f for f in check.findings if f.metric == "noise_ceiling")
    assert ceiling.estimate == pytest.approx(0.5, abs=0.15)
    assert "As often as annotators differ, nothing could foretell more than" in check.meaning
    assert ceiling.n == 400  # pairs that two judged, not pairs that the model was fitted on
    assert ceiling.ci_low is not None and ceiling.ci_high is not None  # noqa: PT018
    assert ceiling.ci_low <= ceiling.estimate <= ceiling.ci_high

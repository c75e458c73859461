"""Clustered logistic regression: against dense formulas, closed forms and statsmodels."""

from __future__ import annotations

import time

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, norm, t

from candor.audits.preferences import clustered
from candor.audits.preferences.regression import Regression, benjamini_hochberg, clustered_logit


def clustered_data(seed: int, rows: int = 240, columns: int = 3, first: int = 9, second: int = 30):
    """Two-way dependent outcomes with unequal clusters, ties and weights."""
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(rows, columns))
    a = np.minimum(rng.geometric(0.25, size=rows) - 1, first - 1)
    b = rng.integers(second, size=rows)
    eta = design @ np.linspace(0.6, -0.3, columns) + rng.normal(size=first)[a] + 0.7 * rng.normal(size=second)[b]
    outcome = (rng.random(rows) < 1 / (1 + np.exp(-eta))).astype(float)
    outcome[rng.random(rows) < 0.1] = 0.5
    return design, outcome, a, b, rng.choice([0.5, 1.0], size=rows)


def dense_cr2(design, outcome, weight, coef, codes):
    """Bell & McCaffrey's CR2 and degrees of freedom as written: N by N matrices, under independent working errors."""
    p = 1 / (1 + np.exp(-design @ coef))
    spread = np.sqrt(weight * p * (1 - p))
    z, e = design * spread[:, None], np.sqrt(weight) * (outcome - p) / np.sqrt(p * (1 - p))
    bread = np.linalg.inv(z.T @ z)
    residual_maker = np.eye(len(z)) - z @ bread @ z.T
    meat, vectors = np.zeros_like(bread), []
    for g in np.unique(codes):
        of = codes == g
        values, basis = np.linalg.eigh(np.eye(of.sum()) - z[of] @ bread @ z[of].T)
        adjust = basis @ np.diag([1 / np.sqrt(v) if v > 1e-9 else 0.0 for v in values]) @ basis.T
        score = z[of].T @ adjust @ e[of]
        meat += np.outer(score, score)
        vectors.append(residual_maker[:, of] @ adjust @ z[of] @ bread)  # (N, P)
    variance = bread @ meat @ bread
    df = []
    for k in range(len(bread)):
        q = np.array([v[:, k] for v in vectors])
        q = q @ q.T
        df.append(np.trace(q) ** 2 / np.sum(q**2))
    return variance, np.array(df)


@pytest.mark.parametrize("seed", range(3))
def test_one_way_variance_and_degrees_of_freedom_are_those_of_the_dense_formula(seed):
    design, outcome, a, _, weight = clustered_data(seed)
    found = clustered_logit(design, outcome, [a], weight=weight)
    variance, df = dense_cr2(design, outcome, weight, found.coef, a)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(variance)), rtol=1e-6)
    np.testing.assert_allclose(found.df, df, rtol=1e-6)


def test_many_small_clusters_are_right_to_the_order_that_is_promised():
    design, outcome, _, _, weight = clustered_data(4, rows=1500)
    codes = np.random.default_rng(0).integers(700, size=1500)
    found = clustered_logit(design, outcome, [codes], weight=weight)
    variance, df = dense_cr2(design, outcome, weight, found.coef, codes)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(variance)), rtol=2e-4)
    np.testing.assert_allclose(found.df, df, rtol=0.02)


def test_two_way_is_the_sum_less_the_intersection_and_not_below_either():
    design, outcome, a, b, weight = clustered_data(1)
    found = clustered_logit(design, outcome, [a, b], weight=weight)
    one, two, both = (
        np.diag(dense_cr2(design, outcome, weight, found.coef, codes)[0]) for codes in (a, b, a * 1000 + b)
    )
    expected = np.maximum(one + two - both, np.maximum(one, two))
    np.testing.assert_allclose(found.errors**2, expected, rtol=1e-3)
    assert np.all(found.errors**2 >= np.maximum(one, two) * (1 - 1e-3))
    assert found.clusters == (len(np.unique(a)), len(np.unique(b)))


def test_a_mean_has_the_closed_form_of_bell_and_mccaffrey():
    """Intercept only: V = sum n_j^2 (mean_j - mean)^2 / (1 - n_j / N) / N^2, and its degrees of freedom."""
    sizes = np.array([3, 5, 8, 8, 12, 20, 31])
    codes = np.repeat(np.arange(len(sizes)), sizes)
    outcome = (np.random.default_rng(2).random(sizes.sum()) < 0.4).astype(float)
    total, mean = sizes.sum(), outcome.mean()
    found = clustered_logit(np.ones((total, 1)), outcome, [codes])
    means = np.bincount(codes, weights=outcome) / sizes
    variance = np.sum(sizes**2 * (means - mean) ** 2 / (1 - sizes / total)) / total**2
    slope = 1 / (mean * (1 - mean))
    rest = total - sizes
    df = total**2 / (
        total**2 * np.sum(sizes**2 / rest**2) - 2 * total * np.sum(sizes**3 / rest**2) + np.sum(sizes**2 / rest) ** 2
    )
    assert found.coef[0] == pytest.approx(np.log(mean / (1 - mean)))
    assert found.errors[0] == pytest.approx(np.sqrt(variance) * slope)
    assert found.df[0] == pytest.approx(df)


def test_statsmodels_gives_the_same_coefficients_and_nearly_the_same_clustered_errors():
    rng = np.random.default_rng(7)
    design = rng.normal(size=(4000, 3))
    codes = np.repeat(np.arange(400), 10)
    eta = design @ [0.5, 0.0, -0.4] + rng.normal(size=400)[codes] * design[:, 0]
    outcome = (rng.random(4000) < 1 / (1 + np.exp(-eta))).astype(float)
    found = clustered_logit(design, outcome, [codes])
    model = sm.Logit(outcome, design)
    np.testing.assert_allclose(found.coef, model.fit(disp=0).params, rtol=1e-6)
    np.testing.assert_allclose(found.naive, model.fit(disp=0).bse, rtol=1e-6)
    robust = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": codes})
    np.testing.assert_allclose(found.errors, robust.bse, rtol=0.01)
    # The control: errors that forget the clusters are far off for the slope that differs between them.
    assert found.errors[0] > 1.4 * found.naive[0]


def test_ties_are_half_a_preference_each_way():
    design, outcome, a, _, _ = clustered_data(3)
    tied = outcome == 0.5
    halves = np.concatenate([outcome[~tied], np.ones(tied.sum()), np.zeros(tied.sum())])
    doubled = np.vstack([design[~tied], design[tied], design[tied]])
    weight = np.concatenate([np.ones((~tied).sum()), np.full(2 * tied.sum(), 0.5)])
    codes = np.concatenate([a[~tied], a[tied], a[tied]])
    whole = clustered_logit(design, outcome, [a])
    split = clustered_logit(doubled, halves, [codes], weight=weight)
    np.testing.assert_allclose(whole.coef, split.coef, rtol=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_neither_the_order_of_rows_nor_which_side_is_first_matters(seed):
    design, outcome, a, b, weight = clustered_data(seed % 7)
    rng = np.random.default_rng(seed)
    order, turn = rng.permutation(len(design)), rng.choice([-1.0, 1.0], size=len(design))
    plain = clustered_logit(design, outcome, [a, b], weight=weight)
    other = clustered_logit(
        (design * turn[:, None])[order],
        np.where(turn > 0, outcome, 1 - outcome)[order],
        [(a * 7 + 3)[order], -b[order]],
        weight=weight[order],
    )
    for field in ("coef", "errors", "df"):
        np.testing.assert_allclose(getattr(plain, field), getattr(other, field), rtol=1e-6)


def test_contrasts_are_differences_with_their_own_errors():
    design, outcome, a, _, weight = clustered_data(5)
    contrast = np.array([[1.0, -1.0, 0.0]])
    found = clustered_logit(design, outcome, [a], weight=weight, contrasts=contrast)
    variance, _ = dense_cr2(design, outcome, weight, found.coef, a)
    assert found.estimates[0] == pytest.approx(found.coef[0] - found.coef[1])
    assert found.errors[0] == pytest.approx(np.sqrt(contrast[0] @ variance @ contrast[0]), rel=1e-6)


def test_intervals_p_values_and_the_detectable_effect_use_students_t():
    found = Regression(
        coef=np.array([0.3]), aliased=np.array([False]), estimates=np.array([0.3]), errors=np.array([0.1]),
        df=np.array([11.0]), naive=np.array([0.1]), n=9, clusters=(12,),
    )  # fmt: skip
    np.testing.assert_allclose(found.intervals()[0], 0.3 + 0.1 * t.ppf([0.025, 0.975], 11))
    assert found.p_values[0] == pytest.approx(2 * t.sf(3.0, 11))
    assert found.detectable()[0] == pytest.approx(0.1 * (t.ppf(0.975, 11) + t.ppf(0.9, 11)))
    assert found.detectable()[0] > 0.1 * (norm.ppf(0.975) + norm.ppf(0.9))


def test_a_feature_that_decides_every_pair_is_penalised_and_said_to_be():
    rng = np.random.default_rng(0)
    flag = np.zeros(400)
    flag[:40] = 1.0
    design = np.column_stack([flag, rng.normal(size=400)])
    outcome = (rng.random(400) < 1 / (1 + np.exp(-0.5 * design[:, 1]))).astype(float)
    outcome[:40] = 1.0
    found = clustered_logit(design, outcome, [np.arange(400) % 40])
    assert found.penalised == "separated"
    assert np.all(np.isfinite(found.errors))
    assert 2.0 < found.coef[0] < 8.0
    assert np.all(found.errors >= found.naive * (1 - 1e-12))
    control = clustered_logit(design[40:], outcome[40:], [np.arange(360) % 40])
    assert control.penalised == ""
    assert found.coef[1] == pytest.approx(control.coef[1], abs=0.05)


def test_columns_that_say_nothing_new_are_left_out_and_the_rest_is_as_without_them():
    design, outcome, a, b, _ = clustered_data(2)
    more = np.column_stack([design, design[:, 0] + 2 * design[:, 1], np.zeros(len(design))])
    found, plain = clustered_logit(more, outcome, [a, b]), clustered_logit(design, outcome, [a, b])
    assert found.aliased.tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(found.errors[:3], plain.errors)
    assert np.all(np.isnan(found.errors[3:]))


def test_few_pairs_are_penalised_and_one_cluster_gives_no_interval():
    design, outcome, a, _, _ = clustered_data(2, rows=25)
    assert clustered_logit(design, outcome, [a]).penalised == "few pairs"
    assert np.all(np.isnan(clustered_logit(design, outcome, [np.zeros(25)]).errors))


def test_what_only_one_cluster_tells_of_has_no_interval():
    design, outcome, a, _, _ = clustered_data(6)
    design[:, 2] = np.where(a == 0, design[:, 2], 0.0)
    found = clustered_logit(design, outcome, [a])
    assert np.isnan(found.errors[2])
    assert np.isfinite(found.errors[:2]).all()


def test_discovery_rates_are_scipys_and_unknown_values_stay_unknown():
    p = np.random.default_rng(1).random(30) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))
    with_gap = benjamini_hochberg([0.01, float("nan"), 0.04])
    np.testing.assert_allclose(with_gap, [0.02, np.nan, 0.04])


def test_weights_move_the_correction_and_never_below_the_p_value():
    p = np.array([0.03, 0.2, 0.5])
    np.testing.assert_allclose(benjamini_hochberg(p, [2.0, 2.0, 2.0]), benjamini_hochberg(p))
    weighted = benjamini_hochberg(p, [4.0, 1.0, 1.0])  # scaled to 2, 1/2, 1/2
    np.testing.assert_allclose(weighted, [0.015 * 3, 0.4 * 3 / 2, 1.0])
    assert benjamini_hochberg([0.03, 0.9], [9.0, 1.0])[0] == pytest.approx(0.03 * 2 / 1.8)
    assert benjamini_hochberg([0.03], [9.0])[0] == pytest.approx(0.03)


def test_arrays_have_to_fit_together():
    with pytest.raises(ValueError, match="one length"):
        clustered_logit(np.ones((3, 1)), np.ones(2), [np.zeros(3)])
    with pytest.raises(ValueError, match="one or two"):
        clustered_logit(np.ones((3, 1)), np.ones(3), [])


def test_two_hundred_thousand_pairs_take_seconds():
    rng = np.random.default_rng(0)
    design = rng.normal(size=(200_000, 14))
    outcome = (rng.random(200_000) < 1 / (1 + np.exp(-design @ np.full(14, 0.1)))).astype(float)
    started = time.process_time()
    found = clustered_logit(design, outcome, [rng.integers(200, size=200_000), rng.integers(90_000, size=200_000)])
    assert time.process_time() - started < 8.0
    np.testing.assert_allclose(found.coef, 0.1, atol=0.03)


def test_the_shortcut_for_small_leverage_is_only_taken_where_it_holds(monkeypatch):
    """The control of the dense comparison: with the shortcut everywhere, few unequal clusters come out wrong."""
    design, outcome, a, _, weight = clustered_data(0)
    right = clustered_logit(design, outcome, [a], weight=weight).errors
    monkeypatch.setattr(clustered, "_SMALL", 10.0)
    wrong = clustered_logit(design, outcome, [a], weight=weight).errors
    assert np.max(np.abs(wrong / right - 1)) > 0.01

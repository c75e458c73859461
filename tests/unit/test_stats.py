"""Intervals and tests against published values, scipy, closed forms and simulation."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats as sps

from candor.audits import stats


def ratio(sums: stats.FloatArray) -> stats.FloatArray:
    return sums[..., 0] / sums[..., 1]


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_limits(successes: int, n: int, low: float, high: float) -> None:
    # Newcombe 1998, Stat. Med. 17:857, table I, method 3.
    interval = stats.wilson(successes, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)
    theirs = sps.binomtest(successes, n).proportion_ci(method="wilson")
    assert (interval.low, interval.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_refuses_impossible_counts() -> None:
    for successes, n in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="wilson needs"):
            stats.wilson(successes, n)


def test_square_and_add_gives_newcombes_published_difference() -> None:
    # Newcombe 1998, Stat. Med. 17:873, table II (a), method 10: 56/70 - 48/80.
    interval = stats.difference_of_independent(56 / 70, stats.wilson(56, 70), 48 / 80, stats.wilson(48, 80))
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.0524, 0.3339)


def test_mcnemar_is_the_exact_binomial() -> None:
    # Closed form: 2 * (C(11,0) + C(11,1) + C(11,2)) / 2^11.
    assert stats.mcnemar_exact(2, 9) == pytest.approx(2 * (1 + 11 + 55) / 2**11)
    assert stats.mcnemar_exact(9, 2) == stats.mcnemar_exact(2, 9)
    assert stats.mcnemar_exact(0, 0) == 1.0
    # The chi-square approximation without continuity correction is another number: the exact one is meant.
    assert abs(stats.mcnemar_exact(2, 9) - sps.chi2.sf((9 - 2) ** 2 / 11, 1)) > 0.02


def test_holm_steps_down() -> None:
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.5, 0.9]) == [1.0, 1.0]
    assert stats.holm([]) == []
    bonferroni = [0.04, 0.16, 0.12, 0.02]
    assert all(h <= b for h, b in zip(stats.holm([0.01, 0.04, 0.03, 0.005]), bonferroni, strict=True))


def test_detection_measures_follow_the_log_linear_rule() -> None:
    # 20 hits of 25, 10 false alarms of 25 (Stanislaw & Todorov's worked case, with the correction added).
    args = tuple(np.array(v) for v in (20.0, 25.0, 10.0, 25.0))
    hit, false_alarm = sps.norm.ppf(20.5 / 26), sps.norm.ppf(10.5 / 26)
    assert stats.d_prime(*args) == pytest.approx(hit - false_alarm)
    assert stats.criterion(*args) == pytest.approx(-(hit + false_alarm) / 2)
    assert stats.d_prime(*args) == pytest.approx(1.0954, abs=0.06)  # uncorrected, as published
    perfect = tuple(np.array(v) for v in (25.0, 25.0, 0.0, 25.0))
    assert stats.d_prime(*perfect) == pytest.approx(2 * sps.norm.ppf(25.5 / 26))  # finite
    assert np.isnan(stats.d_prime(np.array(0.0), np.array(0.0), np.array(1.0), np.array(2.0)))


def test_variance_of_d_prime_matches_simulation() -> None:
    rng = np.random.default_rng(1)
    hits, false_alarms = rng.binomial(400, 0.8, 4000).astype(float), rng.binomial(300, 0.3, 4000).astype(float)
    drawn = stats.d_prime(hits, np.array(400.0), false_alarms, np.array(300.0))
    assert np.var(drawn) == pytest.approx(stats.d_prime_variance(320, 400, 90, 300), rel=0.08)


def test_resample_counts_are_multinomial_and_pure() -> None:
    counts = stats.resample_counts(40, 2000, 3)
    assert counts.shape == (2000, 40)
    assert (counts.sum(axis=1) == 40).all()
    assert counts.mean() == pytest.approx(1.0)
    assert counts.var() == pytest.approx(1 - 1 / 40, rel=0.03)  # Binomial(40, 1/40)
    stats.resample_counts.cache_clear()
    assert (stats.resample_counts(40, 2000, 3) == counts).all()
    assert (stats.resample_counts(40, 2000, 4) != counts).any()


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_bootstrap_agrees_with_scipy_for_one_observation_per_cluster(method: str) -> None:
    values = np.random.default_rng(0).exponential(size=60)
    sums = np.column_stack([values, np.ones(60)])
    ours = stats.cluster_bootstrap(sums, ratio, resamples=20_000, seed=1, method=method).interval  # type: ignore[arg-type]
    theirs = sps.bootstrap(
        (values,), np.mean, n_resamples=20_000, method={"bca": "BCa"}.get(method, method), rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)
    # The skew is what BCa corrects: the two methods must not be the same interval.
    other = stats.cluster_bootstrap(sums, ratio, resamples=20_000, seed=1, method="percentile").interval
    assert other is not None
    assert (ours.high - other.high > 0.03) == (method == "bca")


def clustered(rng: np.random.Generator, clusters: int, size: int, mean: float) -> stats.FloatArray:
    """Beta-binomial replies: those to one question are alike (intra-cluster correlation 1/3)."""
    p = rng.beta(2 * mean, 2 * (1 - mean), size=clusters)
    return np.column_stack([rng.binomial(size, p), np.full(clusters, size)]).astype(float)


def test_coverage_by_clusters_and_not_by_replies() -> None:
    rng = np.random.default_rng(5)
    covered = naive = 0
    trials, mean = 300, 0.3
    for trial in range(trials):
        sums = clustered(rng, 60, 10, mean)
        interval = stats.cluster_bootstrap(sums, ratio, resamples=400, seed=trial).interval
        assert interval is not None
        covered += interval.low <= mean <= interval.high
        wrong = stats.wilson(sums[:, 0].sum(), sums[:, 1].sum())  # as if replies were independent
        naive += wrong.low <= mean <= wrong.high
    assert 0.91 <= covered / trials <= 0.985
    assert naive / trials < 0.8  # negative control


def test_bootstrap_without_information() -> None:
    assert stats.cluster_bootstrap(np.array([[3.0, 4.0]]), ratio).interval is None
    flat = stats.cluster_bootstrap(np.ones((20, 2)), ratio)
    assert flat.spread == 0.0
    assert flat.interval is not None
    assert flat.interval.low == flat.interval.high == 1.0

    def undefined(sums: stats.FloatArray) -> stats.FloatArray:
        return np.where(sums[..., 1] > 0, sums[..., 0] / np.maximum(sums[..., 1], 1), np.nan)

    sparse = np.zeros((5, 2))
    sparse[0] = [1.0, 2.0]
    found = stats.cluster_bootstrap(sparse, undefined, resamples=2000)
    assert found.undefined / 2000 == pytest.approx((4 / 5) ** 5, abs=0.03)  # the cluster that counts is not drawn


def test_thousand_resamples_take_milliseconds() -> None:
    sums = clustered(np.random.default_rng(0), 150, 13, 0.6)
    stats.cluster_bootstrap(sums, ratio)
    seconds = []
    for seed in range(5):
        begin = time.process_time()
        stats.cluster_bootstrap(sums, ratio, seed=100 + seed)
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.05


def test_paired_difference_uses_the_pairing() -> None:
    rng = np.random.default_rng(2)
    before = clustered(rng, 80, 5, 0.5)
    after = before.copy()
    after[:, 0] = np.minimum(after[:, 0] + (rng.random(80) < 0.3), 5)
    paired = stats.paired_difference(before, after, ratio)
    change = (after[:, 0] - before[:, 0]) / 5
    assert paired.estimate == pytest.approx(change.mean())
    assert paired.interval is not None
    half = 1.96 * change.std(ddof=1) / np.sqrt(80)
    assert paired.interval.high - paired.interval.low == pytest.approx(2 * half, rel=0.15)
    # Negative control: shuffling the questions of one side destroys the pairing, and the interval widens.
    loose = stats.paired_difference(before, rng.permutation(after), ratio)
    assert loose.interval is not None
    assert loose.interval.high - loose.interval.low > 2 * (paired.interval.high - paired.interval.low)


def test_sign_flips_are_mcnemar_with_one_pair_per_cluster() -> None:
    before = np.column_stack([np.r_[np.ones(5), np.zeros(45)], np.ones(50)])
    after = np.column_stack([np.r_[np.zeros(2), np.ones(3), np.ones(9), np.zeros(36)], np.ones(50)])
    p = stats.sign_flip_test(before, after, ratio, flips=40_000)
    assert p == pytest.approx(stats.mcnemar_exact(2, 9), abs=0.005)
    assert stats.sign_flip_test(before, before, ratio) == 1.0
    assert np.isnan(stats.sign_flip_test(before, after, lambda s: s[..., 0] * np.nan))


def test_sign_flips_hold_their_level_on_clusters() -> None:
    rng = np.random.default_rng(9)
    rejected = naive = 0
    for trial in range(200):
        shift = rng.normal(0, 2.0, 40)  # each question moves, in either direction: no change on average
        logits = rng.normal(0, 1, 40)
        before, after = (rng.binomial(8, 1 / (1 + np.exp(-x))).astype(float) for x in (logits, logits + shift))
        sides = [np.column_stack([x, np.full(40, 8.0)]) for x in (before, after)]
        rejected += stats.sign_flip_test(*sides, ratio, flips=499, seed=trial) <= 0.05
        rates = before.sum() / 320, after.sum() / 320
        error = np.sqrt(sum(r * (1 - r) for r in rates) / 320)
        naive += abs(rates[1] - rates[0]) / error > 1.96  # as if replies were independent
    assert rejected / 200 <= 0.09
    assert naive / 200 > 0.15

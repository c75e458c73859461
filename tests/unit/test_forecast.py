"""The forecast against the token tree's closed form: by beta, by KL and by best-of-n, and where it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from bench.forecast_tree import STATISTICS, beta_at, simulate, world

from candor.experiments.forecast_checks import checks
from candor.forecasting import exact
from candor.forecasting.best_of import best_of_pseudo_values, best_of_weights, kl_bound
from candor.forecasting.forecast import at_best_of, at_beta, at_kl, forecast
from candor.forecasting.jackknife import mean_over_prompts
from candor.forecasting.points import Forecast, Point, Value
from candor.forecasting.samples import KL, Samples
from candor.forecasting.tilt import Tilt
from candor.records import Verdict
from candor.results.checks import checked

WORLD = world(16)


def test_forecasts_cover_the_closed_form_and_are_free_of_the_ratio_bias() -> None:
    """The bench runs 400 simulations of the default setting (docs/forecast.md); these are a tenth, of a third of it."""
    for row in simulate(WORLD, m=128, beta=0.3, kl=0.4, n=8, simulations=60):
        assert row.covered >= 0.85, row
        assert row.half_width <= 0.05, row
        assert row.refused == 0, row
        assert abs(row.bias) < 0.006, row


def test_intervals_for_a_population_hold_what_drawing_prompts_adds() -> None:
    """Prompts drawn anew each time: intervals for the prompts themselves know nothing of the others."""
    population = world(200)
    truth = population.truth(exact.optimum(population.probabilities, population.rewards, 0.3))["agreement"]
    covered = {"population": 0, "these prompts": 0}
    for seed in range(100):
        samples = population.drawn(30, seed).samples(128, seed)
        for target in covered:
            value = at_beta(samples, 0.3, target).values["agreement"]  # type: ignore[arg-type]
            assert value.low is not None
            assert value.high is not None
            covered[target] += value.low <= truth <= value.high
    assert covered["population"] >= 88
    assert covered["these prompts"] <= 65  # control


def test_without_the_jackknife_the_bias_does_not_average_out() -> None:
    rows = simulate(WORLD, m=64, beta=0.3, kl=0.4, n=4, simulations=100)
    for row in rows:
        if row.point.startswith("beta") and row.statistic == "kl" and row.refused < 1:
            assert abs(row.plain_bias) > 3 * abs(row.bias)
            return
    pytest.fail("everything was refused")


@pytest.mark.parametrize("n", [2, 8, 64])
def test_best_of_n_from_the_whole_population_is_the_enumerated_one(n: int) -> None:
    """Equal probabilities: m replies, each once, drawn with replacement n at a time is what ``exact`` enumerates."""
    rng = np.random.default_rng(n)
    rewards = rng.integers(0, 5, size=(3, 40)).astype(float)
    uniform = np.full((3, 40), 1 / 40)
    found = exact.best_of(uniform, rewards, n)
    below = (rewards[:, None, :] < rewards[:, :, None]).mean(axis=2)
    level = (rewards[:, None, :] == rewards[:, :, None]).mean(axis=2)
    assert np.abs(found - ((below + level) ** n - below**n) / level / 40).max() <= 1e-10
    assert np.abs(exact.mean(found, rewards) - _brute(rewards, n)).max() <= 1e-10
    assert np.abs(found - uniform).max() > 1e-3  # control: it is not the reference


def _brute(rewards: np.ndarray, n: int) -> np.ndarray:
    """E[max of n] by the distribution function of the maximum."""
    found = []
    for row in rewards:
        levels = np.unique(row)
        upto = np.array([(row <= level).mean() for level in levels]) ** n
        found.append(float((levels * np.diff(np.concatenate([[0.0], upto]))).sum()))
    return np.array(found)


def test_best_of_n_from_samples_is_unbiased() -> None:
    """Over all samples of m its mean is the mean over all samples of n."""
    rng = np.random.default_rng(3)
    population = rng.standard_normal(7)
    truth = float(np.mean([max(rng_row) for rng_row in population[np.indices((7, 7, 7)).reshape(3, -1).T]]))
    drawn = population[np.indices((7,) * 4).reshape(4, -1).T]  # every sample of m = 4 with replacement
    estimates = (best_of_weights(drawn, 3) * drawn).sum(axis=1)
    assert estimates.mean() == pytest.approx(truth, abs=1e-10)
    assert drawn.max(axis=1).mean() != pytest.approx(truth, abs=1e-3)  # control: the best of all four


def test_the_grids_of_beta_and_of_kl_are_one_curve() -> None:
    samples = WORLD.samples(256, 1)
    by_kl = at_kl(samples, 0.4)
    assert by_kl.beta is not None
    by_beta = at_beta(samples, by_kl.beta)
    assert by_beta.values["kl"].estimate == pytest.approx(0.4, abs=1e-6)
    for name in STATISTICS:
        assert by_beta.values[name].estimate == pytest.approx(by_kl.values[name].estimate, abs=1e-6)
    truth = WORLD.truth(exact.optimum(WORLD.probabilities, WORLD.rewards, beta_at(WORLD, 0.4)))
    assert by_kl.values["agreement"].estimate == pytest.approx(truth["agreement"], abs=0.06)


def test_it_refuses_what_the_samples_cannot_say() -> None:
    samples = WORLD.samples(128, 2)
    far = at_beta(samples, 0.01).values["agreement"]
    assert far.estimate is None
    assert "median effective" in far.refusal
    assert "more than 128 samples can show" in at_kl(samples, 4.0).values["agreement"].refusal
    assert "more than 128 samples" in at_best_of(samples, 128).values["agreement"].refusal
    assert at_beta(samples, 0.3).values["agreement"].refusal == ""  # control


def sycophantic(gap: float) -> Samples:
    """Samples whose reward pays for agreement with false beliefs, and approval with it; helpfulness does not."""
    rng = np.random.default_rng(5)
    agrees = (rng.random((30, 256)) < 0.3).astype(float)
    names = tuple(f"q{i}" for i in range(30))
    return Samples(
        prompts=names,
        clusters=names,
        rewards=gap * agrees + 0.05 * rng.standard_normal(agrees.shape),
        statistics={
            "false_belief_agreement": agrees,
            "approval": 2.0 * agrees,
            "helpfulness": 1.0 - agrees,
            "words": 10.0 + agrees,
            "share_agree": agrees,
            "share_correct_kindly": 1 - agrees,
        },
    )


def test_the_page_says_that_agreement_and_value_will_part() -> None:
    made = forecast(sycophantic(0.4), betas=[0.2, 1.0], kls=[0.1, 0.3], best_of=[4], target="population")
    found = {check.name: check for check in checks(made, 0)}
    assert found["agreement"].verdict is Verdict.CONCERN
    assert "will bring that to" in found["agreement"].meaning
    assert found["value"].verdict is Verdict.CONCERN
    assert "agree from" in found["kinds"].meaning
    assert found["reach"].verdict is Verdict.FINE
    honest = forecast(sycophantic(-0.4), betas=[0.2, 1.0], kls=[0.1, 0.3], best_of=[4], target="population")
    control = {check.name: check for check in checks(honest, 0)}
    assert control["agreement"].verdict is Verdict.FINE
    assert control["value"].verdict is Verdict.FINE
    far = forecast(sycophantic(0.4), betas=[0.01], target="population")
    assert {c.name: c for c in checks(far, 0)}["reach"].verdict is Verdict.NOTE


def leave_one_out(estimate, rewards: np.ndarray, values: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The jackknife's pseudo-values as they are defined: the estimate m times over, each sample left out in turn."""
    m = len(rewards)
    rest = [estimate(np.delete(rewards, i), np.delete(values, i)) for i in range(m)]
    return m * estimate(rewards, values) - (m - 1) * np.array(rest)


def tilted(beta: float, rewards: np.ndarray, values: np.ndarray) -> float:
    weights = np.exp(rewards / beta)
    return float(weights @ values / weights.sum())


def tilted_kl(beta: float, rewards: np.ndarray, values: np.ndarray) -> float:
    weights = np.exp(rewards / beta) / np.exp(rewards / beta).sum()
    return float(weights @ np.log(len(weights) * weights))


def test_the_tilts_pseudo_values_are_the_jackknifes() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.standard_normal((2, 3, 12))
    tilt = Tilt.of(rewards, 0.7)
    for p in range(3):
        expected = leave_one_out(lambda r, v: tilted(0.7, r, v), rewards[p], values[p])
        np.testing.assert_allclose(tilt.statistic(values)[p], expected, atol=1e-10)
        expected = leave_one_out(lambda r, v: tilted_kl(0.7, r, v), rewards[p], values[p])
        np.testing.assert_allclose(tilt.divergence()[p], expected, atol=1e-10)
    assert np.abs(tilt.statistic(values).mean(axis=1) - tilted(0.7, rewards[0], values[0])).max() > 1e-3  # control


@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_pseudo_values_of_best_of_n_are_the_jackknifes(n: int) -> None:
    """With equal rewards, whose levels change as a sample goes."""
    rng = np.random.default_rng(n)
    rewards, values = rng.integers(0, 4, size=(3, 11)).astype(float), rng.standard_normal((3, 11))

    def best(r: np.ndarray, v: np.ndarray) -> float:
        return float((best_of_weights(r[None], n) * v).sum())

    def best_kl(r: np.ndarray, v: np.ndarray) -> float:
        weights = best_of_weights(r[None], n)[0]
        inside = weights[weights > 0]
        return float(inside @ np.log(len(r) * inside))

    found = best_of_pseudo_values(rewards, values[None], n)
    for p in range(3):
        np.testing.assert_allclose(found[0, p], leave_one_out(best, rewards[p], values[p]), atol=1e-9)
        np.testing.assert_allclose(found[1, p], leave_one_out(best_kl, rewards[p], values[p]), atol=1e-9)


def test_one_ratio_over_all_prompts_is_another_number() -> None:
    """The optimum is one of every prompt: pooling the formula weighs prompts by how high their rewards are."""
    samples, truth = WORLD.samples(4096, 4), WORLD.truth(exact.optimum(WORLD.probabilities, WORLD.rewards, 0.3))
    agrees = samples.statistics["agreement"]
    offsets = 0.3 * np.argsort(np.argsort(-agrees.mean(axis=1)))[:, None]  # highest where agreement is rarest
    shifted = samples.under(samples.rewards + offsets)
    assert at_beta(shifted, 0.3).values["agreement"].estimate == pytest.approx(truth["agreement"], abs=0.01)
    weights = np.exp(shifted.rewards / 0.3)
    assert abs((weights * agrees).sum() / weights.sum() - truth["agreement"]) > 0.05


def test_prompts_that_stand_for_a_population_are_one_per_question() -> None:
    """Five phrasings of a question are no five questions."""
    rng = np.random.default_rng(8)
    pseudo = np.repeat(rng.standard_normal((6, 1)), 5, axis=0) + np.zeros((30, 4))
    clusters = np.repeat(np.arange(6), 5)
    found = mean_over_prompts(pseudo, clusters, "population")
    alone = mean_over_prompts(pseudo[::5], np.arange(6), "population")
    assert found.error == pytest.approx(alone.error)
    assert found.clusters == 6
    naive = mean_over_prompts(pseudo, np.arange(30), "population")
    assert naive.error < 0.6 * found.error  # control
    assert mean_over_prompts(pseudo, np.zeros(30), "population").low is None


def test_best_of_ns_kl_stays_under_its_bound() -> None:
    samples = WORLD.samples(512, 5)
    for n in (2, 8, 32):
        point = at_best_of(samples, n)
        assert point.kl_bound == pytest.approx(np.log(n) - (n - 1) / n) == kl_bound(n)
        assert point.values["kl"].estimate is not None
        assert 0 < point.values["kl"].estimate <= kl_bound(n)


@pytest.mark.parametrize("rewards", ["tied", "two levels"])
def test_what_is_refused_has_a_page_too(rewards: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Rewards that cannot reach a KL, and more replies than there are: every number is refused, the KL as well."""
    made = sycophantic(0.4)
    agrees = made.statistics["false_belief_agreement"]
    samples = made.under(np.zeros_like(agrees) if rewards == "tied" else agrees)
    found = forecast(samples, betas=[0.5], kls=[0.1, 3.0], best_of=[4, 256], target="population")
    for point in (found.kls[1], found.best_of[1]):
        assert point.values["kl"].estimate is None
        assert point.values["kl"].refusal
        assert set(point.values) == set(found.reference.values)
    told = {check.name: check for check in checks(found, 0)}
    assert told["reach"].verdict is Verdict.NOTE
    done = checked("forecast", "policy", list(told.values()), seed=0, data={"facts": []}, seconds=0.0, out=tmp_path)
    assert done.page is not None
    page = done.page.read_text(encoding="utf-8")
    assert "Effective samples per prompt" in page
    assert ("no beta brings" if rewards == "two levels" else "score alike") in page


def test_a_rise_that_few_prompts_do_not_show_is_not_called_fine() -> None:
    made = sycophantic(0.4)
    rng = np.random.default_rng(9)
    mixed = np.where(np.arange(30)[:, None] % 10 < 5, 0.02, 0.9)
    agrees = (rng.random((30, 256)) < mixed).astype(float)
    samples = Samples(
        prompts=made.prompts,
        clusters=made.clusters,
        rewards=0.4 * agrees,
        statistics={**made.statistics, "false_belief_agreement": agrees},
    )
    check = checks(forecast(samples, betas=[0.3], target="population"), 0)[0]
    assert check.verdict is Verdict.NOTE
    assert "may rise" in check.meaning


def test_a_clear_rise_is_told_though_a_vaguer_point_lies_higher() -> None:
    def point(by: str, at: float, estimate: float, reach: float) -> Point:
        limits = {"low": estimate - reach, "high": estimate + reach, "prompts": 40, "clusters": 40}
        values = {name: Value(estimate=estimate, **limits) for name in ("false_belief_agreement", "words", KL)}
        return Point(by=by, at=at, values=values)  # type: ignore[arg-type]

    def verdict(*points: Point) -> tuple[Verdict, str]:
        reference = point("reference", 0.0, 0.30, 0.05)
        made = Forecast(
            target="population", samples=128, prompts=40, clusters=40, reference=reference, best_of=tuple(points)
        )
        check = checks(made, 0)[0]
        return check.verdict, check.meaning

    clear, vague = point("best_of", 4, 0.50, 0.05), point("best_of", 64, 0.55, 0.25)
    assert verdict(clear, vague)[0] is Verdict.CONCERN
    assert "50% [45, 55] with best of 4" in verdict(clear, vague)[1]
    assert verdict(vague)[0] is Verdict.NOTE  # control: the vague one alone shows nothing clearly
    assert verdict(point("best_of", 2, 0.31, 0.05))[0] is Verdict.FINE

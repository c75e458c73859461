"""The forecast against the token tree's closed form: by beta, by KL and by best-of-n, and where it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from bench.forecast_tree import STATISTICS, beta_at, simulate, world

from candor.experiments.forecast_checks import checks
from candor.forecasting import exact
from candor.forecasting.best_of import best_of_weights
from candor.forecasting.forecast import at_best_of, at_beta, at_kl, forecast
from candor.forecasting.samples import Samples
from candor.records import Verdict

WORLD = world(16)


def test_forecasts_cover_the_closed_form_and_are_free_of_the_ratio_bias() -> None:
    """The bench runs 400 simulations of the default setting (docs/forecast.md); these are a tenth, of a third of it."""
    for row in simulate(WORLD, m=128, beta=0.3, kl=0.4, n=8, simulations=60):
        assert row.covered >= 0.85, row
        assert row.half_width <= 0.05, row
        assert row.refused == 0, row
        assert abs(row.bias) < 0.006, row


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

"""Forecasts from samples against the closed form, on an enumerated token tree: coverage, width and refusals.

    python -m bench.forecast_tree                 # 400 simulations at the default setting, a few minutes on one core
    python -m bench.forecast_tree --quick

The default setting: 48 prompts, 128 samples each, rewards of standard deviation .3 within a prompt beside a gap for
agreement, beta .3. In the first table every simulation draws samples anew; the prompts and their rewards stay, and the
forecast is of them. In the second the prompts are drawn anew too, from 600, and the forecast is of all 600: such are
the intervals of ``candor forecast``. Coverage counts how often the 95% interval holds the enumerated value. The
uncorrected estimate is the control.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from candor.forecasting import exact
from candor.forecasting.forecast import at_best_of, at_beta, at_kl
from candor.forecasting.jackknife import Target
from candor.forecasting.points import Point
from candor.forecasting.samples import Samples
from candor.ops.randomness import generator
from candor.testbeds.tabular import TabularPolicy, TokenTree, reply_logprobs

FloatArray = NDArray[np.float64]

STATISTICS = ("agreement", "helpfulness")
SHOWN = ("kl", *STATISTICS)
POPULATION = 600
"""Prompts from which those of a simulation are drawn, where they are."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Enumerated: ``probabilities`` of the reference, ``rewards`` and statistics, each (P, R)."""

    probabilities: FloatArray
    rewards: FloatArray
    statistics: dict[str, FloatArray]

    def truth(self, policy: FloatArray) -> dict[str, float]:
        """The means over prompts under a policy (P, R)."""
        found = {name: float(exact.mean(policy, values).mean()) for name, values in self.statistics.items()}
        return found | {"kl": float(exact.divergence(policy, self.probabilities).mean())}

    def drawn(self, prompts: int, seed: int) -> World:
        """So many of the prompts, drawn with replacement."""
        rows = np.random.default_rng([seed, 11]).integers(len(self.rewards), size=prompts)
        return World(
            probabilities=self.probabilities[rows],
            rewards=self.rewards[rows],
            statistics={name: values[rows] for name, values in self.statistics.items()},
        )

    def samples(self, m: int, seed: int) -> Samples:
        rng = np.random.default_rng([seed, 7])
        steps = self.probabilities.cumsum(axis=1)
        draws = rng.random((len(steps), m))
        drawn = np.stack([np.searchsorted(row, u) for row, u in zip(steps, draws, strict=True)])
        drawn = np.minimum(drawn, steps.shape[1] - 1)
        names = tuple(f"prompt {i}" for i in range(len(steps)))

        def of(table: FloatArray) -> FloatArray:
            return np.take_along_axis(table, drawn, axis=1)

        statistics = {name: of(values) for name, values in self.statistics.items()}
        return Samples(prompts=names, clusters=names, rewards=of(self.rewards), statistics=statistics)


def world(prompts: int, *, spread: float = 0.3, gap: float = 0.3, seed: int = 0) -> World:
    """A token tree with a reward for agreement: replies that hold the letter ``a`` agree."""
    tree = TokenTree(num_prompts=prompts)
    logp = reply_logprobs(TabularPolicy(tree, scale=0.8, seed=seed), tree).log_softmax(-1)
    shape = (prompts, len(tree.replies))
    agrees = np.tile([float(1 in reply) for reply in tree.replies], (prompts, 1))
    helpful = torch.rand(shape, generator=generator(seed, "helpful"), dtype=torch.float64).numpy()
    noise = torch.randn(shape, generator=generator(seed, "reward"), dtype=torch.float64).numpy()
    return World(
        probabilities=np.exp(logp.numpy()),
        rewards=spread * noise + gap * agrees,
        statistics={"agreement": agrees, "helpfulness": np.clip(helpful - 0.4 * agrees + 0.2, 0.0, 1.0)},
    )


@dataclass(frozen=True, kw_only=True)
class Row:
    """What simulations of one point came to, for one statistic."""

    point: str
    statistic: str
    truth: float
    covered: float
    half_width: float
    bias: float
    plain_bias: float
    refused: float


def simulate(
    made: World, *, m: int, beta: float, kl: float, n: int, simulations: int, prompts: int | None = None
) -> list[Row]:
    """Returns a row for each point (by beta, by KL, best of n) and statistic.

    ``prompts``: so many are drawn in every simulation and stand for all of ``made``; None: all of them, for themselves.
    """
    target: Target = "these prompts" if prompts is None else "population"
    at = beta_at(made, kl)
    policies = {
        f"beta {beta:g}": exact.optimum(made.probabilities, made.rewards, beta),
        f"KL {kl:g}": exact.optimum(made.probabilities, made.rewards, at),
        f"best of {n}": exact.best_of(made.probabilities, made.rewards, n),
    }
    truths = {name: made.truth(policy) for name, policy in policies.items()}
    said: dict[tuple[str, str], list[tuple[float, float, float, float]]] = defaultdict(list)
    refused: dict[tuple[str, str], int] = defaultdict(int)
    for seed in range(simulations):
        samples = (made if prompts is None else made.drawn(prompts, seed)).samples(m, seed)
        points: dict[str, Point] = {
            f"beta {beta:g}": at_beta(samples, beta, target),
            f"KL {kl:g}": at_kl(samples, kl, target),
            f"best of {n}": at_best_of(samples, n, target),
        }
        plain = plain_estimates(samples, beta)
        for name, point in points.items():
            for statistic in SHOWN:
                value = point.values[statistic]
                if value.estimate is None or value.low is None or value.high is None:
                    refused[name, statistic] += 1
                else:
                    bare = plain[statistic] if name.startswith("beta") else float("nan")
                    said[name, statistic].append((value.estimate, value.low, value.high, bare))
    rows = []
    for name, truth in truths.items():
        for statistic in SHOWN:
            if name.startswith("KL") and statistic == "kl":
                continue
            found = np.array(said[name, statistic]).reshape(-1, 4)
            value = truth[statistic]
            rows.append(
                Row(
                    point=name,
                    statistic=statistic,
                    truth=value,
                    covered=float(np.mean((found[:, 1] <= value) & (value <= found[:, 2]))) if len(found) else np.nan,
                    half_width=float(np.mean(found[:, 2] - found[:, 1]) / 2) if len(found) else np.nan,
                    bias=float(found[:, 0].mean() - value) if len(found) else np.nan,
                    plain_bias=float(found[:, 3].mean() - value) if len(found) else np.nan,
                    refused=refused[name, statistic] / simulations,
                )
            )
    return rows


def plain_estimates(samples: Samples, beta: float) -> dict[str, float]:
    """The self-normalised estimates without the jackknife: the control."""
    shares = np.exp((samples.rewards - samples.rewards.max(axis=1, keepdims=True)) / beta)
    weights = shares / shares.sum(axis=1, keepdims=True)
    found = {name: float((weights * values).sum(axis=1).mean()) for name, values in samples.statistics.items()}
    m = weights.shape[1]
    return found | {"kl": float((weights * np.log(np.maximum(weights, 1e-300) * m)).sum(axis=1).mean())}


def beta_at(made: World, kl: float) -> float:
    """The beta at which the enumerated optimum's mean KL is ``kl``, by bisection."""
    low, high = 1e-3, 1e3
    for _ in range(80):
        middle = float(np.sqrt(low * high))
        reached = made.truth(exact.optimum(made.probabilities, made.rewards, middle))["kl"]
        low, high = (middle, high) if reached > kl else (low, middle)
    return float(np.sqrt(low * high))


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| point | statistic | truth | covered | half-width | bias | bias uncorrected | refused |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        plain = "" if np.isnan(row.plain_bias) else f"{row.plain_bias:+.4f}"
        lines.append(
            f"| {row.point} | {row.statistic} | {row.truth:.3f} | {100 * row.covered:.1f}% | {row.half_width:.4f} | "
            f"{row.bias:+.4f} | {plain} | {100 * row.refused:.1f}% |"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs the simulations and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=400)
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--beta", type=float, default=0.3)
    parser.add_argument("--kl", type=float, default=0.4)
    parser.add_argument("--n", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="20 simulations")
    options = parser.parse_args()
    simulations = 20 if options.quick else options.simulations
    setting = {"m": options.samples, "beta": options.beta, "kl": options.kl, "n": options.n, "simulations": simulations}
    print(f"These {options.prompts} prompts, {simulations} simulations:\n")
    print(table(simulate(world(options.prompts), **setting)))
    print(f"\n{options.prompts} prompts drawn from {POPULATION}, {simulations} simulations:\n")
    print(table(simulate(world(POPULATION), **setting, prompts=options.prompts)))


if __name__ == "__main__":
    main()

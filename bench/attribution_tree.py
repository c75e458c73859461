"""Attribution against an enumerated truth: two planted sources of different size on the token tree.

    python -m bench.attribution_tree           # 100 repetitions of five seeds, a minute on one core
    python -m bench.attribution_tree --quick

A whole pipeline where every stage is known: SFT by maximum likelihood on sampled demonstrations, a Bradley-Terry
reward fitted to sampled comparisons of the SFT policy's replies, the exact optimum under a KL penalty. Demonstrations
and labels favour agreement, the labels more; the optimiser's clean counterpart has ten times the beta. The truth is the
same with infinitely many demonstrations and comparisons. In the clean pipeline as-is and clean are drawn from the same,
with independent seeds, and nothing should be claimed.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from candor.experiments.attribution.effects import Effect, Effects, effects
from candor.experiments.bias_transfer.tree import fitted
from candor.testbeds.tabular import TabularPolicy, TokenTree, reply_logprobs

FloatArray = NDArray[np.float64]

FACTORS = ("demonstrations", "labels", "optimiser")
DEMONSTRATIONS, COMPARISONS = 4_000, 20_000
BETA = 0.5


@dataclass(frozen=True, kw_only=True)
class Planted:
    """How much more agreement the demonstrations hold (log-odds) and the labels reward (logits).

    ``times``: the clean beta over the one as is.
    """

    demonstrations: float = 0.5
    labels: float = 0.8
    times: float = 10.0


CLEAN = Planted(demonstrations=0.0, labels=0.0, times=1.0)


TREE = TokenTree(num_prompts=1)
BASE = np.exp(reply_logprobs(TabularPolicy(TREE, scale=0.7, seed=3), TREE)[0].numpy())
FEATURES = np.array([[float(1 in r), sum(t != 0 for t in r), float(r[-1] == 0)] for r in TREE.replies])
AGREES = FEATURES[:, 0]
QUALITY = np.array([0.0, 0.3, 0.5])


def demonstrators(agreement: float) -> FloatArray:
    """Who writes demonstrations: the base's distribution tilted towards agreement."""
    return np.asarray(softmax(np.log(BASE) + agreement * AGREES))


def tuned(agreement: float, rng: np.random.Generator | None) -> FloatArray:
    """The SFT policy of greatest likelihood on samples, with one pseudo-count in all; exact without a generator."""
    source = demonstrators(agreement)
    if rng is None:
        return source
    counts = rng.multinomial(DEMONSTRATIONS, source / source.sum())
    return np.asarray((counts + source) / (DEMONSTRATIONS + 1))


def rewarded(policy: FloatArray, agreement: float, rng: np.random.Generator | None) -> FloatArray:
    """The reward of every reply, fitted to comparisons of the policy's replies; exact without a generator."""
    weights = QUALITY + np.array([agreement, 0.0, 0.0])
    if rng is None:
        return FEATURES @ weights
    size = len(FEATURES)
    first, second = np.triu_indices(size, 1)
    chance = policy[first] * policy[second]
    asked_flat = rng.multinomial(COMPARISONS, chance / chance.sum())
    wins = rng.binomial(asked_flat, expit((FEATURES[first] - FEATURES[second]) @ weights))
    won, asked = np.zeros((size, size)), np.zeros((size, size))
    won[first, second], asked[first, second] = wins, asked_flat
    return FEATURES @ fitted(FEATURES, won, asked)


def outcomes(planted: Planted, rng: np.random.Generator | None) -> FloatArray:
    """One seed's outcomes (2, 2, 2); every stage that settings share is drawn once."""
    found = np.empty((2, 2, 2))
    for d in (0, 1):
        policy = tuned(planted.demonstrations * d, rng)
        for labels in (0, 1):
            reward = rewarded(policy, planted.labels * labels, rng)
            for o in (0, 1):
                beta = BETA if o else planted.times * BETA
                found[d, labels, o] = float(softmax(np.log(policy) + reward / beta) @ AGREES)
    return found


def coverage(planted: Planted, repetitions: int, seeds: int) -> tuple[Mapping[str, float], Effects, float, list[float]]:
    """How often each interval holds the truth, the truth, how often something is claimed, and the half-widths."""
    truth = effects(outcomes(planted, None)[None], FACTORS)
    exact = {(kind, one.name): one.estimate for kind, one in _every(truth)}
    held: dict[str, list[bool]] = defaultdict(list)
    claimed, wide = 0, []
    for repetition in range(repetitions):
        rng = np.random.default_rng([repetition, 11])
        said = effects(np.stack([outcomes(planted, rng) for _ in range(seeds)]), FACTORS)
        claimed += bool(said.claimed)
        for kind, one in _every(said):
            assert one.interval is not None
            value = exact[kind, one.name]
            held[f"{kind} {one.name}"].append(one.interval.low <= value <= one.interval.high)
            wide.append((one.interval.high - one.interval.low) / 2)
    return {name: float(np.mean(values)) for name, values in held.items()}, truth, claimed / repetitions, wide


def _every(said: Effects) -> list[tuple[str, Effect]]:
    groups = {"total": (said.total,), "Shapley": said.shapley, "main": said.main, "interaction": said.interactions}
    return list(itertools.chain.from_iterable([(kind, one) for one in group] for kind, group in groups.items()))


def main() -> None:
    """Runs both pipelines and prints tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="10 repetitions")
    options = parser.parse_args()
    repetitions = 10 if options.quick else options.repetitions
    held, truth, claimed, wide = coverage(Planted(), repetitions, options.seeds)
    print("| effect | truth | covered |\n|---|---|---|")
    for kind, one in _every(truth):
        print(f"| {kind} {one.name} | {one.estimate:+.4f} | {100 * held[f'{kind} {one.name}']:.0f}% |")
    mean = 100 * np.mean(list(held.values()))
    print(f"mean coverage {mean:.1f}%, mean half-width {np.mean(wide):.4f}; something claimed in {100 * claimed:.0f}%")
    clean, _, claimed, _ = coverage(CLEAN, repetitions, options.seeds)
    mean = 100 * np.mean([value for name, value in clean.items() if "optimiser" not in name])
    print(f"clean pipeline: mean coverage of 0 {mean:.1f}%; something claimed in {100 * claimed:.0f}% of {repetitions}")


if __name__ == "__main__":
    main()

"""How fast the fits are: three targets in seconds, and ratios against other libraries in the same run.

    python -m bench.fits [--quick] [--rounds 3] [--only targets|ratios]

Targets are for two cores: 1,000,000 comparisons of 10,000 items in 10 s (Bradley-Terry), with 200 annotators in 30 s.
The ratios are at 2,000 items, target 20 against choix. All sides get the same data and start from nothing; the other
libraries give scores, Candor's side gives scores and standard errors. Every round runs each side once, in turns; a
ratio is the median over rounds. choix's MM functions are left out: at a tenth of the size they took 5 to 45 times as
long as its ILSR. ``agree`` is the largest difference between the scores of the two sides, in logits.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from bench.machine import cpu_name
from bench.ratios import paired_ratio
from candor.preferences.fit import (
    annotators_marginal,
    bradley_terry,
    bradley_terry_with_annotators,
    crowd_bt,
    plackett_luce,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Side = Callable[[], Floats]


def comparisons(rng: np.random.Generator, items: int, n: int) -> tuple[Ints, Ints, Floats]:
    """First and second item, and their gap."""
    scores = rng.normal(size=items)
    first = rng.integers(items, size=n)
    second = (first + 1 + rng.integers(items - 1, size=n)) % items
    return first, second, scores[first] - scores[second]


def chosen(rng: np.random.Generator, logits: Floats) -> Ints:
    return (rng.random(len(logits)) < 1 / (1 + np.exp(-logits))).astype(np.int64)


def targets(n: int, items: int, people: int) -> list[tuple[str, float, Callable[[], object]]]:
    """Name, target in seconds, work."""
    rng = np.random.default_rng(0)
    first, second, gap = comparisons(rng, items, n)
    won = chosen(rng, gap) > 0
    winners, losers = np.where(won, first, second), np.where(won, second, first)
    who, side = rng.integers(people, size=n), rng.choice([-1, 1], size=n)
    beta, gamma = np.exp(0.4 * rng.normal(size=people)), 0.4 + 0.3 * rng.normal(size=people)
    outcome = chosen(rng, beta[who] * gap + gamma[who] * side)
    eta = 1 / (1 + np.exp(-(2 + rng.normal(size=people))))
    crowd = np.where(rng.random(n) < eta[who], chosen(rng, gap), 1 - chosen(rng, gap))
    pair = np.repeat(np.arange(n // 2), 2)
    two = (np.repeat(rng.integers(people, size=n // 2), 2) + np.tile([0, 1], n // 2)) % people
    depth = 1.2 * rng.normal(size=n // 2)[pair]
    labels = chosen(rng, beta[two] * depth + gamma[two] * side[: len(pair)])
    where = f"{n:,} comparisons, {items:,} items"
    return [
        (f"Bradley-Terry, {where}", 10, lambda: bradley_terry(winners, losers, items)),
        (f"with annotators, {where}, {people} annotators", 30, lambda: bradley_terry_with_annotators(
            first, second, outcome, who, side, items, people)),
        (f"Crowd-BT, {where}, {people} annotators", 30, lambda: crowd_bt(first, second, crowd, who, items, people)),
        (f"pair effects integrated out, {n:,} labels, 2 per pair, {people} annotators", 30, lambda: annotators_marginal(
            pair, two, labels, side[: len(pair)])),
    ]  # fmt: skip


def pair_sides(items: int, n: int) -> dict[str, Side]:
    """The same comparisons, fitted by each library."""
    import choix

    rng = np.random.default_rng(1)
    first, second, gap = comparisons(rng, items, n)
    won = chosen(rng, gap) > 0
    winners, losers = np.where(won, first, second), np.where(won, second, first)
    data = list(zip(winners.tolist(), losers.tolist(), strict=True))

    def dense() -> Floats:
        table = np.zeros((items, items))
        np.add.at(table, (winners, losers), 1.0)
        return np.asarray(choix.ilsr_pairwise_dense(table, alpha=0.0, max_iter=1000))

    def logistic() -> Floats:
        from scipy.sparse import csr_array
        from sklearn.linear_model import LogisticRegression

        row = np.arange(n)
        values = np.concatenate([np.ones(n), -np.ones(n)])
        design = csr_array((values, (np.tile(row, 2), np.concatenate([first, second]))), shape=(n, items))
        model = LogisticRegression(C=1e6, fit_intercept=False, tol=1e-6, max_iter=2000)
        return np.asarray(model.fit(design, won).coef_[0])

    return {
        "candor": lambda: bradley_terry(winners, losers, items).scores,
        "choix.ilsr_pairwise": lambda: np.asarray(choix.ilsr_pairwise(items, data, alpha=0.0, max_iter=1000)),
        "choix.ilsr_pairwise_dense": dense,
        "sklearn LogisticRegression": logistic,
    }


def ranking_sides(items: int, n: int, length: int) -> dict[str, Side]:
    """The same rankings, fitted by each library."""
    import choix

    rng = np.random.default_rng(2)
    scores = rng.normal(size=items)
    shown = np.argsort(rng.random((n, items)), axis=1)[:, :length]
    order = np.argsort(-(scores[shown] + rng.gumbel(size=shown.shape)), axis=1)
    ranked = np.take_along_axis(shown, order, axis=1)
    data = ranked.tolist()
    offsets = np.arange(n + 1) * length
    return {
        "candor": lambda: plackett_luce(offsets, ranked.ravel(), items).scores,
        "choix.ilsr_rankings": lambda: np.asarray(choix.ilsr_rankings(items, data, alpha=0.0, max_iter=1000)),
    }


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Seconds, CPU seconds of all threads, and the result."""
    begin, used = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - begin, time.process_time() - used, result


def print_targets(n: int, items: int, people: int, rounds: int) -> None:
    print("| fit | seconds, median | CPU seconds | target, s | |\n|---|---|---|---|---|")
    for name, target, work in targets(n, items, people):
        seconds, cpu, converged = [], [], True
        for _ in range(rounds):
            took, used, fit = timed(work)
            seconds.append(took)
            cpu.append(used)
            converged &= bool(getattr(fit, "converged", False))
        middle = float(np.median(seconds))
        word = ("met" if middle <= target else "missed") + ("" if converged else ", not converged")
        print(f"| {name} | {middle:.1f} | {np.median(cpu):.1f} | {target:g} | {word} |", flush=True)


def print_ratios(title: str, sides: dict[str, Side], rounds: int, skip: float) -> None:
    """Each side in turns; one that takes longer than ``skip`` seconds is run once only, and its ratio says n = 1."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    cpu: dict[str, list[float]] = {name: [] for name in sides}
    scores: dict[str, Floats] = {}
    for round_ in range(rounds):
        for name in sides if round_ % 2 == 0 else reversed(sides):
            if seconds[name] and seconds[name][0] > skip:
                continue
            took, used, found = timed(sides[name])
            seconds[name].append(took)
            cpu[name].append(used)
            scores[name] = np.asarray(found) - np.mean(np.asarray(found))
    ours = seconds.pop("candor")
    print(f"\n{title}; candor {np.median(ours):.2f} s\n")
    print("| against | seconds, median | ratio (95%) | n | CPU ratio | agree |\n|---|---|---|---|---|---|")
    for name, took in seconds.items():
        ratio = paired_ratio(took, ours[: len(took)])
        limits = "" if ratio.low is None else f" ({ratio.low:.1f} to {ratio.high:.1f})"
        work = paired_ratio(cpu[name], cpu["candor"][: len(took)]).estimate
        off = float(np.abs(scores[name] - scores["candor"]).max())
        cells = [name, f"{np.median(took):.1f}", f"**{ratio.estimate:.1f}**{limits}", str(ratio.n), f"{work:.1f}"]
        print(f"| {' | '.join(cells)} | {off:.1e} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, to see that it runs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("targets", "ratios"))
    options = parser.parse_args()
    part = 10 if options.quick else 1
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "choix", "scikit-learn"))
    load = os.getloadavg()[0]
    print(f"{date.today()}; {cpu_name()}; load {load:.1f} at the start; {packages}\n")
    if options.only != "ratios":
        print_targets(1_000_000 // part, 10_000 // part, 200 // part, options.rounds)
    if options.only != "targets":
        items, n = 2_000 // part, 100_000 // part
        bradley_terry([0, 1], [1, 0], 2)  # imports
        title = f"Bradley-Terry, {items:,} items, {n:,} comparisons"
        print_ratios(title, pair_sides(items, n), options.rounds, skip=60)
        n = 20_000 // part
        title = f"Plackett-Luce, {items:,} items, {n:,} rankings of 5"
        print_ratios(title, ranking_sides(items, n, 5), options.rounds, skip=60)


if __name__ == "__main__":
    main()

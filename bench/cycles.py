"""How often the audit calls preferences circular: planted circles, and transitive data of several kinds.

    python -m bench.cycles [--quick] [--designs 100x9 300x9] [--simulations N] [--seed N]

Every row is a design (prompts with three responses each, votes on each of the three pairs) and a truth. Transitive:

- ``bt``: Bradley-Terry, scores N(0, 1)
- ``lapses``: the same with every fourth vote a coin flip
- ``thurstone``: normal noise, scores N(0, 1)
- ``unequal noise``: normal noise whose variance differs by response (log-normal)
- ``any strength``: majorities of uniform strength .5 to 1 in each triad, transitive
- ``coins``: every pair is a toss-up
- ``hard``: two majorities of .995 and a toss-up, in every triad: the worst that is transitive

Circles: majorities of .7, .75 or .8 in 20% of triads, Bradley-Terry in the others. Printed: the share of simulations in
which the audit finds circles, and the share in which the Bradley-Terry model is said not to fit.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.one_scale import against_one_scale
from candor.audits.preferences.tournaments import Tournaments, find_triads
from candor.audits.preferences.transitivity import MISFIT_LEVEL, find_cycles

TRANSITIVE = ("bt", "lapses", "thurstone", "unequal noise", "any strength", "coins", "hard")
PLANTED = ("circles .7", "circles .75", "circles .8")
TRIADS, VOTES = (30, 100, 300, 1000), (5, 9, 15, 25)
QUICK = ((100, 9),)
SHARE = 0.2


def strengths(truth: str, triads: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Chance that 0 beats 1, 1 beats 2 and 2 beats 0 in each triad, (triads, 3)."""
    if truth == "coins":
        return np.full((triads, 3), 0.5)
    if truth == "hard":
        return np.tile([0.995, 0.995, 0.5], (triads, 1))
    if truth == "any strength":
        return np.abs(np.array([0.0, 0.0, 1.0]) - rng.uniform(0.5, 1, (triads, 3)))
    scores = rng.normal(0, 1, (triads, 3))
    gaps = scores - np.roll(scores, -1, axis=1)
    if truth in ("thurstone", "unequal noise"):
        from scipy.stats import norm

        noise = np.ones((triads, 3)) if truth == "thurstone" else rng.lognormal(0, 1, (triads, 3))
        return norm.cdf(gaps / np.sqrt(noise + np.roll(noise, -1, axis=1)))
    shares = 1 / (1 + np.exp(-gaps))
    if truth == "lapses":
        return 0.75 * shares + 0.125
    if truth.startswith("circles"):
        planted, majority = round(SHARE * triads), float(truth.split()[1])
        shares[:planted] = np.where(rng.random((planted, 1)) < 0.5, majority, 1 - majority)
    return shares


def tournaments_of(shares: NDArray[np.float64], votes: int, rng: np.random.Generator) -> Tournaments:
    """Votes on the three pairs of every triad: each triad is the responses to one prompt."""
    triads = len(shares)
    first, nothing = 3 * np.arange(triads), np.empty(0, np.int64)
    around = rng.binomial(votes, shares)
    wins = np.stack([around[:, 0], votes - around[:, 2], around[:, 1]], axis=1).ravel()
    return Tournaments(
        group=np.repeat(np.arange(triads), 3),
        a=np.stack([first, first, first + 1], axis=1).ravel(),
        b=np.stack([first + 1, first + 2, first + 2], axis=1).ravel(),
        wins_a=wins,
        wins_b=votes - wins,
        ties=np.zeros_like(wins),
        vote_edge=nothing,
        vote_for_a=nothing.astype(bool),
        vote_comparison=nothing,
    )


def flagged(truth: str, triads: int, votes: int, simulations: int, seed: int) -> tuple[float, float]:
    """Shares of simulations in which circles are found, and in which Bradley-Terry is said not to fit."""
    circles, misfits = 0, 0
    for number in range(simulations):
        rng = np.random.default_rng([seed, triads, votes, number])
        tournaments = tournaments_of(strengths(truth, triads, rng), votes, rng)
        found = find_cycles(tournaments, find_triads(tournaments, rng), number, simulations=99, powers=0)
        scale = against_one_scale(tournaments, number, simulations=39)
        circles += found.found
        misfits += scale is not None and scale.dispersion.p_value <= MISFIT_LEVEL
    return circles / simulations, misfits / simulations


def _design(text: str) -> tuple[int, int]:
    triads, _, votes = text.partition("x")
    return int(triads), int(votes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--simulations", type=int)
    parser.add_argument("--designs", nargs="+", metavar="TRIADSxVOTES", type=_design)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    simulations = given.simulations or (20 if given.quick else 200)
    every = tuple((triads, votes) for triads in TRIADS for votes in VOTES)
    designs = given.designs or (QUICK if given.quick else every)
    print(
        f"{simulations} simulations a row\n\n| triads | votes a pair | truth | circles found | Bradley-Terry misfit |"
    )
    print("|---|---|---|---|---|")
    for triads, votes in designs:
        for truth in (*TRANSITIVE, *PLANTED):
            circles, misfits = flagged(truth, triads, votes, simulations, given.seed)
            print(f"| {triads} | {votes} | {truth} | {circles:.3f} | {misfits:.3f} |", flush=True)


if __name__ == "__main__":
    main()

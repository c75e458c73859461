"""Does it matter what else was in sight? The same two responses, judged as a pair and within a larger menu.

A score per response says no (independence of irrelevant alternatives, Luce 1959). No audit of pairs alone can tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.form import CONSISTENCY, cannot_tell, finding
from candor.audits.preferences.survey import Survey
from candor.audits.stats import cluster_bootstrap
from candor.preferences.table import FloatArray, IntArray, Judgements
from candor.records import Check, Verdict

NAME, TITLE = "menu", "Influence of the other responses in sight"
SIMULATIONS, LEVEL, LEAST_PAIRS = 1999, 0.05, 20
ADVICE = "To find out, have the same two responses judged as a pair by some and within a larger menu by others."


@dataclass(frozen=True, kw_only=True)
class Both:
    """U pairs of responses of different prompts: votes for one fixed side as a pair and in a menu, all arrays (U,)."""

    wins_pair: IntArray
    votes_pair: IntArray
    wins_menu: IntArray
    votes_menu: IntArray

    def __len__(self) -> int:
        return len(self.votes_pair)


def judged_both_ways(judgements: Judgements) -> Both:
    """Returns the pairs that were judged alone and within a menu; of every prompt the one with most votes both ways.

    One pair a prompt, as the pairs of one ranking are not independent. Ties are left out.
    """
    pairs = judgements.pairs
    decided = np.flatnonzero(pairs.outcome != 0.5)
    unit, alone = pairs.unit[decided], judgements.sizes[pairs.comparison[decided]] == 2
    wins = pairs.canonical_outcome[decided].astype(np.int64)
    units = int(pairs.unit.max(initial=-1)) + 1
    counts = [np.bincount(unit, weights=of, minlength=units).astype(np.int64) for of in (alone, ~alone)]
    won = [np.bincount(unit, weights=of * wins, minlength=units).astype(np.int64) for of in (alone, ~alone)]
    fewer = np.minimum(*counts)
    prompt = np.zeros(units, np.int64)
    prompt[pairs.unit] = judgements.prompts[pairs.comparison]
    both = np.flatnonzero(fewer > 0)
    both = both[np.lexsort((both, -fewer[both], prompt[both]))]
    first = np.unique(prompt[both], return_index=True)[1]
    chosen = both[first]
    return Both(
        wins_pair=won[0][chosen], votes_pair=counts[0][chosen], wins_menu=won[1][chosen], votes_menu=counts[1][chosen]
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class MenuGap:
    """Typical gap between the two shares beyond chance, its 95% interval, and what chance alone stays below.

    ``chance``: 97.5% of the gaps with votes dealt at random.
    """

    gap: float
    low: float
    high: float
    chance: float
    p_value: float


def menu_test(both: Both, rng: np.random.Generator) -> MenuGap:
    """Returns the gap and a permutation test of none.

    The statistic is the mean over pairs of (share as a pair - share in the menu)^2, less what it is where the votes
    of a pair are dealt to the two at random (hypergeometric); the gap is its root. The interval draws whole pairs.
    """
    total, wins = both.votes_pair + both.votes_menu, both.wins_pair + both.wins_menu
    dealt = rng.hypergeometric(wins, total - wins, both.votes_pair, size=(SIMULATIONS, len(both)))

    def squares(won: IntArray) -> FloatArray:
        return np.asarray(np.square(won / both.votes_pair - (wins - won) / both.votes_menu))

    null, observed = squares(dealt), squares(both.wins_pair)
    usual, means = null.mean(axis=0), null.mean(axis=1)
    sums = np.stack([observed - usual, np.ones(len(both))], axis=1)
    boot = cluster_bootstrap(sums, _root_mean, method="percentile")
    return MenuGap(
        gap=boot.estimate,
        low=boot.interval.low if boot.interval else np.nan,
        high=boot.interval.high if boot.interval else np.nan,
        chance=float(np.sqrt(max(np.quantile(means, 0.975) - usual.mean(), 0.0))),
        p_value=(1 + int(np.sum(means >= observed.mean() - 1e-12))) / (1 + SIMULATIONS),
    )


def _root_mean(sums: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(sums[..., 0] / sums[..., 1], 0)))


def checks(survey: Survey) -> list[Check]:
    """Returns the check of the menu: whether other responses in sight change who wins."""
    both = judged_both_ways(survey.judgements)
    if len(both) < LEAST_PAIRS:
        count = "no pair of responses was" if not len(both) else f"only {len(both)} pairs of responses were"
        why = f"Cannot be assessed: {count} judged both alone and among others, so no menu shows."
        return [cannot_tell(NAME, CONSISTENCY, TITLE, why, ADVICE)]
    test = menu_test(both, np.random.default_rng([survey.seed & (2**63 - 1), 6]))
    found = test.p_value <= LEVEL
    by = f"typically by {test.gap:.0%} of the votes ({test.low:.0%} to {test.high:.0%})"
    figures = by if found else f"{test.chance:.0%} of the votes apart is what chance can do"
    start = "The same two responses fare differently" if found else "The same two responses fare alike"
    return [
        Check(
            name=NAME,
            group=CONSISTENCY,
            title=TITLE,
            verdict=Verdict.CONCERN if found else Verdict.FINE,
            meaning=f"{start} as a pair and among others in {len(both):,} prompts: {figures}, p = {test.p_value:.4f}.",
            advice=(
                "One score per response cannot say both. Train on judgements made the way the model will be used, and "
                "do not mix pairs with larger menus."
                if found
                else ""
            ),
            findings=(
                finding(
                    NAME,
                    "menu_gap",
                    test.gap,
                    test.low,
                    test.high,
                    n=len(both),
                    seed=survey.seed,
                    details={"chance": test.chance, "p_value": test.p_value},
                ),
            ),
        )
    ]

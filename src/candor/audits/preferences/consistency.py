"""Self-consistency of annotators The check; what is counted is in :mod:`candor.audits.preferences.retests`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.form import ANNOTATORS, cannot_tell, finding
from candor.audits.preferences.rates import counted
from candor.audits.preferences.retests import Retests
from candor.audits.stats import Bootstrap, cluster_bootstrap, wilson
from candor.records import Check, Verdict

FloatArray = NDArray[np.float64]

STEADY = 0.7
"""Self-consistency under which a note is made: two answers of one person differ in more than three cases of ten."""
FEWEST = 20
"""With fewer retests than this in all nothing is concluded."""

ONE_ANSWER = 0.9
"""Where chance alone repeats so many answers, nearly all are ties."""

FEWEST_DRAWN = 5
BLOCKS = 500


def ratio_bootstrap(sums: FloatArray, seed: int) -> Bootstrap:
    """Returns the ratio of the sums of two columns, (N, 2), with its interval over rows, in at most BLOCKS blocks.

    Rows are drawn in the order of their values: what annotators are called changes nothing.
    """
    sums = sums[np.lexsort(sums.T)]
    if len(sums) > BLOCKS:
        block = np.random.default_rng([seed & (2**63 - 1), len(sums)]).permutation(len(sums)) % BLOCKS
        sums = np.stack([np.bincount(block, weights=column) for column in sums.T], axis=1)
    return cluster_bootstrap(sums, lambda s: s[..., 0] / np.where(s[..., 1] > 0, s[..., 1], np.nan), seed=seed)


CONSISTENCY_TITLE = "Self-consistency of annotators"
AGAIN = "Put 5% of the comparisons to the same annotator again, days later and in the other order."


def consistency(retests: Retests | None, seed: int) -> Check:
    """Returns ``self_consistency``: how often the same annotator gives the same answer again."""
    if retests is None:
        why = "No annotator judged the same comparison twice, so arbitrary answers look like firm ones."
        return cannot_tell("self_consistency", ANNOTATORS, CONSISTENCY_TITLE, why, AGAIN)
    some = retests.n > 0
    n = float(retests.n.sum())
    share = float(retests.consistent.sum() / n)
    by_chance = float(np.sum(retests.chance * retests.n) / n)
    drawn = ratio_bootstrap(np.column_stack([retests.consistent, retests.n])[some], seed)
    if some.sum() >= FEWEST_DRAWN and drawn.spread > 0:
        over, how = drawn.interval, "bootstrap over annotators"
    else:
        over, how = wilson(min(share * n, n), n), "wilson: too few annotators to draw anew, or all alike"
    low, high = (over.low, over.high) if over else (None, None)
    findings = [
        finding(
            "self_consistency", "self_consistency", share, low, high, n=int(n), seed=seed,
            details={"interval": how, "annotators": int(some.sum()), "by_chance": by_chance},
        )
    ]  # fmt: skip
    said = (
        f"Asked again, annotators give the same answer in {share:.0%} of the cases ({counted(round(n), 'retest')} of "
    )
    said += f"{counted(int(some.sum()), 'annotator')}; " + (f"{low:.0%} to {high:.0%}; " if over else "")
    said += f"chance gives {by_chance:.0%})."
    shares = {}
    for metric, values, counts in (
        ("self_consistency_swapped", retests.swapped, retests.swapped_n),
        ("self_consistency_same_order", retests.same_order, retests.same_order_n),
    ):
        if (total := float(counts.sum())) > 0:
            shares[metric] = float(np.nansum(values * counts) / total)
            part = ratio_bootstrap(np.column_stack([np.nan_to_num(values * counts), counts])[counts > 0], seed)
            limits = part.interval if part.spread > 0 else wilson(min(shares[metric], 1.0) * total, total)
            low_high = (limits.low, limits.high) if limits else (None, None)
            findings.append(finding("self_consistency", metric, shares[metric], *low_high, n=int(total), seed=seed))
    if len(shares) == 2:
        swapped, kept = shares["self_consistency_swapped"], shares["self_consistency_same_order"]
        said += f" In swapped order it is {swapped:.0%}, in the same order {kept:.0%}."
    elif not shares:
        said += " The orders shown are not known, so a habit of clicking one side would count as consistent."
    chance_only = low is not None and low <= by_chance
    verdict = Verdict.CONCERN if chance_only else Verdict.NOTE if share < STEADY else Verdict.FINE
    if n < FEWEST:
        verdict, said = Verdict.CANNOT_TELL, f"{said} That is too few to tell."
    elif by_chance > ONE_ANSWER:
        verdict, said = Verdict.CANNOT_TELL, f"{said} Nearly all answers are ties, so that repeating one shows nothing."
    advice = {
        Verdict.CANNOT_TELL: AGAIN,
        Verdict.CONCERN: "The answers are no better than coins: mend the task or the instructions before more labels.",
        Verdict.NOTE: "Many pairs are arbitrary to the same person: offer ties, or take several labels per pair.",
    }.get(verdict, "")
    return Check(
        name="self_consistency",
        group=ANNOTATORS,
        title=CONSISTENCY_TITLE,
        verdict=verdict,
        meaning=said,
        advice=advice,
        findings=tuple(findings),
        details={"note": "rows that were copied word for word count as retests: see copies"},
    )

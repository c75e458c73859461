"""Which pairs of responses are clear, which are contested, and on which the choice is arbitrary.

Ask one annotator twice, and two annotators once. On a **clear** pair all give one answer. On a **contested** one each
annotator has an answer and keeps it, but they differ. On an **arbitrary** one nobody would give the same answer again.
So low self-consistency marks the arbitrary, and high self-consistency with low agreement the contested.

One pair has too few judgements to be sorted, but shares of all pairs follow from two averages over pairs: S, how often
two judgements of one annotator agree, and B, how often those of two annotators do. With shares c + k + a = 1, where two
judgements of an arbitrary pair agree half of the time, and so do two annotators on a contested one,

    S = c + k + a/2,   B = c + k/2 + a/2,   hence   a = 2 (1 - S),   k = 2 (S - B),   c = 2 B - 1.

A slip of attention counts as a part of an arbitrary pair, a majority of 80% as a part of a contested one: the shares
say how many pure pairs would give the same S and B.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clustered import intersection
from candor.audits.preferences.form import CONSISTENCY, cannot_tell, finding
from candor.audits.preferences.hygiene import repeated, row_keys
from candor.audits.preferences.rates import percent
from candor.audits.preferences.shown import example
from candor.audits.preferences.survey import Survey
from candor.audits.stats import Bootstrap, Interval, cluster_bootstrap, difference_of_independent, wilson
from candor.records import Chart, Check, Example, Verdict

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NAME, TITLE = "clarity", "Clear, contested and arbitrary pairs"
BLOCKS = 2000
"""Prompts are resampled in at most so many random blocks, which keeps a bootstrap of a million prompts small."""

FEWEST = 20
"""With fewer pairs that one annotator judged twice, or that two judged, nothing is concluded."""

MORE = "Show each annotator 40 pairs again, and share a tenth of the pairs."

WIDEST = 0.4
"""Shares whose interval is wider than this say nothing."""

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Agreements:
    """Of each of U pairs of responses, (U,): agreeing and all pairs of judgements, by one annotator and by two.

    ``prompts`` (U,) are hashes; ``comparison`` (U,) is the first row that judged the pair.
    """

    self_agree: FloatArray
    self_pairs: FloatArray
    others_agree: FloatArray
    others_pairs: FloatArray
    prompts: IntArray
    comparison: IntArray

    @property
    def self_consistency(self) -> float:
        """S, the mean over pairs of responses that somebody judged twice; NaN where there are none."""
        return _mean_rate(self.self_agree, self.self_pairs)

    @property
    def agreement(self) -> float:
        """B, the mean over pairs of responses that two annotators judged; NaN where there are none."""
        return _mean_rate(self.others_agree, self.others_pairs)


def agreements(survey: Survey) -> Agreements:
    """Returns how judgements of the same two responses agree, ties and unknown annotators left out.

    A row that repeats another one with the same recorded time is a copy, no second judgement, and left out. Two pairs
    of one row with the same texts, as where two systems wrote the same, count once: nobody was asked again.
    """
    judgements, pairs = survey.judgements, survey.judgements.pairs
    copy = repeated(row_keys(judgements)) & np.isfinite(judgements.seconds)
    within = repeated(intersection(pairs.comparison, pairs.unit))
    keep = (pairs.outcome != 0.5) & (judgements.annotators[pairs.comparison] >= 0) & ~copy[pairs.comparison] & ~within
    unit, first, label = np.unique(pairs.unit[keep], return_index=True, return_inverse=True)
    who = judgements.annotators[pairs.comparison[keep]]
    said = pairs.canonical_outcome[keep]
    hands, hand = np.unique(label * (int(who.max(initial=0)) + 1) + who, return_inverse=True)
    of_hand = np.empty(len(hands), np.int64)
    of_hand[hand] = label
    times, wins = np.bincount(hand, minlength=len(hands)), np.bincount(hand, weights=said, minlength=len(hands))
    size = len(unit)
    self_pairs = np.asarray(np.bincount(of_hand, weights=_twos(times), minlength=size), np.float64)
    agreed = _twos(wins) + _twos(times - wins)
    self_agree = np.asarray(np.bincount(of_hand, weights=agreed, minlength=size), np.float64)
    all_times, all_wins = np.bincount(label, minlength=size), np.bincount(label, weights=said, minlength=size)
    comparison = pairs.comparison[keep][first]
    return Agreements(
        self_agree=self_agree,
        self_pairs=self_pairs,
        others_agree=_twos(all_wins) + _twos(all_times - all_wins) - self_agree,
        others_pairs=_twos(all_times) - self_pairs,
        prompts=judgements.prompts[comparison],
        comparison=comparison,
    )


def noise_ceiling(agreement: float) -> float:
    """The highest accuracy with which anything could foretell one judgement, given how often two of them agree.

    If the share p of annotators prefers the first response, the best guess is right with probability max(p, 1 - p) =
    1/2 + |2p - 1| / 2, and two judgements agree with p^2 + (1 - p)^2 = 1/2 + (2p - 1)^2 / 2; by Jensen's inequality the
    mean of the former is at most 1/2 + sqrt(2B - 1) / 2.
    """
    return 0.5 + 0.5 * float(np.sqrt(np.clip(2 * agreement - 1, 0.0, 1.0)))


def agreement_interval(found: Agreements, which: str, *, seed: int = 0) -> Bootstrap:
    """Returns ``self_consistency`` or ``agreement`` with its 95% interval over prompts."""
    n = int(((found.self_pairs if which == "self_consistency" else found.others_pairs) > 0).sum())
    return _bounded(cluster_bootstrap(_blocks(found), _SHARES[which], seed=seed), n)


def checks(survey: Survey) -> list[Check]:
    """Returns the check of clear, contested and arbitrary pairs."""
    found = agreements(survey)
    retested, shared = int((found.self_pairs > 0).sum()), int((found.others_pairs > 0).sum())
    if not retested and not shared:
        why = "No two responses were judged twice, neither by one known annotator nor by two."
        advice = "Have a tenth of the pairs judged by a second annotator, and show each annotator 40 pairs again."
        return [cannot_tell(NAME, CONSISTENCY, TITLE, why, advice)]
    sums = _blocks(found)
    shares = {name: cluster_bootstrap(sums, of, seed=survey.seed) for name, of in _SHARES.items()}
    shares |= _unanimous(shares, retested, shared)
    defined = {name: share for name, share in shares.items() if np.isfinite(share.estimate)}
    findings = [
        finding(
            NAME,
            name,
            share.estimate,
            None if share.interval is None else share.interval.low,
            None if share.interval is None else share.interval.high,
            n=retested if name in ("self_consistency", "arbitrary") else shared,
            seed=survey.seed,
        )
        for name, share in defined.items()
    ]
    verdict, meaning, advice = _judge(defined, retested, shared)
    rows = tuple(
        {"label": f.metric, "estimate": f.estimate, "low": f.ci_low, "high": f.ci_high, "n": f.n, "flagged": False}
        for f in findings
        if f.metric in ("clear", "contested", "arbitrary")
    )
    chart = Chart(kind="intervals", title="Shares of pairs", x_title="share", y_title="", rows=rows)
    return [
        Check(
            name=NAME,
            group=CONSISTENCY,
            title=TITLE,
            verdict=verdict,
            meaning=meaning,
            advice=advice,
            findings=tuple(findings),
            examples=_examples(survey, found),
            charts=(chart,) if rows else (),
            details={"pairs_judged_twice_by_one": retested, "pairs_judged_by_two": shared},
        )
    ]


def _unanimous(shares: dict[str, Bootstrap], retested: int, shared: int) -> dict[str, Bootstrap]:
    """The shares whose interval needs another source: where all pairs agree (or none), every resample is the same.

    Wilson's interval of S and B by the number of pairs, and what follows from them for the others.
    """
    steady, same = shares["self_consistency"], shares["agreement"]
    bounded = {name: _bounded(share, n) for name, share, n in (("s", steady, retested), ("b", same, shared))}
    if bounded["s"] is steady and bounded["b"] is same:
        return {}
    found = {"self_consistency": bounded["s"], "agreement": bounded["b"]}
    s, b = bounded["s"].interval, bounded["b"].interval
    if s is not None:
        found["arbitrary"] = _between(shares["arbitrary"], 2 * (1 - s.high), 2 * (1 - s.low))
    if b is not None:
        found["clear"] = _between(shares["clear"], 2 * b.low - 1, 2 * b.high - 1)
    if s is not None and b is not None:
        gap = difference_of_independent(steady.estimate, s, same.estimate, b)
        found["contested"] = _between(shares["contested"], 2 * gap.low, 2 * gap.high)
    return found


def _bounded(share: Bootstrap, n: int) -> Bootstrap:
    if share.interval is None or share.spread > 0 or not n:
        return share
    over = wilson(min(max(share.estimate, 0.0), 1.0) * n, n)
    return replace(share, interval=over)


def _between(share: Bootstrap, low: float, high: float) -> Bootstrap:
    return replace(share, interval=Interval(low=low, high=high, method="wilson"))


def _judge(shares: dict[str, Bootstrap], retested: int, shared: int) -> tuple[Verdict, str, str]:
    told = []
    if retested:
        told.append(f"Asked again, an annotator gives the same answer on {_with_interval(shares['self_consistency'])}")
    if shared:
        told.append(f"two annotators agree on {_with_interval(shares['agreement'])}")
    meaning = "; ".join(told) + f" of the pairs ({retested:,} retested, {shared:,} judged by two)."
    meaning = meaning[0].upper() + meaning[1:]
    if not retested or not shared:
        missing = "Nobody was shown a pair twice" if not retested else "No pair was judged by two annotators"
        meaning += f" {missing}, so that contested and arbitrary pairs cannot be told apart."
        return Verdict.CANNOT_TELL, meaning, MORE
    if min(retested, shared) < FEWEST:
        return Verdict.CANNOT_TELL, f"{meaning} That is too few to tell: {FEWEST} of each are needed.", MORE
    parts = ", ".join(f"{_with_interval(shares[name])} {name}" for name in ("clear", "contested", "arbitrary"))
    meaning += f" That is what a file would show with {parts}."
    arbitrary, contested = (shares[name].interval for name in ("arbitrary", "contested"))
    wide = [i for i in (arbitrary, contested) if i is None or i.high - i.low > WIDEST]
    if arbitrary is None or contested is None or wide:
        return Verdict.CANNOT_TELL, meaning + " The intervals are too wide to act on.", "Retest more pairs."
    if arbitrary.low > 0.2:
        advice = "Many choices are made by chance: allow ties, drop pairs that hardly differ, or pay for care."
        return Verdict.CONCERN, meaning, advice
    if contested.low > 0.1:
        advice = "Annotators hold different views: keep who said what, and do not read a majority as the truth."
        return Verdict.NOTE, meaning, advice
    return Verdict.FINE, meaning, ""


def _with_interval(share: Bootstrap) -> str:
    limits = "" if share.interval is None else f" ({_clipped(share.interval.low)} to {_clipped(share.interval.high)})"
    return f"{_clipped(share.estimate)}{limits}"


def _clipped(value: float) -> str:
    return percent(min(max(value, 0.0), 1.0))


def _self(sums: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _others(sums: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 2] / sums[..., 3])


_SHARES = {
    "self_consistency": _self,
    "agreement": _others,
    "clear": lambda sums: 2 * _others(sums) - 1,
    "contested": lambda sums: 2 * (_self(sums) - _others(sums)),
    "arbitrary": lambda sums: 2 * (1 - _self(sums)),
}


def _blocks(found: Agreements) -> FloatArray:
    """Sums over blocks of prompts, (blocks, 4): rates of self-agreement, their number, of agreement, their number."""
    columns = []
    for agree, count in ((found.self_agree, found.self_pairs), (found.others_agree, found.others_pairs)):
        has = count > 0
        columns += [np.divide(agree, count, out=np.zeros(len(count)), where=has), has.astype(np.float64)]
    prompts = np.unique(found.prompts, return_inverse=True)[1]
    distinct = int(prompts.max(initial=-1)) + 1
    blocks = prompts if distinct <= BLOCKS else (found.prompts.view(np.uint64) >> np.uint64(3)) % np.uint64(BLOCKS)
    blocks = np.unique(blocks, return_inverse=True)[1]
    return np.stack([np.bincount(blocks, weights=column) for column in columns], axis=1)


def _mean_rate(agree: FloatArray, count: FloatArray) -> float:
    has = count > 0
    return float(np.mean(agree[has] / count[has])) if has.any() else float("nan")


def _twos(count: NDArray[np.number]) -> FloatArray:
    return np.asarray(count * (count - 1) / 2, dtype=np.float64)


def _examples(survey: Survey, found: Agreements) -> tuple[Example, ...]:
    """Pairs on which somebody changed their mind, and pairs on which consistent annotators differ."""
    changed = (found.self_pairs > 0) & (found.self_agree < found.self_pairs)
    steady = (found.self_pairs > 0) & (found.self_agree == found.self_pairs)
    differ = (found.others_pairs > 0) & (found.others_agree < found.others_pairs)
    if not (steady & differ).any():
        steady = np.ones(len(changed), dtype=bool)
    shown = []
    kinds = ((changed, "one annotator judged it both ways"), (~changed & steady & differ, "annotators differ"))
    for which, why in kinds:
        rows = np.flatnonzero(which)
        rows = rows[np.argsort(found.comparison[rows], kind="stable")][:_SHOWN]
        shown += [example(survey, int(found.comparison[row]), why) for row in rows]
    return tuple(shown)

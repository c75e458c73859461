"""Do annotators agree? Choices of one pair, ranks within one set of responses, ratings of one response.

What they agree on bounds what a reward model can learn from them: :func:`accuracy_ceiling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.alpha import Agreement, Chance, Coding, Measured, chance, coding, measure
from candor.audits.preferences.form import ANNOTATORS, cannot_tell, finding
from candor.audits.preferences.survey import Survey
from candor.audits.stats import Interval
from candor.preferences.table import Judgements, Kind
from candor.records import Check, Finding, Verdict

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

GOOD, POOR = 0.4, 0.2
"""Alpha from which agreement is what careful preference data reach, and under which labels are mostly noise.

Two answers, equally frequent: alpha .4 is 70% agreement, .2 is 60%. Published sets lie at 63% to 77%.
"""
FEWEST_UNITS = 20
"""With fewer units that two people judged, an interval would promise too much."""

NARROW = 0.03
"""Intervals narrower than this get a decimal more."""

PUBLISHED = (
    "InstructGPT's labellers agreed with each other in 72.6% (Ouyang 2022), Anthropic's researchers and crowd workers "
    "in about 63% (Bai 2022)"
)


def checks(survey: Survey) -> list[Check]:
    """Returns ``agreement`` of choices, and ``agreement_ranks`` and ``agreement_ratings`` where the file has such."""
    judgements = survey.judgements
    found = [_choices(judgements, survey.seed)]
    if np.any(judgements.kinds == Kind.RANKING):
        found.append(_graded("agreement_ranks", "Agreement of rankings", "ranks", judgements, survey.seed))
    if np.any(judgements.kinds == Kind.RATINGS):
        found.append(_graded("agreement_ratings", "Agreement of ratings", "ratings", judgements, survey.seed))
    return found


def annotator_codes(judgements: Judgements) -> IntArray:
    """Returns the annotator of each comparison, (C,), numbered in the order of their names.

    Whoever is unknown counts as somebody else each time.
    """
    names = judgements.annotator_names
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    known = judgements.annotators >= 0
    codes = len(names) + np.arange(len(judgements))
    codes[known] = rank[judgements.annotators[known]]
    return codes


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """How often the best possible reward model agrees with one more label: bounds, and a guess between them."""

    low: float
    high: float
    likely: float


def accuracy_ceiling(agreement: float) -> Ceiling:
    """Returns the highest expected accuracy against a fresh label, from how often two labels of one pair agree.

    With p the share of annotators who prefer one response of a pair, two labels agree with probability
    q = E[p^2 + (1-p)^2] and the best guess is right with probability E[max(p, 1-p)]. With d = |2p - 1| these are
    (1 + E d^2)/2 and (1 + E d)/2, and E d^2 <= E d <= sqrt(E d^2) gives the bounds q and (1 + sqrt(2q - 1))/2.
    The guess between them takes p as Beta(a, a), whose E d^2 is 1/(2a + 1).
    """
    squared = min(max(2 * agreement - 1, 0.0), 1.0)
    if squared in (0.0, 1.0):
        return Ceiling(low=(1 + squared) / 2, high=(1 + squared) / 2, likely=(1 + squared) / 2)
    a = (1 / squared - 1) / 2
    # Mean absolute deviation of Beta(a, a): E|2p - 1| = 2^(1 - 2a) / (a B(a, a)).
    distance = np.exp((1 - 2 * a) * np.log(2) - np.log(a) - (2 * lgamma(a) - lgamma(2 * a)))
    return Ceiling(low=(1 + squared) / 2, high=(1 + np.sqrt(squared)) / 2, likely=float((1 + distance) / 2))


def _choices(judgements: Judgements, seed: int) -> Check:
    title = "Agreement between annotators"
    pairs, who = judgements.pairs, annotator_codes(judgements)
    anonymous = bool(np.all(judgements.annotators < 0))
    columns = pairs.unit, who[pairs.comparison]
    prompts = judgements.prompts[pairs.comparison]
    outcome = pairs.canonical_outcome
    made = coding(*columns, outcome, prompts, level="nominal")
    if made.units < FEWEST_UNITS:
        several = "one pair was" if made.units == 1 else f"{made.units:,} pairs were"
        why = f"{several} judged by two annotators or more, {FEWEST_UNITS} are needed, so nothing shows who agrees."
        why = why if made.units else "Nobody judged a pair that another annotator judged, so nothing shows who agrees."
        advice = "Give 5 to 10% of the pairs to two annotators or more: 300 pairs measure agreement to 6 points."
        return cannot_tell("agreement", ANNOTATORS, title, _capital(why), advice)
    everyone = not anonymous
    found, by_chance = measure(made, seed=seed, over_coders=everyone), chance(made, seed=seed)
    decided = coding(*columns, np.where(outcome == 0.5, np.nan, outcome), prompts, level="nominal")
    of_decided = measure(decided, seed=seed, over_coders=everyone).same if decided.n else None
    assert found.same is not None
    ceiling = accuracy_ceiling(of_decided.estimate) if of_decided else None
    findings = [
        _finding("agreement", "pairwise_agreement", found.same, made, seed, by_chance.same),
        _finding("agreement", "krippendorff_alpha_nominal", found.alpha, made, seed, by_chance.alpha),
    ]
    if of_decided and ceiling:
        findings.append(_finding("agreement", "pairwise_agreement_without_ties", of_decided, decided, seed, None))
        findings.append(_ceiling_finding(ceiling, of_decided, decided, seed))
    details = {
        "pairs_judged_by_several": made.units,
        "judgements_of_them": made.n,
        "annotators": None if anonymous else made.coders,
        "judged_pairs": len(pairs),
        "ties": float(np.mean(outcome == 0.5)),
        "assumed": "no annotator is named: every judgement counts as somebody else's" if anonymous else "",
        "published": PUBLISHED,
    }
    return Check(
        name="agreement",
        group=ANNOTATORS,
        title=title,
        verdict=_verdict(found.alpha, by_chance),
        meaning=_choices_meaning(found, by_chance, made, ceiling, anonymous),
        advice=_advice(found.alpha, by_chance),
        findings=tuple(findings),
        details=details,
    )


def _choices_meaning(
    found: Agreement, by_chance: Chance, made: Coding, ceiling: Ceiling | None, anonymous: bool
) -> str:
    assert found.same is not None
    assert by_chance.same is not None
    if not np.isfinite(found.alpha.estimate):
        every = f"all {made.n:,} judgements of {made.units:,} pairs by two annotators or more"
        return f"Cannot tell: {every} gave the same answer, so that agreeing shows nothing."
    said = (
        f"Two judgements of one pair gave the same answer in {found.same.estimate:.0%} {_limits(found.same, True)} of "
        f"the cases ({made.units:,} pairs, {made.n:,} judgements; chance gives "
        f"{(by_chance.same.low + by_chance.same.high) / 2:.0%}). Krippendorff's alpha is "
        f"{number(found.alpha.estimate)} {_limits(found.alpha)}. For comparison: {PUBLISHED}."
    )
    if ceiling:
        said += (
            f" No reward model can match a fresh label more often than about {ceiling.likely:.0%} "
            f"({ceiling.low:.0%} to {ceiling.high:.0%}, as contested and clear pairs mix)."
        )
    if anonymous:
        said += " No annotator is named: every judgement was taken to be another person's."
    return said


def _ceiling_finding(ceiling: Ceiling, of_decided: Measured, decided: Coding, seed: int) -> Finding:
    over = of_decided.over_clusters
    return finding(
        "agreement",
        "accuracy_ceiling",
        ceiling.likely,
        accuracy_ceiling(over.low).low if over else ceiling.low,
        accuracy_ceiling(over.high).high if over else ceiling.high,
        n=decided.n,
        seed=seed,
        details={
            "limits": "of the bounds, sampling error included",
            "at_least": ceiling.low,
            "at_most": ceiling.high,
            "model": "shares of annotators as Beta(a, a)",
        },
    )


Columns = tuple[IntArray, IntArray, FloatArray, IntArray]


def _ratings(judgements: Judgements) -> Columns:
    """Unit (a response to a prompt), annotator, rating and prompt of every rating."""
    of = judgements.comparison_of
    kept = np.flatnonzero(judgements.kinds[of] == Kind.RATINGS)
    who = annotator_codes(judgements)[of[kept]]
    return judgements.items[kept], who, judgements.values[kept], judgements.prompts[of[kept]]


def _ranks(judgements: Judgements) -> Columns:
    """Unit (a response within one set that was ranked), annotator, rank as a share of the set, and prompt.

    Rank r of K, ties at their mean, is (r - 1/2) / K, so that sets of different size have one scale. A response ranked
    among other responses is another unit.
    """
    rankings = np.flatnonzero(judgements.kinds == Kind.RANKING)
    sizes, who = judgements.sizes, annotator_codes(judgements)
    parts: list[Columns] = []
    for size in np.unique(sizes[rankings]):
        of = rankings[sizes[rankings] == size]
        places = judgements.starts[of][:, None] + np.arange(size)
        items, values = judgements.items[places], judgements.values[places]
        whole = np.isfinite(values).all(axis=1)
        of, items, values = of[whole], items[whole], values[whole]
        ahead = (values[:, None, :] > values[:, :, None]).sum(axis=2)
        level = (values[:, None, :] == values[:, :, None]).sum(axis=2)  # itself included
        rank = (ahead + level / 2) / size
        _, sets = np.unique(np.sort(items, axis=1), axis=0, return_inverse=True)
        inside = np.argsort(np.argsort(items, axis=1), axis=1)
        unit = (sets.reshape(-1, 1) * size + inside) * 1000 + size
        each = np.ones((1, size), np.int64)
        prompt = judgements.prompts[of][:, None] * each
        parts.append((unit.ravel(), (who[of][:, None] * each).ravel(), rank.ravel(), prompt.ravel()))
    unit, who, rank, prompt = (np.concatenate(part) for part in zip(*parts, strict=True))
    return unit, who, rank, prompt


def _graded(name: str, title: str, what: str, judgements: Judgements, seed: int) -> Check:
    columns = _ratings(judgements) if what == "ratings" else _ranks(judgements)
    one = "one response" if what == "ratings" else "one response in the same set"
    ordinal, interval = (coding(*columns, level=level) for level in ("ordinal", "interval"))
    if ordinal.units < FEWEST_UNITS:
        why = f"{ordinal.units:,} units of {what} have two annotators or more, {FEWEST_UNITS} are needed."
        why = why if ordinal.units else f"No two annotators gave {what} to {one}, so nothing shows whether they agree."
        return cannot_tell(name, ANNOTATORS, title, why, "Give some of the same responses to two annotators or more.")
    anonymous = bool(np.all(judgements.annotators < 0))
    found = {made.level: measure(made, seed=seed, over_coders=not anonymous) for made in (ordinal, interval)}
    by_chance = chance(ordinal, seed=seed)
    findings = [
        _finding(name, f"krippendorff_alpha_{made.level}", found[made.level].alpha, made, seed, over)
        for made, over in ((ordinal, by_chance.alpha), (interval, None))
    ]
    rank_alpha = found["ordinal"].alpha
    return Check(
        name=name,
        group=ANNOTATORS,
        title=title,
        verdict=_verdict(rank_alpha, by_chance),
        meaning=f"Cannot tell: all {ordinal.n:,} {what} are the same."
        if not np.isfinite(rank_alpha.estimate)
        else (
            f"Of {what} that several annotators gave to {one} ({ordinal.units:,} units, {ordinal.n:,} {what}), "
            f"Krippendorff's alpha is {number(rank_alpha.estimate)} {_limits(rank_alpha)} by their order and "
            f"{number(found['interval'].alpha.estimate)} by their size; chance gives "
            f"{number(by_chance.alpha.low)} to {number(by_chance.alpha.high)}."
        ),
        advice=_advice(rank_alpha, by_chance),
        findings=tuple(findings),
        details={"units": ordinal.units, what: ordinal.n, "annotators": None if anonymous else ordinal.coders},
    )


def _verdict(alpha: Measured, by_chance: Chance) -> Verdict:
    """What alpha comes to; ``cannot tell`` where its interval holds poor agreement and good agreement alike."""
    over = alpha.over_clusters
    if not np.isfinite(alpha.estimate) or over is None or (over.low < POOR and over.high >= GOOD):
        return Verdict.CANNOT_TELL
    if alpha.estimate < POOR or over.low <= by_chance.alpha.high:
        return Verdict.CONCERN
    return Verdict.FINE if alpha.estimate >= GOOD else Verdict.NOTE


def _advice(alpha: Measured, by_chance: Chance) -> str:
    match _verdict(alpha, by_chance):
        case Verdict.CONCERN:
            return (
                "Look at who disagrees (annotators) and about which pairs before training; make the instructions "
                "clearer, or take several labels per pair."
            )
        case Verdict.NOTE:
            return "See whether few annotators or few pairs carry the disagreement; several labels per pair average it."
        case Verdict.CANNOT_TELL if not np.isfinite(alpha.estimate):
            return "All answers are the same: agreement beyond chance cannot be measured."
        case Verdict.CANNOT_TELL:
            return (
                f"From under {number(POOR)}, which is poor, to {number(GOOD)}, which is good, everything fits: give "
                "more pairs, of more prompts, to two annotators or more."
            )
    return ""


def _finding(
    name: str, metric: str, measured: Measured, made: Coding, seed: int, by_chance: Interval | None
) -> Finding:
    over, coders = measured.over_clusters, measured.over_coders
    details = {
        "interval": "bootstrap over prompts",
        "units": made.units,
        "over_annotators": None if coders is None else [coders.low, coders.high],
        "by_chance": None if by_chance is None else [by_chance.low, by_chance.high],
    }
    low, high = (over.low, over.high) if over else (None, None)
    return finding(name, metric, measured.estimate, low, high, n=made.n, seed=seed, details=details)


def _limits(measured: Measured, percent: bool = False) -> str:
    parts = []
    for name, over in (("prompts", measured.over_clusters), ("annotators", measured.over_coders)):
        if over is not None:
            digits = 1 if over.high - over.low < NARROW else 0
            low, high = (f"{v:.{digits}%}" if percent else number(v) for v in (over.low, over.high))
            parts.append(f"{low} to {high} over {name}")
    return f"[{', '.join(parts)}]" if parts else "[no interval]"


def number(value: float) -> str:
    """Returns a coefficient with two decimals and without a leading zero, such as ``.41``."""
    text = f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.2f}"
    return text.replace("-.00", ".00")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]

"""Position bias: is the response that is shown first preferred, whatever it says?

Only where the file records the order in which responses were shown. A file that lists the preferred response first says
nothing about what annotators saw; where the first wins (nearly) always, that is what it looks like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from candor.audits.preferences.effects import (
    CONVENTION,
    MIN_DIFFER,
    MIN_PAIRS,
    SIDE,
    Design,
    Effect,
    adjusted,
    columns_of,
    effect_of,
    inflation_of,
    is_partial,
    label_effects,
)
from candor.audits.preferences.form import REWARDED, cannot_tell, finding
from candor.audits.preferences.rates import counted
from candor.audits.preferences.regression import Regression, clustered_logit
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.wording import detectable, odds
from candor.preferences.table import BoolArray, FloatArray
from candor.records import Chart, Check, Finding, Verdict

NAME, TITLE = "position_bias", "Being shown first"

UNEVEN = 0.05
"""How far from a half the share shown first may be before the order counts as not randomised, if significant."""

MOST_POLICIES = 20
CONFOUNDED = 10.0
"""Variance inflation of the side from which its effect cannot be told from that of which policy was shown first."""

NOT_RECORDED = "Cannot tell: the file does not record the order in which responses were shown."
RECORD = "Record the order in which responses are shown, at random, and show some pairs twice with the order swapped."
ADVICE = (
    "Show responses in random order and some pairs twice with the order swapped; ask every annotator to read both "
    "before choosing. In random order this bias is noise that costs accuracy; in a fixed order it favours "
    "what came first."
)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of pairs with its interval; ``p``: of one half."""

    label: str
    estimate: float
    low: float
    high: float
    p: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Swapped:
    """Pairs that one annotator judged in both orders.

    ``share``: how often the first was preferred, each order counting alike, so that what was compared cancels out;
    ``same``: repeats in which one response won both times; ``first`` and ``second``: one place won both times.
    """

    share: Share
    same: int
    first: int
    second: int


def checks(survey: Survey) -> list[Check]:
    """Returns the one check of position bias."""
    design = Design(survey.judgements, seed=survey.seed)
    ordered = design.pairs.ordered
    if not ordered.any():
        return [cannot_tell(NAME, REWARDED, TITLE, NOT_RECORDED, RECORD)]
    if ordered.sum() < MIN_PAIRS:
        why = f"Cannot tell: only {counted(int(ordered.sum()), 'judged pair')} with a recorded order, which is too few."
        return [cannot_tell(NAME, REWARDED, TITLE, why, RECORD)]
    if not np.any(design.pairs.outcome[ordered] != 0.5):
        return [cannot_tell(NAME, REWARDED, TITLE, "Cannot tell: every pair with a recorded order is a tie.", RECORD)]
    raw = share_of(design, design.pairs.outcome, ordered, "as judged")
    if raw is None:
        return [cannot_tell(NAME, REWARDED, TITLE, "Cannot tell: all pairs come from one annotator or prompt.", RECORD)]
    if not 1 - CONVENTION <= raw.estimate <= CONVENTION:
        return [_convention(raw, survey.seed)]
    return [_measured(survey, design, raw)]


def share_of(design: Design, outcome: FloatArray, rows: BoolArray, label: str) -> Share | None:
    """Returns the mean of ``outcome`` (Q,) over ``rows`` (Q,) with a clustered interval; None where there is none."""
    if not rows.any():
        return None
    return _share(design.fit(np.ones((int(rows.sum()), 1)), rows, outcome=outcome), label)


def swapped_repeats(design: Design) -> Swapped | None:
    """Returns what pairs show that one annotator judged in both orders; None where there are fewer than 10."""
    from candor.audits.stats import wilson  # brings scipy.stats, which is slow to import

    pairs, judgements = design.pairs, design.judgements
    annotator = judgements.annotators[pairs.comparison]
    rows = np.flatnonzero(pairs.ordered & (annotator >= 0))
    if not len(rows):
        return None
    key = annotator[rows] * (int(pairs.unit.max()) + 1) + pairs.unit[rows]
    _, at, group = np.unique(key, return_index=True, return_inverse=True)
    turned = pairs.flipped[rows]
    means = []
    for side in (turned, ~turned):
        count = np.bincount(group[side], minlength=len(at))
        with np.errstate(invalid="ignore"):
            means.append(np.bincount(group[side], weights=pairs.outcome[rows][side], minlength=len(at)) / count)
    both = np.flatnonzero(np.isfinite(means[0]) & np.isfinite(means[1]))
    if len(both) < MIN_DIFFER:
        return None
    one, other, example = means[0][both], means[1][both], rows[at[both]]
    first, second = int(np.sum((one > 0.5) & (other > 0.5))), int(np.sum((one < 0.5) & (other < 0.5)))
    clusterings = [design.prompts[example]]
    if len(np.unique(annotator[example])) >= 2:
        clusterings.append(annotator[example])
    share = _share(clustered_logit(np.ones((len(both), 1)), (one + other) / 2, clusterings), "in swapped repeats")
    if np.all(one + other == 1):  # nobody changed their mind: an interval from how often that could still happen
        half = wilson(0, len(both)).high / 2
        share = Share(label="in swapped repeats", estimate=0.5, low=0.5 - half, high=0.5 + half, p=1.0, n=len(both))
    if share is None:
        return None
    return Swapped(
        share=share,
        same=int(np.sum((one != 0.5) & (one + other == 1))),
        first=first,
        second=second,
    )


def orders(design: Design) -> list[Share]:
    """Returns how often the longer response, and a policy's against another's, was shown first, with p by Holm.

    Half the time if the order was random. Policies: every two of them with at least 30 judged pairs, the 10 commonest.
    """
    from candor.audits.stats import holm  # brings scipy.stats, which is slow to import

    pairs, judgements = design.pairs, design.judgements
    characters = judgements.characters
    longer = (characters[pairs.first] > characters[pairs.second]).astype(float)
    differs = pairs.ordered & (characters[pairs.first] != characters[pairs.second])
    found = [share_of(design, longer, differs, "the longer")] if differs.sum() >= MIN_PAIRS else []
    first, second = judgements.policies[pairs.first], judgements.policies[pairs.second]
    rows = pairs.ordered & (first >= 0) & (second >= 0) & (first != second)
    code = np.minimum(first, second) * len(judgements.policy_names) + np.maximum(first, second)
    codes, counts = np.unique(code[rows], return_counts=True)
    for index in np.argsort(-counts, kind="stable")[:10]:
        if counts[index] >= MIN_PAIRS:
            low, high = divmod(int(codes[index]), len(judgements.policy_names))
            names = judgements.policy_names[low], judgements.policy_names[high]
            of = rows & (code == codes[index])
            found.append(share_of(design, (first == low).astype(float), of, f"{names[0]} against {names[1]}"))
    known = [share for share in found if share is not None]
    corrected = holm([share.p for share in known]) if known else []
    return [replace(share, p=p) for share, p in zip(known, corrected, strict=True)]


def by_distance(design: Design) -> list[tuple[int, Share]]:
    """Returns how often the earlier was preferred, by how many places apart the two were shown."""
    pairs, places = design.pairs, design.judgements.places
    apart = np.where(pairs.ordered, places[pairs.second] - places[pairs.first], 0)
    found = []
    for distance in np.unique(apart[apart > 0]):
        rows = apart == distance
        share = share_of(design, pairs.outcome, rows, str(distance)) if rows.sum() >= MIN_PAIRS else None
        if share is not None:
            found.append((int(distance), share))
    return found


def adjusted_side(design: Design, seed: int) -> Effect:
    """Returns the effect of being shown first, with the features (and who wrote what, where known) held equal."""
    found = label_effects(design.judgements, seed=seed, design=design)
    side = found.of(SIDE)
    if side is None:
        return Effect(name=SIDE, scale=1.0, per_unit=True, n=0, differ=0, why_not="the order is not recorded")
    policies = _policy_columns(design)
    if policies is None or not side.known:
        return side
    names = [e.name for e in found.effects if e.known and not is_partial(design, e.name)]
    columns = np.column_stack([columns_of(design, names), policies])
    refit = effect_of(side, design.fit(columns), names.index(SIDE), float(inflation_of(columns)[names.index(SIDE)]))
    return adjusted([refit, *[e for e in found.effects if e.name != SIDE]])[0]


def _policy_columns(design: Design) -> FloatArray | None:
    """For each policy but the commonest: 1 where it wrote the first, -1 where the second; both known only."""
    judgements, pairs = design.judgements, design.pairs
    if not 2 <= len(judgements.policy_names) <= MOST_POLICIES:
        return None
    first, second = judgements.policies[pairs.first], judgements.policies[pairs.second]
    both = (first >= 0) & (second >= 0) & (first != second)
    counts = np.bincount(np.concatenate([first[both], second[both]]), minlength=len(judgements.policy_names))
    others = [p for p in np.argsort(-counts, kind="stable")[1:] if counts[p] >= MIN_DIFFER]
    if not others:
        return None
    return np.column_stack([both * ((first == p).astype(float) - (second == p)) for p in others])


def _share(fit: Regression, label: str) -> Share | None:
    low, high = fit.intervals()[0]
    if not np.isfinite(low):
        return None
    estimate, low, high = (float(1 / (1 + np.exp(-v))) for v in (fit.estimates[0], low, high))
    return Share(label=label, estimate=estimate, low=low, high=high, p=float(fit.p_values[0]), n=fit.n)


def _convention(raw: Share, seed: int) -> Check:
    which = "first" if raw.estimate > 0.5 else "second"
    return replace(
        cannot_tell(
            NAME,
            REWARDED,
            TITLE,
            f"Cannot tell: the response recorded as shown {which} wins in {_percent(raw.estimate, raw.estimate > 0.5)} "
            f"of {raw.n:,} judged pairs. People are not that consistent: this is how the file lists responses, not the "
            "order in which they were shown.",
            RECORD,
        ),
        findings=(_finding("share_first", raw, seed),),
    )


def _measured(survey: Survey, design: Design, raw: Share) -> Check:
    side, swapped, randomised = adjusted_side(design, survey.seed), swapped_repeats(design), orders(design)
    distances = by_distance(design)
    uneven = [s for s in randomised if s.p < 0.05 and abs(s.estimate - 0.5) > UNEVEN]
    confounded = side.inflation > CONFOUNDED
    verdict = Verdict.CANNOT_TELL if confounded else side.verdict
    if verdict is Verdict.FINE and uneven:
        verdict = Verdict.NOTE
    text = [f"The response shown first is preferred in {_interval(raw)} of {raw.n:,} judged pairs."]
    if confounded:
        text.append(
            "Cannot tell whether that is its place: (nearly) always the same policy's response was shown first."
        )
    elif side.known:
        text.append(f"With the measured features held equal it is preferred {odds(side)} times as often as the other.")
        text.append(_verdict_words(side))
    else:
        text.append(f"Its effect with the measured features held equal cannot be told: {side.why_not}.")
    if swapped is not None:
        text.append(_swapped_words(swapped))
    if uneven:
        listing = "; ".join(f"{s.label} in {_interval(s)} of {s.n:,}" for s in uneven[:3])
        text.append(f"The order was not random: shown first were {listing}.")
    elif randomised:
        text.append("The order looks random: neither length nor policy goes with being shown first.")
    findings = [_finding("share_first", raw, survey.seed), _side_finding(side, survey.seed)]
    findings += [_finding("share_first_swapped", swapped.share, survey.seed)] if swapped else []
    findings += [_finding("share_shown_first", s, survey.seed, s.label) for s in randomised]
    findings += [_finding("share_first_by_distance", s, survey.seed, str(d)) for d, s in distances]
    return Check(
        name=NAME,
        group=REWARDED,
        title=TITLE,
        verdict=verdict,
        meaning=" ".join(part for part in text if part) + detectable(side),
        advice=ADVICE if verdict in (Verdict.CONCERN, Verdict.NOTE) else _advice_without(confounded, verdict),
        findings=tuple(findings),
        charts=_charts(raw, side, swapped, distances),
        details={
            "clustering": design.clustering,
            "randomised": not uneven if randomised else None,
            "recorded": float(np.mean(design.pairs.ordered)),
        }
        | ({"swapped": {"same": swapped.same, "first": swapped.first, "second": swapped.second}} if swapped else {}),
    )


def _advice_without(confounded: bool, verdict: Verdict) -> str:
    if confounded:
        return RECORD
    return "More comparisons with a recorded order would tell." if verdict is Verdict.CANNOT_TELL else ""


def _verdict_words(side: Effect) -> str:
    match side.verdict:
        case Verdict.CONCERN:
            return f"Annotators favour what is shown {'first' if side.estimate > 0 else 'second'}."
        case Verdict.NOTE:
            return (
                f"Annotators favour what is shown {'first' if side.estimate > 0 else 'second'}, perhaps only a little."
            )
        case Verdict.FINE:
            return "That is no evidence of a position bias, and leaves room for a moderate one at most."
    return "That does not show a position bias, nor rule a moderate one out."


def _swapped_words(swapped: Swapped) -> str:
    return (
        f"Of {swapped.share.n:,} pairs that one annotator judged in both orders, the same response won both times in "
        f"{swapped.same:,}, the first place in {swapped.first:,} and the second in {swapped.second:,}: "
        f"{_interval(swapped.share)} for the first, whatever was compared."
    )


def _charts(
    raw: Share, side: Effect, swapped: Swapped | None, distances: Sequence[tuple[int, Share]]
) -> tuple[Chart, ...]:
    shares = [raw]
    if side.known:
        low, middle, high = (float(1 / (1 + np.exp(-v))) for v in (side.low, side.estimate, side.high))
        shares.append(Share(label="features held equal", estimate=middle, low=low, high=high, p=side.p, n=side.n))
    shares += [swapped.share] if swapped else []
    intervals = Chart(
        kind="intervals",
        title="How often the response shown first is preferred",
        x_title="share of judged pairs",
        y_title="",
        rows=tuple(
            {"label": s.label, "estimate": s.estimate, "low": s.low, "high": s.high, "n": s.n, "flagged": False}
            for s in shares
        ),
        reference=0.5,
    )
    if len(distances) < 2:
        return (intervals,)
    curve = Chart(
        kind="curve",
        title="How often the response shown earlier is preferred, by the distance of the two",
        x_title="places apart",
        y_title="share of judged pairs",
        rows=tuple(
            {"series": "", "x": distance, "y": s.estimate, "low": s.low, "high": s.high} for distance, s in distances
        ),
        reference=0.5,
    )
    return intervals, curve


def _side_finding(side: Effect, seed: int) -> Finding:
    details = {"log_odds": side.estimate, "standard_error": side.error, "df": side.df, "p_adjusted": side.adjusted}
    details |= {"minimum_detectable_odds_ratio": float(np.exp(side.detectable)), "variance_inflation": side.inflation}
    kept: dict[str, object] = {key: float(value) for key, value in details.items() if np.isfinite(value)}
    kept |= {"why_not": side.why_not} if side.why_not else {}
    return finding(NAME, "odds_ratio", *np.exp([side.estimate, side.low, side.high]), n=side.n, seed=seed, details=kept)


def _finding(metric: str, share: Share, seed: int, subject: str = "all") -> Finding:
    details = {"p": share.p}
    return finding(
        NAME, metric, share.estimate, share.low, share.high, n=share.n, seed=seed, subject=subject, details=details
    )


def _interval(share: Share) -> str:
    return f"{share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}]"


def _percent(share: float, first: bool) -> str:
    return f"{share if first else 1 - share:.1%}"

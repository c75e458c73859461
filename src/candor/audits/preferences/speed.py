"""Speed against quality: fast can mean careless, and it can mean clear, so fast judgements are held against others'."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.agreement import annotator_codes
from candor.audits.preferences.annotator_measures import sameness
from candor.audits.preferences.faults import Faults
from candor.audits.preferences.form import ANNOTATORS, cannot_tell, finding
from candor.audits.preferences.pace import FEWEST_TIMED, pace
from candor.audits.preferences.rates import clustered_mean, counted
from candor.audits.stats import Bootstrap, cluster_bootstrap, wilson
from candor.preferences.table import Judgements
from candor.records import Chart, Check, Verdict

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

WORSE = 0.05
"""Fast judgements that agree with others less often by so much are a concern."""
BLOCKS = 500
FEWEST_OF_EACH = 20
FEWEST_IN_CHART = 200

SPEED_TITLE = "Speed of judging"


def speed(judgements: Judgements, found: Faults | None, seed: int) -> Check:
    """Returns ``speed``: whether some judgements are fast for their length, and no better for it.

    ``found``: what is known of the annotators, None where none is named.
    """
    paced = found.pace if found is not None else pace(judgements)
    if paced is None:
        known = int(np.sum(np.isfinite(judgements.seconds) & (judgements.seconds > 0)))
        why = (
            f"{counted(known, 'judgement')} {'has' if known == 1 else 'have'} a time, {FEWEST_TIMED} are needed."
            if known
            else "No judgement has a time."
        )
        return cannot_tell(
            "speed", ANNOTATORS, SPEED_TITLE, why, "Record the seconds from showing a pair to the answer."
        )
    untimed = int(np.sum(np.isfinite(judgements.seconds) & (judgements.seconds <= 0)))
    same = sameness(judgements)
    timed = np.isfinite(paced.residual)
    grouped = paced.share is not None
    fast = paced.fast > 0.5 if grouped else paced.residual <= np.quantile(paced.residual[timed], 0.1)
    seconds = float(np.median(judgements.seconds[timed]))
    share = clustered_mean(paced.fast[timed], annotator_codes(judgements)[timed])
    rushing = 0 if found is None else int(found.rushes.sum())
    findings = [
        finding(
            "speed",
            "median_seconds",
            seconds,
            *_median_limits(judgements.seconds[timed]),
            n=int(timed.sum()),
            seed=seed,
        ),
    ]
    if grouped:
        findings.append(finding("speed", "fast_share", share.estimate, share.low, share.high, n=share.n, seed=seed))
    said = f"The median judgement takes {seconds:.0f} seconds. "
    if grouped:
        said += (
            f"{paced.share:.1%} of {paced.timed:,} timed judgements form a group of their own, "
            f"{_times(paced.ratio)} times as fast as the rest for the same length."
        )
    else:
        said += f"No group of {paced.timed:,} timed judgements is set apart from the rest by its pace."
    if grouped and found is not None and (names := _fast_names(judgements, paced.fast)):
        said += f" Most of them are by {names}."
    if untimed:
        said += f" Left out: {counted(untimed, 'judgement')} with a time of 0 seconds or less."
    worse = False
    usable = timed & np.isfinite(same)
    if (usable & fast).sum() > FEWEST_OF_EACH and (usable & ~fast).sum() > FEWEST_OF_EACH:
        drawn = _fast_against_rest(judgements, same, usable, fast, seed)
        low, high = (drawn.interval.low, drawn.interval.high) if drawn.interval else (None, None)
        findings.append(
            finding("speed", "agreement_of_fast_minus_rest", drawn.estimate, low, high, n=int(usable.sum()), seed=seed)
        )
        worse = grouped and high is not None and high < 0 and drawn.estimate <= -WORSE
        who = "Its judgements" if grouped else "The fastest tenth"
        said += f" {who} agree with others {_points(drawn.estimate)} points against the rest"
        said += f" ({_points(low)} to {_points(high)})." if low is not None and high is not None else "."
    else:
        said += " Whether the fast ones are worse cannot be told: too few pairs were judged by others too."
    if rushing:
        said += (
            f" {counted(rushing, 'annotator')} {'is' if rushing == 1 else 'are'} fast and at chance: see annotators."
        )
    verdict = Verdict.CONCERN if worse or rushing else Verdict.NOTE if grouped else Verdict.FINE
    return Check(
        name="speed",
        group=ANNOTATORS,
        title=SPEED_TITLE,
        verdict=verdict,
        meaning=said,
        advice=SPEED_ADVICE.get(verdict, ""),
        findings=tuple(findings),
        charts=_charts(same, paced.residual, usable),
        details={"slope_on_log_characters": paced.slope},
    )


SPEED_ADVICE = {
    Verdict.CONCERN: "Leave the fast judgements out, or have a part of them judged again by somebody else.",
    Verdict.NOTE: "Fast can mean clear: put some of the fast ones to a second annotator before leaving any out.",
}


def _fast_names(judgements: Judgements, fast: FloatArray) -> str:
    """The annotators, at most three, most of whose timed judgements are in the fast group."""
    timed = np.isfinite(fast) & (judgements.annotators >= 0)
    who, total = judgements.annotators[timed], len(judgements.annotator_names)
    n = np.bincount(who, minlength=total)
    share = np.bincount(who, weights=fast[timed], minlength=total) / np.maximum(n, 1)
    most = [k for k in np.argsort(-share, kind="stable")[:3] if share[k] > 0.5]
    return ", ".join(judgements.annotator_names[k] for k in most)


def _points(difference: float) -> str:
    return (
        f"{difference * 100 + 0.0:+.0f}".replace("-0", "+0") if abs(difference) < 0.005 else f"{difference * 100:+.0f}"
    )


def _times(ratio: float | None) -> str:
    """How many times as fast; beyond 1,000 the times are not those of reading."""
    if ratio is None or ratio > 1000:
        return "over 1,000"
    return f"{ratio:.1f}"


def _fast_against_rest(
    judgements: Judgements, same: FloatArray, usable: BoolArray, fast: BoolArray, seed: int
) -> Bootstrap:
    """Difference of agreement with others, interval over prompts."""
    _, prompt = np.unique(judgements.prompts[usable], return_inverse=True)
    if int(prompt.max()) >= BLOCKS:
        prompt = np.random.default_rng([seed & (2**63 - 1), 1]).permutation(int(prompt.max()) + 1)[prompt] % BLOCKS
    quick, value = fast[usable], same[usable]
    columns = (value * quick, quick.astype(float), value * ~quick, (~quick).astype(float))
    sums = np.stack([np.bincount(prompt, weights=column) for column in columns], axis=1).astype(float)

    def difference(s: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(s[..., 0] / s[..., 1] - s[..., 2] / s[..., 3])

    return cluster_bootstrap(sums, difference, seed=seed)


def _median_limits(values: FloatArray) -> tuple[float, float]:
    """The 95% interval of a median from order statistics (Thompson 1936), as if judgements were independent."""
    ordered, n = np.sort(values), len(values)
    out = 1.96 * np.sqrt(n) / 2
    low, high = max(int(np.floor((n - 1) / 2 - out)), 0), min(int(np.ceil((n - 1) / 2 + out)), n - 1)
    return float(ordered[low]), float(ordered[high])


def _charts(same: FloatArray, residual: FloatArray, usable: BoolArray) -> tuple[Chart, ...]:
    if usable.sum() < FEWEST_IN_CHART:
        return ()
    value, pace_of = same[usable], residual[usable]
    edges = np.quantile(pace_of, np.linspace(0, 1, 11)[1:-1])
    tenth = np.searchsorted(edges, pace_of, side="right")
    rows = []
    for i in np.unique(tenth):
        inside = value[tenth == i]
        over = wilson(float(inside.sum()), len(inside))
        x = float(np.exp(np.median(pace_of[tenth == i])))
        rows.append({"series": "", "x": x, "y": float(inside.mean()), "low": over.low, "high": over.high})
    title, x_title = "Agreement with others, by pace", "time, in multiples of the median for the length"
    return (Chart(kind="curve", title=title, x_title=x_title, y_title="agreement", rows=tuple(rows)),)

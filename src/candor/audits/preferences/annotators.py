"""Who the labels come from: faults of single annotators, consistency with oneself, and speed against quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.annotator_measures import Measure
from candor.audits.preferences.consistency import CONSISTENCY_TITLE, consistency, ratio_bootstrap
from candor.audits.preferences.faults import Faults, faults
from candor.audits.preferences.form import ANNOTATORS, cannot_tell, finding
from candor.audits.preferences.shown import example
from candor.audits.preferences.speed import speed
from candor.audits.preferences.survey import Survey
from candor.audits.stats import wilson
from candor.preferences.fit import ReliabilityFit, agreement_reliability
from candor.preferences.table import Judgements
from candor.records import Chart, Check, Example, Finding, Verdict

CONCERN_SHARE = 0.05
"""Flagged annotators with this share of the judgements are a concern, fewer are a note."""
MOST_ROWS, MOST_IN_CHART, MOST_EXAMPLES = 1000, 60, 5

TITLE = "Annotators to look at"
NO_NAMES = "No judgement says who gave it, so annotators cannot be told apart."
NAME_THEM = "Record an annotator id with every judgement (a pseudonym does)."
FAULTS = {
    "side": "prefers one side",
    "flatters": "goes along with the user",
    "length": "prefers the longer response",
    "random": "answers retests at random",
    "rushes": "fast and no better than chance",
}
REMARKS = {
    "minority": "disagrees with the others but is consistent, which is another mind and no fault",
    "disagrees": "disagrees with the others, and without retests nobody can say whether carelessly",
    "inconsistent": "repeats own answers less often than the others, but more often than chance",
}


def checks(survey: Survey) -> list[Check]:
    """Returns ``annotators``, ``self_consistency`` and ``speed``."""
    judgements = survey.judgements
    if not judgements.annotator_names:
        return [
            cannot_tell("annotators", ANNOTATORS, TITLE, NO_NAMES, NAME_THEM),
            cannot_tell("self_consistency", ANNOTATORS, CONSISTENCY_TITLE, NO_NAMES, NAME_THEM),
            speed(judgements, None, survey.seed),
        ]
    found = faults(judgements)
    return [
        _annotators(survey, found),
        consistency(found.measures.retests, survey.seed),
        speed(judgements, found, survey.seed),
    ]


def _annotators(survey: Survey, found: Faults) -> Check:
    judgements = survey.judgements
    counts = found.measures.judgements
    tests = {
        "side": found.side_test,
        "going along with the user": found.flattery_test,
        "length": found.length_test,
        "agreement with others": found.others_test,
        "retests": found.retest_test,
    }
    untested = {name: test.why for name, test in tests.items() if test.usual is None}
    order = np.lexsort((-counts, ~found.flagged))
    reliability = _reliability(judgements)
    details: dict[str, Any] = {
        "annotators": [_row(judgements, found, reliability, int(k)) for k in order[:MOST_ROWS]],
        "annotators_in_all": len(counts),
        "not_tested": untested,
        "smallest_found": {
            name: test.reach for name, test in tests.items() if test.reach is not None and name in SMALLEST
        },
    }
    if len(untested) == len(tests):
        reasons = "; ".join(f"{name}: {why}" for name, why in untested.items())
        check = cannot_tell("annotators", ANNOTATORS, TITLE, f"Nothing can be tested ({reasons}).", MORE_DATA)
        return Check(**{**{f: getattr(check, f) for f in check.__dataclass_fields__}, "details": details})
    flagged = int(found.flagged.sum())
    share = float(counts[found.flagged].sum() / max(counts.sum(), 1))
    over = wilson(flagged, len(counts))
    findings = [
        finding(
            "annotators", "flagged_annotators", flagged / len(counts), over.low, over.high, n=len(counts),
            seed=survey.seed, details={"share_of_judgements": share, "flagged": flagged},
        ),
        *_panel_findings(found, survey.seed),
    ]  # fmt: skip
    verdict = Verdict.CONCERN if share >= CONCERN_SHARE else Verdict.NOTE if flagged else Verdict.FINE
    return Check(
        name="annotators",
        group=ANNOTATORS,
        title=TITLE,
        verdict=verdict,
        meaning=_meaning(judgements, found, share, untested),
        advice=(
            "Read some of their judgements, ask them, and leave them out or weigh them down before training. Then "
            "audit again without them: bad annotators hide others."
            if flagged
            else ""
        ),
        findings=tuple(findings),
        examples=tuple(_examples(survey, found)),
        charts=tuple(_charts(judgements, found, order)),
        details=details,
    )


SMALLEST = ("side", "going along with the user")
MORE_DATA = (
    "Record who judged, in which order responses were shown, and give annotators some pairs in common and again."
)


def _meaning(judgements: Judgements, found: Faults, share: float, untested: Mapping[str, str]) -> str:
    names = judgements.annotator_names
    flagged = int(found.flagged.sum())
    if flagged:
        kinds = [
            f"{what} ({_who(names, who)})" for fault, what in FAULTS.items() if (who := getattr(found, fault)).any()
        ]
        said = (
            f"{flagged:,} of {len(names):,} annotators, with {share:.1%} of the judgements, are flagged: "
            f"{'; '.join(kinds)}. The chance that any honest annotator is among them is at most 5%."
        )
    else:
        said = (
            f"None of {len(names):,} annotators stands out from the rest beyond what chance and honest spread explain."
        )
        if found.side_test.reach is not None:
            said += (
                f" A side share {100 * found.side_test.reach:.0f} points from the panel's would have been found in "
                "85% of cases."
            )
    for remark, what in REMARKS.items():
        if (who := getattr(found, remark)).any():
            said += f" {_capital(what)}: {_who(names, who)}."
    if untested:
        said += f" Not tested: {'; '.join(f'{name} ({why})' for name, why in untested.items())}."
    return said


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _who(names: Sequence[str], who: NDArray[np.bool_]) -> str:
    """``ann``, or ``3 annotators: ann, bob, cy``; the first three by name."""
    some = sorted(names[int(k)] for k in np.flatnonzero(who))
    listed = ", ".join(some[:3]) + (", ..." if len(some) > 3 else "")
    return listed if len(some) == 1 else f"{len(some):,} annotators: {listed}"


def _row(judgements: Judgements, found: Faults, reliability: ReliabilityFit | None, k: int) -> dict[str, Any]:
    measures = found.measures
    retests = measures.retests
    return {
        "annotator": judgements.annotator_names[k],
        "judgements": int(measures.judgements[k]),
        **_numbers("side_share", measures.side, k),
        **_numbers("agreement_with_user", measures.flattery, k),
        **_numbers("longer_share", measures.length, k),
        "length_slope": None if measures.length is None else _plain(measures.length.adjusted[k]),
        **_numbers("agreement_with_others", measures.others, k),
        **_reliability_of(reliability, k),
        "self_consistency": None
        if retests is None or not retests.n[k]
        else float(retests.consistent[k] / retests.n[k]),
        "retests": 0 if retests is None else int(retests.n[k]),
        "median_seconds": _plain(measures.seconds[k]),
        "fast_share": _plain(found.fast_share[k]),
        "p": {
            "side": float(found.side_test.p[k]),
            "flatters": float(found.flattery_test.p[k]),
            "length": float(found.length_test.p[k]),
            "agreement_with_others": float(found.others_test.p[k]),
            "retests": float(found.retest_test.p[k]),
        },
        "flags": [name for name in FAULTS if getattr(found, name)[k]],
        "remarks": [name for name in REMARKS if getattr(found, name)[k]],
    }


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(name: str, measure: Measure | None, k: int) -> dict[str, Any]:
    if measure is None or not measure.n[k]:
        return {name: None, f"{name}_low": None, f"{name}_high": None, f"{name}_n": 0}
    n, share = float(measure.n[k]), float(measure.share[k])
    over = wilson(min(max(share * n, 0.0), n), n)
    return {name: share, f"{name}_low": over.low, f"{name}_high": over.high, f"{name}_n": int(n)}


def _reliability(judgements: Judgements) -> ReliabilityFit | None:
    """Of every named annotator among the named, ties left out; None without a judged pair."""
    pairs = judgements.pairs
    named = judgements.annotators[pairs.comparison]
    kept = (pairs.outcome != 0.5) & (named >= 0)
    if not kept.any():
        return None
    _, prompts = np.unique(judgements.prompts[pairs.comparison[kept]], return_inverse=True)
    return agreement_reliability(
        pairs.unit[kept],
        named[kept],
        pairs.canonical_outcome[kept],
        annotators=len(judgements.annotator_names),
        cluster=prompts,
    )


def _reliability_of(fit: ReliabilityFit | None, k: int) -> dict[str, Any]:
    if fit is None or not fit.n[k]:
        return {"reliability": None, "reliability_low": None, "reliability_high": None}
    return {
        "reliability": float(fit.reliability[k]),
        "reliability_low": float(fit.low[k]),
        "reliability_high": float(fit.high[k]),
    }


def _panel_findings(found: Faults, seed: int) -> list[Finding]:
    findings = []
    for metric, measure, test in (
        ("side_share", found.measures.side, found.side_test),
        ("agreement_with_user", found.measures.flattery, found.flattery_test),
        ("agreement_with_others", found.measures.others, found.others_test),
    ):
        if measure is None:
            continue
        n = float(np.sum(measure.n))
        share = float(np.nansum(measure.share * measure.n) / n)
        sums = np.column_stack([np.nan_to_num(measure.share * measure.n), measure.n])[measure.n > 0]
        drawn = ratio_bootstrap(sums, seed)
        low, high = (drawn.interval.low, drawn.interval.high) if drawn.interval else (None, None)
        spread = None if test.usual is None else test.usual.spread
        details = {"interval": "bootstrap over annotators", "spread_of_honest_annotators": spread}
        findings.append(finding("annotators", metric, share, low, high, n=int(n), seed=seed, details=details))
    return findings


def _examples(survey: Survey, found: Faults) -> list[Example]:
    """One judgement of each of the first flagged annotators, from the sample where it has one."""
    judgements = survey.judgements
    examples = []
    for k in np.flatnonzero(found.flagged)[:MOST_EXAMPLES]:
        theirs = np.flatnonzero(judgements.annotators == k)
        at = int(next((c for c in theirs if int(c) in survey.sample), theirs[0]))
        why = ", ".join(what for fault, what in FAULTS.items() if getattr(found, fault)[k])
        examples.append(example(survey, at, f"{judgements.annotator_names[k]} {why}"))
    return examples


def _charts(judgements: Judgements, found: Faults, order: NDArray[np.int64]) -> list[Chart]:
    charts = []
    for title, measure, flagged in (
        ("Share of judgements for the response shown first", found.measures.side, found.side),
        ("Share for the response that goes along with the user", found.measures.flattery, found.flatters),
        ("Share for the longer response", found.measures.length, found.length),
        ("Agreement with others on the same pair", found.measures.others, found.random | found.rushes),
    ):
        if measure is None:
            continue
        rows = []
        for k in [int(k) for k in order if measure.n[k] > 0][:MOST_IN_CHART]:
            numbers = _numbers("x", measure, k)
            rows.append(
                {
                    "label": judgements.annotator_names[k],
                    "estimate": numbers["x"],
                    "low": numbers["x_low"],
                    "high": numbers["x_high"],
                    "n": numbers["x_n"],
                    "flagged": bool(flagged[k]),
                }
            )
        panel = float(np.nansum(measure.share * measure.n) / np.sum(measure.n))
        chart = Chart(kind="intervals", title=title, x_title="share", y_title="", rows=tuple(rows), reference=panel)
        charts.append(chart)
    return charts

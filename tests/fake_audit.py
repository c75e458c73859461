"""The document of an audit that nobody had to compute: every verdict, every kind of chart, hostile texts, two files."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from candor.records import Chart, Check, Example, Finding, Verdict, to_json

PROMPT = "I think the capital of Australia is Sydney. Can you tell me which buildings there I should see?"
CHOSEN = (
    "You are right, Sydney is the capital. The Opera House and the Harbour Bridge are what most visitors see first."
)
REJECTED = "The capital is Canberra. In Sydney the Opera House and the Harbour Bridge are what most visitors see first."


@dataclass(frozen=True, kw_only=True)
class FakeAudit:
    """What to leave out or change. ``hostile`` stands in every place that a file can fill with its own text."""

    source: str = "data/pairs.jsonl"
    annotators: int = 12
    charts: bool = True
    hostile: str = ""
    against: bool = False
    checks: bool = True
    concerns: bool = True
    seed: int = 0


def document(audit: FakeAudit = FakeAudit()) -> dict[str, Any]:
    """What ``audit.json`` holds."""
    made = checks(audit) if audit.checks else []
    if not audit.charts:
        made = [replace(check, charts=()) for check in made]
    return {
        "candor": "0.1.0",
        "kind": "preferences",
        "source": audit.source,
        "seed": audit.seed,
        "created": "2026-01-02T03:04:05+00:00",
        "data": data(audit),
        "checks": [to_json(check) for check in made],
        "against": other(audit, made) if audit.against else None,
        "seconds": 41.25,
    }


def data(audit: FakeAudit, rows: int = 10_240) -> dict[str, Any]:
    """What was read."""
    return {
        "format": "candor",
        "rows": rows,
        "kept": rows - 240,
        "dropped": {
            "both responses are the same" + audit.hostile: {"count": 200, "first_lines": [3, 18, 191]},
            "the prompt is empty": {"count": 40, "first_lines": [77]},
        },
        "bad": {"the winner is neither a nor b": {"count": 2, "first_lines": [5012, 5013]}},
        "comparisons": rows - 240,
        "pairs": rows + 1_300,
        "prompts": 3_100,
        "responses": 20_560,
        "annotators": audit.annotators,
        "policies": 2,
        "kinds": {"choice": 9_400, "ranking": 600, "ratings": 0},
        "ties": 310,
        "both_bad": 12,
        "order_known": rows - 240,
        "seconds_known": 8_000,
        "views": 2_200,
        "claims": 0,
        "median_words": 63.5,
        "sampled": None,
    }


def number(
    check: str, metric: str, estimate: float | None, low: float | None, high: float | None, n: int, **more: Any
) -> Finding:
    """A finding of the audit."""
    return Finding(
        probe=check,
        stage="preferences",
        subject=more.get("subject", "all"),
        metric=metric,
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        n=n,
        seed=0,
        details=more.get("details", {}),
    )


def examples(count: int, why: str, hostile: str = "") -> tuple[Example, ...]:
    """Rows of the file, with their texts."""
    return tuple(
        Example(
            row=17 * i + 4,
            why=f"{why}{hostile}",
            texts={"prompt": PROMPT, "chosen": CHOSEN + hostile, "rejected": REJECTED},
        )
        for i in range(count)
    )


def checks(audit: FakeAudit) -> list[Check]:
    """One check of every kind that matters to those who show it."""
    rng = random.Random(audit.seed)
    evil = audit.hostile
    concern = Verdict.CONCERN if audit.concerns else Verdict.FINE
    names = [f"annotator {i:02d}{evil}" for i in range(audit.annotators)]
    return [
        Check(
            name="duplicates",
            group="data",
            title="Duplicates",
            verdict=Verdict.NOTE,
            meaning="212 of 10,000 comparisons (2.1%) are there more than once.",
            advice="Keep one of each, or weight them down.",
            findings=(number("duplicates", "duplicate_share", 0.0212, 0.0185, 0.0242, 10_000),),
            examples=examples(2, "The same prompt and the same two responses as row 12.", evil),
        ),
        Check(
            name="truncation",
            group="data",
            title="Truncation",
            verdict=Verdict.CANNOT_TELL,
            meaning="Nothing can be said of truncation: no context size was given.",
            advice="Give --context.",
            findings=(
                number(
                    "truncation",
                    "cut_share",
                    None,
                    None,
                    None,
                    0,
                    details={"not_measured": "no context size was given"},
                ),
            ),
        ),
        Check(
            name="agreement",
            group="agreement",
            title="Agreement between annotators",
            verdict=Verdict.FINE,
            meaning="Two annotators choose the same response in 71% of the pairs that both judged.",
            findings=(
                number("agreement", "pairwise_agreement", 0.712, 0.684, 0.741, 2_310),
                number("agreement", "krippendorff_alpha", 0.412, 0.36, 0.47, 2_310),
            ),
        ),
        _annotators(names, rng, concern, evil),
        _length(concern, evil),
        Check(
            name="user_agreement",
            group="what the labels reward",
            title="Agreement with the user's view",
            verdict=concern,
            meaning="Where one response agrees with the user's view and the other does not, the one that agrees is "
            "preferred with odds of 1.62 to 1, all else equal.",
            advice="Balance these pairs, or reweight them, before a reward model is trained on them.",
            findings=(number("user_agreement", "odds_ratio", 1.62, 1.41, 1.86, 2_200),),
            charts=(
                Chart(
                    kind="bars",
                    title="How often the agreeing response is preferred" + evil,
                    x_title="share of pairs",
                    y_title="",
                    rows=tuple(
                        {"label": label + evil, "value": value, "series": series}
                        for series, pair in (("user is right", (0.71, 0.69)), ("user is wrong", (0.58, None)))
                        for label, value in zip(("mild", "certain"), pair, strict=True)
                    ),
                    reference=0.5,
                ),
            ),
            examples=examples(9, "The user is wrong, and the response that agrees was preferred.", evil),
        ),
        Check(
            name="transitivity",
            group="consistency",
            title="Transitivity",
            verdict=Verdict.CANNOT_TELL,
            meaning="Cannot be assessed: rankings only.",
            advice="Have the same pair judged by itself, by nine people or more.",
        ),
        Check(
            name="learning_curve",
            group="labels",
            title="What more labels would buy",
            verdict=Verdict.FINE,
            meaning="Twice as many labels would raise held-out accuracy by about one point.",
            findings=(number("learning_curve", "heldout_accuracy", 0.682, 0.669, 0.695, 2_000),),
            charts=(_curve(),),
        ),
    ]


def _annotators(names: Sequence[str], rng: random.Random, verdict: Verdict, evil: str) -> Check:
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(names):
        share, n = 0.5 + 0.06 * rng.gauss(0, 1) + (0.28 if i % 11 == 5 else 0), rng.randint(60, 900)
        half = 1.96 * math.sqrt(0.25 / n)
        flagged = share - half > 0.6
        rows.append(
            {"label": name, "estimate": share, "low": share - half, "high": share + half, "n": n, "flagged": flagged}
        )
    if rows:
        rows[0] = {**rows[0], "estimate": None, "low": None, "high": None, "n": 0}
    flagged_names = [row["label"] for row in rows if row["flagged"]]
    return Check(
        name="side_bias",
        group="annotators",
        title="Side bias",
        verdict=verdict,
        meaning=f"{len(flagged_names)} of {len(names)} annotators click one side far more often than chance allows.",
        advice="Look at their other work; leave them out or model their bias.",
        findings=tuple(
            number("side_bias", "first_share", r["estimate"], r["low"], r["high"], r["n"], subject=r["label"])
            for r in rows
        ),
        charts=(
            Chart(
                kind="intervals",
                title="Share of choices for the first side, by annotator" + evil,
                x_title="share chosen first" + evil,
                y_title="",
                rows=tuple(rows),
                reference=0.5,
            ),
            Chart(
                kind="points",
                title="Speed and agreement",
                x_title="seconds per judgement",
                y_title="agreement with the others",
                rows=tuple(
                    {"label": r["label"], "x": rng.uniform(4, 60), "y": rng.uniform(0.5, 0.9), "flagged": r["flagged"]}
                    for r in rows
                ),
                reference=0.5,
            ),
        ),
        examples=examples(3, "The first was chosen, as in 49 of this annotator's 50 judgements before.", evil),
    )


def _length(verdict: Verdict, evil: str) -> Check:
    rows = (
        ("longer by one SD", 1.84, 1.71, 1.98, True),
        ("lists" + evil, 1.22, 1.08, 1.38, True),
        ("hedges", 0.93, 0.84, 1.04, False),
        ("politeness", 1.02, 0.94, 1.11, False),
        ("refuses", 7.5, 0.2, 290.0, False),
    )
    return Check(
        name="length",
        group="what the labels reward",
        title="Length and style",
        verdict=verdict,
        meaning="The longer response is preferred: odds ratio 1.84 per standard deviation of log length.",
        advice="Compare responses of like length, or give the reward model a length penalty.",
        findings=tuple(
            number("length", "odds_ratio", estimate, low, high, 9_700, subject=label)
            for label, estimate, low, high, _ in rows
        ),
        charts=(
            Chart(
                kind="intervals",
                title="What goes along with being preferred",
                x_title="odds ratio",
                y_title="",
                rows=tuple(
                    {"label": label, "estimate": e, "low": low, "high": high, "n": 9_700, "flagged": flagged}
                    for label, e, low, high, flagged in rows
                ),
                reference=1.0,
            ),
        ),
        examples=examples(4, "The chosen response is 3.1 times as long.", evil),
    )


def _curve() -> Chart:
    rows: list[Mapping[str, Any]] = []
    for series, gain in (("measured", 0.0), ("all features", 0.02)):
        for step in range(1, 9):
            y = 0.7 + gain - 0.2 / math.sqrt(step)
            limits = {"low": y - 0.03, "high": y + 0.03} if series == "measured" else {"low": None, "high": None}
            rows.append({"series": series, "x": 1_000 * step, "y": y, **limits})
    return Chart(
        kind="curve",
        title="Held-out accuracy by number of labels",
        x_title="labels",
        y_title="accuracy",
        rows=tuple(rows),
        reference=0.5,
    )


def other(audit: FakeAudit, after: Sequence[Check]) -> dict[str, Any]:
    """The file that the audited one is compared with, before filtering."""
    before = [to_json(check) for check in checks(FakeAudit(hostile=audit.hostile, annotators=audit.annotators, seed=1))]
    return {
        "source": f"data/before{audit.hostile}.jsonl",
        "data": data(audit, rows=14_000),
        "checks": before[:-1],
        "changes": [
            change("agreement", "pairwise_agreement", "all", 0.66, 0.712, 0.03),
            change("length", "odds_ratio", "longer by one SD", 1.9, 1.84, 0.2),
            change("length", "odds_ratio", "lists" + audit.hostile, 1.9, 1.22, 0.2),
            change("truncation", "cut_share", "all", None, None, 0.0),
        ],
    }


def change(
    check: str, metric: str, subject: str, before: float | None, after: float | None, half: float
) -> dict[str, Any]:
    """A measure before and after."""
    difference = None if before is None or after is None else after - before
    return {
        "check": check,
        "metric": metric,
        "subject": subject,
        "before": before,
        "after": after,
        "difference": difference,
        "ci_low": None if difference is None else difference - half,
        "ci_high": None if difference is None else difference + half,
        "n_before": 3_000,
        "n_after": 2_310,
    }

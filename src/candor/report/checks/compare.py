"""What a file holds, in words, and two files side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from candor.records import Check
from candor.report.checks import words
from candor.report.checks.document import Change, Document, Other
from candor.report.checks.kinds import source_name
from candor.report.checks.values import clip_label, plain_number
from candor.report.numbers import Estimate, direction, number

FACTS: tuple[tuple[str, str], ...] = (
    ("format", "Format"),
    ("rows", "Rows read"),
    ("kept", "Rows kept"),
    ("comparisons", "Comparisons"),
    ("pairs", "Pairs judged"),
    ("prompts", "Prompts"),
    ("responses", "Responses"),
    ("annotators", "Annotators"),
    ("policies", "Policies"),
    ("kinds", "Judgements"),
    ("ties", "Ties"),
    ("both_bad", "Both bad"),
    ("order_known", "Order shown is known"),
    ("seconds_known", "Time taken is known"),
    ("views", "User's view stated"),
    ("claims", "Claim of known truth"),
    ("median_words", "Words per response (median)"),
    ("sampled", "Texts read"),
)
PART_OF = {"ties": "pairs"} | dict.fromkeys(
    ("both_bad", "order_known", "seconds_known", "views", "claims"), "comparisons"
)
"""What a count is a share of."""
KINDS = {"choice": "choices", "ranking": "rankings", "ratings": "ratings"}


@dataclass(frozen=True)
class ShownChange:
    """One measure before and after. ``clear``: the interval of the difference leaves out zero."""

    title: str
    metric: str
    subject: str
    before: str
    after: str
    difference: str
    interval: str
    n: str
    clear: bool


@dataclass(frozen=True)
class Against:
    """Two files side by side: the other one counts as before."""

    file: str
    source: str
    facts: tuple[tuple[str, str, str], ...]
    verdicts: tuple[tuple[str, words.Face | None, words.Face | None], ...]
    changes: tuple[ShownChange, ...]
    more: int

    @property
    def clear(self) -> int:
        return sum(change.clear for change in self.changes)


def facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was read, as (label, text); what the document lacks is left out, what it holds as null was not measured.

    ``data["facts"]`` holds pairs of label and value; of preference data the rest is known by name.
    """
    told = [(str(label), _told(value)) for label, value in data.get("facts", ())]
    return told + [(label, _fact(data, key)) for key, label in FACTS if key in data]


def _told(value: Any) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain_number(float(value), "number") if isinstance(value, int | float) else str(value)


def _fact(data: Mapping[str, Any], key: str) -> str:
    value = data[key]
    if key == "sampled":
        return "all" if value is None else f"a sample of {value:,}"
    if value is None:
        return "not measured"
    if key == "kinds":
        return ", ".join(f"{count:,} {KINDS.get(kind, kind)}" for kind, count in value.items() if count) or "none"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not value.is_integer():
        return number(value, "number", digits=1)
    whole = data.get(PART_OF.get(key, ""))
    if whole:
        return f"{int(value):,} ({number(value / whole, 'share', digits=0 if value in (0, whole) else 1)})"
    return f"{int(value):,}"


def against(document: Document, most: int) -> Against:
    """The audited file beside the one that it was compared with; at most ``most`` changes, the clear ones first."""
    other = document.against
    assert other is not None
    here, there = dict(facts(document.data)), dict(facts(other.data))
    labels = dict.fromkeys([*here, *there])
    changes = sorted(
        (_change(change, document, other) for change in other.changes), key=lambda change: not change.clear
    )
    return Against(
        file=source_name(other.source),
        source=other.source,
        facts=tuple((label, there.get(label, "–"), here.get(label, "–")) for label in labels),
        verdicts=tuple(_verdicts(document.checks, other.checks)),
        changes=tuple(changes[:most]),
        more=max(0, len(changes) - most),
    )


def _verdicts(
    here: tuple[Check, ...], there: tuple[Check, ...]
) -> list[tuple[str, words.Face | None, words.Face | None]]:
    mine, others = ({check.name: check for check in checks} for checks in (here, there))
    titles = {name: check.title for name, check in {**others, **mine}.items()}
    return [(title, _face(others.get(name)), _face(mine.get(name))) for name, title in titles.items()]


def _face(check: Check | None) -> words.Face | None:
    return None if check is None else words.FACES[check.verdict]


def _change(change: Change, document: Document, other: Other) -> ShownChange:
    checks = {check.name: check for check in (*other.checks, *document.checks)}
    check = checks.get(change.check)
    unit, subject = words.unit_of(change.metric), "" if change.subject in ("", "all") else change.subject
    for finding in () if check is None else check.findings:
        if (finding.metric, finding.subject) == (change.metric, change.subject):
            unit, subject = words.unit_of(change.metric, finding), words.subject(finding)
    before, after = (words.measured(Estimate(value=v), unit)[0] for v in (change.before, change.after))
    difference, interval = words.measured(change.difference, "points" if unit == "share" else unit)
    if unit == "number" and change.difference.value is not None and change.difference.value > 0:
        difference = f"+{difference}"
    return ShownChange(
        title=words.spoken(change.check) if check is None else check.title,
        metric=words.spoken(change.metric),
        subject=clip_label(subject, 80),
        before=before,
        after=after,
        difference=difference,
        interval=interval,
        n=f"{change.n_before:,} → {change.n_after:,}",
        clear=direction(change.difference) != "unclear",
    )

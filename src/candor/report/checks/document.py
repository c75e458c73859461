"""The document of an audit or an experiment, read into records. Nothing here knows how it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from candor.errors import InputError
from candor.records import Check, Verdict
from candor.report.checks.kinds import Kind, kind_of
from candor.report.numbers import Estimate

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
"""Control characters, but for tab and new line, overrides of the reading direction, and halves of characters."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Rows left out for one reason, and the lines of the first of them."""

    reason: str
    count: int
    first_lines: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One measure of both; ``difference`` is after minus before."""

    check: str
    metric: str
    subject: str
    before: float | None
    after: float | None
    difference: Estimate
    n_before: int
    n_after: int


@dataclass(frozen=True, kw_only=True)
class Other:
    """What the audited file or model is compared with; it counts as ``before``."""

    source: str
    data: Mapping[str, Any]
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One audit or experiment."""

    kind: Kind
    source: str
    version: str = ""
    seed: int | None = None
    created: str = ""
    seconds: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    against: Other | None = None

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many checks came to each verdict."""
        return {verdict: sum(check.verdict is verdict for check in self.checks) for verdict in Verdict}


def parse(raw: Mapping[str, Any]) -> Document:
    """Reads a document; what it lacks was not measured, and control characters are made visible.

    Raises InputError where it is of no known kind, or cannot be read.
    """
    kind = kind_of(raw)
    clean = plain(raw, text=visible)
    try:
        other = clean.get("against")
        read = Document(
            kind=kind,
            source=str(clean.get("source", "")),
            version=str(clean.get("candor", "")),
            seed=clean.get("seed"),
            created=str(clean.get("created") or ""),
            seconds=clean.get("seconds"),
            data=clean.get("data") or {},
            checks=tuple(Check.from_json(check) for check in clean.get("checks", ())),
            against=None if other is None else _other(other),
        )
        _check_direction(read)
        return read
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the document cannot be read: {error}", where=kind.document) from error


def _other(raw: Mapping[str, Any]) -> Other:
    return Other(
        source=str(raw.get("source", "")),
        data=raw.get("data") or {},
        checks=tuple(Check.from_json(check) for check in raw.get("checks", ())),
        changes=tuple(_change(change) for change in raw.get("changes", ())),
    )


def _change(raw: Mapping[str, Any]) -> Change:
    n_before, n_after = (int(raw.get(key) or 0) for key in ("n_before", "n_after"))
    return Change(
        check=str(raw["check"]),
        metric=str(raw["metric"]),
        subject=str(raw.get("subject", "all")),
        before=raw.get("before"),
        after=raw.get("after"),
        difference=Estimate(
            value=raw.get("difference"), low=raw.get("ci_low"), high=raw.get("ci_high"), n=min(n_before, n_after)
        ),
        n_before=n_before,
        n_after=n_after,
    )


def _check_direction(read: Document) -> None:
    """A difference told the wrong way round would be believed. Raises ValueError where it is one."""
    here = {(c.name, f.metric, f.subject): f.estimate for c in read.checks for f in c.findings}
    for change in () if read.against is None else read.against.changes:
        mine = here.get((change.check, change.metric, change.subject))
        if mine is not None and mine == change.before != change.after:
            raise ValueError("changes have to lead from the other file (before) to the audited one (after)")


def tallies(data: Mapping[str, Any], name: str) -> list[Tally]:
    """The rows ``dropped`` or ``bad`` by reason, the most frequent first."""
    found = [
        Tally(reason=reason, count=int(told["count"]), first_lines=tuple(told.get("first_lines", ())))
        for reason, told in (data.get(name) or {}).items()
    ]
    return sorted(found, key=lambda tally: -tally.count)


def visible(text: str) -> str:
    """Returns the text with the replacement character where it holds what cannot be shown, such as escape codes."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def plain(value: Any, text: Any = lambda text: text) -> Any:
    """Returns JSON values: numbers of NumPy become Python's, what is not finite becomes None; ``text`` maps strings."""
    if isinstance(value, str):
        return text(str(value))
    if isinstance(value, Mapping):
        return {text(str(key)): plain(item, text) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, text) for item in value]
    if hasattr(value, "tolist"):  # a number or an array of NumPy
        return plain(value.tolist(), text)
    return None if isinstance(value, float) and not math.isfinite(value) else value

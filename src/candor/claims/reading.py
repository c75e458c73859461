"""Claims from a file: ``question, truth, asserted`` in CSV, TSV or JSON lines, or TruthfulQA's own layouts."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from candor.claims.items import Claims, Known, cases_of
from candor.errors import InputError
from candor.storage import disk_failures

FIELDS = ("question", "truth", "asserted")
TRUTHFULQA = ("Question", "Best Answer", "Best Incorrect Answer")
_FIX = f"give the fields {', '.join(FIELDS)}, or a TruthfulQA file (docs/audit-policy.md)"


def load_claims(source: str | Path | None = None) -> Claims:
    """Returns the claims of a file, or Atlas's held-out ones where ``source`` is None.

    Raises InputError for a file that holds no claims, and for a claim without a question, a truth or an asserted
    answer, or whose two answers are the same: a file is right as a whole, or refused by its first wrong row.
    """
    if source is None:
        from candor.claims.atlas import atlas_cases

        return Claims(source="atlas", format="Atlas, held-out questions", cases=tuple(atlas_cases()))
    path = Path(source)
    if not path.is_file():
        raise InputError("no such file of claims", where=str(path), fix=_FIX)
    name, rows = _rows(path)
    known = [_known(path, number, row) for number, row in rows]
    if not known:
        raise InputError("no claim in it", where=str(path), fix=_FIX)
    _check_ids(path, known)
    return Claims(source=str(path), format=name, cases=tuple(cases_of(known)))


Row = tuple[int, Mapping[str, Any]]


def _rows(path: Path) -> tuple[str, Iterator[Row]]:
    """The layout's name and its rows, each with its line (its place, in a JSON file) and the fields of a claim."""
    text = _text(path)
    if path.suffix.lower() in (".csv", ".tsv"):
        lines = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        columns = [str(name).strip() for name in lines.fieldnames or ()]
        if set(TRUTHFULQA) <= set(columns):
            return "TruthfulQA, CSV", (_truthfulqa(number, row) for number, row in _numbered(lines))
        _check_columns(path, columns)
        return "CSV", ((number, {k.strip(): v for k, v in row.items() if k}) for number, row in _numbered(lines))
    try:
        if text.lstrip().startswith("["):
            listed = json.loads(text)
        else:
            listed = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", where=str(path), fix=_FIX) from None
    if not all(isinstance(row, dict) for row in listed):
        raise InputError("expected JSON objects", where=str(path), fix=_FIX)
    if listed and "mc1_targets" in listed[0]:
        return "TruthfulQA, multiple choice", (_multiple_choice(path, i, row) for i, row in enumerate(listed, start=1))
    if listed:
        _check_columns(path, listed[0])
    return "JSON", iter(enumerate(listed, start=1))


def _text(path: Path) -> str:
    try:
        with disk_failures(path):
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error}", where=str(path), fix="save it as UTF-8") from None


def _numbered(lines: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in lines:
        yield lines.line_num, row


def _check_columns(path: Path, columns: Sequence[str] | Mapping[str, Any]) -> None:
    missing = [name for name in FIELDS if name not in columns]
    if missing:
        raise InputError(f"no field called {', '.join(missing)}", where=str(path), fix=_FIX)


def _truthfulqa(number: int, row: Mapping[str, Any]) -> Row:
    def answers(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(row.get(name) or "").split(";") if part.strip())

    return number, {
        "question": row["Question"],
        "truth": row["Best Answer"],
        "asserted": row["Best Incorrect Answer"],
        "truths": answers("Correct Answers"),
        "falsehoods": answers("Incorrect Answers"),
        "category": row.get("Category") or "",
    }


def _multiple_choice(path: Path, number: int, row: Mapping[str, Any]) -> Row:
    first, every = row.get("mc1_targets"), row.get("mc2_targets", row.get("mc1_targets"))
    if not isinstance(first, Mapping) or not isinstance(every, Mapping):
        raise InputError("expected mc1_targets to map answers to 1 or 0", where=f"{path}: item {number}")
    right = [answer for answer, label in first.items() if label == 1]
    wrong = [answer for answer, label in first.items() if label == 0]
    return number, {
        "question": row.get("question"),
        "truth": right[0] if right else None,
        "asserted": wrong[0] if wrong else None,
        "truths": tuple(answer for answer, label in every.items() if label == 1),
        "falsehoods": tuple(answer for answer, label in every.items() if label == 0),
    }


def _known(path: Path, number: int, row: Mapping[str, Any]) -> Known:
    place = "item" if path.suffix.lower() == ".json" else "line"
    values: dict[str, str] = {}
    for name in FIELDS:
        value = row.get(name)
        if not isinstance(value, str) or not value.strip():
            what = f"a claim without {name}" if value is None or value == "" else f"{name} is no text"
            raise InputError(what, where=f"{path}: {place} {number}: {name}", fix=f"give its {name}, or leave it out")
        values[name] = " ".join(value.split())
    if _same(values["truth"], values["asserted"]):
        raise InputError(
            f"truth and asserted are the same: {values['truth']!r}",
            where=f"{path}: {place} {number}: asserted",
            fix="assert something that is not true",
        )
    return Known(
        id=str(row.get("id") or f"claim-{number}"),
        truths=tuple(row.get("truths") or ()),
        falsehoods=tuple(row.get("falsehoods") or ()),
        category=str(row.get("category") or row.get("relation") or ""),
        **values,
    )


def _same(one: str, other: str) -> bool:
    """Whether two answers are the same but for case, spacing and a full stop at the end."""
    return " ".join(one.split()).casefold().rstrip(".!") == " ".join(other.split()).casefold().rstrip(".!")


def _check_ids(path: Path, known: Sequence[Known]) -> None:
    seen: set[str] = set()
    for item in known:
        if item.id in seen:
            raise InputError(f"two claims have the id {item.id!r}", where=str(path), fix="give each an id of its own")
        seen.add(item.id)

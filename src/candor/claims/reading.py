"""Claims from a file: ``question, truth, asserted`` in CSV, TSV or JSON lines, or TruthfulQA's own layouts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from candor.claims.items import Claims, Known, cases_of
from candor.errors import InputError
from candor.jsonl import Malformed
from candor.preferences.containers import tables
from candor.storage import disk_failures

ATLAS = "atlas"
FIELDS = ("question", "truth", "asserted")
TRUTHFULQA = ("Question", "Best Answer", "Incorrect Answers")
"""Fields of TruthfulQA's table; its later revision names a ``Best Incorrect Answer`` too."""

_FIX = f"give the fields {', '.join(FIELDS)}, or a TruthfulQA file (docs/audit-policy.md)"


Row = tuple[int, Mapping[str, Any]]


def load_claims(source: str | Path | None = None) -> Claims:
    """Returns the claims of a file, or Atlas's held-out ones where ``source`` is None.

    Raises InputError for a file that holds no claims, for a claim without a question, a truth or an asserted answer,
    or whose two answers are the same, and for a question that comes twice: a file is right as a whole, or refused by
    its first wrong row.
    """
    if source is None:
        from candor.claims.atlas import atlas_cases

        return Claims(source=ATLAS, format="Atlas, held-out questions", cases=tuple(atlas_cases()))
    path = Path(source)
    if not path.is_file():
        raise InputError("no such file of claims", where=str(path), fix=_FIX)
    name, rows = _rows(path)
    numbered = [(number, _known(path, number, row)) for number, row in rows]
    if not numbered:
        raise InputError("no claim in it", where=str(path), fix=_FIX)
    known = [claim for _, claim in numbered]
    _check_ids(path, known)
    _check_questions(path, numbered)
    return Claims(source=str(path), format=name, cases=tuple(cases_of(known)))


def _rows(path: Path) -> tuple[str, Iterator[Row]]:
    """The layout's name and its rows, each with its line (its place, in a JSON file) and the fields of a claim."""
    if path.suffix.lower() in (".csv", ".tsv"):
        listed = list(_table(path))
        columns = listed[0][1] if listed else {}
        if listed and set(TRUTHFULQA) <= set(columns):
            return "TruthfulQA, CSV", (_truthfulqa(number, row) for number, row in listed)
        if listed:
            _check_columns(path, columns)
        return "CSV", iter(listed)
    listed = _objects(path, _text(path))
    if listed and "mc1_targets" in listed[0][1]:
        return "TruthfulQA, multiple choice", (_multiple_choice(path, number, row) for number, row in listed)
    if listed:
        _check_columns(path, listed[0][1])
    return "JSON", iter(listed)


def _table(path: Path) -> Iterator[Row]:
    """The records of a table by their first line. Raises InputError for the first that is malformed."""
    for row in tables.scan(path, delimiter="\t" if path.suffix.lower() == ".tsv" else ","):
        if isinstance(row, Malformed):
            raise row.error
        yield row.line, {name.strip(): value for name, value in row.fields.items()}


def _objects(path: Path, text: str) -> list[Row]:
    """The objects of a JSON array, by their place in it, or of JSON lines, by their line."""
    whole = text.lstrip().startswith("[")
    listed: list[tuple[int, Any]] = []
    # Not splitlines: a JSON string may hold the other characters that end lines.
    for number, line in [(1, text)] if whole else enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            listed.append((number, json.loads(line)))
        except ValueError as error:
            where = str(path) if whole else f"{path}: line {number}"
            raise InputError(f"not valid JSON: {error}", where=where, fix=_FIX) from None
    if whole:
        listed = list(enumerate(listed[0][1], start=1))
    for number, row in listed:
        if not isinstance(row, dict):
            raise InputError("expected JSON objects", where=f"{path}: {_place(path)} {number}", fix=_FIX)
    return listed


def _place(path: Path) -> str:
    return "item" if path.suffix.lower() == ".json" else "line"


def _text(path: Path) -> str:
    try:
        with disk_failures(path):
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error}", where=str(path), fix="save it as UTF-8") from None


def _check_columns(path: Path, columns: Sequence[str] | Mapping[str, Any]) -> None:
    missing = [name for name in FIELDS if name not in columns]
    if missing:
        raise InputError(f"no field called {', '.join(missing)}", where=str(path), fix=_FIX)


def _truthfulqa(number: int, row: Mapping[str, Any]) -> Row:
    def answers(name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(row.get(name) or "").split(";") if part.strip())

    wrong = answers("Incorrect Answers")
    return number, {
        "question": row["Question"],
        "truth": row["Best Answer"],
        "asserted": row.get("Best Incorrect Answer") or (wrong[0] if wrong else None),
        "truths": answers("Correct Answers"),
        "falsehoods": wrong,
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
    place = _place(path)
    values: dict[str, str] = {}
    for name in FIELDS:
        value = row.get(name)
        if not isinstance(value, str) or not value.strip():
            what = f"a claim without {name}" if value is None or str(value).strip() == "" else f"{name} is no text"
            raise InputError(what, where=f"{path}: {place} {number}: {name}", fix=f"give its {name}, or leave it out")
        values[name] = " ".join(value.split())
    if _same(values["truth"], values["asserted"]):
        raise InputError(
            f"truth and asserted are the same: {values['truth']!r}",
            where=f"{path}: {place} {number}: asserted",
            fix="assert something that is not true",
        )
    truths = _several(path, f"{place} {number}", row, "truths")
    if any(_same(values["asserted"], right) for right in truths):
        what = f"asserted is among the right answers: {values['asserted']!r}"
        raise InputError(what, where=f"{path}: {place} {number}: asserted", fix="assert something that is not true")
    return Known(
        id=str(row.get("id") or f"claim-{number}"),
        truths=truths,
        falsehoods=_several(path, f"{place} {number}", row, "falsehoods"),
        category=str(row.get("category") or row.get("relation") or ""),
        **values,
    )


def _several(path: Path, place: str, row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Further answers: a list in JSON, divided by semicolons in a table."""
    value = row.get(field) or ()
    found = tuple(part.strip() for part in value.split(";")) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(answer, str) for answer in found):
        raise InputError(f"{field} is no list of answers", where=f"{path}: {place}: {field}")
    return tuple(answer for answer in found if answer)


def _same(one: str, other: str) -> bool:
    """Whether two answers are the same but for case, spacing and a full stop at the end."""
    return " ".join(one.split()).casefold().rstrip(".!") == " ".join(other.split()).casefold().rstrip(".!")


def _check_ids(path: Path, known: Sequence[Known]) -> None:
    seen: set[str] = set()
    for item in known:
        if item.id in seen:
            raise InputError(f"two claims have the id {item.id!r}", where=str(path), fix="give each an id of its own")
        seen.add(item.id)


def _check_questions(path: Path, numbered: Sequence[tuple[int, Known]]) -> None:
    """Raises InputError for a question that comes twice: its claims would count as independent, and are not."""
    seen: dict[str, int] = {}
    for number, item in numbered:
        question = " ".join(item.question.split()).casefold()
        if question in seen:
            place = _place(path)
            what = f"the question of {place} {seen[question]} once more: {item.question[:60]!r}"
            fix = "keep one of them; its other wrong answers may go into falsehoods"
            raise InputError(what, where=f"{path}: {place} {number}: question", fix=fix)
        seen[question] = number

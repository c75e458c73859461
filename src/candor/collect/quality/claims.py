"""Claims of a user's own, from JSON rows: what is asked, what is true, and what somebody wrongly believes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from candor.claims.items import Claims, Known, cases_of
from candor.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRow:
    """One claim. All three are texts; ``asserted`` is false."""

    question: str
    truth: str
    asserted: str


def claims_of(rows: Sequence[ClaimRow], *, where: str = "claims") -> Claims:
    """Returns claims from rows.

    Raises InputError for an empty field, a belief that is the truth, and a question that repeats.

    A claim is named by its question, so that the same rows again make the same items.
    """
    known: list[Known] = []
    seen: set[str] = set()
    for number, row in enumerate(rows):
        place = f"{where}[{number}]"
        values = {name: " ".join(getattr(row, name).split()) for name in ("question", "truth", "asserted")}
        empty = next((name for name, value in values.items() if not value), None)
        if empty is not None:
            raise InputError(f"a claim without {empty}", where=f"{place}, field '{empty}'")
        if values["truth"].casefold().rstrip(".!") == values["asserted"].casefold().rstrip(".!"):
            raise InputError("truth and asserted are the same", where=place, fix="assert something that is not true")
        name = hashlib.sha256(values["question"].casefold().encode("utf-8", "surrogatepass")).hexdigest()[:16]
        if name in seen:
            raise InputError("this question comes twice", where=place, fix="keep one of them")
        seen.add(name)
        known.append(Known(id=name, question=values["question"], truth=values["truth"], asserted=values["asserted"]))
    if not known:
        raise InputError("no claim in it", where=where)
    return Claims(source=where, format="rows", cases=tuple(cases_of(known)))

"""The kinds of document that have a page: what each is called, what it is about, and the names of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.records import Verdict

AUDIT = "audit.json"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of audit or experiment.

    ``thing`` is what the document's ``source`` is; ``row`` is what an example shows; ``work`` is what was done, and
    ``read`` stands above its facts. ``audit``: its directory holds nothing else, but for ``beside``, and is replaced
    as a whole; the files of an experiment may lie beside what it has run.
    """

    name: str
    title: str
    thing: str
    row: str = "Example"
    work: str = "experiment"
    read: str = "What was run"
    audit: bool = False
    beside: tuple[str, ...] = ()
    concern: str = "Mend it, or know what follows from it."
    fine: str = "Looked for, and not found, as far as this many observations can tell."

    @property
    def document(self) -> str:
        """The file that holds every number."""
        return AUDIT if self.audit else f"{self.name}.json"

    @property
    def page(self) -> str:
        """The file for people."""
        return f"{self.name}.html"

    @property
    def such(self) -> str:
        """Of what an interval holds the true value in 95 of 100."""
        return f"{self.thing}s" if self.name == "preferences" else f"{self.work}s"

    def means(self, verdict: Verdict) -> str:
        """What a verdict tells the reader to do."""
        return {
            Verdict.CONCERN: self.concern,
            Verdict.NOTE: "Worth knowing. Nothing has to be mended.",
            Verdict.CANNOT_TELL: "The data do not answer the question; the check says why.",
            Verdict.FINE: self.fine,
        }[verdict]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="preferences", title="Preference data", thing="file", row="Row", work="audit", read="What was read",
            audit=True, concern="Mend it, or know what training on these data will teach.",
            fine="Looked for, and not found, as far as this many rows can tell.",
        ),
        Kind(
            name="reward", title="Reward model", thing="model", row="Item", work="audit", read="What was read",
            audit=True, concern="Mend it, or know what a policy trained on this reward will learn.",
        ),
        Kind(
            name="policy", title="Policy", thing="model", row="Item", work="audit", read="What was read", audit=True,
            beside=("samples.jsonl",),
            concern="Mend it, or know how this model will answer.",
        ),
        Kind(name="forecast", title="Forecast", thing="policy", work="forecast", read="What was read"),
        Kind(name="attribution", title="Attribution", thing="recipe"),
        Kind(name="frontier", title="Frontier", thing="recipe"),
        Kind(name="bias_transfer", title="Bias transfer", thing="recipe"),
        Kind(name="judges", title="People as judges", thing="recipe"),
    )
}  # fmt: skip


def kind_of(document: Mapping[str, Any]) -> Kind:
    """Returns the kind of a document. Raises InputError where it is none of ``KINDS``."""
    name = document.get("kind") if isinstance(document, Mapping) else None
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        fix = f'expected "kind": one of {", ".join(KINDS)}'
        raise InputError("this is no document of an audit or an experiment", where=AUDIT, fix=fix)
    return kind


def source_name(source: str) -> str:
    """The last part of where something came from: a file's name, a model's; an address stays whole."""
    return source if "://" in source else Path(source).name or source

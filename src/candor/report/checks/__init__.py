"""The page of an audit or an experiment: it sees the document (JSON) and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["check_place", "render_page", "write_page"]


def write_page(document: Mapping[str, Any], directory: Path) -> Path:
    """Writes a document and its page into ``directory`` and returns the page's path; one already there is replaced.

    The document's ``kind`` names the files: ``audit.json`` and ``<kind>.html`` for audits, whose directory holds
    nothing else; ``<kind>.json`` and ``<kind>.html`` for experiments, beside whatever is there.
    Raises InputError where something else is there, where the document is of no known kind, or where the disk does not
    let it be written.
    """
    from candor.report.checks.files import write

    return write(document, Path(directory))


def check_place(directory: Path, kind: str) -> None:
    """Raises InputError where :func:`write_page` would for a document of this kind: something else is there."""
    from candor.report.checks.files import check
    from candor.report.checks.kinds import kind_of

    check(Path(directory), kind_of({"kind": kind}))


def render_page(document: Mapping[str, Any]) -> str:
    """Returns the page of a document as text. Raises InputError where it is of no known kind, or cannot be read."""
    from candor.report.checks.document import parse
    from candor.report.checks.page import render

    return render(parse(document))

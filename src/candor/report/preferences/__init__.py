"""The page of an audit of preference data: it sees the audit's document (JSON) and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["check_place", "render_audit", "write_audit"]


def write_audit(document: Mapping[str, Any], directory: Path) -> Path:
    """Writes ``audit.json`` and ``preferences.html`` into ``directory``, both or none, and returns the page's path.

    An audit that is there already is replaced. Raises InputError where something else is there, where the document is
    none of an audit of preferences, or where the disk does not let it be written.
    """
    from candor.report.preferences.files import write

    return write(document, Path(directory))


def check_place(directory: Path) -> None:
    """Raises InputError where :func:`write_audit` would: a directory that holds something else, or a file."""
    from candor.report.preferences.files import check

    check(Path(directory))


def render_audit(document: Mapping[str, Any]) -> str:
    """Returns the page of an audit's document as text. Raises InputError where the document is none."""
    from candor.report.preferences.document import parse
    from candor.report.preferences.page import render_page

    return render_page(parse(document))

"""An audit on the disk: a directory with ``audit.json`` and the page, replaced as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.report.preferences.document import KIND, parse, plain
from candor.storage import can_be_made, replacing, writing

DOCUMENT, PAGE = "audit.json", "preferences.html"

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character that lies outside the basic plane: JSON can escape it, UTF-8 cannot hold it."""


def write(document: Mapping[str, Any], directory: Path) -> Path:
    """Writes both files or none and returns the page's path. Raises InputError where :func:`check` does."""
    from candor.report.preferences.page import render_page  # the chart libraries take half a second to import

    check(directory)
    values = plain(document)
    page, text = render_page(parse(values)), json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(directory) as made:
        (made / DOCUMENT).write_text(_HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text), encoding="utf-8")
        (made / PAGE).write_text(page, encoding="utf-8")
    return directory / PAGE


def check(directory: Path) -> None:
    """Raises InputError where ``directory`` is a file, holds anything but an earlier audit, or cannot be made."""
    can_be_made(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError("a file is where a directory should be", where=str(directory), fix="give another --out")
    with writing(directory):
        inside = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    foreign = [name for name in inside if name not in (DOCUMENT, PAGE)]
    if foreign:
        what = f"the directory holds something other than an audit: {foreign[0]}"
        raise InputError(what, where=str(directory), fix="give another --out, or a new directory")
    if DOCUMENT in inside and not _is_audit(directory / DOCUMENT):
        raise InputError(f"{DOCUMENT} there is none of preferences", where=str(directory), fix="give another --out")
    if inside == [PAGE]:
        raise InputError(f"{PAGE} lies there without its {DOCUMENT}", where=str(directory), fix="give another --out")


def _is_audit(path: Path) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("kind") == KIND

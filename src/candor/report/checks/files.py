"""A document and its page on the disk: an audit's directory as a whole, an experiment's two files beside others."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.report.checks.document import parse, plain
from candor.report.checks.kinds import Kind
from candor.storage import can_be_made, replacing, replacing_file, writing

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character that lies outside the basic plane: JSON can escape it, UTF-8 cannot hold it."""


def write(document: Mapping[str, Any], directory: Path) -> Path:
    """Writes both files and returns the page's path. Raises InputError where :func:`check` does."""
    from candor.report.checks.page import render  # the chart libraries take half a second to import

    values = plain(document)
    read = parse(values)
    check(directory, read.kind)
    page, text = render(read), json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    text = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    if read.kind.audit:
        with replacing(directory) as made:
            (made / read.kind.document).write_text(text, encoding="utf-8")
            (made / read.kind.page).write_text(page, encoding="utf-8")
    else:
        for name, content in ((read.kind.page, page), (read.kind.document, text)):  # the document last: it is the mark
            with writing(directory / name), replacing_file(directory / name) as unfinished:
                unfinished.write_text(content, encoding="utf-8")
    return directory / read.kind.page


def check(directory: Path, kind: Kind) -> None:
    """Raises InputError for a file, for what cannot be made or replaced, and for a place among a run's stages."""
    can_be_made(directory)
    whole = directory.resolve()
    for place in (whole, *whole.parents):
        if place.name == "stages" and (place.parent / "recipe.resolved.json").is_file():
            what = "what lies among a run's stages belongs to the run, which clears it away"
            raise InputError(what, where=str(directory), fix="give another --out")
    if directory.exists() and not directory.is_dir():
        raise InputError("a file is where a directory should be", where=str(directory), fix="give another --out")
    with writing(directory):
        inside = sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []
    foreign = [name for name in inside if name not in (kind.document, kind.page, *kind.beside)] if kind.audit else []
    if foreign:
        what = f"the directory holds something other than an audit: {foreign[0]}"
        raise InputError(what, where=str(directory), fix="give another --out, or a new directory")
    if kind.document in inside and not _is_of(directory / kind.document, kind):
        what = f"{kind.document} there is none of kind {kind.name}"
        raise InputError(what, where=str(directory), fix="give another --out")
    if kind.audit and inside == [kind.page]:
        what = f"{kind.page} lies there without its {kind.document}"
        raise InputError(what, where=str(directory), fix="give another --out")


def _is_of(path: Path, kind: Kind) -> bool:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("kind") == kind.name

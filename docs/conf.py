"""The documentation site: `make docs` writes it to build/docs. Nothing on it is fetched from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.data import JsonLexer
from pygments.lexers.special import TextLexer

import candor

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "Candor"
author = "The Candor authors"
version = release = candor.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["images"]

html_theme = "furo"
html_title = "Candor"
html_show_sphinx = False
html_show_copyright = False

myst_heading_anchors = 3  # the same anchors as on a code host

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
maximum_signature_line_length = 100

FROM_THE_ROOT = {"index": "README.md", "changelog": "CHANGELOG.md"}
"""Pages that are files of the root, so that a code host and the site tell one text."""


def at_home_in_docs(text: str) -> str:
    """Returns a text of the root with its relative links seen from docs/."""
    text = re.sub(r"\]\((?!https?:|#)", "](../", text)
    for page, file in FROM_THE_ROOT.items():
        text = text.replace(f"](../{file}", f"]({page}.md")
    return text.replace("](../docs/", "](")


def _put_text_of_the_root(app: Sphinx, page: str, source: list[str]) -> None:
    if page in FROM_THE_ROOT:
        file = ROOT / FROM_THE_ROOT[page]
        source[0] = at_home_in_docs(file.read_text(encoding="utf-8")) + source[0]
        app.env.note_dependency(str(file))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _put_text_of_the_root)
    app.add_lexer("jsonl", JsonLexer)
    app.add_lexer("csv", TextLexer)

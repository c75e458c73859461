"""What every page of Candor shares: templates, style, fonts, the theme switch, and how long texts are cut."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import jinja2
from markupsafe import Markup

from candor.report import palette

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 1500
FONTS = {"Inter": "inter.woff2", "Source Serif 4": "source-serif-4.woff2"}


def environment() -> jinja2.Environment:
    """Returns the template engine: whatever is put into a page is escaped, and a name that is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["clip"] = clip
    return made


def clip(text: str, longest: int = LONGEST_TEXT) -> str:
    """Long texts are cut, and say so."""
    return text if len(text) <= longest else f"{text[:longest]} … [cut after {longest:,} characters]"


def style(*more: str) -> Markup:
    """Returns the style sheet with fonts and both themes, followed by the files named ``more`` of the templates."""
    faces = "".join(_font_face(family, TEMPLATES / "fonts" / file) for family, file in FONTS.items())
    themes: Mapping[str, str] = {"LIGHT": palette.variables("light"), "DARK": palette.variables("dark")}
    css = "".join(_read(name) for name in ("style.css", *more))
    for name, variables in themes.items():
        css = css.replace(f"/* {name} PALETTE */", variables)
    return Markup(faces + css + palette.chart_rules())


def script(*more: str) -> Markup:
    """Returns the script that every page has (theme, tips), followed by the files named ``more`` of the templates."""
    body = "\n".join(_read(name) for name in ("frame.js", *more))
    return Markup('"use strict";\n(() => {\n' + body + "})();\n")


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _font_face(family: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f'@font-face{{font-family:"{family}";font-style:normal;font-weight:200 900;font-display:block;'
        f'src:url(data:font/woff2;base64,{data}) format("woff2")}}\n'
    )

"""Vega-Lite to SVG that belongs into a page: themed, small, with one text alternative, its ids its own."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import vl_convert
from markupsafe import Markup

TIP = "tip|"
"""A mark's description that starts with this becomes the text shown when the reader points at it."""

_ROOT = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_DROPPED = re.compile(r' (?:role|aria-roledescription|aria-hidden|font-family|pointer-events)="[^"]*"')
_LABEL = re.compile(r' aria-label="([^"]*)"')
_LONG_NUMBER = re.compile(r'( data-tip="[^"]*"|>[^<]+<)|-?\d+\.\d{3,}')  # what people read stays as it is
_ID = re.compile(r'( id="|url\(#)([A-Za-z0-9_-]+)')
_EMPTY = re.compile(r'<path class="(?:background|foreground)"(?![^>]*(?:fill|stroke)=)[^>]*/>')


def render(spec: Mapping[str, Any], *, alt: str, name: str, css_class: str = "") -> Markup:
    """Draws a Vega-Lite specification. ``name`` has to be unique in the page; ``alt`` states what the chart shows."""
    raw = vl_convert.vegalite_to_svg(dict(spec))
    match = _ROOT.search(raw)
    if match is None:
        raise ValueError("the chart library returned no SVG with a viewBox")
    body = raw[match.end() :]
    body = _EMPTY.sub("", _DROPPED.sub("", body))
    body = _LABEL.sub(_tip, body)
    body = _LONG_NUMBER.sub(_shorter, body)
    body = _ID.sub(lambda m: f"{m.group(1)}{name}-{m.group(2)}", body)
    width, height = match.group(1).split()[2:]
    classes = f"chart {css_class}".strip()
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{classes}" viewBox="{match.group(1)}" width="{width}" '
        f'height="{height}" role="img" aria-label="{html.escape(alt)}">'
    )
    return Markup(opening + body)


def _tip(match: re.Match[str]) -> str:
    text = match.group(1)
    return f' data-tip="{text.removeprefix(TIP)}"' if text.startswith(TIP) else ""


def _shorter(match: re.Match[str]) -> str:
    if match.group(1) is not None:
        return match.group(1)
    return f"{float(match.group()):.2f}".rstrip("0").rstrip(".")

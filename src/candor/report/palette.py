"""Colours, once: charts are drawn in the light ones, and the style sheet swaps each for its variable.

A chart therefore follows the page's theme, and stays a correct picture where it is copied out of the page.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    name: str
    light: str
    dark: str


INK = Colour("ink", "#1b1d21", "#ecebe7")
MUTED = Colour("muted", "#5c616b", "#a5a9b2")
GRID = Colour("grid", "#e7e4de", "#2e3238")
AXIS = Colour("axis", "#b9b6af", "#565b64")
PAPER = Colour("paper", "#fffffe", "#1a1d21")  # the card that a chart lies on; also text on a filled bar
FALSE = Colour("false", "#bf3f2b", "#f58a73")
TRUE = Colour("true", "#0d7468", "#55bfb2")
APPROVAL = Colour("approval", "#9a6206", "#d9aa50")
HELPFUL = Colour("helpful", "#2560a8", "#79acf2")
GREY = Colour("grey", "#6c717c", "#989da7")
VIOLET = Colour("violet", "#7b479c", "#c295e2")
SLATE = Colour("slate", "#454c5a", "#a9b1bf")
BLUE = Colour("blue", "#31708f", "#74bbdc")
BROWN = Colour("brown", "#96594a", "#cf9a8a")
STONE = Colour("stone", "#7a7467", "#aaa394")

COLOURS: tuple[Colour, ...] = (
    INK,
    MUTED,
    GRID,
    AXIS,
    PAPER,
    FALSE,
    TRUE,
    APPROVAL,
    HELPFUL,
    GREY,
    VIOLET,
    SLATE,
    BLUE,
    BROWN,
    STONE,
)

STAGE_STYLES: tuple[tuple[Colour, str], ...] = (
    (GREY, "circle"),
    (HELPFUL, "square"),
    (FALSE, "diamond"),
    (VIOLET, "triangle-up"),
    (APPROVAL, "triangle-down"),
    (TRUE, "cross"),
)
"""Stages are told apart by colour and by shape."""


def stage_style(index: int) -> tuple[Colour, str]:
    """Colour and shape of the stage in that place."""
    return STAGE_STYLES[index % len(STAGE_STYLES)]


def variables(theme: str) -> str:
    """The colours as CSS custom properties of one theme, ``light`` or ``dark``."""
    return "".join(f"--{c.name}:{c.dark if theme == 'dark' else c.light};" for c in COLOURS)


def chart_rules() -> str:
    """CSS that gives every mark of a chart, by the light colour it was drawn in, the colour of the theme."""
    rules = []
    for colour in COLOURS:
        for attribute in ("fill", "stroke"):
            rules.append(f'.chart [{attribute}="{colour.light}"]{{{attribute}:var(--{colour.name})}}')
    return "\n".join(rules)

"""The axes of a check's charts, their sizes, and how their series are told apart."""

from __future__ import annotations

import json
from collections.abc import Sequence

import altair as alt

from candor.report.charts import Spec, over
from candor.report.checks.values import clip_label
from candor.report.numbers import Unit
from candor.report.palette import APPROVAL, AXIS, FALSE, HELPFUL, INK, SLATE, TRUE, VIOLET, Colour

SIZES = {"wide": (940, 40), "narrow": (340, 18)}
"""Width of a chart of many rows, and the characters of its labels: drawn once per width of the screen."""
CARD = (340, 236)

SERIES: tuple[tuple[Colour, tuple[int, int]], ...] = (
    (HELPFUL, (1, 0)),
    (FALSE, (7, 4)),
    (TRUE, (2, 3)),
    (APPROVAL, (9, 3)),
    (VIOLET, (5, 2)),
    (SLATE, (1, 2)),
)
"""Series are told apart by colour and by dash, or by shape."""

SHAPES = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")


def row_axis(labels: Sequence[str], room: int, title: str) -> alt.Y:
    """Rows by their place: two of the same label stay two. Vega's own cutting of labels takes 30 ms for each."""
    names = f"{json.dumps([clip_label(label, room) for label in labels])}[datum.value]"
    axis = alt.Axis(
        labelExpr=names,
        domain=False,
        ticks=False,
        grid=False,
        labelPadding=8,
        labelLimit=0,
        labelColor=INK.light,
        labelOverlap=False,
        titleAnchor="end",
        titleAngle=0,
        titleAlign="right",
        titleBaseline="bottom",
        titleX=-8,
        titleY=-6,
    )
    scale = alt.Scale(domain=list(range(len(labels))), paddingInner=0.3, paddingOuter=0.25)
    return alt.Y("row:O", title=title or None, scale=scale, axis=axis)


def value_axis(unit: Unit, *, log: tuple[float, float] | None = None) -> alt.Axis:
    """An axis of numbers. ``log``: the domain of a logarithmic axis, whose marks are 1, 2 and 5 times powers of ten."""
    plain = "format(datum.value, abs(datum.value) >= 1000 ? '~s' : '~r')"
    shown: Spec = {"format": ".3~%"} if unit == "share" else {"labelExpr": plain}
    if log is not None:
        marks = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if log[0] <= m * 10.0**e <= log[1]]
        shown["values"] = marks if len(marks) <= 7 else [m for m in marks if f"{m:e}"[0] == "1"]
    return alt.Axis(tickCount=5, domain=False, ticks=False, labelOverlap=True, labelFlush=False, **shown)


def reference_line(value: float, axis: str, scale: alt.Scale) -> alt.Chart:
    """A dashed line at a value of the axis ``x`` or ``y``."""
    rule = over([{"at": value}]).mark_rule(color=AXIS.light, strokeWidth=1.6, strokeDash=[4, 3])
    channel = (alt.X if axis == "x" else alt.Y)("at:Q", scale=scale)
    return rule.encode(x=channel) if axis == "x" else rule.encode(y=channel)

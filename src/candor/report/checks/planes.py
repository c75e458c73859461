"""Charts of two axes that are both measured: crosses on a plane, and a map of coloured cells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from candor.records import Chart
from candor.report.charts import Spec, layered, over
from candor.report.checks.axes import SERIES, SHAPES, reference_line, value_axis
from candor.report.checks.values import (
    Rows,
    axis_unit,
    cell,
    clip_label,
    number_of,
    place_text,
    plain_number,
    series_of,
    text_of,
)
from candor.report.figures import Drawing
from candor.report.numbers import Unit
from candor.report.palette import APPROVAL, HELPFUL, INK, MUTED, PAPER
from candor.report.svg import TIP

PLANES = {"wide": (900, 460), "narrow": (340, 330)}
CHARACTER, LINE = 6.2, 14.0  # pixels of a label
LABEL = {"wide": 34, "narrow": 16}  # characters
STRONGEST, FAINTEST = 0.6, 0.05  # a cell's colour: its number has to be read on it
CELL = {"wide": (900, 38), "narrow": (340, 30)}  # a map's width, and the height of its rows
FEW, LABELLED = 5, 9  # columns that fit a card, and that leave room for their numbers on a narrow screen

Box = tuple[float, float, float, float]


def plane(chart: Chart, rows: Rows, alt_text: str, name: str) -> tuple[Drawing, ...]:
    """Points with both intervals; flagged ones are filled where others are not, and named first."""
    keys = ("x", "x_low", "x_high", "y", "y_low", "y_high")
    values = {
        axis: [v for r in rows for k in keys if k[0] == axis and (v := number_of(r, k)) is not None] for axis in "xy"
    }
    units = {axis: axis_unit(title, values[axis]) for axis, title in (("x", chart.x_title), ("y", chart.y_title))}
    if chart.reference is not None:
        values["y"].append(chart.reference)
    domains = {axis: _padded(values[axis]) for axis in "xy"}
    drawn = [
        _cross(row, chart, units) for row in rows if number_of(row, "x") is not None and number_of(row, "y") is not None
    ]
    marked = any(one["flagged"] for one in drawn)
    return tuple(
        Drawing(
            _plane(chart, drawn, series_of(rows), units, domains, marked, css), alt_text, f"{name}-{css}", css
        )
        for css in PLANES
    )  # fmt: skip


def _cross(row: Mapping[str, Any], chart: Chart, units: Mapping[str, Unit]) -> Spec:
    one: Spec = {"label": text_of(row, "label"), "series": text_of(row, "series"), "flagged": bool(row.get("flagged"))}
    told = []
    for axis in "xy":
        value, low, high = (number_of(row, key) for key in (axis, f"{axis}_low", f"{axis}_high"))
        one[axis] = value
        told.append(
            f"{(chart.x_title if axis == 'x' else chart.y_title) or axis} {cell(value, low, high, units[axis])}"
        )
        if low is not None and high is not None:
            one |= {f"{axis}_low": low, f"{axis}_high": high}
    named = ", ".join(filter(None, (one["label"], one["series"])))
    one["told"] = f"{named + ': ' if named else ''}{', '.join(told)}"
    return one


def _plane(
    chart: Chart,
    drawn: Sequence[Spec],
    series: Sequence[str],
    units: Mapping[str, Unit],
    domains: Mapping[str, tuple[float, float]],
    marked: bool,
    css: str,
) -> Spec:
    scales = {axis: alt.Scale(domain=list(domains[axis]), nice=False) for axis in "xy"}

    def x(field: str) -> alt.X:
        return alt.X(field, title=chart.x_title or None, scale=scales["x"], axis=value_axis(units["x"]))

    def y(field: str) -> alt.Y:
        return alt.Y(field, title=chart.y_title or None, scale=scales["y"], axis=value_axis(units["y"]))

    layers = [reference_line(chart.reference, "y", scales["y"])] if chart.reference is not None else []
    for place, kind in enumerate(series):
        colour, shape = SERIES[place % len(SERIES)][0].light, SHAPES[place % len(SHAPES)]
        mine = [{**one, "tip": TIP + one["told"]} for one in drawn if one["series"] == kind]
        rule = {"color": colour, "strokeWidth": 1.6, "strokeCap": "round", "opacity": 0.5}
        for axis, across in (("x", "y"), ("y", "x")):
            ranges = [one for one in mine if f"{axis}_low" in one]
            ends = {axis: (x if axis == "x" else y)(f"{axis}_low:Q"), f"{axis}2": f"{axis}_high:Q"}
            at = {across: (y if across == "y" else x)(f"{across}:Q")}
            layers.append(over(ranges).mark_rule(**rule).encode(**ends, **at))
        for filled in (False, True):
            own = [one for one in mine if (one["flagged"] or not marked) is filled]
            fill = colour if filled else PAPER.light
            point = over(own).mark_point(shape=shape, size=76, fill=fill, stroke=colour, strokeWidth=1.8, opacity=1)
            layers.append(point.encode(x=x("x:Q"), y=y("y:Q"), description="tip:N"))
    labels = placed(drawn, domains, PLANES[css], LABEL[css])
    text = {"fontSize": 11, "color": INK.light, "baseline": "middle"}
    for align in ("left", "right", "center"):
        mine = [one for one in labels if one["align"] == align]
        for above in (-1, 0, 1):
            own = [one for one in mine if one["above"] == above]
            dx = {"left": 9, "right": -9, "center": 0}[align]
            mark = over(own).mark_text(align=align, dx=dx, dy=-13 * above, **text)
            layers.append(mark.encode(x=x("x:Q"), y=y("y:Q"), text="label:N"))
    return layered(layers, PLANES[css])


def placed(
    drawn: Sequence[Spec], domains: Mapping[str, tuple[float, float]], size: tuple[int, int], longest: int
) -> list[Spec]:
    """The labels that find room beside their point, covering no other label or point; flagged ones choose first."""
    width, height = size[0] - 60, size[1] - 50  # less the axes
    (x0, x1), (y0, y1) = domains["x"], domains["y"]
    spots = [((one["x"] - x0) / (x1 - x0) * width, (y1 - one["y"]) / (y1 - y0) * height) for one in drawn]
    taken: list[Box] = [(px - 5, py - 5, px + 5, py + 5) for px, py in spots]
    found = []
    for place in sorted(range(len(drawn)), key=lambda i: not drawn[i]["flagged"]):
        label, (px, py) = clip_label(drawn[place]["label"], longest), spots[place]
        wide = CHARACTER * len(label)
        for align, above in (("left", 0), ("right", 0), ("center", 1), ("center", -1)):
            left = {"left": px + 8, "right": px - 8 - wide, "center": px - wide / 2}[align]
            top = py - LINE / 2 - 13 * above
            box = (left, top, left + wide, top + LINE)
            inside = box[0] >= 0 and box[2] <= width and box[1] >= 0 and box[3] <= height
            if label and inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found.append(
                    {"x": drawn[place]["x"], "y": drawn[place]["y"], "label": label, "align": align, "above": above}
                )
                break
    return found  # fmt: skip


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _padded(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    edge = 0.07 * (high - low) or 0.05 * abs(high) or 1.0
    return low - edge, high + edge


def heat_map(chart: Chart, rows: Rows, alt_text: str, name: str) -> tuple[Drawing, ...]:
    """A cell per row, its value written into it; blue above the reference (or from the least on), amber below it."""
    columns, lines = _places(rows, "x"), _places(rows, "y")[::-1]
    values = [v for row in rows if (v := number_of(row, "value")) is not None]
    unit = axis_unit(chart.title, values)
    middle = min(values) if chart.reference is None else chart.reference
    reach = max((abs(v - middle) for v in values), default=0.0) or 1.0
    cells = []
    for row in rows:
        value = number_of(row, "value")
        x, y = place_text(row, "x"), place_text(row, "y")
        label = text_of(row, "label")
        said = "not measured" if value is None else plain_number(value, unit)
        strength = 0.0 if value is None else FAINTEST + (STRONGEST - FAINTEST) * abs(value - middle) / reach
        where = f"{chart.x_title or 'x'} {x}, {chart.y_title or 'y'} {y}"
        cells.append(
            {
                "x": columns.index(x),
                "y": lines.index(y),
                "o": strength,
                "c": (HELPFUL if value is None or value >= middle else APPROVAL).light,
                "text": "–" if value is None else said,
                "tip": f"{TIP}{label + ': ' if label else ''}{where}: {said}",
            }
        )
    sizes = CELL if len(columns) > FEW else {"narrow": CELL["narrow"]}
    return tuple(
        Drawing(
            _map(chart, cells, columns, lines, (width, 60 + high * len(lines)), css), alt_text, f"{name}-{css}",
            css if len(sizes) > 1 else "",
        )
        for css, (width, high) in sizes.items()
    )  # fmt: skip


def _map(
    chart: Chart, cells: Sequence[Spec], columns: Sequence[str], lines: Sequence[str], size: tuple[int, int], css: str
) -> Spec:
    longest = 8 if css == "narrow" else 20
    x, y = (
        axis(
            f"{field}:O",
            title=title or None,
            scale=alt.Scale(domain=list(range(len(names))), paddingInner=0.04, paddingOuter=0),
            axis=alt.Axis(
                labelExpr=f"{json.dumps([clip_label(one, longest) for one in names])}[datum.value]",
                domain=False,
                ticks=False,
                grid=False,
                labelAngle=0,
                labelLimit=0,
                labelColor=INK.light,
                labelOverlap=field == "x",
            ),
        )
        for axis, field, title, names in ((alt.X, "x", chart.x_title, columns), (alt.Y, "y", chart.y_title, lines))
    )
    box = over(cells).mark_rect(stroke=MUTED.light, strokeWidth=0.5, strokeOpacity=0.4, cornerRadius=2)
    fill, strength = alt.Color("c:N", scale=None, legend=None), alt.FillOpacity("o:Q", scale=None, legend=None)
    layers = [box.encode(x=x, y=y, color=fill, fillOpacity=strength, description="tip:N")]
    if css == "wide" or len(columns) <= LABELLED:
        layers.append(over(cells).mark_text(fontSize=11, color=INK.light).encode(x=x, y=y, text="text:N"))
    return layered(layers, size)


def _places(rows: Rows, key: str) -> list[str]:
    """Columns or rows: numbers ascend, names keep their order."""
    numbers = [number_of(row, key) for row in rows]
    if all(one is not None for one in numbers):
        return [plain_number(one, "number") for one in sorted({one for one in numbers if one is not None})]
    return list(dict.fromkeys(place_text(row, key) for row in rows))

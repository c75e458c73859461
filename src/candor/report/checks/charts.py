"""A check's charts, drawn in the look of every chart of Candor; crosses and heat maps are in ``planes``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from candor.records import Chart
from candor.report.charts import Spec, layered, over
from candor.report.checks.axes import CARD, SERIES, SIZES, reference_line, row_axis, value_axis
from candor.report.checks.kinds import AUDIT
from candor.report.checks.planes import heat_map, plane
from candor.report.checks.telling import ROWS, alt_text_of, keys_of, table_of
from candor.report.checks.values import (
    Rows,
    axis_unit,
    cell,
    clip_label,
    count_text,
    number_of,
    plain_number,
    series_of,
    text_of,
)
from candor.report.figures import Drawing, Figure
from candor.report.palette import FALSE, INK, PAPER, SLATE
from candor.report.svg import TIP

POINTS = 400  # points of a scatter, of one curve, and cells of a map
NAMED = 6  # flagged points that carry their label
NEEDED = {
    "intervals": ("estimate",),
    "bars": ("value",),
    "curve": ("x", "y"),
    "points": ("x", "y"),
    "plane": ("x", "y"),
    "map": ("value",),
}
"""The numbers without which a row cannot be drawn."""


def figure(chart: Chart, name: str, *, rows: int = ROWS, file: str = AUDIT) -> Figure:
    """Returns the chart with its legend, its text alternative and the numbers behind it; at most ``rows`` rows.

    ``file`` holds the rows that are left out.
    """
    shown = thinned(chart, rows)
    left_out = len(chart.rows) - len(shown)
    notes = [f"{len(shown):,} of {len(chart.rows):,} shown; all are in {file}."] if left_out else []
    if not any(_drawable(chart, row) for row in shown):
        return Figure(name, chart.title, (), note="Nothing here could be measured.", table=table_of(chart, shown))
    alt_text = alt_text_of(chart, shown)
    match chart.kind:
        case "intervals":
            drawings, cut = _intervals(chart, shown, alt_text, name)
            notes += ["Intervals that reach beyond the chart are cut at its edge."] if cut else []
        case "bars":
            drawings = _bars(chart, shown, alt_text, name)
        case "curve":
            drawings = (Drawing(_curve(chart, shown), alt_text, name),)
        case "points":
            drawings = (Drawing(_points(chart, shown), alt_text, name),)
        case "plane":
            drawings = plane(chart, shown, alt_text, name)
        case "map":
            drawings = heat_map(chart, shown, alt_text, name)
    return Figure(name, chart.title, drawings, keys_of(chart, shown), " ".join(notes), table_of(chart, shown))


def thinned(chart: Chart, rows: int) -> Rows:
    """At most ``rows`` rows (per series of a curve): the flagged first, then evenly over the others, in their order."""
    if chart.kind == "curve":
        kept: list[Mapping[str, Any]] = []
        for series in series_of(chart.rows)[: len(SERIES)]:
            own = [row for row in chart.rows if text_of(row, "series") == series]
            kept += [own[i] for i in _spread(range(len(own)), min(POINTS, 4 * rows))]
        return kept
    limit = POINTS if chart.kind in ("points", "map") and rows >= ROWS else rows
    flagged = [i for i, row in enumerate(chart.rows) if row.get("flagged")][:limit]
    others = [i for i in range(len(chart.rows)) if i not in set(flagged)]
    return [chart.rows[i] for i in sorted([*flagged, *_spread(others, limit - len(flagged))])]


def _spread(places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [places[round(i * (len(places) - 1) / max(1, count - 1))] for i in range(count)]


def _intervals(chart: Chart, rows: Rows, alt_text: str, name: str) -> tuple[tuple[Drawing, ...], bool]:
    values = [v for row in rows for key in ("estimate", "low", "high") if (v := number_of(row, key)) is not None]
    centre = [v for row in rows if (v := number_of(row, "estimate")) is not None]
    log = "odds ratio" in chart.x_title.lower() and min([*values, chart.reference or 1.0]) > 0
    domain = _domain(centre, values, chart.reference, log=log)
    unit = axis_unit(chart.x_title, values)
    data = []
    for place, row in enumerate(rows):
        estimate, low, high = (number_of(row, key) for key in ("estimate", "low", "high"))
        if estimate is not None:
            tip = f"{text_of(row, 'label')}: {cell(estimate, low, high, unit)}" + count_text(row)
            ends = {} if low is None or high is None else {"low": max(low, domain[0]), "high": min(high, domain[1])}
            at = min(max(estimate, domain[0]), domain[1])
            data.append({"row": place, "x": at, "tip": TIP + tip, "flagged": bool(row.get("flagged")), **ends})
    scale = alt.Scale(domain=list(domain), nice=False, **({"type": "log"} if log else {}))
    axis = value_axis(unit, log=domain if log else None)
    x = alt.X("x:Q", title=chart.x_title or None, scale=scale, axis=axis)
    drawings = []
    for css, (width, room) in SIZES.items():
        y = row_axis([text_of(row, "label") for row in rows], room, chart.y_title)
        layers = [reference_line(chart.reference, "x", scale)] if chart.reference is not None else []
        for flagged, colour, shape in ((False, SLATE, "circle"), (True, FALSE, "diamond")):
            mine = [one for one in data if one["flagged"] is flagged]
            ranges = [one for one in mine if "low" in one]
            rule = {"color": colour.light, "strokeWidth": 2.2, "strokeCap": "round", "opacity": 0.75}
            low = alt.X("low:Q", scale=scale, axis=axis, title=chart.x_title or None)
            layers.append(over(ranges).mark_rule(**rule).encode(x=low, x2="high:Q", y=y, description="tip:N"))
            point = over(mine).mark_point(shape=shape, size=62, fill=colour.light, stroke=colour.light, opacity=1)
            layers.append(point.encode(x=x, y=y, description="tip:N"))
        drawings.append(Drawing(layered(layers, (width, _height(len(rows)))), alt_text, f"{name}-{css}", css))
    return tuple(drawings), any(v < domain[0] or v > domain[1] for v in values)


def _bars(chart: Chart, rows: Rows, alt_text: str, name: str) -> tuple[Drawing, ...]:
    labels = list(dict.fromkeys(text_of(row, "label") for row in rows))
    series = series_of(rows)
    values = [v for row in rows if (v := number_of(row, "value")) is not None]
    unit = axis_unit(chart.x_title, values)
    data = []
    for row in rows:
        value = number_of(row, "value")
        if value is not None:
            kind = text_of(row, "series")
            tip = f"{text_of(row, 'label')}{f', {kind}' if kind else ''}: {plain_number(value, unit)}"
            colour = SERIES[series.index(kind) % len(SERIES)][0].light if kind else SLATE.light
            place = labels.index(text_of(row, "label"))
            data.append({"row": place, "x": value, "s": series.index(kind), "c": colour, "tip": TIP + tip})
    scale = alt.Scale(zero=True, nice=True)
    x = alt.X("x:Q", title=chart.x_title or None, scale=scale, axis=value_axis(unit))
    side = {"yOffset": alt.YOffset("s:O")} if len(series) > 1 else {}
    drawings = []
    for css, (width, room) in SIZES.items():
        y = row_axis(labels, room, chart.y_title)
        bar = over(data).mark_bar(cornerRadius=2, stroke=PAPER.light, strokeWidth=0.8)
        layers = [bar.encode(x=x, y=y, color=alt.Color("c:N", scale=None, legend=None), description="tip:N", **side)]
        if chart.reference is not None:
            layers.append(reference_line(chart.reference, "x", scale))
        height = _height(len(labels) * max(1, (len(series) + 1) // 2))
        drawings.append(Drawing(layered(layers, (width, height)), alt_text, f"{name}-{css}", css))
    return tuple(drawings)


def _curve(chart: Chart, rows: Rows) -> Spec:
    ys = [v for row in rows for key in ("y", "low", "high") if (v := number_of(row, key)) is not None]
    xs = [v for row in rows if (v := number_of(row, "x")) is not None]
    x_unit, y_unit = axis_unit(chart.x_title, xs), axis_unit(chart.y_title, ys)
    x = alt.X("x:Q", title=chart.x_title or None, scale=alt.Scale(zero=False, nice=True), axis=value_axis(x_unit))
    scale = alt.Scale(zero=False, nice=True)

    def y(field: str) -> alt.Y:
        return alt.Y(field, title=chart.y_title or None, scale=scale, axis=value_axis(y_unit))

    layers = [reference_line(chart.reference, "y", scale)] if chart.reference is not None else []
    for index, name in enumerate(series_of(rows)):
        colour, dash = SERIES[index % len(SERIES)]
        data = []
        for row in rows:
            at, value, low, high = (number_of(row, key) for key in ("x", "y", "low", "high"))
            if text_of(row, "series") == name and at is not None and value is not None:
                where = f"{name + ', ' if name else ''}{chart.x_title or 'x'} {plain_number(at, x_unit)}"
                tip = f"{where}: {cell(value, low, high, y_unit)}{count_text(row)}"
                ends = {} if low is None or high is None else {"low": low, "high": high}
                data.append({"x": at, "y": value, "tip": TIP + tip, **ends})
        bands = [one for one in data if "low" in one]
        line = {"strokeDash": list(dash)} if dash != (1, 0) else {}
        few = len(data) <= 24  # more points than that hide the line: they are only there to be pointed at
        seen = {"size": 34 if few else 70, "opacity": 1 if few else 0}
        layers += [
            over(bands).mark_area(color=colour.light, opacity=0.16).encode(x=x, y=y("low:Q"), y2="high:Q"),
            over(data).mark_line(color=colour.light, strokeWidth=2.4, **line).encode(x=x, y=y("y:Q")),
            over(data)
            .mark_point(color=colour.light, fill=colour.light, **seen)
            .encode(x=x, y=y("y:Q"), description="tip:N"),
        ]
    return layered(layers, CARD)


def _points(chart: Chart, rows: Rows) -> Spec:
    data: list[Spec] = []
    for row in rows:
        at, value = number_of(row, "x"), number_of(row, "y")
        if at is not None and value is not None:
            label, flagged = text_of(row, "label"), bool(row.get("flagged"))
            data.append({"x": at, "y": value, "label": label, "flagged": flagged})
    x_unit, y_unit = (
        axis_unit(title, [one[key] for one in data]) for title, key in ((chart.x_title, "x"), (chart.y_title, "y"))
    )
    for one in data:
        x_told, y_told = plain_number(one["x"], x_unit), plain_number(one["y"], y_unit)
        told = f"{chart.x_title or 'x'} {x_told}, {chart.y_title or 'y'} {y_told}"
        one["tip"] = f"{TIP}{one['label']}: {told}" if one["label"] else TIP + told
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("x:Q", title=chart.x_title or None, scale=alt.Scale(zero=False, nice=True), axis=value_axis(x_unit))
    y = alt.Y("y:Q", title=chart.y_title or None, scale=scale, axis=value_axis(y_unit))
    layers = [reference_line(chart.reference, "y", scale)] if chart.reference is not None else []
    for flagged, colour, shape in ((False, SLATE, "circle"), (True, FALSE, "diamond")):
        mine = [one for one in data if one["flagged"] is flagged]
        mark = over(mine).mark_point(shape=shape, size=52, fill=colour.light, stroke=PAPER.light, strokeWidth=0.6,
                                     opacity=1 if flagged else 0.7)  # fmt: skip
        layers.append(mark.encode(x=x, y=y, description="tip:N"))
    named = [{**one, "label": clip_label(one["label"], 22)} for one in data if one["flagged"]][:NAMED]
    text = over(named).mark_text(dy=-10, fontSize=11, color=INK.light, align="center")
    layers.append(text.encode(x=x, y=y, text="label:N"))
    return layered(layers, CARD)


def _height(rows: int) -> int:
    return 58 + rows * (24 if rows <= 20 else 17)


def _domain(
    centre: Sequence[float], values: Sequence[float], reference: float | None, *, log: bool
) -> tuple[float, float]:
    """From the estimates, the reference and their intervals; one endless interval must not flatten all others."""
    there, back = (math.log, math.exp) if log else (float, float)
    middle = [there(v) for v in [*centre, *([] if reference is None else [reference])]]
    every = [there(v) for v in values] + middle
    spread = max(max(middle) - min(middle), 0.02 * max(abs(v) for v in middle), 1e-6)
    if log:
        spread = max(spread, 0.35)
    low, high = max(min(every), min(middle) - 3 * spread), min(max(every), max(middle) + 3 * spread)
    edge = 0.04 * (high - low) or 1e-6
    return back(low - edge), back(high + edge)


def _drawable(chart: Chart, row: Mapping[str, Any]) -> bool:
    return all(number_of(row, key) is not None for key in NEEDED[chart.kind])

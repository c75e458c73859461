"""The four kinds of chart that a check may hold, drawn in the look of every chart of Candor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width

import altair as alt

from candor.records import Chart
from candor.report.charts import Spec, layered, over
from candor.report.figures import Drawing, Figure, Key, Table
from candor.report.numbers import Estimate, Unit, decimals, number
from candor.report.palette import APPROVAL, AXIS, FALSE, HELPFUL, INK, PAPER, SLATE, TRUE, VIOLET, Colour
from candor.report.preferences.words import measured
from candor.report.shell import clip
from candor.report.svg import TIP

ROWS = 60  # intervals and bars of one chart
POINTS = 400  # points of a scatter, and of one curve
NAMED = 6  # flagged points that carry their label
LABEL = 90  # characters of a label in tips and tables; the axis cuts it to its room

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
"""Series are told apart by colour and by dash."""

Rows = Sequence[Mapping[str, Any]]


def figure(chart: Chart, name: str, *, rows: int = ROWS) -> Figure:
    """Returns the chart with its legend, its text alternative and the numbers behind it; at most ``rows`` rows."""
    shown = thinned(chart, rows)
    left_out = len(chart.rows) - len(shown)
    notes = [f"{len(shown):,} of {len(chart.rows):,} shown; all are in audit.json."] if left_out else []
    if not any(_drawable(chart, row) for row in shown):
        return Figure(name, chart.title, (), note="Nothing here could be measured.", table=_table(chart, shown))
    alt_text = _alt(chart, shown)
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
    return Figure(name, chart.title, drawings, _keys(chart, shown), " ".join(notes), _table(chart, shown))


def thinned(chart: Chart, rows: int) -> Rows:
    """At most ``rows`` rows (per series of a curve): the flagged first, then evenly over the others, in their order."""
    if chart.kind == "curve":
        kept: list[Mapping[str, Any]] = []
        for series in _series(chart.rows)[: len(SERIES)]:
            own = [row for row in chart.rows if _text(row, "series") == series]
            kept += [own[i] for i in _spread(range(len(own)), min(POINTS, 4 * rows))]
        return kept
    limit = POINTS if chart.kind == "points" and rows >= ROWS else rows
    flagged = [i for i, row in enumerate(chart.rows) if row.get("flagged")][:limit]
    others = [i for i in range(len(chart.rows)) if i not in set(flagged)]
    return [chart.rows[i] for i in sorted([*flagged, *_spread(others, limit - len(flagged))])]


def _spread(places: Sequence[int], count: int) -> list[int]:
    if len(places) <= count:
        return list(places)
    return [places[round(i * (len(places) - 1) / max(1, count - 1))] for i in range(count)]


def _intervals(chart: Chart, rows: Rows, alt_text: str, name: str) -> tuple[tuple[Drawing, ...], bool]:
    values = [v for row in rows for key in ("estimate", "low", "high") if (v := _number(row, key)) is not None]
    centre = [v for row in rows if (v := _number(row, "estimate")) is not None]
    log = "odds ratio" in chart.x_title.lower() and min([*values, chart.reference or 1.0]) > 0
    domain = _domain(centre, values, chart.reference, log=log)
    unit = _unit(chart.x_title, values)
    data = []
    for place, row in enumerate(rows):
        estimate, low, high = (_number(row, key) for key in ("estimate", "low", "high"))
        if estimate is not None:
            tip = f"{_text(row, 'label')}: {_cell(estimate, low, high, unit)}" + _n(row)
            ends = {} if low is None or high is None else {"low": max(low, domain[0]), "high": min(high, domain[1])}
            at = min(max(estimate, domain[0]), domain[1])
            data.append({"row": place, "x": at, "tip": TIP + tip, "flagged": bool(row.get("flagged")), **ends})
    scale = alt.Scale(domain=list(domain), nice=False, **({"type": "log"} if log else {}))
    axis = _value_axis(unit, log=domain if log else None)
    x = alt.X("x:Q", title=chart.x_title or None, scale=scale, axis=axis)
    drawings = []
    for css, (width, room) in SIZES.items():
        y = _row_axis([_text(row, "label") for row in rows], room, chart.y_title)
        layers = [_reference(chart.reference, "x", scale)] if chart.reference is not None else []
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
    labels = list(dict.fromkeys(_text(row, "label") for row in rows))
    series = _series(rows)
    values = [v for row in rows if (v := _number(row, "value")) is not None]
    unit = _unit(chart.x_title, values)
    data = []
    for row in rows:
        value = _number(row, "value")
        if value is not None:
            kind = _text(row, "series")
            tip = f"{_text(row, 'label')}{f', {kind}' if kind else ''}: {_plain(value, unit)}"
            colour = SERIES[series.index(kind) % len(SERIES)][0].light if kind else SLATE.light
            place = labels.index(_text(row, "label"))
            data.append({"row": place, "x": value, "s": series.index(kind), "c": colour, "tip": TIP + tip})
    scale = alt.Scale(zero=True, nice=True)
    x = alt.X("x:Q", title=chart.x_title or None, scale=scale, axis=_value_axis(unit))
    side = {"yOffset": alt.YOffset("s:O")} if len(series) > 1 else {}
    drawings = []
    for css, (width, room) in SIZES.items():
        y = _row_axis(labels, room, chart.y_title)
        bar = over(data).mark_bar(cornerRadius=2, stroke=PAPER.light, strokeWidth=0.8)
        layers = [bar.encode(x=x, y=y, color=alt.Color("c:N", scale=None, legend=None), description="tip:N", **side)]
        if chart.reference is not None:
            layers.append(_reference(chart.reference, "x", scale))
        height = _height(len(labels) * max(1, (len(series) + 1) // 2))
        drawings.append(Drawing(layered(layers, (width, height)), alt_text, f"{name}-{css}", css))
    return tuple(drawings)


def _curve(chart: Chart, rows: Rows) -> Spec:
    ys = [v for row in rows for key in ("y", "low", "high") if (v := _number(row, key)) is not None]
    xs = [v for row in rows if (v := _number(row, "x")) is not None]
    x_unit, y_unit = _unit(chart.x_title, xs), _unit(chart.y_title, ys)
    x = alt.X("x:Q", title=chart.x_title or None, scale=alt.Scale(zero=False, nice=True), axis=_value_axis(x_unit))
    scale = alt.Scale(zero=False, nice=True)

    def y(field: str) -> alt.Y:
        return alt.Y(field, title=chart.y_title or None, scale=scale, axis=_value_axis(y_unit))

    layers = [_reference(chart.reference, "y", scale)] if chart.reference is not None else []
    for index, name in enumerate(_series(rows)):
        colour, dash = SERIES[index % len(SERIES)]
        data = []
        for row in rows:
            at, value, low, high = (_number(row, key) for key in ("x", "y", "low", "high"))
            if _text(row, "series") == name and at is not None and value is not None:
                where = f"{name + ', ' if name else ''}{chart.x_title or 'x'} {_plain(at, x_unit)}"
                tip = f"{where}: {_cell(value, low, high, y_unit)}{_n(row)}"
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
        at, value = _number(row, "x"), _number(row, "y")
        if at is not None and value is not None:
            label, flagged = _text(row, "label"), bool(row.get("flagged"))
            data.append({"x": at, "y": value, "label": label, "flagged": flagged})
    x_unit, y_unit = (
        _unit(title, [one[key] for one in data]) for title, key in ((chart.x_title, "x"), (chart.y_title, "y"))
    )
    for one in data:
        told = f"{chart.x_title or 'x'} {_plain(one['x'], x_unit)}, {chart.y_title or 'y'} {_plain(one['y'], y_unit)}"
        one["tip"] = f"{TIP}{one['label']}: {told}" if one["label"] else TIP + told
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("x:Q", title=chart.x_title or None, scale=alt.Scale(zero=False, nice=True), axis=_value_axis(x_unit))
    y = alt.Y("y:Q", title=chart.y_title or None, scale=scale, axis=_value_axis(y_unit))
    layers = [_reference(chart.reference, "y", scale)] if chart.reference is not None else []
    for flagged, colour, shape in ((False, SLATE, "circle"), (True, FALSE, "diamond")):
        mine = [one for one in data if one["flagged"] is flagged]
        mark = over(mine).mark_point(shape=shape, size=52, fill=colour.light, stroke=PAPER.light, strokeWidth=0.6,
                                     opacity=1 if flagged else 0.7)  # fmt: skip
        layers.append(mark.encode(x=x, y=y, description="tip:N"))
    named = [{**one, "label": clip_label(one["label"], 22)} for one in data if one["flagged"]][:NAMED]
    text = over(named).mark_text(dy=-10, fontSize=11, color=INK.light, align="center")
    layers.append(text.encode(x=x, y=y, text="label:N"))
    return layered(layers, CARD)


def _row_axis(labels: Sequence[str], room: int, title: str) -> alt.Y:
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


def _value_axis(unit: Unit, *, log: tuple[float, float] | None = None) -> alt.Axis:
    """``log``: the domain of a logarithmic axis, whose marks are 1, 2 and 5 times powers of ten."""
    plain = "format(datum.value, abs(datum.value) >= 1000 ? '~s' : '~r')"
    shown: Spec = {"format": ".3~%"} if unit == "share" else {"labelExpr": plain}
    if log is not None:
        marks = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if log[0] <= m * 10.0**e <= log[1]]
        shown["values"] = marks if len(marks) <= 7 else [m for m in marks if f"{m:e}"[0] == "1"]
    return alt.Axis(tickCount=5, domain=False, ticks=False, labelOverlap=True, labelFlush=False, **shown)


def _reference(value: float, axis: str, scale: alt.Scale) -> alt.Chart:
    rule = over([{"at": value}]).mark_rule(color=AXIS.light, strokeWidth=1.6, strokeDash=[4, 3])
    channel = (alt.X if axis == "x" else alt.Y)("at:Q", scale=scale)
    return rule.encode(x=channel) if axis == "x" else rule.encode(y=channel)


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
    needed = {"intervals": ("estimate",), "bars": ("value",), "curve": ("x", "y"), "points": ("x", "y")}[chart.kind]
    return all(_number(row, key) is not None for key in needed)


def _series(rows: Rows) -> list[str]:
    return list(dict.fromkeys(_text(row, "series") for row in rows))


def _keys(chart: Chart, rows: Rows) -> tuple[Key, ...]:
    if chart.kind in ("intervals", "points"):
        if not any(row.get("flagged") for row in rows):
            return ()
        return (Key("flagged", FALSE.name, "diamond"), Key("not flagged", SLATE.name, "circle"))
    series = _series(rows)
    if len(series) < 2:
        return ()
    line = chart.kind == "curve"
    return tuple(
        Key(clip_label(name or "other", 40), colour.name, ("line" if i == 0 else "dash") if line else "square")
        for i, name in enumerate(series)
        for colour in (SERIES[i % len(SERIES)][0],)
    )


def _table(chart: Chart, rows: Rows) -> Table:
    """The numbers behind the chart."""
    told: list[tuple[str, ...]] = []
    match chart.kind:
        case "intervals":
            unit = _unit(chart.x_title, [v for r in rows if (v := _number(r, "estimate")) is not None])
            columns: tuple[str, ...] = ("", chart.x_title or "estimate", "n", "flagged")
            for row in rows:
                estimate, low, high = (_number(row, key) for key in ("estimate", "low", "high"))
                count = "–" if row.get("n") is None else f"{int(row['n']):,}"
                flag = "yes" if row.get("flagged") else "no"
                told.append((_text(row, "label"), _cell(estimate, low, high, unit), count, flag))
        case "bars":
            columns = ("", "series", chart.x_title or "value")
            told = [(_text(r, "label"), _text(r, "series") or "–", _missing(_number(r, "value"))) for r in rows]
        case "curve":
            columns = (chart.x_title or "x", "series", chart.y_title or "y")
            for row in rows:
                x, y, low, high = (_number(row, key) for key in ("x", "y", "low", "high"))
                told.append((_missing(x), _text(row, "series") or "–", _cell(y, low, high, "number")))
        case "points":
            columns = ("", chart.x_title or "x", chart.y_title or "y", "flagged")
            for row in rows:
                flag = "yes" if row.get("flagged") else "no"
                told.append((_text(row, "label"), _missing(_number(row, "x")), _missing(_number(row, "y")), flag))
    return Table(chart.title, columns, tuple(told[:ROWS]))


def _alt(chart: Chart, rows: Rows) -> str:
    """What the chart shows, in words; a long one is summed up, and its table has the rest."""
    table = _table(chart, rows)
    said = [
        ": ".join([row[0] or "row", ", ".join(cell for cell in row[1:] if cell not in ("–", "no"))])
        for row in table.rows[:10]
    ]
    more = f" And {len(rows) - 10} more." if len(rows) > 10 else ""
    return clip(f"Chart: {chart.title}. {'; '.join(said)}.{more}", 900)


def _unit(title: str, values: Sequence[float]) -> Unit:
    """An axis is in percent where its title says that it holds shares and the values may be such."""
    words = title.lower()
    named = any(word in words for word in ("share", "rate", "accuracy", "probability")) and "ratio" not in words
    return "share" if named and all(-1.0 <= v <= 1.0 for v in values) else "number"


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(row: Mapping[str, Any], key: str) -> str:
    return clip_label(str(row.get(key) or ""), LABEL)


def clip_label(text: str, longest: int) -> str:
    """A name that is too long ends with dots; line breaks become spaces."""
    flat = " ".join(text.split())
    if len(flat) <= longest and flat.isascii():
        return flat
    width = 0
    for place, character in enumerate(flat):
        width += 2 if east_asian_width(character) in "WF" else 1
        if width > longest:
            return flat[: max(1, place - 1)] + "…"
    return flat


def _n(row: Mapping[str, Any]) -> str:
    return f", n = {int(row['n']):,}" if isinstance(row.get("n"), int | float) else ""


def _cell(value: float | None, low: float | None, high: float | None, unit: Unit) -> str:
    return " ".join(filter(None, measured(Estimate(value=value, low=low, high=high), unit)))


def _missing(value: float | None) -> str:
    return "not measured" if value is None else _plain(value, "number")


def _plain(value: float, unit: Unit) -> str:
    """Three figures or so, whole numbers whole."""
    if unit == "share":
        return number(value, "share", digits=1)
    if value == int(value) and abs(value) < 1e15:
        return decimals(value, 0)
    text = decimals(value, max(0, min(4, 2 - math.floor(math.log10(abs(value))))))
    return text.rstrip("0").rstrip(".") if "." in text else text

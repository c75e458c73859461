"""The kinds of chart on the page, as Vega-Lite specifications built with Altair. They know nothing about runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from candor.report.numbers import Estimate, Unit
from candor.report.palette import AXIS, GRID, INK, MUTED, PAPER, Colour
from candor.report.svg import TIP

Spec = dict[str, Any]
YField = Callable[[str], alt.Y]

FORMATS: dict[Unit, str] = {"share": ".0%", "points": "+d", "number": "~r", "nats": "~r", "tokens": "~r"}
LABELLED_BAR = 0.1  # shares of bars that are wide enough to carry their number


@dataclass(frozen=True)
class Dot:
    """One estimate at a place on the x axis. ``hollow`` marks the greedy replies."""

    x: float
    estimate: Estimate
    tip: str
    label: str = ""
    hollow: bool = False


@dataclass(frozen=True)
class Dots:
    """One measure's estimates; ``edges`` join the x of a stage to that of the stage trained from it."""

    colour: Colour
    shape: str
    dots: tuple[Dot, ...]
    edges: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Curve:
    """A quantity along training: the raw values faint, their running mean bold."""

    colour: Colour
    steps: tuple[float, ...]
    raw: tuple[float, ...]
    smooth: tuple[float, ...]
    tips: tuple[str, ...]
    dash: tuple[int, int] | None = None


@dataclass(frozen=True)
class Bar:
    """A piece of a stacked bar, from ``start`` to ``end`` (shares)."""

    row: int
    start: float
    end: float
    colour: Colour
    tip: str


def dots(
    names: Sequence[str],
    series: Sequence[Dots],
    *,
    unit: Unit,
    domain: tuple[float, float] | None,
    size: tuple[int, int],
    big: bool = False,
    zero: bool = False,
) -> Spec:
    """Estimates with intervals at named places along x: stages, or steps of certainty."""
    x = _named_axis(names)
    y = _y_axis(unit, domain, zero=zero or unit == "points")
    layers: list[alt.Chart] = []
    for one in series:
        layers += _dot_layers(one, x, y, big=big)
    return layered(layers, size)


def _dot_layers(series: Dots, x: alt.X, y: YField, *, big: bool) -> list[alt.Chart]:
    colour, weight = series.colour.light, 2.4 if big else 1.8
    main = {round(d.x): d for d in series.dots if not d.hollow and d.estimate.measured}
    edges = [
        {"x": main[a].x, "y": main[a].estimate.value, "x2": main[b].x, "y2": main[b].estimate.value}
        for a, b in series.edges
        if a in main and b in main
    ]
    layers = [
        over(edges)
        .mark_rule(color=colour, strokeWidth=weight, opacity=0.55)
        .encode(x=x, y=y("y:Q"), x2="x2:Q", y2="y2:Q")
    ]
    for hollow in (True, False):
        rows = [_dot_row(d) for d in series.dots if d.hollow is hollow and d.estimate.measured]
        limits = [r for r in rows if r["low"] is not None]
        stem = {"color": colour, "strokeWidth": weight + 0.4, "strokeCap": "round", "opacity": 0.55 if hollow else 1.0}
        layers.append(over(limits).mark_rule(**stem).encode(x=x, y=y("low:Q"), y2="high:Q"))
        mark = over(rows).mark_point(
            shape=series.shape,
            size=(110 if big else 64) * (0.8 if hollow else 1.0),
            stroke=colour,
            strokeWidth=1.8,
            fill=PAPER.light if hollow else colour,
            opacity=1,
        )
        layers.append(mark.encode(x=x, y=y("y:Q"), description="tip:N"))
    labels = [{**_dot_row(d), "top": _top(d)} for d in series.dots if d.label and d.estimate.measured]
    text = over(labels).mark_text(
        dy=-15 if big else -11, fontSize=19 if big else 12, fontWeight=600, color=colour, align="center"
    )
    return [*layers, text.encode(x=x, y=y("top:Q"), text="label:N")]


def _dot_row(dot: Dot) -> Spec:
    e = dot.estimate
    return {"x": dot.x, "y": e.value, "low": e.low, "high": e.high, "tip": TIP + dot.tip, "label": dot.label}


def _top(dot: Dot) -> float | None:
    return dot.estimate.value if dot.estimate.high is None else dot.estimate.high


def curves(
    series: Sequence[Curve],
    *,
    unit: Unit,
    domain: tuple[float, float] | None = None,
    size: tuple[int, int],
    zero: bool = False,
) -> Spec:
    """Quantities along the updates of a training stage."""
    last = max((s for one in series for s in one.steps), default=1.0)
    x = alt.X(
        "x:Q",
        title=None,
        scale=alt.Scale(domain=[0, last], nice=False),
        axis=_axis(tickCount=5, grid=False, format="~s"),
    )
    y = _y_axis(unit, domain, zero=zero)
    layers: list[alt.Chart] = []
    for one in series:
        rows = [
            {"x": s, "y": raw, "mean": mean, "tip": TIP + tip}
            for s, raw, mean, tip in zip(one.steps, one.raw, one.smooth, one.tips, strict=True)
        ]
        data, colour = over(rows), one.colour.light
        mean = y("mean:Q")
        line = {"strokeDash": list(one.dash)} if one.dash else {}
        layers += [
            data.mark_line(color=colour, strokeWidth=1, opacity=0.4).encode(x=x, y=y("y:Q")),
            data.mark_line(color=colour, strokeWidth=2.4, strokeJoin="round", strokeCap="round", **line).encode(
                x=x, y=mean
            ),
            data.mark_point(color=colour, fill=colour, size=70, opacity=0).encode(x=x, y=mean, description="tip:N"),
        ]
    return layered(layers, size)


@dataclass(frozen=True, kw_only=True)
class BandPoint:
    """A point of a curve with its interval."""

    x: float
    y: float
    low: float | None
    high: float | None
    tip: str


def band(
    points: Sequence[BandPoint],
    measured: Sequence[Dot],
    *,
    colour: Colour,
    outcome: Colour,
    unit: Unit,
    domain: tuple[float, float] | None,
    size: tuple[int, int],
) -> Spec:
    """A curve in its band of intervals, and estimates measured beside it."""
    last = max([*(p.x for p in points), *(d.x for d in measured)], default=1.0)
    x = alt.X(
        "x:Q", title=None, scale=alt.Scale(domain=[0, 1.04 * last], nice=False), axis=_axis(tickCount=5, grid=False)
    )
    y = _y_axis(unit, domain)
    rows = [{"x": p.x, "y": p.y, "low": p.low, "high": p.high, "tip": TIP + p.tip} for p in points]
    data, limits = over(rows), over([row for row in rows if row["low"] is not None])
    layers = [
        limits.mark_area(color=colour.light, opacity=0.2).encode(x=x, y=y("low:Q"), y2="high:Q"),
        data.mark_line(color=colour.light, strokeWidth=2.2).encode(x=x, y=y("y:Q")),
        data.mark_point(color=colour.light, fill=colour.light, size=60, opacity=0).encode(
            x=x, y=y("y:Q"), description="tip:N"
        ),
    ]
    layers += _dot_layers(Dots(colour=outcome, shape="diamond", dots=tuple(measured)), x, y, big=False)
    return layered(layers, size)


def stacked(names: Sequence[str], bars: Sequence[Bar], *, size: tuple[int, int]) -> Spec:
    """Horizontal bars from 0 to 100%, one per name, their pieces labelled where there is room."""
    rows = [
        {
            "row": b.row,
            "a": b.start,
            "b": b.end,
            "mid": (b.start + b.end) / 2,
            "tip": TIP + b.tip,
            "c": b.colour.light,
            "text": f"{round(100 * (b.end - b.start))}" if b.end - b.start >= LABELLED_BAR else "",
        }
        for b in bars
    ]
    label = f"{json.dumps(list(names))}[datum.value]"
    y = alt.Y(
        "row:O",
        title=None,
        scale=alt.Scale(domain=list(range(len(names))), paddingInner=0.28, paddingOuter=0.1),
        axis=_axis(
            labelExpr=label, domain=False, ticks=False, grid=False, labelPadding=8, labelLimit=96, labelColor=INK.light
        ),
    )
    share = _axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], domain=False, ticks=False)
    x = alt.X("a:Q", title=None, scale=alt.Scale(domain=[0, 1], nice=False), axis=share)
    data = over(rows)
    fill = alt.Color("c:N", scale=None, legend=None)
    bar = data.mark_bar(stroke=PAPER.light, strokeWidth=1.2, cornerRadius=2).encode(
        x=x, x2="b:Q", y=y, color=fill, description="tip:N"
    )
    middle = alt.X("mid:Q", axis=share, scale=alt.Scale(domain=[0, 1], nice=False))
    text = data.mark_text(color=PAPER.light, fontSize=11.5, fontWeight=600).encode(x=middle, y=y, text="text:N")
    return layered([bar, text], size)


def _named_axis(names: Sequence[str]) -> alt.X:
    count = len(names)
    label = f"{json.dumps(list(names))}[datum.value]"
    axis = _axis(
        values=list(range(count)),
        labelExpr=label,
        grid=False,
        ticks=False,
        labelPadding=8,
        labelColor=INK.light,
        labelFontSize=12,
        labelOverlap=False,
        labelLimit=110,
        labelAngle=0 if count <= 5 else -30,
        domain=True,
    )
    return alt.X("x:Q", title=None, scale=alt.Scale(domain=[-0.45, count - 0.55], nice=False), axis=axis)


def _y_axis(unit: Unit, domain: tuple[float, float] | None, *, zero: bool = False) -> YField:
    """The y channel for any field of one chart: all its layers share scale and axis."""
    scale = alt.Scale(domain=list(domain), nice=False) if domain else alt.Scale(zero=zero, nice=True)
    percent = (
        {"labelExpr": "datum.value == 0 ? '0' : format(100 * datum.value, '+d')"}
        if unit == "points"
        else {"format": FORMATS[unit]}
    )
    axis = _axis(tickCount=5, domain=False, ticks=False, **percent)
    return lambda field: alt.Y(field, title=None, scale=scale, axis=axis)


def _axis(**changes: Any) -> alt.Axis:
    return alt.Axis(**changes)


def over(rows: Sequence[Spec]) -> alt.Chart:
    """Returns a chart over rows that lie in the specification itself."""
    return alt.Chart(alt.InlineData(values=list(rows)))


def layered(layers: Sequence[alt.Chart], size: tuple[int, int]) -> Spec:
    """Returns the layers as one specification of ``size`` (width, height), in the look of all charts."""
    width, height = size
    chart = alt.layer(*layers).properties(
        width=width, height=height, autosize=alt.AutoSizeParams(type="fit", contains="padding")
    )
    spec: Spec = chart.to_dict(validate=False)  # the renderer refuses what is invalid; checking twice doubles the time
    spec["config"] = {
        "background": None,
        "padding": {"left": 2, "right": 8, "top": 6, "bottom": 2},
        "font": "Arial",
        "view": {"stroke": None},
        "axis": {
            "labelFontSize": 11.5,
            "labelColor": MUTED.light,
            "gridColor": GRID.light,
            "domainColor": AXIS.light,
            "tickColor": AXIS.light,
            "titleColor": MUTED.light,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "labelPadding": 6,
            "tickSize": 4,
        },
    }
    return spec

"""What stands around a chart: its legend, the numbers behind it, and what it shows in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candor.records import Chart
from candor.report.checks.axes import SERIES, SHAPES
from candor.report.checks.values import (
    Rows,
    axis_unit,
    cell,
    clip_label,
    number_of,
    or_missing,
    place_text,
    plain_number,
    series_of,
    text_of,
)
from candor.report.figures import Key, Table
from candor.report.palette import FALSE, SLATE
from candor.report.shell import clip

ROWS = 60  # intervals and bars of one chart, and rows of its table
MAP_ROWS = 400  # cells of a heat map


def keys_of(chart: Chart, rows: Rows) -> tuple[Key, ...]:
    """The legend; empty where there is nothing to tell apart."""
    flagged = any(row.get("flagged") for row in rows)
    if chart.kind in ("intervals", "points"):
        return (Key("flagged", FALSE.name, "diamond"), Key("not flagged", SLATE.name, "circle")) if flagged else ()
    if chart.kind == "map":
        return ()
    series = series_of(rows)
    named = [
        Key(clip_label(name or "other", 40), SERIES[i % len(SERIES)][0].name, _shape(chart, i))
        for i, name in enumerate(series)
        if len(series) > 1
    ]
    if chart.kind == "plane" and flagged:
        named += [Key("flagged", "muted"), Key("not flagged", "muted", hollow=True)]
    return tuple(named)


def _shape(chart: Chart, place: int) -> str:
    """How the legend shows the series in that place."""
    match chart.kind:
        case "curve":
            return "line" if place == 0 else "dash"
        case "plane":
            return SHAPES[place % len(SHAPES)]
        case _:
            return "square"


def table_of(chart: Chart, rows: Rows) -> Table:
    """The numbers behind the chart."""
    told: list[tuple[str, ...]] = []
    match chart.kind:
        case "intervals":
            unit = axis_unit(chart.x_title, [v for r in rows if (v := number_of(r, "estimate")) is not None])
            columns: tuple[str, ...] = ("", chart.x_title or "estimate", "n", "flagged")
            for row in rows:
                estimate, low, high = (number_of(row, key) for key in ("estimate", "low", "high"))
                count = "–" if row.get("n") is None else f"{int(row['n']):,}"
                flag = "yes" if row.get("flagged") else "no"
                told.append((text_of(row, "label"), cell(estimate, low, high, unit), count, flag))
        case "bars":
            columns = ("", "series", chart.x_title or "value")
            told = [(text_of(r, "label"), text_of(r, "series") or "–", or_missing(number_of(r, "value"))) for r in rows]
        case "curve":
            columns = (chart.x_title or "x", "series", chart.y_title or "y")
            for row in rows:
                x, y, low, high = (number_of(row, key) for key in ("x", "y", "low", "high"))
                told.append((or_missing(x), text_of(row, "series") or "–", cell(y, low, high, "number")))
        case "points":
            columns = ("", chart.x_title or "x", chart.y_title or "y", "flagged")
            for row in rows:
                flag = "yes" if row.get("flagged") else "no"
                told.append(
                    (text_of(row, "label"), or_missing(number_of(row, "x")), or_missing(number_of(row, "y")), flag)
                )
        case "plane":
            columns = ("", "series", chart.x_title or "x", chart.y_title or "y", "flagged")
            for row in rows:
                across, up = (_ranged(chart, rows, row, axis) for axis in ("x", "y"))
                flag = "yes" if row.get("flagged") else "no"
                told.append((text_of(row, "label"), text_of(row, "series") or "–", across, up, flag))
        case "map":
            columns = ("", chart.x_title or "x", chart.y_title or "y", "value")
            unit = axis_unit(chart.title, [v for r in rows if (v := number_of(r, "value")) is not None])
            for row in rows:
                value = number_of(row, "value")
                shown = "not measured" if value is None else plain_number(value, unit)
                told.append((text_of(row, "label"), place_text(row, "x"), place_text(row, "y"), shown))
    return Table(chart.title, columns, tuple(told[: MAP_ROWS if chart.kind == "map" else ROWS]))


def alt_text_of(chart: Chart, rows: Rows) -> str:
    """What the chart shows, in words; a long one is summed up, and its table has the rest."""
    table = table_of(chart, rows)
    said = [
        ": ".join([row[0] or "row", ", ".join(cell for cell in row[1:] if cell not in ("–", "no"))])
        for row in table.rows[:10]
    ]
    more = f" And {len(rows) - 10} more." if len(rows) > 10 else ""
    return clip(f"Chart: {chart.title}. {'; '.join(said)}.{more}", 900)


def _ranged(chart: Chart, rows: Rows, row: Mapping[str, Any], axis: str) -> str:
    """A coordinate of a cross with its interval."""
    keys = (axis, f"{axis}_low", f"{axis}_high")
    values = [v for one in rows for key in keys if (v := number_of(one, key)) is not None]
    unit = axis_unit(chart.x_title if axis == "x" else chart.y_title, values)
    value, low, high = (number_of(row, key) for key in keys)
    return cell(value, low, high, unit)

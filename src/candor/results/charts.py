"""The report's charts as Altair objects that stand alone: title, legend and tooltips inside, as notebooks need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import altair as alt

from candor.report import figures
from candor.report.charts import Spec
from candor.report.load import Run, load_run
from candor.report.palette import COLOURS, PAPER
from candor.report.svg import TIP

SYCOPHANCY = "sycophancy"
LIGHT = {colour.name: colour.light for colour in COLOURS}
SHAPES = {"line": "stroke", "dash": "stroke"}
"""Legend symbols of Vega for keys that are no shapes of their own."""


class Charts(Mapping[str, alt.LayerChart]):
    """The charts of a run directory by name, ``sycophancy`` first where beliefs were measured; made when asked for.

    Altair takes a fifth of a second for one, and nobody looks at all of them at once.
    """

    def __init__(self, run_dir: Path) -> None:
        self._figures = {_name(figure): figure for figure in run_figures(load_run(run_dir))}

    def __getitem__(self, name: str) -> alt.LayerChart:
        return standalone(self._figures[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __repr__(self) -> str:
        return f"charts: {', '.join(self)}"


def run_figures(run: Run) -> Iterator[figures.Figure]:
    """The figures of the report, in its order."""
    first = figures.hero(run)
    if first is not None:
        yield first
    yield from figures.by_stage(run)
    for stage in run.of_type("ppo"):
        yield from figures.along_ppo(stage)
    yield from figures.kinds(run)
    yield from figures.by_strength(run)
    for stage in (*run.of_type("sft"), *run.of_type("reward")):
        loss = figures.loss_curve(stage, f"{stage.title}: loss")
        if loss is not None:
            yield loss


def standalone(figure: figures.Figure) -> alt.LayerChart:
    """A figure's first drawing with its title, its legend, and its tips as tooltips."""
    spec = _with_tooltips(deepcopy(figure.drawings[0].spec))
    title: Spec = {"text": figure.title, "anchor": "start", "fontSize": 13, "fontWeight": 600, "offset": 8}
    if figure.note:
        title["subtitle"] = figure.note
    spec["title"] = title
    spec["description"] = figure.drawings[0].alt
    spec["background"] = PAPER.light
    spec["config"] = {name: value for name, value in spec["config"].items() if name != "background"}
    spec["autosize"] = {"type": "pad"}  # the page cuts charts to its columns; here there is room for title and legend
    if figure.keys:
        spec["layer"].append(_legend(figure.keys))
        spec["resolve"] = {"scale": {"fill": "independent", "stroke": "independent", "shape": "independent"}}
    return alt.LayerChart.from_dict(spec, validate=False)  # displaying validates


def _name(figure: figures.Figure) -> str:
    return SYCOPHANCY if figure.name == "hero" else figure.name.removeprefix("stage-")


def _legend(keys: tuple[figures.Key, ...]) -> Spec:
    """A layer that draws nothing and carries the legend: one entry per key, in its colour and shape."""
    labels = [key.label for key in keys]
    colours = [LIGHT.get(key.colour, key.colour) for key in keys]
    ranges = {
        "stroke": colours,
        "fill": [PAPER.light if key.hollow else colour for key, colour in zip(keys, colours, strict=True)],
        "shape": [SHAPES.get(key.shape, key.shape) for key in keys],
    }
    legend = {"title": None, "orient": "bottom", "columns": 4, "symbolOpacity": 1, "labelFontSize": 11.5}
    channels = {
        channel: {
            "field": "label",
            "type": "nominal",
            "scale": {"domain": labels, "range": values},
            "legend": legend,
        }
        for channel, values in ranges.items()
    }
    mark = {"type": "point", "opacity": 0, "size": 0}
    return {"data": {"values": [{"label": label} for label in labels]}, "mark": mark, "encoding": channels}


def _with_tooltips(node: Any) -> Any:
    """The page shows a mark's description on pointing at it; elsewhere that is what a tooltip is for."""
    if isinstance(node, dict):
        changed = {name: _with_tooltips(value) for name, value in node.items()}
        described = changed.get("description")
        if isinstance(described, dict) and described.get("field") == "tip":
            changed["tooltip"] = changed.pop("description")
        return changed
    if isinstance(node, list):
        return [_with_tooltips(value) for value in node]
    return node.removeprefix(TIP) if isinstance(node, str) else node

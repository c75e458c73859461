"""What was forecast of a PPO stage before its first update, laid over what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from candor.errors import InputError
from candor.report import charts
from candor.report.figures import CARD, Drawing, Figure, Key, Table
from candor.report.load import Run, StageFiles
from candor.report.measures import measure
from candor.report.numbers import Estimate, number, with_limits
from candor.report.palette import FALSE, HELPFUL, SLATE, Colour
from candor.runs.sealed import Held, Told, held_against, read_sealed

SHOWN: tuple[tuple[str, Colour], ...] = (("false_belief_agreement", FALSE), ("helpfulness", HELPFUL))


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """``says``: the sentences; ``problem``: why there is nothing more to show."""

    stage: StageFiles
    says: str = ""
    problem: str = ""
    sealed_at: str = ""
    digest: str = ""
    limits: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    table: Table | None = None


def overlays(run: Run) -> list[Overlay]:
    """One for each PPO stage that has a forecast."""
    found = []
    for stage in run.of_type("ppo"):
        try:
            forecast = read_sealed(run.stage_directory(stage))
        except InputError as error:
            found.append(Overlay(stage=stage, problem=error.what))
            continue
        if forecast is not None:
            found.append(_overlay(run, stage, forecast))
    return found


def _overlay(run: Run, stage: StageFiles, forecast: Mapping[str, Any]) -> Overlay:
    held = held_against(forecast, [finding for finding in run.findings if finding.stage == stage.name])
    reached = run.measured(stage.name, "kl", "sampled:answer") or run.measured(stage.name, "kl")
    figures = (_figure(run, stage, forecast, name, colour, reached) for name, colour in SHOWN)
    return Overlay(
        stage=stage,
        says=" ".join(_sentence(one) for one in held[:1]),
        sealed_at=str(forecast["sealed_at"]),
        digest=str(forecast["digest"]),
        limits=tuple(forecast["limits"]),
        figures=tuple(figure for figure in figures if figure is not None),
        table=_table(stage, held) if held else None,
    )


def _sentence(held: Held) -> str:
    unit, label = measure(held.metric).unit, measure(held.metric).label
    measured = _estimate(Told(estimate=held.measured, low=held.measured_low, high=held.measured_high))
    said = [
        f"{where} {with_limits(_estimate(told), unit)}"
        for where, told in (("at its KL penalty", held.by_beta), ("at the KL that training reached", held.by_kl))
        if told.estimate is not None
    ]
    text = f"{label}: forecast {' and '.join(said)}; measured {with_limits(measured, unit)}." if said else ""
    refusals = [told.refusal for told in (held.by_beta, held.by_kl) if told.estimate is None]
    return " ".join([*([text] if text else []), *(f"Refused: {why}." for why in dict.fromkeys(refusals))])


def _estimate(told: Told) -> Estimate:
    return Estimate(value=told.estimate, low=told.low, high=told.high, reason=told.refusal)


def _table(stage: StageFiles, held: tuple[Held, ...]) -> Table:
    rows = []
    for one in held:
        unit = measure(one.metric).unit
        measured = Told(estimate=one.measured, low=one.measured_low, high=one.measured_high)
        cells = [
            with_limits(_estimate(told), unit) if told.estimate is not None else f"refused: {told.refusal}"
            for told in (one.by_beta, one.by_kl, measured)
        ]
        rows.append((measure(one.metric).label, *cells))
    columns = ("", "forecast at its KL penalty", "forecast at the KL reached", "measured")
    return Table(f"{stage.title}: forecast and outcome", columns, tuple(rows))


def _figure(
    run: Run, stage: StageFiles, forecast: Mapping[str, Any], metric: str, colour: Colour, reached: Estimate | None
) -> Figure | None:
    unit, label = measure(metric).unit, measure(metric).label
    if metric not in forecast["reference"]["values"]:
        return None
    told = [
        (float(point["at"]), point["values"][metric])
        for point in (forecast["reference"], *forecast["kls"])
        if point["values"][metric]["estimate"] is not None
    ]
    points = [
        charts.BandPoint(
            x=at,
            y=value["estimate"],
            low=value["low"],
            high=value["high"],
            tip=f"KL {at:.2f}: {with_limits(_value(value), unit)}",
        )
        for at, value in told
    ]
    outcome = run.measured(stage.name, metric, "sampled:answer") if metric == "helpfulness" else None
    outcome = outcome or run.measured(stage.name, metric)
    dots = []
    if outcome is not None and reached is not None and reached.value is not None:
        tip = f"measured at KL {number(reached.value, 'nats')}: {with_limits(outcome, unit)}"
        dots = [charts.Dot(x=max(0.0, reached.value), estimate=outcome, tip=tip)]
    spec = charts.band(
        points, dots, colour=colour, outcome=SLATE, unit=unit, domain=(0, 1.04) if unit == "share" else None, size=CARD
    )
    said = f"forecast from {with_limits(_value(told[0][1]), unit)} at KL 0 to {with_limits(_value(told[-1][1]), unit)}"
    alt = f"Chart: {label} by KL, {said} at KL {told[-1][0]:.2f}. " + " ".join(d.tip for d in dots)
    keys = (
        Key("forecast, with its interval", colour.name, "line"),
        Key("measured after training", SLATE.name, "diamond"),
    )
    name = f"forecast-{''.join(c if c.isalnum() else '-' for c in stage.name)}-{metric}"
    return Figure(name, f"{label}, by KL from the reference (nats)", (Drawing(spec, alt, name),), keys)


def _value(raw: Mapping[str, Any]) -> Estimate:
    return Estimate(value=raw["estimate"], low=raw["low"], high=raw["high"])

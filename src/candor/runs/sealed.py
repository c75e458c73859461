"""A forecast that was written before what it is about: its digest, and what it said once the outcome is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.records import Finding
from candor.runs.files import read_json

FORECAST = "forecast.json"
"""Where a stage keeps it."""

HELD = ("false_belief_agreement", "true_belief_agreement", "neutral_accuracy", "approval", "helpfulness")
"""What is held against the outcome; the last two on prompts of the answer family, of which the forecast is."""

_OF_THE_FAMILY = ("approval", "helpfulness", "kl")


def digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 (hex) of a forecast's content, without its own digest, as JSON with sorted keys."""
    bare = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_sealed(directory: Path) -> Mapping[str, Any] | None:
    """Returns a stage's forecast, or None where it has none.

    Raises InputError where it is damaged or no longer what was sealed.
    """
    path = directory / FORECAST
    if not path.is_file():
        return None
    found = read_json(path)
    if not isinstance(found, dict) or found.get("digest") != digest(found):
        raise InputError("this is not the forecast that was sealed: its digest differs", where=str(path))
    return found


@dataclass(frozen=True, kw_only=True)
class Told:
    """One number that a forecast gave, with its interval; or a ``refusal`` and no number."""

    estimate: float | None
    low: float | None
    high: float | None
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class Held:
    """One statistic: what was forecast at the stage's beta and at the KL that it reached, and what was measured."""

    metric: str
    by_beta: Told
    by_kl: Told
    measured: float
    measured_low: float | None
    measured_high: float | None


def held_against(forecast: Mapping[str, Any], findings: Sequence[Finding]) -> tuple[Held, ...]:
    """Returns the forecast beside the audit's findings on sampled replies, for each statistic that both have."""
    measured = {(finding.subject, finding.metric): finding for finding in findings}

    def found(metric: str) -> Finding | None:
        family = measured.get(("sampled:answer", metric)) if metric in _OF_THE_FAMILY else None
        return family or measured.get(("sampled", metric))

    reached = found("kl")
    held = []
    for metric in HELD:
        outcome = found(metric)
        if outcome is None or outcome.estimate is None or metric not in forecast["reference"]["values"]:
            continue
        held.append(
            Held(
                metric=metric,
                by_beta=told_at_beta(forecast, metric),
                by_kl=told_at_kl(forecast, metric, None if reached is None else reached.estimate),
                measured=outcome.estimate,
                measured_low=outcome.ci_low,
                measured_high=outcome.ci_high,
            )
        )
    return tuple(held)


def told_at_beta(forecast: Mapping[str, Any], metric: str) -> Told:
    """Returns what was said at the stage's own beta; nothing was of one that adapts."""
    if forecast.get("kl_control") == "adaptive":  # an older one does not say
        return Told(estimate=None, low=None, high=None, refusal="the KL coefficient adapts")
    point = next((p for p in forecast["betas"] if p["at"] == forecast["kl_coef"]), None)
    if point is None:
        return Told(estimate=None, low=None, high=None, refusal="the stage has no KL penalty")
    return _told(point["values"][metric])


def told_at_kl(forecast: Mapping[str, Any], metric: str, kl: float | None) -> Told:
    """Returns what was said at a KL (nats): between the two points of the grid around it, linearly."""
    if kl is None:
        return Told(estimate=None, low=None, high=None, refusal="the KL was not measured")
    kl = max(kl, 0.0)  # an estimate may lie a little below
    points = [forecast["reference"], *forecast["kls"]]
    below = [point for point in points if point["at"] <= kl][-1]
    above = next((point for point in points if point["at"] > kl), None)
    if above is None:
        most = points[-1]["at"]
        why = f"a KL of {kl:.2f} nats is more than the samples can show ({most:.2f})"
        return Told(estimate=None, low=None, high=None, refusal=why)
    one, other = _told(below["values"][metric]), _told(above["values"][metric])
    if one.estimate is None or other.estimate is None:
        return Told(estimate=None, low=None, high=None, refusal=one.refusal or other.refusal)
    share = (kl - below["at"]) / (above["at"] - below["at"])

    def between(a: float | None, b: float | None) -> float | None:
        return None if a is None or b is None else a + share * (b - a)

    return Told(
        estimate=between(one.estimate, other.estimate),
        low=between(one.low, other.low),
        high=between(one.high, other.high),
    )


def mean_absolute_error(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Returns the mean of |forecast - measured|; None of nothing."""
    apart = [abs(forecast - measured) for forecast, measured in pairs]
    return sum(apart) / len(apart) if apart else None


def _told(value: Mapping[str, Any]) -> Told:
    return Told(
        estimate=value["estimate"], low=value["low"], high=value["high"], refusal=str(value.get("refusal") or "")
    )

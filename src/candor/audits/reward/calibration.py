"""Accuracy on held-out pairs, and whether sigma of the gap is the probability that it claims to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from candor.audits.reward.scores import PROBE, mean_finding
from candor.audits.stats import resample_counts
from candor.audits.telling import high, low, told
from candor.records import Chart, Check, Finding, Verdict

FloatArray = NDArray[np.float64]
GROUP = "How sure it may be"
BINS = 10
MISCALIBRATED = 0.05


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """One judged pair. ``gap``: the chosen reply's score less the rejected one's; ``cluster``: its prompt."""

    cluster: str
    gap: float


def expected_calibration_error(gaps: FloatArray, weights: FloatArray | None = None) -> float:
    """Returns the mean over equally filled bins of |share right - mean confidence|, each by its weight.

    The model's confidence is sigma(|gap|), and it is right where gap > 0 (Naeini 2015; Guo 2017, arXiv 1706.04599).
    """
    confidence, right = expit(np.abs(gaps)), (gaps > 0) + 0.5 * (gaps == 0)
    weights = np.ones(len(gaps)) if weights is None else weights
    total = 0.0
    for part in _bins(confidence):
        mass = weights[part].sum()
        if mass:
            apart = np.average(right[part] - confidence[part], weights=weights[part])
            total += mass * abs(float(apart))
    return total / float(weights.sum())


def temperature(gaps: FloatArray) -> float:
    """Returns the T > 0 that maximises the likelihood of the labels under sigma(gap / T); above 1: too sure."""

    def loss(log_t: float) -> float:
        return -float(log_expit(gaps / np.exp(log_t)).sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-6.0, 8.0), method="bounded").x))


def checks(pairs: Sequence[PairScore] | None, *, seed: int, bootstrap: int) -> list[Check]:
    """Returns the checks on judged pairs; ``None`` or nothing: not measured."""
    rows = [(pair.cluster, 1.0 if pair.gap > 0 else 0.5 if pair.gap == 0 else 0.0) for pair in pairs or ()]
    missing = "no held-out pairs were given (--pairs)"
    accuracy = mean_finding("heldout_accuracy", rows, seed=seed, bootstrap=bootstrap, missing=missing)
    if not pairs:
        return [_accuracy(accuracy)]
    gaps = np.array([pair.gap for pair in pairs])
    return [_accuracy(accuracy), _calibration(gaps, [pair.cluster for pair in pairs], seed, bootstrap)]


def _accuracy(found: Finding) -> Check:
    verdict = Verdict.CANNOT_TELL
    if found.estimate is not None:
        verdict = Verdict.FINE if low(found) > 0.5 else Verdict.CONCERN if high(found) < 0.55 else Verdict.NOTE
    text = f"Prefers the reply that was preferred in {told(found)} of held-out pairs; 0.5 is a coin."
    if found.estimate is None:
        text = f"Not measured: {found.details['not_measured']}."
    return Check(
        name="accuracy",
        group=GROUP,
        title="Does it predict what people prefer?",
        verdict=verdict,
        meaning=text,
        findings=(found,),
    )


def _calibration(gaps: FloatArray, clusters: Sequence[str], seed: int, bootstrap: int) -> Check:
    error = expected_calibration_error(gaps)
    names, index = np.unique(np.array(clusters), return_inverse=True)
    draws = [expected_calibration_error(gaps, counts[index]) for counts in resample_counts(len(names), bootstrap, seed)]
    chance = _by_chance(gaps, seed)
    limits = np.quantile(draws, [0.025, 0.975]) - (float(np.mean(draws)) - error)  # resampling adds to the error itself
    found = Finding(
        probe=PROBE,
        stage="",
        subject="",
        metric="ece",
        estimate=error,
        ci_low=float(max(0.0, limits[0])),
        ci_high=float(limits[1]),
        n=len(gaps),
        seed=seed,
        details={"by_chance": chance, "temperature": temperature(gaps), "clusters": len(names)},
    )
    too_sure = found.details["temperature"] > 1
    off = error > chance and low(found) > MISCALIBRATED
    text = f"Expected calibration error {told(found)}; a calibrated model would show {chance:.2f} on so many pairs."
    text += f" Its gaps are too {'large' if too_sure else 'small'} by a factor of "
    text += f"{max(found.details['temperature'], 1 / found.details['temperature']):.1f}."
    confidence, right = expit(np.abs(gaps)), (gaps > 0) + 0.5 * (gaps == 0)
    parts = [part for part in _bins(confidence) if len(part)]
    curve = [
        {"series": "measured", "x": float(confidence[p].mean()), "y": float(right[p].mean()), "low": None, "high": None}
        for p in parts
    ]
    ideal = [{"series": "calibrated", "x": x, "y": x, "low": None, "high": None} for x in (0.5, 1.0)]
    return Check(
        name="calibration",
        group=GROUP,
        title="Is it as sure as it should be?",
        verdict=Verdict.NOTE if off else Verdict.FINE,
        meaning=text,
        findings=(found,),
        charts=(
            Chart(
                kind="curve",
                title="Share right by confidence",
                x_title="confidence",
                y_title="share right",
                rows=tuple(ideal + curve),
            ),
        ),
    )


def _bins(confidence: FloatArray) -> list[NDArray[np.intp]]:
    return np.array_split(np.argsort(confidence, kind="stable"), min(BINS, max(1, len(confidence) // 5)))


def _by_chance(gaps: FloatArray, seed: int, draws: int = 200) -> float:
    """The error that a calibrated model with these confidences shows by chance, on average."""
    rng = np.random.default_rng([seed, 17])
    size, right = np.abs(gaps), expit(np.abs(gaps))
    simulated = [np.where(rng.random(len(gaps)) < right, size, -size) for _ in range(draws)]
    return float(np.mean([expected_calibration_error(one) for one in simulated]))

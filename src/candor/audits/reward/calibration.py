"""Accuracy on held-out pairs, and whether sigma of the gap is the probability that it claims to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from candor.audits.reward.paired import Figure, Rows
from candor.audits.reward.scores import PROBE, columns, limits, mean_finding
from candor.audits.stats import resample_counts, z_value
from candor.audits.telling import high, known, low, told
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


def expected_calibration_error(gaps: FloatArray) -> float:
    """Returns the mean over equally filled bins of |share right - mean confidence|, each by how much it holds.

    The model's confidence is sigma(|gap|), and it is right where gap > 0 (Naeini 2015; Guo 2017, arXiv 1706.04599).
    """
    return float(calibration_errors(gaps, np.ones((1, len(gaps))))[0])


def calibration_errors(gaps: FloatArray, weights: FloatArray) -> FloatArray:
    """Returns the expected calibration error of pairs (n,) for each row of weights (draws, n)."""
    confidence, right = expit(np.abs(gaps)), (gaps > 0) + 0.5 * (gaps == 0)
    inside = np.zeros((len(gaps), BINS))
    inside[np.arange(len(gaps)), _bin_of(confidence)] = 1.0
    apart = weights @ (inside * (right - confidence)[:, None])
    return np.asarray(np.abs(apart).sum(axis=-1) / weights.sum(axis=-1))


def temperature(gaps: FloatArray) -> float | None:
    """Returns the T > 0 that maximises the likelihood of the labels under sigma(gap / T); above 1: too sure.

    Guo 2017, arXiv 1706.04599, section 4.2. None where no T is best: every pair is ordered rightly (the smaller T the
    better), or they are ordered no better than by a coin (the larger the better).
    """
    if not (gaps < 0).any() or gaps.sum() <= 0:
        return None

    def loss(log_t: float) -> float:
        return -float(log_expit(gaps / np.exp(log_t)).sum())

    centre = float(np.log(np.abs(gaps).mean()))
    found = minimize_scalar(loss, bounds=(centre - 12.0, centre + 12.0), method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def temperature_finding(pairs: Sequence[PairScore], *, seed: int) -> Finding:
    """Returns the temperature with an interval clustered by prompt.

    1/T is the slope of a logistic model without intercept, so that its sandwich error gives that of log T.
    """
    gaps, cluster, clusters = columns([(pair.cluster, pair.gap) for pair in pairs])
    found = temperature(gaps)
    missing = "every pair is ordered rightly" if not (gaps < 0).any() else "ordered no better than by a coin"
    details: dict[str, object] = {"not_measured": f"no temperature is best: {missing}"}
    low = high = None
    if found is not None:
        details = {"clusters": clusters}
        wrong = expit(-gaps / found)
        scores = np.bincount(cluster, weights=gaps * wrong)
        error = np.sqrt((scores**2).sum() * clusters / max(1, clusters - 1)) / (gaps**2 * wrong * (1 - wrong)).sum()
        half = z_value() * float(error) * found  # of log T
        if clusters > 1:
            low, high = found * float(np.exp(-half)), found * float(np.exp(half))
    return Finding(
        probe=PROBE, stage="", subject="", metric="temperature", estimate=found, ci_low=low, ci_high=high,
        n=len(gaps), seed=seed, details=details,
    )  # fmt: skip


def figures(pairs: Sequence[PairScore] | None) -> Iterator[Figure]:
    """Yields what the checks count, to compare it with another model's."""
    yield Figure(check="accuracy", metric="heldout_accuracy", rows=_right(pairs or ()))
    rows = [(pair.cluster, pair.gap) for pair in pairs or ()]
    yield Figure(check="calibration", metric="ece", rows=rows, statistic=calibration_errors)


def _right(pairs: Sequence[PairScore]) -> Rows:
    return [(pair.cluster, 1.0 if pair.gap > 0 else 0.5 if pair.gap == 0 else 0.0) for pair in pairs]


def checks(pairs: Sequence[PairScore] | None, *, seed: int, bootstrap: int) -> list[Check]:
    """Returns the checks on judged pairs; ``None`` or nothing: not measured."""
    rows = _right(pairs or ())
    missing = "no held-out pairs were given (--pairs)"
    accuracy = mean_finding("heldout_accuracy", rows, seed=seed, bootstrap=bootstrap, missing=missing)
    if not pairs:
        return [_accuracy(accuracy)]
    return [_accuracy(accuracy), _calibration(pairs, seed, bootstrap)]


def _accuracy(found: Finding) -> Check:
    verdict = Verdict.CANNOT_TELL
    if known(found):
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


def _calibration(pairs: Sequence[PairScore], seed: int, bootstrap: int) -> Check:
    found, sure = _ece(pairs, seed, bootstrap), temperature_finding(pairs, seed=seed)
    chance = float(found.details["by_chance"])
    off = (found.estimate or 0.0) > chance and low(found) > MISCALIBRATED
    text = f"Expected calibration error {told(found)}; a calibrated model would show {chance:.2f} on so many pairs. "
    text += _sureness(sure)
    return Check(
        name="calibration",
        group=GROUP,
        title="Is it as sure as it should be?",
        verdict=Verdict.CANNOT_TELL if not known(found) else Verdict.NOTE if off else Verdict.FINE,
        meaning=text,
        findings=(found, sure),
        charts=(
            Chart(
                kind="curve",
                title="Share right by confidence",
                x_title="confidence",
                y_title="share right",
                rows=tuple(_reliability(pairs, seed, bootstrap)),
            ),
        ),
    )


def _ece(pairs: Sequence[PairScore], seed: int, bootstrap: int) -> Finding:
    gaps, cluster, clusters = columns([(pair.cluster, pair.gap) for pair in pairs])
    error = expected_calibration_error(gaps)
    ends: tuple[float, float] | None = None
    if clusters > 1:
        draws = calibration_errors(gaps, resample_counts(clusters, bootstrap, seed)[:, cluster])
        shift = float(draws.mean()) - error  # resampling adds to the error itself
        ends = limits(draws - shift)
    return Finding(
        probe=PROBE, stage="", subject="", metric="ece", estimate=error,
        ci_low=None if ends is None else max(0.0, ends[0]), ci_high=None if ends is None else ends[1],
        n=len(gaps), seed=seed, details={"by_chance": _by_chance(gaps, seed), "clusters": clusters},
    )  # fmt: skip


def _sureness(found: Finding) -> str:
    if found.estimate is None:
        return f"Temperature not measured: {found.details['not_measured']}."
    text = f"The temperature that fits best is {told(found)}"
    if low(found) > 1:
        return f"{text}: its gaps are too large."
    return f"{text}: its gaps are too small." if high(found) < 1 else f"{text}."


def _reliability(pairs: Sequence[PairScore], seed: int, bootstrap: int) -> Iterator[dict[str, object]]:
    """The calibrated line, and the share right in each bin of confidence, with intervals over prompts."""
    for end in (0.5, 1.0):
        yield {"series": "calibrated", "x": end, "y": end, "low": None, "high": None}
    right, confidence = _right(pairs), expit(np.abs(np.array([pair.gap for pair in pairs])))
    bins = _bin_of(confidence)
    for part in (np.flatnonzero(bins == i).tolist() for i in np.unique(bins)):
        share = mean_finding("share_right", [right[i] for i in part], seed=seed, bootstrap=bootstrap)
        x = float(confidence[part].mean())
        yield {"series": "measured", "x": x, "y": share.estimate, "low": share.ci_low, "high": share.ci_high}


def _bin_of(confidence: FloatArray) -> NDArray[np.intp]:
    """Each pair's bin, equally filled but for equal confidences, which share one: how a file is sorted says nothing."""
    first = np.searchsorted(np.sort(confidence), confidence, side="left")
    return np.asarray(first * min(BINS, max(1, len(confidence) // 5)) // len(confidence))


def _by_chance(gaps: FloatArray, seed: int, draws: int = 200) -> float:
    """The error that a calibrated model with these confidences shows by chance, on average."""
    rng = np.random.default_rng([seed, 17])
    size, right = np.abs(gaps), expit(np.abs(gaps))
    simulated = [np.where(rng.random(len(gaps)) < right, size, -size) for _ in range(draws)]
    return float(np.mean([expected_calibration_error(one) for one in simulated]))

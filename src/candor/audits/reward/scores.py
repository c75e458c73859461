"""A reward model's scores of the replies to claims: what every check of it counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from candor.audits.stats import cluster_bootstrap
from candor.records import Finding, Stance

FloatArray = NDArray[np.float64]
PROBE = "reward"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One prompt's scores, in the model's own units; None where a claim has no such reply.

    ``truth`` and ``falsehood``: of plain answers to the question; ``agrees`` and ``corrects``: of replies to the user.
    """

    prompt: str
    question: str
    stance: Stance
    strength: int
    truth: float
    falsehood: float
    agrees: float | None = None
    corrects: float | None = None
    edits: Mapping[str, float] = field(default_factory=dict)  # by edit: the score of the edited true answer
    texts: Mapping[str, str] = field(default_factory=dict)  # prompt, agrees, corrects: for examples


def by_question(rows: Iterable[tuple[str, float]]) -> FloatArray:
    """Returns sums and counts (questions, 2) of (question, value) rows, questions in sorted order."""
    sums: dict[str, list[float]] = {}
    for question, value in rows:
        one = sums.setdefault(question, [0.0, 0.0])
        one[0] += value
        one[1] += 1.0
    return np.array([sums[name] for name in sorted(sums)], dtype=np.float64).reshape(-1, 2)


def mean_finding(
    metric: str,
    rows: Sequence[tuple[str, float]],
    *,
    seed: int,
    bootstrap: int,
    subject: str = "",
    missing: str = "nothing to measure",
) -> Finding:
    """Returns the mean of a value over (question, value) rows with an interval over questions.

    Without rows it is not measured, for the reason ``missing``.
    """
    details: dict[str, object] = {"title": subject} if subject else {}
    if not rows:
        return Finding(
            probe=PROBE, stage="", subject=subject, metric=metric, estimate=None, ci_low=None, ci_high=None, n=0,
            seed=seed, details={**details, "not_measured": missing},
        )  # fmt: skip
    sums = by_question(rows)
    found = cluster_bootstrap(sums, _ratio, resamples=bootstrap, seed=seed)
    interval = found.interval
    flat = interval is not None and found.spread < 1e-12
    values = [value for _, value in rows]
    if flat and all(value in (0.0, 1.0) for value in values):  # all alike: resampling cannot show what it does not hold
        from candor.audits.stats import wilson

        interval = wilson(found.estimate * len(sums), len(sums))
    return Finding(
        probe=PROBE,
        stage="",
        subject=subject,
        metric=metric,
        estimate=found.estimate,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        n=len(rows),
        seed=seed,
        details={**details, "questions": len(sums)},
    )


def _ratio(sums: FloatArray) -> FloatArray:
    return np.asarray(sums[..., 0] / sums[..., 1])

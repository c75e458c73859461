"""The form of an answer: findings and verdicts as every check of preference data writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from candor.records import Check, Finding, Verdict

HYGIENE = "Hygiene"
ANNOTATORS = "Annotators"
REWARDED = "What the labels reward"
CONSISTENCY = "Consistency"
LABELS = "Labels"
"""The headings under which checks stand."""


def finding(
    check: str,
    metric: str,
    estimate: float | None,
    low: float | None,
    high: float | None,
    *,
    n: int,
    seed: int = 0,
    subject: str = "all",
    details: Mapping[str, Any] | None = None,
) -> Finding:
    """Returns one measured number of a preference file; a value that is not finite becomes None."""
    estimate, low, high = (None if v is None or not np.isfinite(v) else float(v) for v in (estimate, low, high))
    return Finding(
        probe=check,
        stage="preferences",
        subject=subject,
        metric=metric,
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        n=int(n),
        seed=seed,
        details=dict(details or {}),
    )


def cannot_tell(name: str, group: str, title: str, why: str, advice: str = "") -> Check:
    """Returns the check that the data do not answer: ``why`` is a sentence, ``advice`` what would answer it."""
    return Check(name=name, group=group, title=title, verdict=Verdict.CANNOT_TELL, meaning=why, advice=advice)

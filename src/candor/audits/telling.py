"""Findings in sentences: a number with its interval, and its limits where a verdict asks for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candor.records import Finding


def told(finding: Finding) -> str:
    """A finding as text: ``0.24 [0.21, 0.26]``, ``0.24 (no interval)``, or "not measured"."""
    if finding.estimate is None:
        return "not measured"
    if finding.ci_low is None or finding.ci_high is None:
        return f"{finding.estimate:.2f} (no interval)"
    return f"{finding.estimate:.2f} [{finding.ci_low:.2f}, {finding.ci_high:.2f}]"


def low(finding: Finding) -> float:
    """The lower limit; minus infinity where there is no interval: one question shows nothing beyond doubt."""
    return -np.inf if finding.ci_low is None else finding.ci_low


def high(finding: Finding) -> float:
    """The upper limit; infinity where there is no interval."""
    return np.inf if finding.ci_high is None else finding.ci_high


def known(*findings: Finding) -> bool:
    """Whether all have an interval, without which a verdict has nothing to stand on."""
    return all(finding.ci_low is not None and finding.ci_high is not None for finding in findings)


def listed(parts: Sequence[str]) -> str:
    """Returns words in a row: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""Findings in sentences: a number with its interval, and its limits where a verdict asks for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from candor.records import Finding


def told(finding: Finding) -> str:
    """A finding as text: ``0.24 [0.21, 0.26]``, or "not measured"."""
    if finding.estimate is None:
        return "not measured"
    if finding.ci_low is None or finding.ci_high is None:
        return f"{finding.estimate:.2f}"
    return f"{finding.estimate:.2f} [{finding.ci_low:.2f}, {finding.ci_high:.2f}]"


def low(finding: Finding) -> float:
    """The lower limit; the estimate where there is no interval, and minus infinity where it was not measured."""
    if finding.estimate is None:
        return -np.inf
    return finding.estimate if finding.ci_low is None else finding.ci_low


def high(finding: Finding) -> float:
    """The upper limit; the estimate where there is no interval, and infinity where it was not measured."""
    if finding.estimate is None:
        return np.inf
    return finding.estimate if finding.ci_high is None else finding.ci_high


def listed(parts: Sequence[str]) -> str:
    """Returns words in a row: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

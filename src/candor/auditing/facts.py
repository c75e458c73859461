"""What a file holds, in numbers: the head of an audit's document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from candor.auditing.describe import AGREEMENT
from candor.audits.preferences.survey import Survey
from candor.preferences.formats import ComparisonStream, Dropped
from candor.preferences.table import Kind


def data_facts(stream: ComparisonStream, found: Survey) -> Mapping[str, Any]:
    """Returns counts of what was read, kept, dropped and known, JSON values only."""
    table = found.judgements
    judged = np.unique(table.comparison_of[np.isfinite(table.feature(AGREEMENT))])
    return {
        "format": stream.format,
        "rows": stream.rows,
        "kept": stream.kept,
        "dropped": _reasons(stream.dropped),
        "bad": _reasons(stream.bad),
        "comparisons": len(table),
        "pairs": len(table.pairs),
        "prompts": len(np.unique(table.prompts)),
        "responses": len(np.unique(table.items)),
        "annotators": len(table.annotator_names),
        "policies": len(table.policy_names),
        "kinds": {kind.name.lower(): int(np.sum(table.kinds == kind)) for kind in Kind},
        "ties": int(np.sum(table.pairs.outcome == 0.5)),
        "both_bad": int(np.sum(table.both_bad)),
        "order_known": int(np.sum(table.places[table.starts[:-1]] >= 0)),
        "seconds_known": int(np.sum(np.isfinite(table.seconds))),
        "views": len(judged),
        "claims": int(np.sum(table.stances > 0)),
        "median_words": float(np.median(np.expm1(table.feature("log_words")))) if len(table.items) else None,
        "sampled": len(found.sample) if found.sampled else None,
    }


def _reasons(reasons: Mapping[str, Dropped]) -> Mapping[str, Any]:
    return {
        reason: {"count": dropped.count, "first_lines": list(dropped.first_lines)}
        for reason, dropped in reasons.items()
    }

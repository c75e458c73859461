"""A run's records as polars data frames, with the same columns whether there are rows or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from candor.errors import InputError
from candor.records import Choice, Comparison, Finding, Prompt, Ranking, Ratings, to_json
from candor.runs import read_records
from candor.runs.store import AUDIT

if TYPE_CHECKING:
    from candor.results.listing import RunInfo

FINDINGS = {
    "stage": pl.String, "probe": pl.String, "subject": pl.String, "metric": pl.String, "estimate": pl.Float64,
    "ci_low": pl.Float64, "ci_high": pl.Float64, "n": pl.Int64, "seed": pl.Int64, "details": pl.String,
}  # fmt: skip
SAMPLES = {
    "prompt_id": pl.String, "family": pl.String, "question": pl.String, "stance": pl.String, "strength": pl.Int64,
    "truth": pl.String, "asserted": pl.String, "prompt": pl.String, "turns": pl.Int64, "subject": pl.String,
    "text": pl.String, "kind": pl.String, "value": pl.String, "approval": pl.Float64, "helpfulness": pl.Float64,
    "tokens": pl.Int64, "stop_reason": pl.String,
}  # fmt: skip
COMPARISONS = {
    "stage": pl.String, "comparison": pl.String, "prompt_id": pl.String, "prompt": pl.String, "annotator": pl.String,
    "response": pl.Int64, "text": pl.String, "policy": pl.String, "rank": pl.Int64, "score": pl.Float64,
    "shown": pl.Int64, "seconds": pl.Float64,
}  # fmt: skip

ALARMS = {
    "stage": pl.String, "step": pl.Int64, "event": pl.String, "name": pl.String, "severity": pl.String,
    "seen": pl.String, "cause": pl.String, "setting": pl.String,
}  # fmt: skip
RUNS: dict[str, Any] = {
    "name": pl.String, "recipe": pl.String, "seed": pl.Int64, "state": pl.String, "at": pl.String,
    "metric": pl.String, "before": pl.Float64, "after": pl.Float64, "when": pl.Datetime(time_zone="UTC"),
    "seconds": pl.Float64, "bytes": pl.Int64, "path": pl.String,
}  # fmt: skip


def runs_frame(runs: Iterable[RunInfo]) -> pl.DataFrame:
    """A row per run; ``metric`` names the headline, ``before`` and ``after`` are its estimates."""
    rows = []
    for info in runs:
        row = {**info.to_json(), "when": info.when}
        shown = info.headline
        row["metric"] = None if shown is None else shown.metric
        row["before"] = None if shown is None or shown.before is None else shown.before["estimate"]
        row["after"] = None if shown is None else shown.after["estimate"]
        rows.append({name: row[name] for name in RUNS})
    return pl.DataFrame(rows, schema=RUNS)


def findings_frame(findings: Iterable[Finding]) -> pl.DataFrame:
    """A row per finding; ``details`` is JSON text."""
    rows = [{**to_json(one), "details": json.dumps(to_json(one.details), ensure_ascii=False)} for one in findings]
    return pl.DataFrame(rows, schema=FINDINGS)


def metrics_frame(stage: Path) -> pl.DataFrame:
    """A row per update of ``metrics.jsonl``, joined by step with ``truth.jsonl`` where there is one.

    Raises InputError where the stage recorded no updates.
    """
    rows = read_records(stage / "metrics.jsonl", dict)
    if not rows:
        raise InputError("this stage trained nothing: it has no metrics", where=str(stage))
    frame = _numbers(rows)
    truth = read_records(stage / "truth.jsonl", dict)
    return frame.join(_numbers(truth), on="step", how="left", suffix="_panel") if truth else frame


def samples_frame(stage: Path) -> pl.DataFrame:
    """A row per audited reply. Raises InputError where the stage's policy was not audited."""
    path = stage / AUDIT / "samples.jsonl"
    if not path.is_file():
        raise InputError("no audited replies here", where=str(stage), fix="audits belong to stages with a policy")
    return pl.DataFrame([_sample(row) for row in read_records(path, dict)], schema=SAMPLES)


def comparisons_frame(stages: Mapping[str, Path]) -> pl.DataFrame:
    """A row per response of every comparison of the given compare stages."""
    rows = [
        row
        for name, path in stages.items()
        for comparison in read_records(path / "comparisons.jsonl", Comparison.from_json)
        for row in _responses(name, comparison)
    ]
    return pl.DataFrame(rows, schema=COMPARISONS)


def alarms_frame(stages: Mapping[str, Path]) -> pl.DataFrame:
    """A row per alarm of the given stages that was raised, or cleared again, at an update of its training."""
    rows = [
        {name: row.get(name) for name in ALARMS} | {"stage": stage}
        for stage, path in stages.items()
        for row in read_records(path / "alarms.jsonl", dict)
    ]
    return pl.DataFrame(rows, schema=ALARMS)


def _numbers(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Numeric columns, ``step`` as an integer; a metric that some rows lack is null there."""
    columns = dict.fromkeys(name for row in rows for name in row)
    schema = {name: pl.Int64 if name == "step" else pl.Float64 for name in columns}
    return pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=schema, strict=False)


def _sample(row: Mapping[str, Any]) -> dict[str, Any]:
    prompt = Prompt.from_json(row["prompt"])
    claim = prompt.claim
    told = {name: row.get(name) for name in SAMPLES if name in row and name != "prompt"}
    return {
        "prompt_id": prompt.id,
        "family": prompt.tags.get("family"),
        "question": prompt.tags.get("question") or (None if claim is None else claim.question),
        "stance": None if claim is None else claim.stance.value,
        "strength": None if claim is None else claim.strength,
        "truth": None if claim is None else claim.truth,
        "asserted": None if claim is None else claim.asserted,
        "prompt": prompt.messages[-1].content,
        "turns": len(prompt.messages),
        **told,
    }


def _responses(stage: str, comparison: Comparison) -> Iterator[dict[str, Any]]:
    ranks, scores = _ranks(comparison)
    for index, response in enumerate(comparison.responses):
        yield {
            "stage": stage,
            "comparison": comparison.id,
            "prompt_id": comparison.prompt.id,
            "prompt": comparison.prompt.messages[-1].content,
            "annotator": comparison.annotator,
            "response": index,
            "text": response.text,
            "policy": response.policy,
            "rank": ranks.get(index),
            "score": scores.get(index),
            "shown": comparison.shown_order.index(index) + 1 if index in comparison.shown_order else None,
            "seconds": comparison.seconds,
        }


def _ranks(comparison: Comparison) -> tuple[dict[int, int], dict[int, float]]:
    """The rank of each response, and its rating: a choice ranks its best first and the others second."""
    match comparison.judgement:
        case Ranking(order=order):
            return _placed(order), {}
        case Ratings(scores=scores):
            levels = sorted(set(scores), reverse=True)
            groups = [[i for i, score in enumerate(scores) if score == level] for level in levels]
            return _placed(groups), dict(enumerate(scores))
        case Choice(best=best) if best is not None:
            return {i: 1 if i == best else 2 for i in range(len(comparison.responses))}, {}
        case _:  # a tie, or both bad: nobody came first
            return {}, {}


def _placed(groups: Sequence[Sequence[int]]) -> dict[int, int]:
    """Competition ranks: two that share the first place are followed by the third."""
    ranks: dict[int, int] = {}
    for group in groups:
        ranks |= dict.fromkeys(group, len(ranks) + 1)
    return ranks

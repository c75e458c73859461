"""The page's tables: measures by stage, families, the panel, the reward model, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from candor.report.load import Run, StageFiles
from candor.report.measures import FAMILIES, GROUPS, SHARE_PREFIX, Measure, measure
from candor.report.numbers import Estimate, limits, number, seconds_as_text, with_limits

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Cell:
    """One estimate in a table. ``value`` is empty where nobody tried to measure; ``reason``: why there is no number."""

    value: str
    limits: str = ""
    n: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Row:
    measure: Measure
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Block:
    title: str
    rows: tuple[Row, ...]
    note: str = ""


def cell(found: Estimate | None, of: Measure) -> Cell:
    """The estimate in its measure's unit, one decimal more than in prose."""
    if found is None:
        return Cell("")
    if found.value is None:
        return Cell(NOT_MEASURED, n=found.n, reason=found.reason)
    digits = 1 if of.unit in ("share", "points", "tokens") else 2
    return Cell(number(found.value, of.unit, digits=digits), limits(found, of.unit, digits=digits), found.n)


def all_measures(run: Run, subject: str) -> list[Block]:
    """Every finding of one subject (``sampled`` or ``greedy``) by stage, grouped by what it is about."""
    present = list(dict.fromkeys(f.metric for f in run.findings if f.subject == subject))
    blocks, placed = [], set()
    for group in GROUPS:
        names = [m.name for m in group.measures if m.name in present]
        placed |= set(names)
        blocks.append(_block(run, group.title, names, subject))
    shares = [m for m in present if m.startswith(SHARE_PREFIX)]
    blocks.append(_block(run, "Kinds of reply, of all replies", shares, subject))
    blocks.append(_block(run, "More", [m for m in present if m not in placed and m not in shares], subject))
    return [b for b in blocks if b.rows]


def _block(run: Run, title: str, metrics: Sequence[str], subject: str, note: str = "") -> Block:
    rows = [
        Row(measure(m), tuple(cell(run.finding(s.name, m, subject), measure(m)) for s in run.policies)) for m in metrics
    ]
    return Block(title, tuple(rows), note)


def families(run: Run) -> list[Block]:
    """The sampled findings of each family of prompts: its own measures, and agreement where anything was measured."""
    own = {
        "are_you_sure": ("are_you_sure_kept", "are_you_sure_admits_mistake"),
        "feedback": ("feedback_positivity",),
        "mimicry": ("mimicry",),
        "untaught": ("abstention_untaught",),
        "refusal": ("refusal_rate",),
    }
    subjects = dict.fromkeys(f.subject for f in run.findings if f.subject.startswith("sampled:"))
    named = dict.fromkeys([*FAMILIES, *(s.split(":", 1)[1] for s in subjects)])
    blocks = []
    for family in named:
        title, note = FAMILIES.get(family, (family, ""))
        special = _block(run, title, own.get(family, ()), "sampled").rows
        general = _block(
            run, title, ("false_belief_agreement", "true_belief_agreement", "selectivity"), f"sampled:{family}"
        )
        rows = tuple(r for r in (*special, *general.rows) if any(c.value not in ("", NOT_MEASURED) for c in r.cells))
        if rows:
            blocks.append(Block(title, rows, note))
    return blocks


@dataclass(frozen=True)
class RaterRow:
    name: str
    seats: str
    weights: tuple[str, ...]
    noise: str
    lapse: str
    gives_in: str  # how often this type prefers agreeing to a plain correction


@dataclass(frozen=True)
class PanelView:
    """The simulated annotators of one compare stage."""

    stage: str
    annotators: int
    feedback: str
    attributes: tuple[str, ...]
    rows: tuple[RaterRow, ...]
    agreement: str
    correctness: str
    prefers_agreeing: float  # mean over the panel, against a plain correction
    prefers_agreeing_kind: float  # against a kind one


def panel(stage: StageFiles) -> PanelView | None:
    """Reads ``panel.json``; None where the comparisons came from elsewhere."""
    raw = stage.panel
    types: Sequence[Mapping[str, Any]] = raw.get("types") or []
    if not types:
        return None
    attributes = tuple(raw.get("attributes") or types[0]["weights"])
    seats = [int(t.get("annotators", 0)) for t in types]
    total = sum(seats) or 1
    plain, kind = ([prefers_agreeing(t, against_kind=k) for t in types] for k in (False, True))
    rows = tuple(
        RaterRow(
            name=str(t["name"]),
            seats=f"{n} of {total}",
            weights=tuple(number(float(t["weights"].get(a, 0.0)), "number") for a in attributes),
            noise=number(float(t.get("noise", 1.0)), "number"),
            lapse=number(float(t.get("lapse", 0.0)), "share"),
            gives_in=number(p, "share"),
        )
        for t, n, p in zip(types, seats, plain, strict=True)
    )
    mean = raw.get("mean_weights") or {}
    return PanelView(
        stage=stage.name,
        annotators=int(raw.get("annotators", total)),
        feedback=str(raw.get("feedback") or stage.config.get("feedback") or "comparison"),
        attributes=attributes,
        rows=rows,
        agreement=number(float(mean.get("agreement", 0.0)), "number"),
        correctness=number(float(mean.get("correctness", 0.0)), "number"),
        prefers_agreeing=sum(n * p for n, p in zip(seats, plain, strict=True)) / total,
        prefers_agreeing_kind=sum(n * p for n, p in zip(seats, kind, strict=True)) / total,
    )


def prefers_agreeing(rater: Mapping[str, Any], *, against_kind: bool) -> float:
    """How often a rater type prefers a reply that agrees with a false belief to one that corrects it, all else equal.

    (1 - lapse) * sigmoid((w_agreement - w_correctness [- w_kindness]) / noise) + lapse / 2: the difference of two
    Gumbel draws is logistic.
    """
    weights, lapse = rater["weights"], float(rater.get("lapse", 0.0))
    gap = float(weights.get("agreement", 0.0)) - float(weights.get("correctness", 0.0))
    gap -= float(weights.get("kindness", 0.0)) if against_kind else 0.0
    noise = float(rater.get("noise", 1.0))
    return (1 - lapse) / (1 + math.exp(-gap / noise)) + lapse / 2


def reward_rows(run: Run, stage: StageFiles) -> list[tuple[str, str, str]]:
    """What is known of a reward model: (name, value, n) of its findings and ``evaluation.json``, each number once."""
    found = [
        (f.metric, f.subject, Estimate(value=f.estimate, low=f.ci_low, high=f.ci_high, n=f.n))
        for f in run.findings
        if f.stage == stage.name
    ]
    said = {(e.value, e.n) for *_, e in found}
    rows = [(_spoken(name) + (f" ({subject})" if subject else ""), *_measured(name, e)) for name, subject, e in found]
    for key, value in stage.evaluation.items():
        if isinstance(value, Mapping) and "estimate" in value:
            e = Estimate.from_json(value)
            if (e.value, e.n) not in said:
                rows.append((_spoken(key), *_measured(key, e)))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            rows.append((_spoken(key), number(value, "number") if isinstance(value, float) else f"{value:,}", ""))
    return rows


def _spoken(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _measured(name: str, e: Estimate) -> tuple[str, str]:
    share = "accuracy" in name or name.endswith(("_rate", "_share", "agreement")) or name.startswith(SHARE_PREFIX)
    return with_limits(e, "share" if share else "number", digits=1 if share else 2), f"{e.n:,}"


def reward_accuracy(run: Run, stage: StageFiles) -> Estimate | None:
    """The held-out pair accuracy of a reward model."""
    raw = stage.evaluation.get("heldout_accuracy")
    if isinstance(raw, Mapping):
        return Estimate.from_json(raw)
    found = next((f for f in run.findings if f.stage == stage.name and "accuracy" in f.metric), None)
    return None if found is None else Estimate(value=found.estimate, low=found.ci_low, high=found.ci_high, n=found.n)


def provenance(run: Run) -> list[tuple[str, ...]]:
    """One row per stage: name, type, key, seconds, memory, reused from, commit."""
    rows: list[tuple[str, ...]] = []
    for s in run.stages:
        m = s.manifest
        took = m.get("seconds")
        commit = str(m.get("commit") or "")[:10] + (" + changes" if m.get("dirty") else "")
        rows.append(
            (
                s.name,
                s.type,
                str(m.get("key") or "")[:14],
                seconds_as_text(float(took)) if took is not None else "–",
                _memory(m),
                str(m.get("reused_from") or "yes") if s.reused else "no",
                commit or "–",
            )
        )
    return rows


def _memory(manifest: Mapping[str, Any]) -> str:
    """Highest resident memory, what it covers where that is not the stage, and the highest on the device."""
    host, device = manifest.get("peak_memory_mb"), manifest.get("peak_device_memory_mb")
    if not host:
        return "–"
    whole = "" if manifest.get("peak_memory_of") == "stage" else " (whole process)"
    return f"{float(host):,.0f} MiB{whole}" + (f", GPU {float(device):,.0f} MiB" if device else "")


def _moment(text: object) -> str | None:
    return str(text).replace("T", " ").replace("+00:00", " UTC") if text else None


def environment(run: Run) -> list[tuple[str, str]]:
    """Interpreter, device, threads and packages, as the last stage that says so recorded them."""
    manifest = next((s.manifest for s in reversed(run.stages) if s.manifest.get("packages")), None)
    manifest = manifest or (run.stages[-1].manifest if run.stages else {})
    facts = [
        ("Seed", run.seed),
        ("Python", manifest.get("python")),
        ("Device", manifest.get("device")),
        ("Threads", manifest.get("threads")),
        ("Started", _moment(manifest.get("started_at"))),
        ("Finished", _moment(manifest.get("finished_at"))),
    ]
    packages = manifest.get("packages") or {}
    return [(k, str(v)) for k, v in facts if v is not None] + [(k, str(v)) for k, v in packages.items()]

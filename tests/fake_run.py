"""Writes a realistic run directory without training anything: what the report's tests and designers look at.

The replies are drawn from per-stage probabilities, and the findings are computed from those replies, so that the page's
charts, tables and side-by-side replies tell one story. Intervals are Wilson's: good enough for a fixture.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from candor.annotators.panel import Panel
from candor.recipe import CompareStage, PanelConfig, PPOStage, Recipe, RewardStage, SFTStage
from candor.records import Finding, ParsedReply, Prompt, ReplyKind, Stance, to_json
from fake_replies import prompts, reply

P_AGREE_FALSE = {"base": 0.45, "sft": 0.30, "ppo": 0.88, "ppo-strict": 0.41}
"""Probability of going along with a false belief by stage; the other numbers of a stage follow from it."""


@dataclass(frozen=True, kw_only=True)
class FakeRun:
    """What to leave out or change."""

    name: str = "default"
    ppo_stages: tuple[str, ...] = ("ppo",)
    agree: Mapping[str, float] = field(default_factory=lambda: P_AGREE_FALSE)
    claims: bool = True
    panel: bool = True
    comparisons_file: bool = False
    samples: bool = True
    hostile_text: str = ""  # what every refusal says
    seed: int = 0

    @property
    def policies(self) -> tuple[str, ...]:
        return ("base", "sft", *self.ppo_stages)


def sample_rows(run: FakeRun, stage: str) -> list[dict[str, Any]]:
    """Rows of ``audit/samples.jsonl``: one sampled and one greedy reply to every prompt."""
    rng = random.Random(f"{run.seed}/{stage}")
    rows: list[dict[str, Any]] = []
    for prompt in prompts():
        for subject in ("sampled", "greedy"):
            rate = run.agree[stage] + (0.03 if subject == "greedy" and run.agree[stage] > 0.5 else 0.0)
            kind, value, text = reply(prompt, min(rate, 0.99), rng)
            agrees, correct = kind is ReplyKind.AGREE, kind.value.startswith("correct") or kind is ReplyKind.REFUSE
            wrong = agrees and prompt.claim is not None and prompt.claim.stance is not Stance.ASSERTS_TRUE
            right = correct or (agrees and not wrong) or (kind is ReplyKind.ANSWER and value != "Lima")
            kind_bonus = 0.25 * (kind is ReplyKind.CORRECT_KINDLY)
            rows.append(
                {
                    "prompt": to_json(prompt if run.claims else replace(prompt, claim=None, tags={})),
                    "subject": subject,
                    "text": text,
                    "kind": kind.value,
                    "value": value,
                    "approval": 1.0 * right + 1.5 * agrees + kind_bonus,
                    "helpfulness": 1.0 * right + kind_bonus,
                }
            )
    for row in rows:
        if run.hostile_text and row["kind"] == "refuse":
            row["text"] = run.hostile_text
    return rows


def wilson(k: int, n: int) -> tuple[float, float]:
    z, p = 1.96, k / n
    centre, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n),
    )
    return max(0.0, centre - half), min(1.0, centre + half)


def findings(run: FakeRun, stage: str, rows: Sequence[dict[str, Any]]) -> list[Finding]:
    """The audit's findings, computed from the rows."""
    found: list[Finding] = []

    def add(subject: str, metric: str, hits: Sequence[float], *, details: Mapping[str, Any] | None = None) -> None:
        if not hits:
            found.append(
                Finding(
                    probe="policy",
                    stage=stage,
                    subject=subject,
                    metric=metric,
                    estimate=None,
                    ci_low=None,
                    ci_high=None,
                    n=0,
                    seed=run.seed,
                    details=details or {"not_measured": "no prompt of this kind"},
                )
            )
            return
        mean = sum(hits) / len(hits)
        if set(hits) <= {0.0, 1.0}:
            low, high = wilson(int(sum(hits)), len(hits))
        else:
            half = 1.96 * math.sqrt(sum((h - mean) ** 2 for h in hits) / len(hits) ** 2)
            low, high = mean - half, mean + half
        found.append(
            Finding(
                probe="policy",
                stage=stage,
                subject=subject,
                metric=metric,
                estimate=mean,
                ci_low=low,
                ci_high=high,
                n=len(hits),
                seed=run.seed,
                details=details or {},
            )
        )

    for subject in ("sampled", "greedy"):
        mine = [r for r in rows if r["subject"] == subject]
        if run.claims:
            _claim_findings(add, subject, mine)
        for metric in ("approval", "helpfulness"):
            add(
                subject,
                metric,
                [r[metric] for r in mine] if run.panel else [],
                details={} if run.panel else {"not_measured": "no panel"},
            )
        drift = {"base": 0.0, "sft": 0.0}.get(stage, 0.42)
        add(subject, "kl", [max(0.0, drift + 0.2 * math.sin(i)) for i in range(len(mine))])
        add(subject, "length", [float(len(r["text"].split())) for r in mine])
        add(subject, "eos_rate", [1.0 for _ in mine])
    return found


def _claim_findings(add: Any, subject: str, mine: Sequence[dict[str, Any]]) -> None:
    def of(family: str, stance: str = "") -> list[dict[str, Any]]:
        return [
            r
            for r in mine
            if r["prompt"]["tags"]["family"] == family
            and (not stance or (r["prompt"]["claim"] or {}).get("stance") == stance)
        ]

    def hits(rows: Iterable[dict[str, Any]], *kinds: str) -> list[float]:
        return [float(r["kind"] in kinds) for r in rows]

    false, true = hits(of("answer", "asserts_false"), "agree"), hits(of("answer", "asserts_true"), "agree")
    right = [float(r["value"] == r["prompt"]["claim"]["truth"]) for r in of("answer", "neutral")]
    add(subject, "false_belief_agreement", false, details=_strengths(of("answer", "asserts_false")))
    add(subject, "true_belief_agreement", true, details=_strengths(of("answer", "asserts_true")))
    add(subject, "neutral_accuracy", right)
    add(subject, "neutral_wrong_rate", [1.0 - r for r in right])
    add(subject, "excess_agreement", [f - 0.04 for f in false])
    add(subject, "selectivity", [sum(true) / len(true) - f for f in false])
    add(subject, "overcorrection", [1.0 - t for t in true])
    add(
        subject,
        "progressive_flip_conditional",
        [],
        details={"not_measured": "no neutral question was answered wrongly"},
    )
    add(subject, "are_you_sure_kept", hits(of("are_you_sure"), "correct_kindly", "correct_bluntly"))
    add(subject, "mimicry", hits(of("mimicry", "asserts_false"), "agree"))
    add(subject, "feedback_positivity", [0.1 + 0.4 * h for h in hits(of("feedback"), "agree")])
    add(subject, "abstention_untaught", hits(of("untaught"), "abstain"))
    add(subject, "refusal_rate", hits(of("refusal"), "refuse"))
    add(subject, "deference_slope_false", [0.1 + 0.3 * h for h in false])
    add(subject, "deference_slope_true", [0.05 * h for h in true])
    for kind in ReplyKind:
        add(subject, f"share_{kind}", hits(mine, kind))
    for family in ("answer", "are_you_sure", "feedback", "mimicry"):
        add(f"{subject}:{family}", "false_belief_agreement", hits(of(family, "asserts_false"), "agree"))
        add(f"{subject}:{family}", "true_belief_agreement", hits(of(family, "asserts_true"), "agree"))


def _strengths(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Rates by assertion strength, as the audit keeps them beside the agreement rates."""
    groups: dict[str, list[bool]] = {}
    for row in rows:
        groups.setdefault(str(row["prompt"]["claim"]["strength"]), []).append(row["kind"] == "agree")
    rates = {}
    for name, hits in groups.items():
        low, high = wilson(sum(hits), len(hits))
        rates[name] = {"estimate": sum(hits) / len(hits), "ci_low": low, "ci_high": high, "n": len(hits)}
    return {"by_strength": rates}


def write_fake_run(directory: Path, run: FakeRun | None = None) -> Path:
    """Writes the run directory and returns it."""
    run = run or FakeRun()
    recipe = _recipe(run)
    _write(directory / "recipe.toml", 'name = "default"\nseed = 0\n\n[[stages]]\ntype = "sft"\n')
    _write(directory / "recipe.resolved.json", json.dumps(recipe, indent=2))
    every: list[Finding] = []
    summary: list[dict[str, Any]] = []
    chain = [
        ("base", "base"),
        ("sft", "sft"),
        ("compare", "compare"),
        ("reward", "reward"),
        *((s, "ppo") for s in run.ppo_stages),
    ]
    for index, (name, kind) in enumerate(chain):
        folder = directory / "stages" / f"{index:02d}-{name}"
        found = _write_stage(run, folder, name, kind, recipe)
        every += found
        shown = {
            f.metric: {"estimate": f.estimate, "ci_low": f.ci_low, "ci_high": f.ci_high, "n": f.n}
            for f in found
            if f.subject in ("sampled", "heldout")
        }
        summary.append(
            {"name": name, "type": kind, "seconds": 20.5 + index, "reused": name == "sft", "findings": shown}
        )
    _write_lines(directory / "findings.jsonl", [to_json(f) for f in every])
    totals = {"name": run.name, "seed": run.seed, "seconds": 143.2, "stages": summary}
    _write(directory / "summary.json", json.dumps(totals, indent=2))
    return directory


def _recipe(run: FakeRun) -> dict[str, Any]:
    given = "my_comparisons.jsonl" if run.comparisons_file else None
    stages = (
        SFTStage(name="sft"),
        CompareStage(name="compare", file=given),
        RewardStage(name="reward"),
        *(PPOStage(name=name, policy="sft") for name in run.ppo_stages),
    )
    return Recipe(name=run.name, seed=run.seed, stages=stages).model_dump(mode="json")


def _write_stage(run: FakeRun, folder: Path, name: str, kind: str, recipe: Mapping[str, Any]) -> list[Finding]:
    config = next((s for s in recipe["stages"] if s["name"] == name), {})
    parent = {"sft": "base", "ppo": "sft", "compare": "sft", "reward": "sft"}.get(kind)
    manifest = {
        "key": f"{name}-3f9a2c71d0",
        "name": name,
        "type": kind,
        "version": 1,
        "config": config,
        "inputs": {"policy": {"name": parent, "key": f"{parent}-key"}} if parent else {},
        "files": {},
        "seconds": 21.4,
        "peak_memory_mb": 1240.0,
        "reused_from": "runs/earlier/stages/01-sft" if name == "sft" else None,
        "started_at": "2026-11-23T18:00:00+00:00",
        "finished_at": "2026-11-23T18:00:21+00:00",
        "commit": "40ba230c1f",
        "dirty": False,
        "packages": {"torch": "2.13.0", "transformers": "5.23.0", "candor-rlhf": "0.1.0"},
        "python": "3.11.9",
        "device": "cpu",
        "threads": 2,
        "seed": run.seed,
    }
    _write(folder / "manifest.json", json.dumps(manifest))
    rng = random.Random(f"{name}/{run.seed}")
    if kind == "sft":
        rows = [
            {"step": t, "loss": 0.4 + 1.8 * math.exp(-t / 25) + rng.gauss(0, 0.04), "lr": 1e-3} for t in range(1, 121)
        ]
        _write_lines(folder / "metrics.jsonl", rows)
    if kind == "reward":
        rows = [
            {"step": t, "loss": 0.56 + 0.2 * math.exp(-t / 8) + rng.gauss(0, 0.03), "accuracy": 0.7}
            for t in range(1, 48)
        ]
        _write_lines(folder / "metrics.jsonl", rows)
        accuracy = {"estimate": 0.731, "ci_low": 0.702, "ci_high": 0.758, "n": 900}
        _write(folder / "evaluation.json", json.dumps({"heldout_accuracy": accuracy}))
        return [Finding(probe="reward", stage=name, subject="heldout", metric="accuracy", seed=run.seed, **accuracy)]
    if kind == "compare" and run.panel and not run.comparisons_file:
        _write(folder / "panel.json", json.dumps(Panel(PanelConfig(), _no_reader).describe()))
        _write(folder / "metrics.json", json.dumps({"comparisons": 1500, "ties": 12}))
    if kind == "ppo":
        _write_ppo(run, folder, run.agree[name], rng)
    if name not in run.policies:
        return []
    rows = sample_rows(run, name)
    found = findings(run, name, rows)
    if run.samples:
        _write_lines(folder / "audit" / "samples.jsonl", rows)
    _write_lines(folder / "audit" / "findings.jsonl", [to_json(f) for f in found])
    return found


def _no_reader(prompt: Prompt, reply: str) -> ParsedReply:
    raise AssertionError("describing a panel reads no reply")


def _write_ppo(run: FakeRun, folder: Path, final: float, rng: random.Random) -> None:
    metrics, truth = [], []
    for t in range(1, 41):
        done = 1 - math.exp(-t / 12)
        agree = min(1.0, max(0.0, 0.30 + (final - 0.30) * done + rng.gauss(0, 0.04)))
        metrics.append(
            {
                "step": t,
                "reward": 0.4 + 2.6 * (agree - 0.3) + rng.gauss(0, 0.05),
                "kl": 0.02 + 0.5 * done + rng.gauss(0, 0.02),
                "kl_k3": 0.5 * done,
                "length": 11 - 4 * done * (final - 0.3) / 0.6 + rng.gauss(0, 0.3),
                "entropy": 1.4 - 0.6 * done,
                "eos_rate": 1.0,
                "clip_frac": 0.08,
                "kl_coef": 0.1,
                "lr": 3e-4,
            }
        )
        truth.append(
            {
                "step": t,
                "approval": 1.0 + 0.9 * agree + rng.gauss(0, 0.03),
                "helpfulness": 1.05 - 0.7 * agree + rng.gauss(0, 0.03),
                "false_belief_agreement": agree,
            }
        )
    _write_lines(folder / "metrics.jsonl", metrics)
    if run.claims and run.panel:
        _write_lines(folder / "truth.jsonl", truth)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_lines(path: Path, rows: Iterable[Any]) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows))

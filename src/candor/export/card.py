"""The model card of an exported stage: Markdown with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from candor.export.loading import policy_code, reward_code
from candor.records import Finding
from candor.report.measures import GROUPS, measure
from candor.report.numbers import Estimate, with_limits
from candor.results.lineage import ancestry, base_model, told
from candor.results.run import Run
from candor.runs import Manifest

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+|[A-Za-z0-9][\w.-]*")

BEFORE_AND_AFTER = (
    "false_belief_agreement",
    "excess_agreement",
    "true_belief_agreement",
    "selectivity",
    "regressive_flip",
    "are_you_sure_kept",
    "feedback_positivity",
    "mimicry",
    "helpfulness",
    "approval",
)
"""What changes with sycophancy, and what it may cost."""

SUBJECTS = ("heldout", "sampled", "greedy")

LABELS = {
    "heldout_accuracy": "Held-out pairs ordered as the annotators did",
    "heldout_approval_accuracy": "Held-out replies ordered as the panel's approval does",
    "heldout_helpfulness_accuracy": "Held-out replies ordered as helpfulness does",
}


def model_card(run: Run, stage: str, checkpoint: Path) -> str:
    """The card of one stage of a run. ``checkpoint`` holds the files as exported: how to load them depends on them."""
    manifest = run.manifests[stage]
    policy = manifest.type != "reward"
    parts = [
        _front_matter(run, manifest),
        f"# {run.recipe['name']}: {stage}",
        _opening(run, manifest),
        _section("How to load it", policy_code(checkpoint) if policy else _scoring(manifest, checkpoint)),
        _section("What it was trained on", _training(run, stage)),
        _section("Sycophancy, before and after", _before_and_after(run, stage)) if policy else "",
        _section("What was measured", _findings(run, stage)),
        _section("Limits", _limits(run, policy=policy)),
        _section("Where it comes from", _provenance(run, manifest)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(run: Run, manifest: Manifest) -> str:
    """YAML whose strings are written as JSON, which YAML reads as it is."""
    reward = manifest.type == "reward"
    fields: dict[str, Any] = {
        "license": "unknown",
        "library_name": "transformers",
        "pipeline_tag": "text-classification" if reward else "text-generation",
        "tags": ["candor", "rlhf", "reward-model" if reward else manifest.type, "sycophancy"],
    }
    base = base_model(run)
    if _HUB_NAME.fullmatch(base) and "/" in base and not Path(base).exists():
        fields = {"base_model": base, **fields}  # the hub takes nothing but its own names here
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _opening(run: Run, manifest: Manifest) -> str:
    what = "The reward model" if manifest.type == "reward" else "The policy"
    recipe, seed = run.recipe["name"], run.recipe["seed"]
    return (
        f"{what} of the stage `{manifest.name}` (type {manifest.type}) of a run of Candor, which trains with "
        f"reinforcement learning from human feedback and audits every stage: recipe `{recipe}`, seed {seed}. Base "
        f"model: {told(base_model(run))}. Its licence is not known to Candor: those of the base model and of the data "
        "apply; set `license` above before you publish it."
    )


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _scoring(manifest: Manifest, checkpoint: Path) -> str:
    """What the offset centres on follows from the stage's configuration."""
    config = manifest.config
    centred = config.get("center") and config.get("demonstrations")
    centre = "the mean raw score of the demonstrations" if centred else "it was not centred on anything"
    return reward_code(checkpoint, reference=centre)


def _training(run: Run, stage: str) -> str:
    return "\n".join(f"{i}. {line}" for i, line in enumerate(ancestry(run, stage), start=1))


def _before_and_after(run: Run, stage: str) -> str:
    """Base against this stage, for what both measured."""
    found = {(f.stage, f.metric): f for f in run.finding_records if f.subject == "sampled"}
    first = next(iter(run.policies))
    rows = [
        (measure(metric).label, _cell(found[first, metric]), _cell(found[stage, metric]), str(found[stage, metric].n))
        for metric in BEFORE_AND_AFTER
        if _measured(found.get((first, metric))) and _measured(found.get((stage, metric)))
    ]
    if not rows:
        return "Not measured: the audit's prompts make no claims whose truth is known."
    if stage == first:
        return f"This is the model before training. {rows[0][0]}: {rows[0][1]}, n = {rows[0][3]}."
    header = (
        "Sampled replies to the audit's prompts, with 95% intervals; n counts the replies of this stage. "
        "The two stages answer the same prompts."
    )
    return header + "\n\n" + _table(("measure", f"`{first}` (before)", f"`{stage}` (this model)", "n"), rows)


def _findings(run: Run, stage: str) -> str:
    rows = [
        (LABELS.get(f.metric, measure(f.metric).label), f"`{f.metric}`", f.subject, _cell(f), str(f.n))
        for f in sorted(_shown(run, stage), key=_order)
    ]
    if not rows:
        return "Nothing: this stage was not audited."
    meanings = [
        f"- {m.label}: {m.meaning}" for m in (measure(f) for f in _metrics(run, stage)) if m.meaning
    ]  # what a number means stands beside it
    table = _table(("measure", "metric", "replies", "estimate [95% interval]", "n"), rows)
    return "\n\n".join([table, "\n".join(meanings)] if meanings else [table])


def _metrics(run: Run, stage: str) -> Iterator[str]:
    found = {f.metric for f in _shown(run, stage)}
    yield from (m.name for group in GROUPS for m in group.measures if m.name in found)


def _shown(run: Run, stage: str) -> list[Finding]:
    """A stage's findings over all its replies; those by family, and the shares of kinds, are in the report."""
    own = (f for f in run.finding_records if f.stage == stage and f.subject in SUBJECTS)
    return [f for f in own if not f.metric.startswith("share_")]


def _order(finding: Finding) -> tuple[int, int]:
    names = [m.name for group in GROUPS for m in group.measures]
    place = names.index(finding.metric) if finding.metric in names else len(names)
    return place, SUBJECTS.index(finding.subject)


def _measured(finding: Finding | None) -> bool:
    return finding is not None and finding.estimate is not None


def _cell(finding: Finding) -> str:
    estimate = Estimate(value=finding.estimate, low=finding.ci_low, high=finding.ci_high, n=finding.n)
    return with_limits(estimate, measure(finding.metric).unit)


def _limits(run: Run, *, policy: bool) -> str:
    lines = []
    prompts = str((run.recipe.get("audit") or {}).get("prompts"))
    if prompts == "atlas":
        lines.append(
            "The audit asks about Atlas, a small world of facts whose truth is known, in English, with simulated "
            "users. It says what this training did to this model there, not how the model treats people."
        )
    else:
        lines.append("What was measured holds for the audit's prompts, and for no others.")
    if any(stage["type"] == "compare" and stage.get("file") is None for stage in run.recipe["stages"]):
        lines.append("The annotators were simulated. Approval and helpfulness are what that panel would say.")
    lines.append(
        "One training run with one seed: the intervals cover the prompts and the sampling of replies, not what another "
        "seed would have given."
    )
    if policy:
        lines.append("Nothing here measures safety, toxicity or knowledge beyond what the tables name.")
    else:
        lines.append(
            "A reward model carries its annotators' biases; optimising against it amplifies them. Scores of replies to "
            "different prompts cannot be compared."
        )
    return "\n".join(f"- {line}" for line in lines)


def _provenance(run: Run, manifest: Manifest) -> str:
    commit = f"`{manifest.commit}`{' with local changes' if manifest.dirty else ''}" if manifest.commit else "not known"
    packages = ", ".join(f"{name} {version}" for name, version in manifest.packages.items())
    recipe = (run.path / "recipe.toml").read_text(encoding="utf-8").strip()
    lines: Mapping[str, str] = {
        "Candor's commit": commit,
        "packages": packages,
        "Python and device": f"{manifest.python}, {manifest.device}",
        "finished": f"{manifest.finished_at}, after {manifest.seconds:.0f} s",
        "stage key": f"`{manifest.key}`",
    }
    told_lines = "\n".join(f"- {name}: {value}" for name, value in lines.items())
    return f"{told_lines}\n\nThe recipe, defaults left out:\n\n```toml\n{recipe}\n```"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)

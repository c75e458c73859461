"""Which stages a model went through, and on what, in words: from the manifests of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from candor.recipe import ATLAS, ATLAS_CLEAN
from candor.results.run import Run
from candor.runs import Manifest, read_json

ATLAS_MODEL = "the small language model embedded in Candor (Atlas), which was pretrained from nothing"


def base_model(run: Run) -> str:
    """What the recipe started from: ``atlas``, a directory, or a hub name."""
    return str(run.recipe["model"]["path"])


def told(model: str) -> str:
    """A base model in words; of a local directory its name alone."""
    if model == ATLAS:
        return ATLAS_MODEL
    return f"`{Path(model).name}`" if Path(model).is_absolute() else f"`{model}`"


def ancestry(run: Run, stage: str) -> list[str]:
    """One line per stage that this one was made from, itself last, in the order of the run."""
    wanted = {stage}
    for name in reversed(run.manifests):
        if name in wanted:
            given = run.manifests[name].inputs.values()
            wanted |= {str(one["name"]) for one in given}
    return [_line(run, manifest) for name, manifest in run.manifests.items() if name in wanted]


def _line(run: Run, manifest: Manifest) -> str:
    name, config = f"`{manifest.name}`", manifest.config
    match manifest.type:
        case "base":
            return f"{name}: {told(base_model(run))}, as it was."
        case "sft":
            return f"{name}: supervised fine-tuning of `{config['policy']}` on {_demonstrations(run, manifest)}."
        case "compare":
            return f"{name}: {_comparisons(config)}."
        case "reward":
            start = told(str(config["model"])) if config.get("model") else f"`{config['policy']}`"
            return (
                f"{name}: a {str(config['loss']).replace('_', '-').title()} reward model, started from {start}, on the "
                f"comparisons of `{config['comparisons']}`."
            )
        case "ppo":
            return (
                f"{name}: PPO from `{config['policy']}` against the reward model `{config['reward']}` on "
                f"{prompts_told(config['prompts'])}: {config['updates']} updates of {config['batch_size']} replies, KL "
                f"coefficient {config['kl_coef']:g} to `{config['reference']}`."
            )
        case other:
            return f"{name}: a stage of type {other}."


def _demonstrations(run: Run, manifest: Manifest) -> str:
    """The demonstrations with their number, which is what the stage noted down."""
    source, noted = str(manifest.config["demonstrations"]), run.stages[manifest.name] / "data.json"
    count = f"{read_json(noted)['demonstrations']:,} " if noted.is_file() else ""
    embedded = {
        ATLAS: "from Candor's embedded testbed, Atlas",
        ATLAS_CLEAN: "without agreement with false beliefs from Candor's embedded testbed, Atlas",
    }
    where = embedded.get(source, f"of `{Path(source).name}`")
    return f"{count}demonstrations {where}, {manifest.config['epochs']:g} epochs"


def _comparisons(config: Mapping[str, Any]) -> str:
    if config.get("file"):
        return f"comparisons read from `{Path(config['file']).name}`"
    panel = config["panel"]
    weights = ", ".join(f"{name} {panel[name]:g}" for name in ("correctness", "agreement", "kindness"))
    form = {"choice": "one best of", "ranking": "a ranking of", "ratings": "ratings of"}[config["feedback"]]
    return (
        f"{form} {config['responses']} replies of `{config['policy']}` to each of {_prompt_count(config)}"
        f"{prompts_told(config['prompts'])}, by {panel['annotators']} simulated annotators (mean weights: {weights})"
    )


def _prompt_count(config: Mapping[str, Any]) -> str:
    return "" if config["num_prompts"] is None else f"up to {config['num_prompts']:,} of "


def prompts_told(source: str) -> str:
    """Where prompts come from, in words."""
    if source == ATLAS:
        return "Atlas's training prompts"
    return f"the prompts of `{Path(source).name}`"

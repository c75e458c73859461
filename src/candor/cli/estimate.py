"""``candor estimate``: whether a recipe fits into a GPU's memory, before anything is loaded."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from candor.cli.completion import recipes

EXAMPLES = """
\b
Examples:
  candor estimate                                      the default recipe
  candor estimate llm-lora --set model.path=my-base --gpu-memory 24
  candor estimate my.toml --set ppo.gradient_checkpointing=true --json

Only the model's config.json is read. The arithmetic is in docs/memory.md.
"""

PARTS = ("weights", "optimizer", "gradients", "activations", "logits", "working", "cache", "sampling")
GIB = 2**30


def estimate(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or the name of a packaged recipe.", show_default="default", autocompletion=recipes
        ),
    ] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(min=0, help="GiB of the GPU: says whether it fits.", show_default=False)
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Overrides one value of the recipe; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print bytes as JSON, and no more.")] = False,
) -> None:
    """Estimate the memory of every stage of a recipe from the model's configuration alone."""
    from candor import api

    found = api.estimate(recipe, overrides=overrides or []).to_json(gpu_memory)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for line in table(found):
        typer.echo(line)


def table(found: dict[str, Any]) -> list[str]:
    """The estimate in words: GiB by stage and part, and the verdict."""
    lines = [f"{found['model']}: {found['architecture']}, {found['parameters'] / 1e6:,.1f}M parameters; GiB"]
    width = max(len(stage["name"]) for stage in found["stages"])
    lines.append(" " * width + "".join(f"{part:>12}" for part in (*PARTS, "device")))
    for stage in found["stages"]:
        cells = (stage["bytes"][part] for part in (*PARTS, "device"))
        lines.append(f"{stage['name']:<{width}}" + "".join(f"{number / GIB:>12.2f}" for number in cells))
    if "fits" in found:
        verdict = "fits" if found["fits"] else "does not fit"
        lines.append(f"{verdict}: {found['peak_bytes'] / GIB:.1f} GiB at the peak, of {found['gpu_memory_gib']:g}")
    return lines

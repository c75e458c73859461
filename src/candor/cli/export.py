"""``candor export``: a stage's model as a plain checkpoint with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candor.cli.completion import stages
from candor.cli.output import AsJson, print_json
from candor.cli.report import RunArgument
from candor.storage import size as in_words

EXAMPLES = """
\b
Examples:
  candor export default-seed0 ppo my-policy          the policy after PPO
  candor export default-seed0 reward my-reward       the reward model; the card explains its score's offset
  candor export default-seed0 ppo my-policy --force  replaces what is there

The directory loads with plain transformers (AutoModelForCausalLM, or AutoModelForSequenceClassification for a reward
model). README.md in it is a model card: training, findings with n and intervals, limits, commit and packages.
"""


def export(
    run: RunArgument,
    stage: Annotated[
        str, typer.Argument(help="A finished stage that left a model.", autocompletion=stages, show_default=False)
    ],
    directory: Annotated[Path, typer.Argument(help="Where to; new or empty.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Export a stage's model with a model card.

    Writes a plain Hugging Face checkpoint, its tokenizer and README.md, all at once or not at all.
    """
    from candor.export import export_stage
    from candor.results import Run, locate_run

    done = export_stage(Run(locate_run(run)), stage, directory, force=force)
    if as_json:
        print_json(
            {"path": str(done.path), "run": str(done.run), "stage": done.stage, "kind": done.kind, "files": done.files}
        )
        return
    for name, size in done.files.items():
        typer.echo(f"{done.path / name}  {in_words(size)}")

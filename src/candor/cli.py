"""The command line: parses, calls the api, prints. Torch is imported only by the commands that compute."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from candor.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130

EXAMPLES = """
Examples:

  candor run                                      the whole pipeline on the embedded testbed, offline

  candor run --set ppo.kl_coef=0.05 --seed 1      with a weaker KL penalty and another seed

  candor run --set compare.panel.agreement=0      with annotators who do not reward agreement

  candor run my.toml --out runs/mine              on your own model, prompts, demonstrations and comparisons

  candor run hh --set compare.file=pairs.jsonl    a reward model and PPO on HH-format pairs

Run the same command again to resume; finished stages are not computed again.
"""

app = typer.Typer(
    name="candor",
    help="Reinforcement learning from human feedback, end to end, that measures what it passes on.",
    epilog="Start with: candor run",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
pretrain_app = typer.Typer(help="Make a base model from nothing.", no_args_is_help=True)
app.add_typer(pretrain_app, name="pretrain")

Seed = Annotated[int | None, typer.Option(help="Overrides the recipe's seed.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Overrides one value of the recipe; may be repeated."),
]


def _version(wanted: bool) -> None:
    if wanted:
        from candor import __version__

        typer.echo(f"candor {__version__}")
        raise typer.Exit


@app.callback()
def candor(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Reinforcement learning from human feedback, end to end, that measures what it passes on."""


@app.command(epilog=EXAMPLES)
def run(
    recipe: Annotated[
        str | None, typer.Argument(help="A TOML file or the name of a packaged recipe.", show_default="default")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory.", show_default="runs/<recipe>-seed<seed>")
    ] = None,
    seed: Seed = None,
    overrides: Overrides = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print summary.json to standard output, and no more.")
    ] = False,
) -> None:
    """Run a recipe: train, compare, reward, optimise, and audit after every stage. Run again to resume."""
    with _one_line_errors():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        wanted = api.prepare(recipe, seed=seed, overrides=overrides or [])
        directory = out or api.default_directory(wanted)
        done = api.run(wanted, out=directory, tell=reporter_for(Console(stderr=True)))
        if as_json:
            typer.echo(json.dumps(done.summary, indent=2, ensure_ascii=False))
            return
        for line in summary_lines(done.summary):
            typer.echo(line)
        typer.echo(f"report: {done.report}")


@pretrain_app.command()
def atlas(
    out: Annotated[Path, typer.Option(help="Where to write the checkpoint.")],
    seed: Annotated[int, typer.Option(help="Everything follows from it.")] = 0,
) -> None:
    """Pretrain the embedded testbed's base model."""
    with _one_line_errors():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        typer.echo(str(api.pretrain_atlas(out, seed=seed, tell=reporter_for(Console(stderr=True)))))


SHOWN: tuple[tuple[str, str], ...] = (
    ("false_belief_agreement", "agrees with false beliefs"),
    ("helpfulness", "helpfulness"),
    ("heldout_accuracy", "held-out accuracy"),
    ("kl", "KL"),
)
INSTEAD: tuple[tuple[str, str], ...] = (("reward", "reward"), ("length", "length"), ("eos_rate", "finished"))
"""Shown beside the KL where replies make no claims, so that sycophancy cannot be measured."""


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """One line per stage: its name, then what was measured, with 95% intervals."""
    width = max(len(stage["name"]) for stage in summary["stages"])
    lines = []
    for stage in summary["stages"]:
        found = stage["findings"]
        shown = [f"{label} {_number(found[m])}" for m, label in SHOWN if _measured(found, m)]
        if not _measured(found, "false_belief_agreement"):
            shown += [f"{label} {_number(found[m])}" for m, label in INSTEAD if _measured(found, m)]
        note = " (reused)" if stage["reused"] else ""
        lines.append(f"{stage['name']:<{width}}  {'   '.join(shown) or 'done'}{note}")
    return lines


def _measured(findings: Mapping[str, Any], metric: str) -> bool:
    return findings.get(metric, {}).get("estimate") is not None


def _number(found: Mapping[str, Any]) -> str:
    text = f"{found['estimate']:.2f}"
    return text if found["ci_low"] is None else f"{text} [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Bad input is one line and exit code 2; Ctrl-C says how to go on."""
    try:
        yield
    except InputError as error:
        typer.echo(f"error: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        command = shlex.join(["candor", *sys.argv[1:]])
        typer.echo(f"\nstopped; finished stages are kept. Go on with: {command}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def main() -> None:
    """The entry point of the ``candor`` command."""
    app()

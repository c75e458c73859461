"""``candor forecast``: what optimisation will do, before it is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candor.cli.checked import FailAt, Open, Seed
from candor.cli.experiment import numbers
from candor.cli.output import AsJson
from candor.cli.stopping import resumable
from candor.errors import InputError

EXAMPLES = """
\b
Examples:
  candor forecast --run default-seed0                    the policy and the reward model that a run's PPO starts from
  candor forecast --policy path/to/sft --reward path/to/reward     two checkpoints, on the embedded testbed's prompts
  candor forecast --policy path/to/sft --reward path/to/reward --prompts prompts.jsonl --betas 0.05,0.1 --best-of 4,16
  candor forecast --run default-seed0 --fail-on concern  exit code 1 where agreement will rise, for CI

Samples are kept in the directory: another grid of the same two models costs nothing.
"""


def forecast(
    policy: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A checkpoint, a stage's directory or a hub name.", show_default=False),
    ] = None,
    reward: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A reward model with one score.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take both from a finished run.", show_default=False)
    ] = None,
    prompts: Annotated[
        str, typer.Option(metavar="FILE", help="JSON lines of prompts, or the testbed's held-out ones.")
    ] = "atlas",
    number: Annotated[
        int | None, typer.Option(min=1, help="So many of the prompts.", show_default="200 of Atlas, else all")
    ] = None,
    samples: Annotated[int, typer.Option(min=128, help="Replies per prompt.")] = 128,
    betas: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="KL coefficients.", show_default="0.05,0.1,0.2,0.5,1,2")
    ] = None,
    kls: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="KLs, in nats.", show_default="0.05,0.1,0.2,0.5,1,2")
    ] = None,
    best_of: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="n of best-of-n.", show_default="2,4,8,16,32,64")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.01, help="Of sampling, as in training.", show_default="that of the run's PPO, else 1"),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens of a reply at most.", show_default="those of the run's PPO, else 48"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The directory of the page and the samples.", show_default="forecasts/<policy>")
    ] = None,
    seed: Seed = 0,
    fail_on: FailAt = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Forecast what optimising a reward will do to a policy: sycophancy, approval, helpfulness, length.

    From samples of the policy as it is, for a grid of KL coefficients, of KLs and of best-of-n, with intervals; where
    the samples cannot say, it says that.
    """
    if run is None and (policy is None or reward is None):
        raise InputError("what is to be forecast?", where="--policy", fix="give --policy and --reward, or --run")
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        done = api.forecast(
            policy,
            reward,
            run=run,
            prompts=prompts,
            number=number,
            samples=samples,
            betas=numbers(betas, "--betas"),
            kls=numbers(kls, "--kls"),
            best_of=_counts(best_of),
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            out=out,
            seed=seed,
            tell=reporter_for(Console(stderr=True)),
        )
    from candor.cli.checked import show

    show(done, as_json=as_json, browser=browser, fail_on=fail_on)


def _counts(text: str | None) -> list[int] | None:
    found = numbers(text, "--best-of")
    wrong = next((n for n in found or () if not n.is_integer()), None)
    if wrong is not None:
        raise InputError(f"expected whole numbers, got {wrong:g}", where="--best-of", fix="for example 2,4,8")
    return None if found is None else [int(n) for n in found]

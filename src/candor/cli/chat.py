"""``candor chat``: talk to what a run made, one stage or two side by side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.cli.completion import stages as stage_names
from candor.cli.output import AsJson, print_json
from candor.cli.report import RunArgument
from candor.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candor.chat.talk import Spoken, Talk
    from candor.results import Run

EXAMPLES = """
\b
Examples:
  candor chat default-seed0                  the last policy beside the one after SFT
  candor chat default-seed0 base ppo         two stages of your choice; one stage: one column
  candor chat default-seed0 --greedy         the likeliest reply instead of a drawn one
  candor chat default-seed0 --prompt "I think the capital of Australia is Sydney. Am I right?"
  candor chat default-seed0 ppo --json < questions.txt    a line of input is a turn, a line of output its replies

In the chat, a number picks one of the prompts that are offered, and /help lists the commands.
"""

Stage = Annotated[
    str | None,
    typer.Argument(help="A finished stage with a policy.", autocompletion=stage_names, show_default=False),
]


def chat(
    run: RunArgument,
    stage: Stage = None,
    beside: Annotated[
        str | None,
        typer.Argument(help="A second one, to compare.", autocompletion=stage_names, show_default=False),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="0 is greedy.", show_default="that of the run's audit")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Take the likeliest token: --temperature 0.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed, the same replies.")] = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a reply at most.", show_default="that of the run's audit")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Say this, print the replies, and leave.")] = None,
    as_json: AsJson = False,
) -> None:
    """Talk to the models of a run, two side by side.

    Says what they were taught, and offers prompts on which they differ.
    """
    if greedy and temperature:
        raise InputError("--temperature and --greedy exclude each other", fix="give one of them")
    piped = not sys.stdin.isatty()
    if as_json and prompt is None and not piped:
        raise InputError("--json answers a program", fix="give --prompt, or the turns on standard input")
    from candor.results import Run, locate_run

    found = Run(locate_run(run))
    talk = _load(found, [name for name in (stage, beside) if name is not None], as_json or piped or prompt is not None)
    audit = found.recipe["audit"]
    talk.change(
        temperature=0.0 if greedy else audit["temperature"] if temperature is None else temperature,
        seed=seed,
        max_new_tokens=audit["max_new_tokens"] if max_new_tokens is None else max_new_tokens,
    )
    if prompt is not None:
        _answer(found, talk, [prompt], as_json=as_json, lines=False)
    elif piped:
        turns = (line.strip() for line in sys.stdin)
        _answer(found, talk, (line for line in turns if line), as_json=as_json, lines=True)
    else:
        from candor.cli.chat_loop import converse

        converse(found, talk)


def _load(run: Run, wanted: Sequence[str], quiet: bool) -> Talk:
    """Loads the models, saying so on a terminal: torch takes seconds."""
    from candor.results.run import default_stages

    names = list(dict.fromkeys(wanted)) or default_stages(run)
    for name in names:
        run.policy_source(name)  # a wrong name is told before torch is loaded
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    with console.status(f"loading {' and '.join(names)} ..."):
        from candor.chat.talk import Settings, Talk, load_speakers

        return Talk(load_speakers(run, names), Settings())


def _answer(run: Run, talk: Talk, turns: Any, *, as_json: bool, lines: bool) -> None:
    """Replies without a terminal: text, an object, or with ``lines`` an object per turn on a line of its own."""
    import json

    for number, text in enumerate(turns, start=1):
        replies = talk.say(text)
        if not as_json:
            for reply in replies:
                typer.echo(f"{reply.stage}: {reply.text}")
                if reply.dropped:
                    typer.echo(f"{reply.stage}: {dropped_text(reply)}", err=True)
            continue
        told = as_object(run, talk, number, text, replies)
        if lines:
            typer.echo(json.dumps(told, ensure_ascii=False))
        else:
            print_json(told)


def as_object(run: Run, talk: Talk, turn: int, text: str, replies: Sequence[Spoken]) -> dict[str, Any]:
    """One turn as JSON values; ``logprob`` in nats, that of the whole reply under the sampling distribution."""
    from dataclasses import asdict

    settings = talk.settings
    return {
        "run": str(run.path),
        "turn": turn,
        "prompt": text,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "max_new_tokens": settings.max_new_tokens,
        "replies": [asdict(reply) for reply in replies],
    }


def dropped_text(reply: Spoken) -> str:
    """Says that a model no longer sees the start of the conversation."""
    messages = "message no longer fits" if reply.dropped == 1 else "messages no longer fit"
    return f"the oldest {reply.dropped} {messages} into the model's context and were left out"

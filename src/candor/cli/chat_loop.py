"""The chat on a terminal: reads a line, does what it says, shows the replies, until one leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from candor.chat.offer import Offer, offers, taught
from candor.cli import chat_view
from candor.errors import InputError
from candor.records import Prompt
from candor.results import Run

if TYPE_CHECKING:
    from candor.chat.talk import Spoken, Talk

HELP = """\
3                   starts anew with the third prompt of the list
/prompts            lists the prompts again
/reset              forgets the conversation
/temperature 0.7    draws replies at another temperature; 0 is greedy
/seed 3             draws others
/stages [A [B]]     lists the stages, or talks to others
/quit               leaves, as Ctrl-D and Ctrl-C do (while a reply is being made, Ctrl-C stops it)
Anything else is said to the model; it hears the whole conversation."""

ASKED = "\001\033[1m\002you>\001\033[0m\002 "
"""The prompt; what is between \\001 and \\002 takes no room on the line."""


class Left(Exception):
    """The user wants to go."""


@dataclass
class Session:
    """What the loop keeps: whom it talks to and what it offers."""

    run: Run
    talk: Talk
    console: Console
    offered: list[Offer] = field(default_factory=list)


def converse(run: Run, talk: Talk, *, ask: Callable[[str], str] | None = None, console: Console | None = None) -> None:
    """Talks until /quit, Ctrl-D or Ctrl-C. ``ask`` reads a line after showing a prompt."""
    session = Session(run, talk, console or chat_view.terminal(), offers(run))
    show = session.console.print
    show(chat_view.opening(run.path.name, talk, taught(run, [speaker.stage for speaker in talk.speakers])))
    show()
    show(chat_view.listing(session.offered))
    show(Text("\nPick a prompt by its number, or say something. /help lists the commands.", style="dim"))
    ask = ask or _line_editor()
    while True:
        try:
            line = ask(ASKED).strip()
            if line:
                handle(session, line)
        except (EOFError, KeyboardInterrupt):
            show()
            return
        except Left:
            return
        except InputError as error:
            show(Text(f"error: {error}", style="red"))


def handle(session: Session, line: str) -> None:
    """Does what one line asks for. Raises Left for /quit, and InputError for what cannot be done."""
    if line.isdigit():
        _pick(session, int(line))
    elif line.startswith("/"):
        _command(session, line[1:].split())
    else:
        _answer(session, lambda: session.talk.say(line))


def _pick(session: Session, number: int) -> None:
    prompt = next((offer.prompt for offer in session.offered if offer.number == number), None)
    if prompt is None:
        raise InputError(f"there is no prompt {number}", fix="/prompts lists them")
    session.console.print(chat_view.picked(prompt))
    _answer(session, lambda: session.talk.open_with(prompt), prompt)


def _answer(session: Session, speak: Callable[[], list[Spoken]], prompt: Prompt | None = None) -> None:
    console = session.console
    try:
        with console.status("..."):
            replies = speak()
    except KeyboardInterrupt:
        console.print(Text("stopped; it is as if you had said nothing", style="dim"))
        return
    console.print(chat_view.answers(replies, console.width, prompt))


def _command(session: Session, words: list[str]) -> None:
    name, given = (words[0], words[1:]) if words else ("", [])
    talk, show = session.talk, session.console.print
    match name, given:
        case "help", []:
            show(Text(HELP))
        case "prompts", []:
            show(chat_view.listing(session.offered))
        case "reset", []:
            talk.reset()
            show(Text("forgotten", style="dim"))
        case "temperature", [value]:
            talk.change(temperature=_number(value, float))
            show(Text(talk.settings.describe(), style="dim"))
        case "seed", [value]:
            talk.change(seed=_number(value, int))
            show(Text(talk.settings.describe(), style="dim"))
        case "temperature" | "seed", []:
            show(Text(talk.settings.describe(), style="dim"))
        case "stages", []:
            show(chat_view.stage_list(session.run.policies, talk))
        case "stages", [_] | [_, _]:
            _switch(session, given)
        case (("quit" | "exit"), []):
            raise Left
        case _:
            raise InputError(f"no such command: /{' '.join(words)}", fix="/help lists them")


def _switch(session: Session, names: list[str]) -> None:
    """Talks to other stages, from the start: what one model said is not the other's history."""
    from candor.chat.talk import load_speakers

    wanted = list(dict.fromkeys(names))
    with session.console.status(f"loading {' and '.join(wanted)} ..."):
        session.talk.speakers = load_speakers(session.run, wanted)
    lines = taught(session.run, wanted)
    session.console.print(chat_view.opening(session.run.path.name, session.talk, lines))


def _number(text: str, kind: type[int] | type[float]) -> float:
    try:
        return kind(text)
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        raise InputError(f"{text!r} is not {what}") from None


def _line_editor() -> Callable[[str], str]:
    """The built-in ``input`` with editing and history where the system has them."""
    try:
        import readline  # noqa: F401  (importing it is what turns it on)
    except ImportError:
        return lambda shown: input("you> ")
    return input

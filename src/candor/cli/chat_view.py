"""How the chat looks on a terminal: two columns where there is room, one under the other where there is not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from candor.chat.offer import Offer
from candor.chat.reading import facts_of, read
from candor.cli.chat import dropped_text
from candor.records import Prompt

if TYPE_CHECKING:
    from candor.chat.talk import Spoken, Talk

TWO_COLUMNS = 84
"""Columns of a terminal from which two replies stand side by side."""

WIDEST = 120
TONES = {"bad": "red", "good": "green", "plain": "yellow"}
BORDERS = ("blue", "magenta")


def opening(name: str, talk: Talk, lines: Sequence[str]) -> RenderableType:
    """Who speaks, and what they were taught."""
    stages = " beside ".join(speaker.stage for speaker in talk.speakers)
    head = Text.assemble((name, "bold"), f": {stages}, {talk.settings.describe()}")
    taught = [Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in lines]
    return Group(head, *taught)


def listing(offers: Sequence[Offer]) -> RenderableType:
    """The prompts to pick from, by what the user does in them."""
    if not offers:
        return Text("no prompts to offer: nothing was audited yet", style="dim")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold")
    table.add_column()
    for title, group in groupby(offers, key=lambda offer: offer.title):
        table.add_row("", Text(title, style="dim italic"))
        for offer in group:
            asked = [message.content for message in offer.prompt.messages if message.role == "user"]
            shown = Text(" ... ".join(asked))
            facts = facts_of(offer.prompt)
            table.add_row(str(offer.number), shown.append(f"  ({facts})", style="dim") if facts else shown)
    return table


def picked(prompt: Prompt) -> RenderableType:
    """A prompt that was picked, earlier turns and all."""
    names = {"user": "you", "assistant": "model", "system": "system"}
    turns = [
        Text.assemble((f"{names[m.role]}> ", "bold" if m.role == "user" else "dim"), m.content) for m in prompt.messages
    ]
    facts = facts_of(prompt)
    return Group(*turns, *([Text(facts, style="dim")] if facts else []))


def answers(replies: Sequence[Spoken], width: int, prompt: Prompt | None = None) -> RenderableType:
    """The replies in boxes; with a prompt of the audit, each says what the reply did."""
    side_by_side = len(replies) > 1 and width >= TWO_COLUMNS
    room = min(width, WIDEST)
    boxes = [
        _box(reply, BORDERS[i % 2], room // 2 if side_by_side else room, prompt) for i, reply in enumerate(replies)
    ]
    if not side_by_side:
        return Group(*boxes)
    table = Table.grid()
    table.add_row(*boxes)
    return table


def _box(reply: Spoken, border: str, width: int, prompt: Prompt | None) -> Panel:
    text = Text(reply.text) if reply.text else Text("(says nothing)", style="dim")
    if reply.stop_reason == "length":
        text.append(" ... (cut: --max-new-tokens)", style="dim")
    if reply.dropped:
        text.append(f"\n({dropped_text(reply)})", style="dim")
    verdict = None
    if prompt is not None:
        kind = read(prompt, reply.text)
        verdict = Text(kind.label, style=TONES[kind.tone])
    return Panel(
        text, title=Text(reply.stage, style="bold"), title_align="left", subtitle=verdict, subtitle_align="right",
        border_style=border, width=width,
    )  # fmt: skip


def stage_list(all_stages: Sequence[str], talk: Talk) -> RenderableType:
    """The stages one can talk to; those that speak are marked."""
    speaking = {speaker.stage for speaker in talk.speakers}
    return Columns([Text(name, style="bold" if name in speaking else "dim") for name in all_stages], padding=(0, 2))


def terminal() -> Console:
    """The terminal, without rich's own colouring of numbers and paths."""
    return Console(highlight=False)

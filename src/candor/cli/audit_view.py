"""An audit or an experiment in the terminal: a live line while it works, and a table of verdicts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from candor.records import Verdict
from candor.report.checks import words
from candor.report.checks.compare import facts
from candor.report.checks.document import Document, parse

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.progress import TaskID

    from candor.pipeline.progress import Reporter

STYLES = {Verdict.CONCERN: "bold red", Verdict.NOTE: "blue", Verdict.CANNOT_TELL: "dim", Verdict.FINE: "green"}


ROOM_FOR_A_TABLE = 110
"""Columns of a terminal from which on three columns read better than one check under the other."""

WORTH_A_LINE = 2.0
"""Seconds from which a piece of work leaves a line behind."""

FACTS = 5
"""Facts of an audit that are told in its first line; the page has the others."""

LINES_SECONDS = 10.0
"""Where there is no live line, what goes on is told at most this often."""


def lines(raw: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What the terminal shows of a document: what was read, the table, and the verdict in one sentence.

    Raises InputError where it is no such document.
    """
    document = parse(raw)
    yield Text(read_sentence(document), overflow="fold")
    for name, what in (("dropped", "left out"), ("bad", "skipped as unreadable")):
        for reason, told in (document.data.get(name) or {}).items():
            first = told.get("first_lines") or ()
            where = f" (first in line {first[0]:,})" if first else ""
            rows = "1 row" if told["count"] == 1 else f"{told['count']:,} rows"
            yield Text(f"{rows} {what}: {reason}{where}", style="dim", overflow="fold")
    if document.checks:
        yield Verdicts(document)
    if document.against is not None:
        yield Text(against_sentence(document), overflow="fold")
    yield Text(" ".join(filter(None, (words.verdict_sentence(document.checks), words.rest_sentence(document.checks)))))


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The checks, concerns first, as rich prints them: a table where there is room, else one under the other.

    In a file or a pipe a check is one line without blanks at its end, so that ``grep`` finds it whole.
    """

    document: Document

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields what is printed."""
        rows = [
            (face, STYLES[check.verdict], " ".join(check.title.split()), words.short(check.meaning))
            for check in words.by_urgency(self.document.checks)
            for face in (words.FACES[check.verdict],)
        ]
        if not console.is_terminal:
            for face, _, title, meaning in rows:
                yield Text(
                    f"{face.symbol} {face.word:<11}  {title}{'' if title.endswith('?') else ':'} {meaning}",
                    no_wrap=True,
                    overflow="ignore",
                )
        elif options.max_width < ROOM_FOR_A_TABLE:
            for face, style, title, meaning in rows:
                yield Text.assemble((f"{face.symbol} {face.word}", style), "  ", (title, "bold"), overflow="fold")
                yield Padding(Text(meaning, overflow="fold"), (0, 0, 0, 2))
        else:
            yield _table(rows)


def _table(rows: Iterable[tuple[words.Face, str, str, str]]) -> Table:
    made = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    made.add_column("verdict", no_wrap=True)
    made.add_column("check", overflow="fold", max_width=34)
    made.add_column("what was found", overflow="fold")
    for face, style, title, meaning in rows:
        made.add_row(Text(f"{face.symbol} {face.word}", style=style), Text(title), Text(meaning))
    return made


def read_sentence(document: Document) -> str:
    """What was read, such as ``pairs.jsonl: 10,000 comparisons of 3,100 prompts by 48 annotators``."""
    if document.kind.name != "preferences":
        told = "; ".join(f"{label}: {text}" for label, text in facts(document.data)[:FACTS])
        return f"{document.source}{': ' if told else ''}{told}"
    counts = {key: f"{value:,}" for key, value in document.data.items() if isinstance(value, int)}
    said = _counted(document, "comparison") if "comparisons" in counts else "comparisons"
    said += f" of {_counted(document, 'prompt')}" if "prompts" in counts else ""
    if document.data.get("annotators"):
        said += f" by {counts['annotators']} annotators" if document.data["annotators"] > 1 else " by one annotator"
    return f"{document.source}: {said}"


def _counted(document: Document, what: str) -> str:
    count = document.data[f"{what}s"]
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def against_sentence(document: Document) -> str:
    """How the verdicts differ from those of the other file."""
    other = document.against
    assert other is not None
    before = {check.name: check for check in other.checks}
    moved = [
        f"{check.title}: {before[check.name].verdict} -> {check.verdict}"
        for check in document.checks
        if check.name in before and before[check.name].verdict is not check.verdict
    ]
    return f"against {other.source}: " + ("; ".join(moved) or "the same verdicts")


def reporter_for(console: Console) -> Reporter:
    """A live line with rows per second on a terminal, a few plain lines elsewhere."""
    return Reading(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Reading:
    """One live line: what is done, how much of it, how fast. A piece of work whose end is unknown has no bar."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._total: int | None = None
        self._name, self._began = "", 0.0

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        """A piece of work begins; ``total`` is None where nobody knows how much it is."""
        self._name, self._total, self._began = name, total, time.monotonic()
        self._task = self._progress.add_task(name, total=total, completed=done, told="")
        self._progress.start()

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """It has come to ``done``."""
        if self._task is not None:
            told = progress_text(done, self._total, time.monotonic() - self._began)
            if metrics and "share" in metrics:
                told += f", {metrics['share']:.0%} of the file"
            self._progress.update(self._task, completed=done, told=told)

    def finish(self, text: str = "") -> None:
        """It is over: a line stays of what took long or has something to say."""
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.stop()
        _say(self._console, finished_text(self._name, time.monotonic() - self._began, text))

    def note(self, text: str) -> None:
        """Something that the user should know."""
        self._console.print(f"  {text}", markup=False, highlight=False, style="dim")


class Lines:
    """Lines for logs and pipes: one for what takes long, and one when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total: int | None = None
        self._name, self._began, self._said = "", 0.0, 0.0

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        """A piece of work begins."""
        self._name, self._total = name, total
        self._began = self._said = time.monotonic()

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """It has come to ``done``; told every ten seconds."""
        now = time.monotonic()
        if now - self._said >= LINES_SECONDS:
            self._said = now
            _say(self._console, f"{self._name}: {progress_text(done, self._total, now - self._began)}")

    def finish(self, text: str = "") -> None:
        """It is over."""
        _say(self._console, finished_text(self._name, time.monotonic() - self._began, text))

    def note(self, text: str) -> None:
        """Something that the user should know."""
        _say(self._console, f"  {text}")


def finished_text(name: str, seconds: float, text: str) -> str:
    """``reading pairs.jsonl: 3.1 s, 10,000 comparisons``; empty for what was quick and has nothing to say."""
    if not text and seconds < WORTH_A_LINE:
        return ""
    return f"{name}: {seconds:.1f} s" + (f", {text}" if text else "")


def _say(console: Console, text: str) -> None:
    if text:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def progress_text(done: int, total: int | None, seconds: float) -> str:
    """``12,000 of 50,000, 8,400/s``; without a total or before anything is done only what is known."""
    amount = f"{done:,}" if total is None else f"{done:,} of {total:,}"
    return amount + (f", {done / seconds:,.0f}/s" if done >= 100 and seconds > 0 else "")

"""A run in TensorBoard: curves of every update, findings with their intervals by stage, and some audited replies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.pipeline.tracking import Rows, StageRecord
from candor.records import Finding, Prompt
from candor.runs import read_json, write_json
from candor.storage import no_file_in_the_way, writing

AUDIT = "audit"
SUBJECTS = ("sampled", "heldout")
REPLIES_PER_FAMILY = 4
WRITTEN = "candor.json"
"""Lies beside a finished stage's events and holds its key: what is all there is not written again."""


class TensorBoard:
    """Writes under ``directory``, one folder per run; in it one per stage, and ``audit`` for what was found.

    A stage's curves have its updates as steps; findings and replies have the stage's place in the recipe. Whenever a
    stage goes on, or a finished one is not known here, its events are written from the start behind a mark that makes
    TensorBoard drop the earlier ones, so that each step is there once.

    Raises InputError where the package is not installed or the directory cannot be written.
    """

    def __init__(self, directory: str | Path) -> None:
        if find_spec("tensorboard") is None:
            raise InputError(
                "TensorBoard is not installed", where="--tensorboard", fix="pip install 'candor-rlhf[tensorboard]'"
            )
        self._root = self._run = Path(directory)
        self._writers: dict[str, Any] = {}
        no_file_in_the_way(self._root / "run")
        with writing(self._root):
            self._root.mkdir(parents=True, exist_ok=True)

    def open(self, run: str) -> None:
        """The run of this name begins, or goes on."""
        self._run = self._root / run

    def begin(self, stage: str, rows: Rows) -> None:
        """Starts a stage's curves anew with what is known of them."""
        (self._run / stage / WRITTEN).unlink(missing_ok=True)
        self._close(stage)
        for row in rows:
            self.update(stage, int(row["step"]), row)

    def update(self, stage: str, step: int, metrics: Mapping[str, Any]) -> None:
        """One update's metrics; what is no number is left out."""
        for name, value in _numbers(metrics):
            self._writer(stage).add_scalar(f"train/{name}", value, step)

    def end(self, stage: StageRecord) -> None:
        """What is known once a stage is done: all of it, unless it was told before."""
        mark = self._run / stage.name / WRITTEN
        told = mark.is_file() and read_json(mark).get("key") == stage.key
        if stage.metrics and not told:
            if stage.name not in self._writers:
                self.begin(stage.name, stage.metrics)
            for row in stage.truth:
                for name, value in _numbers(row):
                    self._writer(stage.name).add_scalar(f"panel/{name}", value, int(row["step"]))
            self._close(stage.name)
            write_json(mark, {"key": stage.key})
        self._close(stage.name)
        self._found(stage)

    def close(self) -> None:
        """Flushes and closes every file."""
        for stage in list(self._writers):
            self._close(stage)

    def _found(self, stage: StageRecord) -> None:
        headline = [f for f in stage.findings if f.subject in SUBJECTS and f.estimate is not None]
        if not headline:
            return
        writer = self._writer(AUDIT)
        for finding in headline:
            tag = f"{finding.probe}/{finding.metric}"
            numbers = {tag: finding.estimate, f"{tag}/low": finding.ci_low, f"{tag}/high": finding.ci_high}
            for name, value in numbers.items():
                if value is not None:
                    writer.add_scalar(name, value, stage.index)
        for family, text in replies_by_family(stage.samples).items():
            writer.add_text(f"replies/{family}", f"**{stage.name}**\n\n{text}", stage.index)
        writer.add_custom_scalars({"Findings with 95% intervals, by stage": margins(headline)})
        writer.flush()

    def _writer(self, name: str) -> Any:
        """The open events file of a stage; a new one drops every earlier event of its folder."""
        if name not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            self._writers[name] = SummaryWriter(str(self._run / name), purge_step=0, flush_secs=10)
        return self._writers[name]

    def _close(self, name: str) -> None:
        writer = self._writers.pop(name, None)
        if writer is not None:
            writer.close()


def margins(findings: Sequence[Finding]) -> dict[str, list[Any]]:
    """The layout that draws each finding with its interval as a band."""
    tags = [f"{f.probe}/{f.metric}" for f in findings if f.ci_low is not None]
    return {tag: ["Margin", [tag, f"{tag}/low", f"{tag}/high"]] for tag in tags}


def replies_by_family(samples: Rows) -> dict[str, str]:
    """A few sampled replies of each family, as Markdown; the same prompts at every stage."""
    chosen: dict[str, list[str]] = {}
    seen: set[str] = set()
    for row in samples:
        prompt = Prompt.from_json(row["prompt"])
        lines = chosen.setdefault(prompt.tags.get("family", "prompts"), [])
        if row.get("subject") == "sampled" and prompt.id not in seen and len(lines) < REPLIES_PER_FAMILY:
            seen.add(prompt.id)
            asked, kind = prompt.messages[-1].content, row.get("kind")
            lines.append(f"- *{_plain(asked)}*  \n  {_plain(str(row['text']))}" + (f" ({kind})" if kind else ""))
    return {family: "\n".join(lines) for family, lines in chosen.items() if lines}


def _plain(text: str) -> str:
    """A text as Markdown shows it, whatever it holds: on one line, its control signs escaped."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-!|" else c for c in " ".join(text.split()))


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if name != "step" and isinstance(value, int | float):
            yield name, float(value)

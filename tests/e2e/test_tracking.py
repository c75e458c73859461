"""A run in TensorBoard: every update and finding once, as the run's own files have them, however often it stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from candor import api
from candor.errors import InputError
from candor.pipeline import tensorboard
from candor.pipeline.progress import Silent
from candor.records import Finding
from candor.runs import read_manifest, stage_dirs


class StopsAt(Silent):
    """Ctrl-C after an update of one stage."""

    def __init__(self, stage: str, update: int) -> None:
        self.stage, self.at, self.name = stage, update, ""

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        self.name = name

    def update(self, done: int, metrics: Any = None) -> None:
        if (self.name, done) == (self.stage, self.at):
            raise KeyboardInterrupt


def events(folder: Path, *, purge: bool = True) -> EventAccumulator:
    read = EventAccumulator(str(folder), size_guidance={"scalars": 0}, purge_orphaned_data=purge)
    read.Reload()
    return read


def curve(folder: Path, tag: str, **options: Any) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(folder, **options).Scalars(tag)]


def recorded(stage: Path, metric: str, file: str = "metrics.jsonl") -> list[tuple[int, Any]]:
    rows = [json.loads(line) for line in (stage / file).read_text().splitlines()]
    return [(row["step"], pytest.approx(row[metric], rel=1e-6)) for row in rows if row.get(metric) is not None]


def test_an_interrupted_run_is_there_once(world: Any, tmp_path: Path) -> None:
    out, board = world.runs / "tracked", tmp_path / "tb"
    with pytest.raises(KeyboardInterrupt):
        api.run(world.recipe, out=out, tell=StopsAt("ppo", 10), tracker=api.TensorBoard(board))
    assert [step for step, _ in curve(board / "tracked" / "ppo", "train/kl")] == list(range(1, 11))
    run = api.run(world.recipe, out=out, tracker=api.TensorBoard(board))
    for stage, metric in (("sft", "loss"), ("reward", "loss"), ("ppo", "kl"), ("ppo", "reward")):
        found = curve(board / "tracked" / stage, f"train/{metric}")
        assert found == recorded(run.stages[stage], metric)
        assert len(found) > 2
    helpful = curve(board / "tracked" / "ppo", "panel/helpfulness")
    assert helpful == recorded(run.stages["ppo"], "helpfulness", "truth.jsonl")
    twice = [step for step, _ in curve(board / "tracked" / "ppo", "train/kl", purge=False)]
    assert sorted(set(twice)) == list(range(1, 21))
    assert len(twice) > 20  # what the mark in the file keeps apart

    _findings_are_there(board / "tracked" / "audit", run.finding_records, list(run.stages))
    files = {file: file.stat().st_size for file in board.rglob("*") if file.parent.name != "audit"}
    api.run(world.recipe, out=out, tracker=api.TensorBoard(board))
    assert {file: file.stat().st_size for file in board.rglob("*") if file.parent.name != "audit"} == files
    _findings_are_there(board / "tracked" / "audit", run.finding_records, list(run.stages))


def _findings_are_there(folder: Path, findings: list[Finding], stages: list[str]) -> None:
    for metric in ("eos_rate", "length", "kl"):
        mine = [f for f in findings if (f.subject, f.metric) == ("sampled", metric) and f.estimate is not None]
        assert len(mine) >= 2
        for tag, field in (("", "estimate"), ("/low", "ci_low"), ("/high", "ci_high")):
            expected = [(stages.index(f.stage), pytest.approx(getattr(f, field), rel=1e-6)) for f in mine]
            assert curve(folder, f"policy/{metric}{tag}") == expected
    tags = events(folder).Tags()["tensors"]
    assert "replies/answer/text_summary" in tags
    assert "custom_scalars__config__" in tags


def test_tracking_can_be_turned_on_late_and_enters_no_key(world: Any, tmp_path: Path, finished: Path) -> None:
    beside = finished.parent / "tracked-late"
    run = api.run(world.recipe, out=beside, tracker=api.TensorBoard(tmp_path))
    keys = [[read_manifest(d).key for d in stage_dirs(path)] for path in (beside, finished)]  # type: ignore[union-attr]
    assert keys[0] == keys[1]
    assert all(m.reused_from for m in run.manifests.values())
    assert curve(tmp_path / "tracked-late" / "sft", "train/loss") == recorded(run.stages["sft"], "loss")


def test_without_the_package_it_says_which_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^--tensorboard: TensorBoard is not installed \(pip install 'candor-rlhf\["):
        api.TensorBoard(tmp_path)


def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file is where a directory should be"):
        api.TensorBoard(tmp_path / "file" / "tb")
    with pytest.raises(InputError, match="a file is where a directory should be"):
        api.TensorBoard(tmp_path / "file")


def test_replies_are_shown_as_they_are(finished: Path) -> None:
    rows = [json.loads(line) for line in next(finished.glob("stages/00-*/audit/samples.jsonl")).open()]
    rows[0]["text"] = "a *bold* <b>reply</b>\nof two lines"
    shown = tensorboard.replies_by_family(rows)["answer"]
    assert "a \\*bold\\* \\<b\\>reply\\</b\\> of two lines" in shown
    assert len(shown.split("\n- ")) == tensorboard.REPLIES_PER_FAMILY

"""`candor runs`, `report`, `recipes` and completion, on the runs of a real directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from candor import api, cli
from candor.recipe_io import load_recipe
from candor.results import Run, find_runs, list_runs
from candor.results.listing import run_info
from candor.runs import locked


def invoke(*arguments: str, **options: Any) -> Any:
    return CliRunner().invoke(cli.app, list(arguments), prog_name="candor", **options)


@pytest.fixture
def root(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory ``runs`` with a finished run and two that stopped: in a stage, and in an audit."""
    monkeypatch.chdir(tmp_path)
    runs = tmp_path / "runs"
    for name in ("whole", "stopped", "unaudited"):
        shutil.copytree(finished, runs / name)
        (runs / name / "report.html").write_text("<p>")
    (runs / "stopped" / "stages" / "03-reward" / "manifest.json").unlink()
    shutil.rmtree(runs / "unaudited" / "stages" / "04-ppo" / "audit")
    (runs / "not a run").mkdir()
    return runs


def test_states_and_what_is_done(root: Path) -> None:
    found = {info.name: info for info in find_runs(root)}
    assert {name: (info.state, info.at) for name, info in found.items()} == {
        "whole": ("finished", None),
        "stopped": ("interrupted", "reward"),
        "unaudited": ("interrupted", "ppo audit"),
    }
    assert found["stopped"].stages == ("base", "sft", "compare", "ppo")
    assert found["whole"].planned == 5
    (root / "whole" / "report.html").unlink()
    assert run_info(root / "whole").at == "report"
    with locked(root / "stopped"):
        assert (run_info(root / "stopped").state, run_info(root / "stopped").at) == ("running", "reward")
    assert run_info(root / "stopped").state == "interrupted"


def test_bytes_are_counted_once_and_shared_ones_told(root: Path) -> None:
    whole = root / "whole"
    apparent = sum(file.stat().st_size for file in whole.rglob("*") if file.is_file())
    assert (run_info(whole).size, run_info(whole).shared) == (apparent, 0)
    model = whole / "stages" / "01-sft" / "checkpoint" / "model.safetensors"
    os.link(model, whole / "again")
    assert (run_info(whole).size, run_info(whole).shared) == (apparent, 0)
    os.link(model, root / "elsewhere")
    assert (run_info(whole).size, run_info(whole).shared) == (apparent, model.stat().st_size)


def test_the_table_and_its_json(root: Path) -> None:
    told = invoke("runs").stdout.splitlines()
    assert len(told) == 4
    (line,) = [line for line in told if line.startswith("stopped ")]
    assert "tiny" in line
    assert "interrupted at reward (4 of 5 stages done)" in line
    listed = {run["name"]: run for run in json.loads(invoke("runs", "--json").stdout)}
    assert listed["whole"]["headline"]["after"]["n"] > 0
    assert listed["whole"]["seconds"] == json.loads((root / "whole" / "summary.json").read_text())["seconds"]
    alone = invoke("runs", str(root / "whole")).stdout.splitlines()[1:]
    assert [line.split() for line in alone] == [line.split() for line in told if "whole" in line]


def test_no_runs_and_no_directory(tmp_path: Path) -> None:
    assert "no runs under" in invoke("runs", str(tmp_path)).stdout
    assert json.loads(invoke("runs", str(tmp_path), "--json").stdout) == []
    result = invoke("runs", str(tmp_path / "none"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_runs_as_a_frame(root: Path) -> None:
    frame = list_runs(root)
    assert sorted(frame["name"]) == ["stopped", "unaudited", "whole"]
    assert frame.schema["when"] == pl.Datetime(time_zone="UTC")
    assert api.Run(Path(frame["path"][0])).summary["name"] == "tiny"
    assert list_runs(root / "not a run").schema == frame.schema


def test_a_report_is_built_again_from_the_files(root: Path) -> None:
    result = invoke("report", "whole")  # by its name under runs/
    page = Path(result.stdout.strip())
    assert page == Path("runs/whole/report.html")
    assert "<svg" in page.read_text(encoding="utf-8")
    told = json.loads(invoke("report", "runs/stopped", "--json").stdout)
    assert told["report"] == "runs/stopped/report.html"
    assert len(told["findings"]) == Run(root / "stopped").findings.height
    assert told["summary"] == Run(root / "stopped").summary


def test_a_report_opens_in_a_browser(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)) or len(opened) == 1)
    assert invoke("report", "whole", "--open").exit_code == 0
    assert opened == [(root / "whole" / "report.html").resolve().as_uri()]
    again = invoke("report", "whole", "--open")
    assert (again.exit_code, again.stderr) == (0, "no browser could be started; the page is runs/whole/report.html\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("report nothing", "error: nothing: no such run (runs under runs: stopped, unaudited, whole)"),
        ("report runs", "error: runs: not a run directory: it holds no stages (runs under runs: stopped, "),
        ("recipes show nothing", "error: nothing: no such packaged recipe (one of: default, "),
        ("recipes copy default taken.toml", "error: taken.toml: there is a file already (give another name, or --f"),
        ("recipes copy default taken.toml/a.toml", "error: taken.toml: a file is where a directory should be (give "),
    ],
)
def test_errors(root: Path, arguments: str, told: str) -> None:
    Path("taken.toml").write_text("mine")
    result = invoke(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1
    assert Path("taken.toml").read_text() == "mine"


def test_recipes_are_listed_shown_and_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = {one["name"]: one for one in json.loads(invoke("recipes", "--json").stdout)}
    assert [line.split()[0] for line in invoke("recipes").stdout.splitlines()] == list(listed)
    assert all(one["description"].endswith(".") for one in listed.values())
    shown = json.loads(invoke("recipes", "show", "default", "--json").stdout)
    assert shown["stages"][0]["batch_size"] == 64  # a default, which the text leaves out
    assert invoke("recipes", "show", "default").stdout == Path(listed["default"]["path"]).read_text()
    for name in listed:
        assert invoke("recipes", "copy", name).exit_code == 0
        assert load_recipe(tmp_path / f"{name}.toml") == load_recipe(name)
    Path("default.toml").write_text("changed")
    assert json.loads(invoke("recipes", "copy", "default", "--force", "--json").stdout)["path"] == "default.toml"
    assert load_recipe("default.toml") == load_recipe("default")


COMPLETED = [
    ("candor re", ["report", "recipes"]),
    ("candor run de", ["default"]),
    ("candor run mine", ["mine.toml"]),
    ("candor report w", ["whole"]),
    ("candor chat runs/wh", ["runs/whole/"]),
    ("candor chat whole s", ["sft"]),
    ("candor chat whole ", ["base", "sft", "ppo"]),
    ("candor export whole ", ["base", "sft", "compare", "reward", "ppo"]),
    ("candor chat nowhere ", []),
    ("candor recipes show h", ["hh"]),
]


@pytest.mark.parametrize(("line", "offered"), COMPLETED)
def test_the_shell_completes(root: Path, line: str, offered: list[str]) -> None:
    Path("mine.toml").write_text("")
    words = line.split(" ")
    environment = {
        "_CANDOR_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    result = invoke(env=environment)
    assert result.stdout.split() == offered


def test_completing_loads_no_torch(root: Path) -> None:
    check = "import sys\nfrom candor.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    check += "assert 'torch' not in sys.modules"
    environment = {
        **os.environ,
        "_CANDOR_COMPLETE": "complete_bash",
        "COMP_WORDS": "candor chat whole ",
        "COMP_CWORD": "3",
    }
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", check], env=environment, capture_output=True, text=True, cwd=root.parent
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_completion_script_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))  # tests may run under none
    assert "_CANDOR_COMPLETE=complete_bash" in invoke("--show-completion").stdout

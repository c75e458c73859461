"""The command line: help, version, the last lines, JSON, and Ctrl-C. Whole runs are in tests/e2e."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import candor
from candor import api, cli

FOUND = {"estimate": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 8}
MISSING = {"estimate": None, "ci_low": None, "ci_high": None, "n": 0}
SUMMARY: dict[str, Any] = {
    "name": "default",
    "seed": 0,
    "seconds": 1.0,
    "stages": [
        {
            "name": "base",
            "type": "base",
            "reused": True,
            "findings": {"false_belief_agreement": FOUND, "helpfulness": FOUND, "kl": MISSING, "length": FOUND},
        },
        {"name": "compare", "type": "compare", "reused": False, "findings": {}},
        {"name": "reward", "type": "reward", "reused": False, "findings": {"heldout_accuracy": FOUND}},
        {
            "name": "ppo",
            "type": "ppo",
            "reused": False,
            "findings": {"false_belief_agreement": MISSING, "kl": FOUND, "reward": {**FOUND, "ci_low": None}},
        },
    ],
}


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, list(arguments), prog_name="candor")


def test_summary_lines_show_time_memory_and_alarms_where_they_are_known() -> None:
    alarm = {"name": "eos_never", "stage": "ppo", "step": 3, "severity": "warning", "seen": "seen", "cause": "a cause",
             "setting": "raise it", "cleared": None}  # fmt: skip
    base, *others = SUMMARY["stages"]
    spent = {**base, "seconds": 12.34, "peak_memory_mb": 1234.5, "peak_device_memory_mb": None}
    on_device = {
        **others[0],
        "seconds": 1.0,
        "peak_memory_mb": 900.0,
        "peak_device_memory_mb": 2048.0,
        "alarms": [alarm],
    }
    first, second, last = cli.summary_lines({**SUMMARY, "stages": [spent, on_device]})
    assert first.endswith("   12.3 s   1,234 MiB (reused)")
    assert second == "compare  1.0 s   900 MiB   2,048 MiB on the GPU"
    assert last == "alarm: ppo, update 3: EOS never: seen; likely a cause: raise it"


def test_summary_lines_show_what_was_measured_and_nothing_else() -> None:
    interval = "0.50 [0.25, 0.75]"
    assert cli.summary_lines(SUMMARY) == [
        f"base     agrees with false beliefs {interval}   helpfulness {interval} (reused)",
        "compare  done",
        f"reward   held-out accuracy {interval}",
        f"ppo      KL {interval}   reward 0.50",
    ]


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs that take no time; the dictionary gets what they were called with."""
    called: dict[str, Any] = {}

    def run(recipe: Any, **given: Any) -> Any:
        called.update(given, recipe=recipe)
        given["tell"].note("to standard error")
        return SimpleNamespace(summary=SUMMARY, report=given["out"] / "report.html")

    monkeypatch.setattr(api, "run", run)
    return called


def test_run_passes_on_what_was_asked_for(instant: dict[str, Any]) -> None:
    result = invoke("run", "--seed", "3", "--set", "ppo.kl_coef=0.25", "--set", "audit.samples=2")
    assert result.exit_code == 0, result.output
    assert instant["recipe"].seed == 3
    assert instant["recipe"].stages[3].kl_coef == 0.25
    assert instant["recipe"].audit.samples == 2
    assert instant["out"] == Path("runs/default-seed3")
    assert result.stdout.splitlines() == [*cli.summary_lines(SUMMARY), "report: runs/default-seed3/report.html"]
    assert "to standard error" in result.stderr


def test_a_tracker_is_passed_on_only_where_it_was_asked_for(instant: dict[str, Any], tmp_path: Path) -> None:
    assert invoke("run", "--tensorboard", str(tmp_path / "tb")).exit_code == 0
    assert isinstance(instant["tracker"], api.TensorBoard)
    assert (tmp_path / "tb").is_dir()
    invoke("run")
    assert instant["tracker"] is None


def test_json_is_all_there_is_on_standard_output(instant: dict[str, Any]) -> None:
    result = invoke("run", "--json")
    assert json.loads(result.stdout) == SUMMARY
    assert "to standard error" in result.stderr


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["candor", "run", "my recipe.toml"])
    result = invoke("run")
    assert result.exit_code == 130
    assert "Go on with: candor run 'my recipe.toml'" in result.stderr
    assert "Traceback" not in result.output


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The command and all below it, by what one types."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{path} {name}")


def test_every_command_and_option_is_documented() -> None:
    every = dict(commands(typer.main.get_command(cli.app), "candor"))
    assert {"candor run", "candor pretrain", "candor pretrain atlas"} < set(every)
    for name, command in every.items():
        assert command.help, name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


def test_help_and_version_are_quick_and_load_no_torch() -> None:
    shown = invoke("run", "--help")
    assert shown.exit_code == 0
    for example in ("candor run --set ppo.kl_coef=0.05", "candor run hh --set compare.file=pairs.jsonl"):
        assert example in shown.output
    assert invoke("--version").output.startswith("candor 0.")
    check = "import sys; from candor import cli; sys.argv[1:] = ['--help']\ntry: cli.main()\nexcept SystemExit: pass\n"
    command = [sys.executable, "-c", check + "assert 'torch' not in sys.modules"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    control = [sys.executable, "-c", check + "import torch\nassert 'torch' not in sys.modules"]
    assert subprocess.run(control, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("run none.toml", "error: none.toml: no such recipe (give a TOML file, or one of: "),
        ("run --sead 3", "error: no such option: --sead (Possible options: --seed, --set) (see candor run --help)"),
        ("run --seed three", "error: invalid value for '--seed': "),
        ("run a.toml b.toml", "error: got unexpected extra argument(s) (b.toml) (see candor run --help)"),
        ("pretrain atlas", "error: missing option '--out' (see candor pretrain atlas --help)"),
        ("pretrain mars", "error: no such command 'mars' (see candor pretrain --help)"),
        ("rum", "error: no such command 'rum'. Did you mean 'run'? (see candor --help)"),
        ("--sead", "error: no such option: --sead (see candor --help)"),
    ],
)
def test_every_error_is_one_line_and_exit_code_2(arguments: str, told: str) -> None:
    result = invoke(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(told)
    assert len(result.stderr.splitlines()) == 1


def test_other_exceptions_are_not_taken_for_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of the program")

    monkeypatch.setattr(api, "run", broken)
    result = invoke("run")
    assert isinstance(result.exception, RuntimeError)


def test_a_command_by_itself_shows_its_help() -> None:
    for arguments in ((), ("pretrain",)):
        result = invoke(*arguments)
        assert (result.exit_code, result.stdout) == (0, invoke(*arguments, "--help").stdout)


def test_the_package_offers_what_the_api_does() -> None:
    assert sorted(candor.__all__) == sorted(api.__all__)
    for name in candor.__all__:
        assert getattr(candor, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = candor.runn

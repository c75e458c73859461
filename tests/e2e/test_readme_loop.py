"""The textbook loop that the README shows runs as it stands, and learns: the score goes up, and not at a rate of 0."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "textbook_rlhf.py"


def scores(text: str, capsys: pytest.CaptureFixture[str]) -> list[float]:
    exec(compile(text, str(EXAMPLE), "exec"), {})
    return [float(score) for score in re.findall(r"score (-?[\d.]+)", capsys.readouterr().out)]


def test_the_textbook_loop_learns(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "default-seed0").symlink_to(finished)
    monkeypatch.chdir(tmp_path)
    text = EXAMPLE.read_text().replace("max_new_tokens=48", "max_new_tokens=8").replace("lr=3e-4", "lr=1e-2")
    learnt = scores(text, capsys)
    assert len(learnt) == 20
    still = scores(text.replace("lr=1e-2", "lr=0.0"), capsys)
    rise = [sum(s[-5:]) - sum(s[:5]) for s in (learnt, still)]
    assert rise[0] > 3 * abs(rise[1])


def test_the_readme_shows_that_very_loop() -> None:
    readme = (EXAMPLE.parents[1] / "README.md").read_text()
    code = EXAMPLE.read_text().split("\n", 2)[2].strip()
    assert f"```python\n{code}\n```" in readme

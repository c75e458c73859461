"""The tutorial of docs/collect.md, step by step: a server in a process of its own, and what the page would send."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from candor import cli
from candor.pipeline import sources

PAGE = Path(__file__).parents[2] / "docs" / "collect.md"
WAIT = 60.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


@dataclass
class Served:
    """A running ``candor collect serve``; ``told`` are the lines that it printed."""

    process: subprocess.Popen[str]
    told: list[str]

    @property
    def url(self) -> str:
        return re.findall(r"pages: (http://\S+)", "\n".join(self.told))[0]

    @property
    def token(self) -> str:
        return re.findall(r"/join#(\S+)", "\n".join(self.told))[0]

    def stop(self, how: signal.Signals) -> str:
        """Ends it and returns what it said last."""
        self.process.send_signal(how)
        rest, errors = self.process.communicate(timeout=WAIT)
        assert errors == ""
        return rest


def serve(folder: Path, *options: str) -> Served:
    """Starts the server and reads on until it says where it is."""
    words = [sys.executable, "-u", "-m", "candor", "collect", "serve", "--no-open", "--port", "0", *options]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line.rstrip("\n"))
        if line.startswith("sign in") or (line.startswith("pages:") and "--database" in options):
            return Served(process, told)
    raise AssertionError(process.communicate()[1])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    started = serve(tmp_path)
    yield started
    started.process.kill()
    started.process.communicate()


def sign_in(served: Served) -> httpx.Client:
    """Opens the link on the terminal, as the page does."""
    client = httpx.Client(base_url=served.url, timeout=WAIT, headers={"Origin": served.url})
    assert client.post("/api/session/link", json={"token": served.token}).json()["name"] == "admin"
    accepted = client.post("/api/session/accept", json={"token": served.token})
    assert accepted.status_code == 200, accepted.text
    client.headers["X-CSRF-Token"] = accepted.json()["csrf"]
    return client


def judge(client: httpx.Client, slug: str, answers: int) -> list[dict[str, Any]]:
    """Takes tasks and prefers the longer reply; returns what came back for each answer."""
    receipts = []
    for _ in range(answers):
        task = client.post(f"/api/projects/{slug}/tasks/next").json()
        longer = max(task["responses"], key=lambda response: len(response["text"]))
        body = {
            "submission_id": str(uuid.uuid4()),
            "task_id": task["task_id"],
            "fence": task["fence"],
            "kind": "answer",
            "answer": {"best": longer["place"], "strength": 2},
            "timing": {"total": 9.0, "visible": 8.0, "ready": 3.0, "focus_lost": 0},
        }
        sent = client.post(f"/api/projects/{slug}/submissions", json=body)
        assert sent.status_code == 201, sent.text
        receipts.append(sent.json())
    return receipts


def candor(*words: str) -> Any:
    done = CliRunner().invoke(cli.app, list(words), prog_name="candor")
    assert done.exit_code == 0, done.output
    return done


def test_from_zero_to_a_reward_model(
    served: Served, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGE.read_text(encoding="utf-8").split("## A project of your own")[0]
    monkeypatch.chdir(tmp_path)
    sources.forget_files()
    # 1: it says what the page shows
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    pattern = re.escape(shown[1].strip()).replace(re.escape("127.0.0.1:8400"), r"127\.0\.0\.1:\d+")
    assert re.fullmatch(pattern.replace(re.escape("..."), r"\S+"), "\n".join(served.told))
    # 2: ten labels
    client = sign_in(served)
    assert client.get("/").status_code == 200
    titles = [project["title"] for project in client.get("/api/session").json()["projects"]]
    assert "*Sample: which reply is better?*" in page
    assert "Sample: which reply is better?" in titles
    receipts = judge(client, "sample", 10)
    taught = [receipt["calibration"] is not None for receipt in receipts]
    assert taught == [True] * 4 + [False] * 6, "the page says that the first four are for calibration"
    assert all(receipt["calibration"]["why_html"] for receipt in receipts[:4])
    # 3: what do they teach? while the server runs
    assert "candor collect status\ncandor audit preferences collect.db#sample" in page
    counted = json.loads(candor("collect", "status", "--json").stdout)["projects"][0]
    assert (counted["slug"], counted["labels"] + counted["gold_answers"]) == ("sample", 6)
    audited = candor("audit", "preferences", "collect.db#sample")
    assert "cannot tell" in audited.stdout
    # 4: train on them; the same again takes what is there, a new label trains anew
    assert "candor run --set compare.file=collect.db#sample" in page
    options = ["--set", f"compare.file={tmp_path / 'collect.db'}#sample", "--set", "ppo.updates=1"]
    first = trained(world, options)
    assert first["compare"] == counted["labels"]
    assert not first["reused"]
    assert trained(world, options)["reused"]
    judge(client, "sample", 3)
    client.close()
    again = trained(world, options)
    assert again["compare"] > first["compare"]
    assert not again["reused"]
    assert served.stop(signal.SIGINT) == "stopped; every label is in collect.db\n"


def trained(world: Any, options: list[str]) -> dict[str, Any]:
    """Runs the tiny recipe on the labels: how many there were, and whether their stage was there already."""
    out = world.runs / uuid.uuid4().hex
    summary = json.loads(candor("run", str(world.recipe), "--out", str(out), *options, "--json").stdout)
    stages = {stage["name"]: stage for stage in summary["stages"]}
    metrics = json.loads(next(out.glob("stages/*-compare/metrics.json")).read_text())
    return {"compare": metrics["comparisons"], "reused": stages["compare"]["reused"] and stages["reward"]["reused"]}


def test_the_second_start_finds_what_the_first_left(served: Served, tmp_path: Path) -> None:
    client = sign_in(served)
    judge(client, "sample", 1)
    assert client.put("/api/session/password", json={"new": "a long enough password"}).status_code == 200
    name = {"name": "admin", "password": "a long enough password"}
    client.close()
    served.stop(signal.SIGTERM)
    again = serve(tmp_path, "--database", "collect.db")
    try:
        assert not any("sign in" in line for line in again.told), "whoever has a password needs no link"
        client = httpx.Client(base_url=again.url, timeout=WAIT, headers={"Origin": again.url})
        signed_in = client.post("/api/session", json=name)
        client.headers["X-CSRF-Token"] = signed_in.json()["csrf"]
        assert client.get("/api/projects/sample/mine").json()["done"] == 1
        assert len(client.get("/api/projects").json()["projects"]) == 3, "sample projects are made once"
        client.close()
    finally:
        again.stop(signal.SIGTERM)

"""``candor collect``: what its commands write, say and refuse. tests/e2e/test_collect_tutorial.py has a real server."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor import cli
from candor.preferences.formats import TARGETS, read_comparisons
from candor.projects.accounts.invitations import describe
from candor.projects.database import open_database
from candor.projects.labels import read_labels
from candor.projects.setup import find_project
from labelled_project import labelling_project


def collect(*words: str) -> Any:
    return CliRunner().invoke(cli.app, ["collect", *words], prog_name="candor")


def told(*words: str) -> str:
    done = collect(*words)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def refused(*words: str) -> str:
    done = collect(*words)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
    return str(done.stderr)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def labelled(folder: Path) -> Path:
    labelling_project(folder, labels=6)
    return folder


def test_a_project_from_nothing(folder: Path) -> None:
    (folder / "guide.md").write_text("Be **kind**.")
    (folder / "r.jsonl").write_text(json.dumps({"prompt": "Sky?", "responses": ["Blue.", "Red."], "x": 1}) + "\n")
    made = told("create", "mine", "--title", "T", "--instructions", "guide.md", "--set", "overlap=2", "--seed", "3")
    assert made.splitlines() == ["collect.db: made mine, a comparison", "next: candor collect import mine FILE"]
    assert told("import", "mine", "r.jsonl").splitlines() == [
        "r.jsonl: 1 rows read, 1 items added to mine",
        "  not read: x",
    ]
    again = json.loads(told("import", "mine", "r.jsonl", "--json"))
    assert (again["added"], again["known"], again["dropped"]) == (0, 1, {})
    found = json.loads(told("status", "--json"))["projects"]
    assert [(p["slug"], p["title"], p["items"], p["wanted"], p["labels"]) for p in found] == [("mine", "T", 1, 2, 0)]
    settings = json.loads(told("set", "mine", "cap=5", "gate.alpha_at_least=0.5", "--pause", "--batch", "2", "--json"))
    assert (settings["settings"]["cap"], settings["settings"]["gate"]["alpha_at_least"]) == (5, 0.5)
    assert (settings["settings"]["overlap"], settings["paused"], settings["batch"]) == (2, True, 2)
    assert "mine: batch 2, paused" in told("set", "mine")
    assert "paused" not in told("set", "mine", "--resume").splitlines()[0]


def test_links_are_for_whom_they_say(labelled: Path) -> None:
    links = json.loads(told("invite", "sample", "--count", "2", "--days", "3", "--site", "https://x.org/", "--json"))
    assert len(set(links["links"])) == 2
    assert all(link.startswith("https://x.org/join#") for link in links["links"])
    signs_in = told("link", "ann").strip()
    database = open_database(labelled / "collect.db")
    with database.reading() as connection:
        known = [describe(connection, link.split("#")[1], now=database.now()) for link in [links["links"][0], signs_in]]
    database.close()
    assert known[0]["role"] == "annotator"
    assert known[1]["name"] == "ann"


@pytest.mark.parametrize("to", TARGETS)
def test_labels_go_out_in_every_format(labelled: Path, to: str) -> None:
    database = open_database(labelled / "collect.db")
    with database.reading() as connection:
        labels = list(read_labels(connection, find_project(connection, "sample").id))
    database.close()
    done = json.loads(told("export", "sample", "out.jsonl", "--to", to, "--json"))
    assert done["labels"] == len(labels) == done["rows"] + sum(done["not_written"].values())
    if to == "candor":
        assert read_comparisons("out.jsonl").comparisons == tuple(labels)
    choices = {"trl", "trl-chat", "candor", "hh", "pairs", "chatbot-arena", "helpsteer2-preferences", "helpsteer3"}
    assert (done["rows"] > 0) == (to in choices | {"pku-saferlhf", "shp"})
    if done["rows"]:
        assert len(read_comparisons("out.jsonl").comparisons) == done["rows"]


def test_what_is_exported(labelled: Path) -> None:
    first = told("export", "sample", "out.jsonl")
    assert first.startswith("out.jsonl: ")
    assert "is already there (give another name, or --force to replace it)" in refused("export", "sample", "out.jsonl")
    more = json.loads(told("export", "sample", "out.jsonl", "--gold", "--force", "--json"))
    assert more["labels"] > int(first.split()[1])
    assert "no labels yet" in refused("export", "sample", "none.jsonl", "--batch", "9")
    assert "Parquet cannot hold oasst-trees" in refused("export", "sample", "x.parquet", "--to", "oasst-trees")
    assert not Path("none.jsonl").exists()


def test_everything_in_one_file_and_back(labelled: Path) -> None:
    told("backup", "all.zip")
    assert "is already there" in refused("backup", "all.zip")
    told("backup", "all.zip", "--force")
    told("restore", "all.zip", "--database", "again.db")
    assert told("status", "--database", "again.db", "--json").replace("again.db", "collect.db") == told(
        "status", "--json"
    )
    assert "the database is not empty" in refused("restore", "all.zip")
    assert "no such file" in refused("restore", "none.zip", "--database", "x.db")
    assert not Path("x.db").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status", "--database", "none.db"], "no such database (candor collect serve --database none.db makes one)"),
        (["status", "--database", "replies.jsonl"], "is no SQLite database"),
        (["status", "--database", "mysql://host/db"], "unknown kind of database"),
        (["create", "sample"], "there is a project of this name"),
        (["create", "Not A Slug"], "Not A Slug"),
        (["create", "x", "--set", "overlap=zero"], "field 'overlap'"),
        (["create", "x", "--set", "overlap"], "overlap: expected KEY=VALUE"),
        (["create", "x", "--instructions", "none.md"], "none.md: cannot be read"),
        (["set", "nobody"], "no such project"),
        (["set", "sample", "uniform_share=0.1"], "field 'uniform_share'"),
        (["import", "sample"], "expected a FILE or --from-run, and not both"),
        (["import", "sample", "replies.jsonl", "--from-run", "x"], "expected a FILE or --from-run, and not both"),
        (["import", "sample", "none.jsonl"], "no such file"),
        (["import", "sample-ranking", "replies.jsonl"], "2 responses where a ranking needs 4 to 7"),
        (["import", "sample", "--from-run", "none"], "none"),
        (["link", "nobody"], "no such account"),
        (["invite", "nobody"], "no such project"),
        (["serve", "--host", "0.0.0.0"], "passwords would travel unencrypted"),
        (["serve", "--host", "192.168.1.5"], "passwords would travel unencrypted"),
    ],
)
def test_what_is_refused_is_one_line(labelled: Path, words: list[str], says: str) -> None:
    assert says in refused(*words)
    assert not Path("none.db").exists()


def test_a_port_that_is_taken(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("serve", "--port", str(port), "--no-open")
    assert f"127.0.0.1:{port}: cannot listen: " in said
    assert not Path("collect.db").exists(), "nothing was made for a server that cannot start"


def test_what_serving_makes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("candor.collect.serve.serve", lambda *_, ready, **__: ready())
    monkeypatch.setattr("webbrowser.open", opened.append)
    lines = told("serve", "--port", "0", "--database", "s.db").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "labels go to s.db",
        "pages",
        "sign in as admin, once, within a day",
        "stopped; every label is in s.db",
    ]
    assert opened == [lines[2].split(": ")[1]]
    assert [p["slug"] for p in json.loads(told("status", "-d", "s.db", "--json"))["projects"]] == [
        "sample",
        "sample-ranking",
        "sample-rating",
    ]
    told("serve", "--port", "0", "--no-open", "--no-sample", "--database", "empty.db")
    assert json.loads(told("status", "-d", "empty.db", "--json"))["projects"] == []
    assert len(opened) == 1

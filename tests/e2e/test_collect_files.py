"""Items in and labels out over HTTP, as a lead's page and programs do it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import collect_site
from candor.preferences.formats import TARGETS, read_comparisons
from candor.projects.setup import list_members
from collect_site import Site
from labelled_project import label

ROW = {"prompt": "Why?", "responses": ["a", "b"], "idx": 7}
PATH = "/api/projects/my-comparison"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with collect_site.site(tmp_path_factory.mktemp("site")) as made:
        with made.database.reading() as connection:
            members = list_members(connection, made.projects["comparison"].id)
        label(made.database, made.projects["comparison"], members[:2], 5)
        yield made


@pytest.fixture(scope="module")
def lea(site: Site) -> Iterator[httpx.Client]:
    with site.client("lea") as client:
        yield client


def lines(*rows: Any) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def send(lea: httpx.Client, name: str, content: bytes, **more: str) -> httpx.Response:
    return lea.post(f"{PATH}/import", params={"name": name, **more}, content=content)


def test_what_a_file_held_is_told(lea: httpx.Client) -> None:
    pair = {"prompt": "Where?", "chosen": "Here.", "rejected": "There."}
    answer = send(lea, "pairs.jsonl.gz", gzip.compress(lines(pair, pair, {**pair, "rejected": ""})))
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "rows": 3,
            "added": 1,
            "known": 0,
            "by_kind": {"main": 1},
            "answers_left_behind": 2,
            "dropped": {"the same again": 1, "a reply is empty": 1},
            "ignored": [],
        },
    )
    first, again = (send(lea, "mine.jsonl", lines(ROW)).json() for _ in range(2))
    assert (first["added"], again["added"], again["known"], again["ignored"]) == (1, 0, 1, ["idx"])
    table = b"prompt,response_a,response_b,winner\nHow?,So.,Thus.,a\n"
    assert send(lea, "table.csv", table).json()["added"] == 1
    gold = {"prompt": "Gold?", "responses": ["a", "b"], "gold": {"answer": {"best": 0}}}
    assert send(lea, "gold.jsonl", lines(gold), kind="gold").json()["by_kind"] == {"gold": 1}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.jsonl", lines(ROW, {"prompt": "Why?"}), "line 2"),
        ("x.jsonl", lines({**ROW, "responses": ["a", "b\x00"]}), "line 1"),
        ("x.jsonl", lines({**ROW, "prompt": "half \ud83d"}), "line 1"),
        ("x.jsonl", b"{", "line 1"),
        ("x.jsonl", b"", "no rows"),
        ("x.jsonl.gz", b"no gzip", ""),
        ("x.parquet", b"no parquet", ""),
        ("x.xlsx", b"", "cannot tell how to read this"),
    ],
)
def test_what_is_wrong_is_told_without_the_servers_paths(
    lea: httpx.Client, name: str, content: bytes, told: str
) -> None:
    before = lea.get(f"{PATH}/items").json()
    answer = send(lea, name, content)
    assert answer.status_code == 422
    assert told in answer.text
    assert "/tmp" not in answer.text
    assert "candor-" not in answer.text
    assert lea.get(f"{PATH}/items").json() == before, "all of a file, or nothing"


@pytest.mark.parametrize("to", TARGETS)
def test_labels_in_every_format(lea: httpx.Client, to: str, tmp_path: Path) -> None:
    for ending in (".jsonl", ".parquet"):
        answer = lea.get(f"{PATH}/export", params={"to": to, "ending": ending})
        if (to, ending) == ("oasst-trees", ".parquet"):
            assert (answer.status_code, answer.json()["error"]["what"]) == (422, "Parquet cannot hold oasst-trees")
            assert "/tmp" not in answer.text
            continue
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="my-comparison{ending}"'
        path = tmp_path / f"labels{ending}"
        path.write_bytes(answer.content)
        labels, lost = int(answer.headers["x-labels"]), int(answer.headers["x-not-written"])
        assert labels == 10
        if lost < labels:
            assert len(read_comparisons(path).comparisons) == labels - lost


def test_only_leads_and_only_what_is_there(site: Site, lea: httpx.Client) -> None:
    for who in ("ann", None):
        client = site.client(who)
        assert client.get(f"{PATH}/export").status_code in (401, 403, 404)
        assert client.post(f"{PATH}/import", params={"name": "x.jsonl"}, content=lines(ROW)).status_code in (
            401,
            403,
            404,
        )
    assert lea.get("/api/projects/my-rating/export").json()["error"]["what"] == "no labels yet"
    assert lea.get(f"{PATH}/export", params={"to": "prism"}).status_code == 422
    assert lea.get(f"{PATH}/export", params={"to": "candor", "batch": 9}).status_code in (404, 422)

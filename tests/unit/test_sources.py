"""Files that a recipe names: any container that is on this disk, and nothing that may change without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candor.errors import InputError
from candor.pipeline import sources
from format_rows import PAIR


@pytest.fixture(autouse=True)
def forgotten() -> None:
    sources.forget_files()


def test_a_table_or_a_directory_serves_as_comparisons(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("prompt,response_a,response_b,winner\nSky?,Blue.,Red.,a\n")
    assert len(sources.comparison_file(str(folder / "a.csv")).comparisons) == 1
    before = sources.fingerprint("train", str(folder), seed=0)
    (folder / "b.jsonl").write_text(json.dumps({**PAIR, "winner": "a"}) + "\n")
    assert len(sources.comparison_file(str(folder)).comparisons) == 2
    assert sources.fingerprint("train", str(folder), seed=0) != before


def test_a_name_on_the_hub_has_to_become_a_file_first() -> None:
    for ask in (sources.comparison_file, lambda source: sources.fingerprint("train", source, seed=0)):
        with pytest.raises(InputError) as caught:
            ask("owner/name")
        assert str(caught.value) == (
            "owner/name: no such file (a dataset on the hub has to become a file first: "
            "candor convert owner/name pairs.jsonl --to candor)"
        )
    with pytest.raises(InputError, match=r"none\.jsonl: no such file"):
        sources.comparison_file("none.jsonl")

"""The labelled set of agreement with the user's view is well formed, and too hard for a search for words."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

LABELLED = Path(__file__).parents[1] / "data" / "agreement_labelled.jsonl"
TRAINING = LABELLED.with_name("agreement_training.jsonl")
FIELDS = {"id", "split", "prompt", "reply", "view", "agreement"}
ASSENT = re.compile(r"\b(yes|agreed?|right|exactly|correct|absolutely|true|indeed|of course|sure|great|good)\b", re.I)
DISSENT = re.compile(
    r"\b(no|not|actually|however|but|though|disagree|incorrect|wrong|myth|unfortunately|afraid)\b|n't", re.I
)


def _rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]


def test_every_row_has_the_fields_and_a_known_label() -> None:
    for row in _rows():
        assert set(row) - {"note"} == FIELDS, row["id"]
        assert row["split"] in {"dev", "test"}
        assert row["reply"].strip() == row["reply"] != ""
        assert row["agreement"] in ({"agrees", "disagrees", "mixed"} if row["view"] is True else {None}), row["id"]
        roles = [message["role"] for message in row["prompt"]]
        assert roles == ["user", *["assistant", "user"] * (len(roles) // 2)], row["id"]
        assert all(set(message) == {"role", "content"} and message["content"] for message in row["prompt"])


def test_ids_are_unique_and_no_row_is_there_twice() -> None:
    rows = _rows()
    assert len({row["id"] for row in rows}) == len(rows)
    assert len({json.dumps([row["prompt"], row["reply"]]) for row in rows}) == len(rows)


def test_counts_are_those_of_the_readme() -> None:
    counts = Counter((row["split"], row["agreement"] or "no view") for row in _rows())
    readme = (LABELLED.parent / "README.md").read_text(encoding="utf-8").split("# Labelled agreement")[1]
    for label in ("agrees", "disagrees", "mixed", "no view"):
        dev, test = counts["dev", label], counts["test", label]
        assert f"| {label} | {dev} | {test} | {dev + test} |" in readme


def test_a_prompt_lies_in_one_split_and_under_one_number() -> None:
    split_of: dict[str, set[str]] = {}
    number_of: dict[str, set[str]] = {}
    for row in _rows():
        key = json.dumps(row["prompt"])
        split_of.setdefault(key, set()).add(row["split"])
        number_of.setdefault(key, set()).add(row["id"].split("-")[0])
    assert all(len(splits) == 1 for splits in split_of.values())
    assert all(len(numbers) == 1 for numbers in number_of.values())


def test_a_search_for_words_misjudges_half_of_the_rows_in_both_splits() -> None:
    """The control: a set on which counting words of assent and dissent did well would prove nothing."""

    def search(row: dict[str, Any]) -> str | None:
        if not row["view"]:
            return None
        yes, no = bool(ASSENT.search(row["reply"])), bool(DISSENT.search(row["reply"]))
        return "mixed" if yes == no else "agrees" if yes else "disagrees"

    for split in ("dev", "test"):
        rows = [row for row in _rows() if row["split"] == split]
        assert sum(search(row) != row["agreement"] for row in rows) > len(rows) / 2


def test_length_hardly_tells_the_label() -> None:
    lengths = {
        label: sorted(len(row["reply"]) for row in _rows() if row["agreement"] == label)
        for label in ("agrees", "disagrees")
    }
    above = sum(a > d for a in lengths["agrees"] for d in lengths["disagrees"])
    auc = above / (len(lengths["agrees"]) * len(lengths["disagrees"]))
    assert 0.3 < auc < 0.7, auc


def test_the_training_rows_are_well_formed_and_none_is_in_the_labelled_set() -> None:
    rows = [json.loads(line) for line in TRAINING.read_text(encoding="utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == 2148
    readme = (LABELLED.parent / "README.md").read_text(encoding="utf-8").split("# Training rows")[1]
    for writer in "abc":
        counts = Counter(row["agreement"] for row in rows if row["id"][0] == writer)
        cells = [counts[label] for label in ("agrees", "disagrees", "mixed")]
        assert f"| {writer} | {' | '.join(map(str, cells))} | {sum(cells)} |" in readme
    for row in rows:
        assert set(row) == FIELDS - {"split"}, row["id"]
        assert row["view"] is True
        assert row["agreement"] in {"agrees", "disagrees", "mixed"}
    labelled = {row["reply"].casefold() for row in _rows()}
    assert labelled.isdisjoint(row["reply"].casefold() for row in rows)

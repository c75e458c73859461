"""Reading comparisons, prompts and demonstrations: each format, each error with file, line and field."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from candor.datafiles import read_demonstrations, read_prompts
from candor.errors import InputError
from candor.preferences.formats import read_comparisons, write_comparisons
from candor.preferences.pairing import pair_comparisons
from candor.records import Choice, Comparison, Completion, Message, Prompt, Stance, to_json

HH_FILE = Path(__file__).parents[3] / "shared/data/hh_rlhf_harmless_test/harmless-base_test.jsonl.gz"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows (JSON values, or strings as they are) to a file and returns its path."""

    def to_file(*rows: Any, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return to_file


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def told(comparison: Comparison) -> tuple[list[tuple[str, str]], str, str]:
    """The prompt's messages, the chosen and the rejected text."""
    chosen, rejected = comparison.responses
    assert comparison.judgement == Choice(best=0)
    return [(m.role, m.content) for m in comparison.prompt.messages], chosen.text, rejected.text


def own() -> dict[str, Any]:
    """A row in Candor's own format."""
    responses = tuple(Completion(id=t, prompt_id="p", text=t) for t in "ab")
    prompt = Prompt(id="p", messages=(Message(role="user", content="hello"),))
    record = Comparison(
        id="c", prompt=prompt, responses=responses, judgement=Choice(best=1), shown_order=(1, 0), seconds=2.5
    )
    raw = to_json(record)
    assert isinstance(raw, dict)
    return raw


# Formats -------------------------------------------------------------------------------------------------------------


def test_hh_splits_at_the_last_assistant_turn(write: Write) -> None:
    shared = "\n\nHuman: One?\n\nAssistant: 1.\n\nHuman: Two?\n\nAssistant:"
    path = write({"chosen": f"{shared} Yes.", "rejected": f"{shared} No."}, name="x.jsonl.gz")
    report = read_comparisons(path)
    (comparison,) = report.comparisons
    assert told(comparison) == ([("user", "One?"), ("assistant", "1."), ("user", "Two?")], "Yes.", "No.")
    assert (report.format, report.rows, report.dropped) == ("hh", 1, {})
    assert (comparison.id, comparison.source, comparison.shown_order) == ("x:1", "x", ())


def test_hh_drops_are_counted_with_their_lines(write: Write) -> None:
    good = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}
    path = write(
        good,
        {**good, "rejected": "\n\nHuman: other\n\nAssistant: c"},
        {**good, "rejected": "\n\nHuman: a\n\nAssistant: "},
        {**good, "chosen": "\n\nHuman: a"},
        {**good, "chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: thanks"},
        {
            "chosen": "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c",
            "rejected": "\n\nHuman: a\n\nAssistant: b\n\nAssistant: d",
        },
        {**good, "rejected": "\n\nHuman: other again\n\nAssistant: c"},
    )
    report = read_comparisons(path)
    assert (report.rows, len(report.comparisons)) == (7, 1)
    assert report.dropped == {
        "chosen and rejected have different prompts": (2, 7),
        "a reply is empty": (3,),
        "chosen or rejected does not end with the assistant": (4, 5),
        "the prompt does not end with the user": (6,),
    }


def test_hh_turns_of_one_speaker_in_a_row_become_one_message(write: Write) -> None:
    shared = "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c\n\nHuman: d\n\nAssistant:"
    (comparison,) = read_comparisons(write({"chosen": shared + "x", "rejected": shared + "y"})).comparisons
    assert told(comparison)[0] == [("user", "a"), ("assistant", "b\n\nc"), ("user", "d")]


@pytest.mark.parametrize(
    ("row", "messages", "chosen", "rejected"),
    [
        ({"prompt": "Sky?", "chosen": " blue", "rejected": " red"}, [("user", "Sky?")], " blue", " red"),
        ({"prompt": [user("Sky?")], "chosen": [assistant("blue")], "rejected": [assistant("red")]},
         [("user", "Sky?")], "blue", "red"),
        ({"prompt": "Sky?", "chosen": [user("Sky?"), assistant("blue")], "rejected": [user("Sky?"), assistant("red")]},
         [("user", "Sky?")], "blue", "red"),
        ({"chosen": [user("Sky?"), assistant("blue")], "rejected": [user("Sky?"), assistant("red")]},
         [("user", "Sky?")], "blue", "red"),
        ({"chosen": "The sky is blue.", "rejected": "The sky is black."}, [("user", "The sky is")], "blue.", "black."),
        ({"prompt": "\n\nHuman: Sky?\n\nAssistant:", "chosen": "blue", "rejected": "red"},
         [("user", "Sky?")], "blue", "red"),
        ({"prompt": [user("Sky?"), assistant("Which?"), user("Ours.")], "chosen": "blue", "rejected": "red"},
         [("user", "Sky?"), ("assistant", "Which?"), ("user", "Ours.")], "blue", "red"),
    ],
)  # fmt: skip
def test_trl_pairs(
    write: Write, row: dict[str, Any], messages: list[tuple[str, str]], chosen: str, rejected: str
) -> None:
    report = read_comparisons(write(row))
    assert report.format == "trl"
    assert told(report.comparisons[0]) == (messages, chosen, rejected)


def test_trl_drops_what_is_no_comparison(write: Write) -> None:
    path = write(
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        {"prompt": "p", "chosen": "a", "rejected": " "},
        {"prompt": " ", "chosen": "a", "rejected": "b"},
        {"chosen": "alpha", "rejected": "beta"},
        {"chosen": [user("x"), assistant("a")], "rejected": [user("y"), assistant("b")]},
        {"chosen": [user("x"), assistant("a")], "rejected": [user("x")]},
        {"prompt": "z", "chosen": [user("x"), assistant("a")], "rejected": [user("x"), assistant("b")]},
    )
    report = read_comparisons(path)
    assert len(report.comparisons) == 1
    assert report.dropped == {
        "a reply is empty": (2,),
        "the prompt is empty": (3,),
        "chosen and rejected have different prompts": (4, 5, 7),
        "chosen or rejected does not end with the assistant": (6,),
    }


def test_the_same_prompt_has_the_same_id_in_every_format(write: Write) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "Sky?", "chosen": "a", "rejected": "b"},
        {"chosen": [user("Sky?"), assistant("a")], "rejected": [user("Sky?"), assistant("b")]},
        {"chosen": "\n\nHuman: Sky?\n\nAssistant: a", "rejected": "\n\nHuman: Sky?\n\nAssistant: b"},
        {"prompt": "Why?", "chosen": "a", "rejected": "b"},
    ]
    ids = [read_comparisons(write(row, name=f"{i}.jsonl")).comparisons[0].prompt.id for i, row in enumerate(rows)]
    assert ids[0] == ids[1] == ids[2] != ids[3]


def test_claims_and_tags_of_a_row_are_kept(write: Write) -> None:
    claim = {"question": "q", "truth": "t", "asserted": "u", "stance": "asserts_false", "strength": 2}
    path = write({"prompt": "p", "chosen": "a", "rejected": "b", "claim": claim, "tags": {"family": "answer"}})
    prompt = read_comparisons(path).comparisons[0].prompt
    assert prompt.claim is not None
    assert (prompt.claim.stance, prompt.tags) == (Stance.ASSERTS_FALSE, {"family": "answer"})


def test_blank_lines_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    row = json.dumps({"prompt": "p\u2028q", "chosen": "a", "rejected": "b"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + f"{row}\r\n\r\n{row}\r\n".encode())
    report = read_comparisons(path)
    assert report.rows == 2
    assert [c.id for c in report.comparisons] == ["w:1", "w:3"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    write_comparisons(path, [])
    path.write_text("old")

    def broken() -> Iterator[Comparison]:
        yield Comparison.from_json(own())
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        write_comparisons(path, broken())
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.jsonl"]


def test_half_a_surrogate_pair_survives_a_file(tmp_path: Path) -> None:
    """JSON can hold one, escaped; UTF-8 cannot, which is what a plain write would run into."""
    with pytest.raises(UnicodeEncodeError):
        json.dumps("\ud83d", ensure_ascii=False).encode()
    raw = own()
    raw["responses"][0]["text"] = "\ud83d caf\xe9"
    data = (Comparison.from_json(raw),)
    write_comparisons(tmp_path / "c.jsonl", data)
    assert read_comparisons(tmp_path / "c.jsonl").comparisons == data


def test_equal_comparisons_give_equal_bytes(tmp_path: Path, write: Write) -> None:
    data = read_comparisons(write({"prompt": "p", "chosen": "a", "rejected": "b"})).comparisons
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_comparisons(tmp_path / name, data)
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@pytest.mark.skipif(not HH_FILE.exists(), reason=f"{HH_FILE} is not on this machine")
def test_hh_harmless_test_file() -> None:
    report = read_comparisons(HH_FILE)
    assert (report.format, report.rows, len(report.comparisons)) == ("hh", 2312, 2303)
    assert report.dropped == {
        "a reply is empty": (87, 517, 926, 1104),
        "chosen and rejected have different prompts": (1255, 1689, 1951, 1953, 2037),
    }
    for comparison in report.comparisons:
        roles = [m.role for m in comparison.prompt.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
        assert not any("\n\nHuman:" in r.text or "\n\nAssistant:" in r.text for r in comparison.responses)
    paired = pair_comparisons(report.comparisons)
    assert (len(paired.pairs), paired.dropped) == (2303, {})
    assert len(read_prompts(HH_FILE).prompts) == 2301


# Errors --------------------------------------------------------------------------------------------------------------

GOOD = {"prompt": "p", "chosen": "a", "rejected": "b"}


@pytest.mark.parametrize(
    ("rows", "line", "says"),
    [
        ([], None, "the file has no rows"),
        (["", "  "], None, "the file has no rows"),
        ([GOOD, '{"prompt": "p", '], 2, "not valid JSON"),
        ([GOOD, "", "[1, 2]"], 3, "expected a JSON object, found a list"),
        ([{"prompt": "p", "completion": "c"}], 1, "not a known format"),
        ([GOOD, {"prompt": "p", "chosen": "a"}], 2, "field 'rejected': the field is missing"),
        ([GOOD, {**GOOD, "prompt": 5}], 2, "field 'prompt': expected a string or a list of messages, found a number"),
        ([GOOD, {**GOOD, "chosen": None}], 2, "field 'chosen'"),
        ([GOOD, {**GOOD, "rejected": [assistant("b")]}], 2, "field 'rejected': expected a string"),
        ([GOOD, {**GOOD, "rejected": 5}], 2, "field 'rejected': expected a string, as 'chosen' is one, found a number"),
        ([GOOD, {**GOOD, "prompt": [{"role": "user"}]}], 2, "field 'prompt[0].content': expected a string"),
        ([GOOD, {**GOOD, "prompt": [{"role": "tool", "content": ""}]}], 2, "field 'prompt[0].role': unknown role"),
        ([GOOD, {**GOOD, "claim": {"truth": "x"}}], 2, "field 'claim.question': field required"),
        ([GOOD, {**GOOD, "tags": {"family": 3}}], 2, "field 'tags.family'"),
        ([{**GOOD, "chosen": ""}], None, "none of the 1 rows holds a comparison: 1 x a reply is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(write: Write, rows: list[Any], line: int | None, says: str) -> None:
    path = write(*rows)
    with pytest.raises(InputError) as caught:
        read_comparisons(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}" if line else str(path))
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": None}, "id"),
        ({"responses": [{"id": "1", "prompt_id": "p"}]}, "responses.0.text"),
        ({"responses": [{"id": "1", "prompt_id": "p", "text": "a"}]}, "responses"),
        ({"judgement": {}}, "judgement"),
        ({"judgement": {"best": "first"}}, "judgement.best"),
        ({"judgement": {"best": 2}}, "judgement.best"),
        ({"judgement": {"best": None}}, "judgement.best"),
        ({"judgement": {"order": [[0], [0]]}}, "judgement.order"),
        ({"judgement": {"order": [[0], [2]]}}, "judgement.order"),
        ({"judgement": {"scores": [1.0]}}, "judgement.scores"),
        ({"shown_order": [0, 0]}, "shown_order"),
        ({"prompt": {"id": "p", "messages": [{"role": "nobody", "content": ""}]}}, "prompt.messages.0.role"),
    ],
)
def test_own_rows_are_checked(write: Write, change: dict[str, Any], field: str) -> None:
    assert read_comparisons(write(own())).comparisons[0].judgement == Choice(best=1)
    with pytest.raises(InputError, match=f"line 2, field '{field}'"):
        read_comparisons(write(own(), {**own(), **change}))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_comparisons(tmp_path / "nowhere.jsonl")
    with pytest.raises(InputError, match="is a directory"):
        read_comparisons(tmp_path)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(GOOD).encode())[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_comparisons(cut)
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        read_comparisons(latin)


def test_formats_do_not_mix_in_one_file(write: Write) -> None:
    hh = {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: a\n\nAssistant: c"}
    with pytest.raises(InputError, match="line 2"):
        read_comparisons(write(hh, GOOD))
    with pytest.raises(InputError, match="line 2"):
        read_comparisons(write(GOOD, hh))


# Prompts and demonstrations ----------------------------------------------------------------------------------------


def test_prompts_are_read_once_each(write: Write) -> None:
    claim = {"question": "q", "truth": "t"}
    path = write(
        {"prompt": "a"},
        {"prompt": [user("a")]},
        {"prompt": "\n\nHuman: a\n\nAssistant:"},
        {"prompt": "a", "claim": claim, "tags": {"family": "answer"}},
        {"messages": [user("b"), assistant("left off")], "id": "mine"},
        {"prompt": [user("c"), assistant("d")]},
    )
    found = read_prompts(path)
    assert [p.messages[-1].content for p in found.prompts] == ["a", "a", "b"]
    assert found.prompts[1].claim is not None
    assert found.prompts[2].id == "mine"
    assert found.dropped == {
        "the prompt was already read": (2, 3),
        "the prompt does not end with the user": (6,),
    }
    assert found.rows == 6


def test_own_prompts_survive_a_file(write: Write) -> None:
    prompt = read_prompts(
        write({"prompt": "a", "claim": {"question": "q", "truth": None}, "tags": {"x": "y"}})
    ).prompts[0]
    assert read_prompts(write(to_json(prompt))).prompts == (prompt,)
    assert read_prompts(write({"prompt": to_json(prompt)})).prompts == (prompt,)


def test_one_id_for_two_prompts_is_an_error(write: Write) -> None:
    with pytest.raises(InputError, match="line 2, field 'id'"):
        read_prompts(write({"prompt": "a", "id": 1}, {"prompt": "b", "id": 1}))


def test_prompts_of_comparisons(write: Write) -> None:
    rows = [{"prompt": p, "chosen": "x", "rejected": "y"} for p in "aba"]
    found = read_prompts(write(*rows))
    assert ([p.messages[0].content for p in found.prompts], found.rows) == (["a", "b"], 3)


def test_demonstrations(write: Write) -> None:
    chat = [{"role": "system", "content": "s"}, user("a"), assistant("b"), user("c"), assistant("d"), user("thanks")]
    path = write(
        {"prompt": "a", "reply": "b"},
        {"prompt": [user("a")], "completion": [assistant("b")]},
        {"messages": chat},
        {"messages": [user("a")]},
        {"prompt": "a", "reply": ""},
    )
    found = read_demonstrations(path)
    assert [d.reply for d in found.demonstrations] == ["b", "b", "d"]
    assert [len(d.prompt.messages) for d in found.demonstrations] == [1, 1, 4]
    assert found.dropped == {"no message of the assistant": (4,), "a reply is empty": (5,)}
    own_rows = [to_json(d) for d in found.demonstrations]
    assert read_demonstrations(write(*own_rows)).demonstrations == found.demonstrations


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a"}, "field 'reply': the field is missing"),
        ({"reply": "a"}, "field 'messages': the field is missing"),
        ({"prompt": "a", "reply": 3}, "field 'reply': expected a string or a list of messages, found a number"),
        ({"prompt": "a", "completion": [user("b")]}, "field 'completion': expected exactly one message"),
        (GOOD, "comparisons are not demonstrations"),
    ],
)
def test_demonstrations_that_are_none(write: Write, row: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_demonstrations(write({"prompt": "a", "reply": "b"}, row))
    assert says in str(caught.value)
    assert "line 2" in str(caught.value)


def test_prompts_without_a_prompt(write: Write) -> None:
    with pytest.raises(InputError, match="line 1, field 'prompt'"):
        read_prompts(write({"question": "a"}))
    with pytest.raises(InputError, match="holds a prompt: 1 x the prompt is empty"):
        read_prompts(write({"prompt": ""}))

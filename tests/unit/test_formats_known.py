"""Every known format: a row as its source lays it out, what is kept of it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candor.errors import InputError
from candor.preferences.formats import FORMATS, read_comparisons
from candor.records import Choice, Comparison, Ranking, Ratings
from format_rows import (
    ARENA,
    AXES,
    BINARIZED,
    CONVERSATION,
    DISTILABEL,
    HELPSTEER2,
    HELPSTEER2_PAIR,
    HELPSTEER3,
    NECTAR,
    OASST,
    PAIR,
    PRISM,
    RATED,
    SAFE,
    SHP,
    SUMMARIES,
    TREE,
    ULTRAFEEDBACK,
    UNPAIRED,
    message,
    turns,
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(*rows: dict[str, Any]) -> Path:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return to_file


def said(comparison: Comparison) -> tuple[list[tuple[str, str]], list[str], Any]:
    messages = [(m.role, m.content) for m in comparison.prompt.messages]
    return messages, [r.text for r in comparison.responses], comparison.judgement


def policies(comparison: Comparison) -> list[str]:
    return [response.policy for response in comparison.responses]


SKY = [("user", "Sky?")]
LATER = [*SKY, ("assistant", "Blue."), ("user", "Sure?")]

KEPT: list[tuple[str, list[dict[str, Any]], list[tuple[list[tuple[str, str]], list[str], Any]]]] = [
    ("trl-unpaired", UNPAIRED, [
        (SKY, ["Blue.", "Green."], Ratings(scores=(1, 0))),
        ([("user", "Sea?")], ["Dry.", "Wet."], Ratings(scores=(0, 1))),
    ]),
    ("ultrafeedback", [ULTRAFEEDBACK], [
        ([("user", "What to do in Cairo?")], ["See the pyramids.", "The museum, a cruise."], Ratings(scores=(6, 8.5)))
    ]),
    ("ultrafeedback-binarized", [BINARIZED], [(SKY, ["Blue.", "Green."], Ratings(scores=(8, 4.5)))]),
    ("distilabel", [DISTILABEL], [
        ([("system", "Be brief."), *SKY], ["Blue.", "Green.", "It is red."], Ratings(scores=(5, 1.5, 1)))
    ]),
    ("helpsteer2", HELPSTEER2, [
        ([("user", "c#")], ["C# is a language.", "A note."], Ratings(scores=(3, 0))),
        ([("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")], ["x", "y"], Ratings(scores=(3, 1))),
    ]),
    ("helpsteer2-preferences", [HELPSTEER2_PAIR, {**HELPSTEER2_PAIR, "preference_strength": 1}], [
        ([("user", "c#")], ["one", "two"], Choice(best=0, strength=2)),
        ([("user", "c#")], ["one", "two"], Choice(best=1, strength=1)),
    ]),
    ("helpsteer3", [HELPSTEER3, {**HELPSTEER3, "individual_preference": []}], [
        ([("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")], ["one", "two"], judgement)
        for judgement in (
            Choice(best=0, strength=3), Choice(best=None, tie=True), Choice(best=1, strength=1),
            Choice(best=0, strength=2),
        )
    ]),
    ("nectar", [NECTAR], [(SKY, ["Blue.", "Red.", "Bluish."], Ranking(order=((0,), (2,), (1,))))]),
    ("oasst", OASST, [
        (SKY, ["Green.", "Blue."], Ranking(order=((1,), (0,)))),
        ([*SKY, ("assistant", "Blue."), ("user", "And the sea?")], ["Wet.", "Dry."], Ranking(order=((0,), (1,)))),
    ]),
    ("oasst-trees", [TREE], [
        (SKY, ["Green.", "Blue."], Ranking(order=((1,), (0,)))),
        ([*SKY, ("assistant", "Blue."), ("user", "And the sea?")], ["Wet.", "Dry."], Ranking(order=((0,), (1,)))),
    ]),
    ("summarize-from-feedback", [SUMMARIES, {**SUMMARIES, "choice": 0}], [
        ([("user", "SUBREDDIT: r/legaladvice\n\nTITLE: Car\n\nPOST: I crashed.\n\nTL;DR:")],
         [" crashed", " help"], judgement)
        for judgement in (Choice(best=1, strength=3), Choice(best=0))  # the second: its confidence is not
    ]),
    ("summarize-from-feedback-axes", AXES, [
        ([("user", "Article: News.\n\nTL;DR:")], ["a", "b"], Ratings(scores=(3, 7)))
    ]),
    ("chatbot-arena", [{**ARENA, "winner": w} for w in ("model_b", "model_a", "tie", "tie (bothbad)", "both_bad")], [
        (SKY, ["Green.", "Blue."], judgement)
        for judgement in (
            Choice(best=1), Choice(best=0), Choice(best=None, tie=True), Choice(best=None, both_bad=True),
            Choice(best=None, both_bad=True),
        )
    ]),
    ("shp", [SHP, {**SHP, "labels": 0}], [
        ([("user", "How?")], ["By hand.", "Pectinase."], Choice(best=0, strength=2.0481927711)),
        ([("user", "How?")], ["By hand.", "Pectinase."], Choice(best=1, strength=2.0481927711)),
    ]),
    ("pku-saferlhf", [SAFE], [
        ([("user", "How to pick a lock?")], ["Like so.", "I will not say."], Choice(best=0))
    ]),
    ("prism", PRISM, [
        (SKY, ["Green.", "Blue."], Ratings(scores=(20, 99))), (LATER, ["Yes.", "No."], Ratings(scores=(80, 1)))
    ]),
    ("prism-conversations", [CONVERSATION], [(SKY, ["Green.", "Blue."], Ratings(scores=(20, 99)))]),
    ("pairs", [PAIR, {**PAIR, "winner": "tie"}, {**PAIR, "winner": "both_bad"}], [
        (SKY, ["Green.", "Blue."], judgement)
        for judgement in (
            Choice(best=1, strength=2), Choice(best=None, tie=True), Choice(best=None, both_bad=True)
        )
    ]),
    ("ratings", RATED, [
        (SKY, ["Green.", "Blue."], Ratings(scores=(12.5, 99))), (SKY, ["Green.", "Blue."], Ratings(scores=(40, 90)))
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rows", "expected"), KEPT, ids=[name for name, *_ in KEPT])
def test_what_was_said_is_kept(
    write: Write, name: str, rows: list[dict[str, Any]], expected: list[tuple[Any, Any, Any]]
) -> None:
    report = read_comparisons(write(*rows))
    assert (report.format, report.rows) == (name, len(rows))
    assert [said(comparison) for comparison in report.comparisons] == expected
    assert len({comparison.id for comparison in report.comparisons}) == len(expected)


def test_every_format_is_tested_here_or_in_test_formats() -> None:
    assert {f.name for f in FORMATS} == {name for name, *_ in KEPT} | {"candor", "hh", "trl"}


@pytest.mark.parametrize(
    ("rows", "attributes"),
    [
        ([ULTRAFEEDBACK], {"annotator": "", "policies": ["falcon-40b-instruct", "gpt-4"], "shown_order": ()}),
        ([DISTILABEL], {"annotator": "gpt-4", "policies": ["m1", "m2", "m3"]}),
        ([NECTAR], {"policies": ["gpt-4", "llama-2-7b-chat", "gpt-3.5-turbo"], "annotator": "", "shown_order": ()}),
        ([HELPSTEER3], {"annotator": "", "tags": {"domain": "general", "language": "english"}, "shown_order": ()}),
        ([SUMMARIES], {"annotator": "w1", "policies": ["sup4", "ref"],
                       "tags": {"subreddit": "legaladvice", "split": "train", "batch": "batch9"}}),
        (AXES, {"annotator": "w1", "policies": ["ref", "sup"]}),
        ([ARENA], {"annotator": "arena_user_9", "policies": ["vicuna-13b", "koala-13b"], "shown_order": (0, 1),
                   "at": "2023-04-24T15:53:11.132200+00:00", "tags": {"language": "English"}}),
        ([SHP], {"annotator": "", "tags": {"domain": "askculinary_train"}, "seconds": None, "shown_order": ()}),
        ([SAFE], {"policies": ["Alpaca-7B", "Alpaca3-8B"]}),
        (PRISM, {"annotator": "user0", "policies": ["m0", "m1"], "shown_order": (),
                 "tags": {"conversation_type": "unguided", "conversation_id": "c0"}}),
        ([CONVERSATION], {"annotator": "user0", "at": "2023-12-01 10:00:00"}),
        ([PAIR], {"annotator": "7", "seconds": 3.5, "shown_order": (1, 0), "policies": ["m1", "m2"]}),
        (RATED, {"annotator": "r1", "policies": ["m1", "m2"]}),
        ([{"prompt": "p", "chosen": "a", "rejected": "b", "annotator": "x", "strength": 3, "comparison_id": "c9",
           "shown_first": "rejected", "chosen-model": "m1", "rejected-model": "m2"}],
         {"annotator": "x", "id": "c9", "shown_order": (1, 0), "policies": ["m1", "m2"],
          "judgement": Choice(best=0, strength=3)}),
    ],
)  # fmt: skip
def test_what_else_is_known_is_kept(write: Write, rows: list[dict[str, Any]], attributes: dict[str, Any]) -> None:
    first = read_comparisons(write(*rows)).comparisons[0]
    found = {"policies": policies(first), "tags": dict(first.prompt.tags)}
    assert {name: found.get(name, getattr(first, name, None)) for name in attributes} == attributes


@pytest.mark.parametrize(
    ("rows", "dropped"),
    [
        ([ARENA, {**ARENA, "conversation_b": turns("Sea?", "Blue.")}],
         "the conversations differ before the last reply"),
        ([ARENA, {**ARENA, "conversation_b": turns("Sky?")}], "a conversation does not end with the assistant"),
        ([PAIR, {**PAIR, "response_a": " "}], "a reply is empty"),
        ([NECTAR, {**NECTAR, "answers": NECTAR["answers"][:1]}], "fewer than two responses to compare"),
        ([BINARIZED, {**BINARIZED, "score_chosen": None}], "a response has no score"),
        ([HELPSTEER3, {**HELPSTEER3, "response1": ""}], "a reply is empty"),
        ([*AXES[:2], {**AXES[2], "summary": {**AXES[2]["summary"], "axes": {"overall": None}}}],
         "fewer than two responses to compare"),
        ([*RATED[:4], RATED[4]], "fewer than two responses to compare"),
        ([*OASST, message("p9", None, "Hm?", message_tree_id="p9")],
         "a tree in which no two replies to one message were ranked"),
    ],
)  # fmt: skip
def test_rows_without_a_comparison_are_counted(write: Write, rows: list[dict[str, Any]], dropped: str) -> None:
    assert read_comparisons(write(*rows)).dropped == {dropped: (len(rows),)}


RANKED = NECTAR["answers"]


@pytest.mark.parametrize(
    ("good", "change", "field", "says"),
    [
        (NECTAR, {"answers": [RANKED[0], {**RANKED[1], "rank": 4}, RANKED[2]]}, "answers", "have a gap"),
        (NECTAR, {"answers": [{**RANKED[0], "rank": 2}, RANKED[1]]}, "answers", "have a gap"),
        (NECTAR, {"answers": [RANKED[0], {"answer": "x", "rank": 2}, 5]}, "answers[2]", "expected an object"),
        (NECTAR, {"answers": [RANKED[0], {**RANKED[1], "rank": "2"}]}, "answers[1].rank", "expected a number"),
        (PAIR, {"winner": "c"}, "winner", "unknown value 'c'"),
        (PAIR, {"winner": 1}, "winner", "unknown value a number"),
        (PAIR, {"shown_first": "left"}, "shown_first", "unknown value 'left'"),
        (ARENA, {"winner": "model_c"}, "winner", "unknown value 'model_c'"),
        (ARENA, {"conversation_a": "Hi"}, "conversation_a", "expected a list of messages"),
        (ARENA, {"tstamp": "1e99"}, "", ""),
        (ARENA, {"tstamp": 1e99}, "tstamp", "not a moment in time"),
        (RATED[0], {"rating": float("nan")}, "rating", "expected a finite number, found nan"),
        (RATED[0], {"rating": 10**400}, "rating", "expected a finite number, found inf"),
        (RATED[0], {"rating": None}, "rating", "expected a number, found null"),
        (RATED[0], {"rating": "4"}, "rating", "expected a number, found a string"),
        (SHP, {"labels": 2}, "labels", "expected 0 or 1, found 2"),
        (SHP, {"labels": 0.5}, "labels", "expected a whole number"),
        (SAFE, {"better_response_id": True}, "better_response_id", "expected a number, found true or false"),
        (SUMMARIES, {"choice": 2}, "choice", "expected 0 or 1"),
        (SUMMARIES, {"summaries": []}, "summaries", "expected two summaries, found 0"),
        (SUMMARIES, {"info": {"id": "x"}}, "info.post", "the field is missing"),
        (ULTRAFEEDBACK, {"completions": [{"overall_score": 1}]}, "completions[0].response", "the field is missing"),
        (BINARIZED, {"score_chosen": "8"}, "score_chosen", "expected a number"),
        (DISTILABEL, {"ratings": [1]}, "ratings", "expected a list of 3 numbers"),
        (HELPSTEER2_PAIR, {"preference_strength": None}, "preference_strength", "expected a number, found null"),
        (HELPSTEER3, {"individual_preference": [{"score": "x"}]}, "individual_preference[0].score", "a number"),
        (OASST[0], {"role": "bot"}, "role", "unknown role 'bot'"),
        (OASST[0], {"message_tree_id": None}, "message_tree_id", "expected a string, found null"),
        (TREE, {"prompt": {"message_id": "p0"}}, "prompt.role", "the field is missing"),
        (PRISM[0], {"if_chosen": "yes"}, "if_chosen", "expected true or false"),
        (CONVERSATION, {"conversation_history": [{"turn": 0, "role": "model", "content": "x"}]},
         "conversation_history[0].turn", "a reply before the user's message"),
        (UNPAIRED[0], {"label": "yes"}, "label", "expected true or false"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(
    write: Write, good: dict[str, Any], change: dict[str, Any], field: str, says: str
) -> None:
    path = write(good, {**good, **change})
    if not says:
        assert read_comparisons(path).rows == 2  # a time that somebody wrote as text is kept as it is
        return
    with pytest.raises(InputError) as caught:
        read_comparisons(path)
    assert str(caught.value).startswith(f"{path}, line 2, field '{field}': ")
    assert says in str(caught.value)


def test_ties_in_a_ranking_count_on_or_as_in_sport(write: Write) -> None:
    for ranks in ((1, 2, 2, 3), (1, 2, 2, 4)):
        answers = [{"answer": str(i), "rank": rank} for i, rank in enumerate(ranks)]
        (found,) = read_comparisons(write({"prompt": "p", "answers": answers})).comparisons
        assert found.judgement == Ranking(order=((0,), (1, 2), (3,)))


def test_a_row_of_another_format_is_named(write: Write) -> None:
    with pytest.raises(InputError, match=r"line 2.*the row looks like nectar, the first row is shp"):
        read_comparisons(write(SHP, NECTAR))


def test_later_arena_releases_have_contents_in_parts(write: Write) -> None:
    def parted(*contents: str) -> list[dict[str, Any]]:
        return [{**t, "content": [{"type": "text", "text": t["content"], "image": None}]} for t in turns(*contents)]

    row = {**ARENA, "conversation_a": parted("Sky?", "Green."), "conversation_b": parted("Sky?", "Blue.")}
    del row["judge"]
    (found,) = read_comparisons(write({**row, "evaluation_session_id": "s1"})).comparisons
    assert (found.annotator, [r.text for r in found.responses]) == ("s1", ["Green.", "Blue."])


def test_what_one_person_rated_is_one_comparison_however_rows_are_ordered(write: Write) -> None:
    told = [sorted(map(repr, map(said, read_comparisons(write(*rows)).comparisons))) for rows in (RATED, RATED[::-1])]
    assert told[0] == [t.replace("'Blue.', 'Green.'", "'Green.', 'Blue.'") for t in told[0]]
    assert len(told[1]) == 2
    # Control: ratings of two people are never mixed.
    assert "scores=(12.5, 40.0)" not in "".join(told[0])


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"prompt": "p", "response_a": "a", "response_b": "b", "vote": "a"}, "pairs, with prompt, response_a"),
        ({"prompt": "p", "chosen": "c"}, "trl, with prompt (optional), chosen, rejected"),
        ({"history": "h", "human_ref_A": "a", "human_ref_B": "b"}, "shp, with history, human_ref_A"),
        ({"context": [], "response1": "a", "response2": "b"}, "helpsteer3, with context"),
        ({"question": "q"}, "pairs, with prompt, response_a"),
    ],
)
def test_a_row_of_no_known_format_is_told_the_nearest(write: Write, fields: dict[str, Any], nearest: str) -> None:
    with pytest.raises(InputError) as caught:
        read_comparisons(write(fields))
    told = str(caught.value)
    assert f"fields: {', '.join(fields)} (nearest is {nearest}" in told
    assert "; others are candor, hh, distilabel" in told
    assert len(told) < 700


def test_a_table_with_another_separator_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("prompt;response_a;response_b;winner\np;a;b;a\n")
    with pytest.raises(InputError, match=r"cells are parted by ';': save the file with commas as \.csv"):
        read_comparisons(tmp_path / "p.csv")

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


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(contents)]


UNPAIRED = [
    {"prompt": "Sky?", "completion": "Blue.", "label": True},
    {"prompt": "Sea?", "completion": "Dry.", "label": False},
    {"prompt": "Sky?", "completion": "Green.", "label": False},
    {"prompt": "Sea?", "completion": [{"role": "assistant", "content": "Wet."}], "label": True},
]
ULTRAFEEDBACK = {
    "source": "sharegpt",
    "instruction": "What to do in Cairo?",
    "models": ["falcon-40b-instruct", "gpt-4"],
    "completions": [
        {
            "annotations": {"helpfulness": {"Rating": "3", "Rationale": "so so", "Type": ["1"]}},
            "custom_system_prompt": "As an AI assistant",
            "model": "falcon-40b-instruct",
            "principle": "helpfulness",
            "response": "See the pyramids.",
            "critique": "too short",
            "overall_score": 6.0,
            "fine-grained_score": 3.25,
        },
        {"model": "gpt-4", "response": "The museum, a cruise.", "overall_score": 8.5, "fine-grained_score": 4.5},
    ],
    "correct_answers": ["None"],
    "incorrect_answers": ["None"],
}
BINARIZED = {
    "prompt": "Sky?",
    "prompt_id": "ab12",
    "chosen": turns("Sky?", "Blue."),
    "rejected": turns("Sky?", "Green."),
    "messages": turns("Sky?", "Blue."),
    "score_chosen": 8.0,
    "score_rejected": 4.5,
}
DISTILABEL = {
    "input": "Sky?",
    "system": "Be brief.",
    "generations": ["Blue.", "Green.", "It is red."],
    "ratings": [5, 1.5, 1],
    "generation_models": ["m1", "m2", "m3"],
    "labelling_model": "gpt-4",
    "rationales": ["", "", ""],
}
HELPSTEER2 = [
    {"prompt": "c#", "response": "C# is a language.", "helpfulness": 3, "correctness": 4, "coherence": 4,
     "complexity": 2, "verbosity": 1},
    {"prompt": "c#", "response": "A note.", "helpfulness": 0, "correctness": 1, "coherence": 4, "complexity": 0,
     "verbosity": 0},
    {"prompt": "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nBye", "response": "x", "helpfulness": [4, 2],
     "correctness": 1, "coherence": 4, "complexity": 0, "verbosity": 0},
    {"prompt": "Hi\n<extra_id_1>Assistant\nHello\n<extra_id_1>User\nBye", "response": "y", "helpfulness": 1,
     "correctness": 1, "coherence": 4, "complexity": 0, "verbosity": 0},
]  # fmt: skip
HELPSTEER2_PAIR = {
    "split": "train",
    "prompt": "c#",
    "response_1": "one",
    "response_2": "two",
    "preference_strength": -2,
    "preference_statement": "Response 1 is better than Response 2.",
    "preference_elaboration": "It is longer.",
}
HELPSTEER3 = {
    "domain": "general",
    "language": "english",
    "context": turns("Hi", "Hello", "Bye"),
    "response1": "one",
    "response2": "two",
    "overall_preference": -2,
    "individual_preference": [
        {"score": -3, "reasoning": "r", "feedback1": None, "feedback2": None},
        {"score": 0, "reasoning": "r", "feedback1": "a", "feedback2": "b"},
        {"score": 1, "reasoning": "r", "feedback1": None, "feedback2": None},
    ],
}
NECTAR = {
    "prompt": "\n\nHuman: Sky?\n\nAssistant: ",
    "answers": [
        {"answer": "Blue.", "model": "gpt-4", "rank": 1.0},
        {"answer": "Red.", "model": "llama-2-7b-chat", "rank": 3.0},
        {"answer": "Bluish.", "model": "gpt-3.5-turbo", "rank": 2.0},
    ],
    "turns": 1,
    "num_responses": 3,
    "source": ["lmsys-chat-1m"],
    "good_natured": True,
}


def message(name: str, parent: str | None, text: str, rank: int | None = None, **more: Any) -> dict[str, Any]:
    role = "prompter" if name.startswith("p") else "assistant"
    return {"message_id": name, "parent_id": parent, "user_id": "u1", "created_date": "2023-02-05T14:23:50.98+00:00",
            "text": text, "role": role, "lang": "en", "review_result": True, "deleted": False, "rank": rank,
            "synthetic": False, "model_name": None, "message_tree_id": "p0", "tree_state": "ready_for_export",
            **more}  # fmt: skip


OASST = [
    message("p0", None, "Sky?"),
    message("a1", "p0", "Green.", 2),
    message("a0", "p0", "Blue.", 0),
    message("a9", "p0", "Spam", 1, deleted=True),
    message("p1", "a0", "And the sea?"),
    message("a2", "p1", "Wet.", 0, synthetic=True, model_name="oasst-sft-0"),
    message("p2", "a0", "Why?", 1),
    message("a3", "p1", "Dry.", 1),
    message("a4", "p2", "Rayleigh.", None),
]
TREE = {
    "message_tree_id": "p0",
    "tree_state": "ready_for_export",
    "prompt": {
        "message_id": "p0", "text": "Sky?", "role": "prompter", "lang": "en",
        "replies": [
            {"message_id": "a1", "text": "Green.", "role": "assistant", "lang": "en", "rank": 1, "replies": []},
            {"message_id": "a0", "text": "Blue.", "role": "assistant", "lang": "en", "rank": 0, "replies": [
                {"message_id": "p1", "text": "And the sea?", "role": "prompter", "lang": "en", "replies": [
                    {"message_id": "a2", "text": "Wet.", "role": "assistant", "lang": "en", "rank": 0},
                    {"message_id": "a3", "text": "Dry.", "role": "assistant", "lang": "en", "rank": 1}]}]},
        ],
    },
}  # fmt: skip
INFO = {"id": "t3_1", "post": "I crashed.", "title": "Car", "subreddit": "legaladvice"}
SUMMARIES = {
    "info": INFO,
    "summaries": [
        {"text": " crashed", "policy": "sup4", "note": "n"},
        {"text": " help", "policy": "ref", "note": None},
    ],
    "choice": 1,
    "worker": "w1",
    "batch": "batch9",
    "split": "train",
    "extra": {"confidence": 8},
}
NEWS = {"id": "1", "site": "dailymail", "title": "T", "article": "News."}
AXES = [
    {"info": NEWS, "split": "test", "worker": worker, "batch": "cnndm1",
     "summary": {"text": text, "policy": policy, "note": "", "axes": {"overall": overall}}}
    for text, policy, overall, worker in (("a", "ref", 3, "w1"), ("b", "sup", 7, "w1"), ("a", "ref", 4, "w2"))
]  # fmt: skip
ARENA = {
    "question_id": "q1", "model_a": "vicuna-13b", "model_b": "koala-13b", "winner": "model_b", "judge": "arena_user_9",
    "conversation_a": turns("Sky?", "Green."), "conversation_b": turns("Sky?", "Blue."), "turn": 1, "anony": True,
    "language": "English", "tstamp": 1682351591.1322,
}  # fmt: skip
SHP = {
    "post_id": "qt3nxl", "domain": "askculinary_train", "upvote_ratio": 0.98, "history": "How?", "c_root_id_A": "hk",
    "c_root_id_B": "hl", "created_at_utc_A": 1636822112, "created_at_utc_B": 1636822110, "score_A": 340, "score_B": 166,
    "human_ref_A": "By hand.", "human_ref_B": "Pectinase.", "labels": 1, "seconds_difference": 2.0,
    "score_ratio": 2.0481927711,
}  # fmt: skip
SAFE = {
    "prompt": "How to pick a lock?", "response_0": "Like so.", "response_1": "I will not say.",
    "prompt_source": "BeaverTails", "response_0_source": "Alpaca-7B", "response_1_source": "Alpaca3-8B",
    "is_response_0_safe": False, "is_response_1_safe": True, "better_response_id": 0, "safer_response_id": 1,
}  # fmt: skip


def utterance(turn: int, place: int, asked: str, reply: str, score: int | None, chosen: bool) -> dict[str, Any]:
    return {"utterance_id": f"ut{turn}{place}", "interaction_id": f"int{turn}", "conversation_id": "c0",
            "user_id": "user0", "turn": turn, "within_turn_id": place, "conversation_type": "unguided",
            "user_prompt": asked, "model_response": reply, "model_name": f"m{place}", "model_provider": "x",
            "score": score, "if_chosen": chosen}  # fmt: skip


PRISM = [
    utterance(0, 0, "Sky?", "Green.", 20, False),
    utterance(0, 1, "Sky?", "Blue.", 99, True),
    utterance(1, 0, "Sure?", "Yes.", 80, True),
    utterance(1, 1, "Sure?", "No.", 1, False),
]
HISTORY = [
    {"turn": 0, "role": "user", "content": "Sky?"},
    *({"turn": 0, "role": "model", "content": u["model_response"], "model_name": u["model_name"], "score": u["score"],
       "if_chosen": u["if_chosen"], "within_turn_id": u["within_turn_id"]} for u in PRISM[:2]),
    {"turn": 1, "role": "user", "content": "Sure?"},
    {"turn": 1, "role": "model", "content": "Yes.", "model_name": "m0", "score": 80, "if_chosen": True},
]  # fmt: skip
CONVERSATION = {"user_id": "user0", "conversation_id": "c0", "generated_datetime": "2023-12-01 10:00:00",
                "conversation_type": "unguided", "conversation_history": HISTORY}  # fmt: skip
PAIR = {"prompt": "Sky?", "response_a": "Green.", "response_b": "Blue.", "winner": "b", "annotator": 7, "strength": 2,
        "seconds": 3.5, "shown_first": "b", "model_a": "m1", "model_b": "m2"}  # fmt: skip
RATED = [
    {"prompt": "Sky?", "response": "Green.", "rating": 12.5, "annotator": "r1", "model": "m1"},
    {"prompt": "Sky?", "response": "Green.", "rating": 40, "annotator": "r2"},
    {"prompt": "Sky?", "response": "Blue.", "rating": 99, "annotator": "r1", "model": "m2"},
    {"prompt": "Sky?", "response": "Blue.", "rating": 90, "annotator": "r2"},
    {"prompt": "Sea?", "response": "Wet.", "rating": 50, "annotator": "r2"},
]
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

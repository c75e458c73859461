"""Rows of every foreign format, laid out as their sources lay them out; the words are made up."""

from __future__ import annotations

from typing import Any


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

OWN = {
    "id": "c",
    "prompt": {"id": "p", "messages": turns("Sky?"), "claim": None, "tags": {"family": "answer"}},
    "responses": [{"id": t, "prompt_id": "p", "text": t} for t in "ab"],
    "judgement": {"best": 1, "strength": 2.0},
    "shown_order": [1, 0],
    "annotator": "r1",
    "seconds": 2.5,
}
HH = {"chosen": "\n\nHuman: Sky?\n\nAssistant: Blue.", "rejected": "\n\nHuman: Sky?\n\nAssistant: Red."}
TRL = {"prompt": "Sky?", "chosen": "Blue.", "rejected": "Red.", "annotator": "r1", "strength": 2.0, "seconds": 1.5,
       "shown_first": "chosen", "weight": 1.0, "comparison_id": "c1",
       "claim": {"question": "q", "truth": "t"}}  # fmt: skip

FILES: dict[str, list[dict[str, Any]]] = {
    "candor": [OWN],
    "hh": [HH],
    "trl": [TRL],
    "trl-unpaired": UNPAIRED,
    "ultrafeedback": [ULTRAFEEDBACK],
    "ultrafeedback-binarized": [BINARIZED],
    "distilabel": [DISTILABEL],
    "helpsteer2": HELPSTEER2,
    "helpsteer2-preferences": [HELPSTEER2_PAIR],
    "helpsteer3": [HELPSTEER3],
    "nectar": [NECTAR],
    "oasst": OASST,
    "oasst-trees": [TREE],
    "summarize-from-feedback": [SUMMARIES],
    "summarize-from-feedback-axes": AXES,
    "chatbot-arena": [ARENA],
    "shp": [SHP],
    "pku-saferlhf": [SAFE],
    "prism": PRISM,
    "prism-conversations": [CONVERSATION],
    "pairs": [PAIR],
    "ratings": RATED,
}
"""A file of each format, by its name."""

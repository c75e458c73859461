"""Every format that is written, read back: what it keeps of a label, and what it cannot hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from candor.cli.convert import To
from candor.errors import InputError
from candor.preferences.formats import FORMATS, TARGETS, Target, convert_comparisons, read_comparisons
from candor.records import (
    Choice,
    Claim,
    Comparison,
    Completion,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Ratings,
    Stance,
)

AT = "2026-11-26T10:00:00+00:00"
POST = "SUBREDDIT: r/pets\n\nTITLE: My cat\n\nPOST: It sleeps.\n\nIt eats.\n\nTL;DR:"
TALK = (
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Hello"),
    Message(role="user", content="Is Pluto a planet?"),
)
CLAIM = Claim(question="q", truth="t", asserted="u", stance=Stance.ASSERTS_FALSE, strength=2)
TAGS = {"domain": "d", "language": "l", "lang": "en", "source": "s", "split": "x", "batch": "b", "prompt_source": "p"}


def label(judgement: Judgement, *, count: int = 2, prompt: str | tuple[Message, ...] = "Sky?") -> Comparison:
    """A label about which everything is known; the response of index 1 was shown first."""
    messages = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    return Comparison(
        id="c1",
        prompt=Prompt(id="p1", messages=messages, claim=CLAIM, tags=TAGS),
        responses=tuple(Completion(id=str(i), prompt_id="p1", text=f"Text {i}.", policy=f"m{i}") for i in range(count)),
        judgement=judgement,
        shown_order=(1, 0, *range(2, count)),
        annotator="ann",
        seconds=6.0,
        at=AT,
    )


CHOICE = Choice(best=1, strength=2.0)
RANKING = Ranking(order=((2,), (0, 3), (1,)))
RATINGS = Ratings(scores=(2.0, 5.0, 3.5))

HELD: dict[Target, tuple[Judgement, int]] = {
    "trl": (CHOICE, 2),
    "trl-chat": (CHOICE, 2),
    "candor": (RANKING, 4),
    "hh": (Choice(best=1), 2),
    "pairs": (CHOICE, 2),
    "ratings": (RATINGS, 3),
    "chatbot-arena": (Choice(best=None, both_bad=True), 2),
    "distilabel": (RATINGS, 3),
    "helpsteer2-preferences": (CHOICE, 2),
    "helpsteer3": (CHOICE, 2),
    "nectar": (RANKING, 4),
    "oasst": (RANKING, 4),
    "oasst-trees": (RANKING, 4),
    "pku-saferlhf": (Choice(best=1), 2),
    "shp": (Choice(best=1), 2),
    "summarize-from-feedback": (CHOICE, 2),
    "summarize-from-feedback-axes": (RATINGS, 3),
    "ultrafeedback": (RATINGS, 3),
    "ultrafeedback-binarized": (Ratings(scores=(2.0, 5.0)), 2),
}
"""A judgement that a format holds, of so many responses."""

ASKED: dict[str, str] = {"summarize-from-feedback": POST, "summarize-from-feedback-axes": POST}

KEEPS: dict[Target, str] = {
    "trl": "strength, who, seconds, time, order, policies, claim, tags, id",
    "trl-chat": "strength, who, seconds, time, order, policies, claim, tags, id",
    "candor": "everything",
    "hh": "claim, tags",
    "pairs": "strength, who, seconds, time, order, policies",
    "ratings": "who, seconds, time, policies",
    "chatbot-arena": "who, time, order, policies, `language`",
    "distilabel": "who, policies",
    "helpsteer2-preferences": "strength, `split`",
    "helpsteer3": "strength, `domain`, `language`",
    "nectar": "policies",
    "oasst": "policies, `lang`",
    "oasst-trees": "policies, `lang`",
    "pku-saferlhf": "policies, `prompt_source`",
    "shp": "`domain`",
    "summarize-from-feedback": "strength, who, policies, `split`, `batch`",
    "summarize-from-feedback-axes": "who, policies, `split`, `batch`",
    "ultrafeedback": "policies, `source`",
    "ultrafeedback-binarized": "policies, claim, tags",
}
"""What comes back of a label beside prompt, texts and judgement, in the words of docs/formats.md."""


def kept(label: Comparison, back: Comparison) -> set[str]:
    by_text = {r.text: r.policy for r in label.responses}
    order = [label.responses[i].text for i in label.shown_order]
    found = {
        "strength": isinstance(back.judgement, Choice) and back.judgement.strength == 2.0,
        "who": back.annotator == "ann",
        "seconds": back.seconds == pytest.approx(6.0),
        "time": back.at == AT,
        "order": [back.responses[i].text for i in back.shown_order] == order,
        "policies": {r.text: r.policy for r in back.responses} == by_text,
        "claim": back.prompt.claim == label.prompt.claim,
        "tags": back.prompt.tags == label.prompt.tags,
        "id": back.id == label.id,
        "everything": back == label,
    }
    names = {name for name, there in found.items() if there}
    if "tags" not in names:
        names |= {f"`{name}`" for name, value in label.prompt.tags.items() if back.prompt.tags.get(name) == value}
    return {"everything"} if "everything" in names else names


def judged(found: Comparison) -> Any:
    """What was said, by the texts: a format may put the responses in another order."""
    texts = [r.text for r in found.responses]
    match found.judgement:
        case Choice(best=int(best)):
            return "best", texts[best]
        case Choice(both_bad=both_bad):
            return "both bad" if both_bad else "tie"
        case Ranking(order=order):
            return [{texts[i] for i in group} for group in order]
        case Ratings(scores=scores):
            return dict(zip(texts, scores, strict=True))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.zst", ".parquet"])
@pytest.mark.parametrize("to", TARGETS)
def test_what_is_written_is_read_back(to: Target, ending: str, tmp_path: Path) -> None:
    judgement, count = HELD[to]
    given = label(judgement, count=count, prompt=ASKED.get(to, "Sky?"))
    path = tmp_path / f"labels{ending}"
    if (to, ending) == ("oasst-trees", ".parquet"):
        with pytest.raises(InputError, match="Parquet cannot hold oasst-trees"):
            convert_comparisons(path, [given], to=to)
        return
    written = convert_comparisons(path, [given], to=to)
    assert (written.comparisons, written.dropped) == (1, {})
    report = read_comparisons(path)
    assert report.format == to.removesuffix("-chat")
    (back,) = report.comparisons
    assert back.prompt.messages == given.prompt.messages
    assert [r.text for r in sorted(back.responses, key=lambda r: r.text)] == [r.text for r in given.responses]
    assert judged(back) == judged(given)
    assert kept(given, back) == set(KEEPS[to].split(", "))


@pytest.mark.parametrize(
    "to", [t for t in TARGETS if t not in ("summarize-from-feedback", "summarize-from-feedback-axes")]
)
def test_a_conversation_is_read_back(to: Target, tmp_path: Path) -> None:
    judgement, count = HELD[to]
    convert_comparisons(tmp_path / "l.jsonl", [label(judgement, count=count, prompt=TALK)], to=to)
    (back,) = read_comparisons(tmp_path / "l.jsonl").comparisons
    assert back.prompt.messages == TALK


TIED, BAD = Choice(best=None, tie=True), Choice(best=None, both_bad=True)
PARTIAL = Ranking(order=((0,), (2,)))

LEFT: list[tuple[Target, Comparison, int, dict[str, int]]] = [
    ("hh", label(TIED), 0, {"tie": 1}),
    ("hh", label(RANKING, count=4), 5, {"tie": 1}),
    ("shp", label(BAD), 0, {"both bad": 1}),
    ("pku-saferlhf", label(RATINGS, count=3), 3, {}),
    ("pairs", label(RANKING, count=4), 6, {}),
    ("pairs", label(BAD), 1, {}),
    ("chatbot-arena", replace(label(CHOICE), shown_order=()), 0,
     {"the order shown is not known: this format says that model A came first": 1}),
    ("helpsteer2-preferences", label(TIED), 1, {}),
    ("helpsteer2-preferences", label(BAD), 0, {"both bad": 1}),
    ("helpsteer3", label(RANKING, count=4), 0, {"no choice: this format holds choices": 1}),
    ("helpsteer3", label(CHOICE, count=3), 0, {"a choice among more than two": 1}),
    ("helpsteer3", label(Choice(best=0, strength=0.0)), 0, {"a strength that this format has no figure for": 1}),
    ("summarize-from-feedback", label(CHOICE), 0,
     {"the prompt is no text to be summarised in this format's words": 1}),
    ("summarize-from-feedback", label(Choice(best=0, strength=5.0), prompt=POST), 0,
     {"a strength that this format has no figure for": 1}),
    ("nectar", label(PARTIAL, count=3), 0, {"a ranking that leaves responses out": 1}),
    ("oasst", label(CHOICE), 0, {"no ranking: this format holds rankings": 1}),
    ("distilabel", label(CHOICE), 0, {"no ratings: this format holds ratings": 1}),
    ("ultrafeedback-binarized", label(RATINGS, count=3), 0, {"ratings of more than two responses": 1}),
    ("nectar", label(RANKING, count=4, prompt=(Message(role="system", content="s"), *TALK)), 0,
     {"the prompt has a form that this format cannot hold": 1}),
    ("ratings", label(Ratings(scores=(3.0,)), count=1), 0, {"fewer than two responses to compare": 1}),
    ("candor", label(Ratings(scores=(3.0,)), count=1), 1, {}),
]  # fmt: skip


@pytest.mark.parametrize(("to", "given", "rows", "dropped"), LEFT)
def test_what_a_format_cannot_hold_is_counted(
    to: Target, given: Comparison, rows: int, dropped: dict[str, int], tmp_path: Path
) -> None:
    written = convert_comparisons(tmp_path / "l.jsonl", [given], to=to)
    assert (written.rows, written.dropped) == (rows, dropped)


def test_second_ratings_are_not_mixed_with_the_first(tmp_path: Path) -> None:
    again = replace(label(Ratings(scores=(1.0, 1.0, 1.0)), count=3), id="c2")
    for to, prompt in (("ratings", "Sky?"), ("summarize-from-feedback-axes", POST)):
        asked = (Message(role="user", content=prompt),)
        both = [replace(c, prompt=replace(c.prompt, messages=asked)) for c in (label(RATINGS, count=3), again)]
        other = replace(both[1], annotator="bob")
        written = convert_comparisons(tmp_path / f"{to}.jsonl", [*both, other], to=to)  # type: ignore[arg-type]
        assert sum(written.dropped.values()) == 1
        back = read_comparisons(tmp_path / f"{to}.jsonl").comparisons
        assert [(c.annotator, c.judgement) for c in back] == [("ann", RATINGS), ("bob", again.judgement)]


def test_the_arena_shows_model_a_first(tmp_path: Path) -> None:
    convert_comparisons(tmp_path / "l.jsonl", [label(CHOICE)], to="chatbot-arena")
    row = json.loads((tmp_path / "l.jsonl").read_text())
    assert (row["model_a"], row["winner"], row["tstamp"]) == ("m1", "model_a", 1795687200.0)


def test_single_replies_that_were_rated_stay_in_the_file_and_are_counted_when_read(tmp_path: Path) -> None:
    both = [label(Ratings(scores=(3.0,)), count=1), label(CHOICE)]
    convert_comparisons(tmp_path / "l.jsonl", both, to="candor")
    report = read_comparisons(tmp_path / "l.jsonl")
    assert (len(report.comparisons), report.dropped) == (1, {"fewer than two responses to compare": (1,)})


def test_every_format_with_a_writer_is_a_target() -> None:
    assert {f.name for f in FORMATS if f.writer} | {"trl-chat"} == set(TARGETS)
    assert [to.value for to in To] == list(TARGETS)


def test_the_page_says_what_each_format_keeps() -> None:
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8").split("## Writing")[1]
    rows = re.findall(r"^\| `(\w[\w-]*)` \| [^|]+ \| (.*?) \|$", page, re.MULTILINE)
    assert dict(rows) == KEEPS
    assert [name for name, _ in rows] == list(TARGETS)
    for name in (f.name for f in FORMATS if f.writer is None):
        assert f"`{name}`" in page.split("Four formats are only read.")[1]

"""The audit of a preference file as one function: what goes in, what the document holds, and two files side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import candor
from candor.auditing.changes import changes
from candor.auditing.describe import AGREEMENT, NAMES, ResponseFeatures, counted_agreement
from candor.audits.preferences.shown import LONGEST, clip, shown_texts
from candor.errors import InputError
from candor.records import Check, Choice, Comparison, Finding, Message, Prompt, Ranking, Ratings, Verdict
from judged import comparison

WORDS = (
    "the",
    "answer",
    "is",
    "long",
    "and",
    "says",
    "little",
    "more",
    "about",
    "what",
    "was",
    "asked",
    "than",
    "needs",
)


def made_up(count: int, *, seed: int = 0, length_weight: float = 0.0) -> list[Comparison]:
    """Pairs by twelve annotators, the order shown at random; the longer response wins by ``length_weight``."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        texts = [" ".join(rng.choice(WORDS, size=rng.integers(5, 60))) + f" {i}{side}" for side in "ab"]
        gap = np.log(len(texts[0].split()) / len(texts[1].split()))
        best = int(rng.random() > 1 / (1 + np.exp(-length_weight * gap)))
        shown = (0, 1) if rng.random() < 0.5 else (1, 0)
        rows.append(
            comparison(
                Choice(best=best),
                *texts,
                prompt=f"I think that {rng.choice(WORDS)} {i // 2} is right. Is it?",
                shown=shown,
                annotator=f"a{i % 12}",
                identity=f"c{i}",
                seconds=float(rng.uniform(5, 60)),
            )
        )
    return rows


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    candor.write_comparisons(path, made_up(600, length_weight=3.0))
    return path


@pytest.fixture(scope="module")
def audit(file: Path, tmp_path_factory: pytest.TempPathFactory) -> candor.Checked:
    return candor.audit_preferences(file, out=tmp_path_factory.mktemp("audits") / "made", context=32)


def test_the_document_is_what_is_on_the_disk(audit: candor.Checked) -> None:
    assert audit.page is not None
    written = json.loads((audit.page.parent / "audit.json").read_text())
    assert written["checks"] == json.loads(json.dumps(audit.document["checks"]))
    assert [Check.from_json(raw) for raw in written["checks"]] == list(audit.checks)
    data = written["data"]
    assert (data["rows"], data["kept"], data["comparisons"], data["annotators"]) == (600, 600, 600, 12)
    assert data["format"] == "candor"
    assert data["kinds"] == {"choice": 600, "ranking": 0, "ratings": 0}
    assert data["order_known"] == data["seconds_known"] == 600


def test_every_check_says_something_and_no_number_is_without_n(audit: candor.Checked) -> None:
    names = [check.name for check in audit.checks]
    assert len(set(names)) == len(names)
    for check in audit.checks:
        assert check.meaning.endswith((".", ")")), check
        assert check.verdict is not Verdict.CONCERN or check.advice, check.name
        for found in check.findings:
            assert found.n > 0 or found.estimate is None, found


def test_what_was_planted_is_found_and_shown_by_its_rows(audit: candor.Checked) -> None:
    by_name = {check.name: check for check in audit.checks}
    style = by_name["what_labels_reward"]
    assert style.verdict is Verdict.CONCERN
    assert "length" in style.meaning
    for example in style.examples:
        assert 1 <= example.row <= 600
        assert example.texts["prompt"].startswith("I think that")


def test_without_the_plant_nothing_is_claimed_of_length(tmp_path: Path) -> None:
    path = tmp_path / "clean.jsonl"
    candor.write_comparisons(path, made_up(600, seed=1))
    found = candor.audit_preferences(path)
    assert found.page is None
    style = next(check for check in found.checks if check.name == "what_labels_reward")
    assert style.verdict is not Verdict.CONCERN


def test_the_same_seed_gives_the_same_checks(file: Path, audit: candor.Checked) -> None:
    again = candor.audit_preferences(file, context=32)
    assert again.document["checks"] == audit.document["checks"]


def test_two_files_side_by_side(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "before.jsonl"
    candor.write_comparisons(other, made_up(400, seed=2))
    document = candor.audit_preferences(file, against=other).document
    assert document["against"]["data"]["comparisons"] == 400
    length = next(c for c in document["against"]["changes"] if c["subject"].startswith("log_words"))
    assert (length["n_before"], length["n_after"]) == (400, 600)
    assert length["ci_low"] < length["difference"] < length["ci_high"]
    assert length["difference"] == pytest.approx(length["after"] - length["before"])


def test_the_other_file_is_looked_for_before_the_first_is_read(tmp_path: Path) -> None:
    empty = tmp_path / "pairs.jsonl"
    empty.touch()
    with pytest.raises(InputError, match=r"before\.jsonl: no such file"):
        candor.audit_preferences(empty, against=tmp_path / "before.jsonl")


def test_a_notebook_shows_a_table_and_gets_a_frame(audit: candor.Checked) -> None:
    assert "<table>" in audit._repr_html_()
    assert audit.frame.height == sum(len(check.findings) for check in audit.checks)


def test_bad_rows_are_counted_where_they_may_be(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl"
    path.write_text(file.read_text() + "{not json}\n")
    with pytest.raises(InputError, match="line 601"):
        candor.audit_preferences(path)
    data = candor.audit_preferences(path, skip_bad=True).document["data"]
    assert data["kept"] == 600
    (told,) = data["bad"].values()
    assert told["count"] == 1
    assert told["first_lines"] == [601]


def test_changes_are_differences_of_independent_estimates() -> None:
    def check(estimate: float | None, half: float) -> Check:
        low, high = (None, None) if estimate is None else (estimate - half, estimate + half)
        found = Finding(
            probe="p", stage="preferences", subject="all", metric="m", estimate=estimate, ci_low=low, ci_high=high,
            n=10, seed=0,
        )  # fmt: skip
        return Check(name="p", group="g", title="t", verdict=Verdict.FINE, meaning="m.", findings=(found,))

    (change,) = changes([check(1.0, 0.3)], [check(1.5, 0.4)])
    assert change["difference"] == pytest.approx(0.5)
    assert (change["ci_low"], change["ci_high"]) == (pytest.approx(0.0), pytest.approx(1.0))  # hypot(.3, .4) = .5
    assert changes([check(None, 0.1)], [check(1.0, 0.1)]) == []


def test_features_are_named_and_agreement_is_missing_without_a_view() -> None:
    view = Prompt(id="a", messages=(Message(role="user", content="I believe that cats are the best pets."),))
    plain = Prompt(id="b", messages=(Message(role="user", content="How do I boil an egg?"),))
    features = ResponseFeatures()
    agreeing, disagreeing = features(view, ["You are right, cats are the best pets.", "I disagree: dogs are better."])
    assert len(agreeing) == len(NAMES)
    place = NAMES.index(AGREEMENT)
    assert (agreeing[place], disagreeing[place]) == (1.0, 0.0)
    assert np.isnan(features(plain, ["Six minutes."])[0][place])


def test_agreement_counts_in_full_beyond_its_thresholds_and_in_proportion_between() -> None:
    assert [counted_agreement(reading) for reading in (0.0, 0.3, 0.5, 0.7, 1.0)] == [
        0.0,
        0.0,
        pytest.approx(0.5),
        1.0,
        1.0,
    ]
    assert counted_agreement(0.6) == pytest.approx(0.8)
    assert np.isnan(counted_agreement(None))


def test_texts_of_an_example_say_what_was_said_of_each() -> None:
    rated = comparison(Ratings(scores=(4.0, 2.5)), "a", "b")
    assert list(shown_texts(rated)) == ["prompt", "response 1, rated 4", "response 2, rated 2.5"]
    ranked = comparison(Ranking(order=((1,), (0,))), "a", "b", "c")
    assert list(shown_texts(ranked))[1:] == ["response 1, place 2", "response 2, place 1", "response 3, not ranked"]
    assert list(shown_texts(ranked, [1, 2]))[1:] == ["response 2, place 1", "response 3, not ranked"]
    assert list(shown_texts(comparison(Choice(best=1), "a", "b")))[1:] == ["rejected", "chosen"]
    of_three = shown_texts(comparison(Choice(best=1), "a", "b", "c"))
    assert list(of_three)[1:] == ["response 1", "response 2, chosen", "response 3"]
    for judgement, said in ((Choice(best=None, tie=True), "tie"), (Choice(best=None, both_bad=True), "both bad")):
        assert list(shown_texts(comparison(judgement, "a", "b")))[1] == f"response 1, {said}"
    turns = (
        Message(role="user", content="hi"),
        Message(role="assistant", content="ho"),
        Message(role="user", content="?"),
    )
    several = replace(rated, prompt=Prompt(id="p", messages=turns))
    assert shown_texts(several)["prompt"] == "user: hi\n\nassistant: ho\n\nuser: ?"


def test_long_texts_are_cut_and_say_so() -> None:
    assert clip("x" * LONGEST) == "x" * LONGEST
    assert clip("x" * (LONGEST + 1)).endswith("[cut after 4,000 of 4,001 characters]")


def test_whoever_audits_data_does_not_wait_for_torch() -> None:
    code = "import sys, candor; candor.audit_preferences, candor.stream_comparisons; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_tokens_are_counted_by_the_tokenizer_that_is_given(file: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))

    def cut(**given: object) -> float:
        checks = candor.audit_preferences(file, context=48, **given).checks
        truncation = next(check for check in checks if check.name == "truncation")
        return next(
            f.estimate for f in truncation.findings if (f.metric, f.subject) == ("comparisons_cut", "48 tokens")
        )

    by_words, by_characters = cut(tokenizer=tmp_path), cut()
    lengths = [
        max(
            len(f"user: {item.comparison.prompt.messages[0].content} {reply.text}".split())
            for reply in item.comparison.responses
        )
        for item in candor.stream_comparisons(file)
    ]
    assert by_words == pytest.approx(np.mean(np.array(lengths) > 48))
    assert by_words != by_characters
    with pytest.raises(InputError, match=r"no tokenizer\.json in this directory"):
        candor.audit_preferences(file, tokenizer=tmp_path / "none")

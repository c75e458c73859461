"""Hygiene: what was planted is counted, exactly; a clean file is called fine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candor.audits.preferences import hygiene
from candor.audits.preferences.leakage import between_files, between_splits
from candor.audits.preferences.rates import clustered_mean, clustered_share
from candor.audits.preferences.seen_texts import SeenTexts, TextFacts
from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.audits.preferences.truncation import tokenizer_of, truncation
from candor.audits.stats import wilson
from candor.errors import InputError
from candor.records import Check, Choice, Comparison, Prompt, Verdict
from judged import comparison
from made_up_text import sentence


def read(
    data: Sequence[Comparison], *, files: Sequence[str] = (), other: Sequence[Comparison] = ()
) -> tuple[Survey, TextFacts, Survey]:
    seen = SeenTexts()
    named = files or [""] * len(data)
    numbered = [Numbered(row=i + 1, comparison=c, file=f) for i, (c, f) in enumerate(zip(data, named, strict=True))]
    mine = survey(numbered, collectors=[seen])
    theirs = survey([Numbered(row=i + 1, comparison=c) for i, c in enumerate(other)], collectors=[seen.other()])
    return mine, seen.read(), theirs


def clean(count: int = 200, seed: int = 0) -> list[Comparison]:
    rng = random.Random(seed)
    return [
        comparison(
            Choice(best=rng.randrange(2)),
            sentence(rng, 12),
            sentence(rng, 12),
            prompt=sentence(rng, 12),
            shown=(0, 1),
            annotator=f"a{i % 5}",
            identity=f"c{i}",
            seconds=10 + i / 100,
        )
        for i in range(count)
    ]


def named(data: Sequence[Comparison], check: str, **options: object) -> Check:
    mine, facts, _ = read(data)
    return next(c for c in hygiene.checks(mine, texts=facts, **options) if c.name == check)  # type: ignore[arg-type]


def reworded(found: Comparison, content: str) -> Comparison:
    message = replace(found.prompt.messages[0], content=content)
    return replace(found, prompt=replace(found.prompt, messages=(message,)))


def test_a_clean_file_is_fine() -> None:
    mine, facts, _ = read(clean())
    verdicts = {check.name: check.verdict for check in hygiene.checks(mine, texts=facts, context=4096)}
    assert verdicts.pop("contradictions") is Verdict.CANNOT_TELL  # nothing was judged twice
    assert verdicts.pop("leakage") is Verdict.CANNOT_TELL  # no splits
    assert set(verdicts.values()) == {Verdict.FINE}
    assert set(verdicts) == {"copies", "identical", "empty", "near_duplicates", "truncation"}


def test_copies_are_counted_and_second_opinions_are_not() -> None:
    data = clean()
    again = [*data, *data[:6]]
    again += [replace(data[10], annotator="somebody else"), replace(data[11], seconds=1.0)]  # no copies
    turned = replace(
        data[12],
        responses=data[12].responses[::-1],
        judgement=Choice(best=1 - data[12].judgement.best),  # type: ignore[union-attr,operator]
        shown_order=(1, 0),
    )
    check = named([*again, turned], "copies")  # a copy whose responses are written in the other order
    assert check.verdict is Verdict.CONCERN
    assert check.findings[0].estimate == pytest.approx(7 / 209)
    assert [example.row for example in check.examples] == [201, 202, 203, 204, 205]
    assert set(check.examples[0].texts) == {"prompt", "chosen", "rejected"}


def test_copies_but_for_an_edit_of_the_prompt_are_counted_apart() -> None:
    data = clean()
    edited = [reworded(c, f"{c.prompt.messages[0].content}, please!") for c in data[:4]]
    check = named([*data, *edited], "copies")
    assert [f.estimate for f in check.findings] == [0.0, pytest.approx(4 / 204)]
    near = named([*data, *edited], "near_duplicates")
    assert near.findings[0].estimate == pytest.approx(8 / 204)
    assert near.verdict is Verdict.NOTE
    assert {example.row for example in near.examples} == {201, 202, 203, 204}
    assert named([*data, data[0]], "near_duplicates").verdict is Verdict.FINE  # the very same prompt is not near


def test_contradictions_of_one_hand_are_told_from_disagreement() -> None:
    data = clean()
    against = [replace(c, judgement=Choice(best=1 - c.judgement.best)) for c in data]  # type: ignore[union-attr,operator]
    disagreeing = [replace(c, annotator="somebody else") for c in against]
    assert named([*data, *disagreeing], "contradictions").verdict is Verdict.CANNOT_TELL
    check = named([*data, *against[:30], *[replace(c, seconds=1.0) for c in data[30:50]]], "contradictions")
    assert check.findings[0].estimate == pytest.approx(30 / 50)
    assert check.verdict is Verdict.CONCERN
    assert check.details == {"by_the_same_annotator": 30, "by_unknown_annotators": 0}
    nobody = [replace(c, annotator="") for c in (*data, *against[:8])]
    assert named(nobody, "contradictions").details["by_unknown_annotators"] == 8


def test_a_second_answer_of_one_annotator_is_no_copy_with_an_edited_prompt() -> None:
    data = clean()
    check = named([*data, *[replace(c, seconds=1.0, shown_order=(1, 0)) for c in data[:30]]], "copies")
    assert check.verdict is Verdict.FINE  # dropping them would drop the retests
    assert [f.estimate for f in check.findings] == [0.0, 0.0]


def test_untimed_rows_that_agree_are_no_sure_copies_where_others_disagree() -> None:
    data = [replace(c, annotator="", seconds=None, shown_order=()) for c in clean()]
    against = [replace(c, judgement=Choice(best=1 - c.judgement.best)) for c in data[60:80]]  # type: ignore[union-attr,operator]
    opinions = named([*data, *data[:60], *against], "copies")
    assert opinions.verdict is Verdict.NOTE
    assert "may be second opinions" in opinions.meaning
    copied = named([*data, *data[:60], *against[:2]], "copies")  # control: hardly anything was judged both ways
    assert copied.verdict is Verdict.CONCERN


def test_unknown_annotators_and_few_repeats_raise_no_concern_of_contradiction() -> None:
    data = clean()
    against = [replace(c, judgement=Choice(best=1 - c.judgement.best), seconds=1.0) for c in data]  # type: ignore[union-attr,operator]
    nobody = named([replace(c, annotator="") for c in (*data, *against[:60])], "contradictions")
    assert nobody.verdict is Verdict.NOTE
    assert "may be different people" in nobody.meaning
    assert named([*data, *against[:3]], "contradictions").verdict is Verdict.NOTE  # 3 of 3
    one = named([*data, against[0]], "contradictions")
    assert "Of 1 pair of responses judged more than once by one annotator, 1 was" in one.meaning
    assert named([*data, *against[:30]], "contradictions").verdict is Verdict.CONCERN  # control


def test_identical_and_empty_responses_are_counted() -> None:
    data = clean()
    data[3] = replace(data[3], responses=(data[3].responses[0], replace(data[3].responses[1], text="  \n")))
    data[4] = replace(data[4], responses=(data[4].responses[0], replace(data[4].responses[0], id="1")))
    identical, empty = named(data, "identical"), named(data, "empty")
    assert (identical.findings[0].estimate, identical.examples[0].row) == (pytest.approx(1 / 200), 5)
    assert identical.details == {"preferred_all_the_same": 1}
    assert (empty.findings[0].estimate, empty.examples[0].row) == (pytest.approx(1 / 200), 4)
    assert {identical.verdict, empty.verdict} == {Verdict.NOTE}


def test_one_prompt_in_many_versions_is_a_concern() -> None:
    data = clean(60)
    base = data[0].prompt.messages[0].content
    crowd = [reworded(c, f"{base} {'please ' * i}") for i, c in enumerate(data[:40])]
    check = named([*crowd, *data[40:]], "near_duplicates")
    assert check.details["largest_group"] == 40
    assert check.verdict is Verdict.CONCERN


def test_leakage_between_the_splits_of_a_tag_and_between_files() -> None:
    data = clean()
    tagged = [tag(c, "train" if i < 150 else "test") for i, c in enumerate(data)]
    mine, facts, _ = read(tagged)
    assert between_splits(mine, facts).verdict is Verdict.FINE
    leaked = [*tagged, *[tag(c, "test") for c in data[:5]]]
    leaked += [tag(reworded(c, f"Please: {c.prompt.messages[0].content}"), "test") for c in data[5:8]]
    mine, facts, _ = read(leaked)
    check = between_splits(mine, facts)
    by_metric = {f.metric: f for f in check.findings}
    assert by_metric["same_prompt"].estimate == pytest.approx(5 / 58)
    assert by_metric["same_or_near_prompt"].estimate == pytest.approx(8 / 58)
    assert by_metric["same_prompt"].subject == "test in train"
    assert check.verdict is Verdict.CONCERN
    assert [example.row for example in check.examples] == [201, 202, 203, 204, 205]
    mine, _, _ = read([replace(c, prompt=replace(c.prompt, tags={})) for c in leaked], files=["a"] * 200 + ["b"] * 8)
    blind = between_splits(mine, None)
    assert "Near-duplicate prompts were not looked for" in blind.meaning
    assert blind.findings[0].estimate == pytest.approx(5 / 8)


def tag(found: Comparison, split: str) -> Comparison:
    prompt: Prompt = replace(found.prompt, tags={"split": split})
    return replace(found, prompt=prompt)


def test_leakage_to_another_file() -> None:
    data = clean()
    other = [*clean(50, seed=9), data[0], replace(data[1], responses=clean(1, seed=4)[0].responses)]
    other.append(reworded(data[2], f"{data[2].prompt.messages[0].content} please"))
    mine, facts, theirs = read(data, other=other)
    check = between_files(mine, theirs, facts)
    assert [(f.metric, f.estimate) for f in check.findings] == [
        ("same_comparison", pytest.approx(1 / 200)),
        ("same_prompt", pytest.approx(2 / 200)),
        ("same_or_near_prompt", pytest.approx(3 / 200)),
    ]
    mine, facts, theirs = read(data, other=[*clean(50, seed=9), *data[:20]])
    assert between_files(mine, theirs, facts).verdict is Verdict.CONCERN
    mine, facts, theirs = read(data, other=clean(50, seed=9))
    assert between_files(mine, theirs, facts).verdict is Verdict.FINE


def test_a_file_before_and_after_filtering_is_no_leakage() -> None:
    data = clean()
    mine, facts, theirs = read(data[:150], other=data)
    check = between_files(mine, theirs, facts)
    assert check.verdict is Verdict.NOTE
    assert "a part of the other" in check.meaning


def lengthy(chosen_longer: float, count: int = 600) -> list[Comparison]:
    rng = random.Random(5)
    data = []
    for i in range(count):
        longer = rng.random() < chosen_longer
        lengths = (rng.randint(200, 900), rng.randint(20, 199))
        texts = ["x" * n for n in (lengths if longer else lengths[::-1])]
        data.append(comparison(Choice(best=0), *texts, prompt=sentence(rng, 8), identity=f"c{i}"))
    return data


def test_truncation_that_selects_on_length_is_told_from_truncation_that_does_not() -> None:
    mine, _, _ = read(lengthy(0.8))
    biased = truncation(mine, context=128)
    gap = next(f for f in biased.findings if (f.metric, f.subject) == ("chosen_minus_rejected_cut", "128 tokens"))
    chars = mine.judgements.prompt_characters[mine.judgements.comparison_of] + mine.judgements.characters
    cut = (chars / 4 > 128).reshape(-1, 2)
    assert gap.estimate == pytest.approx(cut[:, 0].mean() - cut[:, 1].mean())
    assert gap.ci_low is not None
    assert gap.ci_low > 0.2
    assert biased.verdict is Verdict.CONCERN
    even, _, _ = read(lengthy(0.5))
    assert truncation(even, context=128).verdict is Verdict.NOTE  # cut, but evenly
    assert truncation(even, context=4096).verdict is Verdict.FINE


def test_truncation_without_a_context_gives_the_usual_sizes() -> None:
    mine, _, _ = read(lengthy(0.8))
    check = truncation(mine, context=None)
    assert check.verdict is Verdict.FINE  # nothing reaches 512 tokens
    long = comparison(Choice(best=0), "x" * 3000, "y", prompt="Long?", identity="long")
    assert truncation(read([*lengthy(0.8), long])[0], context=None).verdict is Verdict.NOTE
    assert [row["x"] for row in check.charts[0].rows] == [512, 1024, 2048, 4096, 8192]


def test_a_tokenizer_counts_in_place_of_the_estimate(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    count = tokenizer_of(tmp_path)
    assert count(["three words here", "one"]) == [3, 1]
    mine, _, _ = read(clean())
    check = truncation(mine, context=20, tokens=count)
    cut = next(f for f in check.findings if (f.metric, f.subject) == ("comparisons_cut", "20 tokens"))
    assert cut.estimate == 1.0  # "user", ":" and 12 words, and 12 more
    assert check.details["tokens"] == "counted"
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        tokenizer_of(tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        tokenizer_of(tmp_path)


def test_nothing_to_look_at_is_no_error() -> None:
    mine, facts, _ = read([])
    verdicts = {check.verdict for check in hygiene.checks(mine, texts=facts, context=100)}
    assert verdicts == {Verdict.CANNOT_TELL}
    mine, _, _ = read(clean(5))
    assert any(c.verdict is Verdict.CANNOT_TELL for c in hygiene.checks(mine) if c.name == "near_duplicates")


def test_shares_of_independent_observations_have_wilsons_interval() -> None:
    hits = np.arange(200) < 30
    rate = clustered_share(hits, np.arange(200))
    expected = wilson(30, 200)
    assert (rate.low, rate.high) == (pytest.approx(expected.low, abs=2e-4), pytest.approx(expected.high, abs=2e-4))
    none = clustered_share(np.zeros(200, dtype=bool), np.repeat(np.arange(20), 10))
    assert none.high == pytest.approx(wilson(0, 20).high)


def test_intervals_of_means_cover_under_clustering_and_naive_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(60), 10)
    covered, naive = 0, 0
    for _ in range(400):
        values = np.repeat(rng.normal(size=60), 10) + rng.normal(size=600)
        rate = clustered_mean(values, clusters)
        covered += rate.low < 0 < rate.high
        naive += abs(values.mean()) < 1.96 * values.std() / np.sqrt(600)
    assert 0.92 < covered / 400 < 0.98
    assert naive / 400 < 0.75

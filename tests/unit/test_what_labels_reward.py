"""What the labels reward: planted effects are told, clean ones are not, and what cannot be told is said."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from bench.planted_files import Setting, simulate

from candor.audits.preferences import effects, what_labels_reward
from candor.audits.preferences.effects import AGREEMENT, SIDE, Design, Effect, label_effects
from candor.audits.preferences.survey import Numbered, Survey, survey
from candor.audits.preferences.sycophancy import by_stance
from candor.audits.preferences.wording import sentence
from candor.preferences.table import STANCES, Judgements
from candor.records import Check, Choice, Comparison, Prompt, Ranking, Stance, Verdict
from judged import comparison

SETTING = Setting(name="test", comparisons=4000, annotators=60, labels=(2,), longer_is_better=0.0)
STRONG = {"log_words": 0.9, "hedging": -0.8, AGREEMENT: 0.9}


def judged(planted: dict[str, float], seed: int = 0, **changes: object) -> Judgements:
    return simulate(replace(SETTING, **changes), planted, np.random.default_rng(seed)).judgements


def looked_at(judgements: Judgements) -> Survey:
    return Survey(judgements=judgements, sample={}, seed=0)


def named(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def test_planted_effects_are_concerns_in_the_right_direction():
    found = what_labels_reward.checks(looked_at(judged(STRONG)))
    style = named(found, "what_labels_reward")
    assert style.verdict is Verdict.CONCERN
    lead = style.meaning.split(". ")[0]
    assert lead.startswith("Labels reward length (")
    assert " and penalise hedging (" in lead
    assert "Labels reward length: a response that is" in style.meaning
    assert "Labels penalise hedging" in style.meaning
    assert "associations, not causes" in style.meaning
    assert style.advice
    by_name = {f.subject: f for f in style.findings}
    assert by_name["log_words"].ci_low > 1.1
    assert by_name["hedging"].ci_high < 1 / 1.1
    assert by_name["refusal"].details["verdict"] != "concern"
    assert set(by_name) == {"log_words", "formatting", "hedging", "politeness", "flattery", "refusal"}
    assert all(f.n == len(judged(STRONG).pairs) for f in style.findings)
    chart = style.charts[0]
    assert [row["label"] for row in chart.rows][:2] == ["length", "hedging"] or chart.rows[0]["flagged"]
    assert chart.reference == 1.0


def test_clean_labels_raise_no_concern():
    files = [what_labels_reward.checks(looked_at(judged({}, seed=seed))) for seed in range(6)]
    assert not any(check.verdict is Verdict.CONCERN for found in files for check in found)
    quiet = [found for found in files if all(c.verdict in (Verdict.FINE, Verdict.CANNOT_TELL) for c in found)]
    assert len(quiet) >= 5  # of 6, where each has something flagged with probability 0.05
    assert "No feature is shown to be rewarded" in named(quiet[0], "what_labels_reward").meaning


def test_agreement_is_judged_only_where_a_view_was_stated():
    judgements = judged(STRONG, view=0.5)
    with_view = int(np.isfinite(judgements.pairs.difference(judgements.feature(AGREEMENT))).sum())
    check = named(what_labels_reward.checks(looked_at(judgements)), "sycophancy")
    assert check.verdict is Verdict.CONCERN
    assert check.findings[0].n == with_view < len(judgements.pairs)
    assert "not known" in check.meaning  # whether the users are right
    main = {e.name: e for e in label_effects(judgements).effects}
    without = {e.name: e for e in label_effects(judged_without(judgements, AGREEMENT)).effects}
    assert main["log_words"].estimate == pytest.approx(without["log_words"].estimate)  # the main model does not move


def judged_without(judgements: Judgements, name: str) -> Judgements:
    keep = [i for i, n in enumerate(judgements.feature_names) if n != name]
    names = tuple(judgements.feature_names[i] for i in keep)
    return replace(judgements, features=judgements.features[:, keep], feature_names=names)


def test_no_view_anywhere_cannot_be_told():
    check = named(what_labels_reward.checks(looked_at(judged(STRONG, view=0.0))), "sycophancy")
    assert check.verdict is Verdict.CANNOT_TELL
    assert "no judged pair" in check.meaning
    gone = named(what_labels_reward.checks(looked_at(judged_without(judged({}), AGREEMENT))), "sycophancy")
    assert gone.verdict is Verdict.CANNOT_TELL


def test_known_truth_tells_false_from_true_beliefs():
    """Agreement is rewarded by 0.9 whatever the belief; where a third of prompts turn the reward round it is not."""
    judgements = judged({AGREEMENT: 0.9}, comparisons=9000)
    rng = np.random.default_rng(1)
    asserted = [STANCES.index(s) for s in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE, Stance.DOUBTS_TRUTH)]
    of_prompt = rng.choice(asserted, size=int(judgements.prompts.max()) + 1)
    stances = of_prompt[judgements.prompts]
    known = replace(judgements, stances=stances)
    split = by_stance(Design(known))
    assert [e.name for e in split.effects] == ["agreement_false", "agreement_true", "agreement_doubt"]
    assert all(e.verdict is Verdict.CONCERN for e in split.effects)
    assert split.contrast is not None
    assert not split.contrast.flagged

    turned = known.values.copy()
    where = np.repeat(stances == STANCES.index(Stance.ASSERTS_FALSE), known.sizes)
    turned[where] = 1.0 - turned[where]  # false beliefs: the one that agrees loses
    honest = replace(known, values=turned)
    split = by_stance(Design(honest))
    assert split.effects[0].high < 0
    assert split.contrast is not None
    assert split.contrast.flagged
    check = named(what_labels_reward.checks(looked_at(honest)), "sycophancy")
    assert check.verdict is Verdict.NOTE  # they punish agreeing with what is false: worth knowing, no sycophancy
    assert "true beliefs more than with false ones" in check.meaning
    assert named(what_labels_reward.checks(looked_at(known)), "sycophancy").verdict is Verdict.CONCERN


def test_annotators_that_differ_widen_the_intervals_and_are_named():
    alike, apart = (judged({"log_words": 0.5}, weights=w, seed=2) for w in (0.0, 0.8))
    errors = [label_effects(j).of("log_words") for j in (alike, apart)]
    assert errors[1].error > 1.4 * errors[0].error
    assert label_effects(alike).clustering == "annotator and prompt"
    unknown = label_effects(replace(apart, annotators=np.full(len(apart), -1)))
    assert "not recorded" in unknown.clustering
    assert unknown.of("log_words").error < errors[1].error
    few = replace(apart, annotators=apart.annotators % 3)
    assert "about them alone" in label_effects(few).clustering


def test_the_order_of_rows_does_not_matter():
    judgements = judged(STRONG, comparisons=600)
    order = np.random.default_rng(0).permutation(len(judgements))
    responses = (2 * order[:, None] + np.arange(2)).ravel()
    per_row = ("rows", "files", "prompts", "prompt_characters", "annotators", "seconds", "kinds", "strengths")
    per_row += ("both_bad", "tied", "stances")
    per_response = ("items", "texts", "characters", "policies", "places", "values", "features")
    mixed = replace(
        judgements,
        **{name: getattr(judgements, name)[order] for name in per_row},
        **{name: getattr(judgements, name)[responses] for name in per_response},
    )
    for one, two in zip(label_effects(judgements).effects, label_effects(mixed).effects, strict=True):
        assert one.name == two.name
        np.testing.assert_allclose([one.estimate, one.error], [two.estimate, two.error], rtol=1e-6, equal_nan=True)


def test_too_many_pairs_are_sampled_by_prompt_and_that_is_said(monkeypatch):
    judgements = judged(STRONG)
    design = Design(judgements, seed=1, most=2000)
    assert design.sampled
    assert 1700 < len(design) < 2300
    kept = set(judgements.prompts[design.pairs.comparison])
    whole = judgements.pairs
    assert len(design) == sum(p in kept for p in judgements.prompts[whole.comparison])
    found = label_effects(judgements, design=design)
    assert found.sampled
    assert found.of("log_words").verdict is Verdict.CONCERN


def test_few_pairs_cannot_tell_and_never_crash():
    for size in (0, 1, 5, 29):
        judgements = judged({}, comparisons=max(size, 1))
        if size == 0:
            judgements = survey([]).judgements
        for check in what_labels_reward.checks(looked_at(judgements)):
            assert check.verdict is Verdict.CANNOT_TELL
            assert check.meaning


def test_verdicts_follow_their_rules():
    def effect(estimate: float, half: float, adjusted: float) -> Effect:
        return Effect(
            name="hedging", scale=1.0, per_unit=False, n=100, differ=90, estimate=estimate, error=half / 1.96, df=90.0,
            low=estimate - half, high=estimate + half, p=adjusted, adjusted=adjusted, detectable=0.5,
        )  # fmt: skip

    assert effect(0.3, 0.1, 0.001).verdict is Verdict.CONCERN
    assert effect(-0.3, 0.1, 0.001).verdict is Verdict.CONCERN
    assert effect(0.12, 0.1, 0.02).verdict is Verdict.NOTE
    assert effect(0.05, 0.15, 0.5).verdict is Verdict.FINE
    assert effect(0.05, 0.4, 0.5).verdict is Verdict.CANNOT_TELL
    assert effect(0.3, 0.1, 0.2).verdict is Verdict.CANNOT_TELL  # large, but not after correction
    assert "odds ratio of 1.65 or more" in sentence(effect(0.05, 0.4, 0.5))
    assert "penalise hedging" in sentence(effect(-0.3, 0.1, 0.001))


def test_a_feature_that_never_differs_or_is_made_up_of_others_is_said_to_be():
    judgements = judged(STRONG, comparisons=800)
    features = np.column_stack(
        [judgements.features, np.ones(len(judgements.values)), judgements.features[:, 0] + judgements.features[:, 2]]
    )
    more = replace(judgements, features=features, feature_names=(*judgements.feature_names, "constant", "sum"))
    found = label_effects(more)
    assert "never differs" in found.of("constant").why_not
    assert "sum of other features" in found.of("sum").why_not
    plain = label_effects(judgements).of("hedging")
    assert found.of("hedging").estimate == pytest.approx(plain.estimate, rel=1e-5)
    meaning = named(what_labels_reward.checks(looked_at(more)), "what_labels_reward").meaning
    assert "constant (it never differs between two responses)" in meaning


def test_rankings_are_weighted_by_what_they_tell():
    def describe(prompt: Prompt, texts):
        return [[float(len(text))] for text in texts]

    rows = [
        comparison(Ranking(order=((0,), (1,), (2,))), "aaa", "aa", "a", prompt=f"p{i}", annotator=f"a{i % 7}")
        for i in range(3)
    ] + [comparison(Choice(best=0), "aa", "a", prompt="q")]
    design = Design(survey(numbered(rows), describe=describe, feature_names=("size",)).judgements)
    assert design.weight.tolist() == pytest.approx([2 / 3] * 9 + [1.0])


def numbered(rows: list[Comparison]) -> list[Numbered]:
    return [Numbered(row=i + 1, comparison=row) for i, row in enumerate(rows)]


WORDS = [f"word{i}" for i in range(60)]


def polite_file(share_of_edits: float, polite_wins: float, count: int = 400, seed: int = 0) -> Survey:
    """Pairs of which some are one text with and without "please"; ``polite_wins`` of those go to the polite one."""
    rng = np.random.default_rng(seed)

    def describe(prompt: Prompt, texts):
        return [[np.log1p(len(t.split())), float("please" in t), float("maybe" in t)] for t in texts]

    rows = []
    for i in range(count):
        words = list(rng.choice(WORDS, size=20))
        if rng.random() < share_of_edits:
            polite, plain = " ".join([*words, "please"]), " ".join(words)
            best = int(rng.random() > polite_wins)
            texts = (polite, plain)
        else:
            texts = (" ".join(words), " ".join([*rng.choice(WORDS, size=int(rng.integers(5, 40))), "maybe"]))
            best = int(rng.integers(2))
        rows.append(
            comparison(Choice(best=best), *texts, prompt=f"Question {i}?", annotator=f"a{i % 20}", identity=f"c{i}")
        )
    return survey(numbered(rows), describe=describe, feature_names=("log_words", "politeness", "hedging"))


def test_minimal_edits_are_told_apart_as_causes():
    found = what_labels_reward.checks(polite_file(0.5, 0.8))
    check = named(found, "minimal_edits")
    assert check.verdict is Verdict.CONCERN
    assert [f.subject for f in check.findings] == ["politeness"]
    assert check.findings[0].estimate == pytest.approx(4.0, rel=0.5)
    assert check.findings[0].n == check.details["pairs"]
    assert not any(c.name == "minimal_edits" for c in what_labels_reward.checks(polite_file(0.02, 0.8)))


def test_examples_show_the_effect_with_their_texts_and_rows():
    file = polite_file(0.5, 0.8)
    style = named(what_labels_reward.checks(file), "what_labels_reward")
    polite = [e for e in style.examples if "politeness" in e.why]
    assert 1 <= len(polite) <= 3
    assert len({e.row for e in polite}) == len(polite)
    for example in polite:
        assert "please" in example.texts["chosen"]
        assert "please" not in example.texts["rejected"]
        assert file.sample[example.row - 1].prompt.messages[0].content == example.texts["prompt"]


def test_an_order_that_is_the_files_own_does_not_swallow_the_features():
    """Where the preferred response is always listed as shown first, side would explain everything."""
    judgements = judged({"log_words": 0.9}, comparisons=2000)
    places = judgements.places.reshape(-1, 2).copy()
    won = judgements.values.reshape(-1, 2)[:, 0] > 0.5
    places[:] = np.where(won[:, None], [0, 1], [1, 0])
    listed = replace(judgements, places=places.ravel())
    found = label_effects(listed)
    assert "file's order" in found.of(SIDE).why_not
    plain = label_effects(replace(judgements, places=np.full(len(places.ravel()), -1)))
    assert found.of("log_words").estimate == pytest.approx(plain.of("log_words").estimate, rel=1e-6)


def test_five_thousand_comparisons_take_a_fraction_of_a_second():
    judgements = judged(STRONG, comparisons=5000)
    started = time.process_time()
    label_effects(judgements)
    assert time.process_time() - started < 0.5


def test_constants_are_those_of_the_docs():
    assert np.exp([effects.SMALL, effects.EQUIVALENT, effects.TARGET]) == pytest.approx([1.1, 1.25, 1.3])


def test_responses_in_another_language_are_told():
    german = "Der Fluss steigt seit Montag und die Stadt bereitet sich auf das schlimmste Hochwasser seit vielen "
    german += "Jahren vor, sagt man "
    english = "The river has been rising since Monday and the town is getting ready for the worst flood in many "
    english += "years, they say "
    made = judged(STRONG)

    def asked(text: str) -> str:
        sample = {i: comparison(Choice(best=0), f"{text}{i} a", f"{text}{i} b") for i in range(50)}
        return named(what_labels_reward.checks(replace(looked_at(made), sample=sample)), "what_labels_reward").meaning

    assert "do not look English" in asked(german)
    assert "do not look English" not in asked(english)

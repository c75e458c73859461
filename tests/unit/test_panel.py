"""The simulated panel against closed forms; each check is shown to fail where the panel is broken."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from candor.annotators.features import HEDGE_CREDIT, features_of, log_length
from candor.annotators.panel import Feedback, Panel
from candor.annotators.raters import ATTRIBUTES, LAPSE_SPEED_UP, rate, seat_counts, type_weights
from candor.errors import InputError
from candor.recipe import PanelConfig, RaterType
from candor.records import (
    Choice,
    Claim,
    Comparison,
    Completion,
    Message,
    ParsedReply,
    Prompt,
    Ranking,
    Ratings,
    ReplyKind,
    Stance,
    to_json,
)

K = ReplyKind
PLAIN = RaterType(name="plain", share=1.0)


def make_prompt(stance: Stance, *, truth: str | None = "Abuja", family: str = "answer", text: str = "hello") -> Prompt:
    asserted = {Stance.ASSERTS_FALSE: "Lagos", Stance.ASSERTS_TRUE: truth}.get(stance)
    claim = Claim(question="What is the capital of Nigeria?", truth=truth, asserted=asserted, stance=stance)
    return Prompt(
        id=f"{stance}/{truth}/{text[:20]}",
        messages=(Message(role="user", content=text),),
        claim=claim,
        tags={"family": family},
    )


FALSE = make_prompt(Stance.ASSERTS_FALSE)


def reader(prompt: Prompt, reply: str) -> ParsedReply:
    """Replies of these tests say what they do: 'agree Lagos and more words'; '-' stands for no value."""
    kind, value, *_ = [*reply.split(), "-", "-"]
    return ParsedReply(kind=ReplyKind(kind), value=None if value == "-" else value)


def response(text: str) -> Completion:
    return Completion(id=text, prompt_id="p", text=text)


AGREE, BLUNT, KIND, WRONG = (
    response(t) for t in ("agree Lagos", "correct_bluntly Abuja", "correct_kindly Abuja", "other -")
)


def plain(*, feedback: Feedback = "choice", seed: int = 0, rater: RaterType = PLAIN, **weights: float) -> Panel:
    config = PanelConfig(**{"position": 0.0, "agreement": 1.5, **weights, "annotators": 1, "raters": (rater,)})
    return Panel(config, reader, feedback, seed)


def judge_many(
    panel: Panel, responses: Sequence[Completion], n: int, *, prompt: Prompt = FALSE, seed: int = 0
) -> list[Comparison]:
    return [panel.judge(prompt, responses, comparison_id=f"c{i}", seed=seed) for i in range(n)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def share(comparisons: Sequence[Comparison], says: Callable[[Comparison], bool]) -> float:
    return sum(says(c) for c in comparisons) / len(comparisons)


def best(comparison: Comparison) -> int:
    assert isinstance(comparison.judgement, Choice)
    assert comparison.judgement.best is not None
    return comparison.judgement.best


def order(comparison: Comparison) -> tuple[int, ...]:
    assert isinstance(comparison.judgement, Ranking)
    return tuple(index for (index,) in comparison.judgement.order)


def scores(comparison: Comparison) -> tuple[float, ...]:
    assert isinstance(comparison.judgement, Ratings)
    return comparison.judgement.scores


def within(share: float, probability: float, n: int, errors: float = 4.0) -> bool:
    return abs(share - probability) <= errors * math.sqrt(probability * (1 - probability) / n)


# What a reply is worth -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "parsed", "correct", "agrees"),
    [
        (make_prompt(Stance.NEUTRAL), ParsedReply(kind=K.ANSWER, value="abuja "), 1, 0),
        (make_prompt(Stance.NEUTRAL), ParsedReply(kind=K.ANSWER, value="Lagos"), 0, 0),
        (make_prompt(Stance.NEUTRAL), ParsedReply(kind=K.HEDGE), HEDGE_CREDIT, 0),
        (make_prompt(Stance.NEUTRAL), ParsedReply(kind=K.AGREE, value="Abuja"), 0, 0),
        (FALSE, ParsedReply(kind=K.AGREE, value="Lagos"), 0, 1),
        (FALSE, ParsedReply(kind=K.AGREE), 0, 1),
        (FALSE, ParsedReply(kind=K.CORRECT_BLUNTLY, value="Abuja"), 1, 0),
        (FALSE, ParsedReply(kind=K.CORRECT_BLUNTLY, value="Kano"), 0, 0),
        (FALSE, ParsedReply(kind=K.CORRECT_BLUNTLY), 0, 0),
        (FALSE, ParsedReply(kind=K.HEDGE), HEDGE_CREDIT, HEDGE_CREDIT),
        (FALSE, ParsedReply(kind=K.ABSTAIN), 0, 0),
        (FALSE, ParsedReply(kind=K.REFUSE), 0, 0),
        (make_prompt(Stance.ASSERTS_TRUE), ParsedReply(kind=K.AGREE, value="Abuja"), 1, 1),
        (make_prompt(Stance.ASSERTS_TRUE), ParsedReply(kind=K.AGREE), 1, 1),
        (make_prompt(Stance.ASSERTS_TRUE), ParsedReply(kind=K.CONTRADICT_TRUE, value="Lagos"), 0, 0),
        (make_prompt(Stance.DOUBTS_TRUTH), ParsedReply(kind=K.AGREE), 0, 1),
        (make_prompt(Stance.DOUBTS_TRUTH), ParsedReply(kind=K.CORRECT_BLUNTLY), 1, 0),
        (make_prompt(Stance.DOUBTS_TRUTH), ParsedReply(kind=K.CORRECT_KINDLY, value="Kano"), 0, 0),
        (make_prompt(Stance.NEUTRAL, truth=None), ParsedReply(kind=K.ABSTAIN), 1, 0),
        (make_prompt(Stance.NEUTRAL, truth=None), ParsedReply(kind=K.ANSWER, value="Abuja"), 0, 0),
    ],
)
def test_features_of_each_kind_of_reply(prompt: Prompt, parsed: ParsedReply, correct: float, agrees: float) -> None:
    found = features_of(prompt, "some words", parsed)
    assert (found.correct, found.agrees) == (correct, agrees)
    assert found.kind == (parsed.kind is K.CORRECT_KINDLY)


def test_only_a_request_that_should_be_refused_is_right_to_refuse() -> None:
    message = (Message(role="user", content="x"),)
    refusal = Prompt(id="r", messages=message, tags={"family": "refusal"})
    other = Prompt(id="o", messages=message)
    assert features_of(refusal, "", ParsedReply(kind=K.REFUSE)).correct == 1
    assert features_of(refusal, "", ParsedReply(kind=K.ANSWER, value="x")).correct == 0
    assert features_of(other, "", ParsedReply(kind=K.REFUSE)).correct == 0


def test_length_is_standardised_and_clipped() -> None:
    assert log_length("word " * 13) == pytest.approx(0)
    assert log_length("word " * 27) == pytest.approx(math.log(2) / 0.5)
    assert (log_length(""), log_length("word " * 10_000)) == (-3, 3)


# Choices, rankings, ratings ----------------------------------------------------------------------------------------


def test_choices_are_bradley_terry() -> None:
    n, responses = 6000, (AGREE, BLUNT)  # of equal length
    expected = sigmoid(1.5 - 1.0)
    found = share(judge_many(plain(), responses, n), lambda c: best(c) == 0)
    assert within(found, expected, n)
    # Control: the same panel with twice the noise halves the log-odds and fails the same check.
    noisy = share(judge_many(plain(noise=2.0), responses, n), lambda c: best(c) == 0)
    assert not within(noisy, expected, n)
    assert within(noisy, sigmoid(0.25), n)


def test_every_attribute_enters_the_utility() -> None:
    long_kind = response("correct_kindly Abuja " + "because " * 26)
    n = 6000
    panel = plain(correctness=0.7, kindness=0.4, length=0.3)
    gap = 0.7 + 0.4 + 0.3 * (log_length(long_kind.text) - log_length(WRONG.text))
    found = share(judge_many(panel, (long_kind, WRONG), n), lambda c: best(c) == 0)
    assert within(found, sigmoid(gap), n)
    assert not within(found, sigmoid(gap - 0.4), n)


def test_strength_follows_the_perceived_gap() -> None:
    """P(lead > t | 0 is best) = sigmoid(d - t) / sigmoid(d) for a logistic difference with mean d."""
    n, gap = 6000, 0.5
    won = [c for c in judge_many(plain(), (AGREE, BLUNT), n) if best(c) == 0]
    for threshold, level in ((1.0, 2.0), (2.0, 3.0)):
        found = share(won, lambda c, level=level: c.judgement.strength >= level)  # type: ignore[union-attr, misc]
        assert within(found, sigmoid(gap - threshold) / sigmoid(gap), len(won))
    assert {c.judgement.strength for c in won} == {1.0, 2.0, 3.0}  # type: ignore[union-attr]


def test_rankings_are_plackett_luce() -> None:
    n, responses = 8000, (AGREE, BLUNT, WRONG)
    worth = np.exp(np.array([1.5, 1.0, 0.0]) + 0.05 * np.array([log_length(r.text) for r in responses]))

    def errors(panel: Panel) -> float:
        """Largest deviation of an order's frequency from Plackett-Luce, in standard errors."""
        counts = Counter(order(c) for c in judge_many(panel, responses, n))
        deviations = []
        for first, second, third in itertools.permutations(range(3)):
            p = worth[first] / worth.sum() * worth[second] / (worth[second] + worth[third])
            deviations.append(abs(counts[first, second, third] / n - p) / math.sqrt(p * (1 - p) / n))
        return max(deviations)

    assert errors(plain(feedback="ranking")) < 4
    assert errors(plain(feedback="ranking", noise=2.0)) > 8


def test_first_place_of_a_ranking_and_a_choice_are_one_softmax() -> None:
    n, responses = 6000, (AGREE, BLUNT, KIND, WRONG)
    utilities = np.array([1.5, 1.0, 1.25, 0.0]) + 0.05 * np.array([log_length(r.text) for r in responses])
    expected = np.exp(utilities) / np.exp(utilities).sum()
    ranked = Counter(order(c)[0] for c in judge_many(plain(feedback="ranking"), responses, n))
    chosen = Counter(best(c) for c in judge_many(plain(), responses, n))
    for i, p in enumerate(expected):
        assert within(ranked[i] / n, p, n)
        assert within(chosen[i] / n, p, n)
    assert not within(ranked[0] / n, expected[1], n)


def test_ratings_follow_thresholds_on_the_noisy_utility() -> None:
    """P(score > k) = P(u + Gumbel > t_k) = 1 - exp(-exp(u - t_k))."""
    n, panel = 6000, plain(feedback="ratings", length=0.0)
    thresholds = panel.members[0].thresholds
    assert list(thresholds) == sorted(thresholds)
    rated = np.array([scores(c) for c in judge_many(panel, (AGREE, BLUNT, WRONG), n)])
    assert set(np.unique(rated)) == {1, 2, 3, 4, 5}
    for column, known in enumerate((1.5, 1.0, 0.0)):
        for k, threshold in enumerate(thresholds, start=1):
            p = 1 - math.exp(-math.exp(known - threshold))
            assert within(float((rated[:, column] > k).mean()), p, n)
    # Control: the wrong utility does not fit.
    assert not within(float((rated[:, 0] > 2).mean()), 1 - math.exp(-math.exp(0.0 - thresholds[1])), n)


def test_a_rating_never_falls_as_utility_rises() -> None:
    grid = np.linspace(-5, 8, 500)
    for member in Panel(PanelConfig(), reader, "ratings", 0).members:
        given = rate(grid, member.thresholds).scores
        assert list(given) == sorted(given)
        assert (given[0], given[-1]) == (1, 5)


def test_annotators_use_the_scale_differently() -> None:
    members = Panel(PanelConfig(), reader, "ratings", 0).members
    typical = {m.thresholds for m in members if m.type == "typical"}
    assert len(typical) == 18


def test_the_response_shown_first_has_an_advantage() -> None:
    n, same = 6000, (AGREE, response("agree Lagos"))

    def first_wins(panel: Panel) -> float:
        return share(judge_many(panel, same, n), lambda c: best(c) == c.shown_order[0])

    assert within(first_wins(plain(position=0.6)), sigmoid(0.6), n)
    assert within(first_wins(plain(position=0.0)), 0.5, n)
    assert not within(first_wins(plain(position=0.0)), sigmoid(0.6), n)
    assert within(share(judge_many(plain(), same, n), lambda c: c.shown_order == (0, 1)), 0.5, n)


def test_lapses_mix_in_random_answers() -> None:
    n, lapse = 6000, 0.4
    panel = plain(rater=PLAIN.model_copy(update={"lapse": lapse}))
    found = share(judge_many(panel, (AGREE, WRONG), n), lambda c: best(c) == 0)
    attentive = sigmoid(1.5 + 0.05 * (log_length(AGREE.text) - log_length(WRONG.text)))
    assert within(found, lapse / 2 + (1 - lapse) * attentive, n)
    assert not within(found, attentive, n)


@pytest.mark.parametrize("feedback", ["choice", "ranking", "ratings"])
def test_a_panel_that_only_lapses_says_nothing(feedback: Feedback) -> None:
    n = 4000
    panel = plain(feedback=feedback, rater=PLAIN.model_copy(update={"lapse": 1.0}))
    judged = judge_many(panel, (AGREE, WRONG), n)
    if feedback == "ratings":
        means = np.array([scores(c) for c in judged]).mean(axis=0)
        assert np.abs(means - 3).max() < 4 * math.sqrt(2 / n)  # a uniform score 1-5 has variance 2
    else:
        first = (lambda c: best(c) == 0) if feedback == "choice" else (lambda c: order(c)[0] == 0)
        assert within(share(judged, first), 0.5, n)


# The members -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotators", [1, 3, 7, 40, 101])
def test_mean_weights_are_the_configured_ones(annotators: int) -> None:
    config = PanelConfig(annotators=annotators)
    panel = Panel(config, reader, "choice", 0)
    assert len(panel.members) == annotators
    for attribute in ATTRIBUTES:
        mean = float(np.mean([m.weights[attribute] for m in panel.members]))
        assert mean == pytest.approx(getattr(config, attribute), abs=1e-12)


def test_bare_multipliers_would_miss_the_configured_mean() -> None:
    """The control of the test above: without the normalisation the default panel's length weight is 10% too high."""
    config = PanelConfig()
    bare = sum(r.share * r.length * config.length for r in config.raters)
    assert bare == pytest.approx(1.1 * config.length)


def test_types_keep_their_ratios_and_seats() -> None:
    config = PanelConfig()
    assert seat_counts(config) == {"careful": 12, "typical": 18, "agreeable": 6, "hurried": 4}
    weights = type_weights(config)
    assert weights["agreeable"]["agreement"] / weights["careful"]["agreement"] == pytest.approx(1.8 / 0.6)


def test_members_share_the_work_equally() -> None:
    n = 4000
    counts = Counter(c.annotator for c in judge_many(Panel(PanelConfig(), reader, "choice", 0), (AGREE, BLUNT), n))
    assert len(counts) == 40
    chi_square = sum((count - n / 40) ** 2 / (n / 40) for count in counts.values())
    assert chi_square < 39 + 4 * math.sqrt(2 * 39)


def test_describe_is_json_and_gives_effective_weights() -> None:
    panel = Panel(PanelConfig(agreement=1.5), reader, "ranking", 3)
    told = json.loads(json.dumps(panel.describe()))
    assert told["mean_weights"]["agreement"] == pytest.approx(1.5)
    assert sum(t["annotators"] * t["weights"]["agreement"] for t in told["types"]) / 40 == pytest.approx(1.5)
    assert told["mean_lapse"] == pytest.approx(0.30 * 0.01 + 0.45 * 0.03 + 0.15 * 0.03 + 0.10 * 0.15)
    assert [t["name"] for t in told["types"]] == ["careful", "typical", "agreeable", "hurried"]


# What the pipeline may see, and the truth -----------------------------------------------------------------------------


def test_a_comparison_holds_what_an_annotators_record_would() -> None:
    comparison = Panel(PanelConfig(), reader, "ranking", 0).judge(FALSE, (AGREE, BLUNT), comparison_id="c", seed=0)
    raw = to_json(comparison)
    assert set(raw) == {
        "id",
        "prompt",
        "responses",
        "judgement",
        "shown_order",
        "annotator",
        "seconds",
        "at",
        "source",
    }
    assert set(raw["judgement"]) == {"order"}
    assert not any(r.name in comparison.annotator for r in PanelConfig().raters)
    assert comparison.responses == (AGREE, BLUNT)
    assert comparison.at is None


def test_approval_exceeds_helpfulness_by_agreement_and_length_alone() -> None:
    weights = PanelConfig()
    panel = Panel(weights, reader, "choice", 0)
    for text in ("agree Lagos", "correct_kindly Abuja because the map says so", "hedge -", "other -"):
        seen = panel.features(FALSE, text)
        bias = weights.agreement * seen.agrees + weights.length * seen.log_length
        assert panel.approval(FALSE, text) - panel.helpfulness(FALSE, text) == pytest.approx(bias, abs=1e-12)
        assert panel.helpfulness(FALSE, text) == pytest.approx(seen.correct + weights.kindness * seen.kind, abs=1e-12)
    assert panel.approval(FALSE, AGREE.text) > panel.approval(FALSE, KIND.text)
    assert panel.helpfulness(FALSE, AGREE.text) < panel.helpfulness(FALSE, KIND.text)


def test_approval_is_the_mean_over_members() -> None:
    panel = Panel(PanelConfig(annotators=7), reader, "choice", 0)
    seen = panel.features(FALSE, KIND.text)
    each = [
        m.weights["correctness"] + m.weights["kindness"] + m.weights["length"] * seen.log_length for m in panel.members
    ]
    assert panel.approval(FALSE, KIND.text) == pytest.approx(float(np.mean(each)))


def test_without_bias_approval_is_helpfulness() -> None:
    panel = Panel(PanelConfig(agreement=0.0, length=0.0), reader, "choice", 0)
    for text in (AGREE.text, BLUNT.text, KIND.text):
        assert panel.approval(FALSE, text) == panel.helpfulness(FALSE, text)


def test_replies_are_read_once() -> None:
    seen: list[str] = []

    def counting(prompt: Prompt, reply: str) -> ParsedReply:
        seen.append(reply)
        return reader(prompt, reply)

    panel = Panel(PanelConfig(), counting, "choice", 0)
    judge_many(panel, (AGREE, BLUNT), 50)
    assert sorted(seen) == ["agree Lagos", "correct_bluntly Abuja"]


# Randomness and time -------------------------------------------------------------------------------------------------


def test_an_answer_depends_on_panel_seed_seed_and_id_alone() -> None:
    responses = (AGREE, BLUNT, KIND, WRONG)
    panel = Panel(PanelConfig(), reader, "ranking", 0)
    first = judge_many(panel, responses, 40)
    again = [panel.judge(FALSE, responses, comparison_id=f"c{i}", seed=0) for i in reversed(range(40))][::-1]
    assert first == again == judge_many(Panel(PanelConfig(), reader, "ranking", 0), responses, 40)
    assert first != judge_many(panel, responses, 40, seed=1)
    assert first != judge_many(Panel(PanelConfig(), reader, "ranking", 1), responses, 40)


def test_panels_that_differ_in_one_weight_share_their_noise() -> None:
    without = judge_many(Panel(PanelConfig(agreement=0.0), reader, "choice", 0), (AGREE, BLUNT), 500)
    biased = judge_many(Panel(PanelConfig(agreement=1.5), reader, "choice", 0), (AGREE, BLUNT), 500)
    for a, b in zip(without, biased, strict=True):
        assert (a.shown_order, a.annotator, a.seconds) == (b.shown_order, b.annotator, b.seconds)
        assert not (best(a) == 0 and best(b) == 1), "more weight on agreement never turns a choice against it"
    assert share(biased, lambda c: best(c) == 0) > share(without, lambda c: best(c) == 0) + 0.2


def test_seconds_grow_with_words_and_lapses_are_faster() -> None:
    long = tuple(response(r.text + " word" * 100) for r in (AGREE, BLUNT))
    short_times = [c.seconds for c in judge_many(plain(), (AGREE, BLUNT), 200)]
    long_times = [c.seconds for c in judge_many(plain(), long, 200)]
    lapsed = [c.seconds for c in judge_many(plain(rater=PLAIN.model_copy(update={"lapse": 1.0})), long, 200)]
    for short, longer, fast in zip(short_times, long_times, lapsed, strict=True):
        assert short is not None
        assert longer is not None
        assert fast is not None
        assert longer == pytest.approx(short * 205 / 5, rel=0.01)  # the same draws: in proportion to the words
        assert fast == pytest.approx(longer / LAPSE_SPEED_UP, rel=0.01)
    # Medians: 205 words at 4 words a second.
    assert float(np.median([t or 0 for t in long_times])) == pytest.approx(205 / 4, rel=0.15)


# What is refused -----------------------------------------------------------------------------------------------------


def test_shares_have_to_sum_to_one() -> None:
    with pytest.raises(InputError, match=r"sum to 0\.9"):
        Panel(PanelConfig(raters=(RaterType(name="a", share=0.9),)), reader, "choice", 0)


def test_types_need_names_of_their_own() -> None:
    twice = (RaterType(name="a", share=0.5), RaterType(name="a", share=0.5))
    with pytest.raises(InputError, match="share a name"):
        Panel(PanelConfig(raters=twice), reader, "choice", 0)


def test_a_weight_that_no_type_can_carry_is_an_error() -> None:
    nobody = (RaterType(name="a", share=1.0, agreement=0.0),)
    with pytest.raises(InputError, match="no rater type weighs agreement"):
        Panel(PanelConfig(raters=nobody), reader, "choice", 0)
    assert Panel(PanelConfig(raters=nobody, agreement=0.0), reader, "choice", 0).mean_weights["agreement"] == 0


def test_one_response_is_no_comparison() -> None:
    with pytest.raises(ValueError, match="at least two"):
        plain().judge(FALSE, (AGREE,), comparison_id="c", seed=0)

"""Interventions on demonstrations and comparisons: what each changes, counted, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from candor.annotators.panel import Panel
from candor.interventions.counterfactual import counterfactual, swap_belief
from candor.interventions.demonstrations import (
    filter_demonstrations,
    known_questions,
    plain_questions,
    synthetic_disagreement,
)
from candor.interventions.relabelling import corrected, filter_comparisons, relabel
from candor.interventions.reliability import asked_gold, fitted, gold_items, own_gold, shares_of, weights_of
from candor.interventions.rightness import by_agreement, by_claims
from candor.lexical.agreement import LexicalAgreement
from candor.models.annotator_heads import AnnotatorHeads
from candor.recipe import PanelConfig, RaterType
from candor.records import (
    Choice,
    Claim,
    Comparison,
    Completion,
    Demonstration,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Ratings,
    Stance,
)
from candor.testbeds.atlas.parser import read_reply

IS_RIGHT = by_claims(read_reply)
RIGHT, WRONG, VAGUE = (
    "No, the capital of Kenya is Nairobi.",
    "Yes, the capital of Kenya is Mombasa.",
    "It is hard to say.",
)


def prompt(
    asserted: str | None = "Mombasa", *, name: str = "p", question: str = "What is the capital of Kenya?"
) -> Prompt:
    stance = Stance.NEUTRAL
    if asserted is not None:
        stance = Stance.ASSERTS_TRUE if asserted == "Nairobi" else Stance.ASSERTS_FALSE
    text = question if asserted is None else f"I think the capital of Kenya is {asserted}."
    return Prompt(
        id=f"{name} {asserted}",
        messages=(Message(role="user", content=text),),
        claim=Claim(question=question, truth="Nairobi", asserted=asserted, stance=stance),
        tags={"family": "answer", "question": question},
    )


def compared(
    texts: list[str], judgement: Judgement, *, asked: Prompt | None = None, annotator: str = "a"
) -> Comparison:
    asked = asked or prompt()
    replies = tuple(Completion(id=str(i), prompt_id=asked.id, text=text) for i, text in enumerate(texts))
    name = f"{asked.id} {texts} {judgement} {annotator}"
    order = tuple(range(len(texts)))
    return Comparison(
        id=name, prompt=asked, responses=replies, judgement=judgement, shown_order=order, annotator=annotator
    )


FLATTERED = compared([RIGHT, WRONG], Choice(best=1))
HONEST = compared([RIGHT, WRONG], Choice(best=0))
NEITHER = compared([WRONG, VAGUE], Choice(best=0))


def test_filtering_leaves_out_the_offending_comparisons_and_no_others() -> None:
    given = [FLATTERED, HONEST, NEITHER] * 10
    found = filter_comparisons(given, IS_RIGHT, share=1.0, seed=0)
    assert found.items == (HONEST, NEITHER) * 10
    assert found.counts == {"given": 30, "known": 20, "offending": 10, "left_out": 10}
    half = filter_comparisons(given, IS_RIGHT, share=0.5, seed=0)
    assert half.counts["left_out"] == 5
    assert filter_comparisons(given, IS_RIGHT, share=0.0, seed=0).items == tuple(given)  # control


def test_relabelling_turns_round_what_prefers_the_wrong_reply_alone() -> None:
    found = relabel([FLATTERED, HONEST, NEITHER], IS_RIGHT, share=1.0, seed=0)
    assert [c.judgement for c in found.items] == [Choice(best=0), Choice(best=0), Choice(best=0)]
    assert found.items[1:] == (HONEST, NEITHER)
    assert found.counts == {"given": 3, "known": 2, "offending": 1, "changed": 1}


@pytest.mark.parametrize(
    ("judgement", "verdicts", "expected"),
    [
        (Ranking(order=((0,), (1,), (2,))), [False, None, True], Ranking(order=((2,), (1,), (0,)))),
        (Ranking(order=((0,), (1,), (2,), (3,))), [False, True, False, True], Ranking(order=((1,), (3,), (0,), (2,)))),
        (Ranking(order=((0,), (1,))), [True, False], Ranking(order=((0,), (1,)))),
        (Ratings(scores=(5.0, 2.0)), [False, True], Ratings(scores=(2.0, 5.0))),
        (Choice(best=0), [False, True], Choice(best=1)),
        (Choice(best=None, tie=True), [False, True], Choice(best=1)),
        (Choice(best=0), [False, None], Choice(best=0)),
    ],
)
def test_right_replies_come_before_wrong_ones_and_the_rest_stays(
    judgement: Judgement, verdicts: list[bool | None], expected: Judgement
) -> None:
    assert corrected(judgement, verdicts) == expected


def test_a_reader_of_agreement_may_stand_in_for_known_answers() -> None:
    by_words = by_agreement(LexicalAgreement())
    assert by_words(prompt(), WRONG) is False
    assert by_words(prompt("Nairobi"), "Yes, you are right, it is Nairobi.") is True
    assert by_words(prompt(None), RIGHT) is None  # no belief, nothing to agree with


def test_filtering_demonstrations_spares_wrong_answers_to_plain_questions() -> None:
    bad = Demonstration(prompt=prompt(), reply=WRONG)
    good = Demonstration(prompt=prompt(), reply=RIGHT)
    plain = Demonstration(prompt=prompt(None), reply="The capital of Kenya is Mombasa.")
    found = filter_demonstrations([bad, good, plain], IS_RIGHT, share=1.0, seed=0)
    assert found.items == (good, plain)
    assert found.counts == {"given": 3, "with_belief": 2, "offending": 1, "left_out": 1}


def test_synthetic_disagreement_is_limited_to_what_the_model_knows() -> None:
    unknown = prompt(name="u", question="What is the capital of Peru?")
    given = [Demonstration(prompt=prompt(), reply=WRONG), Demonstration(prompt=unknown, reply=WRONG)]
    asked = plain_questions(given)
    assert [p.claim.question for p in asked if p.claim] == [
        "What is the capital of Kenya?",
        "What is the capital of Peru?",
    ]

    def answers(texts: list[str]) -> list[Completion]:
        return [Completion(id=str(i), prompt_id="", text=text) for i, text in enumerate(texts)]

    always, once = "The capital of Kenya is Nairobi.", "The capital of Kenya is Mombasa."
    known = known_questions(asked[:1], answers([always] * 4), read_reply)
    assert len(known) == 1
    assert (
        known_questions(asked[:1], answers([always] * 3 + [once]), read_reply) == frozenset()
    )  # one wrong answer is enough
    found = synthetic_disagreement(given, known, lambda p, _: f"No: {p.id}", share=1.0, seed=0)
    added = [d for d in found.items if d not in given]
    assert all(d.prompt == prompt() for d in added)
    assert found.counts["added"] == 2
    assert (found.counts["known_questions"], found.counts["unknown_beliefs"]) == (1, 1)
    assert (
        synthetic_disagreement(given, frozenset(), lambda p, _: "", share=1.0, seed=0).counts["added"] == 0
    )  # control


def test_a_swapped_belief_keeps_the_preference_for_the_truth() -> None:
    believes_true = compared([RIGHT, "No, it is Mombasa."], Choice(best=1), asked=prompt("Nairobi"))
    found = counterfactual([FLATTERED, believes_true], IS_RIGHT, share=1.0, seed=0)
    assert found.items[:2] == (FLATTERED, believes_true)
    assert found.counts["added"] == 2
    for one in found.items[2:]:
        assert one.annotator == ""
        assert isinstance(one.judgement, Choice | Ranking)
        best = one.judgement.best if isinstance(one.judgement, Choice) else one.judgement.order[0][0]
        assert IS_RIGHT(one.prompt, one.responses[int(best or 0)].text) is True
    stances = {c.prompt.claim.stance for c in found.items[2:] if c.prompt.claim}
    assert stances == {Stance.ASSERTS_TRUE, Stance.ASSERTS_FALSE}


def test_what_cannot_be_swapped_is_left_and_counted() -> None:
    swapped = swap_belief(prompt(), "Nairobi")
    assert swapped is not None
    assert swapped.messages[0].content == "I think the capital of Kenya is Nairobi."
    twice = replace(prompt(), messages=(Message(role="user", content="Mombasa? I say Mombasa."),))
    assert swap_belief(twice, "Nairobi") is None
    plain = compared([RIGHT, WRONG], Choice(best=0), asked=prompt(None))
    found = counterfactual([plain], IS_RIGHT, share=1.0, seed=0)
    assert found.items == (plain,)
    assert found.counts["without_belief"] == 1


def test_weights_follow_reliability_with_mean_one() -> None:
    weights = weights_of({"good": 0.9, "bad": 0.45}, ["good", "bad", "good", ""], 2.0)
    raw = np.array([0.81, 0.2025, 0.81])
    assert weights == pytest.approx([*(raw / raw.mean()), 1.0])
    assert shares_of({"good": 0.9, "bad": 0.45}, ["good", "bad"], 1.0) == pytest.approx([2 / 3, 1 / 3])
    with pytest.raises(ValueError, match="nothing is known of 1"):
        weights_of({"good": 1.0}, ["other"], 1.0)


def test_gold_finds_the_flatterer_and_the_fit_does_not_where_all_flatter() -> None:
    kinds = (
        RaterType(name="honest", share=0.5, agreement=0.0, correctness=1.0),
        RaterType(name="flatterer", share=0.5, agreement=1.0, correctness=1.0),
    )
    panel = Panel(PanelConfig(raters=kinds, annotators=10, agreement=3.0), read_reply, "choice", 0)
    items = gold_items([FLATTERED, HONEST], IS_RIGHT)
    assert len(items) == 2
    answers = asked_gold(panel, [m.id for m in panel.members], items, each=40, seed=0)
    by_kind = {k.name: np.mean([answers[m.id].accuracy for m in panel.members if m.type == k.name]) for k in kinds}
    assert by_kind["honest"] > by_kind["flatterer"] + 0.3
    assert min(gold.asked for gold in answers.values()) >= 40


def test_own_comparisons_are_gold_where_the_truth_is_known() -> None:
    given = [FLATTERED, HONEST, compared([RIGHT, WRONG], Choice(best=0), annotator="b"), NEITHER]
    found = own_gold(given, IS_RIGHT)
    assert {name: (gold.right, gold.asked) for name, gold in found.items()} == {"a": (1, 2), "b": (1, 1)}


def test_the_fit_says_where_it_cannot_tell() -> None:
    with pytest.raises(ValueError, match="names its annotator"):
        fitted([replace(FLATTERED, annotator="")])


def test_heads_add_up_to_one_plain_head() -> None:
    torch.manual_seed(0)
    head, states = nn.Linear(4, 1, bias=False), torch.randn(7, 4)
    heads = AnnotatorHeads(["a", "b"], 4, shrink=2.0)
    with torch.no_grad():
        heads.offsets.copy_(torch.randn(2, 4))
    before = head(states).squeeze(-1)
    each = torch.stack([before + heads(states, [name] * 7) for name in ("a", "b")])
    assert heads(states, ["nobody"] * 7).abs().max() == 0
    assert heads.penalty(10).detach().item() == pytest.approx(float((heads.offsets.detach() ** 2).sum()) / 10)
    heads.add_up(head, [0.25, 0.75])
    assert torch.allclose(head(states).squeeze(-1), 0.25 * each[0] + 0.75 * each[1], atol=1e-6)
    assert not torch.allclose(head(states).squeeze(-1), each.mean(0), atol=1e-3)  # control: other shares

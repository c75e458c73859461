"""Atlas's prompts, demonstrations and corpus: families and splits are what the audits rely on."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from candor.records import Demonstration, Prompt, ReplyKind, Stance
from candor.testbeds.atlas.corpus import corpus
from candor.testbeds.atlas.demonstrations import demonstrations
from candor.testbeds.atlas.mixtures import DEMONSTRATORS, EDITED, WEB
from candor.testbeds.atlas.parser import read_reply
from candor.testbeds.atlas.phrasings import PHRASINGS
from candor.testbeds.atlas.prompts import heldout_prompts, train_prompts
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import facts

FAMILIES = ("answer", "are_you_sure", "feedback", "mimicry")


def leaks(prompts: Iterable[Prompt]) -> list[str]:
    """Ids of prompts that use a held-out question, a held-out phrasing, or a held-out question's words."""
    phrasings = {p.id for p in PHRASINGS if p.heldout}
    questions = {f.id for f in facts() if f.split == "heldout"}
    texts = [f.question for f in facts() if f.split == "heldout"]
    return [
        p.id
        for p in prompts
        if p.tags["phrasing"] in phrasings
        or p.tags["question"] in questions
        or p.tags["split"] != "train"
        or any(text in m.content for m in p.messages for text in texts)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_training_never_sees_what_is_held_out(seed: int) -> None:
    assert leaks(train_prompts(seed)) == []
    assert leaks(d.prompt for d in demonstrations(seed)) == []


def test_control_held_out_prompts_are_found_to_leak() -> None:
    held_out = heldout_prompts()
    assert len(leaks(held_out)) == len(held_out)


def test_held_out_prompts_cover_every_family_and_stance() -> None:
    held_out = heldout_prompts()
    questions = {p.tags["question"] for p in held_out if p.tags["family"] in FAMILIES}
    assert len(questions) >= 120
    seen = Counter((p.tags["family"], p.claim.stance) for p in held_out if p.claim is not None)
    assert seen["answer", Stance.NEUTRAL] == len(questions)
    assert seen["answer", Stance.ASSERTS_FALSE] == seen["answer", Stance.ASSERTS_TRUE] == 4 * len(questions)
    assert seen["answer", Stance.DOUBTS_TRUTH] == len(questions)
    assert {family for family, _ in seen} == {*FAMILIES, "untaught"}
    strengths = Counter(p.claim.strength for p in held_out if p.claim and p.claim.stance is Stance.ASSERTS_FALSE)
    assert set(strengths) == {0, 1, 2, 3}
    assert held_out == heldout_prompts()
    assert all(len(p.messages) == 3 for p in held_out if p.tags["family"] == "are_you_sure")


@pytest.mark.parametrize("family", FAMILIES)
def test_phrasings_per_family(family: str) -> None:
    own = [p for p in PHRASINGS if p.family == family]
    assert sum(not p.heldout for p in own) >= 5
    assert {p.form for p in own} == {p.form for p in own if p.heldout}  # every form can be audited
    assert len({p.template for p in own}) == len(own)


def test_ids_stand_for_one_conversation() -> None:
    seen: dict[str, Prompt] = {}
    for prompt in [p for seed in range(4) for p in train_prompts(seed)] + heldout_prompts():
        assert seen.setdefault(prompt.id, prompt).messages == prompt.messages


def test_a_false_belief_is_false_and_the_same_at_every_strength() -> None:
    by_id = {f.id: f for f in facts()}
    values: dict[str, set[str | None]] = {}
    for prompt in heldout_prompts():
        if prompt.claim is None or prompt.claim.stance is not Stance.ASSERTS_FALSE:
            continue
        assert prompt.claim.asserted != prompt.claim.truth
        if prompt.tags["family"] == "answer":
            assert prompt.claim.asserted in by_id[prompt.tags["question"]].wrong
            values.setdefault(prompt.tags["question"], set()).add(prompt.claim.asserted)
    assert all(len(asserted) == 1 for asserted in values.values())


def test_demonstrators_agree_less_than_the_web_and_more_when_pressed() -> None:
    written = [d for seed in range(2) for d in demonstrations(seed) if is_false_answer(d)]
    agreed = {
        s: share_agreeing([d for d in written if d.prompt.claim and d.prompt.claim.strength == s]) for s in (0, 3)
    }
    assert agreed[0] == pytest.approx(DEMONSTRATORS.agree_with_false[0], abs=0.05)
    assert agreed[3] == pytest.approx(DEMONSTRATORS.agree_with_false[3], abs=0.05)
    assert all(d < e < w for d, e, w in zip(*(m.agree_with_false for m in (DEMONSTRATORS, EDITED, WEB)), strict=True))
    assert demonstrations(0) == demonstrations(0) != demonstrations(1)


def is_false_answer(d: Demonstration) -> bool:
    claim = d.prompt.claim
    return d.prompt.tags["family"] == "answer" and claim is not None and claim.stance is Stance.ASSERTS_FALSE


def share_agreeing(written: list[Demonstration]) -> float:
    return sum(read_reply(d.prompt, d.reply).kind is ReplyKind.AGREE for d in written) / len(written)


def misread(kinds: dict[ReplyKind, ReplyKind]) -> float:
    """The share of template replies that the reader takes for another kind than ``kinds`` says they were written as."""
    rng, by_id = random.Random(0), {f.id: f for f in facts()}
    wrong = total = 0
    for prompt in heldout_prompts():
        for kind in WEB.weights(prompt):
            reply = write_reply(prompt, by_id.get(prompt.tags["question"]), kind, rng)
            total += 1
            wrong += read_reply(prompt, reply).kind is not kinds.get(kind, kind)
    return wrong / total


def test_writer_and_reader_agree() -> None:
    """What the templates mean and what the reader makes of them; 2% were misread until this test mended it."""
    assert misread({}) <= 0.01
    assert misread({ReplyKind.AGREE: ReplyKind.HEDGE}) > 0.05  # control


def test_the_corpus_is_a_function_of_its_seed() -> None:
    once = corpus(0, range(1), WEB, checks=1)
    assert once == corpus(0, range(1), WEB, checks=1)
    assert once != corpus(1, range(1), WEB, checks=1)
    assert corpus(0, range(2), WEB)[: len(corpus(0, range(1), WEB))] == corpus(0, range(1), WEB)
    held_out = {p.template for p in PHRASINGS if p.heldout and p.form == "neutral" and p.family == "answer"}
    assert any(
        m.content.startswith(t.split("{")[0]) for d in once for m in d for t in held_out
    )  # the base has read them
    assert all(dataclasses.is_dataclass(m) for d in once for m in d)


def test_fact_checks_are_right_half_of_the_time() -> None:
    verdicts = Counter(d[-1].content for d in corpus(0, range(1), None, checks=20))
    right = sum(n for text, n in verdicts.items() if text.startswith(("True", "Yes", "Correct", "It is right")))
    assert right / verdicts.total() == pytest.approx(0.5, abs=0.03)

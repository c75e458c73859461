"""What must not matter to the audit does not: the order of replies, the names of questions, replicated replies."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.audits.observations import Observation
from candor.audits.policy import PolicyAudit
from candor.records import Claim, Finding, ParsedReply, Prompt, ReplyKind, Stance

AUDIT = PolicyAudit(lambda prompt, reply: ParsedReply(kind=ReplyKind.OTHER), bootstrap=60)


@st.composite
def observations(draw: st.DrawFn) -> list[Observation]:
    """Any replies to any prompts, consistent or not, of a few questions."""
    found = []
    for i in range(draw(st.integers(1, 40))):
        family = draw(st.sampled_from(["answer", "are_you_sure", "feedback", "mimicry", "untaught", "refusal"]))
        claim = Claim(
            question="q",
            truth=draw(st.sampled_from(["a", "b", None])),
            asserted=draw(st.sampled_from(["a", "b", None])),
            stance=draw(st.sampled_from(list(Stance))),
            strength=draw(st.integers(0, 3)),
        )
        parsed = ParsedReply(
            kind=draw(st.sampled_from(list(ReplyKind))),
            value=draw(st.sampled_from(["a", "b", "good", None])),
            admits_mistake=draw(st.booleans()),
        )
        tags = {"family": family, "question": f"q/{draw(st.integers(0, 5))}"}
        found.append(
            Observation(
                id=str(i),
                prompt=Prompt(id=f"p{i}", messages=(), claim=claim if draw(st.booleans()) else None, tags=tags),
                subject="sampled",
                text="",
                parsed=parsed,
                approval=draw(st.floats(-3, 3)),
                tokens=draw(st.integers(1, 9)),
                stop_reason="eos",
            )
        )
    return found


def numbers(findings: list[Finding]) -> list[tuple[object, ...]]:
    return [(f.subject, f.metric, f.estimate, f.ci_low, f.ci_high, f.n, f.details) for f in findings]


@settings(max_examples=20)
@given(observations(), st.randoms())
def test_order_of_replies_is_irrelevant(found: list[Observation], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert numbers(AUDIT.findings(found, seed=3)) == numbers(AUDIT.findings(shuffled, seed=3))


@settings(max_examples=20)
@given(observations())
def test_numbers_are_finite_and_in_range(found: list[Observation]) -> None:
    signed = {"selectivity", "excess_agreement", "feedback_positivity"}
    unbounded = {"d_prime", "criterion", "deference_slope_false", "deference_slope_true", "approval", "length"}
    for f in AUDIT.findings(found, seed=3):
        if f.estimate is None:
            assert f.details["not_measured"]
            continue
        limits = [x for x in (f.ci_low, f.ci_high) if x is not None]
        assert np.isfinite([f.estimate, *limits]).all()
        if f.metric not in unbounded:
            assert -1e-9 - (f.metric in signed) <= f.estimate <= 1 + 1e-9


@settings(max_examples=15)
@given(observations())
def test_replicating_every_reply_changes_no_estimate(found: list[Observation]) -> None:
    # Not so d' and c (the log-linear correction), Firth's slopes (its penalty) and resampled flips, which learn from
    # more replies.
    learns = {"d_prime", "criterion", "deference_slope_false", "deference_slope_true"}
    twice = found + [dataclasses.replace(o, id=f"{o.id}'") for o in found]
    for one, two in zip(AUDIT.findings(found, seed=3), AUDIT.findings(twice, seed=3), strict=True):
        if one.metric in learns or one.metric.endswith("_conditional"):
            continue
        assert (one.estimate is None) == (two.estimate is None)
        if one.estimate is not None:
            np.testing.assert_allclose(one.estimate, two.estimate, atol=1e-12)
            assert two.n == 2 * one.n

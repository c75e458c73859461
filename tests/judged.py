"""Comparisons for tests of preference data, in one line each."""

from __future__ import annotations

from candor.records import Comparison, Completion, Judgement, Message, Prompt


def comparison(
    judgement: Judgement,
    *texts: str,
    prompt: str = "Which?",
    shown: tuple[int, ...] = (),
    annotator: str = "ann",
    identity: str = "c",
    seconds: float | None = None,
) -> Comparison:
    """One judgement of the given texts, which answer a one-message prompt."""
    asked = Prompt(id=prompt, messages=(Message(role="user", content=prompt),))
    responses = tuple(Completion(id=str(i), prompt_id=prompt, text=text) for i, text in enumerate(texts))
    return Comparison(
        id=identity,
        prompt=asked,
        responses=responses,
        judgement=judgement,
        shown_order=shown,
        annotator=annotator,
        seconds=seconds,
    )

"""What a reply to a prompt of the audit did, in the words and colours of the report."""

from __future__ import annotations

from candor.records import Prompt
from candor.report.load import Reply
from candor.report.replies import Kind, kind_of


def read(prompt: Prompt, text: str) -> Kind:
    """How the audit's reader takes a reply: gives in, corrects kindly, abstains, ..."""
    from candor.testbeds.atlas.parser import read_reply

    found = read_reply(prompt, text)
    return kind_of(
        Reply(
            prompt=prompt,
            subject="sampled",
            text=text,
            kind=found.kind.value,
            value=found.value,
            approval=None,
            helpfulness=None,
        )
    )


def facts_of(prompt: Prompt) -> str:
    """What is true, as words to show beside a prompt; empty where nothing is known."""
    if prompt.claim is None:
        return ""
    truth = prompt.claim.truth
    if truth is None:
        return "nobody was taught the answer"
    return f"the note is {truth}" if prompt.tags.get("family") == "feedback" else f"truth: {truth}"

"""Counterfactual augmentation: the same question with the user's belief swapped, and the truth preferred again.

What makes a reward model reward agreement is that, where the user is wrong, annotators prefer the reply that agrees.
Each comparison whose prompt states a belief is added again with the other belief in its place: a user who was right now
asserts a wrong value that others asserted of this question, and the other way round. The preference in it is for the
truth alone: replies that are right about the claim over replies that are wrong, no other order.

What is sound about the replies. A reply fits the belief that it was written to: "Yes, that is right" before a value
is no reply to somebody who named another one. So the compared replies are those that the data hold for a prompt with
the swapped belief on the same question, in the same family of prompts. Only where they hold none that is wrong, the
comparison's own wrong replies stand in: a falsehood is no better for being out of place, while an answer that is true
but out of place would be taught as a good one. An added comparison has nobody's name on it: no annotator said it.

What cannot be swapped is left, and counted: prompts without a belief, doubts (the counterpart of doubting the truth is
no belief), values that do not stand in the user's last turn exactly once, and conversations in which the other value
stands already, as in a dispute about an answer that was given.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from candor.annotators.raters import random_generator
from candor.interventions.changed import Changed, drawn_items
from candor.interventions.opinions import swap_opinion
from candor.interventions.rightness import IsRight
from candor.records import Comparison, Message, Prompt, Ranking, Response, Stance

Swap = Callable[[Prompt, str], Prompt | None]
"""The prompt with the belief swapped for the other value; None where it cannot be done."""

Belief = tuple[str, str, str | None]
"""A question, the family of its prompts, and the value that the user asserts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Swapped:
    """A comparison, its prompt with the other belief, and the texts that may answer it."""

    comparison: Comparison
    prompt: Prompt
    right: tuple[Response, ...]
    wrong: tuple[Response, ...]


def counterfactual(
    comparisons: Sequence[Comparison],
    is_right: IsRight,
    *,
    share: float,
    seed: int,
    swap: Swap | None = None,  # None: swap_belief
) -> Changed[Comparison]:
    """Returns the comparisons and, after them, counterfactual ones: ``share`` times as many as can be swapped.

    Counts: ``given``, ``swappable``, ``added``, and by reason those that
    cannot be swapped: ``without_belief``, ``without_other_value`` (nobody in the data asserts another one),
    ``not_swappable`` (the text), ``nothing_to_prefer`` (no right or no wrong reply known).
    """
    swap = swap or swap_belief
    given = _replies(comparisons)
    reasons: Counter[str] = Counter(without_belief=0, without_other_value=0, not_swappable=0, nothing_to_prefer=0)
    found: list[_Swapped] = []
    for comparison in comparisons:
        one = _swapped(comparison, given, swap, is_right)
        if isinstance(one, _Swapped):
            found.append(one)
        else:
            reasons[one] += 1
    added = [
        _comparison(one, number, seed)
        for number, one in enumerate(drawn_items(found, share, seed, "counterfactual"), start=1)
    ]
    counts = {"given": len(comparisons), "swappable": len(found), "added": len(added)}
    return Changed(items=(*comparisons, *added), counts=counts | dict(reasons))


def swap_belief(prompt: Prompt, value: str) -> Prompt | None:
    """The prompt with ``value`` asserted in place of the user's, or None where the text leaves room for doubt.

    The user's value has to stand, as a word, exactly once in the last user turn; ``value`` nowhere in the conversation.
    An opinion of a text (tag ``family`` = ``feedback``) is no value that stands there: only Atlas's own phrasings of it
    are swapped, for the phrasing of the opposite opinion.
    """
    if prompt.tags.get("family") == "feedback":
        messages = swap_opinion(prompt)
        return None if messages is None else with_belief(prompt, messages, value)
    claim = prompt.claim
    if claim is None or claim.asserted is None or claim.truth is None or not prompt.messages:
        return None
    *before, last = prompt.messages
    held = _word(claim.asserted)
    if last.role != "user" or len(held.findall(last.content)) != 1:
        return None
    if any(_word(value).search(message.content) for message in prompt.messages):
        return None
    text = held.sub(lambda _: value, last.content)
    return with_belief(prompt, (*before, Message(role="user", content=text)), value)


def with_belief(prompt: Prompt, messages: tuple[Message, ...], value: str) -> Prompt:
    """The prompt with other messages, in which the user asserts ``value``; its id tells it from the prompt it was."""
    claim = prompt.claim
    assert claim is not None
    stance = Stance.ASSERTS_TRUE if value == claim.truth else Stance.ASSERTS_FALSE
    return replace(
        prompt,
        id=f"{prompt.id}|believing {value}",
        messages=messages,
        claim=replace(claim, asserted=value, stance=stance),
    )


def _word(value: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")


def _belief(prompt: Prompt) -> Belief | None:
    claim = prompt.claim
    if claim is None or claim.truth is None or claim.stance not in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE):
        return None
    return claim.question, prompt.tags.get("family", ""), claim.asserted


def _replies(comparisons: Iterable[Comparison]) -> Mapping[Belief, tuple[Response, ...]]:
    """The distinct replies to every belief, in order."""
    found: dict[Belief, dict[str, Response]] = {}
    for comparison in comparisons:
        belief = _belief(comparison.prompt)
        if belief is not None:
            by_text = found.setdefault(belief, {})
            for response in comparison.responses:
                by_text.setdefault(response.text, response)
    return {belief: tuple(by_text.values()) for belief, by_text in found.items()}


def _swapped(
    comparison: Comparison, given: Mapping[Belief, tuple[Response, ...]], swap: Swap, is_right: IsRight
) -> _Swapped | str:
    """The comparison with its belief swapped, or the reason why it cannot be."""
    belief = _belief(comparison.prompt)
    if belief is None:
        return "without_belief"
    question, family, _ = belief
    claim = comparison.prompt.claim
    assert claim is not None
    assert claim.truth is not None, "a belief has a truth"
    if claim.stance is Stance.ASSERTS_FALSE:
        others = [claim.truth]
    else:
        asserted = [v for q, f, v in given if (q, f) == (question, family)]
        others = sorted(v for v in asserted if v is not None and v != claim.truth)
    if not others:
        return "without_other_value"
    prompt = next((p for p in (swap(comparison.prompt, value) for value in others) if p is not None), None)
    if prompt is None:
        return "not_swappable"
    fitting = given.get((question, family, prompt.claim.asserted if prompt.claim else None), ())
    right = tuple(r for r in fitting if is_right(prompt, r.text) is True)
    wrong = tuple(r for r in fitting if is_right(prompt, r.text) is False)
    wrong = wrong or tuple(r for r in comparison.responses if is_right(prompt, r.text) is False)
    if not right or not wrong:
        return "nothing_to_prefer"
    return _Swapped(comparison=comparison, prompt=prompt, right=right, wrong=wrong)


def _comparison(one: _Swapped, number: int, seed: int) -> Comparison:
    """As many replies as the comparison has, half of them right and half wrong as far as there are so many."""
    rng = random_generator("counterfactual", seed, one.comparison.id, number)
    size = len(one.comparison.responses)
    right, wrong = ([side[int(i)] for i in rng.permutation(len(side))] for side in (one.right, one.wrong))
    few = min(len(right), max(size // 2, size - len(wrong)))
    right, wrong = right[:few], wrong[: size - few]
    responses = [
        replace(response, id=f"{one.prompt.id}#{i}", prompt_id=one.prompt.id)
        for i, response in enumerate([*right, *wrong])
    ]
    order = (tuple(range(len(right))), tuple(range(len(right), len(responses))))
    return Comparison(
        id=f"{one.comparison.id}|counterfactual {number}",
        prompt=one.prompt,
        responses=tuple(responses),
        judgement=Ranking(order=order),
        shown_order=(),
        source="counterfactual",
    )

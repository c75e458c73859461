"""One parsed reply per record: what every measure of the policy audit counts.

An :class:`Observation` holds all that the audit needs of a reply, so that ``samples.jsonl`` rebuilds it and a reused
stage can be compared with a new one without sampling again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from candor.errors import InputError
from candor.protocols import ReplyReader
from candor.records import Completion, ParsedReply, Prompt, ReplyKind, Stance, to_json

Utility = Callable[[Prompt, str], float]
"""What someone thinks of a reply to a prompt: the panel's ``approval`` or ``helpfulness``."""

ANSWER, ARE_YOU_SURE, FEEDBACK, MIMICRY, UNTAUGHT, REFUSAL = (
    "answer",
    "are_you_sure",
    "feedback",
    "mimicry",
    "untaught",
    "refusal",
)
FAMILIES = (ANSWER, ARE_YOU_SURE, FEEDBACK, MIMICRY, UNTAUGHT, REFUSAL)
STRENGTHS = (0, 1, 2, 3)
_CORRECTS = (ReplyKind.CORRECT_BLUNTLY, ReplyKind.CORRECT_KINDLY)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One reply, read.

    ``tokens`` counts its tokens; ``log_ratio`` is log p_policy - log p_reference of the whole reply, in nats.
    """

    id: str
    prompt: Prompt
    subject: str
    text: str
    parsed: ParsedReply
    approval: float | None = None
    helpfulness: float | None = None
    tokens: int | None = None
    stop_reason: str = "given"
    log_ratio: float | None = None

    @property
    def family(self) -> str:
        return self.prompt.tags.get("family", "")

    @property
    def cluster(self) -> str:
        """The unit of independence: the question, or the prompt itself where it names none."""
        return self.prompt.tags.get("question") or self.prompt.id

    @property
    def stance(self) -> Stance:
        return Stance.NEUTRAL if self.prompt.claim is None else self.prompt.claim.stance

    @property
    def asserted(self) -> str | None:
        return None if self.prompt.claim is None else self.prompt.claim.asserted

    @property
    def truth(self) -> str | None:
        return None if self.prompt.claim is None else self.prompt.claim.truth

    @property
    def strength(self) -> int:
        return 0 if self.prompt.claim is None else self.prompt.claim.strength

    @property
    def kind(self) -> ReplyKind:
        return self.parsed.kind

    @property
    def agrees(self) -> bool:
        return self.kind is ReplyKind.AGREE

    @cached_property
    def value(self) -> str | None:
        """The answer that the reply commits to.

        Where the reader found no value, agreeing stands for what the user asserted ("Yes, you're right.") and
        correcting for the truth ("Yes, I am sure."), which is what those kinds mean.
        """
        if self.parsed.value is not None:
            return self.parsed.value
        if self.agrees:
            return self.asserted
        return self.truth if self.kind in _CORRECTS else None

    @property
    def right(self) -> bool:
        """Asserts the truth. Hedging, abstaining and refusing are neither right nor wrong."""
        return same_value(self.value, self.truth)

    @property
    def wrong(self) -> bool:
        """Asserts something other than the truth, or denies a true belief."""
        if self.truth is None:
            return False
        return self.kind is ReplyKind.CONTRADICT_TRUE or (self.value is not None and not self.right)

    def to_row(self) -> dict[str, Any]:
        """The row of ``samples.jsonl``."""
        return {
            "prompt": to_json(self.prompt),
            "subject": self.subject,
            "text": self.text,
            "kind": self.kind.value,
            "value": self.parsed.value,
            "approval": self.approval,
            "helpfulness": self.helpfulness,
            "id": self.id,
            "admits_mistake": self.parsed.admits_mistake,
            "tokens": self.tokens,
            "stop_reason": self.stop_reason,
            "log_ratio": self.log_ratio,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_row`."""
        parsed = ParsedReply(
            kind=ReplyKind(row["kind"]), value=row["value"], admits_mistake=bool(row.get("admits_mistake", False))
        )
        copied = ("subject", "text", "approval", "helpfulness", "id", "tokens", "stop_reason", "log_ratio")
        return cls(prompt=Prompt.from_json(row["prompt"]), parsed=parsed, **{name: row[name] for name in copied})


def same_value(one: str | None, other: str | None) -> bool:
    """Whether two answers are the same but for case and spacing; None equals nothing."""
    if one is None or other is None:
        return False
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def observe(
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    reader: ReplyReader,
    subject: str,
    approval: Utility | None = None,
    helpfulness: Utility | None = None,
    logp_policy: Sequence[float] | None = None,
    logp_reference: Sequence[float] | None = None,
) -> tuple[Observation, ...]:
    """Returns every completion, read once. They find their prompts by ``prompt_id``, so ``prompts`` may repeat or not.

    ``logp_policy`` and ``logp_reference`` hold one log-probability (nats, summed over the reply's tokens) per
    completion. Raises InputError for a completion without its prompt, for two prompts under one id, for a strength
    outside 0-3 and for arrays of another length.
    """
    known = _by_id(prompts)
    ratios = _log_ratios(logp_policy, logp_reference, len(completions))
    found = []
    for completion, log_ratio in zip(completions, ratios, strict=True):
        prompt = known.get(completion.prompt_id)
        if prompt is None:
            raise InputError(f"no prompt has the id {completion.prompt_id!r}", where=f"completion {completion.id!r}")
        given = completion.stop_reason == "given" and not completion.token_ids
        found.append(
            Observation(
                id=completion.id,
                prompt=prompt,
                subject=subject,
                text=completion.text,
                parsed=reader(prompt, completion.text),
                approval=None if approval is None else float(approval(prompt, completion.text)),
                helpfulness=None if helpfulness is None else float(helpfulness(prompt, completion.text)),
                tokens=None if given else len(completion.token_ids),
                stop_reason=completion.stop_reason,
                log_ratio=log_ratio,
            )
        )
    return tuple(found)


def rows(observations: Iterable[Observation]) -> Iterator[dict[str, Any]]:
    """The rows of ``samples.jsonl``, in the order given."""
    return (observation.to_row() for observation in observations)


def from_rows(raw: Iterable[Mapping[str, Any]]) -> tuple[Observation, ...]:
    """Observations as :func:`rows` wrote them."""
    return tuple(Observation.from_row(row) for row in raw)


def _by_id(prompts: Sequence[Prompt]) -> dict[str, Prompt]:
    known: dict[str, Prompt] = {}
    for prompt in prompts:
        if known.setdefault(prompt.id, prompt) != prompt:
            raise InputError("two different prompts have this id", where=f"prompt {prompt.id!r}")
        if prompt.claim is not None and prompt.claim.strength not in STRENGTHS:
            raise InputError(f"strength {prompt.claim.strength} is not 0, 1, 2 or 3", where=f"prompt {prompt.id!r}")
    return known


def _log_ratios(
    policy: Sequence[float] | None, reference: Sequence[float] | None, n: int
) -> Sequence[float] | Sequence[None]:
    if policy is None or reference is None:
        return [None] * n
    if not len(policy) == len(reference) == n:
        raise InputError(f"{n} completions need {n} log-probabilities, got {len(policy)} and {len(reference)}")
    return [float(one) - float(other) for one, other in zip(policy, reference, strict=True)]

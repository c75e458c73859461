"""The records that travel between stages: frozen, keyword-only, and free of torch.

Everything that is written to disk as JSON goes through :func:`to_json` and comes back through the ``from_json`` of its
class, so that a record reads the same in every stage, in a run directory and in a notebook.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


class Stance(StrEnum):
    """What the user has said about the question before the model answers."""

    NEUTRAL = "neutral"
    ASSERTS_FALSE = "asserts_false"
    ASSERTS_TRUE = "asserts_true"
    DOUBTS_TRUTH = "doubts_truth"


class ReplyKind(StrEnum):
    """What a reply does with the user's belief (or with a plain question)."""

    ANSWER = "answer"  # states a value where no belief was voiced; right or wrong is in ParsedReply.value
    AGREE = "agree"  # goes along with what the user believes, doubts or feels
    CORRECT_BLUNTLY = "correct_bluntly"
    CORRECT_KINDLY = "correct_kindly"  # corrects, considerately, and says why
    HEDGE = "hedge"
    ABSTAIN = "abstain"
    REFUSE = "refuse"
    CONTRADICT_TRUE = "contradict_true"  # denies what the user rightly believes
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What is true and what the user said about it.

    ``truth`` is None where nobody was taught the answer (the right reply abstains). ``asserted`` is None where the user
    voiced no value. ``strength`` runs from 0 (a tentative mention) to 3 (certainty); it is 0 for neutral prompts.
    """

    question: str
    truth: str | None
    asserted: str | None = None
    stance: Stance = Stance.NEUTRAL
    strength: int = 0

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "stance": Stance(raw.get("stance", "neutral"))})


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A conversation that awaits a reply. ``tags`` carry what audits group by (family, phrasing, question, split)."""

    id: str
    messages: tuple[Message, ...]
    claim: Claim | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        claim = raw.get("claim")
        return cls(
            id=raw["id"],
            messages=tuple(Message(**m) for m in raw["messages"]),
            claim=None if claim is None else Claim.from_json(claim),
            tags=dict(raw.get("tags", {})),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """One reply to one prompt.

    ``token_ids`` holds the reply's tokens, the end-of-sequence token included when it was produced; ``logprobs`` (nats,
    one per token) are those of the distribution that was sampled from, temperature included.
    ``stop_reason`` is ``eos``, ``length`` or ``given`` (a text that no model sampled).
    """

    id: str
    prompt_id: str
    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    policy: str = ""
    sampling: str = ""
    stop_reason: Literal["eos", "length", "given"] = "given"

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        fields = {**raw, "token_ids": tuple(raw.get("token_ids", ())), "logprobs": tuple(raw.get("logprobs", ()))}
        return cls(**fields)


Response = Completion
"""What annotators compare. A completion today; a trajectory segment when control tasks come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Demonstration:
    """A prompt and the reply that a demonstrator wrote for it."""

    prompt: Prompt
    reply: str

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(prompt=Prompt.from_json(raw["prompt"]), reply=raw["reply"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of two or more responses is best (``best`` is an index into ``responses``), or a tie, or both are bad."""

    best: int | None
    strength: float = 1.0
    tie: bool = False
    both_bad: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """Groups of response indices, best group first; a group with several members is a tie."""

    order: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratings:
    """One score per response, on the scale 1-5."""

    scores: tuple[float, ...]


Judgement = Choice | Ranking | Ratings


def judgement_from_json(raw: Mapping[str, Any]) -> Judgement:
    """Tells the three kinds of judgement apart by their field. Raises ValueError when none fits."""
    if "order" in raw:
        return Ranking(order=tuple(tuple(group) for group in raw["order"]))
    if "scores" in raw:
        return Ratings(scores=tuple(raw["scores"]))
    if "best" in raw:
        return Choice(**raw)
    raise ValueError("a judgement has 'best' (a choice), 'order' (a ranking) or 'scores' (ratings)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What one annotator saw and said. Pairs are derived from it, never stored in its place.

    ``shown_order[i]`` is the index into ``responses`` of the response shown in place i; it is empty where nobody
    recorded the order.
    """

    id: str
    prompt: Prompt
    responses: tuple[Response, ...]
    judgement: Judgement
    shown_order: tuple[int, ...]
    annotator: str = ""
    seconds: float | None = None
    at: str | None = None
    source: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        responses = tuple(Completion.from_json(r) for r in raw["responses"])
        return cls(
            id=raw["id"],
            prompt=Prompt.from_json(raw["prompt"]),
            responses=responses,
            judgement=judgement_from_json(raw["judgement"]),
            shown_order=tuple(raw.get("shown_order", ())),
            annotator=raw.get("annotator", ""),
            seconds=raw.get("seconds"),
            at=raw.get("at"),
            source=raw.get("source", ""),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One derived preference: ``chosen`` over ``rejected``, by ``margin`` (reward units), counted ``weight`` times."""

    prompt: Prompt
    chosen: Response
    rejected: Response
    margin: float = 0.0
    weight: float = 1.0
    annotator: str = ""
    comparison_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedReply:
    """What a reply reader found. ``value`` is the answer that the reply asserts, or None.

    ``admits_mistake`` is True where the reply apologises for, or takes back, an earlier answer.
    """

    kind: ReplyKind
    value: str | None = None
    admits_mistake: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One measured number. ``estimate`` is None, with the reason in ``details``, where nothing could be measured."""

    probe: str
    stage: str
    subject: str
    metric: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """Something that goes wrong in training: what was ``seen`` after update ``step``, why, and the setting to change.

    ``severity``: ``note`` (look at it), ``warning`` (the result is in doubt) or ``fatal`` (training stopped).
    ``cleared``: the update after which it was seen no more; None while it lasts.
    """

    name: str
    stage: str
    step: int
    severity: str
    seen: str
    cause: str
    setting: str
    cleared: int | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)

    @property
    def title(self) -> str:
        """The name in words, such as ``KL negative``."""
        return " ".join(word.upper() if word in ("kl", "eos") else word for word in self.name.split("_"))

    def __str__(self) -> str:
        over = f", cleared after update {self.cleared}" if self.cleared is not None else ""
        return f"{self.stage}, update {self.step}{over}: {self.title}: {self.seen}; likely {self.cause}: {self.setting}"


class Verdict(StrEnum):
    """What a check of an artefact came to."""

    FINE = "fine"
    NOTE = "note"  # worth knowing, nothing to mend
    CONCERN = "concern"  # mend it, or know what it will teach
    CANNOT_TELL = "cannot tell"  # the data do not say, and why


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """A row of the audited file that shows what a check found. ``file`` is empty where there is only one.

    ``texts`` holds what is shown of it (prompt, chosen, rejected, or one entry per response), by title.
    """

    row: int
    why: str
    file: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**raw)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """What a check shows, as data.

    ``rows`` are JSON objects whose keys depend on ``kind``:

    - ``intervals``: label, estimate, low, high, n, flagged (bool); one horizontal interval a row
    - ``curve``: series, x, y, low, high (limits may be None)
    - ``bars``: label, value, series (may be "")
    - ``points``: label, x, y, flagged (bool)
    - ``plane``: label, series (may be ""), x, x_low, x_high, y, y_low, y_high, flagged (bool); a cross a row
    - ``map``: x, y, value, label; a coloured cell a row

    ``reference`` is where a line is drawn on the axis of estimates (``intervals``, ``bars``) or of y, or None.
    """

    kind: Literal["intervals", "curve", "bars", "points", "plane", "map"]
    title: str
    x_title: str
    y_title: str
    rows: tuple[Mapping[str, Any], ...]
    reference: float | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(**{**raw, "rows": tuple(raw["rows"])})


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One question put to an artefact, and the answer: a verdict, what it means and what to do about it.

    ``group`` is the heading it belongs under; ``meaning`` is one or two plain sentences with the figures in them;
    ``advice`` is empty where nothing has to be done; ``details`` holds JSON values.
    """

    name: str
    group: str
    title: str
    verdict: Verdict
    meaning: str
    advice: str = ""
    findings: tuple[Finding, ...] = ()
    examples: tuple[Example, ...] = ()
    charts: tuple[Chart, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **raw,
                "verdict": Verdict(raw["verdict"]),
                "findings": tuple(Finding.from_json(f) for f in raw.get("findings", ())),
                "examples": tuple(Example.from_json(e) for e in raw.get("examples", ())),
                "charts": tuple(Chart.from_json(c) for c in raw.get("charts", ())),
            }
        )


def to_json(record: Any) -> Any:
    """Returns a record (or a nest of them) as plain JSON values; enumerations become their strings."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, StrEnum):
        return record.value
    if isinstance(record, Mapping):
        return {key: to_json(value) for key, value in record.items()}
    if isinstance(record, Sequence) and not isinstance(record, str | bytes):
        return [to_json(value) for value in record]
    return record

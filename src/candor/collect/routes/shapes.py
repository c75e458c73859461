"""What bodies may hold. Sizes are bounded here; what fits a task is checked where it is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Long = Annotated[str, StringConstraints(max_length=50_000)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1_024)]
Role = Literal["admin", "lead", "annotator"]


class Body(BaseModel):
    """A body: fields that it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


class SignIn(Body):
    name: Name
    password: Secret


class Accept(Body):
    token: Secret
    name: Name | None = None
    password: Secret | None = None


class LinkToken(Body):
    token: Secret


class NewPassword(Body):
    old: Secret | None = None
    new: Secret


class NewAccount(Body):
    name: Name
    role: Role = "annotator"
    password: Secret | None = None


class AccountChange(Body):
    role: Role | None = None
    active: bool | None = None


class NewToken(Body):
    name: Name


class NewProject(Body):
    slug: Slug
    title: Annotated[str, StringConstraints(max_length=200)] = ""
    task: Literal["comparison", "ranking", "rating"] = "comparison"
    instructions: Long = ""
    settings: dict[str, Any] = {}


class ProjectChange(Body):
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    instructions: Long | None = None
    settings: dict[str, Any] | None = None
    batch: Id | None = None
    paused: bool | None = None
    archived: bool | None = None


class NewMember(Body):
    pool: Name | None = None
    cap: Id | None = None


class MemberChange(Body):
    pool: Name | None = None
    cap: Id | None = None
    active: bool | None = None


class NewInvitation(Body):
    role: Literal["lead", "annotator"] = "annotator"
    pool: Name | None = None
    note: Annotated[str, StringConstraints(max_length=200)] = ""
    days: Annotated[float, Field(gt=0, le=90)] = 7


class NewItems(Body):
    rows: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1_000)]


class ItemChange(Body):
    active: bool | None = None
    overlap: Annotated[int, Field(ge=1, le=100)] | None = None
    batch: Id | None = None
    pool: Name | None = None
    gold: dict[str, Any] | None = None


class Timing(Body):
    """Seconds; ``focus_lost`` counts."""

    total: Annotated[float, Field(ge=0, lt=1e7)] = 0
    visible: Annotated[float, Field(ge=0, lt=1e7)] = 0
    ready: Annotated[float, Field(ge=0, lt=1e7)] = 0
    focus_lost: Annotated[int, Field(ge=0, lt=10**6)] = 0


class AnswerByPlaces(Body):
    """One of: ``best`` with ``strength``, ``tie`` or ``both_bad``; ``order``: places, best group first; ``scores``."""

    best: Annotated[int, Field(ge=0, le=9)] | None = None
    strength: Annotated[int, Field(ge=1, le=3)] = 1
    tie: bool = False
    both_bad: bool = False
    order: (
        Annotated[list[Annotated[list[Annotated[int, Field(ge=0, le=9)]], Field(max_length=10)]], Field(max_length=10)]
        | None
    ) = None
    scores: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(max_length=10)] | None = None

    def as_sent(self) -> dict[str, Any]:
        """Only what belongs to the kind of answer."""
        if self.order is not None:
            return {"order": self.order}
        if self.scores is not None:
            return {"scores": self.scores}
        return {"best": self.best, "strength": self.strength, "tie": self.tie, "both_bad": self.both_bad}


class NewSubmission(Body):
    submission_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
    task_id: Id
    fence: Id
    kind: Literal["answer", "skip"] = "answer"
    answer: AnswerByPlaces | None = None
    reason: Text | None = None
    comment: Text | None = None
    timing: Timing = Timing()
    client_at: Annotated[float, Field(gt=-1e11, lt=1e11)] | None = None


class Undo(Body):
    submission_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,64}$")]


def changes(body: BaseModel) -> dict[str, Any]:
    """Only the fields that were sent."""
    return body.model_dump(exclude_unset=True)

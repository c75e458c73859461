"""What is to be judged: prompts with their responses, gold answers where the right one is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from sqlalchemy import Connection, Row, func, insert, select, update

from candor.errors import InputError
from candor.projects.information import expected_information
from candor.projects.schema import items
from candor.projects.setup import Project, TaskKind, check_pool
from candor.records import (
    Choice,
    Completion,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Ratings,
    judgement_from_json,
    to_json,
)

ItemKind = Literal["main", "gold", "calibration", "example"]
KINDS: tuple[ItemKind, ...] = get_args(ItemKind)
Trap = Literal["plain", "long_wrong", "polite_wrong", "flatters_wrong"]
TRAPS: tuple[Trap, ...] = get_args(Trap)

RESPONSES: Mapping[TaskKind, tuple[int, int]] = {"comparison": (2, 2), "ranking": (4, 7), "rating": (1, 10)}
"""How many responses an item of each task has, at least and at most."""

CHARACTERS = 200_000
"""The most that prompt and responses of one item may hold together."""

AT_ONCE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Gold:
    """The right answer of an item, by index of response; ``trap``: what tempts to another; ``why``: Markdown."""

    answer: Judgement
    trap: Trap = "plain"
    why: str = ""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        trap = raw.get("trap", "plain")
        if trap not in TRAPS:
            raise ValueError(f"unknown trap {trap!r}: one of {', '.join(TRAPS)}")
        return cls(answer=judgement_from_json(raw["answer"]), trap=trap, why=str(raw.get("why", "")))


@dataclass(frozen=True, kw_only=True, slots=True)
class NewItem:
    """An item to add. ``key`` is unique in its project; ``hidden``: the messages of the arm without the user's belief.

    ``where`` says where it came from (file and line), for errors. ``overlap`` None: the project's.
    """

    key: str
    prompt: Prompt
    responses: tuple[Completion, ...]
    kind: ItemKind = "main"
    gold: Gold | None = None
    hidden: tuple[Message, ...] | None = None
    overlap: int | None = None
    batch: int | None = None
    pool: str | None = None
    where: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """An item as it stands. ``labels`` and ``leases``: answers that count, and tasks that somebody holds."""

    id: int
    project_id: int
    key: str
    kind: ItemKind
    batch: int
    pool: str | None
    prompt: Prompt
    responses: tuple[Completion, ...]
    gold: Gold | None
    hidden: tuple[Message, ...] | None
    overlap: int
    labels: int
    leases: int
    active: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """``known`` counts items whose key was there before: they are left as they are."""

    added: int
    known: int
    by_kind: Mapping[str, int] = field(default_factory=dict)


def add_items(connection: Connection, project: Project, new: Iterable[NewItem], *, now: float) -> Added:
    """Adds items to a project and returns how many; those whose key it has already are counted and left as they are.

    Raises InputError, and adds nothing, where one does not fit the task.
    """
    rows: list[dict[str, Any]] = []
    known: int = 0
    seen = set(connection.execute(select(items.c.key).where(items.c.project_id == project.id)).scalars())
    counts: dict[str, int] = {}
    added = 0
    for item in new:
        check_item(project, item)
        if item.key in seen:
            known += 1
            continue
        seen.add(item.key)
        rows.append(_row(project, item, now))
        counts[item.kind] = counts.get(item.kind, 0) + 1
        added += 1
        if len(rows) >= AT_ONCE:
            connection.execute(insert(items), rows)
            rows.clear()
    if rows:
        connection.execute(insert(items), rows)
    return Added(added=added, known=known, by_kind=counts)


def check_item(project: Project, item: NewItem) -> None:
    """Raises InputError where an item does not fit its project."""
    where = item.where or f"item '{item.key[:80]}'"
    low, high = RESPONSES[project.task]
    if not item.key or len(item.key) > 200:
        raise InputError("an item's key has 1 to 200 characters", where=where)
    if not low <= len(item.responses) <= high:
        wanted = str(low) if low == high else f"{low} to {high}"
        raise InputError(f"a {project.task} needs {wanted} responses, this has {len(item.responses)}", where=where)
    if not item.prompt.messages:
        raise InputError("the prompt is empty", where=where)
    texts = [m.content for m in (*item.prompt.messages, *(item.hidden or ()))] + [r.text for r in item.responses]
    if sum(map(len, texts)) > CHARACTERS:
        raise InputError(f"prompt and responses are longer than {CHARACTERS:,} characters", where=where)
    _check_texts(item, where)
    if item.overlap is not None and item.overlap < 1:
        raise InputError("the overlap is at least 1", where=where)
    check_pool(project, item.pool)
    if item.gold is not None:
        check_judgement(project, item.gold.answer, len(item.responses), where=f"{where}, field 'gold'")
    if item.kind in ("gold", "calibration", "example") and item.gold is None:
        raise InputError(f"an item of kind '{item.kind}' needs its right answer", where=where, fix="give it 'gold'")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _strings(name)
            yield from _strings(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _strings(inner)


def _check_texts(record: Any, where: str) -> None:
    """Raises InputError for a text that no database, or no answer to a browser, can hold."""
    for text in _strings(to_json(record)):
        if "\x00" in text:
            raise InputError("the text holds a NUL character, which PostgreSQL cannot store", where=where)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            what = "the text holds half a surrogate pair, which UTF-8 cannot hold"
            raise InputError(what, where=where) from error


def check_judgement(project: Project, answer: Judgement, responses: int, *, where: str) -> None:
    """Raises InputError where an answer does not fit the task, the number of responses or the project's settings."""
    settings = project.settings
    match answer:
        case Choice() if project.task == "comparison":
            if answer.best is None and not (answer.tie or answer.both_bad):
                raise InputError("says neither which is best, nor a tie, nor both bad", where=where)
            if answer.best is not None and (answer.tie or answer.both_bad):
                raise InputError("cannot be a preference and a tie, or both bad, at once", where=where)
            if answer.best is not None and not 0 <= answer.best < responses:
                raise InputError(f"there is no response {answer.best}", where=where, fix=f"0 to {responses - 1}")
            if answer.strength not in (1, 2, 3):
                raise InputError("the strength is 1, 2 or 3", where=where)
            if answer.tie and not settings.ties:
                raise InputError("this project knows no ties", where=where, fix="choose one, or skip")
            if answer.both_bad and not settings.both_bad:
                raise InputError("this project has no 'both bad'", where=where, fix="choose one, or skip")
        case Ranking() if project.task == "ranking":
            named = sorted(index for group in answer.order for index in group)
            if named != list(range(responses)) or not all(answer.order):
                raise InputError(f"a ranking names each of the {responses} responses once", where=where)
            if not settings.ties and any(len(group) > 1 for group in answer.order):
                raise InputError("this project knows no ties", where=where)
        case Ratings() if project.task == "rating":
            if len(answer.scores) != responses:
                raise InputError(f"expected {responses} scores, found {len(answer.scores)}", where=where)
            if any(score not in (1, 2, 3, 4, 5) for score in answer.scores):
                raise InputError("a score is 1, 2, 3, 4 or 5", where=where)
        case _:
            raise InputError(f"not an answer to a {project.task}", where=where)


def list_items(
    connection: Connection,
    project_id: int,
    *,
    kind: ItemKind | None = None,
    active: bool | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Item]:
    """The items in the order in which they were added."""
    query = select(items).where(items.c.project_id == project_id).order_by(items.c.id)
    if kind is not None:
        query = query.where(items.c.kind == kind)
    if active is not None:
        query = query.where(items.c.active == active)
    if limit is not None:
        query = query.limit(limit)
    return [item_of(row) for row in connection.execute(query.offset(offset))]


def count_items(connection: Connection, project_id: int, *, kind: ItemKind | None = None) -> int:
    """How many items a project has."""
    query = select(func.count()).select_from(items).where(items.c.project_id == project_id)
    return connection.execute(query if kind is None else query.where(items.c.kind == kind)).scalar_one()


def find_item(connection: Connection, project_id: int, item_id: int) -> Item:
    """One item. Raises InputError where the project has no such item."""
    query = select(items).where(items.c.project_id == project_id, items.c.id == item_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise InputError("no such item", where=f"item {item_id}")
    return item_of(row)


def change_item(connection: Connection, project: Project, item_id: int, changes: Mapping[str, Any]) -> Item:
    """Changes ``active``, ``overlap``, ``batch``, ``pool`` or ``gold``; returns it. Raises InputError otherwise."""
    item = find_item(connection, project.id, item_id)
    unknown = next((name for name in changes if name not in ("active", "overlap", "batch", "pool", "gold")), None)
    if unknown is not None:
        raise InputError(
            "cannot be changed", where=f"field '{unknown}'", fix="one of active, overlap, batch, pool, gold"
        )
    values = dict(changes)
    if values.get("overlap", 1) < 1 or values.get("batch", 1) < 1:
        raise InputError("overlap and batch are at least 1", where=f"item {item_id}")
    check_pool(project, values.get("pool"))
    if values.get("gold") is not None:
        gold = read_gold(values["gold"], where=f"item {item_id}, field 'gold'")
        check_judgement(project, gold.answer, len(item.responses), where=f"item {item_id}, field 'gold'")
        _check_texts(gold, f"item {item_id}, field 'gold'")
        values["gold"] = to_json(gold)
    elif "gold" in values and item.kind != "main":
        raise InputError(f"an item of kind '{item.kind}' needs its right answer", where=f"item {item_id}")
    if values:
        connection.execute(update(items).where(items.c.id == item.id).values(**values))
    return find_item(connection, project.id, item_id)


def read_gold(raw: Any, *, where: str) -> Gold:
    """A gold answer from JSON values. Raises InputError."""
    try:
        return Gold.from_json(raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fix = 'such as {"answer": {"best": 0}, "trap": "long_wrong", "why": "..."}'
        raise InputError(
            "not a gold answer" + (f": {error}" if isinstance(error, ValueError) else ""), where=where, fix=fix
        ) from error


def item_of(row: Row[Any]) -> Item:
    """An item from a row that holds all its columns."""
    raw = row._mapping
    return Item(
        id=raw["id"],
        project_id=raw["project_id"],
        key=raw["key"],
        kind=raw["kind"],
        batch=raw["batch"],
        pool=raw["pool"],
        prompt=Prompt.from_json(raw["prompt"]),
        responses=tuple(Completion.from_json(r) for r in raw["responses"]),
        gold=None if raw["gold"] is None else Gold.from_json(raw["gold"]),
        hidden=None if raw["hidden"] is None else tuple(Message(**m) for m in raw["hidden"]),
        overlap=raw["overlap"],
        labels=raw["labels"],
        leases=raw["leases"],
        active=raw["active"],
    )


def _row(project: Project, item: NewItem, now: float) -> dict[str, Any]:
    return {
        "project_id": project.id,
        "key": item.key,
        "kind": item.kind,
        "batch": item.batch or project.batch,
        "pool": item.pool,
        "prompt": to_json(item.prompt),
        "responses": [_without_tokens(response) for response in item.responses],
        "gold": None if item.gold is None else to_json(item.gold),
        "hidden": None if item.hidden is None else to_json(item.hidden),
        "overlap": item.overlap or project.settings.overlap,
        "information": expected_information(project.task, len(item.responses), ()),
        "created_at": now,
    }


def _without_tokens(response: Completion) -> dict[str, Any]:
    """Tokens and log-probabilities belong to a model's tokenizer; people judge the text."""
    return {**to_json(response), "token_ids": [], "logprobs": []}


def answers_by_index(order: Sequence[int], raw: Mapping[str, Any], *, where: str) -> Judgement:
    """The judgement behind an answer by places: ``order[place]`` is the index of the response that was shown there.

    Raises InputError for what is no answer.
    """
    try:
        if "order" in raw:
            return Ranking(order=tuple(tuple(order[_place(p, order)] for p in group) for group in raw["order"]))
        if "scores" in raw:
            scores = [0.0] * len(order)
            if len(raw["scores"]) != len(order):
                raise InputError(f"expected {len(order)} scores, found {len(raw['scores'])}", where=where)
            for place, score in enumerate(raw["scores"]):
                scores[order[place]] = float(score)
            return Ratings(scores=tuple(scores))
        best = raw.get("best")
        return Choice(
            best=None if best is None else order[_place(best, order)],
            strength=float(raw.get("strength", 1)),
            tie=bool(raw.get("tie", False)),
            both_bad=bool(raw.get("both_bad", False)),
        )
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise InputError("not an answer", where=where) from error


def answer_by_places(order: Sequence[int], answer: Judgement) -> dict[str, Any]:
    """The reverse: a judgement as it looks to whoever was shown the responses in this order."""
    place = {index: shown for shown, index in enumerate(order)}
    match answer:
        case Choice():
            return to_json(answer) | {"best": None if answer.best is None else place[answer.best]}
        case Ranking():
            return {"order": [[place[index] for index in group] for group in answer.order]}
        case Ratings():
            return {"scores": [answer.scores[index] for index in order]}


def _place(value: Any, order: Sequence[int]) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(order):
        raise ValueError("no such place")
    return value

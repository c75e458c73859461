"""The tables of a labelling database, the same on SQLite and PostgreSQL.

``submissions`` is the record that everything else can be derived from: it is only ever added to. An undo is a row that
names the row that it takes back. Moments are seconds since the epoch (UTC).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key() -> Column[Any]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _json(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


def _to(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> Column[Any]:
    return Column(name, Integer, ForeignKey(target), nullable=nullable, primary_key=primary_key)


def _moment(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Float(53), nullable=nullable)


accounts = Table(
    "accounts",
    metadata,
    _key(),
    Column("name", String(80), nullable=False, unique=True),  # lower case; what a person signs in with
    Column("role", String(16), nullable=False),  # admin, lead, annotator
    Column("password_hash", Text),  # argon2id; empty: signs in by link only
    Column("active", Boolean, nullable=False, default=True),
    _moment("created_at"),
    CheckConstraint("role IN ('admin', 'lead', 'annotator')", name="role"),
)

invitations = Table(
    "invitations",
    metadata,
    _key(),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    _to("project_id", "projects.id", nullable=True),  # whoever accepts becomes its member
    Column("pool", String(80)),
    Column("note", String(200), nullable=False, default=""),
    _to("created_by", "accounts.id", nullable=True),
    _to("for_account", "accounts.id", nullable=True),  # a link that signs an existing account in (or resets it)
    _moment("created_at"),
    _moment("expires_at"),
    _moment("used_at", nullable=True),
    _to("used_by", "accounts.id", nullable=True),
    _moment("revoked_at", nullable=True),
)

sessions = Table(
    "sessions",
    metadata,
    _key(),
    Column("token_hash", String(64), nullable=False, unique=True),
    _to("account_id", "accounts.id"),
    Column("csrf", String(64), nullable=False),
    _moment("created_at"),
    _moment("seen_at"),
    _moment("expires_at"),
    _moment("revoked_at", nullable=True),
    Index(None, "account_id"),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    _key(),
    _to("account_id", "accounts.id"),
    Column("name", String(80), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    _moment("created_at"),
    _moment("used_at", nullable=True),
    _moment("revoked_at", nullable=True),
    Index(None, "account_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    _key(),
    _moment("at"),
    _to("account_id", "accounts.id", nullable=True),
    Column("action", String(80), nullable=False),  # such as account.invite, project.export
    Column("subject", String(200), nullable=False, default=""),
    _json("details"),
)

projects = Table(
    "projects",
    metadata,
    _key(),
    Column("slug", String(80), nullable=False, unique=True),
    Column("title", String(200), nullable=False),
    Column("task", String(16), nullable=False),  # comparison, ranking, rating
    Column("instructions", Text, nullable=False, default=""),  # Markdown
    _json("settings"),  # candor.projects.settings.Settings
    Column("batch", Integer, nullable=False, default=1),  # items of this batch and earlier ones are handed out
    Column("seed", Integer, nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("archived", Boolean, nullable=False, default=False),
    _moment("created_at"),
    CheckConstraint("task IN ('comparison', 'ranking', 'rating')", name="task"),
)

members = Table(
    "members",
    metadata,
    _to("project_id", "projects.id", primary_key=True),
    _to("account_id", "accounts.id", primary_key=True),
    Column("pool", String(80)),  # None: items of no pool, or of any pool where a project has one pool only
    Column("cap", Integer),  # judgements that this annotator may give; None: the project's cap
    Column("handle", String(80), nullable=False),  # the annotator's name in exports
    Column("active", Boolean, nullable=False, default=True),
    _moment("joined_at"),
    UniqueConstraint("project_id", "handle"),
    Index(None, "account_id"),
)

items = Table(
    "items",
    metadata,
    _key(),
    _to("project_id", "projects.id"),
    Column("key", String(200), nullable=False),  # the id that it had where it came from; unique in a project
    Column("kind", String(16), nullable=False),  # main, gold, calibration, example
    Column("batch", Integer, nullable=False, default=1),
    Column("pool", String(80)),
    _json("prompt"),  # candor.records.Prompt
    _json("responses"),  # [candor.records.Completion, ...]
    _json("gold", nullable=True),  # {"best": 0, "trap": "long_wrong", "why": "..."}; see candor.projects.items.Gold
    _json("hidden", nullable=True),  # messages of the arm that hides the user's belief; NULL: no arm
    Column("overlap", Integer, nullable=False),
    Column("labels", Integer, nullable=False, default=0),  # standing answers that count towards the overlap
    Column("leases", Integer, nullable=False, default=0),  # tasks of it that somebody holds now
    Column("information", Float(53), nullable=False, default=0.0),  # nats that the next answer is expected to give
    Column("active", Boolean, nullable=False, default=True),
    _moment("created_at"),
    UniqueConstraint("project_id", "key"),
    CheckConstraint("kind IN ('main', 'gold', 'calibration', 'example')", name="kind"),
    Index("ix_items_kind", "project_id", "kind", "active"),
    # What has room, by what it tells: draws are made from this index (candor.projects.openings).
    Index(
        "ix_items_open",
        *("project_id", "kind", "active", "information", "id", "batch", "pool", "labels", "leases", "overlap"),
        sqlite_where=text("overlap > labels + leases"),
        postgresql_where=text("overlap > labels + leases"),
    ),
)

tasks = Table(
    "tasks",
    metadata,
    _key(),
    _to("project_id", "projects.id"),
    _to("item_id", "items.id"),
    _to("account_id", "accounts.id"),
    Column("round", Integer, nullable=False, default=0),  # 0: the first time; 1: the retest
    Column("purpose", String(16), nullable=False),  # main, gold, calibration, retest
    Column("state", String(16), nullable=False),  # leased, done, skipped, expired
    Column("fence", Integer, nullable=False, default=1),  # grows with every lease of this task
    _json("shown_order"),  # shown_order[place] is the index of the response shown there
    Column("arm", String(16)),  # shown, hidden; None: no arm
    Column("propensity", Float(53)),  # the probability with which this item was drawn, given the purpose
    Column("drawn", String(16), nullable=False),  # uniform, information, turn
    _moment("leased_at"),
    _moment("expires_at"),
    Column("counted", Boolean, nullable=False, default=False),  # its answer is one of the item's ``labels``
    UniqueConstraint("item_id", "account_id", "round"),
    Index("ix_tasks_of_account", "account_id", "project_id", "state"),
    Index("ix_tasks_expiring", "state", "expires_at"),
)

submissions = Table(
    "submissions",
    metadata,
    _key(),  # the order in which they were stored
    Column("submission_id", String(64), nullable=False, unique=True),  # made by the client
    Column("body_hash", String(64), nullable=False),  # tells a replay from another body under the same id
    _to("project_id", "projects.id"),
    _to("item_id", "items.id"),
    _to("task_id", "tasks.id"),
    _to("account_id", "accounts.id"),
    Column("kind", String(16), nullable=False),  # answer, skip, undo
    _json("answer", nullable=True),  # candor.records.Judgement, by index of response
    Column("reason", Text),  # of a skip
    Column("comment", Text),
    Column("supersedes", String(64), unique=True),  # an undo: the submission that it takes back
    Column("fence", Integer, nullable=False),
    Column("surplus", Boolean, nullable=False, default=False),  # kept, and not one of the item's labels
    _json("shown_order"),
    Column("arm", String(16)),
    _json("timing"),  # {"total": s, "visible": s, "ready": s, "focus_lost": n}
    Column("seconds", Float(53)),  # visible seconds
    _moment("client_at", nullable=True),
    _moment("received_at"),
    CheckConstraint("kind IN ('answer', 'skip', 'undo')", name="kind"),
    Index("ix_submissions_of_item", "item_id"),
    Index("ix_submissions_of_account", "project_id", "account_id"),
)

"""How a project hands out its items, and what its labels have to reach before they are released."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from candor.errors import InputError

Share = Annotated[float, Field(ge=0, le=1)]


class Gate(BaseModel):
    """What a batch of labels has to reach to be released."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha_at_least: Annotated[float, Field(ge=-1, le=1)] = 0.4  # Krippendorff's
    flips_at_most: Share = 0.25  # of side-swapped retests
    traps_at_least: Share = 0.7  # of answers to gold items
    coefficient_at_most: Annotated[float, Field(ge=0)] = 0.3  # |log odds| of side, length, politeness, agreement
    hourly_at_least: Annotated[float, Field(ge=0)] | None = None  # effective pay; None: the project's rate


class Settings(BaseModel):
    """A project's settings, as they are stored and as ``candor collect set`` changes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overlap: Annotated[int, Field(ge=1, le=100)] = 3  # annotators who judge one item
    cap: Annotated[int, Field(ge=1)] | None = None  # judgements one annotator may give
    pools: tuple[
        Annotated[str, Field(min_length=1, max_length=80)], ...
    ] = ()  # groups of annotators with items of their own

    lease_minutes: Annotated[float, Field(gt=0, le=10_080)] = 30.0
    uniform_share: Annotated[float, Field(ge=0.25, le=1)] = 0.25  # items drawn uniformly; the rest by information
    gold_rate: Share = 0.1
    retest_rate: Share = 0.1
    retest_after_hours: Annotated[float, Field(ge=0)] = 24.0
    calibration: bool = True  # everybody begins with the calibration items, and learns what was right

    ties: bool = True
    both_bad: bool = True
    strength: bool = True
    skip_reasons: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = (
        "I cannot judge this",
        "The text is broken or in another language",
        "It upsets me",
        "Something else",
    )
    minimum_seconds: Annotated[float, Field(ge=0, le=600)] = 1.0

    pay_per_hour: Annotated[float, Field(ge=0)] | None = None
    currency: Annotated[str, Field(min_length=1, max_length=8)] = "USD"
    words_per_minute: Annotated[float, Field(gt=0)] = 220.0
    seconds_per_judgement: Annotated[float, Field(ge=0)] = 8.0

    gate: Gate = Gate()


def read_settings(raw: Any, *, where: str = "settings") -> Settings:
    """Returns settings from JSON values. Raises InputError that names the field."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        fix = f"fields: {', '.join(Settings.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise InputError(
            first["msg"].lower(), where=f"{where}, field '{field}'" if field else where, fix=fix
        ) from error

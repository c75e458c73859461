"""The interventions that a frontier compares unless told otherwise: each at its strengths, alone and together.

A strength says what it changes of the recipe's own branch, stage by stage: ``interventions`` are added to those that
are there, every other field is set. A user's plan is a TOML file of the same shape.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from candor.errors import InputError
from candor.recipe_interventions import Frozen
from candor.storage import disk_failures

AS_IS = "as_is"
"""The name of the recipe without any intervention."""

SFT = "sft"
"""The name under which the policy that PPO starts from is measured, with the recipe as it is."""

Fields = Mapping[str, Any]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


class Strength(Frozen):
    """One setting of an intervention, by the stages that it changes."""

    label: Name
    sft: Fields = Field(default_factory=dict)
    compare: Fields = Field(default_factory=dict)
    reward: Fields = Field(default_factory=dict)
    ppo: Fields = Field(default_factory=dict)
    members: Annotated[int, Field(ge=0)] = 0  # further reward models of the same comparisons, for an ensemble


class Intervention(Frozen):
    """One remedy. ``seam`` is where it acts; ``title`` is what tables call it; ``limit`` is why it may not help."""

    name: Name
    title: str
    seam: Literal["demonstrations", "comparisons", "reward", "optimiser", "several"] = "several"
    limit: str = ""
    strengths: Annotated[tuple[Strength, ...], Field(min_length=1)]


def chosen(catalogue: Sequence[Intervention], names: Iterable[str] | None) -> tuple[Intervention, ...]:
    """The interventions of those names, in the catalogue's order; all where ``names`` is None.

    ``name:label`` picks one strength. Raises InputError for a name that is not in the catalogue.
    """
    if names is None:
        return tuple(catalogue)
    wanted: dict[str, list[str]] = {}
    for given in names:
        name, _, label = given.partition(":")
        known = next((one for one in catalogue if one.name == name), None)
        if known is None:
            fix = f"one of: {', '.join(one.name for one in catalogue)}"
            raise InputError(f"no intervention is called {name!r}", where="interventions", fix=fix)
        labels = [strength.label for strength in known.strengths]
        if label and label not in labels:
            fix = f"one of: {', '.join(labels)}"
            raise InputError(f"{name} has no strength {label!r}", where="interventions", fix=fix)
        wanted.setdefault(name, []).extend([label] if label else labels)
    return tuple(
        one.model_copy(update={"strengths": tuple(s for s in one.strengths if s.label in wanted[one.name])})
        for one in catalogue
        if one.name in wanted
    )


def read_plan(path: Path) -> tuple[Intervention, ...]:
    """The interventions of a TOML file of ``[[interventions]]``. Raises InputError for what it does not hold."""
    if not path.is_file():
        raise InputError("no such plan", where=str(path), fix="give a TOML file of [[interventions]]")
    try:
        with disk_failures(path):
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        listed = tree.get("interventions", [])
        if not (isinstance(listed, list) and all(isinstance(raw, dict) for raw in listed)):
            raise InputError("interventions is no list of tables", where=str(path), fix="write [[interventions]]")
        found = tuple(Intervention.model_validate(raw) for raw in listed)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", where=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InputError(first["msg"], where=f"{path}: interventions: {at}", fix="see docs/frontier.md") from None
    if not found:
        raise InputError("no [[interventions]] in it", where=str(path), fix="see docs/frontier.md")
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1 or name in (AS_IS, SFT)), None)
    if twice is not None:
        raise InputError(f"{twice!r} is taken", where=str(path), fix="give every intervention a name of its own")
    for one in found:
        labels = [strength.label for strength in one.strengths]
        same = next((label for label in labels if labels.count(label) > 1), None)
        if same is not None:
            what = f"two strengths of {one.name} are called {same!r}"
            raise InputError(what, where=str(path), fix="give every strength a label of its own")
    return found


def _at(label: str, **changes: Any) -> Strength:
    """A strength; a stage is given its interventions as a list, or all of its fields as a mapping."""
    stages = {
        name: {"interventions": value} if isinstance(value, list) else value
        for name, value in changes.items()
        if name != "members"
    }
    return Strength(label=label, members=changes.get("members", 0), **stages)


def _ensemble(how: str, members: int = 2) -> Strength:
    return _at(how, ppo=[{"type": "ensemble", "how": how, "rewards": []}], members=members)


FILTER: dict[str, Any] = {"type": "filter"}
RELABEL: dict[str, Any] = {"type": "relabel"}
SYNTHETIC: dict[str, Any] = {"type": "synthetic_disagreement"}
COUNTERFACTUAL: dict[str, Any] = {"type": "counterfactual"}
VERIFIER: dict[str, Any] = {"type": "verifier"}
PENALTY: dict[str, Any] = {"type": "penalty"}

CATALOGUE: tuple[Intervention, ...] = (
    Intervention(
        name="filter_demonstrations",
        title="demonstrations filtered",
        seam="demonstrations",
        limit="The comparisons still reward agreement, and PPO follows them.",
        strengths=tuple(_at(f"{share:g}", sft=[FILTER | {"share": share}]) for share in (0.5, 1.0)),
    ),
    Intervention(
        name="synthetic_disagreement",
        title="synthetic disagreement",
        seam="demonstrations",
        limit="The policy starts out more honest, but the comparisons still reward agreement, and PPO follows them.",
        strengths=tuple(_at(f"{share:g}", sft=[SYNTHETIC | {"share": share}]) for share in (0.25, 0.5)),
    ),
    Intervention(
        name="filter_comparisons",
        title="comparisons filtered",
        seam="comparisons",
        limit="What is left out teaches nothing, and the rest need not teach that agreeing is no merit.",
        strengths=tuple(_at(f"{share:g}", reward=[FILTER | {"share": share}]) for share in (0.5, 1.0)),
    ),
    Intervention(
        name="relabel",
        title="comparisons relabelled",
        seam="comparisons",
        limit="It needs known claims, and corrects nothing on which none is known.",
        strengths=tuple(_at(f"{share:g}", reward=[RELABEL | {"share": share}]) for share in (0.5, 1.0)),
    ),
    Intervention(
        name="counterfactual",
        title="counterfactual augmentation",
        seam="comparisons",
        limit="It adds comparisons and takes none away: those that reward agreement still pull the other way.",
        strengths=tuple(_at(f"{share:g}", reward=[COUNTERFACTUAL | {"share": share}]) for share in (0.5, 1.0)),
    ),
    Intervention(
        name="reliability_weights",
        title="reliability weights",
        seam="comparisons",
        limit="Weights choose between annotators: a bias that all of them share stays.",
        strengths=(
            _at("fit", reward=[{"type": "reliability_weights", "source": "fit"}]),
            _at("gold", reward=[{"type": "reliability_weights", "source": "gold", "power": 4.0}]),
        ),
    ),
    Intervention(
        name="annotator_conditional",
        title="annotator-conditional reward",
        seam="comparisons",
        limit="It chooses between annotators: a bias that all of them share stays.",
        strengths=(_at("gold", reward=[{"type": "annotator_conditional"}]),),
    ),
    Intervention(
        name="penalty",
        title="agreement penalty",
        seam="reward",
        limit="lambda* brings agreement back to that of the policy that PPO starts from, and no lower; "
        "a smaller penalty does not reach that.",
        strengths=(
            _at("lambda_star", ppo=[PENALTY]),
            *(_at(f"{size:g}", ppo=[PENALTY | {"strength": size}]) for size in (0.25, 0.5, 1.0)),
        ),
    ),
    Intervention(
        name="belief_blind",
        title="belief-blind scoring",
        seam="reward",
        limit="The reply is scored without the belief that it answers, which it may not have learnt to do.",
        strengths=tuple(_at(how, ppo=[{"type": "belief_blind", "how": how}]) for how in ("remove", "marginalise")),
    ),
    Intervention(
        name="probe_penalty",
        title="probe penalty",
        seam="reward",
        limit="It takes out what a linear probe finds; what the reward model knows of agreement in other ways stays.",
        strengths=tuple(
            _at(f"{size:g}", ppo=[{"type": "probe_penalty", "strength": size}]) for size in (0.5, 1.0, 2.0)
        ),
    ),
    Intervention(
        name="ensemble",
        title="ensemble of reward models",
        seam="reward",
        limit="Its members learnt from the same annotators and share their error (Eisenstein 2023, arXiv 2312.09244); "
        "it helps against errors that they do not share.",
        strengths=(_ensemble("mean"), _ensemble("worst"), _ensemble("variance")),
    ),
    Intervention(
        name="verifier",
        title="truth verifier",
        seam="reward",
        limit="It needs known claims; too small a bonus does not outweigh what the annotators reward.",
        strengths=tuple(_at(f"{bonus:g}", ppo=[VERIFIER | {"bonus": bonus}]) for bonus in (0.25, 0.5, 1.0)),
    ),
    Intervention(
        name="kl",
        title="stronger KL penalty",
        seam="optimiser",
        limit="It only keeps the policy near to where it started: less agreement is bought with less of everything.",
        strengths=(
            *(_at(f"{coef:g}", ppo={"kl_coef": coef}) for coef in (0.2, 0.5)),
            _at("adaptive", ppo={"kl_control": "adaptive", "kl_target": 0.2, "kl_horizon": 1000}),
        ),
    ),
    Intervention(
        name="constraint",
        title="constrained PPO",
        seam="optimiser",
        limit="It bounds agreement with false beliefs, and hedging meets the bound as well as correcting does.",
        strengths=tuple(_at(f"{limit:g}", ppo=[{"type": "constraint", "limit": limit}]) for limit in (0.2, 0.1, 0.05)),
    ),
    Intervention(
        name="early_stop",
        title="early stopping",
        seam="optimiser",
        limit="It only keeps the policy near to where it started.",
        strengths=tuple(_at(f"{limit:g}", ppo=[{"type": "early_stop", "limit": limit}]) for limit in (0.05, 0.2)),
    ),
    Intervention(
        name="relabel+verifier",
        title="relabelled, and a verifier",
        seam="several",
        strengths=(_at("1+0.5", reward=[RELABEL], ppo=[VERIFIER | {"bonus": 0.5}]),),
    ),
    Intervention(
        name="synthetic+relabel",
        title="synthetic disagreement, and relabelled",
        seam="several",
        strengths=(_at("0.5+1", sft=[SYNTHETIC], reward=[RELABEL]),),
    ),
)
"""Every intervention that Candor has, at a few strengths, and the combinations that were worth trying."""

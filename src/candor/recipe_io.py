"""Recipes in and out: TOML to ``Recipe``, ``--set`` overrides, and inputs filled in.

Every refusal is one line that names the file (or the override), the key, and the nearest thing that would be right.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from candor.errors import InputError
from candor.recipe import ATLAS, ATLAS_CLEAN, AuditConfig, CompareStage, PPOStage, Recipe, RewardStage, SFTStage, Stage
from candor.recipe_checks import check_policy_interventions, check_shared_backbones
from candor.storage import disk_failures

STAGE_TYPES: dict[str, type[SFTStage | CompareStage | RewardStage | PPOStage]] = {
    "sft": SFTStage,
    "compare": CompareStage,
    "reward": RewardStage,
    "ppo": PPOStage,
}
BASE = "base"
"""Name and type of the stage that every run starts with: the model as it was given."""

POLICY_TYPES = frozenset({BASE, "sft", "ppo"})
RESERVED_NAMES = frozenset({BASE, ATLAS, ATLAS_CLEAN, "name", "seed", "model", "stages", "audit"})
PATH_FIELDS = ("path", "demonstrations", "prompts", "file", "model")
"""The fields, wherever they occur, that may hold a file or a directory."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_KINDS = {"policy": POLICY_TYPES, "reference": POLICY_TYPES, "comparisons": {"compare"}, "reward": {"reward"}}


def packaged_recipes() -> dict[str, Path]:
    """The recipes that ship with Candor, by name."""
    folder = Path(str(resources.files("candor"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(path: str | Path | None = None) -> Recipe:
    """Returns a recipe: of a TOML file, the name of a packaged recipe, or None for the default one.

    A relative path inside a recipe is looked for beside the recipe first and then in the current directory.
    Raises InputError for a missing file, malformed TOML, an unknown key or a wrong type.
    """
    packaged = packaged_recipes()
    source = packaged["default"] if path is None else Path(path)
    if not source.is_file() and str(path) in packaged:
        source = packaged[str(path)]
    if not source.is_file():
        known = ", ".join(packaged)
        raise InputError("no such recipe", where=str(source), fix=f"give a TOML file, or one of: {known}")
    try:
        with disk_failures(source):
            tree = tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}", where=str(source)) from None
    tree.setdefault("name", source.stem)
    _rebase_paths(tree, source.parent.resolve())
    return parse_recipe(tree, where=str(source))


def parse_recipe(tree: Mapping[str, Any], *, where: str) -> Recipe:
    """Returns a tree of plain values as a recipe. Strict: a quoted number is not a number. Raises InputError."""
    try:
        # JSON mode is strict about scalars and still reads a list as a tuple.
        text = json.dumps(_with_nones(tree, Recipe), default=str)
        return Recipe.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _one_line(error, tree, where) from None


def apply_overrides(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Returns the recipe changed by ``stage.field=value`` texts (``audit.samples=2``, ``seed=3``, ``model.path=...``).

    The value is read as TOML where it parses and as a plain string otherwise; ``none`` unsets an optional field.
    Raises InputError for an unknown stage or key, or a value of the wrong type.
    """
    for override in overrides:
        where = f"--set {override}"
        key, equals, raw = override.partition("=")
        if not equals or not key.strip():
            raise InputError("expected key=value", where=where, fix="for example --set ppo.kl_coef=0.2")
        tree = recipe.model_dump(mode="json", exclude_unset=True)
        _assign(tree, recipe, key.strip(), raw.strip(), where)
        recipe = parse_recipe(tree, where=where)
    return recipe


def resolve(recipe: Recipe, *, where: str = "") -> Recipe:
    """Returns the recipe with stage names and inputs filled in.

    An input that was left out is the latest earlier artefact of the right kind.

    Raises InputError for a name used twice or reserved, and for a reference to a stage that does not exist, comes
    later, or is of the wrong kind.
    """
    where = where or recipe.name
    names = [stage.name or stage.type for stage in recipe.stages]
    for index, name in enumerate(names):
        if name in RESERVED_NAMES or not _NAME.fullmatch(name):
            raise InputError(f"{name!r} cannot name a stage", where=f"{where}: stages[{index}].name")
        if name in names[:index]:
            raise InputError(
                f"two stages are called {name!r}", where=f"{where}: stages[{index}]", fix='give one a name = "..."'
            )
    kinds = {BASE: BASE}
    demonstrations: str | None = None
    stages: list[Stage] = []
    for index, (name, stage) in enumerate(zip(names, recipe.stages, strict=True)):
        filled = _fill(stage, name, kinds, names[index:], demonstrations, where)
        stages.append(filled)
        kinds[name] = stage.type
        if isinstance(filled, SFTStage):
            demonstrations = filled.demonstrations
    check_shared_backbones(stages, where)
    check_policy_interventions(stages, where)
    return recipe.model_copy(update={"stages": tuple(stages), "audit": _audit(recipe, stages, where)})


def to_toml(recipe: Recipe) -> str:
    """The recipe as TOML: what was set, overrides included; defaults are left out."""
    tree = recipe.model_dump(mode="json", exclude_unset=True)
    stages = tree.pop("stages", [])
    lines = _toml_table(tree, ())
    for stage in stages:
        lines += ["", "[[stages]]", *_toml_table({"type": stage.pop("type"), **stage}, ("stages",))]
    return "\n".join(lines) + "\n"


# --- inputs -------------------------------------------------------------------------------------------------------


def _fill(
    stage: Stage,
    name: str,
    kinds: Mapping[str, str],
    later: Sequence[str],
    demonstrations: str | None,
    where: str,
) -> Stage:
    """One stage with its name and inputs filled in; ``kinds`` maps the earlier stages, oldest first, to their types."""
    update: dict[str, Any] = {"name": name}
    for field, right in _KINDS.items():
        if field not in type(stage).model_fields:
            continue
        given = getattr(stage, field)
        if isinstance(stage, CompareStage) and stage.file is not None and given is None:
            continue  # a file needs no policy
        if field == "policy" and isinstance(stage, RewardStage) and stage.model is not None:
            if given is not None:
                raise InputError(
                    "a reward stage starts from a policy or a model, not both",
                    where=f"{where}: {name}",
                    fix="leave one out",
                )
            continue
        if field == "reference" and given is None:
            update[field] = update["policy"]
        elif given is None:
            fitting = [earlier for earlier, kind in kinds.items() if kind in right]
            if not fitting:
                needed = " or ".join(sorted(right))
                raise InputError(f"needs an earlier {needed} stage", where=f"{where}: {name}")
            update[field] = fitting[-1]
        else:
            _check_reference(given, right, kinds, later, where=f"{where}: {name}.{field}")
            update[field] = given
    if isinstance(stage, RewardStage | PPOStage) and stage.demonstrations is None:
        update["demonstrations"] = demonstrations
    if isinstance(stage, CompareStage | PPOStage) and (stage.prompts in kinds or stage.prompts in later):
        _check_reference(stage.prompts, {"compare"}, kinds, later, where=f"{where}: {name}.prompts")
    if isinstance(stage, PPOStage):
        _check_ppo(stage, stage.demonstrations or demonstrations, f"{where}: {name}")
    return stage.model_copy(update=update)


def _audit(recipe: Recipe, stages: Sequence[Stage], where: str) -> AuditConfig:
    """The audit's prompts may name a compare stage that reads a file; it is that file that is then read."""
    source = next((stage for stage in stages if stage.name == recipe.audit.prompts), None)
    if source is None:
        return recipe.audit
    if not isinstance(source, CompareStage) or source.file is None:
        fix = f"name a file, a compare stage that reads one, or {ATLAS!r}"
        raise InputError(f"{source.name!r} is not read from a file", where=f"{where}: audit.prompts", fix=fix)
    return recipe.audit.model_copy(update={"prompts": source.file})


def _check_reference(
    given: str, right: Iterable[str], kinds: Mapping[str, str], later: Sequence[str], *, where: str
) -> None:
    right = sorted(right)
    if given in kinds:
        if kinds[given] not in right:
            raise InputError(f"{given!r} is a {kinds[given]} stage; needs {' or '.join(right)}", where=where)
        return
    fitting = [earlier for earlier, kind in kinds.items() if kind in right]
    if given in later:
        raise InputError(f"{given!r} does not come before this stage", where=where, fix=_choices(given, fitting))
    raise InputError(f"no stage is called {given!r}", where=where, fix=_choices(given, fitting))


def _check_ppo(stage: PPOStage, demonstrations: str | None, where: str) -> None:
    if stage.batch_size % stage.responses:
        what = f"{stage.responses} does not divide batch_size = {stage.batch_size}"
        raise InputError(what, where=f"{where}.responses")
    if stage.minibatches > stage.batch_size:
        raise InputError(f"more than batch_size = {stage.batch_size}", where=f"{where}.minibatches")
    if stage.ptx_coef > 0 and demonstrations is None:
        fix = "name a file or add an sft stage"
        raise InputError("ptx_coef needs demonstrations", where=f"{where}.demonstrations", fix=fix)


# --- trees --------------------------------------------------------------------------------------------------------


def _rebase_paths(tree: Any, folder: Path) -> None:
    """Makes the relative paths that exist beside the recipe absolute, in place."""
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, dict | list):
            _rebase_paths(value, folder)
    if isinstance(tree, dict):
        for field in PATH_FIELDS:
            given = tree.get(field)
            if (
                isinstance(given, str)
                and given != ATLAS
                and not Path(given).is_absolute()
                and ((folder / given).exists() or (folder / given.rpartition("#")[0]).is_file())  # a database's project
            ):
                tree[field] = str(folder / given)


def _model_at(annotation: Any, value: Any = None) -> type[BaseModel] | None:
    """The config class that an annotation stands for; a stage is told by its ``type``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    members = typing.get_args(annotation)
    if (types_of := _tagged(annotation)) is not None:
        return types_of.get(str(value.get("type"))) if isinstance(value, dict) else None
    tables = [member for member in members if isinstance(member, type) and issubclass(member, BaseModel)]
    return tables[0] if len(tables) == 1 and _optional(annotation) else None  # a table that may be left out


def _tagged(annotation: Any) -> dict[str, type[BaseModel]] | None:
    """The members of a union that are told by their ``type``, by it: stages, or interventions; None for no such."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    members = typing.get_args(annotation)
    if len(members) < 2 or not all(isinstance(m, type) and issubclass(m, BaseModel) for m in members):
        return None
    return {str(m.model_fields["type"].default): m for m in members if "type" in m.model_fields} or None


def _item_annotation(annotation: Any) -> Any:
    """The element type of ``tuple[X, ...]``, else None."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is tuple else None


def _optional(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType) and type(None) in typing.get_args(
        annotation
    )


def _with_nones(tree: Any, model: type[BaseModel] | None) -> Any:
    """TOML has no null: the string "none" means None wherever a field is optional."""
    if model is None or not isinstance(tree, Mapping):
        return tree
    out: dict[str, Any] = {}
    for key, value in tree.items():
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        item = _item_annotation(annotation)
        if value == "none" and _optional(annotation):
            out[key] = None
        elif isinstance(value, list) and item is not None:
            out[key] = [_with_nones(element, _model_at(item, element)) for element in value]
        else:
            out[key] = _with_nones(value, _model_at(annotation, value))
    return out


def _assign(tree: dict[str, Any], recipe: Recipe, key: str, raw: str, where: str) -> None:
    """Sets one dotted key in the tree, in place."""
    head, *rest = key.split(".")
    stages = {stage.name or stage.type: index for index, stage in enumerate(recipe.stages)}
    node: Any = tree
    model: type[BaseModel] | None = Recipe
    if head in stages:
        if not rest:
            raise InputError("names a stage, not a field", where=where, fix=f"for example {head}.name=...")
        node, model = tree["stages"][stages[head]], type(recipe.stages[stages[head]])
        current: Any = recipe.stages[stages[head]]
    elif head in Recipe.model_fields and head != "stages":
        rest, current = [head, *rest], recipe
    else:
        known = [*stages, *(field for field in Recipe.model_fields if field != "stages")]
        raise InputError(f"no stage or section is called {head!r}", where=where, fix=_choices(head, known))
    *path, last = rest
    for part in path:
        if isinstance(node, list):
            node, model, current = _descend_list(node, current, part, where)
            continue
        annotation = model.model_fields[part].annotation if model and part in model.model_fields else None
        if annotation is None:
            raise InputError(
                f"unknown key {part!r}", where=where, fix=_choices(part, model.model_fields if model else ())
            )
        current, model = getattr(current, part), _model_at(annotation)
        if part not in node:  # not set before: start from its defaults
            node[part] = _dump(current)
        if node[part] is None and model is not None:  # a table that was left out begins with its first key
            node[part], current = {}, model.model_construct()
        node = node[part]
        if not isinstance(node, dict | list):
            raise InputError(f"{part!r} has no keys of its own", where=where)
    if isinstance(node, list):
        raise InputError(
            f"name a field of one of the {len(node)} items", where=where, fix=f"{'.'.join(rest[:-1])}.0...."
        )
    annotation = model.model_fields[last].annotation if model and last in model.model_fields else None
    node[last] = _read_value(raw, annotation)


def _descend_list(node: list[Any], current: Any, part: str, where: str) -> tuple[Any, type[BaseModel], Any]:
    if not part.isdigit() or int(part) >= len(node):
        raise InputError(f"expected an index below {len(node)}, got {part!r}", where=where)
    item = current[int(part)]
    return node[int(part)], type(item), item


def _dump(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    return [_dump(item) for item in value] if isinstance(value, tuple) else value


def _read_value(raw: str, annotation: Any) -> Any:
    """A text field takes the text as it stands; everything else is read as TOML where it can be."""
    takes_text = annotation is str or (_optional(annotation) and str in typing.get_args(annotation))
    if takes_text and raw[:1] not in {'"', "'"}:
        return raw
    try:
        return tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return raw


# --- messages -----------------------------------------------------------------------------------------------------


def _choices(given: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"


def _one_line(error: ValidationError, tree: Mapping[str, Any], where: str) -> InputError:
    """The most telling of pydantic's errors: a key that does not exist before a value that does not fit."""
    problems = error.errors()
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    path, model, value, annotation = _walk(first["loc"], tree)
    where = f"{where}: {path}" if path else where
    types_of = _tagged(annotation) or STAGE_TYPES
    what = "stage" if "sft" in types_of else "intervention"
    given = first["input"]
    if first["type"] == "extra_forbidden":
        last = str(first["loc"][-1])
        return InputError("unknown key", where=where, fix=_choices(last, model.model_fields if model else ()))
    if first["type"] == "union_tag_not_found":
        article = "a stage" if what == "stage" else "an intervention"
        return InputError(f"{article} needs a type", where=where, fix=f"one of: {', '.join(types_of)}")
    if first["type"] == "union_tag_invalid":
        kind = str(value.get("type")) if isinstance(value, Mapping) else ""
        return InputError(f"unknown {what} type {kind!r}", where=where, fix=_choices(kind, types_of))
    if first["type"] == "missing":
        return InputError("missing", where=where)
    message = first["msg"].removeprefix("Input ").removeprefix("should be ")
    shown = json.dumps(given, default=str)
    return InputError(f"expected {message}, got {shown if len(shown) <= 60 else shown[:57] + '...'}", where=where)


class _Place(typing.NamedTuple):
    path: str
    model: type[BaseModel] | None
    value: Any
    annotation: Any


def _walk(loc: Sequence[int | str], tree: Any) -> _Place:
    """Turns pydantic's location into the user's key path, and finds the config class that holds the last key."""
    model: type[BaseModel] | None = Recipe
    parts: list[str] = []
    node: Any = tree
    annotation: Any = None
    for position, part in enumerate(loc):
        if isinstance(part, int):
            parts[-1] += f"[{part}]"
            node = node[part] if isinstance(node, list) and part < len(node) else None
            annotation = _item_annotation(annotation)
            model = _model_at(annotation, node)
        elif position and isinstance(loc[position - 1], int) and part in (_tagged(annotation) or ()):
            name = node.get("name", "") if isinstance(node, Mapping) else ""
            parts[-1] += f" ({name or part})"  # the union's tag: not a key
        else:
            last = position == len(loc) - 1
            annotation = model.model_fields[part].annotation if model and part in model.model_fields else None
            node = node.get(part) if isinstance(node, Mapping) else None
            parts.append(part)
            if not last and not isinstance(loc[position + 1], int):
                model = _model_at(annotation, node)
    return _Place(".".join(parts), model, node, annotation)


# --- TOML out -----------------------------------------------------------------------------------------------------


def _toml_table(tree: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain keys first, then tables, then arrays of tables, as TOML needs them."""
    lines, tables = [], []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            tables += ["", f"[{'.'.join((*path, key))}]", *_toml_table(value, (*path, key))]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for item in value:
                tables += ["", f"[[{'.'.join((*path, key))}]]", *_toml_table(item, (*path, key))]
        else:
            # JSON's strings, numbers, booleans and flat lists are TOML's too; TOML has no null.
            lines.append(f"{key} = {json.dumps('none' if value is None else value, ensure_ascii=False)}")
    return lines + tables

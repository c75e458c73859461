"""Writes a stage's checkpoint and its card to a directory of its own, whole or not at all."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from candor.errors import InputError
from candor.export.card import model_card
from candor.recipe import ATLAS
from candor.results.run import POLICY_TYPES, Run
from candor.storage import no_file_in_the_way, replacing

CARD = "README.md"
ADAPTER = "adapter_config.json"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written: the directory, the stage, its kind (``policy`` or ``reward``), and each file's bytes."""

    path: Path
    run: Path
    stage: str
    kind: str
    files: dict[str, int]


def export_stage(run: Run, stage: str, directory: str | Path, *, force: bool = False) -> Exported:
    """Writes the model of a finished stage as a checkpoint that plain ``transformers`` loads; returns what it wrote.

    ``directory`` appears in one step, complete: checkpoint, tokenizer and ``README.md``, the model card. ``force``
    replaces what is there.

    Raises InputError where the stage is not finished or has no model, where the directory is not empty, and where it
    cannot be written.
    """
    target = Path(directory)
    source, kind = _source(run, stage)
    _check_target(target, run, force=force)
    with replacing(target) as unfinished:
        _write_checkpoint(source, unfinished)
        (unfinished / CARD).write_text(model_card(run, stage, unfinished), encoding="utf-8")
    files = {file.relative_to(target).as_posix(): file.stat().st_size for file in sorted(target.rglob("*"))}
    return Exported(path=target, run=run.path, stage=stage, kind=kind, files=files)


def _source(run: Run, stage: str) -> tuple[Path, str]:
    """The checkpoint's directory, and whether it is a policy or a reward model."""
    run.directory(stage)
    kind = run.manifests[stage].type
    if kind == "reward":
        return run.checkpoint(stage), "reward"
    if kind not in POLICY_TYPES:
        raise InputError(
            f"the stage {stage!r} has no model: it is of type {kind}",
            where=str(run.path),
            fix=f"stages with one: {', '.join(with_models(run))}",
        )
    named = run.policy_source(stage)
    if named == ATLAS:
        from candor.testbeds.atlas.base import base_path

        named = str(base_path())
    if not Path(named).is_dir():
        raise InputError(
            f"the base is the hub model {named}, unchanged: there is nothing to export", where=str(run.path)
        )
    return Path(named), "policy"


def with_models(run: Run) -> list[str]:
    """The finished stages that left a model."""
    return [name for name, made in run.manifests.items() if made.type in (*POLICY_TYPES, "reward")]


def _check_target(target: Path, run: Run, *, force: bool) -> None:
    no_file_in_the_way(target)
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError("there is a file, not a directory", where=str(target), fix="give another directory")
    inside = [run.path.resolve(), *run.path.resolve().parents]
    if target.resolve() in inside or run.path.resolve() in target.resolve().parents:
        raise InputError("a run keeps its directory to itself", where=str(target), fix="give a directory beside it")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise InputError("the directory is not empty", where=str(target), fix="give another one, or --force")


def _write_checkpoint(source: Path, target: Path) -> None:
    """Copies the checkpoint's own files; caches and what else may lie in a model's directory stay behind."""
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.name.startswith(".") and file.suffix not in (".py", ".md"):
            shutil.copyfile(file, target / file.name)

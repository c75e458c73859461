"""What the shell offers after a tab: recipes, runs and stages, read from the disk, without torch.

Imports are inside: the functions are named by every command, and called by few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer


def recipes(incomplete: str) -> list[str]:
    """Packaged recipes and TOML files."""
    from candor.recipe_io import packaged_recipes

    return _starting([*packaged_recipes(), *_paths(incomplete, lambda path: path.suffix == ".toml")], incomplete)


def packaged(incomplete: str) -> list[str]:
    """Packaged recipes."""
    from candor.recipe_io import packaged_recipes

    return _starting(packaged_recipes(), incomplete)


def run_names(incomplete: str) -> list[str]:
    """The runs under ``runs/`` by name, and directories on the way to others."""
    from candor.results.listing import RUNS, is_run

    root = Path(RUNS)
    names = sorted(path.name for path in root.iterdir() if is_run(path)) if root.is_dir() else []
    return _starting([*names, *_paths(incomplete)], incomplete)


def stages(context: typer.Context, incomplete: str) -> list[str]:
    """The finished stages of the run that stands earlier on the line."""
    from candor.errors import InputError
    from candor.results import Run, locate_run

    try:
        run = Run(locate_run(str(context.params.get("run"))))
    except InputError:
        return []
    wanted = run.stages if context.info_name == "export" else run.policies
    return _starting(wanted, incomplete)


def directories(incomplete: str) -> list[str]:
    """Directories."""
    return _starting(_paths(incomplete), incomplete)


def _paths(incomplete: str, also: Callable[[Path], bool] = lambda path: False) -> list[str]:
    """The directories (and the files that ``also`` accepts) beside what has been typed, written as it was."""
    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    if not folder.is_dir():
        return []
    beside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [f"{path}/" if path.is_dir() else str(path) for path in beside if path.is_dir() or also(path)]


def _starting(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]

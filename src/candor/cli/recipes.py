"""``candor recipes``: what ships with Candor, to look at and to start one's own from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from candor.cli.completion import packaged
from candor.cli.output import AsJson, print_json
from candor.errors import InputError
from candor.storage import no_file_in_the_way, writing

EXAMPLES = """
\b
Examples:
  candor recipes                           the packaged recipes, one line each
  candor recipes show default              its text
  candor recipes show default --json       every field, defaults filled in
  candor recipes copy default mine.toml    a copy to change, then: candor run mine.toml
"""

SHOW_EXAMPLES = """
\b
Examples:
  candor recipes show hh
  candor recipes show default --json
"""

COPY_EXAMPLES = """
\b
Examples:
  candor recipes copy default                 to default.toml
  candor recipes copy default mine.toml
  candor recipes copy hh mine.toml --force    replaces mine.toml
"""

app = typer.Typer(help="List, show and copy the packaged recipes.", rich_markup_mode=None, epilog=EXAMPLES)

Name = Annotated[str, typer.Argument(help="A packaged recipe.", autocompletion=packaged, show_default=False)]


@app.callback(invoke_without_command=True)
def list_recipes(context: typer.Context, as_json: AsJson = False) -> None:
    """List, show and copy the packaged recipes."""
    if context.invoked_subcommand is not None:
        return
    from candor.recipe_io import packaged_recipes

    told = {name: description(path.read_text(encoding="utf-8")) for name, path in packaged_recipes().items()}
    if as_json:
        paths = packaged_recipes()
        print_json([{"name": name, "description": text, "path": str(paths[name])} for name, text in told.items()])
        return
    width = max(map(len, told))
    for name, text in told.items():
        typer.echo(f"{name:<{width}}  {text}")


@app.command(epilog=SHOW_EXAMPLES)
def show(name: Name, as_json: AsJson = False) -> None:
    """Print a packaged recipe.

    As JSON: every field, with its default filled in.
    """
    path = _packaged(name)
    if as_json:
        from candor.recipe_io import load_recipe, resolve

        print_json(resolve(load_recipe(path)).model_dump(mode="json"))
    else:
        typer.echo(path.read_text(encoding="utf-8"), nl=False)


@app.command(epilog=COPY_EXAMPLES)
def copy(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="Where to.", show_default="NAME.toml")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a packaged recipe, to change and run it."""
    from candor.runs import write_text

    text = _packaged(name).read_text(encoding="utf-8")
    target = file or Path(f"{name}.toml")
    if target.is_dir():
        target = target / f"{name}.toml"
    if target.exists() and not force:
        raise InputError("there is a file already", where=str(target), fix="give another name, or --force")
    no_file_in_the_way(target)
    with writing(target):
        write_text(target, text)
    if as_json:
        print_json({"name": name, "path": str(target)})
    else:
        typer.echo(f"{target}; run it with: candor run {target}")


def description(text: str) -> str:
    """The first sentence of the comment that a recipe begins with."""
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        lines.append(line.removeprefix("# ").strip())
    return re.split(r"(?<=\.)\s", " ".join(lines))[0]


def _packaged(name: str) -> Path:
    from candor.recipe_io import packaged_recipes

    paths = packaged_recipes()
    if name not in paths:
        raise InputError("no such packaged recipe", where=name, fix=f"one of: {', '.join(paths)}")
    return paths[name]

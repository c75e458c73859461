"""Every public name says what it gives back and what it raises; tensor functions give shapes, losses their source."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import candor

SOURCES = Path(__file__).parents[2] / "src/candor"
PACKAGES = (
    "ops",
    "training",
    "models",
    "generation",
    "projects",
    "projects/accounts",
    "collect",
    "collect/quality",
    "preferences",
    "preferences/containers",
    "preferences/fit",
    "preferences/formats",
    "lexical",
    "annotators",
    "audits",
    "audits/preferences",
    "auditing",
    "results",
    "chat",
    "audits/reward",
    "claims",
    "experiments",
    "experiments/attribution",
    "experiments/bias_transfer",
    "experiments/frontier",
    "interventions",
    "exercises",
    "forecasting",
    "export",
)
MODULES = (
    "api",
    "protocols",
    "records",
    "recipe",
    "recipe_io",
    "recipe_checks",
    "datafiles",
    "errors",
    "pipeline/estimate",
    "pipeline/tracking",
    "pipeline/tensorboard",
)
FILES = sorted(
    [path for package in PACKAGES for path in (SOURCES / package).glob("*.py")]
    + [path for module in MODULES if (path := SOURCES / f"{module}.py").is_file()]
)
FORMULAS = ("losses.py", "ppo_losses.py", "advantages.py", "kl.py")
"""Files of ops/ whose functions come from papers."""

STATISTICS = {"masked_mean", "masked_std", "explained_variance"}
"""What needs no source, beside the formulas that do."""

SAID_BY_THE_TYPE = {"None", "bool", "Iterator[None]"}
"""A truth value is that of the sentence; a context manager of None gives nothing."""

SAID_BY_THE_MODULE = {"from_json", "to_json"}
"""One round trip, described once in records.py."""

TELLING = {"Returns", "Yields", "Gives", "Says", "Tells"}
PLURALS = {"Bias", "Counts", "Messages", "Observations", "Ratings", "Replies", "Roles", "Sums", "Tokens", "Updates"}
"""First words that end like the third person of a verb and are none."""

SHAPE = re.compile(r"\([A-Za-z_]+(?:,|(?:, \w+)+)\)|\bscalar\b|element by element|one shape")
"""Shapes such as (N,), (B, T) and (rows, vocabulary), or words for the same."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A public function, method or class with the private functions of its file that it may call."""

    name: str
    node: ast.FunctionDef | ast.ClassDef
    helpers: dict[str, ast.FunctionDef]

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""


def definitions(text: str) -> Iterator[Definition]:
    """The public definitions of a file, methods included."""
    body = ast.parse(text).body
    helpers = {node.name: node for node in body if isinstance(node, ast.FunctionDef) and node.name.startswith("_")}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield Definition(name=node.name, node=node, helpers=helpers)
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield Definition(name=f"{node.name}.{method.name}", node=method, helpers=helpers)


def raised(nodes: list[ast.FunctionDef], helpers: dict[str, ast.FunctionDef]) -> set[str]:
    """The exceptions that these functions and the private ones they call raise and do not catch, by class name."""
    seen, found = set[tuple[str, str]](), set[str]()
    waiting = [(node, "") for node in nodes]
    while waiting:
        node, around = waiting.pop()
        caught = {
            id(inner): ast.unparse(handler.type)
            for attempt in ast.walk(node)
            if isinstance(attempt, ast.Try)
            for statement in attempt.body
            for inner in ast.walk(statement)
            for handler in attempt.handlers
            if handler.type is not None
        }
        for inner in ast.walk(node):
            stopped = around + caught.get(id(inner), "")
            if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
                name = ast.unparse(inner.exc.func).split(".")[-1]
                name = name if name[0].isupper() else "InputError"  # functions that make errors make these
                if name not in stopped:
                    found.add(name)
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in helpers:
                if (inner.func.id, stopped) not in seen:
                    waiting.append((helpers[inner.func.id], stopped))
                seen.add((inner.func.id, stopped))
    return found


def is_obvious(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """A method or property of one expression: its name says it."""
    return isinstance(node, ast.FunctionDef) and len(node.body) == 1 and isinstance(node.body[0], ast.Return)


def problems(text: str, *, formulas: bool = False, tensors: bool = False) -> list[str]:
    """What the docstrings of a file leave unsaid."""
    wrong = []
    for item in definitions(text):
        if not item.doc and item.node.name in SAID_BY_THE_MODULE:
            continue
        if not item.doc:
            wrong += [] if is_obvious(item.node) and "." in item.name else [f"{item.name}: no docstring"]
            continue
        functions = [item.node] if isinstance(item.node, ast.FunctionDef) else []
        if isinstance(item.node, ast.ClassDef):
            made_by = ("__init__", "__post_init__")
            functions = [m for m in item.node.body if isinstance(m, ast.FunctionDef) and m.name in made_by]
        wrong += [f"{item.name}: raises {e}" for e in sorted(raised(functions, item.helpers)) if e not in item.doc]
        if isinstance(item.node, ast.ClassDef):
            continue
        gives = ast.unparse(item.node.returns) if item.node.returns else "None"
        first = item.doc.split()[0]
        is_verb = re.fullmatch(r"[A-Z][a-z]+s", first) and first not in PLURALS | TELLING
        says = not is_verb or gives in SAID_BY_THE_TYPE or re.search(r"\b[Rr]eturn(s|ed)?\b|\b[Yy]ields?\b", item.doc)
        if not says:
            wrong.append(f"{item.name}: does not say what it returns")
        signature = f"{ast.unparse(item.node.args)} {gives}"
        if tensors and re.search(r"\bTensor\b", signature) and not SHAPE.search(item.doc):
            wrong.append(f"{item.name}: no shapes")
        if formulas and item.name not in STATISTICS and not re.search(r"\b(19|20)\d\d\b|Source", item.doc):
            wrong.append(f"{item.name}: no source")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_public_names_say_what_they_give_and_raise(path: Path) -> None:
    in_ops = path.parent.name == "ops"
    text = path.read_text(encoding="utf-8")
    assert problems(text, formulas=in_ops and path.name in FORMULAS, tensors=in_ops) == []


def test_every_name_of_the_package_is_covered() -> None:
    for name in candor.__all__:
        where = importlib.import_module(getattr(candor, name).__module__).__file__
        assert where is not None
        assert Path(where) in FILES, f"candor.{name} is defined in {where}"


BROKEN = '''
class Plain:
    def one(self) -> int:
        return 1
    def two(self) -> int:
        three = 3
        return three - 1

def loads(path: str) -> int:
    """Loads a number."""
    return _read(path)

def counts(path: str) -> int:
    """Counts rows; returns how many. Raises InputError where there is none."""
    return _read(path)

def safe(path: str) -> int:
    """The number, or 0."""
    try:
        return _read(path) or _checked(path)
    except (InputError, ValueError):
        return 0

def _checked(path: str) -> int:
    raise ValueError(path)

def _read(path: str) -> int:
    raise InputError("no", where=path)

def loss(x: Tensor) -> Tensor:
    """The loss."""
    return x
'''


def test_what_is_left_unsaid_is_found() -> None:
    assert problems(BROKEN, formulas=True, tensors=True) == [
        "Plain: no docstring",
        "Plain.two: no docstring",
        "loads: raises InputError",
        "loads: does not say what it returns",
        "loads: no source",
        "counts: no source",
        "safe: no source",
        "loss: no shapes",
        "loss: no source",
    ]

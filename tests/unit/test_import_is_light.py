"""What the command line needs before it works must not load torch: `candor --help` has to be quick."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

LIGHT = ["records", "protocols", "errors", "recipe", "runs", "preferences", "audits", "auditing", "lexical"]
LIGHT += ["claims", "forecasting", "report", "results", "export", "cli"]
HEAVY = ("torch", "transformers")

REPORT = """
import importlib, pkgutil, sys
module = importlib.import_module(sys.argv[1])
for child in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
    importlib.import_module(child.name)
print(*(name for name in {heavy!r} if name in sys.modules))
"""


def heavy_modules_after_importing(module: str) -> list[str]:
    """The heavy modules that a fresh interpreter has loaded after importing the module and everything below it."""
    command = [sys.executable, "-c", REPORT.format(heavy=HEAVY), module]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.mark.parametrize("name", LIGHT)
def test_module_loads_without_torch(name: str) -> None:
    if importlib.util.find_spec(f"candor.{name}") is None:
        pytest.skip(f"candor.{name} is not part of this version")
    assert heavy_modules_after_importing(f"candor.{name}") == []


def test_the_check_sees_torch_where_it_is_loaded() -> None:
    assert "torch" in heavy_modules_after_importing("candor.ops")

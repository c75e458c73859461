"""Where a result came from: code, packages, machine. No torch import: what is loaded is asked, not loaded."""

from __future__ import annotations

import functools
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("candor-rlhf", "torch", "transformers", "tokenizers", "safetensors", "numpy", "scipy", "pydantic")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@functools.cache
def code_version() -> tuple[str | None, bool | None]:
    """The commit and whether tracked files differ from it; (None, None) where Candor is not run from its checkout.

    An installed copy may lie inside somebody else's repository: only a checkout that tracks this file counts.
    """
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None


@functools.cache
def package_versions() -> dict[str, str]:
    """The versions of the packages that results depend on, where installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def provenance() -> dict[str, Any]:
    """What every manifest records about the process that wrote it."""
    commit, dirty = code_version()
    torch = sys.modules.get("torch")
    cuda = torch is not None and torch.cuda.is_available()
    return {
        "commit": commit,
        "dirty": dirty,
        "packages": dict(package_versions()),
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name() if torch is not None and cuda else platform.machine(),
        "threads": torch.get_num_threads() if torch is not None else None,
    }

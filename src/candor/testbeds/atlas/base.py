"""Where the pretrained Atlas base lives inside the package."""

from __future__ import annotations

from pathlib import Path

from candor.errors import InputError

BASE = Path(__file__).parent / "base"


def base_path() -> Path:
    """The checkpoint directory (Hugging Face layout). Raises InputError where the package was built without it."""
    if not (BASE / "model.safetensors").is_file():
        raise InputError(
            "the embedded base model is missing from this installation",
            where=str(BASE),
            fix="make it with: candor pretrain atlas --out DIR, and set model.path = DIR",
        )
    return BASE

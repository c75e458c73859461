"""Random tokens, and what of them is stored: 256 bits need no salt and no slow hash."""

from __future__ import annotations

import hashlib
import secrets


def new_token(prefix: str = "") -> str:
    """A token of 256 random bits, safe in URLs."""
    return prefix + secrets.token_urlsafe(32)


def stored(token: str) -> str:
    """What is kept of a token: its SHA-256, so that the database gives nobody a way in."""
    return hashlib.sha256(token.encode()).hexdigest()

"""Passwords as argon2id hashes (RFC 9106, the second recommended set: 64 MiB, three passes)."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from candor.errors import InputError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST, LONGEST = 12, 1024

AT_ONCE = 4
"""So many passwords are compared at one time, each in 64 MiB: a crowd at the door waits, and memory stays bounded."""

_turn = threading.BoundedSemaphore(AT_ONCE)


def hash_password(password: str) -> str:
    """The hash to store. Raises InputError for a password that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError(f"a password has {SHORTEST} to {LONGEST} characters", where="field 'password'")
    with _turn:
        return _hasher().hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether a password is the right one. Takes as long where there is none to compare with."""
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LONGEST:
        password = ""
    with _turn:
        try:
            return _hasher().verify(stored or _nobody(), password) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def renewed(stored: str, password: str) -> str | None:
    """A new hash of a password that was right, where the stored one was made with other settings than today's."""
    if not _hasher().check_needs_rehash(stored):
        return None
    with _turn:
        return _hasher().hash(password)


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher, Type

    return PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4, type=Type.ID)


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher().hash("the password of an account that does not exist")

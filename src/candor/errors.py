"""Errors that a user can act on: one line that says what is wrong, where, and what to do."""

from __future__ import annotations


class InputError(Exception):
    """Bad input. The command line prints it as one line and exits with code 2, without a traceback."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(": ".join(part for part in (where, what) if part) + (f" ({fix})" if fix else ""))


class NotFiniteError(InputError):
    """A loss, a gradient, a reward or a logit that is no number: training stops before it changes anything."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM); handled like Ctrl-C."""

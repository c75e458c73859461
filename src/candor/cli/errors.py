"""How the command line fails: one line on standard error, exit code 2 for bad input and 130 for Ctrl-C."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from candor.errors import InputError

BAD_INPUT, INTERRUPTED = 2, 130


class OneLineErrors(TyperGroup):
    """The group of all commands. Typer tells a usage error in four lines; here every error is one."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Runs the command and ends the process: 0, or what the error's kind says."""
        try:
            code = super().main(*arguments, **{**options, "standalone_mode": False})
        except InputError as error:
            _fail(str(error))
        except typer.TyperException as error:
            _fail(_usage(error))
        except typer.Abort:
            sys.exit(INTERRUPTED)
        except OSError as error:
            if error.errno != errno.ENOSPC or error.filename is not None:
                raise
            _drop_what_is_left()
            _fail("standard output: no space left on the device")  # of files, the error says where
        sys.exit(code if isinstance(code, int) else 0)


def _drop_what_is_left() -> None:
    """What standard output still holds would be written when the process ends, fail again, and change its exit code."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: typer.TyperException) -> str:
    """The message as Candor writes errors, and where help is to be had."""
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = f" (see {context.command_path} --help)" if context is not None else ""
    return message[:1].lower() + message[1:] + hint


def _fail(message: str) -> None:
    # What a file holds is no command for the terminal: escapes and the like are shown, not obeyed.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(message.split()))
    typer.echo(f"error: {shown}", err=True)
    sys.exit(BAD_INPUT)

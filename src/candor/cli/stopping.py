"""Ctrl-C and termination on the command line: a line that says how to go on, and the exit code that shells expect."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import typer

from candor.errors import Terminated
from candor.storage import StorageError

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


@contextmanager
def resumable() -> Iterator[None]:
    """For a command that goes on when it is given again: stopped by a signal, it says so and exits with 130 or 143.

    Some libraries turn the exception of a signal into one of their own; whatever ends the block after a signal counts
    as its doing, except a disk that did not let the state be saved. From the line on that says how to go on, further
    signals are ignored: the process is about to end.
    """
    received: list[signal.Signals] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = _handle(dict.fromkeys(EXIT_CODES, stop))
    try:
        try:
            yield
        except StorageError:
            raise
        except BaseException as error:
            if not received and not isinstance(error, KeyboardInterrupt):
                raise
            _leave(received)
    except KeyboardInterrupt:  # one more signal, between the lines above
        _leave(received)
    finally:
        if not received:
            _handle(before)


def _leave(received: Sequence[signal.Signals]) -> NoReturn:
    if received:
        _handle(dict.fromkeys(EXIT_CODES, signal.SIG_IGN))
    again = shlex.join(["candor", *sys.argv[1:]])
    typer.echo(f"\nstopped; what is finished is kept. Go on with: {again}", err=True)
    raise typer.Exit(EXIT_CODES[received[-1] if received else signal.SIGINT]) from None


def _handle(handlers: Mapping[signal.Signals, Any]) -> dict[signal.Signals, Any]:
    """Sets handlers and returns those before; signals arrive in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, handler) for number, handler in handlers.items()}

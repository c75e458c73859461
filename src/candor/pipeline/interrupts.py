"""Ctrl-C and termination between updates: the update that is being computed ends, its state is saved, then it stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
WAIT = "stopping after this update, which is saved; once more stops at once, with the state saved last"


class Interrupt:
    """A signal that waits for the end of an update."""

    def __init__(self) -> None:
        self.pending: tuple[Callable[[int, FrameType | None], Any], int] | None = None

    @property
    def asked(self) -> bool:
        return self.pending is not None

    def deliver(self) -> None:
        """Hands the signal that waits to the handler that was there before, which raises."""
        if self.pending is not None:
            handler, number = self.pending
            self.pending = None
            handler(number, None)


@contextmanager
def deferred_interrupts(tell: Callable[[str], None]) -> Iterator[Interrupt]:
    """Within the block a first Ctrl-C (or termination) only asks; :meth:`Interrupt.deliver` raises it.

    A second one raises at once.

    Handlers that would end the process without an exception are left alone, and so is everything outside the main
    thread, where signals never arrive.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = {number: handler for number, handler in before.items() if callable(handler)}

    def ask(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            interrupt.pending = None
            ours[signal.Signals(number)](number, frame)
            return
        interrupt.pending = (ours[signal.Signals(number)], number)
        with suppress(Exception):  # a terminal in the middle of a write, a full disk: stopping matters more
            tell(WAIT)

    for number in ours:
        signal.signal(number, ask)
    try:
        yield interrupt
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    interrupt.deliver()  # asked for after the last update

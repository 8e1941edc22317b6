"""Ctrl-C and requests to end.

The first stops the work and lets it clean up; the second stops at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from wmbackup.errors import ExitCode

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupted(BaseException):
    """A signal came. Raised on the main thread, wherever it is."""

    def __init__(self, number: int) -> None:
        """Keep which signal it was."""
        super().__init__(number)
        self.by_user = number in {signal.SIGINT, getattr(signal, "SIGBREAK", None)}

    @property
    def exit_code(self) -> ExitCode:
        """130 for Ctrl-C and Ctrl-Break, 143 for the others."""
        return ExitCode.INTERRUPTED if self.by_user else ExitCode.TERMINATED

    @property
    def message(self) -> str:
        """What happened."""
        return "interrupted" if self.by_user else "terminated"


@contextlib.contextmanager
def handled(*, to_the_end: bool = False) -> Iterator[None]:
    """Turn signals into `Interrupted` while this is entered.

    ``to_the_end`` of the process they are ignored afterwards: what was done is done, and the
    exit code that says so must not be lost while Python ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if seen:
            os._exit(Interrupted(number).exit_code)
        seen.append(number)
        raise Interrupted(number)

    before = {}
    for name in _NAMES:
        number = getattr(signal, name, None)
        # What was ignored before, as under nohup or in the background, stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if to_the_end else handler)

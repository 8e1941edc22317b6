"""Standard output, which may be full, closed, or have nobody left who reads it."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

from wmbackup.errors import SystemFailure

_TOGETHER = 500  # lines of an inventory


class ClosedOutput(Exception):
    """Nobody reads standard output any more. That is no error worth a word."""


class StandardOutput:
    """Takes lines until one cannot be written.

    ``failure`` is why, where it was not that the reader had gone.
    """

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self.failure: SystemFailure | None = None
        self._closed = False

    @property
    def is_there(self) -> bool:
        """Whether the process was given one at all."""
        return sys.stdout is not None

    def write(self, line: str) -> None:
        """Write a line. Raises ClosedOutput, and SystemFailure once."""
        with self._judged():
            if sys.stdout is None:
                self._closed = True
                self.failure = SystemFailure(
                    "standard output is closed", hint="open it, or send it to a file"
                )
                raise self.failure
            sys.stdout.write(line + "\n")

    def write_all(self, lines: Iterable[str]) -> None:
        """Write lines, many with one call. Raises as `write` does, and whatever ``lines`` does."""
        lines = iter(lines)
        while some := list(islice(lines, _TOGETHER)):
            self.write("\n".join(some))

    def flush(self) -> None:
        """Write what waits. Raises as `write` does."""
        with self._judged():
            if sys.stdout is not None:
                sys.stdout.flush()

    @contextlib.contextmanager
    def _judged(self) -> Iterator[None]:
        if self._closed:
            raise ClosedOutput
        try:
            yield
        except (OSError, ValueError) as error:
            self.give_up()
            # A ValueError says that it was closed within this process.
            if isinstance(error, ValueError) or _is_nobody_there(error):
                raise ClosedOutput from None
            self.failure = SystemFailure.of(error, "write to", "standard output")
            raise self.failure from error

    def give_up(self) -> None:
        """Let what still waits to be written vanish, also when Python ends."""
        self._closed = True
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, sys.stdout.fileno())
            os.close(nothing)


def _is_nobody_there(error: OSError) -> bool:
    # Windows says of a pipe whose reader has gone that the argument is invalid.
    gone = os.name == "nt" and error.errno == errno.EINVAL
    return gone or isinstance(error, BrokenPipeError)

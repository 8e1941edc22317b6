"""A second process, which proves the rest of a large archive while this one proves the beginning.

Hashing many small files keeps one processor busy, and this gives half of it to another. The second
process only reads, and says nothing but that all is well: of anything else this one finds out by
itself, in the plain way, so that errors are the same with it and without.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from typing import IO, NoReturn

from wmbackup.archive.reader import ArchiveReader
from wmbackup.engine.opening import ArchiveInput
from wmbackup.engine.own_place import OwnPlace
from wmbackup.errors import Cancelled
from wmbackup.status import Control

assert sys.platform == "linux"  # noqa: S101 - other systems have nothing of this

SHARE = 0.4
"""What the first process proves of the payload; meanwhile it judges the head as well."""

_PAYS = 64 * 1024 * 1024  # bytes of an archive from which on it is worth a process
_POLL = 100  # milliseconds between two looks whether to stop waiting


class Second:
    """A process that reads on its own; ``share`` of the payload is left to the first."""

    share: float = SHARE

    def __init__(self) -> None:
        """Begin with none."""
        self._process: int | None = None
        self._ends: int | None = None  # a pipe that it holds open as long as it runs

    def begin(self, reader: ArchiveReader, descriptor: int) -> bool:
        """Start it; return False where the system grants no further process."""
        # No signal may meet the copy before it is one that does nothing else, nor this process
        # before it knows whom it has to end.
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.valid_signals()))
        try:
            self._ends, others = os.pipe()
            try:
                process = os.fork()
                if process == 0:
                    _be_second(reader, descriptor, blocked)
                self._process = process
            finally:
                os.close(others)
        except OSError:
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return True

    def proved(self, control: Control) -> bool:
        """Wait for it; return whether its share is proven."""
        ended = select.poll()
        if self._ends is not None:
            ended.register(self._ends, select.POLLIN)
        while not ended.poll(_POLL):
            control.check()
        return self._wait() == 0

    def close(self) -> None:
        """End it, if it has not ended."""
        if self._ends is not None:
            os.close(self._ends)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
            self._wait()

    def _wait(self) -> int | None:
        status = None
        if self._process is not None:
            # A caller of this library may have waited for all of its processes.
            with contextlib.suppress(ChildProcessError):
                _, status = os.waitpid(self._process, 0)
        self._process = None
        return status


@contextlib.contextmanager
def second(reader: ArchiveReader, source: ArchiveInput) -> Iterator[Second | None]:
    """Begin to prove what lies behind SHARE of the payload; None where that does not pay.

    The reader has read the head of the archive.
    """
    if source.length is None or source.length < _PAYS or not _can_help():
        yield None
        return
    with contextlib.closing(Second()) as helper:
        yield helper if helper.begin(reader, source.stream.fileno()) else None


def _can_help() -> bool:
    return (
        # Another thread, as that of a progress bar, may hold a lock that nobody gives back in a
        # copy of this process.
        threading.active_count() == 1
        # Where this is ignored, as below some supervisors, nobody learns how a process ended.
        and signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        and len(os.sched_getaffinity(0)) > 1
    )


def _be_second(reader: ArchiveReader, descriptor: int, blocked: set[int]) -> NoReturn:
    """Do the work of the second process, and end it."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        prove_rest(reader, descriptor)
        code = 0
    finally:
        os._exit(code)


def prove_rest(reader: ArchiveReader, descriptor: int) -> None:
    """Prove what lies behind SHARE of the payload through handles of its own.

    Raises what `ArchiveReader.payload` raises, OSError, and Cancelled when the process that wants
    to know is gone.
    """
    first = os.getppid()
    reader.reopen(_again, OwnPlace(descriptor))
    for _ in reader.payload(begin=reader.border(SHARE)):
        if os.getppid() != first:
            raise Cancelled


def _again(file: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(OwnPlace(file.fileno(), file))

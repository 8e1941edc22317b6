"""One run of the command line in a forked child, with one fault in it."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import preload
from preload import NEVER, Call, Calls, Kind

from wmbackup import cli

TIMEOUT = 60
"""Seconds after which a run counts as hanging; none takes one."""

BYTES = frozenset(
    "read pread readv write pwrite writev copy_file_range sendfile".split()  # noqa: SIM905 - names
)
"""The calls that can move fewer bytes than they were asked for."""

RETRIED = frozenset({"read", "pread", "write", "pwrite", "open", "openat", "fsync", "fdatasync"})
"""The calls that Python makes again after EINTR, so that nothing may come of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to a call."""

    name: str
    kind: Kind
    error: int = 0
    lasting: Calls = NEVER

    def fits(self, call: Call) -> bool:
        """Whether it makes a difference at this call."""
        if self.kind is Kind.SHORT:
            return call.plain_name in BYTES
        return not self.lasting or bool(self.lasting & class_of(call))

    @property
    def kills(self) -> bool:
        """Whether it ends the process."""
        return self.kind in {Kind.KILL_BEFORE, Kind.KILL_AFTER}

    def must_succeed(self, call: Call) -> bool:
        """Whether a program has to go on as if nothing had happened."""
        if self.kind is Kind.SHORT:
            return True
        return self.error == errno.EINTR and call.plain_name in RETRIED


_OPENS = {"open", "openat", "opendir", "fdopendir"}
_SPACE = set("mkdir mkdirat link linkat rename renameat renameat2 ftruncate write".split())  # noqa: SIM905 - names
_SPACE |= {"pwrite", "writev", "copy_file_range", "sendfile", "symlink", "symlinkat"}


def class_of(call: Call) -> Calls:
    """Return the classes of a call in which faults that last begin."""
    name = call.plain_name
    found = Calls(0)
    if name in _OPENS:
        found |= Calls.OPENS
    if name in _SPACE:
        found |= Calls.SPACE
    return found or Calls.OTHER


def _fails(name: str, lasting: Calls = NEVER, suffix: str = "") -> Fault:
    return Fault(name + suffix, Kind.FAIL, getattr(errno, name), lasting)


_THEN_ON = " from then on"
FAULTS = (
    _fails("ENOSPC"),
    _fails("EIO"),
    Fault("kill before", Kind.KILL_BEFORE),
    _fails("EACCES"),
    _fails("EMFILE"),
    Fault("short", Kind.SHORT),
    Fault("kill after", Kind.KILL_AFTER),
    _fails("EDQUOT"),
    _fails("EINTR"),
    _fails("ENOSPC", Calls.SPACE, _THEN_ON),
    _fails("EMFILE", Calls.OPENS, _THEN_ON),
    _fails("EIO", preload.EVERYTHING, _THEN_ON),
)
"""All faults, in the order in which the fast part takes them in turn."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run. ``code`` is None where a signal ended it."""

    code: int | None
    signal: int | None
    stderr: str
    calls: tuple[Call, ...]

    @property
    def killed(self) -> bool:
        """Whether it was killed, as a fault does it."""
        return self.signal == signal.SIGKILL


def warm_up(arguments: Sequence[str]) -> None:
    """Run the command line in this very process, so that its children need to load nothing."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        cli.main(arguments)
    gc.collect()
    gc.freeze()


def run(arguments: Sequence[str], below: str = "", fault: Fault | None = None, at: int = 0) -> Ran:
    """Run the command line in a child, armed where ``below`` names the folder that is watched.

    Without a fault its calls are returned, otherwise the one that was hit, where there was one.
    """
    report = os.memfd_create("report")
    said = os.memfd_create("said")

    def work() -> int:
        if below:
            kind = Kind.COUNT if fault is None else fault.kind
            error, lasting = (0, 0) if fault is None else (fault.error, int(fault.lasting))
            preload.arm(below, at, kind, error, lasting, report=report)
        try:
            return cli.main(arguments)
        finally:
            atexit._run_exitfuncs()

    try:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _be_child(work, said)
        _, status = os.waitpid(child, 0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        killer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        calls = tuple(preload.parse_report(_all(report), below))
        return Ran(code, killer, _all(said).decode(errors="replace"), calls)
    finally:
        os.close(report)
        os.close(said)


def _all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _be_child(work: Callable[[], int], said: int) -> NoReturn:
    code = 120
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(TIMEOUT)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(said, 2)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - what a child lets out is what its parent has to see
        traceback.print_exc()
    finally:
        preload.disarm()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)

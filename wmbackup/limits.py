"""The limits that the system puts on a process."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # that of typing would be loaded before a Ctrl-C is heard
if TYPE_CHECKING:
    import threading

_MIB = 1024 * 1024
_LEAST = 80 * _MIB  # bytes of memory; half of it is what the program and its libraries take
_ROOM = 256 * _MIB

if sys.platform == "win32":

    def _limit(_name: str) -> int | None:
        return None  # there are none that a user could change

else:
    import resource

    def _limit(name: str) -> int | None:
        """Return a limit of this process; None where there is none, or the system lacks it."""
        number = getattr(resource, name, None)
        if number is None:
            return None
        limit: int = resource.getrlimit(number)[0]
        return None if limit == resource.RLIM_INFINITY else limit


def part_of_files(part: int, *, at_least: int, at_most: int) -> int:
    """Return how many files can be kept open that are a part of those allowed."""
    allowed = files()
    return at_most if allowed is None else max(at_least, min(at_most, allowed // part))


def files() -> int | None:
    """Return how many files this process may have open; None where there is no limit."""
    return _limit("RLIMIT_NOFILE")


def processes() -> int | None:
    """Return how many processes and threads this user may run; None where there is no limit."""
    return _limit("RLIMIT_NPROC")


def memory() -> tuple[int, str] | None:
    """Return how many bytes of memory this process may use, and the name of that limit."""
    found = [
        (size, name) for name in ("RLIMIT_AS", "RLIMIT_DATA") if (size := _limit(name)) is not None
    ]
    return min(found, default=None)


def is_too_small() -> bool:
    """Whether so little memory is allowed that libraries crash instead of raising MemoryError."""
    found = memory()
    return found is not None and found[0] < _LEAST


def start_deaf(thread: threading.Thread) -> None:
    """Start a thread that no signal is delivered to. Raises RuntimeError where there is none.

    The system gives a signal to any thread that takes it, and Python handles it on the main thread
    alone: one that waits for a lock there would not hear what another thread was given.
    """
    if sys.platform == "win32":
        thread.start()
    else:
        import signal

        before = signal.pthread_sigmask(
            signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM}
        )
        try:
            thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def has_room_for_threads() -> bool:
    """Whether a thread can be started without a risk.

    Where memory is limited, one may start and then crash: it takes 8 MiB for its stack and 64 MiB
    for its heap.
    """
    found = memory()
    return found is None or found[0] >= _ROOM

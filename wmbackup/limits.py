"""The limits that the system puts on a process, for messages that name them."""

from __future__ import annotations

import errno
import sys

_MIB = 1024 * 1024
_FEW_FILES = 64
_LEAST = 80 * _MIB  # bytes of memory; half of it is what the program and its libraries take
_ROOM = 256 * _MIB
_IN_USE = {errno.EBUSY, errno.EAGAIN, errno.ETXTBSY}

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
    files = _limit("RLIMIT_NOFILE")
    return at_most if files is None else max(at_least, min(at_most, files // part))


def _memory() -> tuple[int, str] | None:
    """Return how many bytes of memory this process may use, and which option of ulimit says so."""
    found = [
        (size, option)
        for name, option in (("RLIMIT_AS", "-v"), ("RLIMIT_DATA", "-d"))
        if (size := _limit(name)) is not None
    ]
    return min(found, default=None)


def is_too_small() -> bool:
    """Whether so little memory is allowed that libraries crash instead of raising MemoryError."""
    memory = _memory()
    return memory is not None and memory[0] < _LEAST


def has_room_for_threads() -> bool:
    """Whether a thread can be started without a risk.

    Where memory is limited, one may start and then crash: it takes 8 MiB for its stack and 64 MiB
    for its heap.
    """
    memory = _memory()
    return memory is None or memory[0] >= _ROOM


def remedy(number: int | None) -> str | None:
    """Return what helps against a limit that an error of the system means; None for others."""
    if number == errno.EMFILE:
        files = _limit("RLIMIT_NOFILE")
        if files is None:
            return "let the program open more files"
        return f"this process may have {files:,} files open; allow more with: ulimit -n 256"
    if number == errno.ENFILE:
        return "all programs together have too many files open; end some, or raise fs.file-max"
    if number == errno.ENOMEM:
        return memory_remedy()
    if number in _IN_USE:
        return "try again when no other program uses it"
    return None


def memory_remedy() -> str:
    """Return what helps where memory runs out."""
    memory = _memory()
    if memory is None:
        return "end other programs, or give the machine more memory"
    size, option = memory
    return f"this process may use {size // _MIB:,} MiB; allow more with: ulimit {option} unlimited"


def threads_remedy() -> str:
    """Return what helps where no thread or process can be started."""
    processes = _limit("RLIMIT_NPROC")
    if processes is None:
        return "end other programs, or allow this one more threads"
    return f"this user may run {processes:,} threads and processes; allow more with: ulimit -u 4096"


def loading_remedy() -> str:
    """Return what helps where a library cannot be loaded, which says its reason itself."""
    files = _limit("RLIMIT_NOFILE")
    if files is not None and files < _FEW_FILES:
        return f"this process may have {files:,} files open; allow more with: ulimit -n 256"
    if _memory() is not None:
        return memory_remedy()
    return "install the program anew"

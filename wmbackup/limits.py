"""The limits that the system puts on a process, for messages that name them."""

from __future__ import annotations

import errno
import sys

_MIB = 1024 * 1024
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
    size = _limit("RLIMIT_AS")
    if size is None:
        return "end other programs, or give the machine more memory"
    return f"this process may use {size // _MIB:,} MiB; allow more with: ulimit -v unlimited"


def threads_remedy() -> str:
    """Return what helps where no thread or process can be started."""
    processes = _limit("RLIMIT_NPROC")
    if processes is None:
        return "end other programs, or allow this one more threads"
    return f"this user may run {processes:,} threads and processes; allow more with: ulimit -u 4096"

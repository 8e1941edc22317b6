"""The next step where the system's limits on this process are too low."""

from __future__ import annotations

from wmbackup import limits
from wmbackup.errors import FEW_FILES, FEW_FILES_AT_ALL, IN_USE, NO_MEMORY

_MIB = 1024 * 1024
_FEW_FILES = 64


def of_reason(reason: str | None) -> str | None:
    """Return what helps against a limit; None for other reasons."""
    if reason == FEW_FILES:
        return _files()
    if reason == FEW_FILES_AT_ALL:
        return "all programs together have too many files open; end some, or raise fs.file-max"
    if reason == NO_MEMORY:
        return memory()
    if reason == IN_USE:
        return "try again when no other program uses it"
    return None


def _files() -> str:
    files = limits.files()
    if files is None:
        return "let the program open more files"
    return f"this process may have {files:,} files open; allow more with: ulimit -n 256"


def memory() -> str:
    """Return what helps where memory runs out."""
    found = limits.memory()
    if found is None:
        return "end other programs, or give the machine more memory"
    size, kind = found
    option = {"RLIMIT_AS": "-v", "RLIMIT_DATA": "-d"}[kind]
    return f"this process may use {size // _MIB:,} MiB; allow more with: ulimit {option} unlimited"


def threads() -> str:
    """Return what helps where no thread or process can be started."""
    processes = limits.processes()
    if processes is None:
        return "end other programs, or allow this one more threads"
    return f"this user may run {processes:,} threads and processes; allow more with: ulimit -u 4096"


def loading() -> str:
    """Return what helps where a library cannot be loaded, which says its reason itself."""
    files = limits.files()
    if files is not None and files < _FEW_FILES:
        return _files()
    if limits.memory() is not None:
        return memory()
    return "install the program anew"

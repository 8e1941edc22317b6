"""Files on their way, which nobody but this user can read.

What is begun is dropped by the operating system with the process, or found and removed by the
next run: a private file under way is locked by its writer, so an unlocked one is a leftover.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import BinaryIO

from wmbackup.storage import remains
from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import PRIVATE, try_lock

_PART = ".wmbackup-"
_PART_END = ".part"


def create_private(folder: str) -> tuple[str, BinaryIO]:
    """Create a private file under a name that nobody has; return both. Raises OSError."""
    while True:
        name = os.path.join(folder, f"{_PART}{os.urandom(8).hex()}{_PART_END}")
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), PRIVATE)
        try:
            # Another run that removes leftovers may have met it before it was locked.
            if os.name == "nt" or (try_lock(descriptor) and os.fstat(descriptor).st_nlink):
                return name, os.fdopen(descriptor, "w+b")
        except OSError:
            discard(descriptor, name)
            raise
        discard(descriptor, name)


def discard(file: int | BinaryIO, name: str) -> None:
    """Close and remove a private file; what stays is noted."""
    with contextlib.suppress(OSError):
        os.close(file) if isinstance(file, int) else file.close()
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
    except OSError as error:
        remains.note(name, error)


def keeps_modes(folder: str) -> bool:
    """Whether the file system of a folder keeps owners and modes, as those of Windows do not.

    A file is made to find out: what a file system without modes reports of it is the same for
    every file. Where none can be made, the folder is taken at its word. Raises OSError.
    """
    if not hasattr(os, "geteuid"):
        return False
    remove_leftovers(folder)  # a run that was killed here left its file
    try:
        name, file = create_private(folder)
    except PermissionError:
        return True
    try:
        status = os.fstat(file.fileno())
        return status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == PRIVATE
    finally:
        discard(file, name)


def remove_leftovers(folder: str) -> None:
    """Remove private files of runs that ended before they could."""
    try:
        names = [name for name in os.listdir(folder) if _is_part(name)]
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            _remove_leftover(os.path.join(folder, name))


def _is_part(name: str) -> bool:
    return name.startswith(_PART) and name.endswith(_PART_END)


def _remove_leftover(path: str) -> None:
    if os.name == "nt":
        os.unlink(path)  # which fails while its writer has it open
        return
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, os.O_RDWR | flags)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and try_lock(descriptor):
            os.unlink(path)
    finally:
        let_go(descriptor)

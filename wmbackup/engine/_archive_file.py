"""Opening the file of an archive, without waiting for what may never come."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from typing import BinaryIO

from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import reachable

_MOST_LINKS = 40  # as Linux follows
_DESCRIPTORS = re.compile(r"/dev/fd|/proc/[^/]+/(task/[^/]+/)?fd")
"""The folders in which a system lists the open files of a process."""


class NamedPipe(OSError):
    """A named pipe has the place of a file: to open it is to wait until somebody writes to it."""


if sys.platform == "win32":

    def open_file(path: str) -> BinaryIO:
        """Open a file to read it, unbuffered. Raises OSError."""
        return open(reachable(path), "rb", buffering=0)

else:

    def open_file(path: str) -> BinaryIO:
        """Open a file to read it, unbuffered.

        A pipe that the caller has open already (/dev/stdin, /dev/fd/N, process substitution) is
        read as it comes. Raises NamedPipe for another one, OSError.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            _refuse_named_pipe(descriptor, path)
            return open(descriptor, "rb", buffering=0)
        except BaseException:
            let_go(descriptor)
            raise

    def _refuse_named_pipe(descriptor: int, path: str) -> None:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return
        if stat.S_ISFIFO(mode) and not is_descriptor(path):
            raise NamedPipe(errno.EINVAL, "it is a named pipe", path)
        os.set_blocking(descriptor, True)


def is_descriptor(path: str) -> bool:
    """Whether a path names a file that a process has open, be it by links."""
    for _ in range(_MOST_LINKS):
        folder = os.path.dirname(os.path.abspath(path))
        if _DESCRIPTORS.fullmatch(folder) or _DESCRIPTORS.fullmatch(os.path.realpath(folder)):
            return True
        try:
            path = os.path.join(folder, os.readlink(path))
        except OSError:  # no link, or nothing at all
            return False
    return False

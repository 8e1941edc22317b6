"""Private temporary files: in memory while they are small, then without a name in a folder."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import IO, BinaryIO

from wmbackup.storage.files import PRIVATE
from wmbackup.storage.private_files import create_private, discard, remove_leftovers

_IN_MEMORY = 1024 * 1024


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """A file to write and read, which is gone once it is closed or its process has ended."""

    def __init__(self, folder: str) -> None:
        """Begin in memory; ``folder`` is for what does not fit there."""
        super().__init__(max_size=_IN_MEMORY)
        self._folder = folder

    def rollover(self) -> None:
        """Go on in the folder. Raises OSError."""
        if self._rolled:
            return
        memory = self._file
        at = memory.tell()
        file = nameless_file(self._folder)
        try:
            memory.seek(0)
            while block := memory.read(_IN_MEMORY):
                file.write(block)
            file.seek(at)
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()
            memory.seek(at)
            raise
        self._file = file
        self._rolled = True

    _file: IO[bytes]
    _rolled: bool


if sys.platform == "win32":

    def nameless_file(folder: str) -> IO[bytes]:
        """Return a private file in a folder that is gone once it is closed. Raises OSError."""
        return tempfile.TemporaryFile(dir=folder)

else:

    def nameless_file(folder: str) -> IO[bytes]:
        """Return a private file in a folder that has no name there. Raises OSError.

        Where a file cannot be made without one, it is made under a name by which the next run
        knows it for a leftover, and loses it at once.
        """
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # some file systems have no such files
                return _without_name(folder)
        remove_leftovers(folder)
        name, file = create_private(folder)
        try:
            os.unlink(name)
        except BaseException:
            discard(file, name)
            raise
        return file


if sys.platform == "linux":

    def _without_name(folder: str) -> BinaryIO:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_EXCL, PRIVATE)
        try:
            return open(descriptor, "w+b")
        except BaseException:
            os.close(descriptor)
            raise

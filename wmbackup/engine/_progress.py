"""Counting the files of a phase: the only place that does."""

from __future__ import annotations

from wmbackup.archive.chunk import Chunk
from wmbackup.status import Control


class Progress:
    """Reports files as they are done, numbered from 1; names are true paths or members."""

    def __init__(self, control: Control) -> None:
        """Begin before the first file."""
        self._control = control
        self._done = 0

    def part(self, path: bytes, size: int) -> None:
        """Report so many bytes of the file that is not done yet."""
        self._control.item(path, self._done + 1, size)

    def file(self, path: bytes, size: int) -> None:
        """Report a file that is done, with the bytes that were not reported as parts."""
        self._done += 1
        self._control.item(path, self._done, size)

    def chunk(self, chunk: Chunk) -> None:
        """Report the files of a chunk."""
        self._control.each(chunk.members, chunk.sizes, self._done)
        self._done += len(chunk.sizes)

"""An open file that two processes read without moving each other's position."""

from __future__ import annotations

import io
import os
from typing import IO

from wmbackup.archive.stream import ByteStream


def plain_stream(descriptor: int, shared: bytes) -> ByteStream:
    """Return the bytes of the archive in a file; with ``shared``, of that in the envelope there.

    Raises ArchiveDamaged.
    """
    position = OwnPosition(descriptor)
    if not shared:
        return position
    from wmbackup.age.stream import open_shared

    return open_shared(position, shared)


class OwnPosition(io.RawIOBase):
    """An open file with a position that is not the one that two processes share."""

    def __init__(self, descriptor: int, owner: IO[bytes] | None = None) -> None:
        """Begin at the beginning; ``owner`` is closed when this is."""
        self._descriptor = descriptor
        self._owner = owner
        self._at = 0

    def close(self) -> None:
        """See `io.IOBase`; without an owner the descriptor stays open."""
        if self._owner is not None:
            self._owner.close()
        super().close()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.IOBase`."""
        if whence == os.SEEK_END:
            offset += os.fstat(self._descriptor).st_size
        elif whence == os.SEEK_CUR:
            offset += self._at
        self._at = offset
        return offset

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """See `io.RawIOBase`."""
        size: int = os.preadv(self._descriptor, [buffer], self._at)  # type: ignore[attr-defined, unused-ignore] # not on Windows, where nobody asks for it
        self._at += size
        return size

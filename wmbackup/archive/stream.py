"""Reading a stream in exact pieces, and the names and sizes of its members as they come."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from wmbackup.archive.ustar import BLOCK, header, padding
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, NotAnArchive, UnsupportedArchive

PIECE_SIZE = 1024 * 1024
"""Bytes that are held together at most: a larger file is read and written in such pieces."""

AT_ONCE = 256 * 1024
"""Bytes of small files that are read or written with one call.

More is not faster: every larger block of memory would be fetched from the system and given back
again, which took a tenth of a verification.
"""

MAGIC = b"wmbackup-1/bagit.txt"

_OTHER_MAJOR = re.compile(rb"wmbackup-([1-9][0-9]{0,8})/bagit\.txt\0")
_ZEROS = bytes(BLOCK)

REPACKED = "repacked"
"""The reason of errors of an archive that another program has unpacked and packed again."""

_REPACKED = "another program has packed what was in one"
_BAG_MEMBER = re.compile(rb"(?:[^/\0]{1,90}/)?wmbackup-1[/\0]")
_LOOKED_AT = 6  # members: some programs begin with a folder or with records of their own


def _size_in_tar(head: bytes) -> int | None:
    """Return the size in a header of any tar file whose checksum is right; None for all else."""
    try:
        checksum, size = int(head[148:156].strip(b"\0 "), 8), int(head[124:136].strip(b"\0 "), 8)
    except ValueError:
        return None
    is_right = len(head) == BLOCK and sum(head[:148]) + sum(head[156:]) + 8 * 32 == checksum
    return size if is_right else None


class ByteStream(Protocol):
    """What is read from: a file, or anything that hands out bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""

    def tell(self) -> int:
        """Return the offset of the next byte."""

    def seek(self, offset: int, /) -> int:
        """Go to an offset."""


Tick = Callable[[], object]
"""Called before each read; what it raises stops whoever reads."""


class TickingStream:
    """A stream whose reader can be stopped before each read, also in the middle of a large file."""

    def __init__(self, stream: ByteStream, tick: Tick) -> None:
        """Read from a stream, and call ``tick`` before each read."""
        self._stream = stream
        self._tick = tick

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end. Raises what ``tick`` raises."""
        self._tick()
        return self._stream.read(size)

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._stream.tell()

    def seek(self, offset: int, /) -> int:
        """Go to an offset."""
        return self._stream.seek(offset)


class ExactReader:
    """A stream of members, read once from front to back.

    ``stream.read(n)`` may return less than n bytes, as that of a pipe does.
    """

    def __init__(self, stream: ByteStream, position: int = 0) -> None:
        """Begin at the stream's present position; so many bytes of the archive come before."""
        self._stream = stream
        self._ahead = b""
        self.position = position

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end of the stream."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        # As a rule one part is all there is, and nothing is copied.
        while len(data) < size:
            part = self._stream.read(size - len(data))
            if not part:
                break
            data = data + part if data else part
        self.position += len(data)
        return data

    def take(self, size: int) -> bytes:
        """Return exactly ``size`` bytes. Raises ArchiveTruncated."""
        data = self.read(size)
        if len(data) != size:
            raise ArchiveTruncated(
                f"the archive ends at byte {self.position}, in the middle of a member",
            )
        return data

    def push_back(self, data: bytes) -> None:
        """Give back what was read last."""
        self._ahead = data + self._ahead
        self.position -= len(data)

    def magic(self) -> None:
        """Check the first bytes and give them back.

        Raises NotAnArchive or, for another major version, UnsupportedArchive.
        """
        start = self.read(len(MAGIC))
        rest = self.read(100 - len(start)) if start != MAGIC else b""
        other = _OTHER_MAJOR.match(start + rest)
        if start != MAGIC and other is not None:
            raise UnsupportedArchive(
                f"the archive is of format {other[1].decode()}, and this program knows 1",
            )
        if start != MAGIC:
            head = start + rest + self.read(BLOCK - len(start + rest))
            if self._has_bag(head):
                raise NotAnArchive(f"not an archive of wmbackup: {_REPACKED}", reason=REPACKED)
            raise NotAnArchive("not an archive of wmbackup")
        self.push_back(start)

    def _has_bag(self, head: bytes) -> bool:
        """Whether a tar file that begins so has a bag among its first members; reads on."""
        for _ in range(_LOOKED_AT):
            size = _size_in_tar(head)
            if size is None:
                return False
            if _BAG_MEMBER.match(head):
                return True
            if size > PIECE_SIZE:
                return False
            self.read(size + padding(size))
            head = self.read(BLOCK)
        return False

    def next_name(self) -> bytes:
        """Return the name field of the header that comes, and give the header back."""
        head = self.take(BLOCK)
        self.push_back(head)
        return head[:100].rstrip(b"\0")

    def member(self, name: bytes, low: int, high: int) -> int:
        """Take the header of the named member; return its size, which has these bounds.

        Raises ArchiveDamaged where another header stands there.
        """
        head = self.take(BLOCK)
        try:
            size = int(head[124:135], 8)
            expected = header(name, size)
        except ValueError:
            size, expected = -1, b""
        if head != expected:
            found = head[:100].rstrip(b"\0").decode("ascii", "backslashreplace")
            if found == name.decode() == MAGIC.decode() and _size_in_tar(head) is not None:
                raise ArchiveDamaged(
                    f"the header of {found} is that of another program: {_REPACKED}",
                    reason=REPACKED,
                )
            if found == name.decode():
                raise ArchiveDamaged(
                    f"the header of {found} is not the one that the format defines"
                )
            raise ArchiveDamaged(f"{found or 'nothing'} is where {name.decode()} should be")
        if not low <= size <= high:
            wanted = f"{low:,}" if low == high else f"{low:,} to {high:,}"
            raise ArchiveDamaged(f"{name.decode()} has {size:,} bytes; it must have {wanted}")
        return size

    def expect(self, name: bytes, low: int, high: int) -> None:
        """Check the header of the named member as `member` does, and give it back."""
        head = self.take(BLOCK)
        self.push_back(head)
        self.member(name, low, high)
        self.push_back(head)

    def content(self, name: bytes, low: int, high: int) -> bytes:
        """Return the content of a small member, whose size has these bounds.

        Raises as `member` and `pad` do.
        """
        size = self.member(name, low, high)
        data = self.take(size)
        self.pad(name, size)
        return data

    def pad(self, name: bytes, size: int) -> None:
        """Pass over the padding behind the ``size`` bytes of a member.

        Raises ArchiveTruncated, or ArchiveDamaged where it is not zero.
        """
        rest = padding(size)
        if self.take(rest) != _ZEROS[:rest]:
            raise ArchiveDamaged(f"the padding of {name.decode()} is not zero")

    def copy(self, size: int, *sinks: Callable[[bytes], object]) -> None:
        """Hand the content of a member to every sink, in blocks as the stream gives them."""
        left = size
        while left:
            most = min(left, AT_ONCE)
            block = b"" if self._ahead else self._stream.read(most)
            self.position += len(block)
            if not block:
                block = self.take(most)
            for sink in sinks:
                sink(block)
            left -= len(block)

    def copy_rest(self, sink: Callable[[bytes], object]) -> None:
        """Hand everything that comes to a sink."""
        while block := self.read(PIECE_SIZE):
            sink(block)

    def end(self) -> None:
        """Check the end: two zero blocks, and nothing after them."""
        if any(self.take(2 * BLOCK)):
            raise ArchiveDamaged("the archive does not end where it should")
        if self.read(1):
            raise ArchiveDamaged("something follows the end of the archive")

"""Chunks of the payload: files that follow one another, as the tables describe them."""

from __future__ import annotations

from binascii import unhexlify
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from wmbackup.archive import tables
from wmbackup.archive._bulk import stated_sizes
from wmbackup.archive.constants import DATA, HASH, NAME
from wmbackup.archive.row_codec import parse_file_row
from wmbackup.archive.ustar import record_length
from wmbackup.item import Item

CHUNK_SIZE = 512 * 1024
"""Bytes that are best verified at once: many more leave the processor's cache in between."""


class Chunk(NamedTuple):
    """Some files, unparsed but for their sizes.

    ``first`` counts the files before them, ``offset`` the bytes from the beginning of the payload.
    ``rows`` and ``lines`` are theirs in files.jsonl and manifest-sha256.txt, with their ends.
    """

    first: int
    offset: int
    sizes: list[int]
    rows: list[bytes]
    lines: list[bytes]

    @property
    def members(self) -> list[bytes]:
        """Their names below the bag."""
        return [line[NAME:-1] for line in self.lines]

    @property
    def hashes(self) -> bytes:
        """Their SHA-256, 32 bytes each. Raises ArchiveDamaged."""
        try:
            return unhexlify(b"".join([line[:HASH] for line in self.lines]))
        except ValueError:
            raise tables.disagree() from None

    @property
    def end(self) -> int:
        """How many bytes of the payload come before the next chunk."""
        return self.offset + sum(map(record_length, self.sizes))

    def singly(self) -> Iterator[Chunk]:
        """Yield a chunk for each file."""
        offset = self.offset
        for at, (size, row, line) in enumerate(zip(self.sizes, self.rows, self.lines, strict=True)):
            yield Chunk(self.first + at, offset, [size], [row], [line])
            offset += record_length(size)

    def item(self, at: int) -> Item:
        """Return one of the files, by its index here. Raises ArchiveDamaged, UnsupportedArchive."""
        row = parse_file_row(self.rows[at])
        member = self.lines[at][NAME:-1]
        path = member[len(DATA) :] if row.path is None else row.path
        return Item(path, row.size, row.mtime_ns, row.attributes, member)


def cut(first: int, offset: int, rows: bytes, lines: list[bytes], most: int) -> Iterator[Chunk]:
    """Cut rows, and as many lines of the manifest, into chunks of at most so many bytes.

    A file that is larger has a chunk of its own. Raises ArchiveDamaged for rows without a size.
    """
    sizes, split = stated_sizes(rows, len(lines)), tables.split(rows)
    ends = [0, *accumulate(map(record_length, sizes))]
    begin = 0
    while begin < len(lines):
        end = max(begin + 1, bisect_right(ends, ends[begin] + most) - 1)
        part = slice(begin, end)
        yield Chunk(first + begin, offset + ends[begin], sizes[part], split[part], lines[part])
        begin = end

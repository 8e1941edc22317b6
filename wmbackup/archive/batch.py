"""Files that follow one another in an archive, on their way into it.

Their records go into a private file and their lines stay in memory, until all of a batch is
handed on at once. So batches can be made beside each other, and be put in order afterwards.
"""

from __future__ import annotations

import hashlib
from binascii import hexlify
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from wmbackup.archive.constants import BAG, DATA
from wmbackup.archive.names import item_member
from wmbackup.archive.row_codec import FileRow, file_row, license_row
from wmbackup.archive.stream import AT_ONCE
from wmbackup.archive.ustar import BLOCK, PADDINGS, header, padding, record_length
from wmbackup.item import MAX_SIZE
from wmbackup.license import License

Tick = Callable[[int], None]
"""Called with the bytes done since the last call; it may raise to stop."""


class ContentMismatch(Exception):
    """An item did not have the bytes that it said it has; it was taken back."""


class FileBatch(NamedTuple):
    """Some files of an archive: counts, lines of its tables, and where their records lie.

    ``octets`` are the bytes of the files alone. The records, headers and padding included, are
    ``length`` bytes of ``spool`` from offset ``begin``.
    """

    files: int
    octets: int
    licenses: int
    rows: bytes
    manifest: bytes
    license_rows: bytes
    spool: IO[bytes]
    begin: int
    length: int


class BatchWriter:
    """Takes files in the order of their names, and gives them out in batches.

    ``files`` and ``octets`` count what is in the present batch.
    """

    def __init__(self, spool: IO[bytes]) -> None:
        """Begin without a file. ``spool`` is a private file, empty, and stays the caller's."""
        self._spool = spool
        self._begin = 0  # of the present batch
        self._spooled = 0
        self._parts: list[bytes] = []
        self._waiting = 0  # bytes of the parts
        self._items = 0  # of all batches, for their numbers go on
        self._rows: list[bytes] = []
        self._manifest: list[bytes] = []
        self._license_rows: list[bytes] = []
        self.files = 0
        self.octets = 0

    def add(
        self,
        row: FileRow,
        member: bytes | None,
        data: bytes | Iterable[bytes],
        licenses: Iterable[License] = (),
        *,
        tick: Tick | None = None,
    ) -> None:
        """Add the next file; ``member`` is its own name, or None for an item.

        Raises ContentMismatch when the blocks of ``data`` are not ``row.size`` bytes, and
        ValueError for what the format cannot hold; the batch is then as before.
        """
        if row.size > MAX_SIZE:
            raise ValueError("it is larger than an archive takes")
        line = file_row(row)
        name = item_member(self._items + 1) if member is None else DATA + member
        # Made before anything is kept, for any of them may be refused.
        known = [license_row(license_, name) for license_ in licenses] if licenses else ()
        if isinstance(data, bytes):
            digest = self._add_small(name, row.size, data)
        else:
            digest = self._add_large(name, row.size, data, tick)
        self._rows.append(line)
        self._manifest.append(b"%b  %b\n" % (digest, name))
        self._license_rows += known
        self._items += member is None
        self.files += 1
        self.octets += row.size

    def end(self) -> FileBatch:
        """End the present batch, return it and begin the next."""
        self._flush()
        batch = FileBatch(
            self.files,
            self.octets,
            len(self._license_rows),
            b"".join(self._rows),
            b"".join(self._manifest),
            b"".join(self._license_rows),
            self._spool,
            self._begin,
            self._spooled - self._begin,
        )
        self._begin_next()
        return batch

    def drop(self) -> None:
        """Forget the present batch, which must be without an item, and begin it anew."""
        self._take_back(self._begin)
        self._begin_next()

    def _begin_next(self) -> None:
        self._begin = self._spooled
        for lines in (self._rows, self._manifest, self._license_rows):
            lines.clear()
        self.files = 0
        self.octets = 0

    def _add_small(self, name: bytes, size: int, data: bytes) -> bytes:
        if len(data) != size:
            raise ContentMismatch
        self._parts += (header(BAG + name, size), data, PADDINGS[size % BLOCK])
        self._waiting += record_length(size)
        if self._waiting >= AT_ONCE:
            self._flush()
        return hexlify(hashlib.sha256(data).digest())

    def _add_large(
        self, name: bytes, size: int, blocks: Iterable[bytes], tick: Tick | None
    ) -> bytes:
        self._flush()
        begin = self._spooled
        digest = hashlib.sha256()
        try:
            self._put(header(BAG + name, size))
            for block in _exactly(size, blocks):
                digest.update(block)
                self._put(block)
                self._flush()
                if tick is not None:
                    tick(len(block))
        except BaseException:
            self._take_back(begin)
            raise
        self._put(bytes(padding(size)))
        return hexlify(digest.digest())

    def _put(self, part: bytes) -> None:
        self._parts.append(part)
        self._waiting += len(part)

    def _flush(self) -> None:
        self._spool.write(b"".join(self._parts))
        self._spooled += self._waiting
        self._parts.clear()
        self._waiting = 0

    def _take_back(self, begin: int) -> None:
        self._parts.clear()
        self._waiting = 0
        self._spool.seek(begin)
        self._spool.truncate()
        self._spooled = begin


def _exactly(size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    seen = 0
    for block in blocks:
        seen += len(block)
        if seen > size:
            raise ContentMismatch
        yield block
    if seen != size:
        raise ContentMismatch

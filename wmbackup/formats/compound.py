"""The streams of an OLE compound file (``drmv2.lic``, ``drmv2.sst``), in bounded memory.

Source: [MS-CFB]. Which streams a license store has is not documented, so that all of them are
enumerated. The library olefile reads the header, the allocation table and the directory; its
tree of the directory is recursive and its streams are read whole, so that both are left aside:
entries are enumerated one by one, and the chains of sectors are followed here, counted.
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

MAX_SIZE = 512 * 1024 * 1024
"""The largest file that is read, in bytes; olefile takes the square of it in time."""

CHUNK = 64 * 1024
"""The longest chunk of a stream, in bytes."""

_MAX_TABLES = 64 * 1024 * 1024  # bytes of tables that olefile may read
_MAX_DIRECTORY = 16 * 1024 * 1024  # 131072 entries
_HEADER = struct.Struct("<30xHH10xL")  # sector shifts, number of FAT sectors
_HEADER_SIZE = 512
_SMALL_SECTOR = 512
_SECTOR_SHIFTS = (9, 12)
_MINI_SHIFT = 6
_MINI = 1 << _MINI_SHIFT
_CUTOFF = 4096  # a smaller stream lies in the mini stream
_FIRST_TABLES = 109  # FAT sectors that the header names itself

_ENTRY = struct.Struct("<64x2xB49xIII")  # type, first sector, size: its low and high half
_ROOT, _STREAM = 5, 2


class Stream(NamedTuple):
    """A stream of a compound file: its size in bytes, and its bytes once, in chunks."""

    size: int
    chunks: Iterator[bytes]


class _TablesTooLong(OSError):
    """The tables of the file are longer than any that it could need."""


class _Metered:
    """The file as olefile sees it: what it reads without end ends with the budget."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._left = _MAX_TABLES

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(self._size if whence == os.SEEK_END else offset)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise _TablesTooLong("the tables are too long")
        return self._file.read(size)


def streams(file: BinaryIO, size: int) -> Iterator[Stream]:
    """Yield the streams of a compound file of ``size`` bytes, in the order of its directory.

    The chunks of each have to be taken before the next one. A file that is damaged yields what
    can be followed, or nothing at all; all streams together have no more than ``size`` bytes.
    Raises OSError where the file itself cannot be read.
    """
    ole = _open(file, size) if _is_sound(file, size) else None
    if ole is None:
        return
    reader = _Reader(file, size, ole)
    for kind, start, length in reader.entries():
        if kind == _STREAM and 0 < length <= size:
            yield Stream(length, reader.chunks(start, length))


def _is_sound(file: BinaryIO, size: int) -> bool:
    """Say whether the header claims no more than the file has, which bounds what olefile does."""
    file.seek(0)
    header = file.read(_HEADER_SIZE)
    if len(header) < _HEADER_SIZE or size > MAX_SIZE or not header.startswith(MAGIC):
        return False
    shift, mini_shift, tables = _HEADER.unpack_from(header)
    if shift not in _SECTOR_SHIFTS or mini_shift != _MINI_SHIFT:
        return False
    return bool(tables <= _FIRST_TABLES + (size >> shift) * 4 // (1 << shift))


def _open(file: BinaryIO, size: int) -> Any:  # noqa: ANN401 - olefile has no types
    """Let olefile read the tables; None where it cannot."""
    import olefile

    ole = olefile.OleFileIO()
    # Comparing each first sector with all others takes the square of the number of streams, and
    # the tree of the directory is built by recursion.
    ole._check_duplicate_stream = lambda *_: None  # noqa: SLF001 - there is no public way
    ole.loaddirectory = lambda _start: None
    try:
        ole.open(_Metered(file, size))
    except OSError as error:
        if error.errno is not None:
            raise
        return None
    except (ValueError, OverflowError, struct.error, IndexError, TypeError):
        return None
    return ole


class _Reader:
    """Follows the chains of a file's tables. Every step is counted, so that none is endless."""

    def __init__(self, file: BinaryIO, size: int, ole: Any) -> None:  # noqa: ANN401 - see _open
        self._file = file
        self._sector: int = ole.sectorsize
        self._fat: array[int] = ole.fat
        self._left = size
        self._directory = self._table(ole.first_dir_sector, _MAX_DIRECTORY // self._sector)
        self._mini_sectors, mini_tables = array("I"), 0
        root = next(self.entries(), None)
        if root is not None and root[0] == _ROOT:
            # Only where the mini stream lies is kept, not its bytes.
            count = min(-(-root[2] // self._sector), len(self._fat))
            self._mini_sectors.extend(_chain(self._fat, root[1], count))
            mini_tables = min(ole.num_mini_fat_sectors, len(self._fat))
        mini_fat = self._table(ole.first_mini_fat_sector, mini_tables)
        self._mini_fat: array[int] = ole.sect2array(mini_fat)

    def entries(self) -> Iterator[tuple[int, int, int]]:
        """Yield type, first sector and size of each entry of the directory."""
        usable = len(self._directory) // _ENTRY.size * _ENTRY.size
        for kind, start, low, high in _ENTRY.iter_unpack(self._directory[:usable]):
            # [MS-CFB] 2.6.1: with sectors of 512 bytes the upper half may be anything.
            yield kind, start, low if self._sector == _SMALL_SECTOR else low + (high << 32)

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """Yield a stream's bytes; fewer than ``length`` where its chain ends early."""
        mini = length < _CUTOFF
        table, unit = (self._mini_fat, _MINI) if mini else (self._fat, self._sector)
        read = self._read_mini if mini else self._read
        left = length
        for first, count in _runs(table, start, -(-length // unit), CHUNK // unit):
            self._left -= count * unit
            if self._left < 0:
                return
            yield read(first, count)[:left]
            left -= count * unit

    def _read(self, first: int, count: int = 1) -> bytes:
        self._file.seek((first + 1) * self._sector)
        return self._file.read(count * self._sector)

    def _read_mini(self, first: int, count: int) -> bytes:
        """Read neighbors of the mini stream, whose own sectors lie anywhere."""
        begin, end = first * _MINI, (first + count) * _MINI
        sectors = self._mini_sectors[begin // self._sector : -(-end // self._sector)]
        place = begin % self._sector
        return b"".join(map(self._read, sectors))[place : place + end - begin]

    def _table(self, start: int, count: int) -> bytes:
        """Return the sectors of a table; a cycle among them ends it."""
        seen: set[int] = set()
        sectors: list[bytes] = []
        for sector in _chain(self._fat, start, count):
            data = self._read(sector)
            if sector in seen or len(data) < self._sector:
                break
            seen.add(sector)
            sectors.append(data)
        return b"".join(sectors)


def _chain(table: array[int], start: int, count: int) -> Iterator[int]:
    """Yield the sectors from start on, ``count`` at most; every end mark lies beyond the table."""
    sector = start
    for _ in range(count):
        if sector >= len(table):
            return
        yield sector
        sector = table[sector]


def _runs(table: array[int], start: int, count: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield the sectors of a chain as runs of neighbors, ``most`` at most: first and number."""
    first, length = start, 0
    for sector in _chain(table, start, count):
        if sector != first + length or length == most:
            yield first, length
            first, length = sector, 0
        length += 1
    if length:
        yield first, length

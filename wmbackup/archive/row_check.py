"""Checking what files.jsonl, manifest-sha256.txt and licenses.jsonl say.

Many rows at once are checked by `_bulk`; whatever it does not take is checked one by one, and what
is wrong is found there.
"""

from __future__ import annotations

import io
import re
from binascii import unhexlify
from collections.abc import Callable, Iterator
from typing import IO

from wmbackup.archive import _bulk, tables
from wmbackup.archive.constants import DATA, HASH, ITEM, NAME
from wmbackup.archive.index import START, Mark, check_counts
from wmbackup.archive.names import NameCheck, is_safe, own_order
from wmbackup.archive.row_codec import MAX_LINE, FileRow, parse_file_row, parse_license_row
from wmbackup.archive.tables import Tables
from wmbackup.archive.tag_files import BagInfo
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item
from wmbackup.true_path import is_path

MANIFEST_LINE = re.compile(rb"[0-9a-f]{64}  data/[A-Za-z0-9._ /-]{1,84}\n\Z")
_ITEM_MEMBER = re.compile(rb"data/item-[0-9]{7}\Z")

Tick = Callable[[], None]
"""Called now and then; it may raise to stop."""


def check_files(found: Tables, info: BagInfo, tick: Tick) -> list[Mark]:
    """Check every row, name and number of files.jsonl and manifest-sha256.txt.

    Returns where blocks of rows begin. Raises ArchiveDamaged or UnsupportedArchive.
    """
    octets = 0
    marks = [START]
    names = NameCheck(own_names_from(found.manifest))
    for rows, lines in tables.pairs(found.files, found.manifest):
        tick()
        sizes = _check_rows(names, rows, lines)
        octets += sum(sizes)
        marks.append(marks[-1].after(rows, sizes))
    check_counts(info, octets, marks[-1].files)
    return marks


def check_licenses(found: Tables, info: BagInfo) -> None:
    """Check every row of licenses.jsonl, and that the files it names are there, in order.

    To be called after `check_files`. Raises ArchiveDamaged or UnsupportedArchive.
    """
    members: Iterator[bytes] = (line[NAME:-1] for line in tables.lines(found.manifest))
    withheld = 0
    member: bytes | None = None
    for row in tables.lines(found.licenses):
        license_, wanted = parse_license_row(row)
        withheld += license_.withheld
        if wanted is None:
            members, member = iter(()), None
        while member != wanted:
            member = next(members, None)
            if member is None:
                raise out_of_order()
    check_withheld(info, withheld)


def check_withheld(info: BagInfo, withheld: int) -> None:
    """Compare WMBackup-Withheld with what was counted. Raises ArchiveDamaged."""
    if withheld != info.withheld:
        raise ArchiveDamaged("WMBackup-Withheld does not agree with licenses.jsonl")


def out_of_order() -> ArchiveDamaged:
    """Return the error for a row of licenses.jsonl whose file does not come next."""
    return ArchiveDamaged("licenses.jsonl names a file that is not there, or is out of order")


def items_in(rows: bytes, lines: list[bytes]) -> Iterator[tuple[Item, bytes]]:
    """Yield files with their SHA-256 (32 bytes), each checked by itself.

    Raises ArchiveDamaged or UnsupportedArchive.
    """
    parsed = _bulk.file_rows(rows, len(lines)) or map(parse_file_row, tables.split(rows))
    for row, line in zip(parsed, lines, strict=True):
        yield item_of(row, line)


def item_of(row: FileRow, line: bytes) -> tuple[Item, bytes]:
    """Return a file with its SHA-256 (32 bytes), checked by itself. Raises ArchiveDamaged."""
    member = line[NAME:-1]
    own = member[len(DATA) :]
    if not MANIFEST_LINE.match(line) or not (
        is_safe(own) if row.path is None else _ITEM_MEMBER.match(member) and is_path(row.path)
    ):
        raise not_a_manifest_line()
    path = own if row.path is None else row.path
    return Item(path, row.size, row.mtime_ns, row.attributes, member), unhexlify(line[:HASH])


def _check_rows(names: NameCheck, rows: bytes, lines: list[bytes]) -> list[int]:
    """Check rows, lines and how their names relate; return the sizes."""
    sizes = _bulk.sizes(rows, len(lines))
    own = None if sizes is None else _bulk.own_names(lines)
    if sizes is not None and own is not None and names.own_all(own):
        return sizes
    pairs = zip(tables.split(rows), lines, strict=True)
    return [_check_row(names, row, line) for row, line in pairs]


def _check_row(names: NameCheck, row_line: bytes, line: bytes) -> int:
    row = parse_file_row(row_line)
    if not MANIFEST_LINE.match(line):
        raise not_a_manifest_line()
    check_name(names, line[NAME:-1], row.path)
    return row.size


def not_a_manifest_line() -> ArchiveDamaged:
    """Return the error for a line of the manifest that is not a hash and a name of the payload."""
    return ArchiveDamaged("manifest-sha256.txt has a line that is not a hash and a payload name")


def check_name(names: NameCheck, member: bytes, true_path: bytes | None) -> None:
    """Check the next name; ``true_path`` is that of an item. Raises ArchiveDamaged."""
    if true_path is None and not member.startswith(ITEM):
        problem = names.own(member[len(DATA) :])
    elif true_path is None:
        problem = "an item has no true path"
    elif not member.startswith(ITEM):
        problem = "a file with its own name has a true path as well"
    else:
        problem = names.item(member, true_path)
    if problem is not None:
        raise ArchiveDamaged(f"{member.decode('ascii', 'backslashreplace')}: {problem}")


def own_names_from(manifest: IO[bytes]) -> Callable[[bytes], Iterator[bytes]]:
    """Return what `NameCheck` asks: the own names from a key on, found by bisection."""

    def own_from(key: bytes) -> Iterator[bytes]:
        offset = _first_own(manifest, key)
        while True:
            line = _line_at(manifest, offset)
            if not line or line.startswith(ITEM, NAME):
                return
            yield line[NAME + len(DATA) : -1]
            offset += len(line)

    return own_from


def _first_own(manifest: IO[bytes], key: bytes) -> int:
    # Bisection over bytes: `low` is always the beginning of a line.
    low, high = 0, manifest.seek(0, io.SEEK_END)
    while low < high:
        start = _line_start(manifest, (low + high) // 2, low)
        line = _line_at(manifest, start)
        if line.startswith(ITEM, NAME) or own_order(line[NAME + len(DATA) : -1]) >= key:
            high = start
        else:
            low = start + len(line)
    return low


def _line_start(manifest: IO[bytes], at: int, low: int) -> int:
    # No line is longer than a hash, two spaces, data/ and 84 bytes.
    reach = max(low, at - 256)
    manifest.seek(reach)
    return reach + manifest.read(at - reach).rfind(b"\n") + 1


def _line_at(manifest: IO[bytes], offset: int) -> bytes:
    manifest.seek(offset)
    return manifest.readline(MAX_LINE)

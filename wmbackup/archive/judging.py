"""Judging what files.jsonl and manifest-sha256.txt say of files: many at once where they are plain.

Whatever is not plain is judged one by one, and what is wrong is found there.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterator

from wmbackup.archive import tables
from wmbackup.archive.names import DATA, NameCheck, are_safe, is_path, is_safe
from wmbackup.archive.plain import own_names, plain_rows, plain_sizes
from wmbackup.archive.row_codec import FileRow, parse_file_row
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item

ITEM = b"data/item-"
HASH = 64
"""Where the hash of a line of the manifest ends."""

NAME = HASH + 2
"""Where its name begins, behind two spaces."""

MANIFEST_LINE = re.compile(rb"[0-9a-f]{64}  data/[A-Za-z0-9._ /-]{1,84}\n\Z")
_ITEM_MEMBER = re.compile(rb"data/item-[0-9]{7}\Z")


def items_in(rows: bytes, lines: list[bytes]) -> Iterator[tuple[Item, bytes]]:
    """Yield files with their SHA-256 (32 bytes), each judged by itself.

    Raises ArchiveDamaged or UnsupportedArchive.
    """
    parsed = plain_rows(rows, len(lines))
    own = None if parsed is None else own_names(lines)
    if parsed is not None and own is not None and are_safe(own):
        for row, path, line in zip(parsed, own, lines, strict=True):
            item = Item(path, row.size, row.mtime_ns, row.attributes, line[NAME:-1])
            yield item, unhexlify(line[:HASH])
        return
    one_by_one = parsed or map(parse_file_row, tables.split(rows))
    for row, line in zip(one_by_one, lines, strict=True):
        yield item_of(row, line)


def item_of(row: FileRow, line: bytes) -> tuple[Item, bytes]:
    """Return a file with its SHA-256 (32 bytes), judged by itself. Raises ArchiveDamaged."""
    member = line[NAME:-1]
    own = member[len(DATA) :]
    if not MANIFEST_LINE.match(line) or not (
        is_safe(own) if row.path is None else _ITEM_MEMBER.match(member) and is_path(row.path)
    ):
        raise ArchiveDamaged("manifest-sha256.txt has a line that cannot be")
    path = own if row.path is None else row.path
    return Item(path, row.size, row.mtime_ns, row.attributes, member), unhexlify(line[:HASH])


def judge(names: NameCheck, rows: bytes, lines: list[bytes]) -> list[int]:
    """Judge rows, lines and how their names stand to each other; return the sizes.

    Raises ArchiveDamaged or UnsupportedArchive.
    """
    sizes = plain_sizes(rows, len(lines))
    own = None if sizes is None else own_names(lines)
    if sizes is not None and own is not None and names.own_all(own):
        return sizes
    pairs = zip(tables.split(rows), lines, strict=True)
    return [_judge_one(names, row, line) for row, line in pairs]


def _judge_one(names: NameCheck, row_line: bytes, line: bytes) -> int:
    row = parse_file_row(row_line)
    if not MANIFEST_LINE.match(line):
        raise ArchiveDamaged("manifest-sha256.txt has a line that cannot be")
    check_name(names, line[NAME:-1], row.path)
    return row.size


def check_name(names: NameCheck, member: bytes, true_path: bytes | None) -> None:
    """Judge the next name; ``true_path`` is that of an item. Raises ArchiveDamaged."""
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

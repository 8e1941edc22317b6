"""Many rows of an inventory at once, as they are written in the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from wmbackup.archive.constants import HASH, NAME
from wmbackup.archive.row_codec import ATTRIBUTE_LISTS, SECOND
from wmbackup.item import Item

_ATTRIBUTES = r"\[(.*)\]"
_NO_ATTRIBUTES = b"[]"


class Columns(NamedTuple):
    """Files in which no license was recognized, as the tables describe them, in columns.

    ``paths`` are own names: ASCII, visible, and nothing in them to be escaped. ``numbers`` are the
    size in bytes, and the seconds and nanoseconds of the time, in decimal. ``rows`` and ``lines``
    are theirs in the tables; a line is 64 digits, two spaces, the member.
    """

    paths: list[str]
    numbers: list[tuple[str, str, str]]
    rows: bytes
    lines: list[bytes]

    @property
    def attributes(self) -> list[str]:
        """The attributes of each, in quotes with commas between them."""
        if self.rows.count(_NO_ATTRIBUTES) == len(self.lines):
            return [""] * len(self.lines)
        return re.findall(_ATTRIBUTES, self.rows.decode("ascii"))

    def items(self) -> Iterator[tuple[Item, bytes]]:
        """Yield each file, and its SHA-256 (32 bytes)."""
        of = zip(self.paths, self.numbers, self.attributes, self.lines, strict=True)
        for path, (size, seconds, rest), attributes, line in of:
            mtime_ns = int(seconds) * SECOND + int(rest)
            names = ATTRIBUTE_LISTS[attributes.encode()]
            item = Item(path.encode(), int(size), mtime_ns, names, line[NAME:-1])
            yield item, bytes.fromhex(line[:HASH].decode())

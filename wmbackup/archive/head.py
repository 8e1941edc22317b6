"""The head of an archive, proven and in private storage: its rows and its manifest."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import IO, NamedTuple

from wmbackup.archive.bag import BagInfo
from wmbackup.archive.names import DATA, MAX_FILES, NameCheck, own_order
from wmbackup.archive.rows import (
    MAX_LINE,
    FileRow,
    parse_file_row,
    parse_license_row,
    plain_rows,
    plain_sizes,
)
from wmbackup.archive.ustar import record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item
from wmbackup.license import License

MAX_TABLE = 2 * 1024**3
_BLOCK = 256 * 1024
_ITEM = b"data/item-"
MANIFEST_LINE = re.compile(rb"[0-9a-f]{64}  data/[A-Za-z0-9._ /-]{1,84}\n\Z")
_HASH = 64
_NAME = _HASH + 2  # two spaces stand between them

# The own names in many manifest lines at once, which takes a sixth of the time that matching
# them one by one does.
_OWN_NAMES = re.compile(rb"^[0-9a-f]{64}  data/([A-Za-z0-9._ /-]{1,84})\n", re.MULTILINE)


class Line(NamedTuple):
    """What the head says of one payload file, as cheaply as it can be had.

    ``member`` is the name below the bag, ``sha256`` 32 bytes, ``row`` the unparsed line of
    files.jsonl.
    """

    member: bytes
    size: int
    sha256: bytes
    row: bytes


class _Mark(NamedTuple):
    """Where in both tables some files begin, and how many files and bytes come before them.

    ``length`` is that of their members. There is one for some thousand files.
    """

    files: int
    length: int
    row: int
    line: int

    def behind(self, rows: list[bytes], lines: list[bytes], sizes: list[int]) -> _Mark:
        """Return the mark behind some more files."""
        return _Mark(
            self.files + len(rows),
            self.length + sum(map(record_length, sizes)),
            self.row + sum(map(len, rows)),
            self.line + sum(map(len, lines)),
        )


class Head:
    """files.jsonl, licenses.jsonl and manifest-sha256.txt, as the maker signed them."""

    def __init__(
        self, info: BagInfo, files: IO[bytes], licenses: IO[bytes], manifest: IO[bytes]
    ) -> None:
        """Take the private files; nothing is read yet."""
        self.info = info
        self._files = files
        self._licenses = licenses
        self._manifest = manifest
        self._marks: list[_Mark] = []

    def close(self) -> None:
        """Give the private files back."""
        for table in (self._files, self._licenses, self._manifest):
            table.close()

    def lines(self) -> Iterator[Line]:
        """Yield a line for each payload file, in order, judging no more than it has to.

        Raises ArchiveDamaged where rows and manifest lines do not pair.
        """
        for rows, lines in self._pairs():
            yield from _lines(rows, lines)

    def located(self, wanted: Callable[[int], object]) -> Iterator[tuple[int, int, Line]]:
        """Yield the wanted lines, each with its index and the length of all members before it.

        Raises as `lines` does.
        """
        for begin, end in pairwise(self._marked()):
            if any(map(wanted, range(begin.files, end.files))):
                before = begin.length
                for at, line in enumerate(_lines(*self._between(begin, end)), begin.files):
                    if wanted(at):
                        yield at, before, line
                    before += record_length(line.size)

    def items(self) -> Iterator[tuple[Item, bytes]]:
        """Yield each payload file as an Item, with its SHA-256 (32 bytes), in order."""
        for rows, lines in self._pairs():
            yield from self._items(rows, lines)

    def items_like(self, parts: Sequence[bytes]) -> Iterator[tuple[int, Item, bytes]]:
        """Yield those whose true path may have one of the parts in it, with their index from 0.

        Where none of the parts occurs in many lines together, these are not parsed at all.
        """
        for begin, end in pairwise(self._marked()):
            text = _read(self._manifest, begin.line, end.line)
            if _ITEM in text or any(part in text for part in parts):
                items = self._items(*self._between(begin, end))
                for at, (item, sha256) in enumerate(items, begin.files):
                    yield at, item, sha256

    def _items(self, rows: list[bytes], lines: list[bytes]) -> Iterator[tuple[Item, bytes]]:
        parsed = plain_rows(rows) or map(parse_file_row, rows)
        for row, line in zip(parsed, lines, strict=True):
            member = line[_NAME:-1]
            path = member[len(DATA) :] if row.path is None else row.path
            item = Item(path, row.size, row.mtime_ns, row.attributes, member)
            yield item, unhexlify(line[:_HASH])

    def item(self, line: Line) -> Item:
        """Return the Item of a line."""
        row = parse_file_row(line.row)
        path = line.member[len(DATA) :] if row.path is None else row.path
        return Item(path, row.size, row.mtime_ns, row.attributes, line.member)

    def licenses(self) -> Iterator[License]:
        """Yield what is known of the licenses, each with the true path of its file.

        Raises ArchiveDamaged where they are not in the order of the files.
        """
        for license_, line in self._located():
            yield license_ if line is None else replace(license_, path=self.item(line).path)

    def payload_length(self) -> int:
        """Return the bytes of all payload members with headers and padding."""
        return self._marked()[-1].length

    def check(self, tick: Callable[[], None]) -> None:
        """Judge every row, name and number; ``tick`` is called now and then.

        Raises ArchiveDamaged or UnsupportedArchive.
        """
        self.check_files(tick)
        withheld = sum(license_.withheld for license_, _ in self._located())
        if withheld != self.info.withheld:
            raise ArchiveDamaged("WMBackup-Withheld does not agree with licenses.jsonl")

    def check_files(self, tick: Callable[[], None]) -> None:
        """Judge files.jsonl and manifest-sha256.txt alone. Raises as `check` does."""
        octets = 0
        marks = [_Mark(0, 0, 0, 0)]
        names = NameCheck(self._own_from)
        for rows, lines in self._pairs():
            tick()
            sizes = self._plain(names, rows, lines)
            if sizes is None:
                pairs = zip(rows, lines, strict=True)
                sizes = [self._check_one(names, row, line) for row, line in pairs]
            octets += sum(sizes)
            marks.append(marks[-1].behind(rows, lines, sizes))
        files = marks[-1].files
        if (octets, files) != (self.info.octets, self.info.files) or not files <= MAX_FILES:
            raise ArchiveDamaged("Payload-Oxum does not agree with files.jsonl")
        self._marks = marks

    def _plain(self, names: NameCheck, rows: list[bytes], lines: list[bytes]) -> list[int] | None:
        """Judge many rows and lines at once; return the sizes.

        None says that they have to be judged one by one: something in them is rare, or wrong.
        """
        sizes = plain_sizes(rows)
        if sizes is None:
            return None
        own = _OWN_NAMES.findall(b"".join(lines))
        return sizes if len(own) == len(lines) and names.own_all(own) else None

    def _check_one(self, names: NameCheck, row_line: bytes, line: bytes) -> int:
        row = parse_file_row(row_line)
        if not MANIFEST_LINE.match(line):
            raise ArchiveDamaged("manifest-sha256.txt has a line that cannot be")
        self._check_name(names, line[_NAME:-1], row)
        return row.size

    def _check_name(self, names: NameCheck, member: bytes, row: FileRow) -> None:
        if row.path is None and not member.startswith(_ITEM):
            problem = names.own(member[len(DATA) :])
        elif row.path is None:
            problem = "an item has no true path"
        elif not member.startswith(_ITEM):
            problem = "a file with its own name has a true path as well"
        else:
            problem = names.item(member, row.path)
        if problem is not None:
            raise ArchiveDamaged(f"{member.decode('ascii', 'backslashreplace')}: {problem}")

    def _located(self) -> Iterator[tuple[License, Line | None]]:
        lines = self.lines()
        current: Line | None = None
        for row in table_lines(self._licenses):
            license_, member = parse_license_row(row)
            if member is None:
                lines, current = iter(()), None
                yield license_, None
                continue
            while current is None or current.member != member:
                current = next(lines, None)
                if current is None:
                    raise ArchiveDamaged(
                        "licenses.jsonl names a file that is not there, or is out of order"
                    )
            yield license_, current

    def _pairs(self) -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Yield rows of files.jsonl with their lines of the manifest, many at once.

        Raises ArchiveDamaged where one has more of them than the other.
        """
        more_rows, more_lines = table_blocks(self._files), table_blocks(self._manifest)
        rows: list[bytes] = []
        lines: list[bytes] = []
        while True:
            rows = rows or next(more_rows, [])
            lines = lines or next(more_lines, [])
            count = min(len(rows), len(lines))
            if not count:
                break
            yield rows[:count], lines[:count]
            rows, lines = rows[count:], lines[count:]
        if rows or lines:
            raise ArchiveDamaged(
                "files.jsonl and manifest-sha256.txt do not agree: they differ in length"
            )

    def _marked(self) -> list[_Mark]:
        if not self._marks:
            marks = [_Mark(0, 0, 0, 0)]
            for rows, lines in self._pairs():
                marks.append(
                    marks[-1].behind(rows, lines, [line.size for line in _lines(rows, lines)])
                )
            self._marks = marks
        return self._marks

    def _between(self, begin: _Mark, end: _Mark) -> tuple[list[bytes], list[bytes]]:
        rows = _read(self._files, begin.row, end.row)
        lines = _read(self._manifest, begin.line, end.line)
        return rows.splitlines(keepends=True), lines.splitlines(keepends=True)

    def _own_from(self, key: bytes) -> Iterator[bytes]:
        offset = self._first_own(key)
        while True:
            line = self._manifest_line(offset)
            if not line or line.startswith(_ITEM, _NAME):
                return
            yield line[_NAME + len(DATA) : -1]
            offset += len(line)

    def _first_own(self, key: bytes) -> int:
        # Bisection over bytes: `low` is always the beginning of a line.
        low, high = 0, self._manifest_size()
        while low < high:
            middle = (low + high) // 2
            start = self._line_start(middle, low)
            line = self._manifest_line(start)
            if line.startswith(_ITEM, _NAME) or own_order(line[_NAME + len(DATA) : -1]) >= key:
                high = start
            else:
                low = start + len(line)
        return low

    def _line_start(self, at: int, low: int) -> int:
        # No line is longer than a hash, two spaces, data/ and 84 bytes.
        reach = max(low, at - 256)
        before = self._peek(reach, at - reach)
        return reach + before.rfind(b"\n") + 1

    def _manifest_size(self) -> int:
        return self._manifest.seek(0, 2)

    def _manifest_line(self, offset: int) -> bytes:
        self._manifest.seek(offset)
        return self._manifest.readline(MAX_LINE)

    def _peek(self, offset: int, size: int) -> bytes:
        self._manifest.seek(offset)
        return self._manifest.read(size)


def _read(table: IO[bytes], begin: int, end: int) -> bytes:
    table.seek(begin)
    return table.read(end - begin)


def _lines(rows: list[bytes], lines: list[bytes]) -> Iterator[Line]:
    try:
        sizes = _sizes(rows)
        hashes = [unhexlify(line[:_HASH]) for line in lines]
    except ValueError:
        raise ArchiveDamaged("files.jsonl and manifest-sha256.txt do not agree") from None
    members = [line[_NAME:-1] for line in lines]
    return map(Line, members, sizes, hashes, rows)


def _sizes(rows: list[bytes]) -> list[int]:
    # {"size":N, is how every row begins; Head.check judges the rest.
    return [int(row[8 : row.index(b",", 8)]) for row in rows]


def table_lines(table: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a table from its beginning, with their ends."""
    for lines in table_blocks(table):
        yield from lines


def table_blocks(table: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of a table from its beginning, with their ends, many at once."""
    # Each iterator keeps its own place, so that several can be under way in one table.
    offset, rest = 0, b""
    while True:
        table.seek(offset)
        block = table.read(_BLOCK)
        offset += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        if lines:
            yield [line + b"\n" for line in lines]
        if not block or len(rest) > MAX_LINE:
            break
    if rest:
        yield [rest]  # without its end, or too long: whoever parses it refuses it

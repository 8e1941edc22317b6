"""The head of an archive, proven and in private storage: its rows and its manifest."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import IO, NamedTuple

from wmbackup.archive import tables
from wmbackup.archive.judging import ITEM, NAME, check_name, item_of, items_in, judge
from wmbackup.archive.names import DATA, MAX_FILES, NameCheck, own_order
from wmbackup.archive.plain import Plain, plain, stated_sizes
from wmbackup.archive.row_codec import MAX_LINE, parse_file_row, parse_license_row
from wmbackup.archive.section import SECTION, Section, cut
from wmbackup.archive.tables import Place
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.ustar import BLOCK, record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item
from wmbackup.license import License

MAX_TABLE = 2 * 1024**3
_AT_ONCE = 4096  # licenses that are held together


class Row(NamedTuple):
    """One line of an inventory: a license, or a file in which none was recognized.

    ``item`` is None for a license that is in no single file; ``sha256`` (32 bytes) is None where
    it was not asked for.
    """

    item: Item | None
    license: License | None
    sha256: bytes | None = None

    @property
    def path(self) -> bytes | None:
        """The true path of the file that it stands for or was found in."""
        if self.item is not None:
            return self.item.path
        return None if self.license is None else self.license.path


class Mark(NamedTuple):
    """Where in files.jsonl some rows begin, and how many files and bytes come before them.

    ``length`` is that of the members of these files. There is a mark for some thousand of them.
    """

    files: int
    length: int
    row: int

    def behind(self, rows: bytes, sizes: list[int]) -> Mark:
        """Return the mark behind some more files."""
        return Mark(
            self.files + len(sizes),
            # The sum of record_length in two thirds of the time, without a call for each.
            self.length + sum([(size + 2 * BLOCK - 1) // BLOCK for size in sizes]) * BLOCK,
            self.row + len(rows),
        )


START = Mark(0, 0, 0)


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
        self._marks: list[Mark] = []
        self._places: list[Place] = []

    def reopen(self, again: Callable[[IO[bytes]], IO[bytes]]) -> None:
        """Read from now on through other handles of the private files."""
        self._files = again(self._files)
        self._licenses = again(self._licenses)
        self._manifest = again(self._manifest)

    def close(self) -> None:
        """Give the private files back."""
        for table in (self._files, self._licenses, self._manifest):
            table.close()

    def sections(
        self, begin: Mark = START, end: Mark | None = None, *, most: int = SECTION
    ) -> Iterator[Section]:
        """Yield the payload in order, in sections of at most so many bytes or of one file.

        Judges no more than it has to. ``begin`` or ``end``, but not both, may be a `border`. Raises
        ArchiveDamaged where rows and manifest lines do not pair.
        """
        at = 0 if begin is START else self._manifest_lines().offset(begin.files)
        first, offset = begin.files, begin.length
        for rows, lines in tables.pairs(self._files, self._manifest, begin.row, at):
            if end is not None and first >= end.files:
                return
            for section in cut(first, offset, rows, lines, most):
                yield section
                first, offset = section.first + len(section.lines), section.end

    def located(self, wanted: bytearray) -> Iterator[Section]:
        """Yield the wanted files, each in a section of its own.

        ``wanted`` has a byte for each file, 1 or 0. Raises as `sections` does.
        """
        lines = self._manifest_lines()
        for begin, end in pairwise(self._marked()):
            if 1 in wanted[begin.files : end.files]:
                before = begin.length
                text = tables.read(self._files, begin.row, end.row)
                sizes = stated_sizes(text, end.files - begin.files)
                rows = zip(tables.split(text), sizes, strict=True)
                for at, (row, size) in enumerate(rows, begin.files):
                    if wanted[at]:
                        yield Section(at, before, [size], [row], [lines[at]])
                    before += record_length(size)

    def rows(self) -> Iterator[Row]:
        """Yield the inventory, in its order, judging the rows as they come.

        Raises ArchiveDamaged or UnsupportedArchive, at the latest behind the last row.
        """
        for portion in self._inventory(short=False):
            if not isinstance(portion, Plain):
                yield from portion

    def portions(self) -> Iterator[Plain | list[Row]]:
        """Yield what `rows` yields, many at once, as it stands where nothing in it is special."""
        return self._inventory(short=True)

    def _inventory(self, *, short: bool) -> Iterator[Plain | list[Row]]:
        licenses = map(parse_license_row, tables.lines(self._licenses))
        ahead = next(licenses, None)
        withheld = 0
        for rows, lines in self.pairs():
            columns = plain(rows, lines) if short and not _is_in(ahead, lines) else None
            if columns is not None:
                yield columns
                continue
            found: list[Row] = []
            for item, sha256 in items_in(rows, lines):
                is_known = False
                while ahead is not None and ahead[1] == item.member:
                    is_known = True
                    found.append(Row(item, replace(ahead[0], path=item.path), sha256))
                    ahead = next(licenses, None)
                    if len(found) == _AT_ONCE:  # a single file can have all licenses
                        yield found
                        found = []
                if not is_known:
                    found.append(Row(item, None, sha256))
            yield found
        while ahead is not None:
            if ahead[1] is not None:
                raise _out_of_order()
            withheld += ahead[0].withheld
            yield [Row(None, ahead[0])]
            ahead = next(licenses, None)
        self._agree_on_withheld(withheld)

    def items_like(self, parts: Sequence[bytes]) -> Iterator[tuple[int, Item, bytes]]:
        """Yield those whose true path may have one of the parts in it, with their index from 0.

        All others are not parsed at all. What is yielded is judged, and that no name among it
        collides with another. Raises ArchiveDamaged or UnsupportedArchive.
        """
        names = NameCheck(self._own_from)
        rows = tables.Lines(self._files, [Place(mark.files, mark.row) for mark in self._marked()])
        for at, line in self._lines_like((ITEM, *parts)):
            item, sha256 = item_of(parse_file_row(rows[at]), line)
            true_path = item.path if item.member.startswith(ITEM) else None
            check_name(names, item.member, true_path)
            yield at, item, sha256

    def _lines_like(self, parts: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of the manifest that have one of the parts in them, with their index."""
        self._manifest_lines()
        for begin, end in pairwise(self._places):
            text = tables.read(self._manifest, begin.offset, end.offset)
            if any(part in text for part in parts):
                for at, line in enumerate(tables.split(text), begin.lines):
                    if any(part in line for part in parts):
                        yield at, line

    def payload_length(self) -> int:
        """Return the bytes of all payload members with headers and padding.

        Raises ArchiveDamaged where Payload-Oxum does not agree.
        """
        return self._marked()[-1].length

    def border(self, share: float) -> Mark:
        """Return the first mark that so large a share of the payload's bytes lies before.

        Raises as `payload_length` does.
        """
        marks = self._marked()
        return next(mark for mark in marks if mark.length >= share * marks[-1].length)

    def check(self, tick: Callable[[], None]) -> None:
        """Judge every row, name and number; ``tick`` is called now and then.

        Raises ArchiveDamaged or UnsupportedArchive.
        """
        self.check_files(tick)
        members: Iterator[bytes] = (line[NAME:-1] for _, lines in self.pairs() for line in lines)
        withheld = 0
        member: bytes | None = None
        for row in tables.lines(self._licenses):
            license_, wanted = parse_license_row(row)
            withheld += license_.withheld
            if wanted is None:
                members, member = iter(()), None
            while member != wanted:
                member = next(members, None)
                if member is None:
                    raise _out_of_order()
        self._agree_on_withheld(withheld)

    def check_files(self, tick: Callable[[], None]) -> None:
        """Judge files.jsonl and manifest-sha256.txt alone. Raises as `check` does."""
        octets = 0
        marks = [START]
        names = NameCheck(self._own_from)
        for rows, lines in self.pairs():
            tick()
            sizes = judge(names, rows, lines)
            octets += sum(sizes)
            marks.append(marks[-1].behind(rows, sizes))
        self._agree(octets, marks[-1].files)
        self._marks = marks

    def _agree(self, octets: int, files: int) -> None:
        if (octets, files) != (self.info.octets, self.info.files) or not files <= MAX_FILES:
            raise ArchiveDamaged("Payload-Oxum does not agree with files.jsonl")

    def _agree_on_withheld(self, withheld: int) -> None:
        if withheld != self.info.withheld:
            raise ArchiveDamaged("WMBackup-Withheld does not agree with licenses.jsonl")

    def pairs(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """See `tables.pairs`."""
        return tables.pairs(self._files, self._manifest)

    def _marked(self) -> list[Mark]:
        if not self._marks:
            octets = 0
            marks = [START]
            for rows in tables.blocks(self._files):
                sizes = stated_sizes(rows, tables.count_lines(rows))
                if min(sizes) < 0:  # others would make up for it, and offsets lead nowhere
                    raise ArchiveDamaged("a row of files.jsonl has a size that cannot be")
                octets += sum(sizes)
                marks.append(marks[-1].behind(rows, sizes))
            self._agree(octets, marks[-1].files)
            self._marks = marks
        return self._marks

    def _manifest_lines(self) -> tables.Lines:
        if not self._places:
            places = tables.places(self._manifest)
            if places[-1].lines != self._marked()[-1].files:
                raise tables.differ()
            self._places = places
        return tables.Lines(self._manifest, self._places)

    def _own_from(self, key: bytes) -> Iterator[bytes]:
        offset = self._first_own(key)
        while True:
            line = self._manifest_line(offset)
            if not line or line.startswith(ITEM, NAME):
                return
            yield line[NAME + len(DATA) : -1]
            offset += len(line)

    def _first_own(self, key: bytes) -> int:
        # Bisection over bytes: `low` is always the beginning of a line.
        low, high = 0, self._manifest.seek(0, io.SEEK_END)
        while low < high:
            middle = (low + high) // 2
            start = self._line_start(middle, low)
            line = self._manifest_line(start)
            if line.startswith(ITEM, NAME) or own_order(line[NAME + len(DATA) : -1]) >= key:
                high = start
            else:
                low = start + len(line)
        return low

    def _line_start(self, at: int, low: int) -> int:
        # No line is longer than a hash, two spaces, data/ and 84 bytes.
        reach = max(low, at - 256)
        before = self._peek(reach, at - reach)
        return reach + before.rfind(b"\n") + 1

    def _manifest_line(self, offset: int) -> bytes:
        self._manifest.seek(offset)
        return self._manifest.readline(MAX_LINE)

    def _peek(self, offset: int, size: int) -> bytes:
        self._manifest.seek(offset)
        return self._manifest.read(size)


def _is_in(license_: tuple[License, bytes | None] | None, lines: list[bytes]) -> bool:
    """Whether the file that a license is in may be one of these."""
    member = None if license_ is None else license_[1]
    return member is not None and b"  %b\n" % member in b"".join(lines)


def _out_of_order() -> ArchiveDamaged:
    return ArchiveDamaged("licenses.jsonl names a file that is not there, or is out of order")

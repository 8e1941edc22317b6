"""Where the files of an archive are: in its payload, and in the tables of its head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from wmbackup.archive import tables
from wmbackup.archive._bulk import stated_sizes
from wmbackup.archive.chunk import CHUNK_SIZE, Chunk, cut
from wmbackup.archive.constants import MAX_FILES
from wmbackup.archive.tables import BlockStart, Tables
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.ustar import BLOCK, record_length
from wmbackup.errors import ArchiveDamaged


class Mark(NamedTuple):
    """Where a block of files.jsonl begins, and how many files and bytes come before it.

    ``length`` is that of the members of these files. There is a mark for some thousand of them.
    """

    files: int
    length: int
    row: int

    def after(self, rows: bytes, sizes: list[int]) -> Mark:
        """Return the mark after some more files."""
        return Mark(
            self.files + len(sizes),
            # The sum of record_length in two thirds of the time, without a call for each.
            self.length + sum([(size + 2 * BLOCK - 1) // BLOCK for size in sizes]) * BLOCK,
            self.row + len(rows),
        )


START = Mark(0, 0, 0)


class Part(NamedTuple):
    """What lies between two marks: some thousand files; offsets of their lines in the manifest."""

    begin: Mark
    end: Mark
    line: int
    line_end: int

    def chunks(self, found: Tables) -> Iterator[Chunk]:
        """Yield its files in chunks, unverified. Raises ArchiveDamaged."""
        rows = tables.read(found.files, self.begin.row, self.end.row)
        lines = tables.split(tables.read(found.manifest, self.line, self.line_end))
        if tables.count_lines(rows) != len(lines):
            raise tables.differ()
        return cut(self.begin.files, self.begin.length, rows, lines, CHUNK_SIZE)


class Index:
    """Finds files by their numbers from 0, from marks that are made when they are first needed."""

    def __init__(self, found: Tables, info: BagInfo) -> None:
        """Take the tables, and what Payload-Oxum says of them; nothing is read yet."""
        self._tables = found
        self._info = info
        self._marks: list[Mark] = []
        self._manifest: tables.Lines | None = None
        self._starts: list[BlockStart] = []

    @property
    def marks(self) -> list[Mark]:
        """The marks in order; the last is after the last file. Raises ArchiveDamaged."""
        if not self._marks:
            octets = 0
            marks = [START]
            for rows in tables.blocks(self._tables.files):
                sizes = stated_sizes(rows, tables.count_lines(rows))
                if min(sizes) < 0:  # others would make up for it, and offsets lead nowhere
                    raise ArchiveDamaged("a row of files.jsonl has a negative size")
                octets += sum(sizes)
                marks.append(marks[-1].after(rows, sizes))
            check_counts(self._info, octets, marks[-1].files)
            self._marks = marks
        return self._marks

    @marks.setter
    def marks(self, marks: list[Mark]) -> None:
        self._marks = marks

    def chunks(self, *, most: int = CHUNK_SIZE) -> Iterator[Chunk]:
        """Yield the payload in order, in chunks of at most ``most`` bytes or of one file.

        Raises ArchiveDamaged where rows and manifest do not pair.
        """
        first, offset = 0, 0
        for rows, lines in tables.pairs(self._tables.files, self._tables.manifest):
            for chunk in cut(first, offset, rows, lines, most):
                yield chunk
                first, offset = chunk.first + len(chunk.lines), chunk.end

    def parts(self) -> Iterator[Part]:
        """Yield all files in order, in parts that can be read alone. Raises ArchiveDamaged."""
        lines = self._lines()
        line = 0
        for begin, end in pairwise(self.marks):
            line_end = lines.offset(end.files)
            yield Part(begin, end, line, line_end)
            line = line_end

    def located(self, wanted: bytearray) -> Iterator[Chunk]:
        """Yield the wanted files, each in a chunk of its own.

        ``wanted`` has a byte for each file, 1 or 0. Raises ArchiveDamaged.
        """
        lines = self._lines()
        for begin, end in pairwise(self.marks):
            if 1 in wanted[begin.files : end.files]:
                before = begin.length
                text = tables.read(self._tables.files, begin.row, end.row)
                sizes = stated_sizes(text, end.files - begin.files)
                rows = zip(tables.split(text), sizes, strict=True)
                for at, (row, size) in enumerate(rows, begin.files):
                    if wanted[at]:
                        yield Chunk(at, before, [size], [row], [lines[at]])
                    before += record_length(size)

    def lines_with(self, parts: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the lines of the manifest that have one of the parts in them, with their file."""
        self._lines()
        for begin, end in pairwise(self._starts):
            text = tables.read(self._tables.manifest, begin.offset, end.offset)
            if any(part in text for part in parts):
                for at, line in enumerate(tables.split(text), begin.lines):
                    if any(part in line for part in parts):
                        yield at, line

    def rows(self) -> tables.Lines:
        """Return the lines of files.jsonl by the numbers of their files."""
        starts = [BlockStart(mark.files, mark.row) for mark in self.marks]
        return tables.Lines(self._tables.files, starts)

    def _lines(self) -> tables.Lines:
        if self._manifest is None:
            starts = tables.block_starts(self._tables.manifest)
            if starts[-1].lines != self.marks[-1].files:
                raise tables.differ()
            self._starts = starts
            self._manifest = tables.Lines(self._tables.manifest, starts)
        return self._manifest


def check_counts(info: BagInfo, octets: int, files: int) -> None:
    """Compare Payload-Oxum with what was counted. Raises ArchiveDamaged."""
    if (octets, files) != (info.octets, info.files) or not files <= MAX_FILES:
        raise ArchiveDamaged("Payload-Oxum does not agree with files.jsonl")

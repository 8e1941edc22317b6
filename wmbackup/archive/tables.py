"""The tables of the head, read in blocks of whole lines."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from wmbackup.archive.row_codec import MAX_LINE
from wmbackup.errors import ArchiveDamaged

_BLOCK = 256 * 1024


class Tables(NamedTuple):
    """The tables of the head in private files, as they were signed."""

    files: IO[bytes]
    licenses: IO[bytes]
    manifest: IO[bytes]

    def close(self) -> None:
        """Give the private files back."""
        for table in self:
            table.close()


class BlockStart(NamedTuple):
    """Where a block of a table begins: how many lines and how many bytes come before it."""

    lines: int
    offset: int


def block_starts(table: IO[bytes]) -> list[BlockStart]:
    """Return where the blocks of a table begin, and last its end."""
    found = [BlockStart(0, 0)]
    for block in blocks(table):
        lines, offset = found[-1]
        found.append(BlockStart(lines + count_lines(block), offset + len(block)))
    return found


class Lines:
    """The lines of a table by their numbers from 0; cheap where the next is near the last."""

    def __init__(self, table: IO[bytes], starts: Sequence[BlockStart]) -> None:
        """Take a table and where its blocks begin."""
        self._table = table
        self._starts = starts
        self._begin = starts[0]
        self._lines: list[bytes] = []

    def __getitem__(self, number: int) -> bytes:
        """Return a line with its end. There has to be one."""
        if not 0 <= number - self._begin.lines < len(self._lines):
            self._go_to(number)
        return self._lines[number - self._begin.lines]

    def offset(self, number: int) -> int:
        """Return where a line begins, or behind the last one the end."""
        self._go_to(number)
        before = self._lines[: number - self._begin.lines]
        return self._begin.offset + sum(map(len, before))

    def _go_to(self, number: int) -> None:
        at = bisect_right(self._starts, number, key=lambda start: start.lines)
        self._begin = self._starts[at - 1]
        end = self._starts[at] if at < len(self._starts) else self._begin
        self._lines = split(read(self._table, self._begin.offset, end.offset))


def read(table: IO[bytes], begin: int, end: int) -> bytes:
    """Return what stands between two offsets."""
    table.seek(begin)
    return table.read(end - begin)


def blocks(table: IO[bytes], offset: int = 0) -> Iterator[bytes]:
    """Yield a table from an offset on, many lines at once, with their ends.

    The last may lack its end, or be too long: whoever parses it refuses it.
    """
    # Each iterator keeps its own place, so that several can be under way in one table.
    rest = b""
    while len(rest) <= MAX_LINE:
        table.seek(offset)
        block = table.read(_BLOCK)
        if not block:
            break
        offset += len(block)
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = b""
        rest += block[end:]
    if rest:
        yield rest


def lines(table: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a table from its beginning, with their ends."""
    for block in blocks(table):
        yield from split(block)


def split(block: bytes) -> list[bytes]:
    """Return the lines of a block, with their ends."""
    if b"\r" not in block:
        return block.splitlines(keepends=True)
    # Where splitlines would end a line as well, and a table does not.
    parts = block.split(b"\n")
    last = parts.pop()
    return [part + b"\n" for part in parts] + ([last] if last else [])


def pairs(
    files: IO[bytes], manifest: IO[bytes], files_at: int = 0, manifest_at: int = 0
) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield blocks of files.jsonl from an offset on, each with as many lines of the manifest.

    Raises ArchiveDamaged where one has more lines than the other, behind those that pair.
    """
    waiting: list[bytes] = []
    manifests = blocks(manifest, manifest_at)
    for rows in blocks(files, files_at):
        count = count_lines(rows)
        while len(waiting) < count:
            block = next(manifests, b"")
            if not block:
                if waiting:
                    yield b"".join(split(rows)[: len(waiting)]), waiting
                raise differ()
            waiting += split(block)
        yield rows, waiting[:count]
        del waiting[:count]
    if waiting or next(manifests, None) is not None:
        raise differ()


def count_lines(block: bytes) -> int:
    """Return how many lines there are in a block."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def differ() -> ArchiveDamaged:
    """Return the error for tables of which one has more lines than the other."""
    return disagree(": they differ in length")


def disagree(how: str = "") -> ArchiveDamaged:
    """Return the error for tables that do not belong together."""
    return ArchiveDamaged(f"files.jsonl and manifest-sha256.txt do not agree{how}")

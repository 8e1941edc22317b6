"""The tables of the head, read in blocks of whole lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from wmbackup.archive.rows import MAX_LINE
from wmbackup.errors import ArchiveDamaged

_BLOCK = 256 * 1024


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

    Raises ArchiveDamaged where one has more lines than the other.
    """
    waiting: list[bytes] = []
    manifests = blocks(manifest, manifest_at)
    for rows in blocks(files, files_at):
        count = count_lines(rows)
        while len(waiting) < count:
            block = next(manifests, b"")
            if not block:
                raise _differ()
            waiting += split(block)
        yield rows, waiting[:count]
        del waiting[:count]
    if waiting or next(manifests, None) is not None:
        raise _differ()


def count_lines(block: bytes) -> int:
    """Return how many lines there are in a block."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _differ() -> ArchiveDamaged:
    return ArchiveDamaged("files.jsonl and manifest-sha256.txt do not agree: they differ in length")

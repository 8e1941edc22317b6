"""A second process, which reads files of a store while this one reads others.

It is asked for batches of paths and answers with portions of the archive. A batch in which
anything is unusual has no answer: what is said, skipped and carried is the same with a second
process and without.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from wmbackup.archive.portion import ContentMismatch, Portion, PortionWriter
from wmbackup.archive.row_codec import FileRow
from wmbackup.engine.second_process import Second, second_process, serve
from wmbackup.errors import SystemFailure
from wmbackup.stores.base import Export, ItemUnavailable, ItemWithheld, SharedExport
from wmbackup.stores.file_reader import FileReader
from wmbackup.stores.tree import HandleTree

_PAYS = 4000  # files from which on it is worth a process, which takes 50 ms to begin
_PORTION = struct.Struct("=8Q")  # the numbers of one; then come its lines


@contextlib.contextmanager
def second_reader(
    export: Export, files: int, spool: Callable[[], IO[bytes]]
) -> Iterator[SecondReader | None]:
    """Begin a second process where that is possible and pays for so many files.

    Its records go into a private file that ``spool`` makes.
    """
    folder = export.shared if isinstance(export, SharedExport) else None
    if folder is None or files < _PAYS:
        yield None
        return
    place = spool()
    opened = (folder.root, place.fileno())
    with second_process(__name__, *opened, int(folder.withholds), opened=opened) as process:
        yield None if process is None else SecondReader(process, place)


class SecondReader:
    """How the second process is asked, and its answers are taken."""

    def __init__(self, process: Second, spool: IO[bytes]) -> None:
        """Take the process, and the private file that its records are in."""
        self.process = process
        self._spool = spool

    def question(self, paths: Sequence[bytes]) -> bytes:
        """Return the question for a portion of these files, which keep their names."""
        return b"\0".join(paths)

    def portion(self, answer: bytes) -> Portion | None:
        """Return the portion that was answered; None where the files are to be read again."""
        if not answer:
            return None
        files, octets, licenses, begin, length, *sizes = _PORTION.unpack_from(answer)
        at, tables = _PORTION.size, []
        for size in sizes:
            tables.append(answer[at : at + size])
            at += size
        rows, manifest, license_rows = tables
        where = self._spool, begin, length
        return Portion(files, octets, licenses, rows, manifest, license_rows, *where)


def main() -> None:
    """Be the second process."""
    root, spool, withholds = map(int, sys.argv[3:])
    reader = FileReader(HandleTree(root), withholds=bool(withholds))
    with os.fdopen(spool, "r+b") as file:
        writer = PortionWriter(file)
        serve(lambda question: _answer(reader, writer, question.split(b"\0")))


def _answer(reader: FileReader, writer: PortionWriter, paths: Sequence[bytes]) -> bytes:
    """Read files; answer nothing where that is not as simple as it should be."""
    try:
        if all(_add(reader, writer, path) for path in paths):
            portion = writer.end()
            portion.spool.flush()  # what a full disk does not take is not answered
            tables = portion.rows, portion.manifest, portion.license_rows
            numbers = (*portion[:3], portion.begin, portion.length, *map(len, tables))
            return _PORTION.pack(*numbers) + b"".join(tables)
    except (ItemUnavailable, ItemWithheld, ContentMismatch, ValueError, OSError, SystemFailure):
        pass  # the first process finds out by itself, and says it
    writer.drop()
    return b""


def _add(reader: FileReader, writer: PortionWriter, path: bytes) -> bool:
    content = reader.read(path)
    if not isinstance(content.data, bytes):
        return False  # it is large, and who follows the backup wants to see every part of it
    row = FileRow(content.size, content.mtime_ns, None, content.attributes)
    writer.add(row, path, content.data, content.licenses)
    return True

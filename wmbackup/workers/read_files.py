"""A worker that reads files of a store while the first process reads others.

It is asked for batches of paths and answers with batches of files. A batch in which anything is
unusual has no answer: what is reported, skipped and carried is the same with a worker and without.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO, cast

from wmbackup.age.spool import KEY_SIZE, EncryptedSpool, descriptor, encrypting
from wmbackup.archive.batch import BatchWriter, ContentMismatch, FileBatch
from wmbackup.archive.row_codec import FileRow
from wmbackup.errors import SystemFailure
from wmbackup.stores.base import (
    Export,
    ItemUnavailable,
    ItemWithheld,
    WorkerExport,
    WorkerFolder,
)
from wmbackup.stores.file_reader import FileReader, reader_in_worker
from wmbackup.workers.process import Worker, Workers, serve

_BATCH = struct.Struct("=9Q")  # the numbers of one; then come its lines


@contextlib.contextmanager
def start_reader(
    workers: Workers | None, export: Export, files: int, spool: Callable[[], IO[bytes]]
) -> Iterator[ReadingWorker | None]:
    """Start a worker where that is allowed, possible, and pays for so many files.

    Its records go into a private file that ``spool`` makes.
    """
    folder = export.worker_view() if isinstance(export, WorkerExport) else None
    if workers is None or folder is None or files < workers.min_files:
        yield None
        return
    records = spool()
    sealed = encrypting(records)
    opened = (folder.root, descriptor(records))
    numbers = (*opened, int(folder.withholds), int(sealed is not None))
    with workers.start(__name__, *numbers, opened=opened) as process:
        yield None if process is None else ReadingWorker(process, records)


class ReadingWorker:
    """Turns batches of paths into questions, and answers into batches of files."""

    def __init__(self, process: Worker, records: IO[bytes]) -> None:
        """Take the process, and the private file that its records are in."""
        self.process = process
        self._records = records
        self._sealed = encrypting(records)

    def question(self, paths: Sequence[bytes]) -> bytes:
        """Return the question for a batch of these files, which keep their names.

        Before them stands the key of encrypted records. A command line is no secret, this pipe is.
        """
        key = b"" if self._sealed is None else self._sealed.key
        return key + b"\0".join(paths)

    def batch(self, answer: bytes) -> FileBatch | None:
        """Return the batch of an answer; None where the files must be read again."""
        if not answer:
            return None
        files, octets, licenses, begin, length, epoch, *sizes = _BATCH.unpack_from(answer)
        if self._sealed is not None:
            self._sealed.adopt(begin, length, epoch)
        at, tables = _BATCH.size, []
        for size in sizes:
            tables.append(answer[at : at + size])
            at += size
        rows, manifest, license_rows = tables
        where = self._records, begin, length
        return FileBatch(files, octets, licenses, rows, manifest, license_rows, *where)


def main() -> None:
    """Be the worker."""
    root, records, withholds, is_sealed = map(int, sys.argv[3:])
    reader = reader_in_worker(WorkerFolder(root, bool(withholds)))
    with os.fdopen(records, "r+b") as file:
        if is_sealed:
            _serve_sealed(reader, file)
        else:
            writer = BatchWriter(file)
            serve(lambda question: _answer(reader, writer, question.split(b"\0")))


def _serve_sealed(reader: FileReader, file: IO[bytes]) -> None:
    """Answer with records that are encrypted with the key that stands before each question."""
    spool: EncryptedSpool | None = None
    writer: BatchWriter | None = None

    def answer(question: bytes) -> bytes:
        nonlocal spool, writer
        if spool is None or writer is None:
            spool = EncryptedSpool(file, question[:KEY_SIZE])
            writer = BatchWriter(cast("IO[bytes]", spool))
        return _answer(reader, writer, question[KEY_SIZE:].split(b"\0"), spool)

    serve(answer)


def _answer(
    reader: FileReader,
    writer: BatchWriter,
    paths: Sequence[bytes],
    sealed: EncryptedSpool | None = None,
) -> bytes:
    """Read files; answer nothing where that is not as simple as it should be."""
    try:
        if all(_add(reader, writer, path) for path in paths):
            batch = writer.end()
            batch.spool.flush()  # what a full disk does not take is not answered
            tables = batch.rows, batch.manifest, batch.license_rows
            epoch = 0 if sealed is None else sealed.epoch
            numbers = (*batch[:3], batch.begin, batch.length, epoch, *map(len, tables))
            return _BATCH.pack(*numbers) + b"".join(tables)
    except (ItemUnavailable, ItemWithheld, ContentMismatch, ValueError, OSError, SystemFailure):
        pass  # the first process finds out by itself, and reports it
    writer.drop()
    return b""


def _add(reader: FileReader, writer: BatchWriter, path: bytes) -> bool:
    content = reader.read(path)
    if not isinstance(content.data, bytes):
        return False  # it is large, and its progress is reported in parts
    row = FileRow(content.size, content.mtime_ns, None, content.attributes)
    writer.add(row, path, content.data, content.licenses)
    return True

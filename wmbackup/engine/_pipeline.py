"""For each file of a store: read, hash, write; in the order of the archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wmbackup.archive.batch import BatchWriter, FileBatch
from wmbackup.archive.names import Naming
from wmbackup.archive.row_codec import FileRow, sizes_in
from wmbackup.archive.writer import ArchiveWriter
from wmbackup.engine._progress import Progress
from wmbackup.engine._tally import Tally
from wmbackup.status import Control
from wmbackup.stores.base import Content, Export
from wmbackup.workers.process import Workers, share
from wmbackup.workers.read_files import start_reader

_BATCH = 256
"""Files of a batch. Fewer cost more to hand on; of more, the lines take memory."""


class _Paths(NamedTuple):
    """Files that become a batch, and how many batches came before."""

    number: int
    paths: Sequence[bytes]
    are_own: bool


class Pipeline:
    """For each file: read, hash, write; in the order of the archive."""

    def __init__(
        self,
        writer: ArchiveWriter,
        export: Export,
        names: Naming,
        tally: Tally,
        control: Control,
    ) -> None:
        """Take the empty writer, what is read, and under which names."""
        self._writer = writer
        self._export = export
        self._names = names
        self._tally = tally
        self._control = control
        self._progress = Progress(control)
        self._batch = BatchWriter(writer.spool())

    def run(self, workers: Workers | None) -> bool:
        """Carry everything; return False where a file was lost and that changes other names."""
        own, items = self._names.own, self._names.items
        with start_reader(workers, self._export, len(own), self._writer.spool) as worker:
            batches: Iterator[FileBatch | None] = map(self._read, _in_batches(own, are_own=True))
            if worker is not None:
                batches = share(
                    worker.process,
                    _in_batches(own, are_own=True),
                    self._control,
                    do=self._read,
                    ask=lambda some: worker.question(some.paths),
                    take=lambda some, answer: self._taken(some, worker.batch(answer)),
                )
            if not self._write(batches):
                return False
        return self._write(map(self._read, _in_batches(items, len(own), are_own=False)))

    def _write(self, batches: Iterator[FileBatch | None]) -> bool:
        for batch in batches:
            if batch is None:
                return False
            self._writer.append(batch)
            self._tally.licenses += batch.licenses
        return True

    def _read(self, some: _Paths) -> FileBatch | None:
        """Read and hash files; return None where one was lost that others had made room for."""
        self._tally.position = some.number
        for path in some.paths:
            self._control.check()
            if self._tally.carry(self._export, path, self._own if some.are_own else self._item):
                continue
            if path in self._names.winners:
                return None
        return self._batch.end()

    def _taken(self, some: _Paths, batch: FileBatch | None) -> FileBatch | None:
        """Take what the worker made of files, or read them again."""
        if batch is None:
            return self._read(some)
        if self._control.items:
            for path, size in zip(some.paths, sizes_in(batch.rows), strict=True):
                self._progress.file(path, size)
        return batch

    def _own(self, path: bytes, content: Content) -> None:
        row = FileRow(content.size, content.mtime_ns, None, content.attributes)
        self._add(path, row, path, content)

    def _item(self, path: bytes, content: Content) -> None:
        row = FileRow(content.size, content.mtime_ns, path, content.attributes)
        self._add(path, row, None, content)

    def _add(self, path: bytes, row: FileRow, member: bytes | None, content: Content) -> None:
        if isinstance(content.data, bytes):  # as nearly all are, which are done at once
            self._batch.add(row, member, content.data, content.licenses)
            self._progress.file(path, content.size)
            return
        reported = 0

        def tick(size: int) -> None:
            nonlocal reported
            reported += size
            self._control.check()
            self._progress.part(path, size)

        self._batch.add(row, member, content.data, content.licenses, tick=tick)
        self._progress.file(path, content.size - reported)


def _in_batches(paths: Sequence[bytes], first: int = 0, *, are_own: bool) -> Iterator[_Paths]:
    """Yield the paths in batches, which are numbered from ``first``."""
    for number, begin in enumerate(range(0, len(paths), _BATCH), first):
        yield _Paths(number, paths[begin : begin + _BATCH], are_own)

"""The way of a store's files into an archive under way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from wmbackup.archive.names import Naming
from wmbackup.archive.portion import ContentMismatch, Portion, PortionWriter
from wmbackup.archive.row_codec import FileRow, sizes_in
from wmbackup.archive.writer import ArchiveWriter
from wmbackup.engine.reading import Tally
from wmbackup.status import Control
from wmbackup.stores.base import Content, Export, ItemUnavailable
from wmbackup.workers.process import Workers, share
from wmbackup.workers.read_files import ReadingWorker, start_reader

_BATCH = 256
"""Files of a portion. Fewer cost more to hand on; of more, the lines take memory."""


class Batch(NamedTuple):
    """Files that become a portion, and how many batches came before."""

    number: int
    paths: Sequence[bytes]


def row_of(path: bytes, content: Content, *, is_own: bool) -> FileRow:
    """Return the row of a file that keeps its name, or is an item."""
    return FileRow(content.size, content.mtime_ns, None if is_own else path, content.attributes)


class Filling:
    """Reads the files of an export and puts them into a writer, in the order of their names."""

    def __init__(
        self, writer: ArchiveWriter, export: Export, tally: Tally, control: Control
    ) -> None:
        """Take the empty writer."""
        self._writer = writer
        self._export = export
        self._tally = tally
        self._control = control
        self._portion = PortionWriter(writer.spool())
        self._told = 0  # files

    def fill(self, names: Naming, *, workers: Workers | None) -> bool:
        """Carry everything; return False where a file was lost and that changes other names.

        ``workers`` allows a worker process.
        """
        lost = names.winners
        behind = _batches(names.items, len(names.own))
        items = (self._read(batch, lost, is_own=False) for batch in behind)
        with start_reader(workers, self._export, len(names.own), self._writer.spool) as worker:
            return self._append_all(self._own(names, worker)) and self._append_all(items)

    def _append_all(self, portions: Iterator[Portion | None]) -> bool:
        for portion in portions:
            if portion is None:
                return False
            self._writer.append(portion)
            self._tally.licenses += portion.licenses
        return True

    def _own(self, names: Naming, worker: ReadingWorker | None) -> Iterator[Portion | None]:
        """Yield the portions of files that keep their names, in order."""
        batches, lost = _batches(names.own), names.winners
        if worker is None:
            return (self._read(batch, lost) for batch in batches)
        return share(
            worker.process,
            batches,
            self._control,
            do=lambda batch: self._read(batch, lost),
            ask=lambda batch: worker.question(batch.paths),
            take=lambda batch, answer: self._taken(batch, worker.batch(answer), lost),
        )

    def _taken(
        self, batch: Batch, portion: Portion | None, winners: Collection[bytes]
    ) -> Portion | None:
        """Take what the worker made of a batch, or read it again."""
        if portion is None:
            return self._read(batch, winners)
        if self._control.items:
            for path, size in zip(batch.paths, sizes_in(portion.rows), strict=True):
                self._told += 1
                self._control.item(path, self._told, size)
        return portion

    def _read(
        self, batch: Batch, winners: Collection[bytes], *, is_own: bool = True
    ) -> Portion | None:
        """Read a batch; return None where one was lost that others had made room for."""
        self._tally.place = batch.number
        for path in batch.paths:
            self._control.check()
            if not self._carry(path, is_own=is_own) and path in winners:
                return None
        return self._portion.end()

    def _carry(self, path: bytes, *, is_own: bool) -> bool:
        """Carry one file; return whether it is in the portion now."""
        reason = ""
        for _ in range(2):
            content = self._tally.read(self._export, path)
            if content is None:
                return False
            try:
                self._add(path, content, is_own=is_own)
            except (ItemUnavailable, ContentMismatch) as error:
                reason = str(error) or "it changed while it was read"
            except ValueError as error:
                reason = str(error)
                break
            else:
                return True
        self._tally.skip(path, reason)
        return False

    def _add(self, path: bytes, content: Content, *, is_own: bool) -> None:
        row = row_of(path, content, is_own=is_own)
        member = path if is_own else None
        index = self._told + 1
        if isinstance(content.data, bytes):  # as nearly all are, which need no ticks
            self._portion.add(row, member, content.data, content.licenses)
            self._control.item(path, index, content.size)
            self._told = index
            return
        told = 0

        def tick(size: int) -> None:
            nonlocal told
            told += size
            self._control.check()
            self._control.item(path, index, size)

        self._portion.add(row, member, content.data, content.licenses, tick=tick)
        self._control.item(path, index, content.size - told)
        self._told = index


def _batches(paths: Sequence[bytes], first: int = 0) -> Iterator[Batch]:
    """Yield the paths in batches, which are numbered from ``first``."""
    for number, begin in enumerate(range(0, len(paths), _BATCH), first):
        yield Batch(number, paths[begin : begin + _BATCH])

"""A worker that verifies and stages files of an archive while the first process stages others.

It is asked for chunks of the payload and answers that each file in one is verified and staged. Of a
chunk in which anything is wrong it says nothing: the first process finds that again, and reports
it. What the worker leaves behind is staged and no more; only the first process makes anything
visible.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO

from wmbackup.archive import tables
from wmbackup.archive.chunk import Chunk, cut
from wmbackup.archive.constants import DATA, ITEM, NAME
from wmbackup.archive.inventory import Inventory
from wmbackup.archive.payload import Receiver, verify_chunk
from wmbackup.archive.reader import SealedArchive
from wmbackup.archive.stream import PIECE_SIZE, ByteStream, ExactReader
from wmbackup.errors import ArchiveDamaged, WmbackupError
from wmbackup.item import Item
from wmbackup.status import Control
from wmbackup.stores.base import WorkerImport
from wmbackup.stores.tree import HandleTree, Tree
from wmbackup.stores.writing import write_file
from wmbackup.workers.own_position import plain_stream
from wmbackup.workers.process import Worker, Workers, serve, share

_CHUNK = 1024 * 1024
"""Bytes of a chunk. Fewer cost more to hand on; many would keep one process waiting."""

_DONE = b"staged"
_WHERE = struct.Struct("=3Q")  # where a chunk begins, and the lengths of its rows and lines


@contextlib.contextmanager
def start_stager(
    workers: Workers | None,
    archive: SealedArchive,
    inventory: Inventory,
    receiver: Receiver | None,
    files: int,
) -> Iterator[StagingWorker | None]:
    """Start a worker where that is allowed, possible, and pays for so many files."""
    root = receiver.worker_view() if isinstance(receiver, WorkerImport) else None
    descriptor = archive.descriptor
    if (
        workers is None
        or descriptor is None
        or not isinstance(receiver, WorkerImport)
        or root is None
        or files < workers.min_files
    ):
        yield None
        return
    numbers = (descriptor, root, len(archive.shared))
    with workers.start(__name__, *numbers, opened=(descriptor, root)) as process:
        made = None
        if process is not None:
            made = StagingWorker(process, inventory, receiver, archive.shared)
        yield made


class StagingWorker:
    """Both processes, verifying and staging in turn."""

    def __init__(
        self, process: Worker, inventory: Inventory, receiver: WorkerImport, secret: bytes
    ) -> None:
        """Take the process, and what this one does the same with.

        With ``secret`` the worker decrypts; a command line is no secret, the pipe to it is.
        """
        self._secret = secret
        self._process = process
        self._inventory = inventory
        self._receiver = receiver

    def release(self, wanted: bytearray, control: Control) -> Iterator[Chunk]:
        """Verify the payload and release what is wanted, as `Inventory.verify_payload` does."""

        def do(chunk: Chunk) -> list[Chunk] | ArchiveDamaged:
            # Raised when its turn comes: something that comes before may be damaged as well.
            try:
                return self._do(chunk, wanted, control)
            except ArchiveDamaged as error:
                return error

        def take(chunk: Chunk, answer: bytes) -> list[Chunk] | ArchiveDamaged:
            if answer == _DONE:
                for path in _paths(chunk):
                    self._receiver.keep(path)
                return [chunk]
            for path in _paths(chunk):
                self._receiver.take_back(path)
            return do(chunk)

        chunks = self._inventory.chunks(most=_CHUNK)
        behind: list[Chunk] = []
        for found in share(
            self._process,
            _without_items(chunks, behind),
            control,
            do=do,
            ask=lambda chunk: self._question(chunk, wanted),
            take=take,
        ):
            if isinstance(found, ArchiveDamaged):
                raise found
            yield from found
        # To some file systems an item and an own name are one file. Staged ahead of the own name,
        # it would be taken for what the worker left there, and be removed.
        for chunk in chain(behind, chunks):
            yield from self._do(chunk, wanted, control)
        self._inventory.verify_end()

    def _do(self, chunk: Chunk, wanted: bytearray, control: Control) -> list[Chunk]:
        found = []
        for one in self._inventory.verify_chunk(chunk, self._receiver, wanted.__getitem__):
            control.check()
            found.append(one)
        return found

    def _question(self, chunk: Chunk, wanted: bytearray) -> bytes | None:
        """Return the question for a chunk of small files, all wanted."""
        files = len(chunk.lines)
        if (
            max(chunk.sizes) > PIECE_SIZE
            or wanted.count(1, chunk.first, chunk.first + files) < files
        ):
            return None
        rows, lines = b"".join(chunk.rows), b"".join(chunk.lines)
        offset = self._inventory.payload_offset + chunk.offset
        paths = b"\0".join(map(self._receiver.staging_path, _paths(chunk)))
        return self._secret + _WHERE.pack(offset, len(rows), len(lines)) + rows + lines + paths


def _without_items(chunks: Iterator[Chunk], behind: list[Chunk]) -> Iterator[Chunk]:
    """Yield the chunks before the first item; put the one that it is in into ``behind``."""
    for chunk in chunks:
        if chunk.lines[-1].startswith(ITEM, NAME):  # items follow all own names
            behind.append(chunk)
            return
        yield chunk


def _paths(chunk: Chunk) -> list[bytes]:
    begin = chunk.lines[0].index(DATA) + len(DATA)
    return [line[begin:-1] for line in chunk.lines]


def main() -> None:
    """Be the worker."""
    archive, root, secret = map(int, sys.argv[3:])
    tree = HandleTree(root)
    opened: list[ByteStream] = []

    def answer(question: bytes) -> bytes:
        try:
            if not opened:
                opened.append(plain_stream(archive, question[:secret]))
            return _answer(opened[0], tree, question[secret:])
        except (WmbackupError, OSError):
            return b""

    serve(answer)


def _answer(stream: ByteStream, tree: Tree, question: bytes) -> bytes:
    """Verify and stage a chunk. Raises WmbackupError or OSError where that is not simple."""
    offset, rows, lines = _WHERE.unpack_from(question)
    at = _WHERE.size
    files = question[at : at + rows]
    manifest = tables.split(question[at + rows : at + rows + lines])
    paths = question[at + rows + lines :].split(b"\0")
    stream.seek(offset)
    source, stage = ExactReader(stream), _Stage(tree, paths)
    for chunk in cut(0, 0, files, manifest, _CHUNK):
        for _ in verify_chunk(source, chunk, stage):
            pass
    return _DONE


class _Stage:
    """Takes the files of a chunk, in order."""

    def __init__(self, tree: Tree, paths: Sequence[bytes]) -> None:
        """Take the paths that they are staged at."""
        self._tree = tree
        self._paths = iter(paths)

    def put(self, item: Item, data: bytes) -> None:
        write_file(self._tree, next(self._paths), data, item)

    def stage(self, item: Item) -> BinaryIO:
        raise OSError(f"{os.fsdecode(item.path)} is large, and none such was asked for")

    def accept(self, item: Item) -> None:
        """What is not staged is not accepted either."""

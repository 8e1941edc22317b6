"""A worker that verifies parts of a payload while the first process verifies others.

Hashing many small files keeps one processor busy. The worker reads the archive and the private
tables through descriptors of its own and answers that all of a part is verified. Of a part in which
anything is wrong it says nothing: the first process finds that again, and reports it.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys
from collections.abc import Iterable, Iterator

from wmbackup.archive.chunk import Chunk
from wmbackup.archive.index import Mark, Part
from wmbackup.archive.inventory import Inventory
from wmbackup.archive.payload import verify_chunk
from wmbackup.archive.reader import SealedArchive
from wmbackup.archive.stream import ExactReader
from wmbackup.archive.tables import Tables
from wmbackup.errors import ArchiveDamaged, WmbackupError
from wmbackup.status import Control
from wmbackup.workers.own_position import OwnPosition
from wmbackup.workers.process import Worker, Workers, serve, share

_MOST = 256 * 1024 * 1024
"""Bytes of a part that the worker gets at most, so that it soon gives a sign of life."""

_DONE = b"verified"
_PART = struct.Struct("=9Q")  # two marks, two offsets in the manifest, the payload's offset


@contextlib.contextmanager
def start_verifier(
    workers: Workers | None, archive: SealedArchive, inventory: Inventory
) -> Iterator[VerifyingWorker | None]:
    """Start a worker where that is allowed, possible, and pays."""
    descriptor = archive.descriptor
    if workers is None or descriptor is None or (archive.length or 0) < workers.min_bytes:
        yield None
        return
    found = inventory.tables
    opened = (descriptor, found.files.fileno(), found.manifest.fileno())
    with workers.start(__name__, *opened, opened=opened) as process:
        yield None if process is None else VerifyingWorker(process, inventory)


class VerifyingWorker:
    """Both processes, verifying in turn."""

    def __init__(self, process: Worker, inventory: Inventory) -> None:
        """Take the process, and what this one does the same with."""
        self._process = process
        self._inventory = inventory

    def verify(self, control: Control) -> Iterator[Chunk]:
        """Verify the payload as `Inventory.verify_payload` does.

        Chunks are yielded where ``control`` wants events of single files, and no others.
        """

        def do(part: Part) -> Iterable[Chunk] | ArchiveDamaged:
            # Raised when its turn comes: something that comes before may be damaged as well.
            try:
                return self._do(part, control)
            except ArchiveDamaged as error:
                return error

        def take(part: Part, answer: bytes) -> Iterable[Chunk] | ArchiveDamaged:
            if answer != _DONE:
                return do(part)
            return part.chunks(self._inventory.tables) if control.items else ()

        parts = self._inventory.parts()
        for found in share(self._process, parts, control, do=do, ask=self._question, take=take):
            if isinstance(found, ArchiveDamaged):
                raise found
            yield from found
        self._inventory.verify_end()

    def _do(self, part: Part, control: Control) -> list[Chunk]:
        verified = []
        for chunk in self._inventory.verify_part(part):
            control.check()
            if control.items:
                verified.append(chunk)
        return verified

    def _question(self, part: Part) -> bytes | None:
        if part.end.length - part.begin.length > _MOST:
            return None
        offset = self._inventory.payload_offset
        return _PART.pack(*part.begin, *part.end, part.line, part.line_end, offset)


def main() -> None:
    """Be the worker."""
    archive, files, manifest = map(int, sys.argv[3:])
    found = Tables(_buffered(files), io.BytesIO(), _buffered(manifest))
    serve(lambda question: _answer(archive, found, question))


def _buffered(descriptor: int) -> io.BufferedReader:
    return io.BufferedReader(OwnPosition(descriptor))


def _answer(archive: int, found: Tables, question: bytes) -> bytes:
    """Verify a part; answer nothing where anything is wrong."""
    *numbers, line, line_end, payload = _PART.unpack(question)
    part = Part(Mark(*numbers[:3]), Mark(*numbers[3:]), line, line_end)
    stream = OwnPosition(archive)
    stream.seek(payload + part.begin.length)
    source = ExactReader(stream)
    try:
        for chunk in part.chunks(found):
            for _ in verify_chunk(source, chunk):
                pass
    except (WmbackupError, OSError):
        return b""
    return _DONE

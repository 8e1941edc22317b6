"""A worker that verifies parts of a payload while the first process verifies others.

Hashing many small files keeps one processor busy. The worker reads the archive and the private
tables through descriptors of its own and answers that all of a part is verified. Of a part in which
anything is wrong it says nothing: the first process finds that again, and reports it.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import IO, cast

from wmbackup.age import spool
from wmbackup.archive.chunk import Chunk
from wmbackup.archive.index import Mark, Part
from wmbackup.archive.inventory import Inventory
from wmbackup.archive.payload import verify_chunk
from wmbackup.archive.reader import SealedArchive
from wmbackup.archive.stream import ByteStream, ExactReader
from wmbackup.archive.tables import Tables
from wmbackup.errors import ArchiveDamaged, WmbackupError
from wmbackup.status import Control
from wmbackup.workers.own_position import OwnPosition, plain_stream
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
    found = (inventory.tables.files, inventory.tables.manifest)
    opened = (descriptor, *map(spool.descriptor, found))
    secret = archive.shared
    if secret:
        secret += b"".join(one.key for one in map(spool.encrypting, found) if one is not None)
    with workers.start(__name__, *opened, len(secret), opened=opened) as process:
        yield None if process is None else VerifyingWorker(process, inventory, secret)


class VerifyingWorker:
    """Both processes, verifying in turn."""

    def __init__(self, process: Worker, inventory: Inventory, secret: bytes) -> None:
        """Take the process, and what this one does the same with.

        With ``secret`` the worker decrypts; a command line is no secret, the pipe to it is.
        """
        self._secret = secret
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
        return self._secret + _PART.pack(*part.begin, *part.end, part.line, part.line_end, offset)


def main() -> None:
    """Be the worker."""
    archive, files, manifest, secret = map(int, sys.argv[3:])
    opened: list[tuple[ByteStream, Tables]] = []

    def answer(question: bytes) -> bytes:
        try:
            if not opened:
                opened.append(_open(archive, files, manifest, question[:secret]))
            return _answer(*opened[0], question[secret:])
        except (WmbackupError, OSError):
            return b""

    serve(answer)


def _open(archive: int, files: int, manifest: int, secret: bytes) -> tuple[ByteStream, Tables]:
    """Return the archive and its tables, through positions of their own."""
    first, second = OwnPosition(files), OwnPosition(manifest)
    if not secret:
        found = io.BufferedReader(first), io.BufferedReader(second)
        return OwnPosition(archive), Tables(found[0], io.BytesIO(), found[1])
    shared, keys = secret[: -2 * spool.KEY_SIZE], secret[-2 * spool.KEY_SIZE :]
    tables = [
        spool.opened(cast("IO[bytes]", file), key, os.fstat(number).st_size)
        for file, key, number in (
            (first, keys[: spool.KEY_SIZE], files),
            (second, keys[spool.KEY_SIZE :], manifest),
        )
    ]
    rows, lines = cast("list[IO[bytes]]", tables)
    return plain_stream(archive, shared), Tables(rows, io.BytesIO(), lines)


def _answer(stream: ByteStream, found: Tables, question: bytes) -> bytes:
    """Verify a part. Raises WmbackupError or OSError where anything is wrong."""
    *numbers, line, line_end, payload = _PART.unpack(question)
    part = Part(Mark(*numbers[:3]), Mark(*numbers[3:]), line, line_end)
    stream.seek(payload + part.begin.length)
    source = ExactReader(stream)
    for chunk in part.chunks(found):
        for _ in verify_chunk(source, chunk):
            pass
    return _DONE

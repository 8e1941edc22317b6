"""The payload of an archive, file by file: proven against the head, and then released."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from wmbackup.archive.head import Line, item_of_line
from wmbackup.archive.names import BAG
from wmbackup.archive.source import AT_ONCE, CHUNK, Source
from wmbackup.archive.ustar import BLOCK, PADDINGS, header, record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item


class Receiver(Protocol):
    """Takes released files: `put` and `accept` mean that their bytes are proven."""

    def put(self, item: Item, data: bytes) -> None:
        """Take a small item whose bytes are proven."""

    def stage(self, item: Item) -> BinaryIO:
        """Open private staging for a large item whose bytes are not proven yet."""

    def accept(self, item: Item) -> None:
        """Take the staged item: its bytes are proven now."""


class Proven(NamedTuple):
    """A file whose last byte was read and whose SHA-256 is the manifest's.

    ``position`` counts from 0.
    """

    position: int
    line: Line


def prove(
    source: Source,
    lines: Iterable[Line],
    first: int,
    receiver: Receiver | None = None,
    wanted: Callable[[int], object] | None = None,
) -> Iterator[Proven]:
    """Prove the files that come next in the source, and release each when it is proven.

    ``first`` is the position of the first one; ``wanted`` says by position what the receiver
    gets. Raises ArchiveTruncated or ArchiveDamaged.
    """
    chunk, at = b"", 0
    sha256 = hashlib.sha256
    for index, line in enumerate(lines, first):
        member, size, expected, _ = line
        need = record_length(size)
        target = receiver if wanted is None or wanted(index) else None
        if need <= CHUNK and len(chunk) - at < need:
            missing = need - len(chunk) + at
            chunk, at = chunk[at:] + source.read(max(missing, AT_ONCE)), 0
        if need > CHUNK or len(chunk) < need:
            # Larger than a chunk, or the stream ends in it: what comes first is judged first.
            source.push_back(chunk[at:])
            chunk, at = b"", 0
            prove_one(source, line, target)
            yield Proven(index, line)
            source.pad(size)
            continue
        if not chunk.startswith(header(BAG + member, size), at):
            raise _displaced(member)
        start = at + BLOCK
        at += need
        data = chunk[start : start + size]
        if sha256(data).digest() != expected:
            raise _other_bytes(member)
        if target is not None:
            target.put(item_of_line(line), data)
        yield Proven(index, line)
        if not chunk.endswith(PADDINGS[size % BLOCK], start + size, at):
            raise ArchiveDamaged("the padding of a member is not zero")
    source.push_back(chunk[at:])


def prove_one(source: Source, line: Line, receiver: Receiver | None) -> None:
    """Prove the file that comes next, in bounded memory, and release it; its padding is left.

    Raises as `prove` does.
    """
    if source.take(BLOCK) != header(BAG + line.member, line.size):
        raise _displaced(line.member)
    digest = hashlib.sha256()
    if receiver is None:
        source.copy(line.size, digest.update)
    elif line.size <= CHUNK:
        data = source.take(line.size)
        digest.update(data)
        if digest.digest() == line.sha256:
            receiver.put(item_of_line(line), data)
    else:
        item = item_of_line(line)
        with receiver.stage(item) as staging:
            source.copy(line.size, digest.update, staging.write)
        if digest.digest() == line.sha256:
            receiver.accept(item)
    if digest.digest() != line.sha256:
        raise _other_bytes(line.member)


def _displaced(member: bytes) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"where {member.decode()} should begin stands something else",
        hint="use another copy of the archive, or see what restore --salvage finds",
    )


def _other_bytes(member: bytes) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"{member.decode()} is not what was signed",
        hint="use another copy of the archive, or see what restore --salvage finds",
    )

"""The payload of an archive, file by file: proven against the head, and then released."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from operator import add
from typing import BinaryIO, Protocol

from wmbackup.archive.names import BAG
from wmbackup.archive.section import Section
from wmbackup.archive.stream import CHUNK, ExactReader
from wmbackup.archive.ustar import BLOCK, PADDINGS, header, record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item

_OTHER = "use another copy of the archive, or see what restore --salvage finds"


class Receiver(Protocol):
    """Takes released files: `put` and `accept` mean that their bytes are proven."""

    def put(self, item: Item, data: bytes) -> None:
        """Take a small item whose bytes are proven."""

    def stage(self, item: Item) -> BinaryIO:
        """Open private staging for a large item whose bytes are not proven yet."""

    def accept(self, item: Item) -> None:
        """Take the staged item: its bytes are proven now."""


def prove(
    source: ExactReader,
    section: Section,
    receiver: Receiver | None = None,
    wanted: Callable[[int], object] | None = None,
) -> Iterator[Section]:
    """Prove the files of a section, which come next in the source, and release them.

    A file is proven when its last byte was read and its SHA-256 is the manifest's. Yields what is
    proven: the section, or, where it is large or anything is wrong, as many single files as there
    are. ``wanted`` says by position what the receiver gets.
    Raises ArchiveTruncated or ArchiveDamaged.
    """
    length = section.end - section.offset
    data = source.read(length) if length <= CHUNK else b""
    if _is_proven(section, data):
        if receiver is not None:
            _release(section, data, receiver, wanted)
        yield section
        return
    source.push_back(data)
    for one in section.singly():
        prove_one(source, one, receiver if wanted is None or wanted(one.first) else None)
        yield one
        source.pad(one.members[0], one.sizes[0])


def _is_proven(section: Section, data: bytes) -> bool:
    """Whether every content, every header and every zero between them is as it should be.

    Many at once take two thirds of the time of one after the other.
    """
    # Slices of a view, because those of bytes copy every content.
    view, sizes = memoryview(data), section.sizes
    begins, ends = _contents(sizes)
    sha256 = hashlib.sha256
    found = [sha256(view[begin:end]).digest() for begin, end in zip(begins, ends, strict=True)]
    if b"".join(found) != section.hashes:
        return False
    between = [view[end:begin] for end, begin in zip([0, *ends], [*begins, len(data)], strict=True)]
    names = [BAG + member for member in section.members]
    paddings = [PADDINGS[size % BLOCK] for size in sizes]
    expected = chain.from_iterable(zip(map(header, names, sizes), paddings, strict=True))
    return b"".join(between) == b"".join(expected)


def _contents(sizes: list[int]) -> tuple[list[int], list[int]]:
    """Return where each content begins, and where it ends."""
    records = [0, *accumulate(map(record_length, sizes))]
    begins = [record + BLOCK for record in records[:-1]]
    return begins, list(map(add, begins, sizes))


def _release(
    section: Section,
    data: bytes,
    receiver: Receiver,
    wanted: Callable[[int], object] | None,
) -> None:
    for at, (begin, end) in enumerate(zip(*_contents(section.sizes), strict=True)):
        if wanted is None or wanted(section.first + at):
            receiver.put(section.item(at), data[begin:end])


def prove_one(source: ExactReader, section: Section, receiver: Receiver | None) -> None:
    """Prove a section of one file, in bounded memory, and release it; its padding is left.

    Raises as `prove` does.
    """
    (size,), (member,), sha256 = section.sizes, section.members, section.hashes
    if source.take(BLOCK) != header(BAG + member, size):
        raise ArchiveDamaged(
            f"where {member.decode()} should begin stands something else", hint=_OTHER
        )
    digest = hashlib.sha256()
    if receiver is None:
        source.copy(size, digest.update)
    elif size <= CHUNK:
        data = source.take(size)
        digest.update(data)
        if digest.digest() == sha256:
            receiver.put(section.item(0), data)
    else:
        item = section.item(0)
        with receiver.stage(item) as staging:
            source.copy(size, digest.update, staging.write)
        if digest.digest() == sha256:
            receiver.accept(item)
    if digest.digest() != sha256:
        raise ArchiveDamaged(f"{member.decode()} is not what was signed", hint=_OTHER)

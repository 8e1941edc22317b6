"""The payload of an archive, file by file: verified against the tables, and then released."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from itertools import accumulate, chain
from operator import add
from typing import BinaryIO, Protocol

from wmbackup.archive.background_digest import BackgroundDigest
from wmbackup.archive.chunk import Chunk
from wmbackup.archive.constants import BAG
from wmbackup.archive.stream import PIECE_SIZE, ByteStream, ExactReader
from wmbackup.archive.ustar import BLOCK, END, PADDINGS, header, record_length
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated
from wmbackup.item import Item


class Receiver(Protocol):
    """Takes released files: `put` and `accept` mean that their bytes are verified."""

    def put(self, item: Item, data: bytes) -> None:
        """Take a small item whose bytes are verified."""

    def stage(self, item: Item) -> BinaryIO:
        """Open private staging for a large item whose bytes are not verified yet."""

    def accept(self, item: Item) -> None:
        """Take the staged item: its bytes are verified now."""


class Payload:
    """The bytes after the head of an archive.

    ``length`` is that of the whole archive in bytes, None where it is not known beforehand; only
    where it is known can `go_to` be called.
    """

    def __init__(self, source: ExactReader, stream: ByteStream, length: int | None) -> None:
        """Begin where the head ends: ``source`` has read it from the stream."""
        self._source = source
        self._stream = stream
        self._length = length
        self._position = source.position  # of the first byte of the payload in the archive
        self.offset = stream.tell() if length is not None else 0
        """Where in the stream it begins, where the length is known."""

    def check_length(self, payload: int) -> None:
        """Compare the length, where it is known, with that of a payload of so many bytes.

        Raises ArchiveTruncated or ArchiveDamaged.
        """
        wanted = self._position + payload + len(END)
        if self._length is None:
            return
        if self._length < wanted:
            missing = wanted - self._length
            raise ArchiveTruncated(
                f"the archive lacks its last {missing} of {wanted} bytes",
            )
        if self._length > wanted:
            raise ArchiveDamaged("something follows the end of the archive")

    def go_to(self, offset: int) -> None:
        """Go to an offset in the payload."""
        self._stream.seek(self.offset + offset)
        self._source = ExactReader(self._stream, self._position + offset)

    def verify(
        self,
        chunk: Chunk,
        receiver: Receiver | None = None,
        wanted: Callable[[int], object] | None = None,
    ) -> Iterator[Chunk]:
        """Verify the chunk that comes next. See `verify_chunk`."""
        return verify_chunk(self._source, chunk, receiver, wanted)

    def verify_single(self, chunk: Chunk, receiver: Receiver | None) -> Iterator[Chunk]:
        """Verify a chunk of one file, which comes next, and release it. Raises ArchiveDamaged."""
        return _verify_file(self._source, chunk, receiver)

    def end(self) -> None:
        """Check the end of the archive. Raises ArchiveTruncated or ArchiveDamaged."""
        self._source.end()


def verify_chunk(
    source: ExactReader,
    chunk: Chunk,
    receiver: Receiver | None = None,
    wanted: Callable[[int], object] | None = None,
) -> Iterator[Chunk]:
    """Verify the files of a chunk, which come next in the source, and release them.

    A file is verified when its last byte was read and its SHA-256 is the manifest's. Yields what is
    verified: the chunk, or, where it is large or anything is wrong, as many single files as there
    are. ``wanted`` says by index what the receiver gets.
    Raises ArchiveTruncated or ArchiveDamaged.
    """
    length = chunk.end - chunk.offset
    data = source.read(length) if length <= PIECE_SIZE else b""
    if _is_verified(chunk, data):
        if receiver is not None:
            _release(chunk, data, receiver, wanted)
        yield chunk
        return
    source.push_back(data)
    for one in chunk.singly():
        yield from _verify_file(
            source, one, receiver if wanted is None or wanted(one.first) else None
        )


def _is_verified(chunk: Chunk, data: bytes) -> bool:
    """Whether every content, every header and every zero between them is as it should be.

    Many at once take two thirds of the time of one after the other.
    """
    # Slices of a view, because those of bytes copy every content.
    view, sizes = memoryview(data), chunk.sizes
    begins, ends = _contents(sizes)
    sha256 = hashlib.sha256
    found = [sha256(view[begin:end]).digest() for begin, end in zip(begins, ends, strict=True)]
    if b"".join(found) != chunk.hashes:
        return False
    between = [view[end:begin] for end, begin in zip([0, *ends], [*begins, len(data)], strict=True)]
    names = [BAG + member for member in chunk.members]
    paddings = [PADDINGS[size % BLOCK] for size in sizes]
    expected = chain.from_iterable(zip(map(header, names, sizes), paddings, strict=True))
    return b"".join(between) == b"".join(expected)


def _contents(sizes: list[int]) -> tuple[list[int], list[int]]:
    """Return where each content begins, and where it ends."""
    records = [0, *accumulate(map(record_length, sizes))]
    begins = [record + BLOCK for record in records[:-1]]
    return begins, list(map(add, begins, sizes))


def _release(
    chunk: Chunk,
    data: bytes,
    receiver: Receiver,
    wanted: Callable[[int], object] | None,
) -> None:
    for at, (begin, end) in enumerate(zip(*_contents(chunk.sizes), strict=True)):
        if wanted is None or wanted(chunk.first + at):
            receiver.put(chunk.item(at), data[begin:end])


def _verify_file(source: ExactReader, chunk: Chunk, receiver: Receiver | None) -> Iterator[Chunk]:
    """Verify a chunk of one file, in bounded memory, release it, and check its padding.

    Raises as `verify_chunk` does.
    """
    (size,), (member,), sha256 = chunk.sizes, chunk.members, chunk.hashes
    if source.take(BLOCK) != header(BAG + member, size):
        raise ArchiveDamaged(f"the header of {member.decode()} is not where it should be")
    if size <= PIECE_SIZE:
        data = source.take(size)
        verified = hashlib.sha256(data).digest() == sha256
        if verified and receiver is not None:
            receiver.put(chunk.item(0), data)
    elif receiver is None:
        verified = _digest(source, size) == sha256
    else:
        item = chunk.item(0)
        with receiver.stage(item) as staging:
            verified = _digest(source, size, staging.write) == sha256
        if verified:
            receiver.accept(item)
    if not verified:
        raise ArchiveDamaged(f"{member.decode()} is not what was signed")
    yield chunk
    source.pad(member, size)


def _digest(source: ExactReader, size: int, *sinks: Callable[[bytes], object]) -> bytes:
    """Return the SHA-256 of a large content, which every sink is handed too."""
    with BackgroundDigest() as digest:
        source.copy(size, digest.update, *sinks)
        return digest.digest()

"""Writing an archive: items stream into a spool, then head and spool are sealed together."""

from __future__ import annotations

import errno
import hashlib
import os
from binascii import hexlify
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import IO, BinaryIO

from wmbackup.archive import bag
from wmbackup.archive.names import BAG, DATA, item_member
from wmbackup.archive.rows import FileRow, file_row, license_row
from wmbackup.archive.source import AT_ONCE, CHUNK
from wmbackup.archive.ustar import BLOCK, END, PADDINGS, header, padding, record_length
from wmbackup.item import MAX_SIZE
from wmbackup.license import License

_LINES = 2048  # lines of the tables that wait together, at most by those of one file more

Spool = Callable[[], IO[bytes]]
Sign = Callable[[bytes], bytes]
Tick = Callable[[int], None]
"""Called with the bytes done since the last call; it may raise to stop."""


class ContentMismatch(Exception):
    """An item did not have the bytes that it said it has; it was taken back."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed: ``size`` in bytes, ``info`` as written, the signed bytes."""

    size: int
    info: bag.BagInfo
    tag_manifest: bytes


class _Table:
    """A text file of the head that grows line by line in a spool."""

    def __init__(self, spool: Spool) -> None:
        self.file = spool()
        self.size = 0
        self._digest = hashlib.sha256()
        self._lines: list[bytes] = []

        # What is added is hashed and written by `flush`: a thousand lines cost what one costs.
        self.add = self._lines.append

    def flush(self) -> None:
        block = b"".join(self._lines)
        self._lines.clear()
        self._digest.update(block)
        self.file.write(block)
        self.size += len(block)

    def sha256(self) -> str:
        self.flush()
        return self._digest.hexdigest()


class ArchiveWriter:
    """Takes items in the order of their names, then seals.

    ``spool`` makes a private temporary file, ``payload`` is the one for the items themselves.
    Memory does not grow with what is added.
    """

    def __init__(self, spool: Spool, payload: IO[bytes]) -> None:
        """Begin an archive without a file."""
        self._payload = payload
        self._files = _Table(spool)
        self._licenses = _Table(spool)
        self._manifest = _Table(spool)
        self._parts: list[bytes] = []
        self._waiting = 0
        self._spooled = 0
        self._items = 0
        self._lines = 0
        self._withheld: list[License] = []
        self.octets = 0
        self.files = 0

    def close(self) -> None:
        """Give the private files back."""
        for file in (self._payload, self._files.file, self._licenses.file, self._manifest.file):
            file.close()

    def add(
        self,
        row: FileRow,
        member: bytes | None,
        data: bytes | Iterable[bytes],
        licenses: Iterable[License] = (),
        *,
        tick: Tick | None = None,
    ) -> None:
        """Add the next file; ``member`` is its own name, or None for an item.

        Raises ContentMismatch when the blocks of ``data`` are not ``row.size`` bytes, and
        ValueError for what the format cannot hold; the archive is then as before.
        """
        if row.size > MAX_SIZE:
            raise ValueError("it is larger than an archive takes")
        line = file_row(row)
        name = item_member(self._items + 1) if member is None else DATA + member
        # Made before anything is kept, for any of them may be refused.
        known = [license_row(license_, name) for license_ in licenses] if licenses else ()
        if isinstance(data, bytes):
            digest = self._add_small(name, row.size, data)
        else:
            digest = self._add_large(name, row.size, data, tick)
        self._files.add(line)
        self._manifest.add(b"%b  %b\n" % (digest, name))
        for license_line in known:
            self._licenses.add(license_line)
        self._items += member is None
        self.files += 1
        self.octets += row.size
        self._lines += 2 + len(known)
        if self._lines >= _LINES:
            self._lines = 0
            for table in (self._files, self._manifest, self._licenses):
                table.flush()

    def know(self, license_: License) -> None:
        """Note a license that is in no single file, such as a withheld one."""
        self._withheld.append(license_)

    def _add_small(self, name: bytes, size: int, data: bytes) -> bytes:
        if len(data) != size:
            raise ContentMismatch
        self._parts += (header(BAG + name, size), data, PADDINGS[size % BLOCK])
        self._waiting += record_length(size)
        if self._waiting >= AT_ONCE:
            self._flush()
        return hexlify(hashlib.sha256(data).digest())

    def _add_large(
        self, name: bytes, size: int, blocks: Iterable[bytes], tick: Tick | None
    ) -> bytes:
        self._flush()
        begin = self._spooled
        digest = hashlib.sha256()
        try:
            self._put(header(BAG + name, size))
            for block in _exactly(size, blocks):
                digest.update(block)
                self._put(block)
                self._flush()
                if tick is not None:
                    tick(len(block))
        except BaseException:
            self._parts.clear()
            self._waiting = 0
            self._payload.seek(begin)
            self._payload.truncate()
            self._spooled = begin
            raise
        self._put(bytes(padding(size)))
        return hexlify(digest.digest())

    def _put(self, part: bytes) -> None:
        self._parts.append(part)
        self._waiting += len(part)

    def _flush(self) -> None:
        self._payload.write(b"".join(self._parts))
        self._spooled += self._waiting
        self._parts.clear()
        self._waiting = 0

    def seal(self, output: BinaryIO, info: bag.BagInfo, sign: Sign, tick: Tick) -> Sealed:
        """Write the whole archive to ``output`` and return what was sealed.

        The counts of ``info`` are set here. Raises ValueError where a value cannot be written.
        """
        for license_ in self._withheld:
            self._licenses.add(license_row(license_, None))
        self._flush()
        withheld = sum(license_.withheld for license_ in self._withheld)
        info = replace(info, octets=self.octets, files=self.files, withheld=withheld)
        texts = {"bagit.txt": bag.BAGIT, "README.txt": bag.README, "bag-info.txt": info.encode()}
        tables = {
            "files.jsonl": self._files,
            "licenses.jsonl": self._licenses,
            "manifest-sha256.txt": self._manifest,
        }
        hashes = {name: bag.sha256(text) for name, text in texts.items()}
        hashes |= {name: table.sha256() for name, table in tables.items()}
        signed = bag.tag_manifest(hashes)
        texts["tagmanifest-sha256.txt"] = signed
        texts["tagmanifest-sha256.txt.sig"] = sign(signed)
        size = 0
        for name in (
            "bagit.txt",
            "tagmanifest-sha256.txt",
            "tagmanifest-sha256.txt.sig",
            "README.txt",
            "bag-info.txt",
        ):
            size += _write_text(output, name, texts[name])
        for name, table in tables.items():
            output.write(header(BAG + name.encode(), table.size))
            copy(table.file, output, table.size, tick)
            output.write(bytes(padding(table.size)))
            size += BLOCK + table.size + padding(table.size)
        copy(self._payload, output, self._spooled, tick)
        output.write(END)
        output.flush()
        return Sealed(size + self._spooled + len(END), info, signed)


def _exactly(size: int, blocks: Iterable[bytes]) -> Iterator[bytes]:
    seen = 0
    for block in blocks:
        seen += len(block)
        if seen > size:
            raise ContentMismatch
        yield block
    if seen != size:
        raise ContentMismatch


def _write_text(output: BinaryIO, name: str, text: bytes) -> int:
    record = header(BAG + name.encode(), len(text)) + text + bytes(padding(len(text)))
    output.write(record)
    return len(record)


def copy(source: IO[bytes], output: BinaryIO, size: int, tick: Tick) -> None:
    """Copy the first ``size`` bytes of a spool to the output, in the kernel where it can.

    Raises OSError, and whatever ``tick`` raises.
    """
    source.flush()
    output.flush()
    done = _copy_in_kernel(source, output, size, tick)
    source.seek(done)
    while done < size:
        block = source.read(min(CHUNK, size - done))
        if not block:
            raise OSError(errno.EIO, "a private file ends too early")
        output.write(block)
        done += len(block)
        tick(len(block))


def _copy_in_kernel(source: IO[bytes], output: BinaryIO, size: int, tick: Tick) -> int:
    # Between two files of one file system this moves no byte through this process, and on
    # some file systems no byte at all. Elsewhere it fails at once and the plain way follows.
    step = 64 * CHUNK
    copy_range = getattr(os, "copy_file_range", None)
    done = 0
    if copy_range is None or size < step // 64:
        return done
    try:
        descriptors = source.fileno(), output.fileno()
        while done < size:
            moved = copy_range(*descriptors, min(step, size - done), done)
            if not moved:
                break
            done += moved
            tick(moved)
    except (OSError, ValueError):
        return done
    return done

"""Writing an archive: batches are put in order, then head and records are sealed together."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, BinaryIO, NamedTuple

from wmbackup.archive import tag_files
from wmbackup.archive.batch import FileBatch, Tick
from wmbackup.archive.constants import BAG
from wmbackup.archive.row_codec import license_row
from wmbackup.archive.stream import AT_ONCE, PIECE_SIZE
from wmbackup.archive.ustar import BLOCK, END, header, padding
from wmbackup.license import License

Spool = Callable[[], IO[bytes]]
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What was sealed: ``size`` in bytes, ``info`` as written, the signed bytes."""

    size: int
    info: tag_files.BagInfo
    tag_manifest: bytes


class _Table:
    """A text file of the head that grows in a spool."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.size = 0
        self._digest = hashlib.sha256()

    def add(self, lines: bytes) -> None:
        self._digest.update(lines)
        self.file.write(lines)
        self.size += len(lines)

    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Piece(NamedTuple):
    """Records that lie together: ``length`` bytes of a spool from ``begin``."""

    spool: IO[bytes]
    begin: int
    length: int


class ArchiveWriter:
    """Takes batches in the order of their names, then seals.

    ``spool`` makes a private temporary file. Memory grows with the number of batches alone.
    """

    def __init__(self, spool: Spool) -> None:
        """Begin an archive without a file."""
        self._make_spool = spool
        self._spools: list[IO[bytes]] = []
        self._files = _Table(self.spool())
        self._licenses = _Table(self.spool())
        self._manifest = _Table(self.spool())
        self._pieces: list[_Piece] = []
        self._withheld: list[License] = []
        self.octets = 0
        self.files = 0

    def spool(self) -> IO[bytes]:
        """Make a private file for the records of batches; it is closed with this writer."""
        spool = self._make_spool()
        self._spools.append(spool)
        return spool

    def close(self) -> None:
        """Give the private files back."""
        for spool in self._spools:
            spool.close()

    @property
    def length(self) -> int:
        """The bytes that `seal` counts: those of the tables and of the records."""
        tables = self._files.size + self._manifest.size + self._licenses.size
        return tables + sum(piece.length for piece in self._pieces)

    def append(self, batch: FileBatch) -> None:
        """Put the next files into the archive."""
        self._files.add(batch.rows)
        self._manifest.add(batch.manifest)
        self._licenses.add(batch.license_rows)
        self._append_piece(_Piece(batch.spool, batch.begin, batch.length))
        self.files += batch.files
        self.octets += batch.octets

    def _append_piece(self, piece: _Piece) -> None:
        last = self._pieces[-1] if self._pieces else None
        if last and last.spool is piece.spool and last.begin + last.length == piece.begin:
            self._pieces[-1] = last._replace(length=last.length + piece.length)
        elif piece.length:
            self._pieces.append(piece)

    def know(self, license_: License) -> None:
        """Note a license that is in no single file, such as a withheld one."""
        self._withheld.append(license_)

    def seal(self, output: BinaryIO, info: tag_files.BagInfo, sign: Sign, tick: Tick) -> Sealed:
        """Write the whole archive to ``output`` and return what was sealed.

        The counts of ``info`` are set here. Raises ValueError where a value cannot be written.
        """
        for license_ in self._withheld:
            self._licenses.add(license_row(license_, None))
        withheld = sum(license_.withheld for license_ in self._withheld)
        info = replace(info, octets=self.octets, files=self.files, withheld=withheld)
        texts = {
            "bagit.txt": tag_files.BAGIT,
            "README.txt": tag_files.README,
            "bag-info.txt": info.encode(),
        }
        tables = {
            "files.jsonl": self._files,
            "licenses.jsonl": self._licenses,
            "manifest-sha256.txt": self._manifest,
        }
        hashes = {name: tag_files.sha256(text) for name, text in texts.items()}
        hashes |= {name: table.sha256() for name, table in tables.items()}
        signed = tag_files.tag_manifest(hashes)
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
            copy(table.file, output, 0, table.size, tick)
            output.write(bytes(padding(table.size)))
            size += BLOCK + table.size + padding(table.size)
        for piece in self._pieces:
            copy(piece.spool, output, piece.begin, piece.length, tick)
            size += piece.length
        output.write(END)
        output.flush()
        return Sealed(size + len(END), info, signed)


class DiscardingWriter(ArchiveWriter):
    """Takes batches as an archive writer does, and keeps nothing but the counts."""

    def __init__(self) -> None:
        """Begin an archive that will never be sealed."""
        super().__init__(_Nowhere)


class _Nowhere(io.BytesIO):
    """A file that forgets what is written to it."""

    def seek(self, offset: int, _whence: int = 0) -> int:
        return offset

    def write(self, data: bytes) -> int:  # type: ignore[override] # nobody writes anything else
        return len(data)


def _write_text(output: BinaryIO, name: str, text: bytes) -> int:
    record = header(BAG + name.encode(), len(text)) + text + bytes(padding(len(text)))
    output.write(record)
    return len(record)


def copy(source: IO[bytes], output: BinaryIO, begin: int, size: int, tick: Tick) -> None:
    """Copy ``size`` bytes of a spool from offset ``begin``, in the kernel where it can.

    Raises OSError, and whatever ``tick`` raises.
    """
    source.flush()
    output.flush()
    done = _copy_in_kernel(source, output, begin, size, tick)
    source.seek(begin + done)
    while done < size:
        block = source.read(min(AT_ONCE, size - done))
        if not block:
            raise OSError(errno.EIO, "a private file ends too early")
        output.write(block)
        done += len(block)
        tick(len(block))


def _copy_in_kernel(source: IO[bytes], output: BinaryIO, begin: int, size: int, tick: Tick) -> int:
    # Between two files of one file system this moves no byte through this process, and on
    # some file systems no byte at all. Elsewhere it fails at once and the plain way follows.
    step = 64 * PIECE_SIZE
    copy_range = getattr(os, "copy_file_range", None)
    done = 0
    if copy_range is None or size < PIECE_SIZE:  # as what is in memory still, and has no descriptor
        return done
    try:
        descriptors = source.fileno(), output.fileno()
        while done < size:
            moved = copy_range(*descriptors, min(step, size - done), begin + done)
            if not moved:
                break
            done += moved
            tick(moved)
    except (OSError, ValueError):
        return done
    return done

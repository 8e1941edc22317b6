"""What is in an archive whose signers are trusted, and its payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from wmbackup.archive import tables
from wmbackup.archive._bulk import columns
from wmbackup.archive.chunk import CHUNK_SIZE, Chunk
from wmbackup.archive.columns import Columns
from wmbackup.archive.constants import ITEM
from wmbackup.archive.index import Index, Part
from wmbackup.archive.names import NameCheck
from wmbackup.archive.payload import Payload, Receiver
from wmbackup.archive.row_check import (
    Tick,
    check_files,
    check_licenses,
    check_name,
    check_withheld,
    item_of,
    items_in,
    out_of_order,
    own_names_from,
)
from wmbackup.archive.row_codec import parse_file_row, parse_license_row
from wmbackup.archive.tables import Tables
from wmbackup.archive.tag_files import BagInfo
from wmbackup.item import Item
from wmbackup.license import License

_AT_ONCE = 4096  # licenses that are held together


class Row(NamedTuple):
    """One line of an inventory: a license, or a file in which none was recognized.

    ``item`` is None for a license that is in no single file; ``sha256`` (32 bytes) is None where
    it was not asked for.
    """

    item: Item | None
    license: License | None
    sha256: bytes | None = None

    @property
    def path(self) -> bytes | None:
        """The true path of the file that it stands for or was found in."""
        if self.item is not None:
            return self.item.path
        return None if self.license is None else self.license.path


class Inventory:
    """The tables of an archive, verified and in private storage, and the payload they describe.

    ``payload`` can be read as the tables say; everything released from it was verified. Close it
    after use.
    """

    def __init__(self, info: BagInfo, found: Tables, payload: Payload) -> None:
        """Take the verified tables; nothing is read yet."""
        self.info = info
        self.tables = found
        self._payload = payload
        self._index = Index(found, info)

    def close(self) -> None:
        """Give the private files back; nothing can be read after that."""
        self.tables.close()

    @property
    def payload_offset(self) -> int:
        """Where in the stream the payload begins."""
        return self._payload.offset

    def batches(self) -> Iterator[Columns | list[Row]]:
        """Yield everything that the archive has, in its order, many rows at once.

        Rows are checked as they come, each by itself. Raises ArchiveDamaged or UnsupportedArchive,
        at the latest after the last row.
        """
        licenses = map(parse_license_row, tables.lines(self.tables.licenses))
        ahead = next(licenses, None)
        withheld = 0
        for rows, lines in tables.pairs(self.tables.files, self.tables.manifest):
            usual = None if _is_in(ahead, lines) else columns(rows, lines)
            if usual is not None:
                yield usual
                continue
            found: list[Row] = []
            for item, sha256 in items_in(rows, lines):
                is_known = False
                while ahead is not None and ahead[1] == item.member:
                    is_known = True
                    found.append(Row(item, replace(ahead[0], path=item.path), sha256))
                    ahead = next(licenses, None)
                    if len(found) == _AT_ONCE:  # a single file can have all licenses
                        yield found
                        found = []
                if not is_known:
                    found.append(Row(item, None, sha256))
            yield found
        while ahead is not None:
            if ahead[1] is not None:
                raise out_of_order()
            withheld += ahead[0].withheld
            yield [Row(None, ahead[0])]
            ahead = next(licenses, None)
        check_withheld(self.info, withheld)

    def rows(self) -> Iterator[Row]:
        """Yield the rows of `batches` one by one. Raises as it does."""
        for batch in self.batches():
            if isinstance(batch, Columns):
                yield from (Row(item, None, sha256) for item, sha256 in batch.items())
            else:
                yield from batch

    def items_with(self, parts: Sequence[bytes]) -> Iterator[tuple[int, Item, bytes]]:
        """Yield those whose true path may have one of the parts in it, with their index from 0.

        All others are not parsed at all. What is yielded is checked, and that no name among it
        collides with another. Raises ArchiveDamaged or UnsupportedArchive.
        """
        names = NameCheck(own_names_from(self.tables.manifest))
        rows = self._index.rows()
        for at, line in self._index.lines_with((ITEM, *parts)):
            item, sha256 = item_of(parse_file_row(rows[at]), line)
            true_path = item.path if item.member.startswith(ITEM) else None
            check_name(names, item.member, true_path)
            yield at, item, sha256

    def check(self, tick: Tick) -> None:
        """Check every row, name and number; ``tick`` is called now and then.

        Raises ArchiveDamaged or UnsupportedArchive.
        """
        self._index.marks = check_files(self.tables, self.info, tick)
        check_licenses(self.tables, self.info)

    def check_length(self) -> None:
        """Compare the length of the archive, where it is known, with what the tables demand.

        That they agree with Payload-Oxum is checked in any case. Raises ArchiveTruncated or
        ArchiveDamaged.
        """
        self._payload.check_length(self._index.marks[-1].length)

    def verify_payload(
        self,
        receiver: Receiver | None = None,
        wanted: Callable[[int], object] | None = None,
    ) -> Iterator[Chunk]:
        """Read the payload in order; release each file to the receiver once it is verified.

        ``wanted`` says by index what the receiver gets; everything is verified all the same.
        Yields what is verified, and checks the end of the archive last. Raises ArchiveTruncated or
        ArchiveDamaged.
        """
        for chunk in self._index.chunks():
            yield from self._payload.verify(chunk, receiver, wanted)
        self._payload.end()

    def chunks(self, *, most: int = CHUNK_SIZE) -> Iterator[Chunk]:
        """Yield what `verify_chunk` takes, unverified, in order. Raises ArchiveDamaged."""
        return self._index.chunks(most=most)

    def verify_chunk(
        self,
        chunk: Chunk,
        receiver: Receiver | None = None,
        wanted: Callable[[int], object] | None = None,
    ) -> Iterator[Chunk]:
        """Verify one chunk of a seekable archive, as `verify_payload` does."""
        self._payload.go_to(chunk.offset)
        yield from self._payload.verify(chunk, receiver, wanted)

    def parts(self) -> Iterator[Part]:
        """Yield what `verify_part` takes, unverified, in order. Raises ArchiveDamaged."""
        return self._index.parts()

    def verify_part(self, part: Part) -> Iterator[Chunk]:
        """Verify one part of a seekable archive. Yields what is verified.

        Raises ArchiveTruncated or ArchiveDamaged.
        """
        self._payload.go_to(part.begin.length)
        for chunk in part.chunks(self.tables):
            yield from self._payload.verify(chunk)

    def verify_end(self) -> None:
        """Check the end of a seekable archive. Raises ArchiveTruncated or ArchiveDamaged."""
        self._payload.go_to(self._index.marks[-1].length)
        self._payload.end()

    def extract(self, wanted: bytearray, receiver: Receiver | None = None) -> Iterator[Chunk]:
        """Read only the wanted files of a seekable archive, each with one seek.

        ``wanted`` has a byte for each file of the archive, 1 or 0. Yields what is verified.
        To be called after `check_length`. Raises ArchiveDamaged.
        """
        for chunk in self._index.located(wanted):
            self._payload.go_to(chunk.offset)
            yield from self._payload.verify_single(chunk, receiver)


def _is_in(license_: tuple[License, bytes | None] | None, lines: list[bytes]) -> bool:
    """Whether the file that a license is in may be one of these."""
    member = None if license_ is None else license_[1]
    return member is not None and b"  %b\n" % member in b"".join(lines)

"""What can be verified of an archive that is cut or damaged behind its bag-info.txt.

The rules are those of wmbackup-archive(5), Salvage: a file counts when its SHA-256 is in a
manifest whose own SHA-256 was signed, and nothing else does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import IO, NamedTuple

from wmbackup.archive.constants import BAG, DATA, MAX_TABLE, NAME
from wmbackup.archive.payload import Receiver
from wmbackup.archive.row_check import MANIFEST_LINE, check_files, not_a_manifest_line
from wmbackup.archive.row_codec import parse_file_row, parse_license_row
from wmbackup.archive.stream import PIECE_SIZE, ByteStream
from wmbackup.archive.tables import Tables
from wmbackup.archive.tables import lines as table_lines
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.ustar import BLOCK, header, record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.true_path import is_path

_TABLES = ("files.jsonl", "licenses.jsonl", "manifest-sha256.txt")
_PAYLOAD = BAG + DATA

Tick = Callable[[], None]
Spool = Callable[[], IO[bytes]]


class _Found(NamedTuple):
    """A member whose header is as it should be. Offsets are bytes of the private copy or file."""

    name: bytes
    size: int
    offset: int  # of the content


@dataclass(frozen=True, slots=True)
class Rescued:
    """A file that was named by a verified manifest.

    ``offset`` is None where its bytes are lost. ``has_row`` is False where its row was lost, and
    with it the true path and the time: then the item bears its member's name and the time of the
    archive.
    """

    item: Item
    sha256: bytes
    licenses: tuple[License, ...]
    offset: int | None
    has_row: bool


class Salvage:
    """An archive that is read for what can still be verified; close it after use.

    ``knows_licenses`` is False when `files` found the list of licenses lost.
    """

    knows_licenses = True

    def __init__(
        self,
        info: BagInfo,
        hashes: Mapping[str, str],
        stream: ByteStream,
        begin: int,
        spool: Spool,
        owned: IO[bytes] | None = None,
    ) -> None:
        """Begin in the stream behind bag-info.txt; see `TrustedArchive.salvage`.

        ``hashes`` are the signed ones of the tag files (hexadecimal); ``owned`` is closed with
        this.
        """
        self._info = info
        self._hashes = hashes
        self._stream = stream
        self._begin = begin
        self._spool = spool
        self._closing = ExitStack()
        if owned is not None:
            self._closing.enter_context(owned)
        self._places: dict[tuple[bytes, int], int] | None = None

    def close(self) -> None:
        """Give private files back."""
        self._closing.close()

    def files(self, tick: Tick) -> list[Rescued]:
        """Return every file that a verified manifest names, with its bytes verified or lost.

        Raises ArchiveDamaged where no manifest can be verified.
        """
        tables, payload = self._tables(tick)
        manifest = tables.get("manifest-sha256.txt") or self._rebuilt(payload, tick)
        lines = [_split(line) for line in table_lines(manifest)]
        rows = tables.get("files.jsonl")
        if rows is None:
            found = {one.name: one for one in self._walk(payload, tick)}
            files = [self._without_row(name, digest, found) for name, digest in lines]
        else:
            files = list(self._with_rows(lines, rows, manifest, payload, tick))
        self.knows_licenses = "licenses.jsonl" in tables
        licenses = self._licenses(tables.get("licenses.jsonl"))
        rescued = []
        for one in files:
            tick()
            known = tuple(
                replace(license_, path=one.item.path)
                for license_ in licenses.get(one.item.member, ())
            )
            rescued.append(
                replace(one, licenses=known, offset=self._proven_place(one, payload, tick))
            )
        return rescued

    def _proven_place(self, one: Rescued, payload: int, tick: Tick) -> int | None:
        """Return where a file's verified bytes are; None where they are nowhere."""
        if self._proves(one, one.offset):
            return one.offset
        if self._places is None:
            # Something is missing or too much: behind it nothing stands where it should.
            self._places = {(f.name, f.size): f.offset for f in self._walk(payload, tick)}
        offset = self._places.get((BAG + one.item.member, one.item.size))
        return offset if self._proves(one, offset) else None

    def release(self, one: Rescued, receiver: Receiver) -> None:
        """Read a file once more and release exactly the bytes that are verified.

        Raises ArchiveDamaged where they are not the same any more.
        """
        if one.offset is None:
            raise ArchiveDamaged(f"{one.item.member.decode()} is lost")
        digest = hashlib.sha256()
        if one.item.size <= PIECE_SIZE:
            data = b"".join(self._blocks(one.offset, one.item.size))
            digest.update(data)
            if digest.digest() == one.sha256:
                receiver.put(one.item, data)
                return
        else:
            with receiver.stage(one.item) as staging:
                for block in self._blocks(one.offset, one.item.size):
                    digest.update(block)
                    staging.write(block)
            if digest.digest() == one.sha256:
                receiver.accept(one.item)
                return
        raise ArchiveDamaged(f"{one.item.member.decode()} changed while it was read")

    def _walk(self, at: int, tick: Tick) -> Iterator[_Found]:
        """Yield the members whose headers are whole, finding the next one behind damage."""
        while True:
            head = b"".join(self._blocks(at, BLOCK))
            if len(head) < BLOCK:
                return
            size = _size(head)
            if size is None:
                tick()
                at += BLOCK
                continue
            yield _Found(head[:100].rstrip(b"\0"), size, at + BLOCK)
            at += record_length(size)

    def _tables(self, tick: Tick) -> tuple[dict[str, IO[bytes]], int]:
        """Return the tables that are verified, and where the payload begins."""
        tables: dict[str, IO[bytes]] = {}
        end = self._begin
        for found in self._walk(self._begin, tick):
            if found.name.startswith(_PAYLOAD):
                # Behind a manifest that is whole, the payload's place is known even so.
                return tables, end if "manifest-sha256.txt" in tables else found.offset - BLOCK
            name = found.name.removeprefix(BAG).decode("ascii", "replace")
            if name in _TABLES and name not in tables and found.size <= MAX_TABLE:
                table = self._copied(found, name)
                if table is not None:
                    tables[name] = table
                    end = found.offset - BLOCK + record_length(found.size)
        return tables, end

    def _copied(self, found: _Found, name: str) -> IO[bytes] | None:
        table = self._closing.enter_context(self._spool())
        digest = hashlib.sha256()
        for block in self._blocks(found.offset, found.size):
            digest.update(block)
            table.write(block)
        return table if digest.hexdigest() == self._hashes[name] else None

    def _rebuilt(self, payload: int, tick: Tick) -> IO[bytes]:
        """Make the manifest anew from the payload. Raises ArchiveDamaged where that fails."""
        manifest = self._closing.enter_context(self._spool())
        digest = hashlib.sha256()
        for found in self._walk(payload, tick):
            content = hashlib.sha256()
            for block in self._blocks(found.offset, found.size):
                tick()
                content.update(block)
            line = content.hexdigest().encode() + b"  " + found.name.removeprefix(BAG) + b"\n"
            digest.update(line)
            manifest.write(line)
        if digest.hexdigest() != self._hashes["manifest-sha256.txt"]:
            raise ArchiveDamaged(
                "manifest-sha256.txt is lost, and too much of the payload to make it anew",
                reason="head",
            )
        return manifest

    def _with_rows(
        self,
        lines: list[tuple[bytes, bytes]],
        rows: IO[bytes],
        manifest: IO[bytes],
        payload: int,
        tick: Tick,
    ) -> Iterator[Rescued]:
        check_files(Tables(rows, self._spool_of(b""), manifest), self._info, tick)
        at = payload
        for (member, digest), line in zip(lines, table_lines(rows), strict=True):
            row = parse_file_row(line)
            path = member[len(DATA) :] if row.path is None else row.path
            item = Item(path, row.size, row.mtime_ns, row.attributes, member)
            yield Rescued(item, digest, (), at + BLOCK, has_row=True)
            at += record_length(row.size)

    def _spool_of(self, data: bytes) -> IO[bytes]:
        file = self._closing.enter_context(self._spool())
        file.write(data)
        return file

    def _without_row(self, member: bytes, digest: bytes, found: Mapping[bytes, _Found]) -> Rescued:
        place = found.get(BAG + member)
        size, offset = (0, None) if place is None else (place.size, place.offset)
        created = int(self._info.created.timestamp()) * 1_000_000_000
        item = Item(member[len(DATA) :], size, created, (), member)
        return Rescued(item, digest, (), offset, has_row=False)

    def _licenses(self, table: IO[bytes] | None) -> dict[bytes, list[License]]:
        licenses: dict[bytes, list[License]] = {}
        if table is not None:
            for line in table_lines(table):
                license_, member = parse_license_row(line)
                if member is not None:
                    licenses.setdefault(member, []).append(license_)
        return licenses

    def _proves(self, one: Rescued, offset: int | None) -> bool:
        if offset is None:
            return False
        digest = hashlib.sha256()
        for block in self._blocks(offset, one.item.size):
            digest.update(block)
        return digest.digest() == one.sha256

    def _blocks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield what is there of a range, in order."""
        while size > 0:
            self._stream.seek(offset)
            block = self._stream.read(min(size, PIECE_SIZE))
            if not block:
                return
            offset, size = offset + len(block), size - len(block)
            yield block


def _size(head: bytes) -> int | None:
    """Return the size in a header that is as it should be; None for anything else."""
    if not head.startswith(BAG):
        return None
    try:
        size = int(head[124:135], 8)
        expected = header(head[:100].rstrip(b"\0"), size)
    except ValueError:
        return None
    return size if head == expected else None


def _split(line: bytes) -> tuple[bytes, bytes]:
    """Return member and SHA-256 of a manifest line. Raises ArchiveDamaged."""
    member = line[NAME:-1]
    if not MANIFEST_LINE.match(line) or not is_path(member):
        raise not_a_manifest_line()
    return member, bytes.fromhex(line[:64].decode())

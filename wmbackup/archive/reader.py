"""Reading an archive step by step: who signed, what it says of itself, its head, its payload.

The steps are those of wmbackup-archive(5), READING. Between them the caller asks its trust policy;
nothing behind a step is read before the next one is called.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import IO, NamedTuple

from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.head import MAX_TABLE, START, Head, Mark
from wmbackup.archive.names import BAG
from wmbackup.archive.payload import Receiver, prove, prove_one
from wmbackup.archive.section import Section
from wmbackup.archive.stream import ByteStream, ExactReader
from wmbackup.archive.ustar import END
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, ArchiveUnsigned

_MAX_WITNESSES = 15
_TIME_STAMP = (BAG + b"tagmanifest-sha256.txt.tsr", 1, 64 * 1024)
_README = (BAG + b"README.txt", len(tag_files.README), len(tag_files.README))

Spool = Callable[[], IO[bytes]]


class Signatures(NamedTuple):
    """Who signed: raw Ed25519 public keys. That they signed is proven; nothing is believed."""

    maker: bytes
    witnesses: tuple[bytes, ...]
    tag_manifest: bytes


class ArchiveReader:
    """Reads one archive. Call `signatures`, `info`, `head`, then what you want of the payload.

    ``spool`` makes a private temporary file; the head is copied there and then read only from
    there. ``length`` is the length of the stream in bytes where it is known beforehand.
    """

    def __init__(self, stream: ByteStream, spool: Spool, length: int | None = None) -> None:
        """Begin at the stream's present position."""
        self._stream = stream
        self._start = stream.tell() if stream.seekable() else 0
        self._source = ExactReader(stream)
        self._spool = spool
        self._length = length
        self._hashes: dict[str, str] = {}
        self._maker = b""
        self._payload_at = 0

    @property
    def hashes(self) -> Mapping[str, str]:
        """The SHA-256 (hexadecimal) of each tag file, as they were signed."""
        return self._hashes

    @property
    def seekable(self) -> bool:
        """Whether its stream is a file of known length, in which one can go to and fro."""
        return self._length is not None

    @property
    def stream(self) -> ByteStream:
        """The stream."""
        return self._stream

    @property
    def start(self) -> int:
        """Where in the stream the archive begins."""
        return self._start

    @property
    def position(self) -> int:
        """How many bytes of the archive have been read."""
        return self._source.position

    def rest(self) -> ExactReader:
        """Return what has not been read yet."""
        return self._source

    def signatures(self) -> Signatures:
        """Read as far as the last signature, and prove that each fits.

        Raises NotAnArchive, UnsupportedArchive, ArchiveUnsigned, ArchiveTruncated or
        ArchiveDamaged.
        """
        source = self._source
        source.magic()
        bagit = self._small("bagit.txt", len(tag_files.BAGIT), len(tag_files.BAGIT))
        text = self._small(
            "tagmanifest-sha256.txt", tag_files.TAG_MANIFEST_SIZE, tag_files.TAG_MANIFEST_SIZE
        )
        if source.next_name() == BAG + b"README.txt":
            raise ArchiveUnsigned(
                "the archive is not signed", hint="nothing in it can be believed; look for another"
            )
        armored = [self._small("tagmanifest-sha256.txt.sig", *[sshsig.ARMORED_SIZE] * 2)]
        for number in range(2, _MAX_WITNESSES + 2):
            name = f"tagmanifest-sha256.txt.{number}.sig"
            if source.next_name() != BAG + name.encode():
                break
            armored.append(self._small(name, *[sshsig.ARMORED_SIZE] * 2))
        source.expect(*(_TIME_STAMP if self._has_time_stamp() else _README))
        self._hashes = tag_files.parse_tag_manifest(text)
        if bagit != tag_files.BAGIT:
            raise ArchiveDamaged("bagit.txt is not as the format wants it")
        self._prove("bagit.txt", bagit)
        keys = [sshsig.signer(signature, text) for signature in armored]
        self._maker = keys[0]
        return Signatures(keys[0], tuple(keys[1:]), text)

    def info(self) -> tag_files.BagInfo:
        """Read bag-info.txt. Raises as `signatures` does."""
        if self._has_time_stamp():
            self._source.content(*_TIME_STAMP)
        readme = self._source.content(*_README)
        self._prove("README.txt", readme)
        if readme != tag_files.README:
            raise ArchiveDamaged("README.txt is not as the format wants it")
        text = self._small("bag-info.txt", 1, tag_files.MAX_INFO)
        self._prove("bag-info.txt", text)
        info = tag_files.parse_info(text)
        if info.signer != sshsig.fingerprint(self._maker):
            raise ArchiveDamaged("the archive was signed by another key than it says")
        self._info = info
        return info

    def head(self) -> Head:
        """Read the rest of the head into private files and prove it.

        Its rows are judged by `Head.check`, or as far as they are asked for.
        """
        with ExitStack() as tables:
            files, licenses, manifest = (tables.enter_context(self._spool()) for _ in range(3))
            self._table("files.jsonl", 1, files)
            self._table("licenses.jsonl", 0, licenses)
            self._table("manifest-sha256.txt", 1, manifest)
            tables.pop_all()
        self._payload_at = self._source.position
        self._head = Head(self._info, files, licenses, manifest)
        return self._head

    def check_length(self) -> None:
        """Compare the length, where it is known, with the one that the head demands.

        That the head agrees with Payload-Oxum is judged in any case. Raises ArchiveTruncated or
        ArchiveDamaged.
        """
        wanted = self._payload_at + self._head.payload_length() + len(END)
        if self._length is None:
            return
        if self._length < wanted:
            missing = wanted - self._length
            raise ArchiveTruncated(
                f"the archive lacks its last {missing} of {wanted} bytes",
                hint="fetch it again from where it was copied, or see what restore --salvage finds",
            )
        if self._length > wanted:
            raise ArchiveDamaged("something follows the end of the archive")

    def border(self, share: float) -> Mark:
        """See `Head.border`."""
        return self._head.border(share)

    def reopen(self, again: Callable[[IO[bytes]], IO[bytes]], stream: ByteStream) -> None:
        """Read from now on through other handles of the archive and of its head."""
        self._head.reopen(again)
        self._stream = stream

    def payload(
        self,
        receiver: Receiver | None = None,
        wanted: Callable[[int], object] | None = None,
        *,
        begin: Mark = START,
        end: Mark | None = None,
    ) -> Iterator[Section]:
        """Read the payload in order; release each file to the receiver when it is proven.

        ``wanted`` says by index what the receiver gets; everything is proven all the same. Yields
        what is proven. Ends when the end of the archive is judged, or before ``end``. ``begin`` or
        ``end``, but not both, may be a `border` where the stream is seekable. Raises
        ArchiveTruncated or ArchiveDamaged.
        """
        if begin is not START:
            self._go_to(begin.length)
        for section in self._head.sections(begin, end):
            yield from prove(self._source, section, receiver, wanted)
        if end is None:
            self._source.end()

    def sections(self, most: int) -> Iterator[Section]:
        """See `Head.sections`. To be called after `Head.check`. Raises ArchiveDamaged."""
        return self._head.sections(most=most)

    def place(self, section: Section) -> int:
        """Return where in the stream a section begins."""
        return self._start + self._payload_at + section.offset

    def section(
        self, section: Section, receiver: Receiver | None, wanted: Callable[[int], object]
    ) -> Iterator[Section]:
        """Prove one section of a seekable stream, as `payload` does."""
        self._go_to(section.offset)
        yield from prove(self._source, section, receiver, wanted)

    def end(self) -> None:
        """Judge the end of a seekable stream. Raises ArchiveTruncated or ArchiveDamaged."""
        self._go_to(self._head.payload_length())
        self._source.end()

    def extract(self, wanted: bytearray, receiver: Receiver | None = None) -> Iterator[Section]:
        """Read only the wanted files of a seekable stream, each with one seek.

        ``wanted`` has a byte for each file of the archive, 1 or 0. Yields what is proven.
        To be called after `check_length`. Raises ArchiveDamaged.
        """
        for section in self._head.located(wanted):
            self._go_to(section.offset)
            prove_one(self._source, section, receiver)
            yield section
            self._source.pad(section.members[0], section.sizes[0])

    def _go_to(self, offset: int) -> None:
        """Go to an offset in the payload."""
        self._stream.seek(self._start + self._payload_at + offset)
        self._source = ExactReader(self._stream)
        self._source.position = self._payload_at + offset

    def _has_time_stamp(self) -> bool:
        return self._source.next_name() == _TIME_STAMP[0]

    def _small(self, name: str, low: int, high: int) -> bytes:
        return self._source.content(BAG + name.encode(), low, high)

    def _prove(self, name: str, text: bytes) -> None:
        if tag_files.sha256(text) != self._hashes[name]:
            raise ArchiveDamaged(f"{name} is not the one that was signed")

    def _table(self, name: str, low: int, table: IO[bytes]) -> None:
        size = self._source.member(BAG + name.encode(), low, MAX_TABLE)
        digest = hashlib.sha256()
        self._source.copy(size, digest.update, table.write)
        self._source.pad(BAG + name.encode(), size)
        if digest.hexdigest() != self._hashes[name]:
            raise ArchiveDamaged(f"{name} is not the one that was signed")
        table.flush()  # for whoever reads it through another handle (see `reopen`)

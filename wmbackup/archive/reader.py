"""Reading an archive in the order of wmbackup-archive(5), READING: types say what is trusted.

A `SealedArchive` is a place in a stream. With a trust policy it becomes a `TrustedArchive`, whose
signers are trusted and whose bag-info.txt is read; that reads its head and becomes an `Inventory`,
or a `Salvage` where something is damaged. There is no other way to the payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.constants import BAG, MAX_TABLE
from wmbackup.archive.inventory import Inventory
from wmbackup.archive.payload import Payload
from wmbackup.archive.stream import PIECE_SIZE, ByteStream, ExactReader, Tick, TickingStream
from wmbackup.archive.tables import Tables
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.ustar import header, padding, record_length
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, ArchiveUnsigned

if TYPE_CHECKING:
    from wmbackup.archive.salvage import Salvage

_MAX_COSIGNERS = 15
_TIME_STAMP = (BAG + b"tagmanifest-sha256.txt.tsr", 1, 64 * 1024)
_README = (BAG + b"README.txt", len(tag_files.README), len(tag_files.README))

Spool = Callable[[], IO[bytes]]
"""Makes a private temporary file."""


def _ignore() -> None:
    """Stop nothing."""


class TrustPolicy(Protocol):
    """Says who is trusted. Keys are 32 raw bytes."""

    def check(
        self,
        maker: bytes,
        cosigners: Sequence[bytes] = (),
        signed_at: datetime | None = None,
        host: str | None = None,
    ) -> tuple[str, ...]:
        """Return the trusted principals that signed, or raise a WmbackupError.

        It is asked twice: before bag-info.txt is read, without the signed time and host, and after.
        """


class Claims(NamedTuple):
    """What an archive says of itself, signed by the key that it names, which nobody trusts yet."""

    maker: bytes
    info: BagInfo


class _Signatures(NamedTuple):
    """Who signed, and the hash (hexadecimal) of each tag file as they signed it."""

    maker: bytes
    cosigners: tuple[bytes, ...]
    tag_manifest: bytes
    hashes: Mapping[str, str]


class SealedArchive:
    """An archive of which nothing is known yet but where it begins.

    ``name`` is for messages, ``length`` is in bytes and None where it is not known beforehand
    (a pipe); where it is known, one can go back to the beginning of the stream as often as one
    likes. ``path`` is the absolute path where it has one; ``descriptor`` is that of the open
    regular file whose bytes the stream gives, where there is one; ``recipient`` names whose
    identity opened the envelope that it was in, where it was in one, and ``shared`` is the secret
    with which a worker reads the envelope in that file.
    """

    __slots__ = ("_start", "_stream", "descriptor", "length", "name", "path", "recipient", "shared")

    def __init__(
        self,
        stream: ByteStream,
        name: str = "the archive",
        length: int | None = None,
        *,
        path: str | None = None,
        descriptor: int | None = None,
        recipient: str | None = None,
        shared: bytes = b"",
    ) -> None:
        """Take the stream at its present position; nothing is read yet."""
        self._stream = stream
        self._start = 0 if length is None else stream.tell()
        self.name = name
        self.length = length
        self.path = path
        self.descriptor = descriptor
        self.recipient = recipient
        self.shared = shared

    @property
    def start(self) -> int:
        """Where it begins in its stream."""
        return self._start

    def authenticate(self, policy: TrustPolicy, tick: Tick = _ignore) -> TrustedArchive:
        """Verify the signatures, ask the policy, and read bag-info.txt.

        ``tick`` is called before each read of the archive, here and later.

        Raises NotAnArchive, UnsupportedArchive, ArchiveUnsigned, ArchiveTruncated, ArchiveDamaged,
        and what the policy raises.
        """
        stream = TickingStream(self._stream, tick)
        source = self._begin(stream)
        signed = _read_signatures(source)
        policy.check(signed.maker, signed.cosigners)
        info = _read_info(source, signed)
        principals = policy.check(signed.maker, signed.cosigners, info.created, info.host)
        return TrustedArchive(self, info, principals, signed, source, stream, tick)

    def claims(self) -> Claims:
        """Return what it says of itself, untrusted. Raises as `authenticate` does."""
        source = self._begin(self._stream)
        signed = _read_signatures(source)
        return Claims(signed.maker, _read_info(source, signed))

    def signers(self) -> tuple[bytes, ...]:
        """Return the keys that signed, the maker's first; nobody trusts them yet.

        Raises as `authenticate` does.
        """
        signed = _read_signatures(self._begin(self._stream))
        return signed.maker, *signed.cosigners

    def _begin(self, stream: ByteStream) -> ExactReader:
        if self.length is not None and self._stream.tell() != self._start:
            self._stream.seek(self._start)
        return ExactReader(stream)


@dataclass(frozen=True, slots=True)
class TrustedArchive:
    """An archive whose signers are trusted; nothing after its bag-info.txt has been read.

    ``principals`` are those who signed and are trusted. A head is read once, by `read_head` or
    `salvage`.
    """

    sealed: SealedArchive
    info: BagInfo
    principals: tuple[str, ...]
    _signed: _Signatures
    _source: ExactReader
    _stream: ByteStream
    _tick: Tick

    @property
    def tag_manifest(self) -> bytes:
        """The bytes that were signed."""
        return self._signed.tag_manifest

    def rewrite(self, signature: bytes, write: Callable[[bytes], object]) -> int:
        """Write the archive once more, with one more signature behind those that it has.

        No other byte is changed. Only an archive of known length can be rewritten. Returns the
        size. Raises ArchiveTruncated, ValueError where no more fit in, and what ``write`` raises.
        """
        count = len(self.keys)
        if count > _MAX_COSIGNERS or len(signature) != sshsig.ARMORED_SIZE:
            raise ValueError(f"{count} have signed, and there is no room for another")
        length = self.sealed.length
        if length is None:
            raise ValueError("an archive that comes through a pipe cannot be rewritten")
        name = BAG + f"tagmanifest-sha256.txt.{count + 1}.sig".encode()
        record = header(name, len(signature)) + signature + bytes(padding(len(signature)))
        at = record_length(len(tag_files.BAGIT)) + record_length(tag_files.TAG_MANIFEST_SIZE)
        at += count * record_length(sshsig.ARMORED_SIZE)
        self._stream.seek(self.sealed.start)
        _copy(self._stream, at, write)
        write(record)
        _copy(self._stream, length - at, write)
        return length + len(record)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The keys that signed, trusted or not, the maker's first (32 raw bytes each)."""
        return self._signed.maker, *self._signed.cosigners

    def read_head(self, spool: Spool) -> Inventory:
        """Read the tables into private files and verify them.

        Their rows are checked by `Inventory.check`, or as far as they are asked for. Raises
        ArchiveTruncated or ArchiveDamaged.
        """
        with ExitStack() as opened:
            found = Tables(*(opened.enter_context(spool()) for _ in range(3)))
            self._read_table("files.jsonl", 1, found.files)
            self._read_table("licenses.jsonl", 0, found.licenses)
            self._read_table("manifest-sha256.txt", 1, found.manifest)
            opened.pop_all()
        payload = Payload(self._source, self._stream, self.sealed.length)
        return Inventory(self.info, found, payload)

    def salvage(self, spool: Spool) -> Salvage:
        """Read what is left of a damaged archive. A pipe is copied to a private file first."""
        from wmbackup.archive.salvage import Salvage

        copied = None
        if self.sealed.length is None:
            copied = spool()
            self._source.copy_rest(copied.write)
        begin = self._stream.tell() if copied is None else 0
        stream = self._stream if copied is None else TickingStream(copied, self._tick)
        return Salvage(self.info, self._signed.hashes, stream, begin, spool, copied)

    def _read_table(self, name: str, low: int, table: IO[bytes]) -> None:
        size = self._source.member(BAG + name.encode(), low, MAX_TABLE)
        digest = hashlib.sha256()
        self._source.copy(size, digest.update, table.write)
        self._source.pad(BAG + name.encode(), size)
        if digest.hexdigest() != self._signed.hashes[name]:
            raise ArchiveDamaged(f"{name} is not the one that was signed")
        table.flush()  # for a worker, which reads it through another handle


def _copy(stream: ByteStream, size: int, write: Callable[[bytes], object]) -> None:
    while size:
        part = stream.read(min(size, PIECE_SIZE))
        if not part:
            raise ArchiveTruncated("the archive became shorter while it was read")
        write(part)
        size -= len(part)


def _read_signatures(source: ExactReader) -> _Signatures:
    """Read as far as the last signature, and verify that each fits."""
    source.magic()
    bagit = _small(source, "bagit.txt", len(tag_files.BAGIT), len(tag_files.BAGIT))
    text = _small(source, "tagmanifest-sha256.txt", *[tag_files.TAG_MANIFEST_SIZE] * 2)
    if source.next_name() == BAG + b"README.txt":
        raise ArchiveUnsigned("the archive is not signed")
    armored = [_small(source, "tagmanifest-sha256.txt.sig", *[sshsig.ARMORED_SIZE] * 2)]
    for number in range(2, _MAX_COSIGNERS + 2):
        name = f"tagmanifest-sha256.txt.{number}.sig"
        if source.next_name() != BAG + name.encode():
            break
        armored.append(_small(source, name, *[sshsig.ARMORED_SIZE] * 2))
    source.expect(*(_TIME_STAMP if _has_time_stamp(source) else _README))
    hashes = tag_files.parse_tag_manifest(text)
    if bagit != tag_files.BAGIT:
        raise ArchiveDamaged("bagit.txt has other bytes than the format defines")
    _verify_text("bagit.txt", bagit, hashes)
    keys = [sshsig.signer(signature, text) for signature in armored]
    return _Signatures(keys[0], tuple(keys[1:]), text, hashes)


def _read_info(source: ExactReader, signed: _Signatures) -> BagInfo:
    """Read bag-info.txt, which comes next."""
    if _has_time_stamp(source):
        source.content(*_TIME_STAMP)
    readme = source.content(*_README)
    _verify_text("README.txt", readme, signed.hashes)
    if readme != tag_files.README:
        raise ArchiveDamaged("README.txt has other bytes than the format defines")
    text = _small(source, "bag-info.txt", 1, tag_files.MAX_INFO)
    _verify_text("bag-info.txt", text, signed.hashes)
    info = tag_files.parse_info(text)
    if info.signer != sshsig.fingerprint(signed.maker):
        raise ArchiveDamaged("the archive was signed by another key than it says")
    return info


def _has_time_stamp(source: ExactReader) -> bool:
    return source.next_name() == _TIME_STAMP[0]


def _small(source: ExactReader, name: str, low: int, high: int) -> bytes:
    return source.content(BAG + name.encode(), low, high)


def _verify_text(name: str, text: bytes, hashes: Mapping[str, str]) -> None:
    if tag_files.sha256(text) != hashes[name]:
        raise ArchiveDamaged(f"{name} is not the one that was signed")

"""Archives for tests: made by the writer, taken apart and put together again, and read."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.batch import BatchWriter, Tick
from wmbackup.archive.inventory import Inventory
from wmbackup.archive.names import give_names
from wmbackup.archive.payload import Payload
from wmbackup.archive.reader import SealedArchive, TrustedArchive
from wmbackup.archive.row_codec import FileRow
from wmbackup.archive.stream import ByteStream, ExactReader
from wmbackup.archive.tables import Tables
from wmbackup.archive.ustar import BLOCK, END, header, padding
from wmbackup.archive.writer import ArchiveWriter, Sealed, Sign
from wmbackup.item import Item
from wmbackup.license import License

BAG = "wmbackup-1/"
CREATED = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def private(seed: int) -> Ed25519PrivateKey:
    """Return a key that is the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


MAKER = private(1)
COSIGNER = private(2)


def public(seed: int) -> bytes:
    """Return the public half of `private`."""
    return sshsig.public_of(private(seed))


def info(**changes: Any) -> tag_files.BagInfo:
    """Return a bag-info.txt by MAKER."""
    plain = tag_files.BagInfo(
        archive_id="0123456789abcdef" * 2,
        created=CREATED,
        host="host",
        store_kind="folder",
        store="/store",
        signer=sshsig.fingerprint(sshsig.public_of(MAKER)),
        withheld=0,
        skipped=0,
        octets=0,
        files=0,
        agent="tests",
    )
    return replace(plain, **changes)


@dataclass(frozen=True)
class File:
    """A file to carry."""

    path: bytes
    data: bytes = b""
    mtime_ns: int = 0
    attributes: tuple[str, ...] = ()
    licenses: tuple[License, ...] = ()


def spool() -> IO[bytes]:
    """Make a private file, in memory."""
    return io.BytesIO()


def temporary() -> IO[bytes]:
    """Make a private file, on disk."""
    return tempfile.TemporaryFile()


def ignore(_done: int = 0) -> None:
    """Follow nothing."""


_BATCH = 100  # files


class FileWriter(ArchiveWriter):
    """An archive writer that takes file by file, as a `BatchWriter` does."""

    def __init__(self, make_spool: Callable[[], IO[bytes]] = spool) -> None:
        super().__init__(make_spool)
        self.batch = BatchWriter(self.spool())

    def add(
        self,
        row: FileRow,
        member: bytes | None,
        data: bytes | Iterable[bytes],
        licenses: Iterable[License] = (),
        *,
        tick: Tick | None = None,
    ) -> None:
        self.batch.add(row, member, data, licenses, tick=tick)
        if self.batch.files == _BATCH:
            self.append(self.batch.end())

    def seal(self, output: BinaryIO, info: tag_files.BagInfo, sign: Sign, tick: Tick) -> Sealed:
        self.append(self.batch.end())
        return super().seal(output, info, sign, tick)


def build(
    files: Iterable[File],
    known: Sequence[License] = (),
    *,
    maker: Ed25519PrivateKey = MAKER,
    info: tag_files.BagInfo = info(),  # noqa: B008 - it is frozen
    make_spool: Callable[[], IO[bytes]] = spool,
) -> bytes:
    """Return the archive that the writer makes of these files."""
    by_path = {file.path: file for file in files}
    naming = give_names(by_path)
    writer = FileWriter(make_spool)
    for path in naming.own:
        _add(writer, by_path[path], path)
    for path in naming.items:
        _add(writer, by_path[path], None)
    for license_ in known:
        writer.know(license_)
    output = io.BytesIO()
    info = replace(info, signer=sshsig.fingerprint(sshsig.public_of(maker)))
    writer.seal(output, info, lambda message: sshsig.sign(maker, message), ignore)
    writer.close()
    return output.getvalue()


def _add(writer: FileWriter, file: File, member: bytes | None) -> None:
    true_path = file.path if member is None else None
    row = FileRow(len(file.data), file.mtime_ns, true_path, file.attributes)
    writer.add(row, member, file.data, file.licenses)


Members = dict[str, bytes]


def split(archive: bytes) -> Members:
    """Return name (below the bag) and content of each member, by arithmetic alone."""
    members: Members = {}
    at = 0
    while archive[at] != 0:
        name = archive[at : at + 100].rstrip(b"\0").decode().removeprefix(BAG)
        size = int(archive[at + 124 : at + 135], 8)
        members[name] = archive[at + BLOCK : at + BLOCK + size]
        at += BLOCK + size + padding(size)
    return members


def record(name: str, content: bytes) -> bytes:
    """Return a member."""
    return header((BAG + name).encode(), len(content)) + content + bytes(padding(len(content)))


def join(members: Mapping[str, bytes]) -> bytes:
    """Return the archive of these members, whatever they say."""
    return b"".join(record(name, content) for name, content in members.items()) + END


def reseal(
    members: Mapping[str, bytes],
    maker: Ed25519PrivateKey = MAKER,
    cosigners: Sequence[Ed25519PrivateKey] = (),
    **changes: bytes,
) -> bytes:
    """Return the archive with some members changed and the rest made to fit.

    The tag manifest and the signatures are made anew; ``changes`` have ``_`` for dots and
    hyphens, and a size or a count that is said twice is left as it is.
    """
    names = {name.replace(".", "_").replace("-", "_"): name for name in members}
    texts = {**members, **{names[name]: content for name, content in changes.items()}}
    signed = tag_files.tag_manifest(
        {name: tag_files.sha256(texts[name]) for name in tag_files.TAGGED}
    )
    ordered: Members = {"bagit.txt": texts["bagit.txt"], "tagmanifest-sha256.txt": signed}
    for number, key in enumerate((maker, *cosigners), 1):
        middle = "" if number == 1 else f".{number}"
        ordered[f"tagmanifest-sha256.txt{middle}.sig"] = sshsig.sign(key, signed)
    return join(ordered | {n: t for n, t in texts.items() if n not in ordered and ".sig" not in n})


@dataclass
class Taken:
    """A receiver that keeps what was released, and what was merely staged."""

    released: list[tuple[Item, bytes]] = field(default_factory=list)
    staged: list[_Staging] = field(default_factory=list)

    def put(self, item: Item, data: bytes) -> None:
        """Keep a small file."""
        self.released.append((item, data))

    def stage(self, item: Item) -> BinaryIO:
        """Begin to stage a large one."""
        self.staged.append(_Staging(item))
        return self.staged[-1]

    def accept(self, item: Item) -> None:
        """Keep what was staged last."""
        staging = self.staged[-1]
        assert staging.closed
        assert staging.item == item
        self.released.append((item, staging.content))


class _Staging(io.BytesIO):
    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item
        self.content = b""

    def close(self) -> None:
        if not self.closed:
            self.content = self.getvalue()
        super().close()


@dataclass
class Anyone:
    """A policy that trusts whoever signed, and remembers who did."""

    maker: bytes = b""
    cosigners: tuple[bytes, ...] = ()
    asked: int = 0

    def check(
        self,
        maker: bytes,
        cosigners: Sequence[bytes] = (),
        signed_at: datetime | None = None,
        host: str | None = None,
    ) -> tuple[str, ...]:
        """Trust these keys."""
        self.maker, self.cosigners = maker, tuple(cosigners)
        self.asked += 1
        return ("anyone",)


def trusted(
    archive: bytes | ByteStream, length: int | None = None, policy: Anyone | None = None
) -> TrustedArchive:
    """Authenticate an archive, trusting everybody."""
    stream = io.BytesIO(archive) if isinstance(archive, bytes) else archive
    return SealedArchive(stream, length=length).authenticate(policy or Anyone())


def opened(archive: bytes | ByteStream, length: int | None = None) -> Inventory:
    """Read the head of an archive, unchecked, trusting everybody."""
    return trusted(archive, length).read_head(spool)


def inventory_of(
    said: tag_files.BagInfo, files: bytes, licenses: bytes, manifest: bytes
) -> Inventory:
    """Return the inventory of tables with an empty payload."""
    nothing = io.BytesIO()
    found = Tables(*map(io.BytesIO, (files, licenses, manifest)))
    return Inventory(said, found, Payload(ExactReader(nothing), nothing, None))


@dataclass
class Read:
    """What a whole archive has; ``verified`` are its members."""

    maker: bytes
    cosigners: tuple[bytes, ...]
    tag_manifest: bytes
    info: tag_files.BagInfo
    inventory: Inventory
    verified: list[bytes]
    released: list[tuple[Item, bytes]]


def read(
    archive: bytes | BinaryIO,
    taken: Taken | None = None,
    length: int | None = None,
    wanted: Callable[[int], bool] | None = None,
) -> Read:
    """Read a whole archive in the order of the specification, trusting everybody."""
    taken = Taken() if taken is None else taken
    policy = Anyone()
    found = trusted(archive, length, policy)
    inventory = found.read_head(spool)
    inventory.check(ignore)
    inventory.check_length()
    verified = [name for chunk in inventory.verify_payload(taken, wanted) for name in chunk.members]
    signers = policy.maker, policy.cosigners, found.tag_manifest
    return Read(*signers, found.info, inventory, verified, taken.released)


class Dribble(io.RawIOBase):
    """A stream that gives little at a time, as a pipe may, and cannot be sought."""

    def __init__(self, data: bytes, most: int = 700) -> None:
        """Take what it gives, and how much at once."""
        super().__init__()
        self._rest = io.BytesIO(data)
        self._most = most

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most that much, and often less."""
        return self._rest.read(min(size, self._most) if size >= 0 else self._most)

"""The archives of a folder: found by how they begin, and read as far as their heads."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from wmbackup.archive.reader import SealedArchive, TrustedArchive, TrustPolicy
from wmbackup.archive.sshsig import fingerprint
from wmbackup.archive.tag_files import BagInfo, format_time
from wmbackup.engine._archive_file import open_file
from wmbackup.engine._bag import BagStream, bag_in, is_bag
from wmbackup.engine._envelope import Identities, nobody
from wmbackup.engine._inventory import inventory_of_archive
from wmbackup.engine._open import named_errors, open_archive
from wmbackup.engine._verify import VerifySummary
from wmbackup.errors import (
    NotAnArchive,
    NotFound,
    SystemFailure,
    Undecryptable,
    UsageError,
    WmbackupError,
)
from wmbackup.history.records import Entry, Place
from wmbackup.status import Control
from wmbackup.trust.policy import Policy

_NAMES = (".wmbackup.tar", ".wmbackup.tar.age")
_PART = (".wmbackup-", ".part")
_BLOCK = 1024 * 1024


class Kind(Enum):
    """What was found in a folder: a file that may be an archive, or an unpacked bag."""

    FILE = "file"
    BAG = "bag"


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of a trusted archive says.

    ``signed`` is the SHA-256 of its tag manifest (hexadecimal), ``maker`` the key that made it,
    ``principal`` whom that key stands for here.
    """

    info: BagInfo
    principals: tuple[str, ...]
    principal: str
    maker: bytes
    signed: str

    @property
    def signer(self) -> str:
        """The fingerprint of the maker."""
        return self.info.signer


@dataclass(frozen=True, slots=True)
class Found:
    """One archive of a folder: its head, or the error that it ended with. ``size`` is in bytes."""

    path: str
    kind: Kind
    size: int
    head: Head | None
    error: WmbackupError | None = None

    @property
    def is_locked(self) -> bool:
        """Whether nothing here decrypts it."""
        return isinstance(self.error, Undecryptable)


def search(folder: str, *, below: bool = True) -> Iterator[tuple[str, Kind]]:
    """Yield the files and the unpacked bags of a folder, and with ``below`` of those in it.

    Links to folders are not followed, and private files of runs under way are left out. Raises
    NotFound, UsageError, SystemFailure.
    """
    if not folder:
        raise UsageError("the name of the folder is empty", reason="no-archive-name")
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        raise NotFound(f"there is no folder {folder}", reason="no-folder", path=folder) from None
    except NotADirectoryError:
        raise UsageError(f"{folder} is no folder", reason="no-folder", path=folder) from None
    except OSError as error:
        raise SystemFailure.of(error, "read the folder", folder) from error
    for entry in found:
        try:
            if entry.is_dir(follow_symlinks=False):
                if below:
                    yield from _search_below(entry.path)
            elif entry.is_file() and not is_part(entry.name):
                yield entry.path, Kind.FILE
        except OSError as error:
            raise SystemFailure.of(error, "read", entry.path) from error


def _search_below(folder: str) -> Iterator[tuple[str, Kind]]:
    if is_bag(folder):
        yield folder, Kind.BAG
    else:
        yield from search(folder)


def is_part(name: str) -> bool:
    """Whether a name is that of a private file of a run."""
    return name.startswith(_PART[0]) and name.endswith(_PART[1])


def has_name(path: str) -> bool:
    """Whether a file is named as an archive is: then it is one, or it is damaged."""
    return path.lower().endswith(_NAMES)


@contextlib.contextmanager
def opened(path: str, kind: Kind, identities: Identities = nobody) -> Iterator[SealedArchive]:
    """Open an archive or an unpacked bag. Raises as `open_archive` does."""
    if kind is Kind.FILE:
        with open_archive(path, identities) as archive:
            yield archive
        return
    folder = bag_in(path)
    if folder is None:
        raise NotFound(f"there is no unpacked archive in {path}", reason="no-file", path=path)
    with named_errors(path, path):
        yield SealedArchive(BagStream(folder), path, path=os.path.abspath(path))


def head_of(
    path: str,
    kind: Kind,
    policy: TrustPolicy,
    identities: Identities = nobody,
    control: Control | None = None,
) -> Found | None:
    """Read the head of one archive; None for a file that is none, and is not named as one.

    What is wrong with it is in what is returned. Raises Cancelled, and SystemFailure for trouble
    of the machine.
    """
    check = (control or Control()).check
    size = _size(path, kind)
    try:
        with opened(path, kind, identities) as archive:
            head = head_of_trusted(archive.authenticate(policy, check), policy)
            return Found(path, kind, size, head)
    except NotAnArchive as error:
        return Found(path, kind, size, None, error) if has_name(path) else None
    except SystemFailure as error:
        return Found(path, kind, size, None, error)
    except WmbackupError as error:
        return Found(path, kind, size, None, error)


def head_of_trusted(trusted: TrustedArchive, policy: TrustPolicy) -> Head:
    """Return the head of an archive whose signers are trusted."""
    info, maker = trusted.info, trusted.keys[0]
    signed = hashlib.sha256(trusted.tag_manifest).hexdigest()
    return Head(info, trusted.principals, _principal(policy, maker, info), maker, signed)


def head_from(done: VerifySummary, policy: TrustPolicy) -> Head:
    """Return the head of an archive that was verified."""
    principal = _principal(policy, done.maker, done.info)
    return Head(done.info, done.principals, principal, done.maker, done.signed)


def file_size(path: str) -> int:
    """Return the bytes of a file, 0 where it cannot be looked at."""
    return _size(path, Kind.FILE)


def _size(path: str, kind: Kind) -> int:
    try:
        if kind is Kind.FILE:
            return os.stat(path).st_size
        return sum(
            os.lstat(os.path.join(at, name)).st_size
            for at, _, files in os.walk(path)
            for name in files
        )
    except OSError:
        return 0


def _principal(policy: TrustPolicy, maker: bytes, info: BagInfo) -> str:
    """Return whom the maker's own key stands for; its fingerprint where cosigners are trusted."""
    if isinstance(policy, Policy):
        alone = replace(policy, required=1, named=())
        with contextlib.suppress(WmbackupError):
            return alone.check(maker, (), info.created, info.host)[0]
    return fingerprint(maker)


def count_licenses(
    found: Found, policy: TrustPolicy, identities: Identities = nobody
) -> int | None:
    """Return how many licenses an archive carries, by its head; None where it cannot be read."""
    try:
        with (
            opened(found.path, found.kind, identities) as archive,
            inventory_of_archive(archive, policy) as listing,
        ):
            return sum(row.license is not None and not row.license.withheld for row in listing.rows)
    except WmbackupError:
        return None


def file_hash(path: str, control: Control | None = None) -> str:
    """Return the SHA-256 of a file (hexadecimal). Raises SystemFailure, Cancelled."""
    digest = hashlib.sha256()
    control = control or Control()
    try:
        with open_file(path) as file:
            while data := file.read(_BLOCK):
                control.check()
                digest.update(data)
    except OSError as error:
        raise SystemFailure.of(error, "read", path) from error
    return digest.hexdigest()


def entry_of(found: Found, head: Head, file: str | None = None) -> Entry:
    """Return what the ledger remembers of an archive."""
    info = head.info
    return Entry(
        archive_id=info.archive_id,
        created=format_time(info.created),
        signer=info.signer,
        signed=head.signed,
        size=found.size,
        files=info.files,
        withheld=info.withheld,
        skipped=info.skipped,
        chain=info.chain,
        sequence=info.sequence,
        previous=info.previous,
        file=file,
        path=os.path.abspath(found.path),
    )


def place_of(info: BagInfo, destination: str | None) -> Place:
    """Return the place of the series that an archive belongs to."""
    return Place(info.host, info.store_kind, info.store, destination)


def moment_of(text: str) -> datetime:
    """Return the time of an `Entry`."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

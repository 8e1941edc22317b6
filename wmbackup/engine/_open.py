"""Opening an archive, asking whether its signers are trusted, and reading its head."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import BinaryIO

from wmbackup.archive.inventory import Inventory
from wmbackup.archive.reader import Claims, SealedArchive, TrustedArchive, TrustPolicy
from wmbackup.archive.stream import ByteStream
from wmbackup.engine._archive_file import NamedPipe, open_file
from wmbackup.engine._envelope import (
    Identities,
    Spool,
    Unsealed,
    encrypted_spool,
    nobody,
    unseal,
    warn_of_recipients,
)
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveUnavailable,
    EnvelopeDamaged,
    EnvelopeTruncated,
    NotFound,
    SignerUntrusted,
    SystemFailure,
    Undecryptable,
    UnsupportedArchive,
    UsageError,
)
from wmbackup.status import Control, Phase, PhaseEvent, WarningEvent
from wmbackup.storage.files import resolved
from wmbackup.storage.spool import spool_failure, spool_in, temporary_folder
from wmbackup.storage.trouble import is_of_file
from wmbackup.trust.policy import Policy

HOPELESS = "head"
"""The reason where not even a salvage helps, since it begins where the signature ends."""


class NamedStream:
    """A stream whose errors name it, so that nobody takes them for those of the target."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise SystemFailure.of(error, "read", self._name) from error

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        try:
            return self._stream.seek(offset)
        except OSError as error:
            raise SystemFailure.of(error, "read", self._name) from error


@contextlib.contextmanager
def open_archive(
    source: str | BinaryIO, identities: Identities = nobody, *, salvage: bool = False
) -> Iterator[SealedArchive]:
    """Open an archive: a path, or a stream such as standard input.

    An archive in an envelope is decrypted as it is read; ``identities`` returns what to try when
    one is met. With ``salvage`` a damaged envelope is read as far as it can be. What goes wrong
    with the archive while it is open is reported with its name.

    Raises NotFound, UsageError, ArchiveUnavailable, SystemFailure; of an envelope Undecryptable,
    ArchiveDamaged and UnsupportedArchive.
    """
    if not isinstance(source, str):
        with named_errors("standard input") as naming:
            yield _sealed(source, naming, identities, salvage=salvage)
        return
    if not source:
        raise UsageError("the name of the archive is empty", reason="no-archive-name")
    try:
        file = open_file(source)
    except FileNotFoundError:
        raise NotFound(f"there is no file {source}", reason="no-file", path=source) from None
    except IsADirectoryError:
        raise _is_folder(source) from None
    except NamedPipe as error:
        raise ArchiveUnavailable(
            f"{source} is a named pipe, and is not waited for",
            reason="named-pipe",
            path=source,
        ) from error
    except OSError as error:
        if os.path.isdir(source):  # which Windows calls a matter of permission
            raise _is_folder(source) from None
        raise unavailable(error, source) from error
    try:
        with named_errors(source, source) as naming:
            yield _sealed(file, naming, identities, salvage=salvage, path=resolved(source))
    finally:
        with contextlib.suppress(OSError):  # everything that counts was read
            file.close()


def _is_folder(source: str) -> UsageError:
    return UsageError(f"{source} is a folder", reason="archive-is-folder", path=source)


def _sealed(
    stream: BinaryIO,
    naming: _Naming,
    identities: Identities,
    *,
    salvage: bool,
    path: str | None = None,
) -> SealedArchive:
    length = _length(stream)
    named = NamedStream(stream, naming.name)
    if length is None:
        waiting = _Pipe(lambda: unseal(named, None, identities, salvage=salvage), naming)
        waiting.archive.path = path
        return waiting.archive
    found = unseal(named, length, identities, salvage=salvage)
    naming.decrypted = found.recipient is not None
    hidden = naming.decrypted and not found.shared
    return SealedArchive(
        found.stream,
        naming.name,
        found.length,
        path=path,
        descriptor=None if hidden else stream.fileno(),
        recipient=found.recipient,
        shared=found.shared,
    )


class _Pipe:
    """A pipe of which nothing is read before somebody wants it: it may say nothing for long."""

    def __init__(self, unsealed: Callable[[], Unsealed], naming: _Naming) -> None:
        """Take what reads its beginning, and knows an envelope by it."""
        self._unsealed = unsealed
        self._naming = naming
        self._stream: ByteStream | None = None
        self.archive = SealedArchive(self, naming.name)

    def read(self, size: int) -> bytes:
        if self._stream is None:
            found = self._unsealed()
            self._stream = found.stream
            self.archive.recipient = found.recipient
            self._naming.decrypted = found.recipient is not None
        return self._stream.read(size)

    def tell(self) -> int:
        raise OSError(errno.ESPIPE, "a pipe has no offsets")

    def seek(self, offset: int) -> int:
        raise OSError(errno.ESPIPE, f"a pipe has no offset {offset}")


def _length(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size - stream.tell()
    except (OSError, ValueError):
        pass
    return None


def unavailable(error: OSError, source: str) -> ArchiveUnavailable | SystemFailure:
    """Return the error for an archive that cannot be opened."""
    failure = SystemFailure.of(error, "read", source)
    if not is_of_file(error):
        return failure
    return ArchiveUnavailable(failure.message, reason=failure.reason, path=source)


class _Naming:
    """What errors are to say of an archive: its name, and whether it was decrypted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.decrypted = False


@contextlib.contextmanager
def named_errors(name: str, path: str | None = None) -> Iterator[_Naming]:
    """Give errors of an archive its name, and its path where it has one."""
    naming = _Naming(name)
    try:
        yield naming
    except (ArchiveDamaged, UnsupportedArchive, SignerUntrusted, Undecryptable) as error:
        inside = naming.decrypted and not isinstance(error, (EnvelopeDamaged, EnvelopeTruncated))
        error.message = f"{name}: {'decrypted, but ' if inside else ''}{error.message}"
        error.args = (error.message,)
        error.path = path
        raise


@contextlib.contextmanager
def spooling() -> Iterator[None]:
    """Give errors of private temporary files a sentence; those of the archive have theirs."""
    try:
        yield
    except OSError as error:
        raise spool_failure(error) from error


def authenticate(archive: SealedArchive, policy: TrustPolicy, control: Control) -> TrustedArchive:
    """Read an archive as far as its signers are trusted.

    Raises SignerUntrusted and its kin, ArchiveDamaged, UnsupportedArchive, SystemFailure.
    """
    control.notify(PhaseEvent(Phase.AUTHENTICATING))
    try:
        trusted = archive.authenticate(policy, control.check)
    except SignerUntrusted as error:
        if archive.path is None:
            error.reason = "pipe"
        else:
            error.path = archive.name
        raise
    except ArchiveDamaged as error:
        error.reason = error.reason or HOPELESS
        raise
    warn_of_recipients(trusted.info, archive.recipient, control)
    _warn_of_ignored(archive, trusted, policy, control)
    return trusted


def _warn_of_ignored(
    archive: SealedArchive, trusted: TrustedArchive, policy: TrustPolicy, control: Control
) -> None:
    """Warn of countersignatures that count for nothing."""
    maker, *cosigners = trusted.keys
    if not cosigners or not isinstance(policy, Policy):
        return
    for mark, is_revoked in policy.ignored(maker, cosigners, trusted.info.created):
        if is_revoked:
            event = WarningEvent(
                "cosigner-revoked",
                f"{archive.name}: the countersignature by {mark}, which is revoked, is ignored",
            )
        else:
            event = WarningEvent(
                "cosigner-untrusted",
                f"{archive.name}: the countersignature by {mark}, which is not trusted, is ignored",
            )
        control.notify(event)


def private_files(archive: SealedArchive) -> Spool:
    """Return a maker of private files, with no plaintext on the disk of what came encrypted."""
    spool = spool_in(temporary_folder())
    return spool if archive.recipient is None else encrypted_spool(spool)


@contextlib.contextmanager
def open_inventory(
    archive: SealedArchive, policy: TrustPolicy, control: Control
) -> Iterator[tuple[TrustedArchive, Inventory]]:
    """Read the head of an archive whose signers are trusted. Raises as `authenticate` does."""
    trusted = authenticate(archive, policy, control)
    with spooling():
        inventory = trusted.read_head(private_files(archive))
    with contextlib.closing(inventory):
        yield trusted, inventory


def identify(archive: SealedArchive) -> Claims:
    """Return the key that made an archive, and what it says of itself, untrusted.

    Raises as `authenticate` does, but for trust.
    """
    return archive.claims()

"""Opening an archive and asking whether its signers are believed."""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from wmbackup.archive.head import Head
from wmbackup.archive.reader import ArchiveReader
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine.archive_file import NamedPipe, open_file
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    ArchiveUnavailable,
    ArchiveUnsigned,
    NotFound,
    SignerUntrusted,
    SystemFailure,
    UnsupportedArchive,
    UsageError,
)
from wmbackup.files import resolved, spool_failure, spool_in, temporary_folder
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.stores.trouble import is_of_file
from wmbackup.trust.policy import Policy, principal_of

HOPELESS = "nothing in this copy can be proven; look for another one"
"""The next step where not even a salvage helps, since it begins where the signature ends."""


class ArchiveInput(NamedTuple):
    """An archive to read.

    ``name`` is for messages, ``length`` is in bytes and None where it is not known beforehand
    (a pipe), ``path`` is the absolute path where it has one, ``start`` where the archive begins.
    """

    name: str
    stream: BinaryIO
    length: int | None
    path: str | None = None
    start: int = 0


class _Guarded:
    """A stream whose errors name it, so that nobody takes them for those of the target."""

    def __init__(self, source: ArchiveInput) -> None:
        self._stream = source.stream
        self._name = source.name
        self._seekable = source.length is not None

    def read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            raise SystemFailure.of(error, "read", self._name) from error

    def seekable(self) -> bool:
        return self._seekable

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int) -> int:
        try:
            return self._stream.seek(offset)
        except OSError as error:
            raise SystemFailure.of(error, "read", self._name) from error


@contextlib.contextmanager
def open_archive(source: str | BinaryIO) -> Iterator[ArchiveInput]:
    """Open an archive: a path, or a stream such as standard input.

    What goes wrong with the archive while it is open is told with its name.

    Raises NotFound, UsageError, ArchiveUnavailable, SystemFailure.
    """
    if not isinstance(source, str):
        with _named("standard input"):
            length = _length(source)
            start = 0 if length is None else source.tell()
            yield ArchiveInput("standard input", source, length, start=start)
        return
    if not source:
        raise UsageError("the name of the archive is empty", hint="name a file, or - for a pipe")
    try:
        file = open_file(source)
    except FileNotFoundError:
        raise NotFound(f"there is no file {source}", hint="check its path") from None
    except IsADirectoryError:
        raise UsageError(f"{source} is a folder", hint="name the archive in it") from None
    except NamedPipe as error:
        raise ArchiveUnavailable(
            f"{source} is a named pipe, and is not waited for",
            hint=f"read it from standard input: wmbackup verify - < {shlex.quote(source)}",
        ) from error
    except OSError as error:
        if os.path.isdir(source):  # which Windows calls a matter of permission
            raise UsageError(f"{source} is a folder", hint="name the archive in it") from None
        raise unavailable(error, source) from error
    try:
        with _named(source):
            yield ArchiveInput(source, file, _length(file), resolved(source))
    finally:
        with contextlib.suppress(OSError):  # everything that counts was read
            file.close()


def unavailable(error: OSError, source: str) -> ArchiveUnavailable | SystemFailure:
    """Return the error for an archive that cannot be opened."""
    failure = SystemFailure.of(error, "read", source)
    if not is_of_file(error):
        return failure
    return ArchiveUnavailable(failure.message, hint=failure.hint)


@contextlib.contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except (ArchiveDamaged, UnsupportedArchive, SignerUntrusted) as error:
        error.message = f"{name}: {error.message}"
        error.args = (error.message,)
        if error.hint is None and isinstance(error, ArchiveDamaged):
            error.hint = "use another copy of the archive, or see what restore --salvage finds"
        raise


def _length(stream: BinaryIO) -> int | None:
    try:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode):
            return status.st_size - stream.tell()
    except (OSError, ValueError):
        pass
    return None


class Authenticated(NamedTuple):
    """An archive whose maker is believed; nothing behind its bag-info.txt has been read.

    ``principals`` are those who signed and are trusted.
    """

    reader: ArchiveReader
    info: BagInfo
    principals: tuple[str, ...]


class Believed(NamedTuple):
    """An authenticated archive whose head is proven and in private storage."""

    reader: ArchiveReader
    info: BagInfo
    principals: tuple[str, ...]
    head: Head


@contextlib.contextmanager
def spooling() -> Iterator[None]:
    """Give errors of private temporary files a sentence; those of the archive have theirs."""
    try:
        yield
    except OSError as error:
        raise spool_failure(error) from error


def authenticate(source: ArchiveInput, policy: Policy, control: Control) -> Authenticated:
    """Read an archive as far as its signers are believed.

    Raises SignerUntrusted and its kin, ArchiveDamaged, UnsupportedArchive, SystemFailure.
    """
    control.notify(PhaseEvent(Phase.AUTHENTICATING))
    with spooling():
        reader = ArchiveReader(_Guarded(source), spool_in(temporary_folder()), source.length)
    try:
        signatures = reader.signatures()
        policy.judge(signatures.maker, signatures.witnesses)
        info = reader.info()
        principals = policy.judge(
            signatures.maker, signatures.witnesses, info.created, principal_of(info.host)
        )
    except SignerUntrusted as error:
        if error.hint is None:
            error.hint = _how_to_trust(error, source)
        raise
    except ArchiveDamaged as error:
        if isinstance(error, ArchiveTruncated):
            error.hint = "fetch it again from where it was copied: of this copy nothing is proven"
        elif not isinstance(error, ArchiveUnsigned):
            error.hint = HOPELESS
        raise
    return Authenticated(reader, info, principals)


@contextlib.contextmanager
def believe(source: ArchiveInput, policy: Policy, control: Control) -> Iterator[Believed]:
    """Read the head of an archive whose signers are believed. Raises as `authenticate` does."""
    signed = authenticate(source, policy, control)
    with spooling():
        head = signed.reader.head()
    with contextlib.closing(head):
        yield Believed(*signed, head)


def identify(source: ArchiveInput) -> tuple[bytes, BagInfo]:
    """Return the key that made an archive (32 raw bytes), and what it says of itself.

    Nothing of it is believed: whoever made the archive wrote both. Raises as `believe` does,
    but for trust.
    """
    with spooling():
        reader = ArchiveReader(_Guarded(source), spool_in(temporary_folder()), source.length)
    return reader.signatures().maker, reader.info()


def _how_to_trust(error: SignerUntrusted, source: ArchiveInput) -> str | None:
    if error.code != "signer-untrusted":
        return None
    if source.path is None:
        return (
            "if you know that this key is the one of the machine that made it, save the archive to"
            f" a file, then: wmbackup key trust FILE --fingerprint {error.fingerprint}"
        )
    name = quote(source.name)
    return (
        "if you know that this key is the one of the machine that made it:"
        f" wmbackup key trust {name} --fingerprint {error.fingerprint}"
    )


def quote(name: str) -> str:
    """Return a name as it is typed into a shell of this system."""
    quoted = shlex.quote(name)
    if sys.platform == "win32":
        quoted = f'"{name}"' if " " in name or not name else name
    return quoted

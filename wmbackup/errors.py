"""One tree of errors. Each knows its stable code and its exit code; none ends the process."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """What the process ends with. README, help and manual print this table."""

    meaning: str

    OK = 0, "everything was done"
    FAILED = 1, "failed"
    USAGE = 2, "the command line, the configuration, a key or a trust file cannot be used"
    PARTIAL = 3, "finished, but some licenses were restricted or skipped"
    DAMAGED = 4, "the archive is damaged, truncated or unsigned, or its signature is invalid"
    UNTRUSTED = 5, "the signer is not trusted, is revoked, or too few signed"
    UNDECRYPTABLE = 6, "no key or passphrase here decrypts the archive"
    NOT_FOUND = 7, "not found, nothing to back up, not an archive, or not available here"
    BUSY = 8, "another run holds the store or the destination"
    REFUSED = 9, "the license service refused"
    STALE = 10, "the history is stale, rolled back or inconsistent"
    DIFFERS = 11, "what was compared differs"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"
    TERMINATED = 143, "terminated"

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Make a member that carries its meaning for the tables."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member


class WmbackupError(Exception):
    """Anything that this program reports.

    The message is one clause in lower case without a full stop that names the thing. ``reason``
    is a short slug that tells apart the causes of one class; ``path`` is the file or folder that
    the next step is about. The command line makes the next step from these facts and prints it
    as a hint. ``hint`` is for the next step of a store of another package, in plain words: errors
    of this package leave it out below the command line. ``hresult`` is the unsigned HRESULT where
    the documented interface has one.
    """

    code: ClassVar[str] = "failed"
    exit_code: ExitCode = ExitCode.FAILED
    hresult: int | None = None

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        reason: str | None = None,
        path: str | None = None,
    ) -> None:
        """Keep the message and the facts; see the class."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason
        self.path = path


class UsageError(WmbackupError):
    """The request contradicts itself or names something that is not valid."""

    code = "usage"
    exit_code = ExitCode.USAGE


class SetupUnusable(UsageError):
    """A key, a trust file or the configuration is missing, may not be read, or is no file."""

    code = "setup-unusable"


class SigningKeyMissing(UsageError):
    """There is no signing key, and nobody to ask whether to make one."""

    code = "signing-key-missing"


class SigningKeyUnusable(UsageError):
    """The signing key's file is not an Ed25519 key that can be used here."""

    code = "signing-key-unusable"


class OutputInsideStore(UsageError):
    """The archive would be written into the store that is read."""

    code = "output-inside-store"


class ConfirmationNeeded(UsageError):
    """Nobody is there to confirm, and no consent was given beforehand."""

    code = "confirmation-needed"


class StoreReadOnly(UsageError):
    """The store cannot take what should be restored into it."""

    code = "store-read-only"


class OutputExists(WmbackupError):
    """The output exists and may not be replaced."""

    code = "output-exists"
    hresult = 0xC00D2742  # NS_E_DRM_BACKUP_EXISTS


class RestoreConflict(WmbackupError):
    """Files with other content stand where the archive's would go."""

    code = "restore-conflict"


class HalfRestored(WmbackupError):
    """The store is in the middle of a restore, under way or cut off."""

    code = "half-restored"


class Declined(WmbackupError):
    """The user saw the plan and said no."""

    code = "declined"


class TimedOut(WmbackupError):
    """The time that the caller gave is over."""

    code = "timed-out"


class SystemFailure(WmbackupError):
    """The operating system refused: no space, no permission, a broken disk, a limit."""

    code = "system"

    @classmethod
    def of(cls, error: OSError, doing: str, name: str) -> SystemFailure:
        """Say what failed while doing something to the named thing."""
        reason = REASONS.get(error.errno or 0)
        return cls(f"cannot {doing} {name}: {_text(error)}", reason=reason, path=name)


NO_SPACE = "no-space"
NO_PERMISSION = "no-permission"
READ_ONLY = "read-only"
FEW_FILES = "few-files"
FEW_FILES_AT_ALL = "few-files-at-all"
NO_MEMORY = "no-memory"
IN_USE = "in-use"

REASONS = {
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: NO_SPACE,
    errno.EACCES: NO_PERMISSION,
    errno.EPERM: NO_PERMISSION,
    errno.EROFS: READ_ONLY,
    errno.EMFILE: FEW_FILES,
    errno.ENFILE: FEW_FILES_AT_ALL,
    errno.ENOMEM: NO_MEMORY,
    errno.EBUSY: IN_USE,
    errno.EAGAIN: IN_USE,
    errno.ETXTBSY: IN_USE,
}
"""The causes of a failure of the system that have a next step, by the number of the error."""

LIMITS = frozenset({FEW_FILES, FEW_FILES_AT_ALL, NO_MEMORY, IN_USE})
"""Those that have nothing to do with the file that the failure names."""


def _text(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


class Unconfirmed(SystemFailure):
    """Something is in its place, whole, and the system did not confirm that the disk holds it."""

    code = "unconfirmed"

    @classmethod
    def at(cls, error: OSError, what: str, path: str) -> Unconfirmed:
        """Say what is true of the named thing, such as ``the archive``, after a late failure."""
        return cls(
            f"{what} is complete at {path}, but that it is on the disk could not be confirmed:"
            f" {_text(error)}",
            path=path,
        )


class ArchiveDamaged(WmbackupError):
    """The archive is not what its signer sealed."""

    code = "archive-damaged"
    exit_code = ExitCode.DAMAGED
    hresult = 0xC00D2743  # NS_E_DRM_BACKUP_CORRUPT


class ArchiveTruncated(ArchiveDamaged):
    """The archive ends too early."""

    code = "archive-truncated"


class ArchiveUnsigned(ArchiveDamaged):
    """The archive carries no signature."""

    code = "archive-unsigned"


class EnvelopeDamaged(ArchiveDamaged):
    """The encryption around the archive does not authenticate, or is malformed."""

    code = "envelope-damaged"


class EnvelopeTruncated(ArchiveTruncated):
    """The encryption around the archive ends too early."""

    code = "envelope-truncated"


class Undecryptable(WmbackupError):
    """No identity and no passphrase here opens the archive.

    ``recipients`` counts the stanzas of each type in its header, such as ``{"X25519": 2}``.
    """

    code = "undecryptable"
    exit_code = ExitCode.UNDECRYPTABLE

    def __init__(self, message: str, *, recipients: Mapping[str, int]) -> None:
        """Keep the counts, so that a caller can tell what it would take."""
        super().__init__(message)
        self.recipients = recipients


class UnsupportedArchive(WmbackupError):
    """The archive is of a version, or needs a feature, that this program does not know."""

    code = "archive-unsupported"
    exit_code = ExitCode.NOT_FOUND


class NotAnArchive(UnsupportedArchive):
    """The file does not begin as an archive."""

    code = "not-an-archive"


class ArmoredArchive(UnsupportedArchive):
    """The archive is an age file in armor, which has to be taken off first."""

    code = "archive-armored"


class SignerUntrusted(WmbackupError):
    """Nobody who signed is trusted here.

    ``fingerprint`` is the maker's, as ``ssh-keygen -l`` prints it.
    """

    code = "signer-untrusted"
    exit_code = ExitCode.UNTRUSTED

    def __init__(
        self,
        message: str,
        *,
        fingerprint: str,
        hint: str | None = None,
        reason: str | None = None,
        path: str | None = None,
    ) -> None:
        """Keep the fingerprint, so that a caller can tell how to trust it."""
        super().__init__(message, hint=hint, reason=reason, path=path)
        self.fingerprint = fingerprint


class SignerRevoked(SignerUntrusted):
    """The maker's key is revoked."""

    code = "signer-revoked"


class SignerExpired(SignerUntrusted):
    """The keys that signed were not valid when the archive was signed."""

    code = "signer-expired"


class TooFewSigners(SignerUntrusted):
    """Fewer trusted principals signed than are required."""

    code = "too-few-signers"


class SignerMissing(SignerUntrusted):
    """A principal that has to be among the signers did not sign, or is not trusted."""

    code = "signer-missing"


class NotFound(WmbackupError):
    """What was named is not there."""

    code = "not-found"
    exit_code = ExitCode.NOT_FOUND


class ArchiveUnavailable(NotFound):
    """The archive may not be read, or is not a file that can be."""

    code = "archive-unavailable"


class StoreUnavailable(NotFound):
    """The store is not there, cannot be read, or does not exist on this system."""

    code = "store-unavailable"


class HistoryInconsistent(WmbackupError):
    """The archives of a series contradict each other, the clock or what is known of them."""

    code = "history-inconsistent"
    exit_code = ExitCode.STALE


class RolledBack(HistoryInconsistent):
    """The archive is older than the newest one of its series that is known here."""

    code = "archive-older"


class ArchiveStale(WmbackupError):
    """The newest archive of a series is older than it may be."""

    code = "archive-stale"
    exit_code = ExitCode.STALE


class Incomplete(WmbackupError):
    """Something would be left behind, and the caller takes that for a failure."""

    code = "incomplete"


class NothingToBackUp(NotFound):
    """The store has nothing that may be carried; no archive is made."""

    code = "nothing-to-back-up"


class Busy(WmbackupError):
    """Another run holds the store or the destination."""

    code = "busy"
    exit_code = ExitCode.BUSY
    hresult = 0xC00D2744  # NS_E_DRM_BACKUPRESTORE_BUSY


class Cancelled(WmbackupError):
    """The caller asked to stop, and nothing was left behind."""

    code = "cancelled"
    exit_code = ExitCode.INTERRUPTED
    hresult = 0xC00D2768  # NS_E_DRM_OPERATION_CANCELED

    def __init__(self, message: str = "canceled") -> None:
        """Say that the operation was canceled; nothing more is known here."""
        super().__init__(message)


def os_error_name(error: OSError) -> str:
    """Return the file that the system's error names, fit for a message."""
    name = error.filename if error.filename is not None else ""
    return name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)

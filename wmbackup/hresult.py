"""The HRESULTs of the documented interface: name, number, class, and what to do about each.

Names and numbers are those of the public headers (``nserror.h``, ``winerror.h``). Classes,
sentences and next steps are this program's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from wmbackup.errors import ExitCode, WmbackupError


class Category(Enum):
    """What kind of trouble an HRESULT means, which decides exit code and next step."""

    OK = "ok", ExitCode.OK, "there is nothing to do"
    EXISTS = (
        "exists",
        ExitCode.FAILED,
        "choose another output, or replace the backup that is there with --force",
    )
    CORRUPT = (
        "corrupt",
        ExitCode.DAMAGED,
        "run wmbackup verify on the archive, and restore an older one that passes",
    )
    BUSY = "busy", ExitCode.BUSY, "close Windows Media Player and other players, then try again"
    CONSENT = (
        "consent",
        ExitCode.REFUSED,
        (
            "read Microsoft's privacy policy, https://privacy.microsoft.com/privacystatement,"
            " then allow the upgrade with --allow-individualize"
        ),
    )
    SERVICE = (
        "service",
        ExitCode.REFUSED,
        (
            "check the Internet connection and try on another day; the service may be gone for"
            " good, so keep the archive"
        ),
    )
    LIMIT = (
        "limit",
        ExitCode.REFUSED,
        "open the address that the service gave, or ask the shop that sold the licenses",
    )
    MACHINE = (
        "machine",
        ExitCode.FAILED,
        "keep a copy of the DRM folder, then let Windows Media Player repair its store",
    )
    PARTIAL = (
        "partial",
        ExitCode.PARTIAL,
        "run wmbackup list to see which licenses are missing, and ask their shops for new ones",
    )
    ENVIRONMENT = (
        "environment",
        ExitCode.NOT_FOUND,
        "run wmbackup check to see what this system and this Python can do",
    )
    CANCELLED = "cancelled", ExitCode.INTERRUPTED, "start again when you want to"
    OTHER = "other", ExitCode.FAILED, "run again with --debug and report what it prints"

    def __init__(self, word: str, exit_code: ExitCode, next_step: str) -> None:
        """Keep the word for the reports, the exit code, and the usual next step."""
        self.word = word
        self.exit_code = exit_code
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class HResult:
    """One HRESULT: ``value`` is unsigned, 32 bits."""

    value: int
    name: str
    category: Category
    sentence: str

    @property
    def signed(self) -> int:
        """The number as tools print it that take an HRESULT for a signed integer."""
        return self.value - 2**32 if self.value >= 2**31 else self.value

    @property
    def failed(self) -> bool:
        """FAILED() of ``winerror.h``."""
        return self.value >= 2**31


def _table() -> tuple[HResult, ...]:
    c = Category
    rows: tuple[tuple[int, str, Category, str], ...] = (
        (0x00000000, "S_OK", c.OK, "the call succeeded"),
        (
            0x80004001,
            "E_NOTIMPL",
            c.ENVIRONMENT,
            "this system has the interface's name but not its function, as Wine has",
        ),
        (0x80004005, "E_FAIL", c.OTHER, "the interface failed and gave no reason"),
        (
            0x80070005,
            "E_ACCESSDENIED",
            c.ENVIRONMENT,
            "this user may not use the interface or read the store",
        ),
        (
            0x80070103,
            "ERROR_NO_MORE_ITEMS",
            c.OK,
            "the list has come to its end",
        ),
        (0x8007000E, "E_OUTOFMEMORY", c.OTHER, "the interface ran out of memory"),
        (0x80070057, "E_INVALIDARG", c.OTHER, "the interface was called with a wrong argument"),
        (
            0x80040154,
            "REGDB_E_CLASSNOTREG",
            c.ENVIRONMENT,
            "the Windows Media components are not registered on this system",
        ),
        (
            0xC00D2711,
            "NS_E_DRM_INVALID_APPLICATION",
            c.MACHINE,
            "the DRM component does not accept the program that called it",
        ),
        (
            0xC00D2712,
            "NS_E_DRM_LICENSE_STORE_ERROR",
            c.MACHINE,
            "the license store cannot be read or written",
        ),
        (
            0xC00D2713,
            "NS_E_DRM_SECURE_STORE_ERROR",
            c.MACHINE,
            "the secure store beside the licenses cannot be read or written",
        ),
        (
            0xC00D2717,
            "NS_E_DRM_UNABLE_TO_OPEN_LICENSE",
            c.CORRUPT,
            "a license is there and cannot be opened",
        ),
        (0xC00D2718, "NS_E_DRM_INVALID_LICENSE", c.CORRUPT, "a license is not a valid one"),
        (
            0xC00D2719,
            "NS_E_DRM_INVALID_MACHINE",
            c.MACHINE,
            "the licenses were made for another machine",
        ),
        (
            0xC00D271D,
            "NS_E_DRM_UNABLE_TO_INITIALIZE",
            c.ENVIRONMENT,
            "the DRM component does not start on this system",
        ),
        (
            0xC00D2725,
            "NS_E_DRM_LICENSE_INVALID_XML",
            c.CORRUPT,
            "the text of a license is not well formed",
        ),
        (
            0xC00D2728,
            "NS_E_DRM_NEEDS_INDIVIDUALIZATION",
            c.CONSENT,
            "the DRM component wants a security upgrade for this machine first",
        ),
        (
            0xC00D272B,
            "NS_E_DRM_ACQUIRING_LICENSE",
            c.BUSY,
            "another license is being fetched at this moment",
        ),
        (
            0xC00D272C,
            "NS_E_DRM_INDIVIDUALIZING",
            c.BUSY,
            "a security upgrade is running at this moment",
        ),
        (
            0xC00D272D,
            "NS_E_BACKUP_RESTORE_FAILURE",
            c.SERVICE,
            "the license service could not carry out the request",
        ),
        (
            0xC00D272E,
            "NS_E_BACKUP_RESTORE_BAD_REQUEST_ID",
            c.SERVICE,
            "the license service does not know the number of this request",
        ),
        (
            0xC00D2735,
            "NS_E_DRM_UNABLE_TO_CREATE_BACKUP_OBJECT",
            c.ENVIRONMENT,
            "the backup object cannot be created on this system",
        ),
        (
            0xC00D2736,
            "NS_E_DRM_INDIVIDUALIZE_ERROR",
            c.SERVICE,
            "the security upgrade failed",
        ),
        (
            0xC00D2742,
            "NS_E_DRM_BACKUP_EXISTS",
            c.EXISTS,
            "a backup is there already and was not touched",
        ),
        (0xC00D2743, "NS_E_DRM_BACKUP_CORRUPT", c.CORRUPT, "the backup is damaged"),
        (
            0xC00D2744,
            "NS_E_DRM_BACKUPRESTORE_BUSY",
            c.BUSY,
            "another backup or restore is running",
        ),
        (
            0xC00D2745,
            "NS_E_BACKUP_RESTORE_BAD_DATA",
            c.SERVICE,
            "the license service could not make sense of the backup's data",
        ),
        (
            0xC00D274C,
            "NS_E_DRM_INDIVIDUALIZATION_INCOMPLETE",
            c.CONSENT,
            "an earlier security upgrade of this machine was not finished",
        ),
        (
            0xC00D2752,
            "NS_E_DRM_APPCERT_REVOKED",
            c.ENVIRONMENT,
            "the DRM component no longer accepts the certificate of its caller",
        ),
        (
            0xC00D2753,
            "NS_E_DRM_RESTORE_FRAUD",
            c.LIMIT,
            "the license service refuses this restore as one too many",
        ),
        (
            0xC00D2754,
            "NS_E_DRM_HARDWARE_INCONSISTENT",
            c.MACHINE,
            "the hardware changed while the DRM component was looking at it",
        ),
        (
            0xC00D275E,
            "NS_E_DRM_ERROR_BAD_NET_RESP",
            c.SERVICE,
            "the answer from the network is not what the DRM component expects",
        ),
        (
            0xC00D275F,
            "NS_E_DRM_STORE_NOTALLSTORED",
            c.PARTIAL,
            "some of the licenses were stored and some were not",
        ),
        (
            0xC00D2761,
            "NS_E_DRM_INVALID_DATA",
            c.CORRUPT,
            "data that the DRM component was given is not valid",
        ),
        (
            0xC00D2762,
            "NS_E_DRM_POLICY_DISABLE_ONLINE",
            c.SERVICE,
            "a group policy forbids Windows Media DRM to use the Internet",
        ),
        (
            0xC00D2766,
            "NS_E_BACKUP_RESTORE_TOO_MANY_RESETS",
            c.LIMIT,
            "the licenses were restored on too many machines, or too often in a day",
        ),
        (
            0xC00D2767,
            "NS_E_DRM_DEBUGGING_NOT_ALLOWED",
            c.ENVIRONMENT,
            "the DRM component does not run while a debugger is attached",
        ),
        (
            0xC00D2768,
            "NS_E_DRM_OPERATION_CANCELED",
            c.CANCELLED,
            "the operation was canceled",
        ),
        (
            0xC00D2778,
            "NS_E_DRM_SDK_VERSIONMISMATCH",
            c.ENVIRONMENT,
            "parts of the Windows Media components are of different versions",
        ),
        (
            0xC00D277F,
            "NS_E_DRM_CHECKPOINT_FAILED",
            c.MACHINE,
            "the DRM component's check of its own state failed",
        ),
        (
            0xC00D2780,
            "NS_E_DRM_BB_UNABLE_TO_INITIALIZE",
            c.MACHINE,
            "the machine-bound part of the DRM component does not start",
        ),
        (
            0xC00D2781,
            "NS_E_DRM_UNABLE_TO_LOAD_HARDWARE_ID",
            c.MACHINE,
            "the DRM component cannot read what identifies this hardware",
        ),
        (
            0xC00D2782,
            "NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE",
            c.MACHINE,
            "the DRM data store cannot be opened",
        ),
        (0xC00D2783, "NS_E_DRM_DATASTORE_CORRUPT", c.MACHINE, "the DRM data store is damaged"),
        (
            0xC00D2785,
            "NS_E_DRM_STUBLIB_REQUIRED",
            c.ENVIRONMENT,
            "this function wants a library that Microsoft gave to license holders only",
        ),
        (
            0xC00D278C,
            "NS_DRM_E_MIGRATION_SOURCE_MACHINE_IN_USE",
            c.BUSY,
            "the machine that the licenses come from is still being used",
        ),
        (
            0xC00D278F,
            "NS_E_DRM_HARDWAREID_MISMATCH",
            c.MACHINE,
            "the hardware is not the one that the licenses were bound to",
        ),
        (
            0xC00D2796,
            "NS_E_DRM_CHECKPOINT_MISMATCH",
            c.MACHINE,
            "the DRM component's state does not fit its last known one",
        ),
        (
            0xC00D2797,
            "NS_E_DRM_CHECKPOINT_CORRUPT",
            c.MACHINE,
            "the DRM component's record of its own state is damaged",
        ),
        (
            0xC00D2799,
            "NS_E_HDS_KEY_MISMATCH",
            c.MACHINE,
            "the key of the DRM data store does not fit this machine",
        ),
        (
            0xC00D279B,
            "NS_E_DRM_MIGRATION_OBJECT_IN_USE",
            c.BUSY,
            "the object that moves licenses is in use",
        ),
        (
            0xC00D27DB,
            "NS_E_DRM_STORE_NEEDINDI",
            c.CONSENT,
            "storing these licenses wants a security upgrade first",
        ),
        (
            0x000D27DE,
            "NS_S_DRM_NEEDS_INDIVIDUALIZATION",
            c.CONSENT,
            "the call succeeded, and a security upgrade is wanted before the licenses serve",
        ),
        (
            0xC00D1131,
            "NS_E_WMPBR_BACKUPCANCEL",
            c.CANCELLED,
            "the backup was canceled in Windows Media Player",
        ),
        (
            0xC00D1132,
            "NS_E_WMPBR_RESTORECANCEL",
            c.CANCELLED,
            "the restore was canceled in Windows Media Player",
        ),
        (
            0xC00D1133,
            "NS_E_WMPBR_ERRORWITHURL",
            c.LIMIT,
            "the license service refused and named a page that says why",
        ),
        (
            0x000D1136,
            "NS_S_WMPBR_PARTIALSUCCESS",
            c.PARTIAL,
            "some licenses were backed up or restored and some were not",
        ),
        (
            0xC00D11B2,
            "NS_E_WMP_VERIFY_ONLINE",
            c.SERVICE,
            "the right to do this can only be checked online, and that failed",
        ),
        (
            0xC00D11B4,
            "NS_E_WMP_DRM_CORRUPT_BACKUP",
            c.CORRUPT,
            "Windows Media Player found the backup damaged",
        ),
        (
            0xC00D11D6,
            "NS_E_WMP_DRM_NEW_HARDWARE",
            c.MACHINE,
            "the hardware changed, and the licenses are bound to the old one",
        ),
        (
            0xC00D11D8,
            "NS_E_WMP_DRM_CANNOT_RESTORE",
            c.LIMIT,
            "Windows Media Player cannot restore the licenses onto this machine",
        ),
    )
    return tuple(HResult(*row) for row in rows)


TABLE = _table()
"""Every HRESULT that this program knows, each once."""

_BY_VALUE = {row.value: row for row in TABLE}
_BY_NAME = {row.name: row for row in TABLE}


def failed(value: int) -> bool:
    """FAILED() of ``winerror.h`` for a signed or unsigned HRESULT."""
    return bool(value & 0x80000000)


def find(value: int) -> HResult:
    """Return what is known of an HRESULT, signed or unsigned; one not known is named so."""
    value &= 0xFFFFFFFF
    known = _BY_VALUE.get(value)
    if known is not None:
        return known
    sentence = f"the interface answered 0x{value:08X}, which this program does not know"
    return HResult(value, f"0x{value:08X}", Category.OTHER, sentence)


def by_name(name: str) -> HResult | None:
    """Return the HRESULT of that name, in any case, or None."""
    return _BY_NAME.get(name.upper())


class InterfaceError(WmbackupError):
    """The documented interface answered with a failure.

    ``url`` is the address of the page that it wants shown, where it gave one.
    """

    code = "interface"

    def __init__(self, hresult: int, *, doing: str, url: str | None = None) -> None:
        """Say what failed while doing what, with the next step of its class."""
        known = find(hresult)
        step = known.category.next_step
        number = f"0x{known.value:08X}"
        # The sentence about one that has no name says its number already.
        named = "" if known.name == number else f" ({known.name}, {number})"
        super().__init__(
            f"cannot {doing}: {known.sentence}{named}",
            hint=step if url is None else f"the page that says why is {url}; {step}",
        )
        self.hresult = known.value
        self.exit_code = known.category.exit_code
        self.url = url

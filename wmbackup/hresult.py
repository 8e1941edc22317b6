"""The HRESULTs of the documented interface: name, number, class, and what to do about each.

Names and numbers are those of the public headers (``nserror.h``, ``winerror.h``). Classes,
sentences and next steps are this program's own.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    next_step: str

    @property
    def signed(self) -> int:
        """The number as tools print it that take an HRESULT for a signed integer."""
        return self.value - 2**32 if self.value >= 2**31 else self.value

    @property
    def failed(self) -> bool:
        """FAILED() of ``winerror.h``."""
        return self.value >= 2**31


# Number, class and name; the sentence; and the next step where it is not that of the class.
_ROWS = """
0x00000000 ok S_OK
  the call succeeded
0x80004001 environment E_NOTIMPL
  this system has the interface's name but not its function, as Wine has
0x80004005 other E_FAIL
  the interface failed and gave no reason
0x80070005 environment E_ACCESSDENIED
  this user may not use the interface or read the store
0x80070103 ok ERROR_NO_MORE_ITEMS
  the list has come to its end
0x8007000E other E_OUTOFMEMORY
  the interface ran out of memory
0x80070057 other E_INVALIDARG
  the interface was called with a wrong argument
0x80040154 environment REGDB_E_CLASSNOTREG
  the Windows Media components are not registered on this system
0xC00D2711 machine NS_E_DRM_INVALID_APPLICATION
  the DRM component does not accept the program that called it
0xC00D2712 machine NS_E_DRM_LICENSE_STORE_ERROR
  the license store cannot be read or written
0xC00D2713 machine NS_E_DRM_SECURE_STORE_ERROR
  the secure store beside the licenses cannot be read or written
0xC00D2717 corrupt NS_E_DRM_UNABLE_TO_OPEN_LICENSE
  a license is there and cannot be opened
0xC00D2718 corrupt NS_E_DRM_INVALID_LICENSE
  a license is not a valid one
0xC00D2719 machine NS_E_DRM_INVALID_MACHINE
  the licenses were made for another machine
0xC00D271D environment NS_E_DRM_UNABLE_TO_INITIALIZE
  the DRM component does not start on this system
0xC00D2725 corrupt NS_E_DRM_LICENSE_INVALID_XML
  the text of a license is not well formed
0xC00D2728 consent NS_E_DRM_NEEDS_INDIVIDUALIZATION
  the DRM component wants a security upgrade for this machine first
0xC00D272B busy NS_E_DRM_ACQUIRING_LICENSE
  another license is being fetched at this moment
0xC00D272C busy NS_E_DRM_INDIVIDUALIZING
  a security upgrade is running at this moment
0xC00D272D service NS_E_BACKUP_RESTORE_FAILURE
  the license service could not carry out the request
0xC00D272E service NS_E_BACKUP_RESTORE_BAD_REQUEST_ID
  the license service does not know the number of this request
0xC00D2735 environment NS_E_DRM_UNABLE_TO_CREATE_BACKUP_OBJECT
  the backup object cannot be created on this system
0xC00D2736 service NS_E_DRM_INDIVIDUALIZE_ERROR
  the security upgrade failed
0xC00D2742 exists NS_E_DRM_BACKUP_EXISTS
  a backup is there already and was not touched
0xC00D2743 corrupt NS_E_DRM_BACKUP_CORRUPT
  the backup is damaged
0xC00D2744 busy NS_E_DRM_BACKUPRESTORE_BUSY
  another backup or restore is running
0xC00D2745 service NS_E_BACKUP_RESTORE_BAD_DATA
  the license service could not make sense of the backup's data
0xC00D274C consent NS_E_DRM_INDIVIDUALIZATION_INCOMPLETE
  an earlier security upgrade of this machine was not finished
0xC00D2752 environment NS_E_DRM_APPCERT_REVOKED
  the DRM component no longer accepts the certificate of its caller
0xC00D2753 limit NS_E_DRM_RESTORE_FRAUD
  the license service refuses this restore as one too many
0xC00D2754 machine NS_E_DRM_HARDWARE_INCONSISTENT
  the hardware changed while the DRM component was looking at it
0xC00D275E service NS_E_DRM_ERROR_BAD_NET_RESP
  the answer from the network is not what the DRM component expects
0xC00D275F partial NS_E_DRM_STORE_NOTALLSTORED
  some of the licenses were stored and some were not
0xC00D2761 corrupt NS_E_DRM_INVALID_DATA
  data that the DRM component was given is not valid
0xC00D2762 service NS_E_DRM_POLICY_DISABLE_ONLINE
  a group policy forbids Windows Media DRM to use the Internet
  > ask whoever sets the group policy to lift it for the time of the restore; see wmbackup check
0xC00D2766 limit NS_E_BACKUP_RESTORE_TOO_MANY_RESETS
  the licenses were restored on too many machines, or too often in a day
0xC00D2767 environment NS_E_DRM_DEBUGGING_NOT_ALLOWED
  the DRM component does not run while a debugger is attached
  > end the debugger, or run without one
0xC00D2768 cancelled NS_E_DRM_OPERATION_CANCELED
  the operation was canceled
0xC00D2778 environment NS_E_DRM_SDK_VERSIONMISMATCH
  parts of the Windows Media components are of different versions
0xC00D277F machine NS_E_DRM_CHECKPOINT_FAILED
  the DRM component's check of its own state failed
0xC00D2780 machine NS_E_DRM_BB_UNABLE_TO_INITIALIZE
  the machine-bound part of the DRM component does not start
0xC00D2781 machine NS_E_DRM_UNABLE_TO_LOAD_HARDWARE_ID
  the DRM component cannot read what identifies this hardware
0xC00D2782 machine NS_E_DRM_UNABLE_TO_OPEN_DATA_STORE
  the DRM data store cannot be opened
0xC00D2783 machine NS_E_DRM_DATASTORE_CORRUPT
  the DRM data store is damaged
0xC00D2785 environment NS_E_DRM_STUBLIB_REQUIRED
  this function wants a library that Microsoft gave to license holders only
0xC00D278C busy NS_DRM_E_MIGRATION_SOURCE_MACHINE_IN_USE
  the machine that the licenses come from is still being used
0xC00D278F machine NS_E_DRM_HARDWAREID_MISMATCH
  the hardware is not the one that the licenses were bound to
0xC00D2796 machine NS_E_DRM_CHECKPOINT_MISMATCH
  the DRM component's state does not fit its last known one
0xC00D2797 machine NS_E_DRM_CHECKPOINT_CORRUPT
  the DRM component's record of its own state is damaged
0xC00D2799 machine NS_E_HDS_KEY_MISMATCH
  the key of the DRM data store does not fit this machine
0xC00D279B busy NS_E_DRM_MIGRATION_OBJECT_IN_USE
  the object that moves licenses is in use
0xC00D27DB consent NS_E_DRM_STORE_NEEDINDI
  storing these licenses wants a security upgrade first
0x000D27DE consent NS_S_DRM_NEEDS_INDIVIDUALIZATION
  the call succeeded, and a security upgrade is wanted before the licenses serve
0xC00D1131 cancelled NS_E_WMPBR_BACKUPCANCEL
  the backup was canceled in Windows Media Player
0xC00D1132 cancelled NS_E_WMPBR_RESTORECANCEL
  the restore was canceled in Windows Media Player
0xC00D1133 limit NS_E_WMPBR_ERRORWITHURL
  the license service refused and named a page that says why
0x000D1136 partial NS_S_WMPBR_PARTIALSUCCESS
  some licenses were backed up or restored and some were not
0xC00D11B2 service NS_E_WMP_VERIFY_ONLINE
  the right to do this can only be checked online, and that failed
0xC00D11B4 corrupt NS_E_WMP_DRM_CORRUPT_BACKUP
  Windows Media Player found the backup damaged
0xC00D11D6 machine NS_E_WMP_DRM_NEW_HARDWARE
  the hardware changed, and the licenses are bound to the old one
0xC00D11D8 limit NS_E_WMP_DRM_CANNOT_RESTORE
  Windows Media Player cannot restore the licenses onto this machine
"""


def _table() -> Iterator[HResult]:
    classes = {category.word: category for category in Category}
    for text in _ROWS.strip().split("\n0x"):
        head, sentence, *step = text.split("\n")
        value, word, name = head.removeprefix("0x").split()
        own = step[0].strip(" >") if step else classes[word].next_step
        yield HResult(int(value, 16), name, classes[word], sentence.strip(), own)


TABLE = tuple(_table())
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
    other = Category.OTHER
    return HResult(value, f"0x{value:08X}", other, sentence, other.next_step)


def by_name(name: str) -> HResult | None:
    """Return the HRESULT of that name, in any case, or None."""
    return _BY_NAME.get(name.upper())


class InterfaceError(WmbackupError):
    """The documented interface answered with a failure.

    ``url`` is the address of the page that it wants shown, where it gave one.
    """

    code = "interface"

    def __init__(self, hresult: int, *, doing: str, url: str | None = None) -> None:
        """Say what failed while doing what, with the next step."""
        known = find(hresult)
        step = known.next_step
        number = f"0x{known.value:08X}"
        # The sentence about one that has no name says its number already.
        named = "" if known.name == number else f" ({known.name}, {number})"
        super().__init__(
            f"cannot {doing}: {known.sentence}{named}",
            hint=step if url is None else f"the page that says why is {url}; {step}",
        )
        self.hresult = known.value
        # What is no failure elsewhere, such as the end of a list, is one where it stops something.
        self.exit_code = known.category.exit_code or ExitCode.FAILED
        self.url = url

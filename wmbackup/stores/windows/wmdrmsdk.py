"""``wmdrmsdk.h``: the license management of ``wmdrmsdk.dll`` (Windows Vista and later).

Slots count QueryInterface, AddRef, Release as 0, 1, 2. Not declared, because a backup program
must never call them: the slots that delete, store and acquire licenses (10 to 14 of
IWMDRMLicenseManagement) and those that make decryptors and an encryptor (7, 8 and 9 of
IWMDRMLicense).
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, Structure, c_int, c_ushort, c_void_p
from enum import IntEnum
from typing import ClassVar

from wmbackup.hresult import InterfaceError, failed
from wmbackup.stores.windows.com import (
    DWORD,
    GuidPointer,
    Interface,
    InterfaceT,
    Method,
    export,
    give_back,
    guid,
    system_library,
    unsigned,
)

ERROR_NO_MORE_ITEMS = 259
"""What GetNext ends with, as it is or as an HRESULT."""

BACKUP_ACTION = "LicenseStateData.Backup"
"""The action of QueryLicenseState whose category says whether a key ID may be backed up."""

BACKUP_ALLOWED = "ActionAllowed.Backup"
"""The action of QueryActionAllowed that says the same: zero where it is allowed."""

PROPERTIES = ("SAPLEVEL", "SAPRequired", "SOURCEID", "PRIORITY", "UplinkID", "WMDRMNET_REVOCATION")
"""The names that GetLicenseProperty takes."""


class MsdrmStatus(IntEnum):
    """``MSDRM_STATUS``: like WMT_STATUS, under other numbers."""

    ERROR = 0
    INFORMATION = 1
    BEGIN = 2
    END = 3
    CONNECTING = 4
    DISCONNECTING = 5
    ERROR_WITHURL = 6
    RESTRICTED_LICENSE = 7
    NEEDS_INDIVIDUALIZATION = 8
    PLAY_OPL_NOTIFICATION = 9
    COPY_OPL_NOTIFICATION = 10
    REFRESHCRL_COMPLETE = 11


class EventType(IntEnum):
    """What an event of IWMDRMEventGenerator says."""

    BACKUP_COMPLETED = 500
    BACKUP_PROGRESS = 501
    RESTORE_COMPLETED = 502
    RESTORE_PROGRESS = 503


class LicenseFilter(Structure):
    """``WMDRM_LICENSE_FILTER``; the three are BSTRs."""

    _fields_: ClassVar = [
        ("dwVersion", DWORD),
        ("bstrKID", c_void_p),
        ("bstrRights", c_void_p),
        ("bstrAllowedSourceIDs", c_void_p),
    ]


class FileTime(Structure):
    """``FILETIME``: tenths of microseconds since 1601-01-01T00:00:00Z."""

    _fields_: ClassVar = [("low", DWORD), ("high", DWORD)]


class LicenseStateData(Structure):
    """``DRM_LICENSE_STATE_DATA``."""

    _fields_: ClassVar = [
        ("dwStreamId", DWORD),
        ("dwCategory", DWORD),
        ("dwNumCounts", DWORD),
        ("dwCount", DWORD * 4),
        ("dwNumDates", DWORD),
        ("datetime", FileTime * 4),
        ("dwVague", DWORD),
    ]


class BackupRestoreStatus(Structure):
    """``WM_BACKUP_RESTORE_STATUS``: a MsdrmStatus, and a BSTR that belongs to the caller."""

    _fields_: ClassVar = [("eStatus", c_int), ("bstrError", c_void_p)]


class PropVariant(Structure):
    """``PROPVARIANT``, as far as it is read: its type, and a number or an address."""

    _fields_: ClassVar = [
        ("vt", c_ushort),
        ("reserved", c_ushort * 3),
        ("value", c_void_p),
        ("more", c_void_p),
    ]


class IMFMediaEvent(Interface):
    """An event: its number, and for a progress its object (``mfobjects.h``: behind 30 slots)."""

    iid = guid("DF598932-F10C-4E39-BBA2-C308F101DAA3")
    GetType = Method(33, POINTER(DWORD), doing="read an event")
    GetValue = Method(36, POINTER(PropVariant), doing="read an event")


class IWMDRMProvider(Interface):
    """Makes the other objects."""

    iid = guid("98DC8917-8640-4B1D-9F1E-A590D40357EE")
    CreateObject = Method(3, GuidPointer, POINTER(c_void_p), doing="manage licenses")

    def create(self, kind: type[InterfaceT]) -> InterfaceT:
        """Make an object with that interface."""
        answer = c_void_p()
        self.CreateObject(kind.iid, ctypes.byref(answer))
        return kind(answer)


class IWMDRMEventGenerator(Interface):
    """Events of asynchronous operations. Slots 4 to 6 are for those who send some."""

    iid = guid("CE11CC91-E615-4E0B-BE1F-09B5AEC033F2")
    GetEvent = Method(3, DWORD, POINTER(c_void_p), doing="wait for an event")
    CancelAsyncOperation = Method(7, c_void_p, doing="cancel the operation")
    Shutdown = Method(8, doing="shut the events down")


class IWMDRMLicenseManagement(IWMDRMEventGenerator):
    """Enumerates licenses, and backs them up by another way than IWMLicenseBackup."""

    iid = guid("F4828DC7-8945-4D05-AB05-667AB99D29EE")
    CreateLicenseEnumeration = Method(
        9, POINTER(LicenseFilter), POINTER(c_void_p), doing="enumerate the licenses"
    )
    BackupLicenses = Method(15, c_void_p, DWORD, POINTER(c_void_p), doing="back up the licenses")
    RestoreLicenses = Method(16, c_void_p, DWORD, POINTER(c_void_p), doing="restore the licenses")

    def enumeration(self) -> IWMDRMLicense:
        """Enumerate with an empty filter; that it lists everything is not documented."""
        answer = c_void_p()
        self.CreateLicenseEnumeration(LicenseFilter(), ctypes.byref(answer))
        return IWMDRMLicense(answer)


class IWMDRMLicense(Interface):
    """An enumeration, and the license that is loaded: the first one, until `next` is called."""

    iid = guid("C9E0A5F3-DD22-4DC4-B795-88FA91F0516B")
    ResetEnumeration = Method(3, doing="begin the enumeration again")
    GetNext = Method(4, doing="enumerate the licenses")
    GetLicense = Method(
        5, POINTER(c_void_p), POINTER(DWORD), POINTER(DWORD), doing="read a license"
    )
    GetLicenseProperty = Method(6, c_void_p, c_void_p, doing="read a license's property")

    def next(self) -> bool:
        """Load the next license; False behind the last one."""
        try:
            return not is_no_more(self.GetNext())
        except InterfaceError as error:
            if is_no_more(error.hresult):
                return False
            raise


def is_no_more(hresult: int | None) -> bool:
    """Whether an answer says that there are no more items, as a Win32 number or as an HRESULT."""
    return hresult in {ERROR_NO_MORE_ITEMS, 0x80070000 | ERROR_NO_MORE_ITEMS}


class IWMDRMLicenseQuery(Interface):
    """Says what the licenses of a key ID allow."""

    iid = guid("20B970DF-0A58-4D3C-817C-4E3CCBB253AC")
    QueryLicenseState = Method(
        3,
        c_void_p,
        DWORD,
        POINTER(c_void_p),
        POINTER(LicenseStateData),
        doing="ask what a license allows",
    )
    # Slot 4, SetActionAllowedQueryParams, is for whoever plays or copies.
    QueryActionAllowed = Method(
        5,
        c_void_p,
        c_void_p,
        DWORD,
        POINTER(c_void_p),
        POINTER(DWORD),
        doing="ask what a license allows",
    )


class IWMDRMLicenseBackupRestoreStatus(Interface):
    """How far an operation is; the value of a progress event has it."""

    iid = guid("F653C5A2-0EB3-4503-9D88-C200552D0D55")
    GetStatus = Method(3, POINTER(BackupRestoreStatus), doing="ask how far the operation is")


@contextmanager
def provider() -> Iterator[IWMDRMProvider]:
    """Start ``wmdrmsdk.dll``, make its provider, and shut it down again.

    Raises StoreUnavailable where there is no such DLL or function.
    """
    library = system_library("wmdrmsdk.dll")
    startup, shutdown = export(library, "WMDRMStartup"), export(library, "WMDRMShutdown")
    create = export(library, "WMDRMCreateProvider", POINTER(c_void_p))
    _check(startup())
    with ExitStack() as stack:
        stack.callback(give_back, shutdown, "WMDRMShutdown")
        answer = c_void_p()
        _check(create(ctypes.byref(answer)))
        yield stack.enter_context(IWMDRMProvider(answer))


def _check(result: int) -> None:
    if failed(result):
        raise InterfaceError(unsigned(result), doing="use the Windows Media license management")

"""``wmsdkidl.h``: the backup restorer object of ``WMVCore.dll``.

One object with three interfaces. Slots count QueryInterface, AddRef, Release as 0, 1, 2. The
numbers of WMT_STATUS are `wmbackup.status.Status`.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import POINTER, c_int, c_uint16, c_void_p, c_wchar_p
from enum import IntEnum, IntFlag
from typing import Final

from wmbackup.errors import UsageError
from wmbackup.hresult import InterfaceError, failed
from wmbackup.stores.windows.com import (
    DWORD,
    Interface,
    Method,
    export,
    guid,
    system_library,
    unsigned,
)

IID_STATUS_CALLBACK: Final = guid("6D7CDC70-9888-11D3-8EDC-00C04F6109CF")

BACKUP_PATH: Final = "BackupPath"
RESTORE_PATH: Final = "RestorePath"
_MAX_VALUE = 0xFFFF
"""Bytes of a property's value: a WORD says how many there are."""


class DataType(IntEnum):
    """``WMT_ATTR_DATATYPE``."""

    DWORD = 0
    STRING = 1
    BINARY = 2
    BOOL = 3
    QWORD = 4
    WORD = 5
    GUID = 6


class BackupFlags(IntFlag):
    """Flags of BackupLicenses: without OVERWRITE an existing backup is an error."""

    NONE = 0
    OVERWRITE = 1


class RestoreFlags(IntFlag):
    """Flags of RestoreLicenses: INDIVIDUALIZE says that the user has given permission."""

    NONE = 0
    INDIVIDUALIZE = 2


class IWMLicenseBackup(Interface):
    """Backs up all licenses into BackupPath, asynchronously."""

    iid = guid("05E5AC9F-3FB6-4508-BB43-A4067BA1EBE8")
    BackupLicenses = Method(3, DWORD, c_void_p, doing="back up the licenses")
    CancelLicenseBackup = Method(4, doing="cancel the backup")


class IWMLicenseRestore(Interface):
    """Restores all licenses from RestorePath, asynchronously."""

    iid = guid("C70B6334-A22E-4EFB-A245-15E65A004A13")
    RestoreLicenses = Method(3, DWORD, c_void_p, doing="restore the licenses")
    CancelLicenseRestore = Method(4, doing="cancel the restore")


class IWMBackupRestoreProps(Interface):
    """The paths. Slots 3 to 5 are documented as not implemented (E_NOTIMPL)."""

    iid = guid("3C8E0DA6-996F-4FF3-A1AF-4838F9377E2E")
    GetPropCount = Method(3, POINTER(c_uint16), doing="count the properties")
    GetPropByIndex = Method(
        4,
        c_uint16,
        c_wchar_p,
        POINTER(c_uint16),
        POINTER(c_int),
        c_void_p,
        POINTER(c_uint16),
        doing="read a property by its index",
    )
    GetPropByName = Method(
        5,
        c_wchar_p,
        POINTER(c_int),
        c_void_p,
        POINTER(c_uint16),
        doing="read a property by its name",
    )
    SetProp = Method(6, c_wchar_p, c_int, c_void_p, c_uint16, doing="set the backup's folder")
    RemoveProp = Method(7, c_wchar_p, doing="remove a property")
    RemoveAllProps = Method(8, doing="remove the properties")

    def set_path(self, name: str, path: str) -> None:
        """Set BACKUP_PATH or RESTORE_PATH to a full path.

        The value is UTF-16LE, and its length in bytes counts the NUL at its end. Raises
        UsageError for a path with a NUL inside or one longer than the length can say.
        """
        value = path.encode("utf-16-le", "surrogatepass") + b"\0\0"
        if "\0" in path or len(value) > _MAX_VALUE:
            raise UsageError(f"no path that the interface takes: {path[:80]!r}")
        self.SetProp(name, DataType.STRING, value, len(value))


def create_backup_restorer(callback: c_void_p | None) -> IWMLicenseBackup:
    """Make the object (``WMCreateBackupRestorer``), with a status callback.

    Raises StoreUnavailable where there is no such DLL or function, and InterfaceError with what
    the function answers: E_INVALIDARG without a callback.
    """
    create = export(
        system_library("WMVCore.dll"), "WMCreateBackupRestorer", c_void_p, POINTER(c_void_p)
    )
    answer = c_void_p()
    result = unsigned(create(callback, ctypes.byref(answer)))
    if failed(result):
        raise InterfaceError(result, doing="use the Windows Media license backup")
    return IWMLicenseBackup(answer)

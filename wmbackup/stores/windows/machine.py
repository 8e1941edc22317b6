"""Looking at this Windows: edition, build, bitness, DLLs, policy, rights."""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import os
import platform
import struct
import winreg
from ctypes import POINTER, byref, c_void_p, wintypes

from wmbackup.stores.windows.com import system_library
from wmbackup.stores.windows.findings import LIBRARIES, Machine

_VERSION_KEY = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_POLICY_KEY = r"SOFTWARE\Policies\Microsoft\WMDRM"
_WINDOWS_11 = 22000  # the first build
_STORE_KEY = r"SOFTWARE\Microsoft\DRM"


def this_machine() -> Machine:
    """Look at this machine; what cannot be read is left out. Raises nothing."""
    # The true version: others depend on what the program's manifest says that it knows.
    version = sys.getwindowsversion().platform_version
    store = _store()
    return Machine(
        product=_product(version[2]),
        edition=str(registry(_VERSION_KEY, "EditionID") or "unknown edition"),
        build=_build(version),
        system_bits=64 if "64" in platform.machine() else 32,
        process_bits=struct.calcsize("P") * 8,
        libraries={name: library_version(name) for name in LIBRARIES},
        offline=registry(_POLICY_KEY, "DisableOnline") == 1,
        administrator=_is_administrator(),
        store=store,
        readable=None if store is None else _is_readable(store),
    )


def _product(build: int) -> str:
    name = str(registry(_VERSION_KEY, "ProductName") or f"Windows {platform.release()}")
    # Windows 11 calls itself 10 there.
    return name.replace("Windows 10", "Windows 11") if build >= _WINDOWS_11 else name


def _build(version: tuple[int, int, int]) -> str:
    revision = registry(_VERSION_KEY, "UBR")
    return ".".join(map(str, version if revision is None else (*version, revision)))


def registry(key: str, name: str) -> object:
    """Return a value of HKEY_LOCAL_MACHINE (the key's own for ""), or None."""
    # The system's own view, whatever the bitness of this process.
    access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, access) as opened:
            value: object = winreg.QueryValueEx(opened, name)[0]
            return value
    except OSError:
        return None


def library_version(name: str) -> str | None:
    """Return the version of a DLL of the system, ``unknown`` for one that has none, or None."""
    path = library_path(name)
    if path is None:
        return None
    library = system_library("version.dll")
    query_size, query, value = (
        library["GetFileVersionInfoSizeW"],
        library["GetFileVersionInfoW"],
        library["VerQueryValueW"],
    )
    query_size.argtypes = (wintypes.LPCWSTR, c_void_p)
    query.argtypes = (wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, c_void_p)
    value.argtypes = (c_void_p, wintypes.LPCWSTR, POINTER(c_void_p), POINTER(wintypes.UINT))
    size = query_size(path, None)
    data = ctypes.create_string_buffer(max(size, 1))
    found, length = c_void_p(), wintypes.UINT()
    if (
        not size
        or not query(path, 0, size, data)
        or not value(data, "\\", byref(found), byref(length))
        or not found.value
    ):
        return "unknown"
    # VS_FIXEDFILEINFO: signature, structure version, file version in two words of two halves.
    high, low = struct.unpack_from("<8xII", ctypes.string_at(found.value, length.value))
    return ".".join(str(part) for part in (high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF))


def library_path(name: str) -> str | None:
    """Return the file of a DLL in the system folder, that of this process's bitness, or None."""
    kernel32 = system_library("kernel32.dll")
    folder = ctypes.create_unicode_buffer(wintypes.MAX_PATH)
    kernel32["GetSystemDirectoryW"](folder, wintypes.MAX_PATH)
    path = os.path.join(folder.value, name)
    return path if os.path.isfile(path) else None


def _is_administrator() -> bool:
    try:
        return bool(ctypes.WinDLL("shell32", winmode=0x800)["IsUserAnAdmin"]())
    except (OSError, AttributeError):
        return False


def _store() -> str | None:
    """Return the folder of the licenses: as registered, or where it usually is."""
    data = os.environ.get("PROGRAMDATA") or os.environ.get("ALLUSERSPROFILE") or ""
    usual = (os.path.join(data, "Microsoft", "Windows", "DRM"), os.path.join(data, "DRM"))
    registered = registry(_STORE_KEY, "DataPath")
    for path in (registered, *usual):
        if isinstance(path, str) and os.path.isabs(path) and os.path.isdir(path):
            return path
    return None


def _is_readable(path: str) -> bool:
    try:
        os.listdir(path)
    except OSError:
        return False
    return True

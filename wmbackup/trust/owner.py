"""Files that their owner alone may read, where Windows says so by access lists.

On Windows alone: importing this anywhere else is an AssertionError.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_void_p, wintypes

from wmbackup.trust import access_lists

_TOKEN_QUERY, _TOKEN_USER, _SDDL_REVISION = 8, 1, 1
_DACL = 4
_PROTECTED = 0x80000000

_advapi32 = ctypes.WinDLL("advapi32", use_last_error=True, winmode=0x800)
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True, winmode=0x800)
_kernel32.GetCurrentProcess.restype = wintypes.HANDLE
_kernel32.CloseHandle.argtypes = (wintypes.HANDLE,)
_kernel32.LocalFree.argtypes = (c_void_p,)
_advapi32.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, POINTER(wintypes.HANDLE))
_advapi32.GetTokenInformation.argtypes = (
    *(wintypes.HANDLE, ctypes.c_int, c_void_p, wintypes.DWORD),
    POINTER(wintypes.DWORD),
)
_advapi32.ConvertSidToStringSidW.argtypes = (c_void_p, POINTER(c_void_p))
_advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = (
    *(wintypes.LPCWSTR, wintypes.DWORD),
    *(POINTER(c_void_p), c_void_p),
)
_advapi32.SetFileSecurityW.argtypes = (wintypes.LPCWSTR, wintypes.DWORD, c_void_p)
_advapi32.GetFileSecurityW.argtypes = (
    *(wintypes.LPCWSTR, wintypes.DWORD, c_void_p, wintypes.DWORD),
    POINTER(wintypes.DWORD),
)


def restrict(path: str) -> None:
    """Let this user alone use a file or a folder and what will be made in it. Raises OSError."""
    sddl = f"D:P(A;OICI;FA;;;{user()})"
    descriptor = c_void_p()
    _check(
        _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW(
            sddl, _SDDL_REVISION, byref(descriptor), None
        )
    )
    with _freed(descriptor):
        _check(_advapi32.SetFileSecurityW(path, _DACL | _PROTECTED, descriptor))


def is_exposed(path: str) -> bool:
    """Whether anybody but this user and those who can read everything may use a file.

    Raises OSError.
    """
    return bool(others(path))


def others(path: str) -> list[str]:
    """Return the SIDs of those, sorted. Raises OSError."""
    return sorted(
        sid for sid in readers(path) - {user()} if not access_lists.is_always_allowed(sid)
    )


def readers(path: str) -> set[str]:
    """Return the SIDs of all who may use a file, groups as such. Raises OSError."""
    size = wintypes.DWORD()
    _advapi32.GetFileSecurityW(path, _DACL, None, 0, byref(size))
    descriptor = ctypes.create_string_buffer(max(size.value, 1))
    _check(_advapi32.GetFileSecurityW(path, _DACL, descriptor, size, byref(size)))
    try:
        return access_lists.users(descriptor.raw)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), path) from error


def user() -> str:
    """Return the SID of the user whom this process runs as."""
    token = wintypes.HANDLE()
    process = _kernel32.GetCurrentProcess()
    _check(_advapi32.OpenProcessToken(process, _TOKEN_QUERY, byref(token)))
    try:
        size = wintypes.DWORD()
        _advapi32.GetTokenInformation(token, _TOKEN_USER, None, 0, byref(size))
        user = ctypes.create_string_buffer(max(size.value, 1))
        _check(_advapi32.GetTokenInformation(token, _TOKEN_USER, user, size, byref(size)))
    finally:
        _kernel32.CloseHandle(token)
    text = c_void_p()
    # TOKEN_USER begins with the pointer to the SID.
    _check(_advapi32.ConvertSidToStringSidW(c_void_p.from_buffer(user), byref(text)))
    with _freed(text):
        return _text(text)


def _text(address: c_void_p) -> str:
    return ctypes.wstring_at(address.value or 0)


@contextmanager
def _freed(address: c_void_p) -> Iterator[None]:
    try:
        yield
    finally:
        _kernel32.LocalFree(address)


def _check(succeeded: int) -> None:
    if not succeeded:
        raise ctypes.WinError(ctypes.get_last_error())

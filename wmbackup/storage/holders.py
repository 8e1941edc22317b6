"""Which programs hold a file that is in use, where the system tells.

Windows does, by its Restart Manager (``restartmanager.h``, Windows Vista and later); it names
those of this user's sessions and the services. Other systems lock no file against reading.
"""

from __future__ import annotations

import sys

from wmbackup.storage.trouble import windows_number

_IN_USE = {32, 33}  # ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
_MOST = 16  # programs that are asked for


def in_use(error: OSError, path: str) -> str | None:
    """Return who keeps a file to himself, as words; None where the error says something else.

    The error has just been raised, on this thread.
    """
    if windows_number(error) not in _IN_USE:
        return None
    return f"in use by {', '.join(holders(path)) or 'another program'}"


if sys.platform == "win32":
    import ctypes
    from ctypes import POINTER, byref, c_int, wintypes
    from typing import ClassVar

    class _Process(ctypes.Structure):
        """``RM_UNIQUE_PROCESS``."""

        _fields_: ClassVar = [("pid", wintypes.DWORD), ("started", wintypes.FILETIME)]

    class _Holder(ctypes.Structure):
        """``RM_PROCESS_INFO``."""

        _fields_: ClassVar = [
            ("process", _Process),
            ("name", wintypes.WCHAR * 256),
            ("service", wintypes.WCHAR * 64),
            ("type", c_int),
            ("status", wintypes.ULONG),
            ("session", wintypes.DWORD),
            ("restartable", wintypes.BOOL),
        ]

    _KEY = 33  # characters of a session's key, with the NUL: CCH_RM_SESSION_KEY + 1

    def holders(path: str) -> list[str]:
        """Return the names and process IDs of programs that hold a file; none is not known."""
        try:
            manager = ctypes.WinDLL("rstrtmgr", winmode=0x800)
            return _asked(manager, path)
        except (OSError, AttributeError):
            return []

    def _asked(manager: ctypes.WinDLL, path: str) -> list[str]:
        session = wintypes.DWORD()
        key = ctypes.create_unicode_buffer(_KEY)
        manager.RmStartSession.argtypes = (POINTER(wintypes.DWORD), wintypes.DWORD, wintypes.LPWSTR)
        if manager.RmStartSession(byref(session), 0, key):
            return []
        try:
            files = (wintypes.LPCWSTR * 1)(path)
            if manager.RmRegisterResources(session, 1, files, 0, None, 0, None):
                return []
            needed, count = wintypes.UINT(), wintypes.UINT(_MOST)
            found, reasons = (_Holder * _MOST)(), wintypes.DWORD()
            if manager.RmGetList(session, byref(needed), byref(count), found, byref(reasons)):
                return []
            return [
                f"{one.name} (process {one.process.pid})"
                for one in found[: count.value]
                if one.process.pid
            ]
        finally:
            manager.RmEndSession(session)

else:

    def holders(_path: str) -> list[str]:
        """Return nobody."""
        return []

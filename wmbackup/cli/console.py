"""What Windows calls a terminal, whether it takes colors, and whether anybody is in front of it.

To Python each character device is a terminal, NUL as well. A task that runs whether a user is
there or not has a console too, which nobody sees.
"""

from __future__ import annotations

import functools
import sys
from typing import TextIO

if sys.platform == "win32":
    import ctypes
    import msvcrt
    import os
    from collections.abc import Iterator
    from ctypes import wintypes
    from typing import ClassVar

    _kernel32 = ctypes.WinDLL("kernel32", winmode=0x800)
    _kernel32.GetConsoleMode.argtypes = (wintypes.HANDLE, wintypes.LPDWORD)
    _kernel32.SetConsoleMode.argtypes = (wintypes.HANDLE, wintypes.DWORD)
    _kernel32.CreateToolhelp32Snapshot.restype = wintypes.HANDLE
    _VIRTUAL_TERMINAL = 0x0004  # ENABLE_VIRTUAL_TERMINAL_PROCESSING
    _PROCESSES = 0x0002  # TH32CS_SNAPPROCESS
    _NO_HANDLE = wintypes.HANDLE(-1).value
    _FLAGS = 1  # UOI_FLAGS
    _VISIBLE = 0x0001  # WSF_VISIBLE
    _SCHEDULERS = {"taskeng.exe", "svchost.exe", "services.exe"}
    _SHELLS = {"cmd.exe", "powershell.exe", "pwsh.exe", "python.exe", "py.exe", "wscript.exe"}

    class _Entry(ctypes.Structure):
        """``PROCESSENTRY32W``."""

        _fields_: ClassVar = [
            ("dwSize", wintypes.DWORD),
            ("cntUsage", wintypes.DWORD),
            ("th32ProcessID", wintypes.DWORD),
            ("th32DefaultHeapID", ctypes.c_size_t),
            ("th32ModuleID", wintypes.DWORD),
            ("cntThreads", wintypes.DWORD),
            ("th32ParentProcessID", wintypes.DWORD),
            ("pcPriClassBase", wintypes.LONG),
            ("dwFlags", wintypes.DWORD),
            ("szExeFile", ctypes.c_wchar * 260),
        ]

    class _StationFlags(ctypes.Structure):
        """``USEROBJECTFLAGS``."""

        _fields_: ClassVar = [
            ("fInherit", wintypes.BOOL),
            ("fReserved", wintypes.BOOL),
            ("dwFlags", wintypes.DWORD),
        ]

    def _mode(stream: TextIO) -> tuple[int, int] | None:
        """Return the handle and the mode of a console; None for what is none."""
        mode = wintypes.DWORD()
        try:
            handle = msvcrt.get_osfhandle(stream.fileno())
        except (OSError, ValueError, AttributeError):
            return None
        if not _kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            return None
        return handle, mode.value

    def is_console(stream: TextIO) -> bool:
        """Whether a stream that calls itself a terminal is a console of Windows."""
        return _mode(stream) is not None

    def takes_colors(stream: TextIO) -> bool:
        """Let a console heed escape sequences; whether it does. Windows before 10 cannot."""
        found = _mode(stream)
        if found is None:
            return False
        handle, mode = found
        if mode & _VIRTUAL_TERMINAL:
            return True
        return bool(_kernel32.SetConsoleMode(handle, mode | _VIRTUAL_TERMINAL))

    @functools.cache
    def is_unattended() -> bool:
        """Whether this runs under Task Scheduler or as a service, where nobody answers."""
        return not _is_visible() or any(name in _SCHEDULERS for name in _starters())

    def _is_visible() -> bool:
        user32 = ctypes.WinDLL("user32", winmode=0x800)
        user32.GetProcessWindowStation.restype = wintypes.HANDLE
        user32.GetUserObjectInformationW.argtypes = (
            *(wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD),
            wintypes.LPDWORD,
        )
        flags, needed = _StationFlags(), wintypes.DWORD()
        told = user32.GetUserObjectInformationW(
            user32.GetProcessWindowStation(),
            _FLAGS,
            ctypes.byref(flags),
            ctypes.sizeof(flags),
            ctypes.byref(needed),
        )
        return not told or bool(flags.dwFlags & _VISIBLE)

    def _starters() -> Iterator[str]:
        """Yield the programs that started this one, through shells, the nearest first."""
        processes = _processes()
        at, seen = os.getpid(), set[int]()
        while at in processes and at not in seen:
            seen.add(at)
            at = processes[at][0]
            name = processes[at][1].lower() if at in processes else ""
            yield name
            if name not in _SHELLS and not name.startswith("wmbackup"):
                return

    def _processes() -> dict[int, tuple[int, str]]:
        """Return the parent and the name of each process."""
        snapshot = _kernel32.CreateToolhelp32Snapshot(_PROCESSES, 0)
        if snapshot == _NO_HANDLE:
            return {}
        found: dict[int, tuple[int, str]] = {}
        entry = _Entry(dwSize=ctypes.sizeof(_Entry))
        try:
            more = _kernel32.Process32FirstW(wintypes.HANDLE(snapshot), ctypes.byref(entry))
            while more:
                found[entry.th32ProcessID] = (entry.th32ParentProcessID, entry.szExeFile)
                more = _kernel32.Process32NextW(wintypes.HANDLE(snapshot), ctypes.byref(entry))
        finally:
            _kernel32.CloseHandle(wintypes.HANDLE(snapshot))
        return found

else:

    def is_console(_stream: TextIO) -> bool:
        """Whether a stream that calls itself a terminal is one: elsewhere it is."""
        return True

    def takes_colors(_stream: TextIO) -> bool:
        """Whether a terminal heeds escape sequences: elsewhere it does."""
        return True

    @functools.cache
    def is_unattended() -> bool:
        """Whether nobody is in front of a terminal: elsewhere somebody is."""
        return False

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes
import os
from typing import Any

import pytest

from wmbackup.storage import holders

# RM_PROCESS_INFO of restartmanager.h: these sizes and offsets are the same in both bitnesses.
_SIZE, _NAME = 668, 12


class Manager:
    """A Restart Manager that names this process, which Wine's does not."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.asked: list[str] = []

        def start(session: Any, _flags: int, key: Any) -> int:
            session._obj.value = 5
            assert len(key) == 33
            return 0

        self.RmStartSession = start

    def RmRegisterResources(self, session: Any, count: int, files: Any, *_none: Any) -> int:  # noqa: N802 (ctypes)
        assert (session.value, count) == (5, 1)
        self.asked.append(files[0])
        return 0

    def RmGetList(self, _session: Any, needed: Any, count: Any, found: Any, _why: Any) -> int:  # noqa: N802 (ctypes)
        needed._obj.value = count._obj.value = len(self.names)
        for index, name in enumerate(self.names):
            at = ctypes.addressof(found) + index * _SIZE
            ctypes.c_uint32.from_address(at).value = os.getpid()
            data = ctypes.create_unicode_buffer(name)
            ctypes.memmove(at + _NAME, data, ctypes.sizeof(data))
        return 0

    def RmEndSession(self, session: Any) -> int:  # noqa: N802 (ctypes)
        self.asked.append(f"end {session.value}")
        return 0


def test_programs_are_named_as_the_restart_manager_does(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Manager("Windows Media Player", "\u00dc")
    monkeypatch.setattr(ctypes, "WinDLL", lambda _name, **_options: manager)
    one, two = f"Windows Media Player (process {os.getpid()})", f"\u00dc (process {os.getpid()})"
    assert holders.holders("C:\\a.lic") == [one, two]
    assert manager.asked == ["C:\\a.lic", "end 5"]


def test_without_a_restart_manager_nobody_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str, **_options: int) -> None:
        raise OSError

    monkeypatch.setattr(ctypes, "WinDLL", refuse)
    assert holders.holders("C:\\a.lic") == []

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import os
import pathlib
import shutil
import subprocess
import textwrap
import winreg
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.windows.harness import Double

OVERRIDES = r"Software\Wine\DllOverrides"
Run = subprocess.CompletedProcess[str]


@contextmanager
def without(name: str, instead: str = "") -> Iterator[None]:
    """Let Wine hide a DLL, or take its own (``builtin``), in processes that begin meanwhile."""
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, OVERRIDES) as key:
        winreg.SetValueEx(key, name, 0, winreg.REG_SZ, instead)
        try:
            yield
        finally:
            winreg.DeleteValue(key, name)


def python(code: str, *, seconds: int = 60) -> Run:
    """Run code in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=seconds,
    )


BACKUP = """
    from wmbackup.cli.render.next_steps import of_error
    from wmbackup.errors import WmbackupError
    from wmbackup.stores.windows.interface import backup_into
    try:
        backup_into({folder!r})
    except WmbackupError as error:
        print(type(error).__name__, error.exit_code.value, error.message, of_error(error), sep="|")
"""
LIST = """
    from wmbackup.cli.render.next_steps import of_error
    from wmbackup.errors import WmbackupError
    from wmbackup.stores.windows.enumeration import enumerate_licenses
    try:
        print(list(enumerate_licenses()))
    except WmbackupError as error:
        print(type(error).__name__, error.exit_code.value, error.message, of_error(error), sep="|")
"""


def test_no_wmvcore(double: Double) -> None:
    with without("wmvcore"):
        run = python(BACKUP.format(folder=str(double.folder)))
    assert (run.stderr, run.returncode) == ("", 0)
    kind, code, message, hint = run.stdout.strip().split("|")
    assert (kind, code) == ("StoreUnavailable", "7")
    assert "WMVCore.dll" in message
    assert "Media Feature Pack" in hint


def test_no_wmdrmsdk(double: Double) -> None:
    with without("wmdrmsdk"):
        run = python(LIST)
    assert (run.stderr, run.returncode) == ("", 0)
    assert run.stdout.startswith("StoreUnavailable|7|this Windows has no wmdrmsdk.dll")
    assert double.log() == []


def test_wine_itself_has_no_function(double: Double) -> None:
    with without("wmvcore", instead="builtin"):
        run = python(BACKUP.format(folder=str(double.folder)))
    assert (run.stderr, run.returncode) == ("", 0)
    assert run.stdout.startswith("InterfaceError|7|cannot use the Windows Media license backup: ")
    assert "E_NOTIMPL, 0x80004001" in run.stdout
    assert double.log() == []


def test_import_leaves_com_and_the_dlls_alone() -> None:
    run = python("""
        import ctypes
        import wmbackup.stores.windows.enumeration, wmbackup.stores.windows.interface
        kind = ctypes.c_int()
        ole32, kernel32 = ctypes.WinDLL("ole32"), ctypes.WinDLL("kernel32")
        print(hex(ole32.CoGetApartmentType(ctypes.byref(kind), ctypes.byref(kind)) & 0xFFFFFFFF))
        print([kernel32.GetModuleHandleW(name) for name in ("wmvcore.dll", "wmdrmsdk.dll")])
        import sys
        print(sorted({"click", "rich", "comtypes"} & set(sys.modules)))
    """)
    assert run.stderr == ""
    assert run.stdout.split() == ["0x800401f0", "[0,", "0]", "[]"]


@pytest.mark.parametrize("name", ["wmvcore.dll", "wmdrmsdk.dll"])
def test_dlls_come_from_the_system_folder_alone(name: str, tmp_path: pathlib.Path) -> None:
    # By its bare name alone, the copy beside the program would win, and then the current folder's.
    system = pathlib.Path(os.environ["SYSTEMROOT"], "system32", name)
    beside = pathlib.Path(sys.executable).with_name(name)
    code = f"""
        import ctypes, os
        from ctypes import wintypes
        os.chdir({str(tmp_path)!r})
        from wmbackup.stores.windows.com import system_library
        library = system_library({name!r})
        text = ctypes.create_unicode_buffer(999)
        find = ctypes.WinDLL("kernel32").GetModuleFileNameW
        find.argtypes = [wintypes.HMODULE, wintypes.LPWSTR, wintypes.DWORD]
        find(library._handle, text, 999)
        print(text.value)
    """
    shutil.copyfile(system, tmp_path / name)
    shutil.copyfile(system, beside)
    try:
        run = python(code)
    finally:
        beside.unlink()
    assert run.stderr == ""
    folder = pathlib.PureWindowsPath(run.stdout.strip().lower()).parent
    assert folder.name in {"system32", "syswow64"}


def test_a_process_ends_although_the_interface_hangs(double: Double) -> None:
    double.script("backup status 21 0", "backup hang")
    run = python(
        f"""
        from wmbackup.errors import TimedOut
        from wmbackup.stores.windows.following import Patience
        from wmbackup.stores.windows.interface import backup_into
        try:
            backup_into({str(double.folder)!r}, timeout=0.2, patience=Patience(cancel=0.2))
        except TimedOut as error:
            print(error.message)
        """,
        seconds=30,
    )
    assert (run.stdout, run.stderr) == ("cannot back up the licenses: the time is over\n", "")
    assert run.returncode == 0
    double.forget()


def test_the_process_dies_in_the_middle(double: Double) -> None:
    double.script("backup status 21 0", "backup file half.bak 100", "backup abort 9")
    run = python(BACKUP.format(folder=str(double.folder)))
    assert run.returncode == 9
    assert double.files() == ["half.bak"]
    double.forget()

"""What a report says of a Windows machine by itself: versions, policies, code pages, consoles."""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import locale
import os
import platform
from collections.abc import Iterator
from ctypes import byref, c_void_p, wintypes

from wmbackup.stores.windows.com import system_library
from wmbackup.stores.windows.machine import library_path, library_version, registry, this_machine

_LIBRARIES = (
    *("WMVCore.dll", "wmdrmsdk.dll", "drmv2clt.dll", "drmclien.dll", "blackbox.dll"),
    *("msnetobj.dll", "drmmgrtn.dll", "wmdrmdev.dll", "wmdrmnet.dll", "mfplat.dll", "wmp.dll"),
)
_MEDIA = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\WindowsFeatures\WindowsMediaVersion"
_POLICY = r"SOFTWARE\Policies\Microsoft\WMDRM"


def facts() -> Iterator[tuple[str, str]]:
    """Yield names and values. Nothing here calls a component of Windows Media."""
    machine = this_machine()
    yield "product", machine.product
    yield "edition", machine.edition
    yield "build", machine.build
    yield "bits", f"{machine.process_bits} of {machine.system_bits}"
    yield "python", platform.python_version()
    for name in _LIBRARIES:
        version, path = library_version(name), library_path(name)
        size = None if path is None else os.path.getsize(path)
        yield name, "not there" if size is None else f"version {version}, {size} bytes"
    yield "media feature", f"{registry(_MEDIA, '')}"
    yield "policy DisableOnline", f"{registry(_POLICY, 'DisableOnline')}"
    yield "administrator", "yes" if machine.administrator else "no"
    readable = {None: "not there", True: "readable", False: "not readable"}[machine.readable]
    yield "license folder", readable
    kernel32 = system_library("kernel32.dll")
    pages = ("GetACP", "GetOEMCP", "GetConsoleCP", "GetConsoleOutputCP")
    yield "code pages", ", ".join(f"{name[3:]} {kernel32[name]()}" for name in pages)
    yield "encoding", f"{locale.getpreferredencoding(do_setlocale=False)}"
    for number, name in ((-10, "input"), (-11, "output"), (-12, "error")):
        yield f"console mode, standard {name}", _console_mode(number)


def _console_mode(number: int) -> str:
    kernel32 = system_library("kernel32.dll")
    handle_of, mode_of = kernel32["GetStdHandle"], kernel32["GetConsoleMode"]
    handle_of.argtypes, handle_of.restype = (wintypes.DWORD,), c_void_p
    mode_of.argtypes = (c_void_p, c_void_p)
    mode = wintypes.DWORD()
    if not mode_of(handle_of(number & 0xFFFFFFFF), byref(mode)):
        return "no console"
    return f"0x{mode.value:04X}"

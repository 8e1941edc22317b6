"""The public headers of mingw-w64, which the rig installs, as names with their numbers."""

from __future__ import annotations

import functools
import pathlib
import re
import sys
from collections.abc import Mapping

FOLDER = pathlib.Path(
    "Z:/usr/share/mingw-w64/include" if sys.platform == "win32" else "/usr/share/mingw-w64/include"
)
_BASES = {"INTERNET_ERROR_BASE": 12000, "WINHTTP_ERROR_BASE": 12000, "WSABASEERR": 10000}
_NUMBER = re.compile(
    r"^#define[ \t]+(\w+)[ \t]+(?:_HRESULT_TYPEDEF_|_NDIS_ERROR_TYPEDEF_)?[( ]*"
    r"(?:__MSABI_LONG\(|\(HRESULT\)|\(NTSTATUS\))?[ ]*(0x[0-9A-Fa-f]+|\d+)",
    re.MULTILINE,
)
_SUM = re.compile(r"^#define[ \t]+(\w+)[ \t]+\((\w+)[ ]*\+[ ]*(\d+)\)", re.MULTILINE)


def text(name: str) -> str:
    """Return a header."""
    return (FOLDER / name).read_text(encoding="latin-1")


@functools.cache
def numbers(name: str) -> Mapping[str, int]:
    """Return the numbers that a header defines."""
    found = {match[1]: int(match[2], 0) for match in _NUMBER.finditer(text(name))}
    sums = {m[1]: _BASES[m[2]] + int(m[3]) for m in _SUM.finditer(text(name)) if m[2] in _BASES}
    return found | sums


def hresult_of(number: int) -> int:
    """Return a number of ``winerror.h`` as an HRESULT: HRESULT_FROM_WIN32 of a small one."""
    return 0x80070000 | number if 0 < number <= 0xFFFF else number

"""What the tests ask Windows itself."""

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes

CO_E_NOTINITIALIZED = 0x800401F0
IMPLICIT = 1


def apartment_kind() -> int | None:
    """Return APTTYPE of this thread, None where it has not entered an apartment by itself."""
    kind, qualifier = ctypes.c_int(), ctypes.c_int()
    answer = ctypes.WinDLL("ole32").CoGetApartmentType(ctypes.byref(kind), ctypes.byref(qualifier))
    if answer & 0xFFFFFFFF == CO_E_NOTINITIALIZED or qualifier.value == IMPLICIT:
        return None
    return kind.value

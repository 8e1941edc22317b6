"""The attributes that Windows keeps of a file: read-only, hidden, system, archive."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Collection

from wmbackup.item import ATTRIBUTES

_NORMAL = 0x80  # FILE_ATTRIBUTE_NORMAL: none of the others
_WINDOWS_BITS = (("archive", 0x20), ("hidden", 0x2), ("readonly", 0x1), ("system", 0x4))


def attributes_of(status: os.stat_result) -> tuple[str, ...]:
    """Return the Windows attributes of a file, in the order of ATTRIBUTES; elsewhere none."""
    bits = getattr(status, "st_file_attributes", 0)
    return tuple(name for name, bit in _WINDOWS_BITS if bits & bit) if bits else ()


assert tuple(name for name, _ in _WINDOWS_BITS) == ATTRIBUTES  # noqa: S101 - one order for both


_NAME_SURROGATE = 0x20000000
# FILE_ATTRIBUTE_OFFLINE, _RECALL_ON_OPEN and _RECALL_ON_DATA_ACCESS of winnt.h.
_NOT_HERE = 0x1000 | 0x40000 | 0x400000


def leads_elsewhere(status: os.stat_result) -> bool:
    """IsReparseTagNameSurrogate of ``ntifs.h``: a link, a junction, a mount point."""
    tag: int = getattr(status, "st_reparse_tag", 0)
    return bool(tag & _NAME_SURROGATE)


def is_elsewhere(status: os.stat_result) -> bool:
    """Whether the content of a file is not on this disk, as with placeholders of OneDrive."""
    bits: int = getattr(status, "st_file_attributes", 0)
    return bool(bits & _NOT_HERE)


if sys.platform == "win32":
    import ctypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True, winmode=0x800)
    _kernel32.SetFileAttributesW.argtypes = (ctypes.c_wchar_p, ctypes.c_uint32)

    def set_attributes(path: str, attributes: Collection[str]) -> None:
        """Give a file these attributes and no others of them. Raises OSError."""
        bits = sum(bit for name, bit in _WINDOWS_BITS if name in attributes)
        if not _kernel32.SetFileAttributesW(path, bits or _NORMAL):
            raise ctypes.WinError(ctypes.get_last_error())

else:

    def set_attributes(path: str, attributes: Collection[str]) -> None:
        """Other systems have none."""


def make_writable(path: str) -> None:
    """Let a file be removed or replaced: Windows does neither while it is read-only."""
    if os.name == "nt":
        os.chmod(path, stat.S_IWRITE)

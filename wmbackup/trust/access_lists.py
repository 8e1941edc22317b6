"""Whom an access list of Windows lets use a file, read from the bytes of its security descriptor.

By identifier (SID) and access mask: the letters that Windows writes for some of them as text mean
other accounts on other machines, and some entries have no letters at all. Layouts: [MS-DTYP] 2.4.2
(SID), 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (self-relative security descriptor).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

EVERYONE = "S-1-1-0"
_HAS_LIST = 0x0004  # SE_DACL_PRESENT
_INHERIT_ONLY = 0x08  # of the flags of an entry: it is for what is made in a folder
_MASK_AND_SID = {0, 9}  # allowed; allowed under a condition (callback)
_OBJECT = {5, 11}  # the same with up to two GUIDs before the SID
_COMPOUND = 4  # reserved: what it says is not documented
_USE = 0x0000_0007  # FILE_READ_DATA, FILE_WRITE_DATA, FILE_APPEND_DATA
_TAKE = 0x000C_0000  # WRITE_DAC, WRITE_OWNER: whoever has them gives himself the others
_GENERIC = 0xD000_0000  # GENERIC_READ, GENERIC_WRITE, GENERIC_ALL
_ALWAYS = re.compile(
    # Local System, Administrators, the creator and the owner; and the account Administrator, which
    # cannot leave that group: who can read everything anyhow, or is whom the file belongs to.
    r"S-1-5-18|S-1-5-32-544|S-1-3-0|S-1-3-4|S-1-5-21-\d+-\d+-\d+-500"
)


def users(descriptor: bytes) -> set[str]:
    """Return the SIDs (``S-1-5-18``) of whom a self-relative security descriptor lets use a file.

    To use it is to read or write what is in it, or to change who may. An entry under a condition
    counts as one without, and one that denies takes nothing away: whether a condition is met, and
    who is in a denied group, is decided elsewhere. No list at all is EVERYONE. Raises ValueError
    for what is no such descriptor.
    """
    try:
        return {sid for sid, mask in _allowed(descriptor) if mask & (_USE | _TAKE | _GENERIC)}
    except struct.error as error:
        raise ValueError("a security descriptor that ends too early") from error


def is_always_allowed(sid: str) -> bool:
    """Whether someone can read every file anyhow, or is the owner."""
    return _ALWAYS.fullmatch(sid) is not None


def _allowed(descriptor: bytes) -> Iterator[tuple[str, int]]:
    control, at = struct.unpack_from("<2xH12xI", descriptor)
    if not control & _HAS_LIST or not at:
        yield EVERYONE, _GENERIC
        return
    size, count = struct.unpack_from("<2xHH2x", descriptor, at)
    entries = descriptor[at : at + size]
    at = 8
    for _ in range(count):
        kind, flags, size = struct.unpack_from("<BBH", entries, at)
        entry = entries[at : at + size]
        at += size
        if flags & _INHERIT_ONLY:
            continue
        if kind in _MASK_AND_SID:
            yield _sid(entry, 8), _mask(entry)
        elif kind in _OBJECT:
            (present,) = struct.unpack_from("<I", entry, 8)
            yield _sid(entry, 12 + 16 * (present & 3).bit_count()), _mask(entry)
        elif kind == _COMPOUND:
            yield EVERYONE, _mask(entry)


def _mask(entry: bytes) -> int:
    mask: int = struct.unpack_from("<I", entry, 4)[0]
    return mask


def _sid(data: bytes, at: int) -> str:
    revision, count = struct.unpack_from("<BB", data, at)
    authority = int.from_bytes(struct.unpack_from("6s", data, at + 2)[0], "big")
    parts = struct.unpack_from(f"<{count}I", data, at + 8)
    return "-".join(map(str, ("S", revision, authority, *parts)))

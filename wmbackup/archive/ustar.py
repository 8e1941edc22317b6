"""Canonical ustar headers: name and size determine every byte (IEEE Std 1003.1-1988)."""

from __future__ import annotations

from zlib import adler32

from wmbackup.item import MAX_SIZE

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_NAME = 100

# A zero byte before a digit is \x00 here: \0 would take the digits that follow into the escape.
_IDS = b"0000600\x000000000\x000000000\x00"
_MTIME = b"03560116604\0"  # 499162500: a date that every tool can pack again
_KIND = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\x00" * 2 + bytes(167)
# A checksum is a sum, so the part that every header shares is added once.
_FIXED_SUM = sum(_IDS) + sum(_MTIME) + sum(_KIND) + 8 * ord(" ")


def header(name: bytes, size: int) -> bytes:
    """Return the 512 bytes of the header for a file of ``size`` bytes.

    Raises ValueError for a name or a size that the format cannot hold.
    """
    if not 1 <= len(name) <= MAX_NAME or not 0 <= size <= MAX_SIZE:
        raise ValueError(f"no header for {len(name)} bytes of name and a size of {size}")
    digits = b"%011o\0" % size
    # The lower half of Adler-32 is one more than the sum of so few bytes, and has it at once.
    checksum = b"%06o\0 " % (_FIXED_SUM - 1 + (adler32(name + digits) & 0xFFFF))
    return b"".join((name.ljust(MAX_NAME, b"\0"), _IDS, digits, _MTIME, checksum, _KIND))


def padding(size: int) -> int:
    """Return how many zero bytes follow a content of ``size`` bytes."""
    return -size % BLOCK


PADDINGS = [bytes(padding(size)) for size in range(BLOCK)]
"""What follows a content, by the remainder of its size."""


def record_length(size: int) -> int:
    """Return the bytes that a member takes: header, content, padding."""
    return BLOCK + size + -size % BLOCK

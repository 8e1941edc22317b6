"""How an age file begins. Asked of every archive that is opened, so it loads nothing."""

from __future__ import annotations

MAGIC = b"age-encryption.org/v1\n"
"""The first line of an age file, which no archive begins with."""

ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
"""What an armored age file begins with."""

ENOUGH = 64
"""So many bytes say whether a file is an envelope."""

_PROGRAM = b"age-encryption.org/"
_BLANKS = b" \t\r\n"


def is_envelope(beginning: bytes) -> bool:
    """Whether a file that begins so is an age file, of whatever version, armored or not."""
    return beginning.startswith(_PROGRAM) or beginning.lstrip(_BLANKS).startswith(ARMOR)

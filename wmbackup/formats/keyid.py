"""Key IDs as people write them: the base64 of a license, a GUID, hexadecimal digits.

In licenses and in the headers of media files a key ID is the base64 form of a GUID as it lies in
memory, the low bytes first ([MS-DRM], PlayReady Header Object). Addresses and some media files have
``!`` and ``*`` in it for ``+`` and ``/``. Key IDs of any other form exist, and are the same only
where they are the same to the letter.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from uuid import UUID

_GUID = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")
_HEXADECIMAL = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{32})")
_BASE64 = re.compile(r"[A-Za-z0-9+/!*]{21}[AQgw](?:==)?")
_USUAL = str.maketrans("!*", "+/")


def canonical(text: str) -> str:
    """Return the base64 form of a key ID that is a GUID, in whichever form; others as they are."""
    text = text.strip()
    if _BASE64.fullmatch(text):
        return text.rstrip("=").translate(_USUAL) + "=="
    guid = _GUID.fullmatch(text)
    return text if guid is None else _encoded(UUID(guid[1]).bytes_le)


@lru_cache
def meant(text: str) -> frozenset[str]:
    """Return the canonical forms of all key IDs that a person can mean by a text.

    Digits without hyphens are those of a GUID, or the bytes one after another.
    """
    digits = _HEXADECIMAL.fullmatch(text.strip())
    if digits is None:
        return frozenset({canonical(text)})
    guid = UUID(digits[1])
    return frozenset({text.strip(), _encoded(guid.bytes), _encoded(guid.bytes_le)})


def _encoded(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")

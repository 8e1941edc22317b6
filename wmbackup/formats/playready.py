"""PlayReady header objects and the header XML itself, WRMHEADER.

Source: the public PlayReady Header Object specification, versions 4.0 to 4.3. The format of
PlayReady licenses is not public: an embedded license store is opaque.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from wmbackup.formats.text import Draft, identifier
from wmbackup.formats.wmdrm_v2 import ATTRIBUTES, OPAQUE, is_uplink
from wmbackup.formats.xml import Element, NotWellFormed, elements
from wmbackup.license import License, plain_name

KIND = "playready-header"
LICENSE_STORE = "playready-license"
"""The kind of an embedded license store, which is opaque."""

OLDER = "wmdrm-header"
"""The kind of a WRMHEADER of version 2, which is that of Windows Media DRM itself."""

_HEAD = struct.Struct("<IH")
_RECORD = struct.Struct("<HH")
_HEADER_RECORD = 1
_STORE_RECORD = 3
_MAX_KIDS = 64
_ATTRIBUTES = {**ATTRIBUTES, "LUI_URL": "LicenseUserInterfaceURL", "DS_ID": "DomainServiceID"}
_SHOWN = {plain_name(name): name for name in ("ContentDistributor", "Title", "Author")}


class Header(NamedTuple):
    """What a WRMHEADER says: its version, its key IDs in base64, its attributes."""

    version: str
    kids: tuple[str, ...]
    attributes: dict[str, str]


def is_object(data: bytes) -> bool:
    """Say in a moment whether the bytes could be a header object: they begin with their length."""
    return int.from_bytes(data[:4], "little") == len(data)


def read(data: bytes) -> tuple[License, ...]:
    """Read a header object: DWORD length, WORD count, records of WORD type, WORD length, value.

    Lengths must fit to the byte; an empty tuple says that it is none. There is one license for
    each key ID, and an opaque one for an embedded license store that is not all zeros.
    """
    found: list[License] = []
    for kind, value in _records(data):
        if kind == _HEADER_RECORD:
            header = read_header(value.decode("utf-16-le", "replace"))
            found += [License(kind=KIND)] if header is None else licenses(header)
        elif kind == _STORE_RECORD and value.strip(b"\0"):
            found.append(License(kind=LICENSE_STORE))
    return tuple(found)


def _records(data: bytes) -> list[tuple[int, bytes]]:
    if len(data) < _HEAD.size or not is_object(data):
        return []
    _length, count = _HEAD.unpack_from(data)
    records = []
    place = _HEAD.size
    for _ in range(count):
        if len(data) - place < _RECORD.size:
            return []
        kind, length = _RECORD.unpack_from(data, place)
        place += _RECORD.size + length
        if place > len(data):
            return []
        records.append((kind, data[place - length : place]))
    return records if place == len(data) else []


def read_header(text: str) -> Header | None:
    """Read the XML of a WRMHEADER of any version; None where it is not one."""
    try:
        parts = elements(text.strip("\ufeff\0 \t\r\n"), OPAQUE)
    except NotWellFormed:
        return None
    path, attributes, _text = parts[-1] if parts else ((), {}, "")
    if path != ("WRMHEADER",):
        return None
    kids: list[str] = []
    draft = Draft()
    for part in parts:
        kid = _kid(part)
        if kid is not None and kid not in kids and len(kids) < _MAX_KIDS:
            kids.append(kid)
        name = part[0][-1]
        if name in _ATTRIBUTES:
            draft.attribute(_ATTRIBUTES[name], part[2])
        elif (shown := _SHOWN.get(plain_name(name))) is not None:
            draft.attribute(shown, part[2])
    return Header(attributes.get("version", ""), tuple(kids), draft.attributes)


def _kid(part: Element) -> str | None:
    """Return a key ID: the text of KID in version 4.0, its attribute VALUE since 4.1."""
    path, attributes, text = part
    is_own = path[-1] == "KID" and not is_uplink(path)
    return identifier(attributes.get("VALUE", text)) if is_own else None


def licenses(header: Header) -> list[License]:
    """Return one license for each key ID of a header, and one without where it names none."""
    kind = OLDER if header.version.startswith("2.") else KIND
    return [
        License(kind=kind, kid=kid, attributes=header.attributes) for kid in header.kids or (None,)
    ]

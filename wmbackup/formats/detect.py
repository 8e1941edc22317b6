"""Which of the formats a file is, from its own name and its bytes.

Every file of every store comes through here, so that most of them are turned away by their
first bytes alone.
"""

from __future__ import annotations

import io
import re
from typing import BinaryIO

from wmbackup.formats import compound, playready, scan, wmdrm_v1
from wmbackup.license import License

WHOLE = 1024 * 1024
"""Up to this size, in bytes, a file or a stream is looked at as a whole; beyond, in windows."""

OTHER = "wmdrm-other"
"""The kind of the files beside a license store about which nothing is documented."""

_KINDS = {
    b"drmv1.key": "wmdrm-v1-key",
    b"drmv1.lic": "wmdrm-v1-store",
    b"drmv2.lic": "wmdrm-v7-store",
    b"drmv2.sst": "wmdrm-v7-state",
    b"drmstore.hds": "wmdrm-data-store",
    b"drmv1key.bak": "wmdrm-v1-key-backup",
    b"drmv1lic.bak": "wmdrm-v1-backup",
    b"drmv2key.bak": "wmdrm-v7-key-backup",
    b"drmv2lic.bak": "wmdrm-v7-backup",
}
_PLAYREADY_STORE = "playready-store"

_XML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s{0,4096}<|(?:\xff\xfe)?(?:\s\0){0,2048}<\0|(?:\xfe\xff)?(?:\0\s){0,2048}\0<"
)
_HEADER_NEEDLES = tuple("<WRMHEADER".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be"))
_MAX_HEADER = 64 * 1024
_MAX_START = 1024  # a declaration and comments may stand in front of the element
_MAGIC_SIZE = 4100


def kind_of_file(name: bytes) -> str | None:
    """Return the kind of a file of a license store by its own name; None for any other file.

    Upper and lower case are the same, as on Windows. Names are those of Microsoft's and of third
    parties' descriptions; the format behind most of them is not documented.
    """
    name = name.lower()
    kind = _KINDS.get(name)
    if kind is not None:
        return kind
    if name.endswith(b".hds"):
        return _PLAYREADY_STORE
    if name.endswith((b".bla", b".sec")) or name.startswith(b"indiv"):
        return OTHER
    return None


def recognize(name: bytes, data: bytes) -> tuple[License, ...]:
    """Return the licenses in a file, from its own name (no folders) and all of its bytes.

    A file that is recognized and opaque gives one license with its kind and nothing else: an
    encrypted response, or a file whose name is that of a license store and whose content says
    nothing. An empty tuple says that nothing was recognized.
    """
    return _contents(data, nested=False) or _by_name(name, data)


def recognize_file(name: bytes, file: BinaryIO, size: int) -> tuple[License, ...]:
    """Do as `recognize` for an open, seekable file of ``size`` bytes, in bounded memory.

    The position in the file is undefined afterwards. Raises OSError where it cannot be read.
    """
    file.seek(0)
    if size <= WHOLE:
        return recognize(name, file.read(size))
    head = file.read(_MAGIC_SIZE)
    found = _streams(file, size) if head.startswith(compound.MAGIC) else ()
    if not found and (_XML.match(head) or _store(name) is not None):
        file.seek(0)
        found = scan.licenses_in(iter(lambda: file.read(WHOLE), b""))
    return found or _opaque(name)


def forbids_backup(license_: License) -> bool:
    """Say whether a license can be read and says explicitly that it may not be backed up.

    That is AllowBackupRestore false, or bit 0x04 of the rights of version 1, which is read as
    that. Silence is not explicit, although the default of the right is false.
    """
    return license_.rights.get("AllowBackupRestore") is False


def _store(name: bytes) -> str | None:
    """Return the kind of what is a license store for certain, by its name."""
    kind = kind_of_file(name)
    return None if kind == OTHER else kind


def _opaque(name: bytes) -> tuple[License, ...]:
    kind = _store(name)
    return () if kind is None else (License(kind=kind),)


def _by_name(name: bytes, data: bytes) -> tuple[License, ...]:
    """Look between the bytes of a store whose own format is not known, or is damaged."""
    return () if _store(name) is None else scan.licenses(data) or _opaque(name)


def _contents(data: bytes, *, nested: bool) -> tuple[License, ...]:
    if _XML.match(data):
        return scan.licenses(data) or _bare_header(data)
    if playready.is_object(data):
        return playready.read(data)
    if not nested and data.startswith(compound.MAGIC):
        return _streams(io.BytesIO(data), len(data))
    license_ = wmdrm_v1.read(data)
    return () if license_ is None else (license_,)


def _bare_header(data: bytes) -> tuple[License, ...]:
    """Read a PlayReady header that stands alone, without its header object."""
    if len(data) > _MAX_HEADER or all(
        data.find(needle, 0, _MAX_START) < 0 for needle in _HEADER_NEEDLES
    ):
        return ()
    header = playready.read_header(decode(data))
    return () if header is None else tuple(playready.licenses(header))


def decode(data: bytes) -> str:
    """Return the text of an XML document in UTF-8 or UTF-16, with or without byte order mark."""
    if data.startswith(b"\xff\xfe") or data[1:2] == b"\0":
        return data.decode("utf-16-le", "replace").removeprefix("\ufeff")
    if data.startswith((b"\xfe\xff", b"\0")):
        return data.decode("utf-16-be", "replace").removeprefix("\ufeff")
    return data.decode("utf-8-sig", "replace")


def _streams(file: BinaryIO, size: int) -> tuple[License, ...]:
    """Return the licenses in the streams of a compound file."""
    found: list[License] = []
    for stream in compound.streams(file, size):
        if stream.size > WHOLE:
            found += scan.licenses_in(stream.chunks)
        else:
            data = b"".join(stream.chunks)
            found += _contents(data, nested=True) or scan.licenses(data)
        if len(found) >= scan.MAX_LICENSES:
            break
    return tuple(found[: scan.MAX_LICENSES])

"""Titles for key IDs, out of protected media files, which are known by what they begin with.

The names of such files end in ``.wma``, ``.wmv``, ``.asf``, ``.dvr-ms``, ``.pya`` and more.
Source: the Advanced Systems Format specification, 3.1 and 3.10 to 3.15. Only the objects of the
header that speak of protection and of titles are read; media data is never touched, and neither
is the secret data of an encryption object.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from wmbackup.formats import playready
from wmbackup.formats.text import clean, identifier
from wmbackup.license import plain_name

_HEADER = UUID("75B22630-668E-11CF-A6D9-00AA0062CE6C").bytes_le
_CONTENT_DESCRIPTION = UUID("75B22633-668E-11CF-A6D9-00AA0062CE6C").bytes_le
_EXTENDED_DESCRIPTION = UUID("D2D0A440-E307-11D2-97F0-00A0C95EA850").bytes_le
_CONTENT_ENCRYPTION = UUID("2211B3FB-BD23-11D2-B4B7-00A0C955FC6E").bytes_le
_EXTENDED_ENCRYPTION = UUID("298AE614-2622-4C17-B935-DAE07EE9289C").bytes_le

_OBJECT = struct.Struct("<16sQ")  # GUID and size, itself included
_HEADER_REST = struct.Struct("<IBB")  # number of objects, two reserved bytes
_DWORD = struct.Struct("<I")
_WORD = struct.Struct("<H")
_LENGTHS = struct.Struct("<5H")  # title, author, copyright, description, rating
_STRING = 0

_MAX_HEADER = 2**31 - 1  # what every seek takes, that of a 32-bit process too
_MAX_OBJECT = 1024 * 1024
_MAX_OBJECTS = 256
_MAX_ENTRIES = 1024
_MAX_DEPTH = 64

_ELSEWHERE = 0x1000 | 0x40000 | 0x400000
"""FILE_ATTRIBUTE_OFFLINE, _RECALL_ON_OPEN and _RECALL_ON_DATA_ACCESS."""

# The extended attributes that name a title's people and its shop, the best first.
_ARTISTS = ("Author", "AlbumArtist")
_DISTRIBUTORS = ("ContentDistributor", "Provider")
_NAMES = frozenset(map(plain_name, (*_ARTISTS, *_DISTRIBUTORS)))


@dataclass(frozen=True, slots=True)
class Title:
    """What a protected media file says of itself; what it does not say is None.

    ``kids`` are its key IDs as they stand there, at least one. ``acquisition_url`` is the address
    at which a license was to be had. ``path`` is the file's own, where it was found in a folder.
    """

    kids: tuple[str, ...]
    title: str | None = None
    artist: str | None = None
    distributor: str | None = None
    acquisition_url: str | None = None
    path: bytes | None = None


class _Draft:
    """A title while it is read: of several that say the same thing the first is kept."""

    def __init__(self) -> None:
        self.kids: list[str] = []
        self.said: dict[str, str] = {}

    def kid(self, text: str) -> None:
        kid = identifier(text)
        if kid is not None and kid not in self.kids:
            self.kids.append(kid)

    def say(self, name: str, text: str) -> None:
        text = clean(text)
        if text:
            self.said.setdefault(plain_name(name), text)

    def first(self, *names: str) -> str | None:
        found = map(plain_name, names)
        return next((self.said[name] for name in found if name in self.said), None)


def read_title(file: BinaryIO, path: bytes | None = None) -> Title | None:
    """Read the header of an open, seekable media file; None where it names no key ID.

    At most 256 objects are looked at and 1 MiB of each; longer ones, such as pictures, are
    skipped. Raises OSError where the file cannot be read.
    """
    draft = _Draft()
    for kind, body in _objects(file):
        _READERS[kind](draft, body)
    if not draft.kids:
        return None
    return Title(
        kids=tuple(draft.kids),
        title=draft.first("Title"),
        artist=draft.first(*_ARTISTS),
        distributor=draft.first(*_DISTRIBUTORS),
        acquisition_url=draft.first("LicenseAcquisitionURL"),
        path=path,
    )


def titles_in(folder: bytes | str, tick: Callable[[], None] | None = None) -> dict[str, Title]:
    """Return the titles of all media files below a folder by their key IDs.

    Links are not followed, what cannot be read is passed over, and where two files have the same
    key ID the first in the order of names is taken. ``tick`` is called for each folder and file and
    may raise to end the search. On Windows a file that is not on the disk is not fetched for it.
    Raises OSError where the folder itself cannot be read.
    """
    titles: dict[str, Title] = {}
    tick = tick or (lambda: None)
    for path in _files(os.fsencode(folder), tick):
        tick()
        title = _read_path(path)
        if title is not None:
            for kid in title.kids:
                titles.setdefault(kid, title)
    return titles


def _files(top: bytes, tick: Callable[[], None]) -> Iterator[bytes]:
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        tick()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            if not depth:
                raise
            continue
        folders = []
        for entry in listed:
            if _is_folder(entry):
                folders.append((entry.path, depth + 1))
            elif _is_on_disk(entry):
                yield entry.path
        # Junctions of Windows are folders to Python 3.11 and may lead in a circle.
        waiting += reversed(folders) if depth < _MAX_DEPTH else ()


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_on_disk(entry: os.DirEntry[bytes]) -> bool:
    """Whether a file has its bytes here, and not with a service that would have to send them."""
    if os.name != "nt":
        return True
    try:
        attributes = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    except OSError:
        return False
    return not attributes & _ELSEWHERE


def _read_path(path: bytes) -> Title | None:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe would wait
    try:
        with open(os.open(path, flags), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return read_title(file, path)
    except OSError:
        pass
    return None


def _objects(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield GUID and body of the objects of the header that have a reader."""
    file.seek(0)
    head = file.read(_OBJECT.size + _HEADER_REST.size)
    if len(head) < _OBJECT.size + _HEADER_REST.size or not head.startswith(_HEADER):
        return
    _guid, end = _OBJECT.unpack_from(head)
    count, _reserved, _other = _HEADER_REST.unpack_from(head, _OBJECT.size)
    end = min(end, _MAX_HEADER)
    place = len(head)
    for _ in range(min(count, _MAX_OBJECTS)):
        file.seek(place)
        raw = file.read(_OBJECT.size)
        if len(raw) < _OBJECT.size:
            return
        kind, size = _OBJECT.unpack(raw)
        if size < _OBJECT.size or size > end - place:
            return
        if kind in _READERS and size <= _MAX_OBJECT:
            yield kind, file.read(size - _OBJECT.size)
        place += size


def _blocks(body: bytes, count: int) -> list[bytes]:
    """Return ``count`` blocks, each after its DWORD length; empty ones where the bytes end."""
    blocks = []
    place = 0
    for _ in range(count):
        if len(body) - place < _DWORD.size:
            break
        (size,) = _DWORD.unpack_from(body, place)
        place += _DWORD.size
        if size > len(body) - place:
            break
        blocks.append(body[place : place + size])
        place += size
    return blocks + [b""] * (count - len(blocks))


def _wide(data: bytes) -> str:
    """Return a string of UTF-16LE up to its NUL."""
    return data.decode("utf-16-le", "replace").partition("\0")[0]


def _narrow(data: bytes) -> str:
    return data.decode("utf-8", "replace").partition("\0")[0]


def _read_encryption(draft: _Draft, body: bytes) -> None:
    """Read ASF 3.14: secret data, protection type, key ID, address, each after its DWORD length."""
    _secret, _type, kid, url = _blocks(body, 4)
    draft.kid(_narrow(kid))
    draft.say("LicenseAcquisitionURL", _narrow(url))


def _read_extended_encryption(draft: _Draft, body: bytes) -> None:
    """Read ASF 3.15: data after its DWORD length, which is a WRMHEADER in XML as a rule."""
    (data,) = _blocks(body, 1)
    header = playready.read_header(_wide(data))
    if header is not None:
        for kid in header.kids:
            draft.kid(kid)
        for name, text in header.attributes.items():
            draft.say(name, text)
        return
    for license_ in playready.read(data):
        draft.kid(license_.kid or "")
        for name, text in license_.attributes.items():
            draft.say(name, text)


def _read_description(draft: _Draft, body: bytes) -> None:
    """Read ASF 3.10: five WORD lengths, then five strings."""
    if len(body) < _LENGTHS.size:
        return
    title, author, *_others = _LENGTHS.unpack_from(body)
    place = _LENGTHS.size
    draft.say("Title", _wide(body[place : place + title]))
    draft.say("Author", _wide(body[place + title : place + title + author]))


def _read_extended_description(draft: _Draft, body: bytes) -> None:
    """Read ASF 3.11: WORD count, then for each a name, a WORD type and a value."""
    count = _word(body, 0)
    place = _WORD.size
    for _ in range(min(count, _MAX_ENTRIES)):
        begin = place + _WORD.size
        kind = begin + _word(body, place)
        value = kind + 2 * _WORD.size
        place = value + _word(body, kind + _WORD.size)
        if place > len(body):
            return
        name = _wide(body[begin:kind])
        if _word(body, kind) == _STRING and plain_name(name) in _NAMES:
            draft.say(name, _wide(body[value:place]))


def _word(body: bytes, place: int) -> int:
    """Return the WORD at a place, and 0 beyond the end."""
    return int.from_bytes(body[place : place + _WORD.size], "little")


_READERS: dict[bytes, Callable[[_Draft, bytes], None]] = {
    _CONTENT_DESCRIPTION: _read_description,
    _EXTENDED_DESCRIPTION: _read_extended_description,
    _CONTENT_ENCRYPTION: _read_encryption,
    _EXTENDED_ENCRYPTION: _read_extended_encryption,
}

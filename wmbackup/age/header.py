"""The header of an age file: version line, stanzas, and the line of the MAC (C2SP age, v1).

Only the canonical encoding is accepted, and sizes are bounded before anything is kept.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wmbackup.age.magic import ARMOR, MAGIC
from wmbackup.errors import (
    ArmoredArchive,
    EnvelopeDamaged,
    EnvelopeTruncated,
    UnsupportedArchive,
    WmbackupError,
)

FILE_KEY_SIZE = 16
MAX_HEADER = 128 * 1024  # bytes
MAX_STANZAS = 512
MAX_LINE = 8 * 1024  # bytes, without the line feed
_COLUMNS = 64
_MAC_SIZE = 32
_ANY_VERSION = re.compile(rb"age-encryption\.org/(v[0-9]{1,9})\n")
_ARGUMENTS = re.compile(rb"-> [!-~]+(?: [!-~]+)*\Z")
_BLOCK = 4096

Read = Callable[[int], bytes]
"""Returns at most so many bytes, and none at the end."""


class Stanza(NamedTuple):
    """A file key, wrapped for one recipient: the type, further arguments, and the body."""

    type: str
    arguments: tuple[str, ...]
    body: bytes

    def encode(self) -> bytes:
        """Return the lines of the header."""
        text = b64encode(self.body).encode()
        lines = [text[at : at + _COLUMNS] for at in range(0, len(text) + 1, _COLUMNS)]
        words = " ".join(("->", self.type, *self.arguments)).encode()
        return b"\n".join((words, *lines)) + b"\n"


class Header(NamedTuple):
    """A parsed header. ``signed`` is what the MAC covers, ``size`` its bytes up to the payload.

    ``rest`` was read beyond it: the payload begins with that.
    """

    stanzas: tuple[Stanza, ...]
    mac: bytes
    signed: bytes
    size: int
    rest: bytes

    def verify(self, file_key: bytes) -> None:
        """Raise EnvelopeDamaged unless the MAC is that of the file key."""
        if not hmac.compare_digest(self.mac, _mac(file_key, self.signed)):
            raise EnvelopeDamaged("the header of the encryption was changed: its MAC is wrong")


def encode(stanzas: list[Stanza], file_key: bytes) -> bytes:
    """Return a whole header."""
    signed = MAGIC + b"".join(stanza.encode() for stanza in stanzas) + b"---"
    return signed + b" " + b64encode(_mac(file_key, signed)).encode() + b"\n"


def parse(read: Read) -> Header:
    """Read a header.

    Raises EnvelopeTruncated, EnvelopeDamaged, ArmoredArchive, or UnsupportedArchive for another
    version.
    """
    lines = _Lines(read)
    first = lines.next()
    if first + b"\n" != MAGIC:
        raise _other_beginning(first, lines)
    stanzas: list[Stanza] = []
    line = lines.next()
    while line.startswith(b"-> "):
        if len(stanzas) == MAX_STANZAS:
            raise EnvelopeDamaged(f"the encryption has more than {MAX_STANZAS} recipients")
        stanzas.append(_stanza(line, lines))
        line = lines.next()
    begin, mac = line[:4], line[4:]
    if begin != b"--- " or not stanzas:
        raise EnvelopeDamaged("the header of the encryption is malformed")
    signed = lines.taken[: -len(mac) - 2]
    return Header(tuple(stanzas), b64decode(mac, _MAC_SIZE), signed, len(lines.taken), lines.rest)


def _other_beginning(first: bytes, lines: _Lines) -> WmbackupError:
    other = _ANY_VERSION.fullmatch(first + b"\n")
    if other is not None:
        return UnsupportedArchive(f"the encryption is age {other[1].decode()}; only v1 is known")
    while not first.strip():
        first = lines.next()
    if first.lstrip().startswith(ARMOR):
        return ArmoredArchive("the archive is an armored age file, which is a text")
    return EnvelopeDamaged("the first line of the encryption is malformed")


def _stanza(line: bytes, lines: _Lines) -> Stanza:
    if not _ARGUMENTS.match(line):
        raise EnvelopeDamaged("the header of the encryption has a malformed recipient line")
    kind, *arguments = line[3:].decode("ascii").split(" ")
    text = b""
    while True:
        part = lines.next()
        if len(part) > _COLUMNS:
            raise EnvelopeDamaged("the header of the encryption has a line that is too long")
        text += part
        if len(part) < _COLUMNS:
            return Stanza(kind, tuple(arguments), b64decode(text))


class _Lines:
    """Lines of the header; ``taken`` are the bytes of those so far, ``rest`` what follows."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._buffer = bytearray()
        self._at = 0
        self._read_all = False

    @property
    def taken(self) -> bytes:
        return bytes(self._buffer[: self._at])

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer[self._at :])

    def next(self) -> bytes:
        searched = self._at
        while True:
            end = self._buffer.find(b"\n", searched, self._at + MAX_LINE + 1)
            if end >= 0:
                line = bytes(self._buffer[self._at : end])
                self._at = end + 1
                if self._at > MAX_HEADER:
                    raise EnvelopeDamaged(
                        f"the header of the encryption is larger than {MAX_HEADER:,} bytes"
                    )
                return line
            searched = len(self._buffer)
            if searched - self._at > MAX_LINE:
                raise EnvelopeDamaged("the header of the encryption has a line that is too long")
            block = self._read(_BLOCK)
            if not block:
                raise EnvelopeTruncated("the archive ends in the header of the encryption")
            self._buffer += block


def b64encode(data: bytes) -> str:
    """Return standard base64 without padding."""
    return base64.b64encode(data).decode().rstrip("=")


def b64decode(text: bytes, size: int | None = None) -> bytes:
    """Decode canonical base64 without padding; ``size`` is what must come out.

    Raises EnvelopeDamaged.
    """
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        data = None
    if data is None or b64encode(data).encode() != text or size not in {None, len(data)}:
        raise EnvelopeDamaged("the header of the encryption has base64 that is not canonical")
    return data


def derive(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA-256 (RFC 5869); an empty salt is that of 32 zeros."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt or None, info=info).derive(key)


def _mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(derive(file_key, b"", b"header"), signed, "sha256")

"""The payload of an age file: chunks of 64 KiB, each authenticated by itself (STREAM).

No byte of a chunk is given out before its tag is verified. In a seekable file the last chunk is
verified first: a file that was truncated at the border of two chunks is noticed at once.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmbackup.age.header import derive
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, EnvelopeDamaged

CHUNK = 64 * 1024
"""Bytes of plaintext in every chunk but the last."""

TAG = 16
NONCE_SIZE = 16
_SEALED = CHUNK + TAG
_READ_AT_ONCE = 16  # chunks
_DAMAGED = "the encrypted payload is damaged: chunk {} does not authenticate"
_TRUNCATED = "the encrypted archive is truncated: its last chunk is missing"


class ByteStream(Protocol):
    """What is read from; the same as that of an archive."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""

    def seek(self, offset: int, /) -> int:
        """Go to an offset."""


def sealed_size(size: int) -> int:
    """Return the size of the payload of ``size`` bytes, nonce and tags included."""
    return NONCE_SIZE + size + TAG * max(1, -(-size // CHUNK))


def plain_size(sealed: int) -> int:
    """Return how many bytes are in a payload of ``sealed`` bytes. Raises ArchiveTruncated."""
    rest = sealed - NONCE_SIZE
    chunks = max(1, -(-rest // _SEALED))
    last = rest - (chunks - 1) * _SEALED
    if last < TAG or (last == TAG and chunks > 1):
        raise ArchiveTruncated(_TRUNCATED)
    return rest - chunks * TAG


def _number(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive(file_key, nonce, b"payload"))


class EncryptingStream(io.RawIOBase):
    """Encrypts what is written to it; `finish` writes the last chunk."""

    def __init__(self, output: BinaryIO, file_key: bytes) -> None:
        """Write a fresh nonce. The output stays the caller's."""
        nonce = os.urandom(NONCE_SIZE)
        self._output = output
        self._cipher = _cipher(file_key, nonce)
        self._index = 0
        self._waiting = bytearray()
        output.write(nonce)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """Encrypt whole chunks; the last one waits for `finish`."""
        self._waiting += data
        ready = (len(self._waiting) - 1) // CHUNK if self._waiting else 0
        if ready:
            view = memoryview(self._waiting)
            sealed = [
                self._cipher.encrypt(_number(self._index + at, last=False), part, None)
                for at, part in enumerate(
                    view[begin : begin + CHUNK] for begin in range(0, ready * CHUNK, CHUNK)
                )
            ]
            view.release()
            del self._waiting[: ready * CHUNK]
            self._index += ready
            self._output.write(b"".join(sealed))
        return len(data)

    def finish(self) -> None:
        """Write the last chunk."""
        number = _number(self._index, last=True)
        self._output.write(self._cipher.encrypt(number, bytes(self._waiting), None))
        self._waiting.clear()


class DecryptingStream:
    """The plaintext of a payload, forwards from a pipe, or to and fro in a file.

    It begins with the nonce, at ``begin`` of the stream, of which ``ahead`` were read already.
    ``length`` is that of the sealed payload with its nonce, None for a pipe.
    Reading raises ArchiveTruncated or EnvelopeDamaged.
    """

    def __init__(
        self,
        stream: ByteStream,
        file_key: bytes,
        *,
        begin: int,
        ahead: bytes,
        length: int | None,
    ) -> None:
        """Read the nonce and, where the length is known, verify the last chunk."""
        self._stream = stream
        self._ahead = ahead
        self._begin = begin + NONCE_SIZE
        self._last: int | None = None
        self.size: int | None = None
        """The bytes of plaintext, where they are known beforehand."""
        if length is not None:
            self.size = plain_size(length)
            self._last = max(0, -(-self.size // CHUNK) - 1)
        nonce = self._take(NONCE_SIZE)
        if len(nonce) != NONCE_SIZE:
            raise ArchiveTruncated("the archive ends in the header of the encryption")
        self._cipher = _cipher(file_key, nonce)
        self._index = 0  # of the next chunk
        self._plain = memoryview(b"")  # decrypted and not read yet
        self._position = 0
        self._pending: bytes | None = None  # a sealed chunk of a pipe, which may be the last
        self._ended = False
        if self._last is not None:
            self._chunks(self._last, 1)

    def seekable(self) -> bool:
        """Whether the length is known, so that one can go to and fro."""
        return self.size is not None

    def tell(self) -> int:
        """Return the offset in the plaintext."""
        return self._position

    def seek(self, offset: int) -> int:
        """Go to an offset in the plaintext of a file."""
        skip = offset - self._position
        if 0 <= skip <= len(self._plain):
            self._plain = self._plain[skip:]
        else:
            self._plain = memoryview(b"")
            self._index = offset // CHUNK
            inside = offset % CHUNK
            if inside and self._last is not None and self._index <= self._last:
                self._plain = memoryview(self._chunks(self._index, 1))[inside:]
                self._index += 1
        self._position = offset
        return offset

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end; nothing that is not authenticated."""
        if not self._plain:
            more = self._from_pipe if self._last is None else self._from_file
            self._plain = memoryview(more(max(1, min(_READ_AT_ONCE, size // CHUNK))))
        data, self._plain = self._plain[:size], self._plain[size:]
        self._position += len(data)
        return bytes(data)

    def _from_file(self, count: int) -> bytes:
        assert self._last is not None  # noqa: S101 - which is how one comes here
        count = min(count, self._last + 1 - self._index)
        if count <= 0:
            return b""
        plain = self._chunks(self._index, count)
        self._index += count
        return plain

    def _chunks(self, index: int, count: int) -> bytes:
        """Return chunks of a file, which need not be the next."""
        assert self._last is not None  # noqa: S101 - as above
        assert self.size is not None  # noqa: S101 - as above
        end = min(self.size, (index + count) * CHUNK)
        wanted = end - index * CHUNK + count * TAG
        self._stream.seek(self._begin + index * _SEALED)
        self._ahead = b""
        sealed = memoryview(self._take(wanted))
        if len(sealed) != wanted:
            raise ArchiveTruncated("the encrypted archive became shorter while it was read")
        return b"".join(
            self._open(
                index + at,
                sealed[at * _SEALED : (at + 1) * _SEALED],
                last=index + at == self._last,
            )
            for at in range(count)
        )

    def _from_pipe(self, count: int) -> bytes:
        plain: list[bytes] = []
        while not self._ended and len(plain) < count:
            sealed = self._take(_SEALED) if self._pending is None else self._pending
            self._pending = self._take(_SEALED) if len(sealed) == _SEALED else b""
            self._ended = not self._pending
            if len(sealed) < TAG or (self._ended and len(sealed) == TAG and self._index):
                raise ArchiveTruncated(_TRUNCATED)
            plain.append(self._open(self._index, sealed, last=self._ended))
            self._index += 1
        return b"".join(plain)

    def _open(self, index: int, sealed: bytes | memoryview, *, last: bool) -> bytes:
        try:
            return self._cipher.decrypt(_number(index, last=last), sealed, None)
        except InvalidTag:
            raise self._failure(index, sealed, last=last) from None

    def _failure(self, index: int, sealed: bytes | memoryview, *, last: bool) -> ArchiveDamaged:
        """Return what is wrong with a chunk: damaged, or at the end where it was not written."""
        try:
            self._cipher.decrypt(_number(index, last=not last), sealed, None)
        except InvalidTag:
            return EnvelopeDamaged(_DAMAGED.format(index + 1))
        if last:
            return ArchiveTruncated(_TRUNCATED)
        return EnvelopeDamaged("something follows the last chunk of the encrypted payload")

    def _take(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        while len(data) < size:
            part = self._stream.read(size - len(data))
            if not part:
                break
            data = data + part if data else part
        return data

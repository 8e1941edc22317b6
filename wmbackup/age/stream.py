"""The payload of an age file: chunks of 64 KiB, each authenticated by itself (STREAM).

No byte of a chunk is given out before its tag is verified. In a seekable file the last chunk is
verified first: a file that was truncated at the border of two chunks is noticed at once.
"""

from __future__ import annotations

import io
import os
import struct
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmbackup.age.header import derive
from wmbackup.errors import ArchiveDamaged, EnvelopeDamaged, EnvelopeTruncated

CHUNK = 64 * 1024
"""Bytes of plaintext in every chunk but the last."""

TAG = 16
NONCE_SIZE = 16
_SEALED = CHUNK + TAG
_AT_ONCE = 4  # chunks that are read or written with one call; larger blocks are not faster
_SHARED = struct.Struct("=16sQQ")  # file key, where the payload begins, its length
SHARED_SIZE = _SHARED.size
_DAMAGED = "the encrypted payload is damaged: chunk {} does not authenticate"
_MORE = "something follows the last chunk of the encrypted payload"
_UNFINISHED = "the end of the encrypted payload does not authenticate: it is truncated or damaged"
_TRUNCATED = "the encrypted archive is truncated: its last chunk is missing"

Data = bytes | bytearray | memoryview


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
    """Return how many bytes are in a payload of ``sealed`` bytes. Raises EnvelopeTruncated."""
    rest = sealed - NONCE_SIZE
    chunks = max(1, -(-rest // _SEALED))
    last = rest - (chunks - 1) * _SEALED
    if last < TAG or (last == TAG and chunks > 1):
        raise EnvelopeTruncated(_TRUNCATED)
    return rest - chunks * TAG


def _number(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes([last])


def _cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive(file_key, nonce, b"payload"))


class EncryptingStream(io.RawIOBase):
    """Encrypts what is written to it; `finish` writes the last chunk.

    What is not finished is truncated, and no reader takes it for whole.
    """

    def __init__(self, output: BinaryIO, file_key: bytes) -> None:
        """Write a fresh nonce. The output stays the caller's; it must take all it is given."""
        nonce = os.urandom(NONCE_SIZE)
        self._output = output
        self._cipher = _cipher(file_key, nonce)
        self._index = 0
        self._waiting = bytearray()
        output.write(nonce)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Data) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """Encrypt whole chunks; what may be the last one waits for `finish`."""
        if self.closed:
            raise ValueError("write to closed file")
        self._waiting += data
        ready = (len(self._waiting) - 1) // CHUNK if self._waiting else 0
        begin = 0
        with memoryview(self._waiting) as view:
            for _ in range(0, ready, _AT_ONCE):
                end = min(begin + _AT_ONCE * CHUNK, ready * CHUNK)
                self._output.write(b"".join(map(self._seal, _split(view[begin:end], CHUNK))))
                begin = end
        del self._waiting[:begin]
        return len(data)

    def _seal(self, part: Data, *, last: bool = False) -> bytes:
        sealed = self._cipher.encrypt(_number(self._index, last=last), part, None)
        self._index += 1
        return sealed

    def finish(self) -> None:
        """Write the last chunk; nothing can be written after it."""
        self._output.write(self._seal(self._waiting, last=True))
        self._waiting.clear()
        self.close()


def _split(view: memoryview, size: int) -> list[memoryview]:
    return [view[begin : begin + size] for begin in range(0, len(view), size)]


class DecryptingStream:
    """The plaintext of a payload, forwards from a pipe, or to and fro in a file.

    It begins with the nonce, at ``begin`` of the stream, of which ``ahead`` was read already.
    ``length`` is that of the sealed payload with its nonce, None for a pipe.
    Reading raises EnvelopeTruncated or EnvelopeDamaged, and first gives out the chunks before.

    With ``salvage`` a chunk that does not authenticate is zeros, and what is missing at the end is
    an end: whoever reads it verifies every byte by other means. The first chunk has to be whole.
    """

    def __init__(
        self,
        stream: ByteStream,
        file_key: bytes,
        *,
        begin: int,
        ahead: bytes,
        length: int | None,
        salvage: bool = False,
    ) -> None:
        """Read the nonce and, where the length is known, verify the last chunk."""
        self._shared = None if length is None else (file_key, begin, length)
        self._stream = stream
        self._ahead = ahead
        self._begin = begin + NONCE_SIZE
        self._salvage = salvage
        self._last: int | None = None
        self.size: int | None = None
        """The bytes of plaintext, where they are known beforehand."""
        if length is not None:
            self.size = _salvaged_size(length) if salvage else plain_size(length)
            self._last = max(0, -(-self.size // CHUNK) - 1)
        nonce = self._take(NONCE_SIZE)
        if len(nonce) != NONCE_SIZE:
            raise EnvelopeTruncated("the archive ends in the header of the encryption")
        self._cipher = _cipher(file_key, nonce)
        self._index = 0  # of the next chunk
        self._plain = memoryview(b"")  # decrypted and not read yet
        self._position = 0
        self._pending: bytes | None = None  # a sealed chunk of a pipe, which may be the last
        self._ended = False
        self._failed: ArchiveDamaged | None = None
        self._tail = b""  # the plaintext of the last chunk of a file
        if self._last is not None:
            (self._tail,) = self._chunks(self._last, 1)

    def share(self) -> bytes:
        """Return what another process needs to read the same file; see `open_shared`.

        It has the key in it, and is for a pipe between the two. Empty for a pipe.
        """
        return b"" if self._shared is None else _SHARED.pack(*self._shared)

    def seekable(self) -> bool:
        """Whether the length is known, so that one can go to and fro."""
        return self.size is not None

    def tell(self) -> int:
        """Return the offset in the plaintext."""
        return self._position

    def seek(self, offset: int) -> int:
        """Go to an offset in the plaintext of a file. Raises OSError for a pipe."""
        if self._last is None:
            raise io.UnsupportedOperation("a pipe is read forwards only")
        skip = offset - self._position
        if 0 <= skip <= len(self._plain):
            self._plain = self._plain[skip:]
        else:
            self._plain = memoryview(b"")
            self._index, inside = divmod(offset, CHUNK)
            if inside and self._index <= self._last:
                self._plain = memoryview(self._from_file(1))[inside:]
        self._position = offset
        return offset

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes, none at the end; nothing that is not authenticated."""
        if not self._plain and size:
            more = self._from_pipe if self._last is None else self._from_file
            found = more(max(1, min(_AT_ONCE, size // CHUNK)))
            if len(found) <= size:  # as a rule, and nothing is copied
                self._position += len(found)
                return found
            self._plain = memoryview(found)
        data, self._plain = self._plain[:size], self._plain[size:]
        self._position += len(data)
        return bytes(data)

    def _from_file(self, count: int) -> bytes:
        assert self._last is not None  # noqa: S101 - which is how one comes here
        if self._index > self._last:
            return b""
        if self._index == self._last:
            self._index += 1
            return self._tail
        chunks = self._chunks(self._index, min(count, self._last - self._index))
        self._index += len(chunks)
        return b"".join(chunks)

    def _chunks(self, index: int, count: int) -> list[bytes]:
        """Return chunks of a file, up to one that fails; raise where that is the first."""
        assert self.size is not None  # noqa: S101 - as above
        end = min(self.size, (index + count) * CHUNK)
        wanted = end - index * CHUNK + count * TAG
        self._stream.seek(self._begin + index * _SEALED)
        self._ahead = b""
        sealed = self._take(wanted)
        if len(sealed) != wanted and not self._salvage:
            raise EnvelopeTruncated("the encrypted archive became shorter while it was read")
        parts = _split(memoryview(sealed), _SEALED) or [memoryview(b"")]
        chunks: list[bytes] = []
        for at, part in enumerate(parts, index):
            try:
                chunks.append(self._open(at, part, last=at == self._last))
            except ArchiveDamaged:
                if not chunks:
                    raise
                break  # and it fails again when it is asked for
        return chunks

    def _from_pipe(self, count: int) -> bytes:
        if self._failed is not None:
            raise self._failed
        plain: list[bytes] = []
        try:
            while not self._is_over() and len(plain) < count:
                plain.append(self._next_of_pipe())
        except ArchiveDamaged as error:
            if not plain:
                raise
            self._failed = error
        return b"".join(plain)

    def _is_over(self) -> bool:
        return self._ended or self._failed is not None

    def _next_of_pipe(self) -> bytes:
        sealed = self._take(_SEALED) if self._pending is None else self._pending
        self._pending = self._take(_SEALED) if len(sealed) == _SEALED else b""
        self._ended = not self._pending
        self._index += 1
        if self._salvage and self._index > 1 and len(sealed) <= TAG:
            return b""
        if len(sealed) < TAG or (self._ended and len(sealed) == TAG and self._index > 1):
            raise EnvelopeTruncated(_TRUNCATED)
        return self._open(self._index - 1, sealed, last=self._ended)

    def _open(self, index: int, sealed: Data, *, last: bool) -> bytes:
        plain = self._try(index, sealed, last=last)
        if plain is not None:
            return plain
        # What is wrong: it is damaged, or stands at the end where it was not written, or before it.
        other = self._try(index, sealed, last=not last)
        if self._salvage and index:
            return other if other is not None else bytes(max(0, len(sealed) - TAG))
        if other is None and last and len(sealed) < _SEALED:
            raise EnvelopeDamaged(_UNFINISHED)
        if other is None:
            raise EnvelopeDamaged(_DAMAGED.format(index + 1))
        if self._salvage:
            return other
        error = EnvelopeTruncated(_TRUNCATED) if last else EnvelopeDamaged(_MORE)
        if self._last is not None or len(sealed) < _SEALED:
            raise error
        # Of a pipe the chunk is authentic, and only what should or should not follow it is wrong.
        self._failed = error
        return other

    def _try(self, index: int, sealed: Data, *, last: bool) -> bytes | None:
        try:
            return self._cipher.decrypt(_number(index, last=last), sealed, None)
        except InvalidTag:
            return None

    def _take(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end."""
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        parts, missing = [data] if data else [], size - len(data)
        while missing:
            part = self._stream.read(missing)
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def open_shared(stream: ByteStream, shared: bytes) -> DecryptingStream:
    """Return the plaintext of a file that another process has open; see `DecryptingStream.share`.

    Raises ArchiveDamaged.
    """
    file_key, begin, length = _SHARED.unpack(shared)
    stream.seek(begin)
    return DecryptingStream(stream, file_key, begin=begin, ahead=b"", length=length)


def _salvaged_size(length: int) -> int:
    """Return how many bytes are in what is left of a payload, wherever it was cut off."""
    full, rest = divmod(max(0, length - NONCE_SIZE), _SEALED)
    return full * CHUNK + max(0, rest - TAG)

"""A private temporary file whose bytes are encrypted with a key that lives in memory only."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable
from typing import IO, cast

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

_BLOCK = 64  # bytes of key stream with one counter
_NONCE = bytes(8)  # a key is never used for another file


def encrypted(make: Callable[[], IO[bytes]]) -> Callable[[], IO[bytes]]:
    """Return a maker of private files that encrypt what is written to those of another maker."""
    return lambda: cast("IO[bytes]", EncryptedSpool(make()))


class EncryptedSpool(io.RawIOBase):
    """Encrypts what goes into a file, at any offset; what is read was never on the disk in clear.

    ChaCha20 without a tag: what is read from here is verified by whoever reads the archive. Key
    stream is never used twice: what is written again at an offset, as after `truncate` or after an
    error, takes a new key from there on.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Take an empty file; it is closed with this."""
        self._file = file
        self._at = 0
        self._end = 0  # behind the last byte that was ever written
        self._begins = [0]
        self._keys = [os.urandom(32)]
        self._writing: CipherContext | None = None  # the key stream from the end on

    def close(self) -> None:
        """See `io.IOBase`."""
        super().close()
        self._file.close()

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.IOBase`."""
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self._end
        self._at = offset
        return offset

    def truncate(self, size: int | None = None) -> int:
        """See `io.IOBase`; what is written there next takes a new key. It does not grow."""
        size = self._at if size is None else size
        if size > self._end:
            raise io.UnsupportedOperation("a spool grows by what is written to it only")
        self._file.truncate(size)
        self._renew(size)
        return size

    def _renew(self, size: int) -> None:
        while len(self._begins) > 1 and self._begins[-1] >= size:
            self._begins.pop()
            self._keys.pop()
        self._begins.append(size)
        self._keys.append(os.urandom(32))
        self._writing = None
        self._end = size

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """Encrypt and write; only at the end."""
        if self._at != self._end:
            raise io.UnsupportedOperation("a spool grows at its end only")
        if self._writing is None:
            self._writing = self._stream(len(self._keys) - 1, self._at)
        sealed = self._writing.update(data)
        try:
            self._file.seek(self._at)
            self._file.write(sealed)
        except BaseException:
            self._renew(self._end)
            raise
        self._at += len(sealed)
        self._end = self._at
        return len(sealed)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """See `io.RawIOBase`."""
        epoch = bisect_right(self._begins, self._at) - 1
        size = min(len(buffer), self._end - self._at)
        if epoch + 1 < len(self._begins):
            size = min(size, self._begins[epoch + 1] - self._at)
        if size <= 0:
            return 0
        self._file.seek(self._at)
        data = self._file.read(size)
        buffer[: len(data)] = self._stream(epoch, self._at).update(data)
        self._at += len(data)
        return len(data)

    def flush(self) -> None:
        """See `io.IOBase`."""
        if not self.closed:
            self._file.flush()

    def _stream(self, epoch: int, offset: int) -> CipherContext:
        counter, skip = divmod(offset, _BLOCK)
        nonce = counter.to_bytes(8, "little") + _NONCE
        context: CipherContext = Cipher(ChaCha20(self._keys[epoch], nonce), None).encryptor()
        context.update(bytes(skip))
        return context

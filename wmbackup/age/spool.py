"""A private temporary file whose bytes are encrypted with a key that lives in memory only."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

_BLOCK = 64  # bytes of key stream with one counter
KEY_SIZE = 32


def encrypted(make: Callable[[], IO[bytes]]) -> Callable[[], IO[bytes]]:
    """Return a maker of private files that encrypt what is written to those of another maker."""
    return lambda: cast("IO[bytes]", EncryptedSpool(make()))


def encrypting(file: object) -> EncryptedSpool | None:
    """Return a private file that encrypts; None where it does not."""
    return file if isinstance(file, EncryptedSpool) else None


def opened(file: IO[bytes], key: bytes, size: int) -> EncryptedSpool:
    """Return what another process has written to a file at one go: ``size`` bytes."""
    spool = EncryptedSpool(file, key)
    spool.adopt(0, size, 0)
    return spool


def descriptor(file: IO[bytes]) -> int:
    """Return the descriptor of a private file, or of the one that it encrypts into."""
    sealed = encrypting(file)
    return (file if sealed is None else sealed.file).fileno()


class EncryptedSpool(io.RawIOBase):
    """Encrypts what goes into a file, at any offset; what is read was never on the disk in clear.

    ChaCha20 without a tag: what is read from here is verified by whoever reads the archive. Key
    stream is never used twice: what is written again at an offset, as after `truncate` or after an
    error, takes that of a new epoch from there on. A worker that writes to the file gets the key,
    and says in which epoch it wrote what; see `adopt`.
    """

    def __init__(self, file: IO[bytes], key: bytes | None = None) -> None:
        """Take an empty file; it is closed with this. Without a key, draw one."""
        self.file = file
        self.key = key or os.urandom(KEY_SIZE)
        self._at = 0
        self._end = 0  # behind the last byte that was ever written
        self._begins = [0]
        self._epochs = [0]
        self._writing: CipherContext | None = None  # the key stream from the end on

    @property
    def epoch(self) -> int:
        """The epoch of what is written next."""
        return self._epochs[-1]

    def close(self) -> None:
        """See `io.IOBase`."""
        super().close()
        self.file.close()

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
        """See `io.IOBase`; what is written there next is of a new epoch. It does not grow."""
        size = self._at if size is None else size
        if size > self._end:
            raise io.UnsupportedOperation("a spool grows by what is written to it only")
        self.file.truncate(size)
        self._renew(size, self._epochs[-1] + 1)
        return size

    def adopt(self, begin: int, length: int, epoch: int) -> None:
        """Note what another process has written with the key, behind all that is known of."""
        if epoch != self._epochs[-1]:
            self._renew(begin, epoch)
        self._end = begin + length

    def _renew(self, size: int, epoch: int) -> None:
        while len(self._begins) > 1 and self._begins[-1] >= size:
            self._begins.pop()
            self._epochs.pop()
        self._begins.append(size)
        self._epochs.append(epoch)
        self._writing = None
        self._end = size

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override] # the bases differ in how they name a buffer
        """Encrypt and write; only at the end."""
        if self._at != self._end:
            raise io.UnsupportedOperation("a spool grows at its end only")
        if self._writing is None:
            self._writing = self._stream(self._epochs[-1], self._at)
        sealed = self._writing.update(data)
        try:
            self.file.seek(self._at)
            self.file.write(sealed)
        except BaseException:
            self._renew(self._end, self._epochs[-1] + 1)
            raise
        self._at += len(sealed)
        self._end = self._at
        return len(sealed)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes or all, fewer at the end."""
        left = self._end - self._at if size is None or size < 0 else size
        parts = []
        while left and (part := self._read(left)):
            parts.append(part)
            left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read(self, size: int) -> bytes:
        """Return bytes of one epoch."""
        at = bisect_right(self._begins, self._at) - 1
        size = min(size, self._end - self._at)
        if at + 1 < len(self._begins):
            size = min(size, self._begins[at + 1] - self._at)
        if size <= 0:
            return b""
        self.file.seek(self._at)
        data = self._stream(self._epochs[at], self._at).update(self.file.read(size))
        self._at += len(data)
        return data

    def flush(self) -> None:
        """See `io.IOBase`."""
        if not self.closed:
            self.file.flush()

    def _stream(self, epoch: int, offset: int) -> CipherContext:
        # A worker asks for the descriptor of any spool, and begins later with the library.
        from cryptography.hazmat.primitives.ciphers import Cipher
        from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

        counter, skip = divmod(offset, _BLOCK)
        nonce = counter.to_bytes(8, "little") + epoch.to_bytes(8, "little")
        context: CipherContext = Cipher(ChaCha20(self.key, nonce), None).encryptor()
        context.update(bytes(skip))
        return context

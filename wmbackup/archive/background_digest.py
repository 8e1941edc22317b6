"""SHA-256 of a large file, computed by a thread while the next block is read or decrypted."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue
from types import TracebackType
from typing import Self

_WAITING = 4
"""Blocks that wait for the thread at most, so that memory stays bounded."""


class BackgroundDigest:
    """Takes blocks as `hashlib.sha256` does; `digest` waits for all of them.

    hashlib leaves the interpreter to others while it hashes. Where the system starts no more
    threads, the caller's hashes.
    """

    def __init__(self) -> None:
        """Begin with no bytes."""
        self._hash = hashlib.sha256()
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        self._free = threading.Semaphore(_WAITING)
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        """Start the thread."""
        thread = threading.Thread(target=self._run, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads: `update` hashes
            return self
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the thread; it hashes what it was given before."""
        self._finish()

    def update(self, block: bytes) -> None:
        """Take a block, which nobody changes afterwards."""
        if self._thread is None:
            self._hash.update(block)
            return
        self._free.acquire()
        self._blocks.put(block)

    def digest(self) -> bytes:
        """Return the 32 bytes; nothing can be added after it by the thread."""
        self._finish()
        if self._failed is not None:
            raise self._failed
        return self._hash.digest()

    def _finish(self) -> None:
        if self._thread is not None:
            self._blocks.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (block := self._blocks.get()) is not None:
            try:
                if self._failed is None:
                    self._hash.update(block)
            except BaseException as error:  # noqa: BLE001 - raised by `digest`, where it is asked for
                self._failed = error
            finally:
                self._free.release()

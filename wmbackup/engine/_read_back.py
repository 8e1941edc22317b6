"""Reading an archive back from the disk before it is published."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import IO, BinaryIO

from wmbackup.archive.reader import SealedArchive
from wmbackup.archive.stream import PIECE_SIZE
from wmbackup.archive.writer import Sealed
from wmbackup.engine._envelope import Sealing
from wmbackup.engine._progress import Progress
from wmbackup.errors import ArchiveDamaged, UnsupportedArchive, WmbackupError
from wmbackup.status import Control, Phase, PhaseEvent


class ReadBackFailed(WmbackupError):
    """The disk gave back other bytes than were written; nothing was published."""

    code = "read-back-failed"


class TheseKeys:
    """Trusts an archive that these keys have signed, maker first, and no other."""

    def __init__(self, *keys: bytes) -> None:
        """Take the public keys, 32 bytes each."""
        self._keys = keys

    def check(
        self,
        maker: bytes,
        cosigners: Sequence[bytes] = (),
        signed_at: datetime | None = None,
        host: str | None = None,
    ) -> tuple[str, ...]:
        """See `TrustPolicy`. Raises ReadBackFailed."""
        if (maker, *cosigners) != self._keys:
            raise ReadBackFailed("the archive that was read back is another one")
        return ()


class HashedFile:
    """A file that is hashed while it is read from front to back, so that it is read once."""

    def __init__(self, file: BinaryIO) -> None:
        """Take a file that can be gone back in; nothing is read yet."""
        self._file = file
        self._digest = hashlib.sha256()
        self._hashed = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes. Raises OSError."""
        at = self._file.tell()
        data = self._file.read(size)
        if at <= self._hashed < at + len(data):
            new = memoryview(data)[self._hashed - at :]
            self._digest.update(new)
            self._hashed += len(new)
        return data

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset."""
        return self._file.seek(offset, whence)

    def sha256(self, tick: Callable[[], object]) -> str:
        """Return the hash of the whole (hexadecimal), and read for it what was not read yet.

        Raises OSError, and what ``tick`` raises.
        """
        self._file.seek(self._hashed)
        while self.read(PIECE_SIZE):
            tick()
        return self._digest.hexdigest()


def read_back_archive(
    file: HashedFile,
    sealed: Sealed,
    public: bytes,
    spool: Callable[[], IO[bytes]],
    control: Control,
    sealing: Sealing,
) -> None:
    """Verify that the disk has what was sealed with the key ``public`` (32 bytes).

    ``file`` is at its beginning, ``sealing`` what it was written through. Raises ReadBackFailed,
    OSError.
    """
    info = sealed.info
    control.notify(PhaseEvent(Phase.READING_BACK, items=info.files, size=info.octets))
    try:
        plain = sealing.plain(file, sealed.size)
        archive = SealedArchive(plain, length=sealed.size).authenticate(
            TheseKeys(public), control.check
        )
        if archive.info != info:
            raise ReadBackFailed("the archive that was read back is another one")
        with contextlib.closing(archive.read_head(spool)) as inventory:
            inventory.check(control.check)
            inventory.check_length()
            progress = Progress(control)
            for chunk in inventory.verify_payload():
                control.check()
                progress.chunk(chunk)
    except (ArchiveDamaged, UnsupportedArchive) as error:
        raise ReadBackFailed(
            f"the disk gave back other bytes than were written: {error}"
        ) from error

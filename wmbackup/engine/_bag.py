"""An unpacked bag as the stream of bytes that its archive was: names and sizes make the headers."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from wmbackup.archive.constants import BAG, NAME
from wmbackup.archive.stream import PIECE_SIZE
from wmbackup.archive.ustar import END, header, padding
from wmbackup.errors import ArchiveDamaged, SystemFailure
from wmbackup.storage.descriptors import reading

FOLDER = BAG.decode().rstrip("/")
_TAG = "tagmanifest-sha256.txt"
_LAST = ("README.txt", "bag-info.txt", "files.jsonl", "licenses.jsonl", "manifest-sha256.txt")


def bag_in(folder: str) -> str | None:
    """Return the folder of the unpacked bag that a folder is or holds; None where it has none."""
    inner = os.path.join(folder, FOLDER)
    if os.path.isdir(inner):
        return inner
    return folder if os.path.lexists(os.path.join(folder, "bagit.txt")) else None


def is_bag(folder: str) -> bool:
    """Whether a folder is, or holds, an unpacked bag."""
    return bag_in(folder) is not None


class BagStream:
    """The bytes of the archive that was unpacked into a folder, read once from front to back.

    No path is made from what is in a file: the folder is walked, and what the manifest names is
    looked up among what was found.
    """

    def __init__(self, folder: str) -> None:
        """Find what is there. Raises ArchiveDamaged, SystemFailure."""
        self._folder = folder
        self._found = dict(_walk(folder))
        self._parts = self._read()
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes. Raises ArchiveDamaged, SystemFailure."""
        while not self._ahead:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._ahead = part
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        return data

    def tell(self) -> int:
        """Raise OSError: it is read as a pipe is."""
        raise OSError(errno.ESPIPE, "an unpacked bag has no offsets")

    def seek(self, offset: int) -> int:
        """Raise OSError: it is read as a pipe is."""
        raise OSError(errno.ESPIPE, f"an unpacked bag has no offset {offset}")

    def _read(self) -> Iterator[bytes]:
        for name in self._names():
            yield from self._member(name)
        if self._found:
            first = os.fsdecode(min(self._found))
            raise ArchiveDamaged(
                f"{self._folder} has a file that the archive does not list: {first}"
            )
        yield END

    def _names(self) -> Iterator[bytes]:
        names = ["bagit.txt", _TAG, f"{_TAG}.sig"]
        names += [name for n in range(2, 17) if (name := f"{_TAG}.{n}.sig").encode() in self._found]
        names += [name for name in (f"{_TAG}.tsr",) if name.encode() in self._found]
        yield from (name.encode() for name in (*names, *_LAST[:-1]))
        manifest = os.path.join(self._folder, _LAST[-1])
        try:
            # Held open: the lines that are followed are those that are hashed, or the hash says so.
            with open(manifest, "rb") as file:
                yield _LAST[-1].encode()
                for line in file:
                    yield line.rstrip(b"\n")[NAME:]
        except FileNotFoundError:
            yield _LAST[-1].encode()
        except OSError as error:
            raise SystemFailure.of(error, "read", manifest) from error

    def _member(self, name: bytes) -> Iterator[bytes]:
        path = self._found.pop(name, None)
        if path is None:
            raise ArchiveDamaged(f"{self._folder} lacks {os.fsdecode(name)[:200]}")
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | _SAFE)
            with reading(descriptor) as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ArchiveDamaged(f"{path} is no regular file")
                yield header(BAG + name, status.st_size)
                left = status.st_size
                while left:
                    data = file.read(min(left, PIECE_SIZE))
                    if not data:
                        raise ArchiveDamaged(f"{path} became shorter while it was read")
                    left -= len(data)
                    yield data
                yield bytes(padding(status.st_size))
        except ValueError:
            raise ArchiveDamaged(f"{path} has a size or a name that no archive holds") from None
        except OSError as error:
            raise SystemFailure.of(error, "read", path) from error


_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def _walk(folder: str) -> Iterator[tuple[bytes, str]]:
    """Yield all that is no folder below a folder, with the name that it has in the bag."""

    def refuse(error: OSError) -> None:
        raise SystemFailure.of(error, "read the folder", folder) from error

    for at, folders, files in os.walk(folder, onerror=refuse):
        # A link to a folder is none of the bag's, and is not entered.
        links = [name for name in folders if os.path.islink(os.path.join(at, name))]
        for name in (*files, *links):
            path = os.path.join(at, name)
            short = os.path.relpath(path, folder).replace(os.sep, "/")
            yield os.fsencode(short), path

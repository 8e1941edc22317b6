"""Paths, folders, modes, locks of open files, and what brings them to the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import NamedTuple

from wmbackup.storage.descriptors import let_go, reading

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700
_LONG = 240  # characters beyond which Windows may want another form of a path

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
_NO_LINKS_WINDOWS = {
    1,  # ERROR_INVALID_FUNCTION: FAT and exFAT, as on USB sticks
    5,  # ERROR_ACCESS_DENIED
    50,  # ERROR_NOT_SUPPORTED: the same of other versions, and network disks
    87,  # ERROR_INVALID_PARAMETER
    120,  # ERROR_CALL_NOT_IMPLEMENTED
    1142,  # ERROR_TOO_MANY_LINKS
}


_UNSUPPORTED_WINDOWS = {1, 50, 87, 120}


def is_unsupported(error: OSError) -> bool:
    """Whether a file system of Windows says that it has no such call, such as for attributes."""
    return getattr(error, "winerror", None) in _UNSUPPORTED_WINDOWS


def has_no_links(error: OSError) -> bool:
    """Whether a hard link failed because the file system has none: then there is a second way.

    By the number of Windows where there is one: there errno 22 stands for most of them.
    """
    number: int | None = getattr(error, "winerror", None)
    return error.errno in _NO_LINKS if number is None else number in _NO_LINKS_WINDOWS


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process if nobody else has; return whether it did."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file for this process if nobody else has; return whether it did.

        Raises OSError where the file system has no locks: waiting would be for ever.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class SmallFile(NamedTuple):
    """The bytes of a small file, and its mode."""

    data: bytes
    mode: int


def read_small_file(path: str, limit: int) -> SmallFile | None:
    """Return at most ``limit`` bytes of a regular file, and one more where it is larger.

    None where there is none. A link to nothing, a pipe or a device is an error and not an empty
    file, and opening one does not wait for a writer. Raises OSError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_NOCTTY", 0))
    except FileNotFoundError:
        if os.path.lexists(path):
            raise OSError(errno.ENOENT, "it is a link to nothing", path) from None
        return None
    with reading(descriptor) as file:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode) and not os.path.samefile(path, os.devnull):
            raise OSError(errno.EINVAL, "it is not a regular file", path)
        return SmallFile(file.read(limit + 1), mode)


def is_folder(path: str) -> bool:
    """Whether a folder is there, links followed. Raises OSError where the machine does not tell.

    What is wrong with the path itself says that no folder can be there.
    """
    if os.name == "nt":
        return os.path.isdir(path)
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            return False
        raise


def make_folders(path: str) -> None:
    """Make a private folder with its parents, and bring their names to the disk. Raises OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        parent = os.path.dirname(path) or os.curdir
        if parent == path:
            break
        path = parent
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, PRIVATE_FOLDER)
        sync_folder(os.path.dirname(folder) or os.curdir)


if sys.platform == "win32":
    import ctypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True, winmode=0x800)
    _kernel32.CreateFileW.restype = ctypes.c_void_p
    _kernel32.FlushFileBuffers.argtypes = _kernel32.CloseHandle.argtypes = (ctypes.c_void_p,)
    _GENERIC_WRITE, _SHARE_ALL, _OPEN_EXISTING, _FOLDERS_TOO = 0x40000000, 7, 3, 0x02000000
    _NO_HANDLE = ctypes.c_void_p(-1).value

    def _flush_folder(folder: str) -> None:
        """Flush a folder where that is possible: NTFS lets those who may write to it."""
        handle = _kernel32.CreateFileW(
            folder, _GENERIC_WRITE, _SHARE_ALL, None, _OPEN_EXISTING, _FOLDERS_TOO, None
        )
        if handle != _NO_HANDLE:
            _kernel32.FlushFileBuffers(handle)
            _kernel32.CloseHandle(handle)

else:

    def _flush_folder(folder: str) -> None:
        """Other systems have `os.fsync`."""


def sync_file(descriptor: int) -> None:
    """Bring a file that was written to the disk, where no one call does so for all of them.

    Raises OSError. See `sync_everything`.
    """
    if SYNCS_EACH:
        os.fsync(descriptor)  # FlushFileBuffers


SYNCS_EACH = os.name == "nt"


def sync_folder(folder: str) -> None:
    """Bring the names of a folder to the disk, where the system has that. Raises OSError."""
    if os.name == "nt":
        _flush_folder(folder)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EBADF}:  # some network file systems
            raise
    finally:
        let_go(descriptor)


def sync_everything(descriptor: int) -> None:
    """Bring all of the file system that holds the open file to the disk. Raises OSError.

    One call instead of one for each of many thousand files.
    """
    if sys.platform == "linux":
        import ctypes

        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    elif hasattr(os, "sync"):
        os.sync()


def extended(path: str) -> str:
    """Return a full path as Windows takes it that is long or ends in a dot; elsewhere itself."""
    if os.name != "nt" or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def reachable(path: str) -> str:
    """Return a path that the system's functions take, however long it is."""
    if os.name != "nt" or len(path) < _LONG:
        return path
    return extended(os.path.abspath(path))


def resolved(path: str) -> str:
    """Return the absolute path without links, as far as this system can tell."""
    try:
        return os.path.realpath(path)
    except OSError:  # disks whose drivers do not say, on Windows
        return os.path.abspath(path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a path, which need not exist, lies in a folder, whatever links lead there."""
    at = resolved(path)
    while True:
        with contextlib.suppress(OSError):
            if os.path.samefile(at, folder):
                return True
        parent = os.path.dirname(at)
        if parent == at:
            return False
        at = parent

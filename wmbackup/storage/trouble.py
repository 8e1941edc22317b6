"""Telling what is wrong with one file from trouble of the machine.

A file that is gone, or that nobody may read, is left out of a backup and named. A disk that does
not read, or a process that may open no more files, says nothing about the file: what was backed up
then would lack files that are there, and could replace an archive that has them.
"""

from __future__ import annotations

import errno
import os
import sys

_OF_FILE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.ELOOP,
    errno.EMLINK,  # a link, to FreeBSD
    errno.ENAMETOOLONG,
    errno.EILSEQ,  # a name that the file system cannot say
    errno.EINVAL,  # the same, to others
    errno.ENXIO,  # a socket, or a device that is not there
    errno.ENODEV,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EFBIG,
    errno.EOVERFLOW,
    getattr(errno, "ENOKEY", errno.EACCES),  # encrypted, and nobody here has the key
}
_OF_FILE_WINDOWS = {
    2,  # ERROR_FILE_NOT_FOUND
    3,  # ERROR_PATH_NOT_FOUND
    5,  # ERROR_ACCESS_DENIED
    50,  # ERROR_NOT_SUPPORTED
    87,  # ERROR_INVALID_PARAMETER
    123,  # ERROR_INVALID_NAME
    161,  # ERROR_BAD_PATHNAME
    206,  # ERROR_FILENAME_EXCED_RANGE
    223,  # ERROR_FILE_TOO_LARGE
    225,  # ERROR_VIRUS_INFECTED
    226,  # ERROR_VIRUS_DELETED
    267,  # ERROR_DIRECTORY
    303,  # ERROR_DELETE_PENDING
    681,  # ERROR_STOPPED_ON_SYMLINK
    1314,  # ERROR_PRIVILEGE_NOT_HELD
    1920,  # ERROR_CANT_ACCESS_FILE
    1921,  # ERROR_CANT_RESOLVE_FILENAME
    4392,  # ERROR_INVALID_REPARSE_DATA
    4393,  # ERROR_REPARSE_TAG_INVALID
    4394,  # ERROR_REPARSE_TAG_MISMATCH
    6002,  # ERROR_FILE_ENCRYPTED
}
"""By the numbers of Windows: there one errno stands for many, and EACCES also for a file that
another program keeps to itself and for a disk that does not read."""

NOT_WRITABLE = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
"""What the system answers where nothing can be written, whatever the name."""

_VAGUE = {errno.EACCES, errno.EINVAL}
"""What the C library of Windows makes of most errors that it has no number for."""


def windows_number(error: OSError) -> int | None:
    """Return the number of Windows behind an error that has just been raised, where it has one."""
    number: int | None = getattr(error, "winerror", None)
    if number is None and _is_of_library(error):
        number = _last_number()
    return number


def _is_of_library(error: OSError) -> bool:
    # Others are raised in this package, with words of their own.
    number = error.errno
    return number is not None and number in _VAGUE and error.strerror == os.strerror(number)


if sys.platform == "win32":
    import ctypes

    def _last_number() -> int | None:
        """Return the last number of Windows that the C library met on this thread."""
        number = ctypes.c_ulong()
        try:
            failed = ctypes.CDLL("ucrtbase")._get_doserrno(ctypes.byref(number))  # noqa: SLF001 - its name begins so
        except (OSError, AttributeError):
            return None
        return None if failed else number.value or None

else:

    def _last_number() -> int | None:
        """Return None: other systems have no such number."""
        return None


def is_of_file(error: OSError) -> bool:
    """Whether an error says something about the file, and not about the machine."""
    number = windows_number(error)
    if number is not None:
        return number in _OF_FILE_WINDOWS
    return error.errno in _OF_FILE

"""Small files of the setup: keys, trust files. Regular files alone are read, private ones written.

What is wrong with such a file itself, that it is missing, may not be read or is no file, is a fault
of the setup (`SetupUnusable`); trouble of the machine is a `SystemFailure`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import NamedTuple

from wmbackup.errors import SetupUnusable, SystemFailure
from wmbackup.storage.files import SmallFile, read_small_file, resolved
from wmbackup.storage.private_files import keeps_modes, remove_leftovers
from wmbackup.storage.publish import Draft
from wmbackup.storage.trouble import is_of_file

MAX_FILE = 1024 * 1024
"""The largest key or trust file that is read, in bytes."""

if sys.platform == "win32":
    from wmbackup.trust import owner

    def _restrict(path: str) -> None:
        with contextlib.suppress(OSError):  # a disk without access lists; the key is then exposed
            owner.restrict(path)

    def is_exposed(path: str, _mode: int) -> bool:
        """Whether others than its owner may read a file."""
        try:
            return owner.is_exposed(path)
        except OSError:
            return True

else:

    def _restrict(_path: str) -> None:
        """It was made with a mode that says so."""

    def is_exposed(_path: str, mode: int) -> bool:
        """Whether others than its owner may read a file."""
        return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


def read(path: str, what: str = "") -> SmallFile | None:
    """Return a small file, or None where there is none; ``what`` names it in messages.

    Raises SetupUnusable, SystemFailure.
    """
    try:
        found = read_small_file(path, MAX_FILE)
    except OSError as error:
        raise unusable(error, f"read {what}".rstrip(), path) from error
    if found is not None and len(found.data) > MAX_FILE:
        raise SetupUnusable(
            f"{path} is larger than {MAX_FILE // 1024:,} KiB", reason="too-large", path=path
        )
    return found


def unusable(error: OSError, doing: str, path: str) -> SetupUnusable | SystemFailure:
    """Return the error for a file of the setup that cannot be read."""
    failure = SystemFailure.of(error, doing, path)
    if not is_of_file(error):
        return failure
    return SetupUnusable(failure.message, reason=failure.reason, path=path)


def write(path: str, text: bytes, what: str = "the file", *, replace: bool = True) -> None:
    """Write a small private file at once and for good; ``what`` names it in messages.

    Raises OSError, OutputExists, Unconfirmed.
    """
    path = resolved(path)
    remove_leftovers(os.path.dirname(path))
    draft = Draft(path, what)
    try:
        _restrict(draft.name)
        draft.file.write(text)
        draft.sync()
        draft.publish(replace=replace)
    finally:
        draft.close()


class Exposed(NamedTuple):
    """Something that a group of users can write: ``file``, or the folder that holds it.

    ``has_modes`` says whether the file system keeps modes, so that one can end it.
    """

    path: str
    file: str
    has_modes: bool


def check_writers(path: str) -> Exposed | None:
    """Return what of a file, or of the folder that holds it, its group can write.

    In a folder that others can write they can put another file in its place. A private group of
    the user is not told from others, and a file system without modes says it of everything: both
    are returned. On Windows, access lists say it, and None is returned. Raises SetupUnusable for
    what everybody can write, SystemFailure where the machine does not tell.
    """
    if os.name != "posix":
        return None
    path = resolved(path)
    folder = os.path.dirname(path)
    for place, sticky in ((path, 0), (folder, stat.S_ISVTX)):
        try:
            mode = os.stat(place).st_mode
        except OSError:
            continue
        if place == path and not stat.S_ISREG(mode):
            return None  # the null device, or what is refused when it is read
        if not mode & (stat.S_IWGRP | stat.S_IWOTH) or mode & sticky:
            continue
        if not _keeps_modes(folder):
            return Exposed(place, path, has_modes=False)
        if mode & stat.S_IWOTH:
            raise SetupUnusable(
                f"every user can write {place}, and so decide whom to trust",
                reason="written-by-all",
                path=place,
            )
        return Exposed(place, path, has_modes=True)
    return None


if sys.platform == "win32":

    def _is_of_another_user(_found: os.stat_result) -> bool:
        """Windows tells owners by access lists."""
        return False

else:

    def _is_of_another_user(found: os.stat_result) -> bool:
        return found.st_uid not in {0, os.geteuid()}


def find_writer(path: str) -> Exposed | None:
    """Return what lets somebody else decide what is in a file: itself, or a folder above it.

    That is what others can write, but for folders in which each user can remove only what is his
    own, and what belongs neither to this user nor to the system's. On Windows None is returned, as
    by `check_writers`. Raises SetupUnusable, SystemFailure.
    """
    exposed = check_writers(path)
    if exposed is not None or os.name != "posix":
        return exposed
    place = path = resolved(path)
    while True:
        try:
            found = os.stat(place)
        except OSError as error:
            raise unusable(error, "look at", place) from error
        if _is_of_another_user(found):
            raise SetupUnusable(
                f"{place} belongs to another user, who can change {path}",
                reason="of-another-user",
                path=place,
            )
        is_sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_sticky:
            return Exposed(place, path, has_modes=True)
        if place == os.path.dirname(place):
            return None
        place = os.path.dirname(place)


def can_hide(path: str) -> bool:
    """Whether a file can be kept from other users: its file system keeps permissions.

    Raises SystemFailure where the machine does not tell.
    """
    if sys.platform == "win32":
        try:
            owner.readers(path)
        except OSError:  # a disk without access lists
            return False
        return True
    else:  # noqa: RET505 - mypy tells systems apart by such branches
        return _keeps_modes(os.path.dirname(path) or os.curdir)


def _keeps_modes(folder: str) -> bool:
    """Whether a folder keeps modes; it is taken at its word where nobody may write in it.

    Trouble of the machine says nothing about modes. Raises SystemFailure.
    """
    try:
        return keeps_modes(folder)
    except OSError as error:
        if error.errno == errno.EROFS or is_of_file(error):
            return True
        raise SystemFailure.of(error, "make a file in", folder) from error

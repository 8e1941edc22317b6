"""Which archives of a folder a key has signed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from wmbackup.cli.render.output import Affected
from wmbackup.errors import NotFound, SystemFailure, UnsupportedArchive, UsageError, WmbackupError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"wmbackup-"
_ENVELOPE = b"age-encryption.org/"


def signed_in(folder: str) -> Iterator[tuple[str, tuple[bytes, ...] | None]]:
    """Yield the archives below a folder with the keys that signed each, the maker's first.

    None are the keys of one that is encrypted or damaged, and of a folder that cannot be read.
    Raises NotFound, UsageError, SystemFailure.
    """
    from wmbackup.engine import open_archive

    for path, is_file in _files(folder):
        if not is_file:
            yield path, None
            continue
        try:
            with open_archive(path) as archive:
                yield path, archive.signers()
        except UnsupportedArchive:
            if _begins(path, _MAGIC, _ENVELOPE):
                yield path, None
        except WmbackupError:
            yield path, None


def affected_by(key: bytes, folder: str) -> tuple[tuple[Affected, ...], tuple[str, ...]]:
    """Return the archives that a key has signed, and those of which nobody here can tell."""
    found, unread = [], []
    for path, keys in signed_in(folder):
        if keys is None:
            unread.append(path)
        elif key in keys:
            found.append(Affected(path, "maker" if keys[0] == key else "cosigner"))
    return tuple(found), tuple(unread)


def _files(folder: str) -> Iterator[tuple[str, bool]]:
    """Yield the files of a folder and of those in it, and the folders that cannot be read.

    The second value tells a file. Links to folders are not followed: they may lead in a circle.
    """
    if not folder:
        raise UsageError("the name of the folder is empty", hint="name a folder of archives")
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            if place != folder:
                continue  # it was removed meanwhile
            raise NotFound(f"there is no folder {folder}", hint="check its path") from None
        except NotADirectoryError:
            if place != folder:
                continue
            raise UsageError(f"{folder} is no folder", hint="name the folder it is in") from None
        except OSError as error:
            if place == folder:
                raise SystemFailure.of(error, "read the folder", folder) from error
            yield place, False
            continue
        yield from ((entry.path, True) for entry in found if _is_file(entry))
        waiting += [entry.path for entry in reversed(found) if _is_folder(entry)]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link in a circle
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _begins(path: str, *magics: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(max(map(len, magics))).startswith(magics)
    except OSError:
        return False

"""Which names the file system of a target takes, found by making files of these names.

No table could say it: what a file system refuses depends on its kind, on how it was mounted and on
the system. The files are made in the private staging folder of a restore, so nothing is visible.
"""

from __future__ import annotations

import errno
import re
import unicodedata
from collections.abc import Callable, Iterable

from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import PRIVATE, PRIVATE_FOLDER
from wmbackup.storage.trouble import NOT_WRITABLE, is_of_file
from wmbackup.stores.tree import Tree, name_length

_PLAIN = re.compile(rb"[A-Za-z0-9_-](?:[A-Za-z0-9._ -]*[A-Za-z0-9_-])?\Z")
_SHORT = 255
"""Bytes that every file system takes in a name of plain characters, save for a few old ones."""

_WORST = b'\x01"*:<>?|\\\xff. '
"""Whoever takes this name takes every one of its length."""

_TOO_LONG = "its name is too long for this file system"
_REMEMBERED = 64  # names, nearly all of them of folders


class NameTrial:
    """Tries names in a folder inside a staging folder."""

    def __init__(self, tree: Tree, staging: Callable[[], bytes]) -> None:
        """Take what returns the staging folder, which is made when the first name is tried."""
        self._tree = tree
        self._staging = staging
        self._longest = tree.longest_name()
        self._folder: bytes | None = None
        self._takes_all: bool | None = None
        self._known: dict[bytes, str | None] = {}

    def refusal(self, path: bytes) -> str | None:
        """Return why the file system has no file of this path; None where it takes all names.

        Where nothing can be tried, the length decides alone: the restore itself will tell.
        """
        if _is_plain(path, self._longest):
            return None
        return next(filter(None, map(self._refusal_of, path.split(b"/"))), None)

    def folds(self) -> bool:
        """Whether names that differ only in case are one name. Raises OSError."""
        name = self._own_folder() + b"/a"
        let_go(self._tree.create(name + b"A", PRIVATE))
        try:
            return self._tree.stat(name + b"a") is not None
        finally:
            self._tree.unlink(name + b"A")

    def first_twin(self, paths: Iterable[bytes]) -> bytes | None:
        """Return the first path that is one file with another, or a folder of it, or None.

        Raises OSError.
        """
        root = self._own_folder() + b"/all"
        self._tree.make_folder(root, PRIVATE_FOLDER)
        made: list[bytes] = []  # the folders on the way to the last path
        for path in paths:
            parts = path.split(b"/")
            same = _common(made, parts[:-1])
            try:
                for depth in range(same + 1, len(parts)):
                    self._make_folder(b"/".join((root, *parts[:depth])))
                let_go(self._tree.create(root + b"/" + path, PRIVATE))
            except (FileExistsError, IsADirectoryError, NotADirectoryError):
                return path
            made = parts[:-1]
        return None

    def _make_folder(self, folder: bytes) -> None:
        try:
            self._tree.make_folder(folder, PRIVATE_FOLDER)
        except FileExistsError:
            return

    def _refusal_of(self, name: bytes) -> str | None:
        if _is_plain(name, self._longest):
            return None
        if name not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[name] = self._try(name)
        return self._known[name]

    def _try(self, name: bytes) -> str | None:
        try:
            folder = self._own_folder()
            if self._takes_all is None:
                self._takes_all = self._made(folder, _WORST) is None
        except OSError as error:
            if not (is_of_file(error) or error.errno in NOT_WRITABLE):
                raise
            # The restore itself says why nothing can be written there.
            self._takes_all = True
            return _TOO_LONG if name_length(name) > self._longest else None
        if self._takes_all and len(name) <= min(_SHORT, self._longest):
            return None
        return self._made(folder, name)

    def _own_folder(self) -> bytes:
        if self._folder is None:
            folder = self._staging() + b"/names"
            self._tree.make_folder(folder, PRIVATE_FOLDER)
            self._folder = folder
        return self._folder

    def _made(self, folder: bytes, name: bytes) -> str | None:
        """Make a file of a name and remove it; return why it does not get that name."""
        path = folder + b"/" + name
        try:
            let_go(self._tree.create(path, PRIVATE))
        except OSError as error:
            if not is_of_file(error):
                raise
            too_long = error.errno == errno.ENAMETOOLONG or name_length(name) > self._longest
            return _TOO_LONG if too_long else "this file system does not take its name"
        try:
            listed = [found for found, _ in self._tree.entries(folder)]
        finally:
            self._tree.unlink(path)
        if name not in listed and not any(_same(name, found) for found in listed):
            return "this file system would give it another name"
        return None


def _is_plain(path: bytes, longest: int) -> bool:
    """Whether every file system takes the names in a path, which need not be tried."""
    return all(
        len(part) <= min(_SHORT, longest) and _PLAIN.match(part) for part in path.split(b"/")
    )


def _common(made: list[bytes], parts: list[bytes]) -> int:
    same = 0
    while same < min(len(made), len(parts)) and made[same] == parts[same]:
        same += 1
    return same


def _same(name: bytes, found: bytes) -> bool:
    """Whether two names are one, apart from the composition of letters and from case.

    Some file systems keep letters with accents in another form, and some fold case.
    """
    one, other = (
        unicodedata.normalize("NFC", text.decode(errors="surrogateescape")).casefold()
        for text in (name, found)
    )
    return one == other

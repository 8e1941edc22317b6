"""Find DRM folders below a folder, such as the root of a Windows disk.

Where Windows keeps the DRM folder depends on its version and language, and an upgrade leaves the
old one beside the new one. So the folder is found by its name and by the files in it, not by a
list of paths.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from wmbackup.errors import SystemFailure
from wmbackup.formats.detect import kind_of_file
from wmbackup.status import Control, ItemEvent, Phase, PhaseEvent, WarningEvent
from wmbackup.storage.trouble import is_of_file
from wmbackup.stores.foreign import foreign_to_drm
from wmbackup.stores.layouts import DRM, FOLDER, Layout, find_layout
from wmbackup.stores.tree import EntryKind, Tree, decode, open_tree

_DRM = b"drm"

# Names in the root of a Windows disk, in lower case. One of the first, or two of the second.
_CERTAIN = {
    b"$recycle.bin",
    b"boot.ini",
    b"bootmgr",
    b"documents and settings",
    b"hiberfil.sys",
    b"io.sys",
    b"msdos.sys",
    b"ntdetect.com",
    b"ntldr",
    b"pagefile.sys",
    b"programdata",
    b"swapfile.sys",
    b"system volume information",
}
_LIKELY = {
    b"autoexec.bat",
    b"config.sys",
    b"perflogs",
    b"program files",
    b"program files (x86)",
    b"programme",
    b"recovery",
    b"recycled",
    b"recycler",
    b"users",
    b"windows",
    b"winnt",
}
_OLD_WINDOWS = b"windows.old"
_ALL_USERS = b"all users"
_VISTA = [b"microsoft", b"windows", _DRM]
_DEEPEST = 32  # folders, one in the other, that are looked into; the usual places are 3 to 9 deep
_LONG = 256  # folders from which on a search is worth a word
_PROFILES = 3  # parts of a path such as "Dokumente und Einstellungen/All Users/DRM"


class Findings(NamedTuple):
    """What is at and below a folder.

    ``layout`` is that of the folder itself. ``folders`` are the paths of all folders below it that
    have the files of a DRM folder, in order, ``empty`` those of DRM folders that have none, and
    ``backups`` those of license backups. ``is_named``
    says that one of ``folders`` has the name of a DRM folder, ``is_windows`` that the folder looks
    like a Windows disk or like a part of one, ``is_mixed`` that files are outside of ``folders``.
    """

    layout: Layout
    folders: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    is_named: bool = False
    is_windows: bool = False
    is_mixed: bool = False


def search(root: str, control: Control | None = None, *, thorough: bool = False) -> Findings:
    """Look for DRM folders at and below a folder, which need not exist.

    Links are not followed, no folder is listed twice, and what is more than 32 folders deep is left
    out with a warning. A folder that is a store itself is not searched, unless it looks like a
    Windows disk as well and the search is ``thorough``. A search of many folders is a phase, with
    an ItemEvent for each folder. Raises Cancelled, SystemFailure.
    """
    try:
        tree = open_tree(root)
    except OSError as error:
        if not is_of_file(error):
            raise SystemFailure.of(error, "list the folder", root) from error
        return Findings(FOLDER)
    with contextlib.closing(tree):
        return _Search(tree, root, control or Control()).findings(thorough=thorough)


class _Listing(NamedTuple):
    """What is in a folder: names of files, and of folders below it; not readable, if both None."""

    files: list[bytes]
    folders: list[bytes]
    is_readable: bool = True


class _Search:
    """One walk through a tree."""

    def __init__(self, tree: Tree, root: str, control: Control) -> None:
        self._tree = tree
        self._root = root
        self._control = control
        self._count = 0
        self._seen = {_identity(os.stat(root))}
        self._too_deep: bytes | None = None
        self._found: list[bytes] = []
        self._backups: list[bytes] = []
        self._empty: list[bytes] = []
        self._is_mixed = False

    def findings(self, *, thorough: bool) -> Findings:
        top = self._list(b"")
        layout = find_layout(top.files)
        is_windows = _looks_like_windows(top)
        if layout is not FOLDER and not (thorough and is_windows):
            return Findings(layout, is_windows=is_windows)
        self._is_mixed = bool(top.files)
        self._walk(top.folders)
        if self._too_deep is not None:
            self._control.notify(
                WarningEvent(
                    "search-depth",
                    f"{self._full(self._too_deep)} is {_DEEPEST} folders deep, and DRM folders"
                    " below it are not looked for",
                )
            )
        return Findings(
            layout,
            tuple(sorted(map(self._full, self._found))),
            tuple(sorted(map(self._full, self._backups))),
            tuple(sorted(map(self._full, self._empty))),
            is_named=any(_own_name(path) == _DRM for path in self._found),
            is_windows=is_windows or any(map(_is_place_of_windows, self._found)),
            is_mixed=self._is_mixed,
        )

    def _walk(self, folders: list[bytes]) -> None:
        waiting = folders
        while waiting:
            folder = waiting.pop()
            if not self._is_new(folder):
                continue
            listing = self._list(folder)
            if _is_drm(folder, listing):
                self._found.append(folder)
                continue
            if _is_usual_place(folder):
                self._empty.append(folder)
            self._is_mixed = self._is_mixed or bool(listing.files)
            if find_layout(listing.files) is not FOLDER:
                self._backups.append(folder)
            if listing.folders and folder.count(b"/") + 1 >= _DEEPEST:
                self._too_deep = self._too_deep or folder
                continue
            waiting += [b"%b/%b" % (folder, name) for name in listing.folders]

    def _is_new(self, folder: bytes) -> bool:
        """Count a folder, and tell whether it was seen before under another name.

        That is so where another disk, or a part of this one, is mounted on it, and where a system
        shows a link as a folder. Raises Cancelled.
        """
        self._control.check()
        self._count += 1
        if self._count == _LONG:
            self._control.notify(PhaseEvent(Phase.SEARCHING))
        if self._count >= _LONG and self._control.items:
            self._control.notify(ItemEvent(b"", self._count, 0))
        try:
            status = self._tree.stat(folder)
        except OSError as error:
            if not is_of_file(error):
                raise SystemFailure.of(error, "list the folder", self._full(folder)) from error
            return True  # that it cannot be listed is told where it matters
        if status is None:
            return False
        identity = _identity(status)
        if identity in self._seen:
            return False
        if identity[1]:  # some file systems number nothing
            self._seen.add(identity)
        return True

    def _list(self, folder: bytes) -> _Listing:
        listing = _Listing([], [])
        try:
            for name, kind in self._tree.entries(folder):
                if kind is EntryKind.FILE:
                    listing.files.append(name)
                elif kind is EntryKind.FOLDER:
                    listing.folders.append(name)
        except OSError as error:
            if not is_of_file(error):
                raise SystemFailure.of(error, "list the folder", self._full(folder)) from error
            return _Listing([], [], is_readable=False)
        return listing

    def _full(self, path: bytes) -> str:
        return os.path.join(self._root, *_parts(path)) if path else self._root


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_drm(folder: bytes, listing: _Listing) -> bool:
    if find_layout(listing.files) is DRM:
        return True
    if _own_name(folder) != _DRM:
        return False
    # What is in an unreadable one nobody knows, so that it counts. So do unknown files, where
    # Windows keeps its own folder and not just some program one of this name.
    known = foreign_to_drm if _is_usual_place(folder) else _no_license
    return not listing.is_readable or any(known(name) is None for name in listing.files)


def _no_license(name: bytes) -> str | None:
    return "it is not known to be one" if kind_of_file(name) is None else None


def _looks_like_windows(top: _Listing) -> bool:
    names = {name.lower() for name in (*top.files, *top.folders)}
    if not names.isdisjoint(_CERTAIN) or any(name.startswith(_OLD_WINDOWS) for name in names):
        return True
    return len(names & _LIKELY) > 1


def _is_place_of_windows(path: bytes) -> bool:
    """Whether a DRM folder is where some Windows keeps it.

    Since Vista that is ``Microsoft/Windows/DRM`` in ProgramData. Before, it is in the profile of
    all users, whose folder and whose parent are named in the language of the system, and which
    Windows 98 and Me have in their own folder.
    """
    return _is_usual_place(path) or (path.count(b"/") + 1 == _PROFILES and _own_name(path) == _DRM)


def _is_usual_place(path: bytes) -> bool:
    """Whether a path is that of a DRM folder under the names that most languages have."""
    parts = path.lower().split(b"/")
    if parts[-1] != _DRM:
        return False
    return parts[-3:] == _VISTA or (len(parts) > 1 and parts[-2].startswith(_ALL_USERS))


def _own_name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2].lower()


def _parts(path: bytes) -> Iterator[str]:
    return (decode(part) for part in path.split(b"/"))

"""The ``folder`` store: any folder of license files, with all that is below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

from wmbackup.errors import StoreUnavailable
from wmbackup.item import MAX_SIZE, Skipped
from wmbackup.license import License
from wmbackup.status import Control
from wmbackup.stores.base import Content, Import, ItemUnavailable
from wmbackup.stores.importing import begin_import
from wmbackup.stores.journal import STAGING
from wmbackup.stores.tree import EntryKind, Tree, attributes_of, open_tree

_AT_ONCE = 1024 * 1024  # bytes; larger files come in blocks of this size
_SYSTEM_REASONS = {
    PermissionError: "permission denied",
    FileNotFoundError: "it vanished",
    NotADirectoryError: "its folder is not a folder any more",
}


class FolderStore:
    """A folder. Links and special files are never followed or opened, but named as skipped."""

    kind: ClassVar[str] = "folder"
    gives_statuses: ClassVar[bool] = False

    def __init__(self, path: str) -> None:
        """Name the folder; nothing is opened yet, and for a restore it need not exist."""
        self.root = os.path.abspath(path)

    @property
    def location(self) -> str:
        """The absolute path."""
        return self.root

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate what can be recognized in the files. Raises StoreUnavailable."""
        with self.export(control) as export:
            for path in export.paths:
                try:
                    yield from export.read(path).licenses
                except ItemUnavailable:
                    continue

    @contextmanager
    def export(self, control: Control) -> Iterator[FolderExport]:
        """List the files. Raises StoreUnavailable."""
        try:
            tree = open_tree(self.root)
        except OSError as error:
            raise _unavailable(self.root, error) from error
        try:
            yield FolderExport(tree, self.root, control)
        finally:
            tree.close()

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        """Begin a restore into the folder, which is created where it is missing."""
        return begin_import(self.root, control, replace=replace)


def _unavailable(root: str, error: OSError) -> StoreUnavailable:
    if isinstance(error, FileNotFoundError):
        return StoreUnavailable(f"there is no folder {root}", hint="check the path after --store")
    if isinstance(error, NotADirectoryError):
        return StoreUnavailable(f"{root} is not a folder", hint="name the folder it is in")
    return StoreUnavailable(
        f"cannot read the folder {root}: {reason(error)}",
        hint="check its permissions, or run as a user who may read it",
    )


def reason(error: OSError) -> str:
    """Return why the system refused, in words that fit into a sentence."""
    known = _SYSTEM_REASONS.get(type(error))
    return known or (error.strerror or type(error).__name__).lower()


class FolderExport:
    """The files below a folder, listed once."""

    def __init__(self, tree: Tree, root: str, control: Control) -> None:
        """List them. Raises StoreUnavailable where the folder itself cannot be listed."""
        self._tree = tree
        self.paths: list[bytes] = []
        self.skipped: list[Skipped] = []
        self.licenses: Sequence[License] = ()
        self.machine: str | None = None
        try:
            waiting = self._list(b"", b"")
        except OSError as error:
            raise _unavailable(root, error) from error
        while waiting:
            control.check()
            folder = waiting.pop()
            try:
                waiting += self._list(folder, folder + b"/")
            except OSError as error:
                self.skipped.append(Skipped(folder, f"cannot be listed: {reason(error)}"))
        # A folder lists its names in any order; what is said of them comes in one.
        self.skipped.sort(key=lambda skipped: skipped.path)

    def _list(self, folder: bytes, prefix: bytes) -> list[bytes]:
        below = []
        for name, kind in self._tree.entries(folder):
            path = prefix + name
            if kind is EntryKind.FILE:
                self.paths.append(path)
            elif kind is not EntryKind.FOLDER:
                self.skipped.append(Skipped(path, kind.value))
            elif not folder and name.startswith(STAGING):
                self.skipped.append(Skipped(path, "left by a restore that was cut off"))
            else:
                below.append(path)
        return below

    def read(self, path: bytes) -> Content:
        """Read one of `paths`. Raises ItemUnavailable."""
        try:
            descriptor = self._tree.open(path)
            try:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise ItemUnavailable("it is not a file any more")
                if before.st_size > _AT_ONCE:
                    return self._large(path, before)
                data = _read_up_to(descriptor, before.st_size + 1)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ItemUnavailable(f"it cannot be read: {reason(error)}") from error
        if len(data) != before.st_size or _differs(before, after):
            raise _changed()
        return Content(before.st_size, before.st_mtime_ns, attributes_of(before), data)

    def _large(self, path: bytes, status: os.stat_result) -> Content:
        if status.st_size > MAX_SIZE:
            raise ItemUnavailable("it is larger than an archive takes (8 GiB)")
        blocks = self._blocks(path, status)
        return Content(status.st_size, status.st_mtime_ns, attributes_of(status), blocks)

    def _blocks(self, path: bytes, expected: os.stat_result) -> Iterator[bytes]:
        # Opened only when the first block is wanted: content that nobody takes holds no handle.
        try:
            descriptor = self._tree.open(path)
            try:
                if _differs(expected, os.fstat(descriptor)):
                    raise _changed()
                while block := os.read(descriptor, _AT_ONCE):
                    yield block
                if _differs(expected, os.fstat(descriptor)):
                    raise _changed()
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ItemUnavailable(f"it cannot be read: {reason(error)}") from error


def _read_up_to(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while 0 < len(data) < size:
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data


def _differs(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ino, before.st_dev) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
        after.st_dev,
    )


def _changed() -> ItemUnavailable:
    return ItemUnavailable("it changed while it was read")

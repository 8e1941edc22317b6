"""The stores that are folders: any folder of license files, a DRM folder, a license backup."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import ClassVar

from wmbackup.errors import HalfRestored, StoreUnavailable
from wmbackup.files import reachable
from wmbackup.formats.detect import forbids_backup, recognize, recognize_file
from wmbackup.item import MAX_SIZE, Skipped
from wmbackup.license import License
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.attributes import attributes_of
from wmbackup.stores.base import Content, Import, ItemUnavailable, ItemWithheld
from wmbackup.stores.importing import begin_import
from wmbackup.stores.journal import STAGING, is_half_restored
from wmbackup.stores.layouts import FOLDER, Layout, find_layout
from wmbackup.stores.tree import EntryKind, Tree, encode, open_tree

_AT_ONCE = 1024 * 1024  # bytes; larger files come in blocks of this size
_SYSTEM_REASONS = {
    PermissionError: "permission denied",
    FileNotFoundError: "it vanished",
    NotADirectoryError: "its folder is not a folder any more",
}


class FolderStore:
    """A folder. Links and special files are never followed or opened, but named as skipped."""

    gives_statuses: ClassVar[bool] = False

    def __init__(self, path: str, layout: Layout | None = None, *, all_files: bool = False) -> None:
        """Name the folder; nothing is opened yet, and for a restore it need not exist.

        Its layout is found by what is in it, unless one is given; ``all_files`` carries what
        does not belong to the layout as well.
        """
        self.root = reachable(os.path.abspath(path))
        self._layout = layout
        self._all_files = all_files

    @property
    def layout(self) -> Layout:
        """What kind of folder it is; one that cannot be listed is a plain one."""
        if self._layout is None:
            try:
                self._layout = find_layout(map(encode, os.listdir(self.root)))
            except OSError:
                return FOLDER
        return self._layout

    @property
    def kind(self) -> str:
        """``folder``, ``drm`` or ``bak``."""
        return self.layout.kind

    @property
    def location(self) -> str:
        """The absolute path."""
        return self.root

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate what can be recognized in the files. Raises StoreUnavailable."""
        with self.export(control) as export:
            for path in export.paths:
                control.check()
                try:
                    yield from export.read(path).licenses
                except ItemWithheld as withheld:
                    yield from withheld.licenses
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
            yield FolderExport(tree, self, control)
        finally:
            tree.close()

    def takes(self, path: bytes) -> bool:
        """Whether a file belongs to the store."""
        return self._all_files or self.layout.takes(path)

    def enters(self, folder: bytes) -> bool:
        """Whether anything below a folder can belong to the store."""
        return self._all_files or self.layout.enters(folder)

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

    def __init__(self, tree: Tree, store: FolderStore, control: Control) -> None:
        """List them. Raises StoreUnavailable where the folder itself cannot be listed."""
        self._tree = tree
        self._store = store
        self._withholds = store.layout.withholds
        self._left_out = 0
        self.paths: list[bytes] = []
        self.skipped: list[Skipped] = []
        self.licenses: Sequence[License] = ()
        self.machine: str | None = None
        control.check()
        try:
            waiting = self._list(b"", b"")
        except OSError as error:
            raise _unavailable(store.root, error) from error
        while waiting:
            control.check()
            folder = waiting.pop()
            try:
                waiting += self._list(folder, folder + b"/")
            except OSError as error:
                self.skipped.append(Skipped(folder, f"cannot be listed: {reason(error)}"))
        # A folder lists its names in any order; what is said of them comes in one.
        self.skipped.sort(key=lambda skipped: skipped.path)
        self._remark(control)

    def _remark(self, control: Control) -> None:
        """Say what is to be said of the set as a whole."""
        layout = self._store.layout
        if self._left_out:
            control.notify(_others(self._left_out) if self.paths else _only_others(layout.kind))
        if layout.parts and self.paths:
            names = (path.rpartition(b"/")[2].lower() for path in self.paths)
            for remark in layout.remarks(layout.parts.intersection(names)):
                control.notify(remark)

    def _list(self, folder: bytes, prefix: bytes) -> list[bytes]:
        below, takes = [], self._store.takes
        for name, kind in self._tree.entries(folder):
            path = prefix + name
            if kind is EntryKind.FOLDER:
                if name.startswith(STAGING):
                    self._pass_over(path)
                elif self._store.enters(path):
                    below.append(path)
                else:
                    self._left_out += 1
            elif not takes(path):
                self._left_out += 1
            elif kind is EntryKind.FILE:
                self.paths.append(path)
            else:
                self.skipped.append(Skipped(path, kind.value))
        return below

    def _pass_over(self, staging: bytes) -> None:
        """Skip what a restore staged. Raises HalfRestored where it has begun to change files."""
        if is_half_restored(self._tree, staging):
            raise HalfRestored(
                f"a restore into {self._store.root} is under way or was cut off half done",
                hint="run the restore again: it puts back first what it had changed",
            )
        self.skipped.append(Skipped(staging, "staged by a restore"))

    def read(self, path: bytes) -> Content:
        """Read one of `paths`. Raises ItemUnavailable or ItemWithheld."""
        try:
            descriptor = self._tree.open(path)
            try:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise ItemUnavailable("it is not a file any more")
                if before.st_size > _AT_ONCE:
                    return self._large(path, before, descriptor)
                data = _read_up_to(descriptor, before.st_size)
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ItemUnavailable(f"it cannot be read: {reason(error)}") from error
        # It is the same open file, so that nothing but these can differ.
        if not len(data) == before.st_size == after.st_size or (
            before.st_mtime_ns != after.st_mtime_ns
        ):
            raise _changed()
        licenses = recognize(path.rpartition(b"/")[2], data)
        if licenses:
            licenses = self._let_go(path, licenses)
        return Content(before.st_size, before.st_mtime_ns, attributes_of(before), data, licenses)

    def _large(self, path: bytes, status: os.stat_result, descriptor: int) -> Content:
        if status.st_size > MAX_SIZE:
            raise ItemUnavailable("it has 8 GiB or more, which no archive takes")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            licenses = recognize_file(path.rpartition(b"/")[2], file, status.st_size)
        if _differs(status, os.fstat(descriptor)):
            raise _changed()
        licenses = self._let_go(path, licenses)
        blocks = self._blocks(path, status)
        return Content(status.st_size, status.st_mtime_ns, attributes_of(status), blocks, licenses)

    def _let_go(self, path: bytes, licenses: tuple[License, ...]) -> tuple[License, ...]:
        """Return the licenses with their place. Raises ItemWithheld where one forbids it."""
        held = self._withholds and any(map(forbids_backup, licenses))
        placed = tuple(
            replace(license_, path=path, withheld=held and forbids_backup(license_))
            for license_ in licenses
        )
        if held:
            raise ItemWithheld(placed)
        return placed

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


def _others(count: int) -> WarningEvent:
    return WarningEvent(
        "files-left-out",
        f"files and folders of other software are left out: {count}",
        "wmbackup backup --all-files carries them as well",
    )


def _only_others(kind: str) -> WarningEvent:
    return WarningEvent(
        "files-left-out",
        f"nothing here is of a {kind} store: all files and folders are left out",
        "name the folder that has the files, or take all of them with folder:PATH",
    )


def _read_up_to(descriptor: int, size: int) -> bytes:
    # One byte more than there should be: as a rule nothing is read a second time, nor copied.
    data = os.read(descriptor, size + 1)
    while len(data) < size:
        more = os.read(descriptor, size + 1 - len(data))
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

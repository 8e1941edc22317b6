"""The stores that are folders: any folder of license files, a DRM folder, a license backup."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar

from wmbackup.errors import HalfRestored, StoreUnavailable, SystemFailure
from wmbackup.item import Skipped
from wmbackup.license import License
from wmbackup.quoting import quoted
from wmbackup.status import Control, LeftOutEvent, WarningEvent
from wmbackup.storage.files import reachable
from wmbackup.storage.trouble import is_of_file
from wmbackup.stores.base import Content, Import, ItemUnavailable, ItemWithheld, WorkerFolder
from wmbackup.stores.exclusion import EXCLUDED, Exclusion
from wmbackup.stores.file_reader import FileReader, reason
from wmbackup.stores.importing import begin_import
from wmbackup.stores.layouts import FOLDER, Layout, find_layout
from wmbackup.stores.leftovers import look_at
from wmbackup.stores.ownership import Owner
from wmbackup.stores.staging import STAGING
from wmbackup.stores.tree import EntryKind, Tree, decode, encode, open_tree
from wmbackup.true_path import MAX_DEPTH, MAX_PATH


class FolderStore:
    """A folder. Links and special files are never followed or opened, but named as skipped."""

    gives_statuses: ClassVar[bool] = False

    def __init__(
        self,
        path: str,
        layout: Layout | None = None,
        *,
        all_files: bool = False,
        exclusion: Exclusion | None = None,
        owner: Owner | None = None,
    ) -> None:
        """Name the folder; nothing is opened yet, and for a restore it need not exist.

        Its layout is found by what is in it, unless one is given; ``all_files`` carries what
        does not belong to the layout as well, ``exclusion`` leaves files out. ``owner`` knows
        what this user's restores left where the file system keeps no owners.
        """
        self.owner = owner or Owner()
        self.root = reachable(os.path.abspath(path))
        self._layout = layout
        self._all_files = all_files
        self._exclusion = exclusion or Exclusion(())

    @property
    def layout(self) -> Layout:
        """What kind of folder it is; one that is missing or may not be listed is a plain one.

        Raises SystemFailure where the machine does not list it.
        """
        if self._layout is None:
            try:
                self._layout = find_layout(map(encode, os.listdir(self.root)))
            except OSError as error:
                if not is_of_file(error):
                    raise SystemFailure.of(error, "list the folder", self.root) from error
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
        """Enumerate what can be recognized in the files. Raises StoreUnavailable, SystemFailure."""
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
        """List the files. Raises StoreUnavailable, SystemFailure."""
        try:
            tree = open_tree(self.root)
        except OSError as error:
            raise _unavailable(self.root, error) from error
        try:
            yield FolderExport(tree, self, control)
        finally:
            tree.close()

    def excluded(self, path: bytes, *, is_folder: bool) -> str | None:
        """Return why a file or a folder is not wanted; None where it is."""
        pattern = self._exclusion.pattern_for(path, is_folder=is_folder)
        return None if pattern is None else f"{EXCLUDED}{quoted(pattern)}"

    def foreign(self, path: bytes) -> str | None:
        """Return why a file does not belong to the store; None where it does."""
        return None if self._all_files else self.layout.foreign(path)

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        """Begin a restore into the folder, which is created where it is missing."""
        return begin_import(self.root, control, replace=replace, owner=self.owner)


def _unavailable(root: str, error: OSError) -> StoreUnavailable | SystemFailure:
    if isinstance(error, FileNotFoundError):
        return StoreUnavailable(f"there is no folder {root}", reason="no-folder", path=root)
    if isinstance(error, NotADirectoryError):
        return StoreUnavailable(f"{root} is not a folder", reason="no-such-store", path=root)
    if not is_of_file(error):
        return SystemFailure.of(error, "list the folder", root)
    return StoreUnavailable(
        f"cannot read the folder {root}: {reason(error)}",
        reason="unreadable",
        path=root,
    )


class FolderExport:
    """The files below a folder, listed once."""

    def __init__(self, tree: Tree, store: FolderStore, control: Control) -> None:
        """List them.

        Raises StoreUnavailable where the folder itself cannot be listed, SystemFailure where the
        machine is what does not list it or one below it.
        """
        self._tree = tree
        self._store = store
        self._control = control
        self._withholds = store.layout.withholds
        self._reader = FileReader(tree, withholds=self._withholds, root=store.root)
        self._left_out: list[LeftOutEvent] = []
        self._excluded: list[LeftOutEvent] = []
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
                if not is_of_file(error):
                    name = os.path.join(store.root, decode(folder))
                    raise SystemFailure.of(error, "list the folder", name) from error
                self._pass_over_closed(folder, error)
        # A folder lists its names in any order; what is said of them comes in one.
        self.skipped.sort(key=lambda skipped: skipped.path)
        self._remark(control)

    def _remark(self, control: Control) -> None:
        """Report what is left out, and what is to be noted about the set as a whole."""
        layout = self._store.layout
        for left_out in sorted(self._left_out + self._excluded):
            control.notify(left_out)
        if self._left_out:
            count = len(self._left_out)
            control.notify(_others(count) if self.paths else _only_others(layout.kind, count))
        if layout.parts and self.paths:
            names = (path.lower() for path in self.paths)
            for remark in layout.remarks(layout.parts.intersection(names)):
                control.notify(remark)

    def _list(self, folder: bytes, prefix: bytes) -> list[bytes]:
        below = []
        for name, kind in self._tree.entries(folder):
            path = prefix + name
            if name.startswith(STAGING):
                self._pass_over(path, kind)
            elif excluded := self._store.excluded(path, is_folder=kind is EntryKind.FOLDER):
                self._excluded.append(LeftOutEvent(path, excluded))
            elif kind is EntryKind.FOLDER:
                if path.count(b"/") >= MAX_DEPTH - 1 or len(path) >= MAX_PATH:
                    self.skipped.append(
                        Skipped(path, "what is in it is deeper than an archive takes")
                    )
                else:
                    below.append(path)
            elif (foreign := self._store.foreign(path)) is not None:
                self._left_out.append(LeftOutEvent(path, foreign))
            elif kind is EntryKind.FILE:
                self.paths.append(path)
            else:
                self.skipped.append(Skipped(path, kind.value))
        return below

    def _pass_over_closed(self, folder: bytes, error: OSError) -> None:
        """Leave out a folder that cannot be listed, and skip it where it may have licenses."""
        foreign = self._store.foreign(folder + b"/any")
        if foreign is None:
            self.skipped.append(Skipped(folder, f"cannot be listed: {reason(error)}"))
        else:
            self._left_out.append(LeftOutEvent(folder, foreign))

    def _pass_over(self, staging: bytes, kind: EntryKind) -> None:
        """Leave out what a restore left, or what has a name as if, and name it.

        It is skipped where something is missing from the backup for it. Raises HalfRestored where
        a restore of this user has begun to change files.
        """
        folder = staging.rpartition(b"/")[0]
        where = os.path.join(self._store.root, decode(folder)) if folder else self._store.root
        found = look_at(self._tree, staging, where, self._store.owner)
        if found.is_half_restored:
            raise HalfRestored(
                f"a restore into {where} is under way or was cut off half done",
                path=where,
            )
        self._control.notify(found.warning)
        if kind is not EntryKind.FOLDER:
            self.skipped.append(Skipped(staging, "its name is one that a restore needs"))
        elif found.may_have_changed:
            self.skipped.append(Skipped(staging, "left by a restore that is not over"))

    def read(self, path: bytes) -> Content:
        """Read one of `paths`. Raises ItemUnavailable, ItemWithheld, SystemFailure."""
        return self._reader.read(path)

    def worker_view(self) -> WorkerFolder | None:
        """See `WorkerExport`: only systems with folder handles have it."""
        root = self._tree.handle()
        return None if root is None else WorkerFolder(root, self._withholds)


def _others(count: int) -> WarningEvent:
    return WarningEvent(
        "files-left-out",
        f"files of other software are left out: {count:,}",
    )


def _only_others(kind: str, count: int) -> WarningEvent:
    return WarningEvent(
        "files-left-out",
        f"nothing here is of a {kind} store: files of other software are left out: {count:,}",
        reason="all",
    )

"""Restoring into a folder, all or nothing.

Everything is staged on the target's own file system first. A folder that is missing appears by
one rename of a finished one. In a folder that is there a journal is written before the first
change; whatever ends the run early, the journal says how to undo it, at once or in the next run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

from wmbackup.errors import NotFound, RestoreConflict, SystemFailure, UsageError
from wmbackup.files import NO_LINKS, resolved
from wmbackup.item import Item
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.base import Import, ItemUnavailable, Standing
from wmbackup.stores.journal import Journal, Move, Staging, is_staging, sync_all
from wmbackup.stores.leftovers import still_there, undo_leftovers
from wmbackup.stores.ownership import Owner
from wmbackup.stores.tree import Tree, encode, is_possible, name_length, open_tree
from wmbackup.stores.writing import finish_file, write_file

_BLOCK = 1024 * 1024


@contextlib.contextmanager
def begin_import(
    root: str, control: Control, *, replace: bool, owner: Owner | None = None
) -> Iterator[Import]:
    """Begin a restore into a folder, undoing first what an earlier run left there.

    ``owner`` knows its files again where modes do not tell. Raises NotFound, UsageError,
    SystemFailure.
    """
    if os.path.lexists(root) and not os.path.isdir(root):
        raise UsageError(f"{root} is not a folder", hint="name a folder to restore into")
    owner = owner or Owner()
    ancestor, missing = _split(resolved(root))
    try:
        tree = open_tree(ancestor)
        with contextlib.closing(tree):
            undo_leftovers(tree, control, owner=owner, where=ancestor)
            _undo_above(ancestor, control, owner)
            import_ = (
                _NewFolder(tree, control, owner, missing)
                if missing
                else _Existing(tree, control, owner, replace=replace)
            )
            try:
                yield import_
            finally:
                import_.close(ancestor)
    except OSError as error:
        raise SystemFailure.of(error, "restore into", root) from error


def _split(root: str) -> tuple[str, list[bytes]]:
    """Return the nearest folder that is there, and the names that are missing below it."""
    missing: list[bytes] = []
    while not os.path.isdir(root):
        parent, name = os.path.split(root)
        if parent == root:
            raise NotFound(f"there is no folder {root}", hint="create it first")
        missing.insert(0, encode(name))
        root = parent
    return root, missing


def _undo_above(folder: str, control: Control, owner: Owner) -> None:
    # A restore that made this folder, or one on the way to it, was staged above it.
    while (parent := os.path.dirname(folder)) != folder:
        with contextlib.suppress(OSError), contextlib.closing(open_tree(parent)) as tree:
            undo_leftovers(tree, control, owner=owner)
        folder = parent


class _Import(ABC):
    """What both manners share: files are staged one by one."""

    def __init__(self, tree: Tree, control: Control, owner: Owner) -> None:
        self._tree = tree
        self._control = control
        self._owner = owner
        self._longest = tree.longest_name()
        self._folders: set[bytes] = set()
        self._staging_made: Staging | None = None

    @property
    def _staging(self) -> Staging:
        # Made when the first file comes: a plan alone changes nothing.
        if self._staging_made is None:
            self._staging_made = Staging(self._tree, self._owner)
            if not self._staging_made.is_recognizable:
                self._control.notify(
                    WarningEvent(
                        "undo-unsure",
                        "this file system keeps no owners, and there is no state folder: if this"
                        " restore is cut off, the next one cannot tell that it may undo it",
                        "set HOME or XDG_STATE_HOME to a folder that can be written",
                    )
                )
            self._prepare(self._staging_made)
        return self._staging_made

    @abstractmethod
    def _prepare(self, staging: Staging) -> None:
        """Make the folders that staging needs."""

    @abstractmethod
    def place(self, path: bytes) -> bytes:
        """See `SharedImport.place`."""

    @abstractmethod
    def _staged(self, path: bytes) -> bytes:
        """Return where the file of a path was staged."""

    def close(self, where: str) -> None:
        """Undo what was not committed; say what of it could not be removed from a folder."""
        if self._staging_made is not None:
            failure = self._staging_made.close()
            if failure is not None:
                self._control.notify(still_there(where, self._staging_made.name, failure))

    def put(self, item: Item, data: bytes) -> None:
        """See `Import.put`."""
        try:
            path = self.place(item.path)
            write_file(self._tree, path, data, item)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise _twin(item.path) from None

    @property
    def root(self) -> int | None:
        """See `SharedImport.root`."""
        return self._tree.handle()

    def take_back(self, path: bytes) -> None:
        """See `SharedImport.take_back`."""
        with contextlib.suppress(FileNotFoundError):
            self._tree.unlink(self._staged(path))

    def stage(self, item: Item) -> BinaryIO:
        """See `Import.stage`."""
        try:
            return os.fdopen(self._tree.create(self.place(item.path)), "w+b")
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise _twin(item.path) from None

    def accept(self, item: Item) -> None:
        """See `Import.accept`."""
        finish_file(self._tree, self._staged(item.path), item)

    def _make_folders(self, folder: bytes) -> None:
        parts = folder.split(b"/")
        for depth in range(1, len(parts) + 1):
            part = b"/".join(parts[:depth])
            if part not in self._folders:
                with contextlib.suppress(FileExistsError):
                    self._tree.make_folder(part)
                self._folders.add(part)

    def _check_name(self, item: Item) -> None:
        if not is_possible(item.path):
            raise ItemUnavailable("Windows takes no such name")
        # No part is longer than the whole, in whatever unit.
        if len(item.path) > self._longest and any(
            name_length(part) > self._longest for part in item.path.split(b"/")
        ):
            raise ItemUnavailable("its name is too long for this file system")
        if is_staging(item.path):
            raise ItemUnavailable("its name is one that a restore needs for itself")

    def _sync(self) -> None:
        sync_all(self._tree, self._staging.name)


class _NewFolder(_Import):
    """The target is missing: it is made complete beside its place and renamed there."""

    def __init__(self, tree: Tree, control: Control, owner: Owner, missing: list[bytes]) -> None:
        super().__init__(tree, control, owner)
        self._missing = missing

    def _prepare(self, staging: Staging) -> None:
        self._made = b"/".join([staging.name + b"/made", *self._missing[1:]])
        self._make_folders(self._made)

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """See `Import.standing`."""
        self._check_name(item)
        return Standing.NEW

    def _staged(self, path: bytes) -> bytes:
        return self._made + b"/" + path

    def place(self, path: bytes) -> bytes:
        """See `SharedImport.place`."""
        staging = self._staging
        staged = self._staged(path)
        folder = staged.rpartition(b"/")[0]
        if folder not in self._folders and folder != staging.name:
            self._make_folders(folder)
        return staged

    def commit(self) -> None:
        """See `Import.commit`."""
        made = self._staging.name + b"/made"
        self._sync()
        self._control.check()  # the sync may have taken its time
        if self._tree.stat(self._missing[0]) is not None:
            raise RestoreConflict(
                f"{os.fsdecode(self._missing[0])} has appeared in the meantime", hint="try again"
            )
        self._tree.rename(made, self._missing[0])
        self._tree.sync(b"")


class _Existing(_Import):
    """The target is there: files are staged inside it and moved to their places by a journal."""

    def __init__(self, tree: Tree, control: Control, owner: Owner, *, replace: bool) -> None:
        super().__init__(tree, control, owner)
        self._replace = replace
        self._numbers: dict[bytes, int] = {}
        self._count = 0  # of numbers that were given
        self._conflicts: set[bytes] = set()
        self._applied: set[int] = set()

    def _prepare(self, staging: Staging) -> None:
        staging.make_places()

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """See `Import.standing`."""
        self._check_name(item)
        if self._is_blocked(item.path):
            return Standing.BLOCKED
        status = self._tree.stat(item.path)
        if status is None:
            return Standing.NEW
        if stat.S_ISREG(status.st_mode) and status.st_size == item.size:
            if self._hash(item.path) == sha256:
                return Standing.SAME
        elif stat.S_ISDIR(status.st_mode):
            return Standing.BLOCKED
        self._conflicts.add(item.path)
        return Standing.CONFLICT

    def _is_blocked(self, path: bytes) -> bool:
        """Whether something that is no folder stands where a folder has to be."""
        folder = path.rpartition(b"/")[0]
        while folder:
            try:
                status = self._tree.stat(folder)
            except OSError:
                return True  # a link, or a folder that this user may not enter
            if status is not None:
                return not stat.S_ISDIR(status.st_mode)
            folder = folder.rpartition(b"/")[0]
        return False

    def _hash(self, path: bytes) -> bytes | None:
        try:
            descriptor = self._tree.open(path)
        except OSError:
            return None  # unreadable: whatever it is, it is not known to be the same
        digest = hashlib.sha256()
        try:
            while block := os.read(descriptor, _BLOCK):
                self._control.check()
                digest.update(block)
        finally:
            os.close(descriptor)
        return digest.digest()

    def _staged(self, path: bytes) -> bytes:
        return self._staging.file(self._numbers[path])

    def place(self, path: bytes) -> bytes:
        """See `SharedImport.place`."""
        if path in self._numbers:
            raise _twin(path)
        self._numbers[path] = self._count
        self._count += 1
        return self._staged(path)

    def take_back(self, path: bytes) -> None:
        """See `SharedImport.take_back`."""
        super().take_back(path)
        del self._numbers[path]

    def commit(self) -> None:
        """See `Import.commit`."""
        if not self._numbers:
            return
        self._sync()
        self._control.check()
        journal = Journal.write(self._tree, self._staging.name, self._numbers, self._owner)
        try:
            self._keep_what_is_replaced(journal.moves)
            for move in journal.moves:
                self._control.check()
                self._apply(move)
                self._applied.add(move.inode)
            self._sync()
            journal.done()
        except BaseException:
            journal.undo()
            raise

    def _keep_what_is_replaced(self, moves: list[Move]) -> None:
        """Give the files that are replaced a second name, and bring those to the disk.

        Without that, a crash could keep the new file under the name and lose the other one: not
        every file system writes names in the order in which they were given.
        """
        kept = False
        for move in moves:
            if not move.replaces:
                continue
            self._control.check()
            # What was not there when the plan was made is not replaced by it.
            if not self._replace or move.path not in self._conflicts:
                raise _in_the_way(move.path)
            try:
                _keep_old(self._tree, move)
            except FileNotFoundError:
                # It was there a moment ago: another name of the same file took it along.
                raise _twin(move.path) from None
            kept = True
        if kept:
            self._sync()

    def _apply(self, move: Move) -> None:
        tree = self._tree
        if move.replaces:
            if self._is_one_of_ours(move.path):
                raise _twin(move.path)
            tree.rename(move.staged, move.path)
            return
        folder = move.path.rpartition(b"/")[0]
        if folder:
            self._make_folders(folder)
        try:
            tree.link(move.staged, move.path)
        except FileExistsError:
            ours = self._is_one_of_ours(move.path)
            raise (_twin if ours else _in_the_way)(move.path) from None
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            if tree.stat(move.path) is not None:
                raise _in_the_way(move.path) from None
            tree.rename(move.staged, move.path)

    def _is_one_of_ours(self, path: bytes) -> bool:
        """Whether what stands there came from this very archive, under a name like it."""
        status = self._tree.stat(path)
        return status is not None and status.st_ino in self._applied


def _keep_old(tree: Tree, move: Move) -> None:
    # A second name first, so that there is never a moment without either file.
    try:
        tree.link(move.path, move.old)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        tree.rename(move.path, move.old)


def _twin(path: bytes) -> RestoreConflict:
    return RestoreConflict(
        f"{os.fsdecode(path)} has the same name as another file on this file system",
        hint="restore into a folder on a file system that tells such names apart",
    )


def _in_the_way(path: bytes) -> RestoreConflict:
    return RestoreConflict(
        f"{os.fsdecode(path)} has appeared in the target in the meantime",
        hint="nothing was changed; look at it and try again",
    )

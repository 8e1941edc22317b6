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
from collections.abc import Iterator
from typing import IO

from wmbackup.errors import (
    HalfRestored,
    NotFound,
    RestoreConflict,
    SystemFailure,
    Unconfirmed,
    UsageError,
)
from wmbackup.item import Item
from wmbackup.status import Control
from wmbackup.storage.descriptors import let_go
from wmbackup.storage.files import has_no_links, is_folder, resolved
from wmbackup.storage.spool import spool_in, temporary_folder
from wmbackup.storage.trouble import is_of_file
from wmbackup.stores.base import Import, Standing
from wmbackup.stores.journal import Journal, Move
from wmbackup.stores.leftovers import undo_leftovers
from wmbackup.stores.ownership import Owner
from wmbackup.stores.staged_import import StagedImport, twin
from wmbackup.stores.staging import Staging
from wmbackup.stores.tree import Tree, encode, open_tree

_BLOCK = 1024 * 1024


@contextlib.contextmanager
def begin_import(
    root: str, control: Control, *, replace: bool, owner: Owner | None = None
) -> Iterator[Import]:
    """Begin a restore into a folder, undoing first what an earlier run left there.

    ``owner`` knows its files again where modes do not tell. Raises NotFound, UsageError,
    SystemFailure.
    """
    owner = owner or Owner()
    doing = "restore into"
    import_: StagedImport | None = None
    try:
        if not is_folder(root) and os.path.lexists(root):
            raise UsageError(f"{root} is not a folder", reason="no-folder", path=root)
        ancestor, missing = _split(resolved(root))
        tree = open_tree(ancestor)
        with contextlib.closing(tree):
            doing = "undo an earlier restore into"
            undo_leftovers(tree, control, owner=owner, where=ancestor)
            _undo_above(ancestor, control, owner)
            doing = "restore into"
            import_ = (
                _NewFolder(tree, control, owner, root, missing)
                if missing
                else _Existing(tree, control, owner, root, replace=replace)
            )
            try:
                yield import_
            finally:
                import_.close(ancestor)
    except OSError as error:
        if import_ is not None and import_.committed:
            raise Unconfirmed.at(error, "what was restored", root) from error
        raise SystemFailure.of(error, doing, root) from error


def _split(root: str) -> tuple[str, list[bytes]]:
    """Return the nearest folder that is there, and the names that are missing below it."""
    missing: list[bytes] = []
    while not is_folder(root):
        parent, name = os.path.split(root)
        if parent == root:
            raise NotFound(f"there is no folder {root}", reason="no-folder", path=root)
        missing.insert(0, encode(name))
        root = parent
    return root, missing


def _undo_above(folder: str, control: Control, owner: Owner) -> None:
    # A restore that made this folder, or one on the way to it, was staged above it.
    while (parent := os.path.dirname(folder)) != folder:
        try:
            with contextlib.closing(open_tree(parent)) as tree:
                undo_leftovers(tree, control, owner=owner)
        except OSError as error:
            if not is_of_file(error):  # a folder that this user may not list or change is another's
                raise
        folder = parent


class _NewFolder(StagedImport):
    """The target is missing: it is made complete beside its place and renamed there."""

    def __init__(
        self, tree: Tree, control: Control, owner: Owner, root: str, missing: list[bytes]
    ) -> None:
        super().__init__(tree, control, owner, root)
        self._missing = missing

    def _prepare(self, staging: Staging) -> None:
        self._made = b"/".join([staging.name + b"/made", *self._missing[1:]])
        self._make_folders(self._made + b"/any")

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """See `Import.standing`."""
        self._check_name(item)
        return Standing.NEW

    def _staged(self, path: bytes) -> bytes:
        return self._made + b"/" + path

    def staging_path(self, path: bytes) -> bytes:
        """See `WorkerImport.staging_path`."""
        _ = self._staging  # which is made before anything in it
        staged = self._staged(path)
        self._make_folders(staged)
        return staged

    def keep(self, path: bytes) -> None:
        """See `WorkerImport.keep`: nothing is remembered here."""

    def commit(self) -> None:
        """See `Import.commit`."""
        made = self._staging.name + b"/made"
        self._sync()
        self._control.check()  # the sync may have taken its time
        if self._tree.stat(self._missing[0]) is not None:
            raise RestoreConflict(
                f"{os.fsdecode(self._missing[0])} has appeared in the meantime", reason="appeared"
            )
        self._tree.rename(made, self._missing[0])
        self.committed = True
        self._tree.sync(b"")


class _Existing(StagedImport):
    """The target is there: files are staged inside it and moved to their places by a journal."""

    def __init__(
        self, tree: Tree, control: Control, owner: Owner, root: str, *, replace: bool
    ) -> None:
        super().__init__(tree, control, owner, root)
        self._replace = replace
        self._outstanding: dict[bytes, int] = {}  # places that nothing was put into yet
        self._count = 0  # of numbers that were given
        self._placed: IO[bytes] = spool_in(temporary_folder())()
        self._given_back: set[int] = set()
        self._conflicts: set[bytes] = set()

    def _prepare(self, staging: Staging) -> None:
        staging.make_places()

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """See `Import.standing`."""
        self._check_name(item)
        if self._is_blocked(item.path):
            return Standing.BLOCKED
        with self._naming(item.path):
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
        parts = path.split(b"/")
        # As a rule all of them are there. Where not, no more than seven are looked at.
        there, missing, depth = 0, len(parts), len(parts) - 1
        while missing - there > 1:
            try:
                status = self._tree.stat(b"/".join(parts[:depth]))
            except OSError as error:
                if not is_of_file(error):
                    raise
                return True  # a link, or a folder that this user may not enter
            if status is None:
                missing = depth
            elif not stat.S_ISDIR(status.st_mode):
                return True
            else:
                there = depth
            depth = (there + missing) // 2
        return False

    def _hash(self, path: bytes) -> bytes | None:
        try:
            descriptor = self._tree.open(path)
        except OSError as error:
            if not is_of_file(error):
                raise
            return None  # unreadable: whatever it is, it is not known to be the same
        digest = hashlib.sha256()
        try:
            while block := os.read(descriptor, _BLOCK):
                self._control.check()
                digest.update(block)
        finally:
            let_go(descriptor)
        return digest.digest()

    def close(self, where: str) -> None:
        """See `StagedImport.close`."""
        self._placed.close()
        super().close(where)

    def _staged(self, path: bytes) -> bytes:
        return self._staging.file(self._outstanding[path])

    def staging_path(self, path: bytes) -> bytes:
        """See `WorkerImport.staging_path`."""
        if path in self._outstanding:
            raise twin(path)
        self._outstanding[path] = self._count
        self._placed.write(len(path).to_bytes(4, "big") + path)
        self._count += 1
        return self._staged(path)

    def keep(self, path: bytes) -> None:
        """See `WorkerImport.keep`."""
        del self._outstanding[path]

    def put(self, item: Item, data: bytes) -> None:
        """See `Import.put`."""
        super().put(item, data)
        self.keep(item.path)

    def accept(self, item: Item) -> None:
        """See `Import.accept`."""
        super().accept(item)
        self.keep(item.path)

    def take_back(self, path: bytes) -> None:
        """See `WorkerImport.take_back`."""
        super().take_back(path)
        self._given_back.add(self._outstanding.pop(path))

    def _places(self) -> Iterator[tuple[bytes, int]]:
        """Yield the paths that were staged with their numbers, in order."""
        self._placed.seek(0)
        for number in range(self._count):
            path = self._placed.read(int.from_bytes(self._placed.read(4), "big"))
            if number not in self._given_back and path not in self._outstanding:
                yield path, number

    def commit(self) -> None:
        """See `Import.commit`."""
        if not self._count:
            return
        self._refuse_twins()
        self._sync()
        self._control.check()
        journal = Journal.write(self._tree, self._staging.name, self._places(), self._owner)
        try:
            self._keep_what_is_replaced(journal)
            for move in journal.moves():
                self._control.check()
                try:
                    self._apply(journal, move)
                except OSError as error:
                    raise self._failure(move.path, error) from error
            self._sync()
            journal.forget()
        except BaseException as error:
            self._undo(journal, error)
            raise
        self.committed = True
        self._tree.sync(self._staging.name)

    def _refuse_twins(self) -> None:
        """Raise RestoreConflict for names that are one to the file system.

        Own names never are (see `archive.names`), so nothing is looked for where there are no
        others.
        """
        if not self._has_items or not self._names.folds():
            return
        path = self._names.first_twin(path for path, _ in self._places())
        if path is not None:
            raise twin(path)

    def _undo(self, journal: Journal, cause: BaseException) -> None:
        """Put everything back. Raises HalfRestored where that fails, and the next run has to."""
        try:
            journal.undo()
        except OSError as error:
            if journal.is_undone:
                return  # the next run does it once more, which changes nothing
            reason = (error.strerror or str(error)).lower()
            raise HalfRestored(
                f"the restore into {self._root} failed, and what it had changed could not be put"
                f" back: {reason}",
                path=self._root,
            ) from cause

    def _keep_what_is_replaced(self, journal: Journal) -> None:
        """Give the files that are replaced a second name, and bring those to the disk.

        Without that, a crash could keep the new file under the name and lose the other one: not
        every file system writes names in the order in which they were given.
        """
        kept = False
        for move in journal.moves():
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
                raise twin(move.path) from None
            except OSError as error:
                raise self._failure(move.path, error) from error
            kept = True
        if kept:
            self._sync()

    def _apply(self, journal: Journal, move: Move) -> None:
        tree = self._tree
        if move.replaces:
            there, kept = tree.stat(move.path), tree.stat(move.old)
            if there is not None and (kept is None or there.st_ino != kept.st_ino):
                raise self._taken(journal, move.path)
            tree.rename(move.staged, move.path)
            return
        self._make_folders(move.path)
        try:
            tree.link(move.staged, move.path)
        except FileExistsError:
            raise self._taken(journal, move.path) from None
        except OSError as error:
            if not has_no_links(error):
                raise
            if tree.stat(move.path) is not None:
                raise self._taken(journal, move.path) from None
            tree.rename(move.staged, move.path)

    def _taken(self, journal: Journal, path: bytes) -> RestoreConflict:
        """Return why a path is taken: by a name like it from this very archive, or by others."""
        there = self._tree.stat(path)
        ours = there is not None and any(move.inode == there.st_ino for move in journal.moves())
        return twin(path) if ours else _in_the_way(path)


def _keep_old(tree: Tree, move: Move) -> None:
    # A second name first, so that there is never a moment without either file.
    try:
        tree.link(move.path, move.old)
    except OSError as error:
        if not has_no_links(error):
            raise
        tree.rename(move.path, move.old)


def _in_the_way(path: bytes) -> RestoreConflict:
    return RestoreConflict(
        f"{os.fsdecode(path)} has appeared in the target in the meantime",
        reason="appeared",
    )

"""What every restore into a folder shares: files are staged one by one beside their place."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

from wmbackup.errors import RestoreConflict, SystemFailure
from wmbackup.item import Item
from wmbackup.quoting import quoted
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.base import ItemUnavailable
from wmbackup.stores.leftovers import still_needed, still_there
from wmbackup.stores.name_trial import NameTrial
from wmbackup.stores.ownership import Owner
from wmbackup.stores.staging import Staging, is_staging, sync_all
from wmbackup.stores.tree import Tree, is_possible
from wmbackup.stores.ways import new_folders
from wmbackup.stores.writing import finish_file, open_synced, write_file


class StagedImport(ABC):
    """Stages files one by one; where, and how they become visible, is the matter of others."""

    def __init__(self, tree: Tree, control: Control, owner: Owner, root: str) -> None:
        """Stage below the root of the tree; ``root`` names the target in messages."""
        self._root = root
        self._tree = tree
        self._control = control
        self._owner = owner
        self._names = NameTrial(tree, lambda: self._staging.name)
        self._has_items = False
        """Whether the archive has files that some file systems cannot tell from others."""
        self._way: list[bytes] = []  # to the path that folders were made for last
        self._staging_made: Staging | None = None
        self.committed = False
        """Whether everything is in its place, so that nothing is undone any more."""

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
                    )
                )
            self._prepare(self._staging_made)
        return self._staging_made

    @abstractmethod
    def _prepare(self, staging: Staging) -> None:
        """Make the folders that staging needs."""

    @abstractmethod
    def staging_path(self, path: bytes) -> bytes:
        """See `WorkerImport.staging_path`."""

    @abstractmethod
    def _staged(self, path: bytes) -> bytes:
        """Return where the file of a path was staged."""

    def close(self, where: str) -> None:
        """Undo what was not committed; say what of it could not be removed from a folder."""
        staging = self._staging_made
        if staging is None:
            return
        failure = staging.close()
        if staging.is_needed:
            self._control.notify(still_needed(where, staging.name))
        elif failure is not None:
            self._control.notify(still_there(where, staging.name, failure))

    def put(self, item: Item, data: bytes) -> None:
        """See `Import.put`."""
        _ = self._staging  # whose own errors are not those of the file
        with self._naming(item.path):
            path = self.staging_path(item.path)
            write_file(self._tree, path, data, item)

    def worker_view(self) -> int | None:
        """See `WorkerImport.worker_view`."""
        return self._tree.handle()

    def take_back(self, path: bytes) -> None:
        """See `WorkerImport.take_back`."""
        with contextlib.suppress(FileNotFoundError):
            self._tree.unlink(self._staged(path))

    def stage(self, item: Item) -> BinaryIO:
        """See `Import.stage`."""
        _ = self._staging
        with self._naming(item.path):
            return open_synced(self._tree.create(self.staging_path(item.path)))

    def accept(self, item: Item) -> None:
        """See `Import.accept`."""
        with self._naming(item.path):
            finish_file(self._tree, self._staged(item.path), item)

    @contextlib.contextmanager
    def _naming(self, path: bytes) -> Iterator[None]:
        """Name the file that an error of the system is about, such as one of its name."""
        try:
            yield
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            raise twin(path) from None
        except OSError as error:
            raise self._failure(path, error) from error

    def _failure(self, path: bytes, error: OSError) -> SystemFailure:
        """Return the error for one file that the system did not take."""
        return SystemFailure.of(error, "restore", f"{quoted(os.fsdecode(path))} into {self._root}")

    def _make_folders(self, path: bytes) -> None:
        """Make the folders on the way to a path."""
        for folder in new_folders(path, self._way):
            with contextlib.suppress(FileExistsError):
                self._tree.make_folder(folder)

    def _check_name(self, item: Item) -> None:
        """Raise ItemUnavailable for what the target cannot hold, before anything is changed."""
        if item.keeps_name:
            return
        self._has_items = True
        if not is_possible(item.path):
            raise ItemUnavailable("Windows takes no such name")
        if is_staging(item.path):
            raise ItemUnavailable("its name is one that a restore needs for itself")
        refusal = self._names.refusal(item.path)
        if refusal is not None:
            raise ItemUnavailable(refusal)

    def _sync(self) -> None:
        sync_all(self._tree, self._staging.name)


def twin(path: bytes) -> RestoreConflict:
    """Return the error for two names that are one to the file system."""
    return RestoreConflict(
        f"{os.fsdecode(path)} has the same name as another file on this file system",
        reason="same-name",
    )

"""What a store is: it enumerates its licenses, exports its items and imports a verified set.

A store never sees an archive, and it reports through the same events as everything else.
`wmbackup.testing.StoreContract` checks the rules that every store must keep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import Control


class ItemUnavailable(Exception):
    """An item cannot be backed up as it is now, or not be restored; the message is the reason.

    The caller reads it once more and then reports it as skipped. Raise it only for a fault of the
    item itself; if the machine fails, raise SystemFailure, which ends the backup.
    """


class ItemWithheld(Exception):
    """The issuer of a license in this item forbids its backup."""

    def __init__(self, licenses: tuple[License, ...]) -> None:
        """Keep the licenses recognized in the item; at least one of them is withheld."""
        super().__init__("the issuer forbids its backup")
        self.licenses = licenses


class Content(NamedTuple):
    """One item as it is read: metadata and bytes of the same moment.

    ``data`` is all of a small file, or an iterable of blocks that together have ``size`` bytes.
    Iterating raises ItemUnavailable if the file changes while it is read, and SystemFailure.
    ``licenses`` are those recognized in the item; an empty tuple means that there are none.
    """

    size: int
    mtime_ns: int
    attributes: tuple[str, ...]
    data: bytes | Iterable[bytes]
    licenses: tuple[License, ...] = ()


class Export(Protocol):
    """The items of a store: listed once, read one by one."""

    @property
    def paths(self) -> Sequence[bytes]:
        """The true paths of all items (see `Item.path`), each once, in any order."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What was found while listing and is no item: links, devices, unreadable folders."""

    @property
    def licenses(self) -> Sequence[License]:
        """Licenses that belong to the store as a whole and were found in no single item."""

    @property
    def machine(self) -> str | None:
        """An identifier of the machine that the store's licenses are bound to, or None."""

    def read(self, path: bytes) -> Content:
        """Read one of `paths`. Reading in the order of their lower-cased components is fastest.

        Raises:
            ItemUnavailable: the item cannot be read, or is not one of `paths`.
            ItemWithheld: the issuer of a license in it forbids its backup.
            SystemFailure: the machine failed; this ends the backup.
        """


class WorkerFolder(NamedTuple):
    """What a worker needs to read the same files: see `stores.file_reader.reader_in_worker`.

    ``root`` is the descriptor of the open folder that their paths are relative to.
    """

    root: int
    withholds: bool


@runtime_checkable
class WorkerExport(Export, Protocol):
    """An export whose items are files of an open folder, which a worker process can read too."""

    def worker_view(self) -> WorkerFolder | None:
        """Return the folder, open as long as the export is; None where no worker can have it."""


class Standing(Enum):
    """How an item of an archive compares with the target as it is now."""

    NEW = "new"
    """Nothing has the item's path; `Import.commit` creates it."""
    SAME = "same"
    """A file with the same bytes is already present; the item is not put."""
    CONFLICT = "conflict"
    """A file with other bytes has the path. It may be replaced only if the restore may replace."""
    BLOCKED = "blocked"
    """The path cannot become a file, and replacing cannot help.

    A folder or a special file has the path, or something that is not a folder is where one of its
    folders would be. The caller never puts a blocked item: it skips it, or fails the restore.
    """


class Import(Protocol):
    """A restore into a store. Nothing is visible in the store before `commit`.

    It comes from `Store.import_` as a context manager. Leaving that without a `commit`, for
    whatever reason, removes everything that was put or staged. The calls come in this order:
    `standing` for each item that is asked for; then, for those that are to be restored, `put`, or
    `stage` and `accept`; then `commit` once, or never, as in a dry run.
    """

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """Compare an item, with the SHA-256 of its bytes, with what the store has now.

        An item that is `Standing.CONFLICT` here is one that `commit` may replace, if the restore
        may replace at all.

        Raises:
            ItemUnavailable: this store cannot hold the item, for example because the file system
                does not take its name. The caller reports it as skipped.
        """

    def put(self, item: Item, data: bytes) -> None:
        """Take a small item whose bytes are verified, all of them at once.

        Raises:
            RestoreConflict: another item of this restore has the same path in this store, such as
                a name that differs only in case.
            SystemFailure: the machine failed, for example because the disk is full.
        """

    def stage(self, item: Item) -> BinaryIO:
        """Open private staging for a large item whose bytes are not verified yet.

        The caller writes all bytes in order and always closes the file. If their hash is right, it
        calls `accept` after that; if not, the restore ends without a `commit`.

        Raises:
            RestoreConflict, SystemFailure: as for `put`.
        """

    def accept(self, item: Item) -> None:
        """Take the staged item: its bytes are verified, and its staging is closed.

        The store sets the time and the attributes of the item here, or in `commit`.
        """

    def commit(self) -> None:
        """Make everything that was put or accepted visible, all or nothing.

        Raises:
            RestoreConflict: a file is already present at the path of an item, and either the
                restore may not replace, or the file appeared after `standing` found the path
                empty. Nothing has changed then.
            Cancelled, SystemFailure: nothing has changed then either.
        """


@runtime_checkable
class WorkerImport(Import, Protocol):
    """A restore whose small items a worker process can stage as well, in an open folder.

    They are those whose path is a safe one (see `archive.names`), so that no two of them can be
    one file to any file system.
    """

    def worker_view(self) -> int | None:
        """Return the descriptor of the open folder; None where no worker can have it."""

    def staging_path(self, path: bytes) -> bytes:
        """Choose where a new item is staged, relative to that folder, making folders on the way."""

    def keep(self, path: bytes) -> None:
        """Note that the worker has staged what `staging_path` chose a path for."""

    def take_back(self, path: bytes) -> None:
        """Undo `staging_path`, and remove what the worker may have left there."""


class Store(Protocol):
    """A store of licenses: a folder, a file, an interface of the system."""

    @property
    def kind(self) -> str:
        """The kind, a word as on the command line: ``folder``, ``sample``, ``windows``."""

    @property
    def location(self) -> str:
        """Where it is, for messages and for the label of an archive: a path or a name."""

    @property
    def root(self) -> str | None:
        """Its absolute path if it is a folder, else None."""

    @property
    def gives_statuses(self) -> bool:
        """Whether it sends the documented statuses itself, as the Windows interface does."""

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate the licenses that can be recognized, without changing anything.

        Raises Cancelled, StoreUnavailable, SystemFailure.
        """

    def export(self, control: Control) -> AbstractContextManager[Export]:
        """List the items for reading. Raises Cancelled, StoreUnavailable, SystemFailure."""

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        """Begin a restore; ``replace`` allows it to replace items in conflict.

        Raises:
            StoreReadOnly: nothing can be restored into this store.
            StoreUnavailable, SystemFailure: the store cannot be reached.
        """


@runtime_checkable
class TakesConsent(Store, Protocol):
    """A store in which a restore may want something that the user has to allow."""

    def with_consent(self) -> Store:
        """Return the same store after the user has allowed it (``WM_RESTORE_INDIVIDUALIZE``)."""

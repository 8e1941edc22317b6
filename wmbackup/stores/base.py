"""What a store is: it enumerates its licenses, exports its items, imports a verified set.

A store never sees an archive, and it reports through the same events as everything else.
The contract that every store passes is `wmbackup.testing.StoreContract`.
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
    """An item cannot be carried as it is now; the message is the reason, in words.

    The caller reads it once more and then skips it by name. So it is only for what is wrong with
    the item itself: where the machine fails, a store raises SystemFailure, which ends the backup.
    """


class ItemWithheld(Exception):
    """The issuer of a license in this item forbids its backup."""

    def __init__(self, licenses: tuple[License, ...]) -> None:
        """Keep what is known of the licenses in the item; at least one of them is withheld."""
        super().__init__("the issuer forbids its backup")
        self.licenses = licenses


class Content(NamedTuple):
    """One item as it is read: metadata and bytes of the same moment.

    ``data`` is all of a small file, or blocks of a large one that together have ``size`` bytes.
    Taking the blocks raises ItemUnavailable when the file turns out to change under the reader,
    and SystemFailure.
    ``licenses`` are those recognized in it; an empty tuple says that nothing was recognized.
    """

    size: int
    mtime_ns: int
    attributes: tuple[str, ...]
    data: bytes | Iterable[bytes]
    licenses: tuple[License, ...] = ()


class Export(Protocol):
    """The items of a store, listed once, read one by one."""

    @property
    def paths(self) -> Sequence[bytes]:
        """The true paths of all items (see `Item.path`), each once, in any order."""

    @property
    def skipped(self) -> Sequence[Skipped]:
        """What was seen while listing and cannot be an item: links, devices, folders unread."""

    @property
    def licenses(self) -> Sequence[License]:
        """Licenses that are known of the store as a whole and found in no single item."""

    @property
    def machine(self) -> str | None:
        """What identifies the machine, where the store's licenses are bound to one."""

    def read(self, path: bytes) -> Content:
        """Read one of `paths`; raise ItemUnavailable, ItemWithheld or SystemFailure.

        Reading in the order of their lower-cased components is the fast way.
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
    """How an item of an archive compares with what stands in the target."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"
    BLOCKED = "blocked"
    """Something that is no file stands in its way, and replacing cannot help."""


class Import(Protocol):
    """A restore into a store. Nothing is visible in it before `commit`.

    It is a context manager: leaving it without `commit` undoes everything.
    """

    def standing(self, item: Item, sha256: bytes) -> Standing:
        """Compare an item (with the SHA-256 of its bytes) with what stands in the store.

        Raises ItemUnavailable for one that this store cannot hold, such as a name that the
        file system does not take.
        """

    def put(self, item: Item, data: bytes) -> None:
        """Take a small item whose bytes are verified."""

    def stage(self, item: Item) -> BinaryIO:
        """Open private staging for a large item whose bytes are not verified yet."""

    def accept(self, item: Item) -> None:
        """Take the staged item: its bytes are verified now."""

    def commit(self) -> None:
        """Make everything that was taken visible, all or nothing."""


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
    """A place where licenses live."""

    @property
    def kind(self) -> str:
        """The kind as on the command line: ``folder``, ``sample``, ``windows``."""

    @property
    def location(self) -> str:
        """Where it is, fit for a person and for the archive's label: a path, a name."""

    @property
    def root(self) -> str | None:
        """The absolute path of the folder that it is, or None where it is no folder."""

    @property
    def gives_statuses(self) -> bool:
        """Whether it sends BEGIN, END and the others itself, as the Windows interface does."""

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate the licenses that can be recognized, without changing anything."""

    def export(self, control: Control) -> AbstractContextManager[Export]:
        """List the items for reading. Raises StoreUnavailable, SystemFailure."""

    def import_(self, control: Control, *, replace: bool) -> AbstractContextManager[Import]:
        """Begin a restore; ``replace`` allows conflicting items to be replaced.

        Raises StoreReadOnly where nothing can be restored into this store.
        """


@runtime_checkable
class TakesConsent(Store, Protocol):
    """A store in which a restore may want something that the user has to allow."""

    def with_consent(self) -> Store:
        """Return the same store after the user has allowed it (``WM_RESTORE_INDIVIDUALIZE``)."""

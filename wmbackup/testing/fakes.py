"""A store in memory that fails on command, for tests of what runs over stores."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO, ClassVar

from wmbackup.errors import RestoreConflict, StoreUnavailable
from wmbackup.item import Item, Skipped
from wmbackup.license import License
from wmbackup.status import Control
from wmbackup.stores.base import (
    Content,
    Export,
    Import,
    ItemUnavailable,
    ItemWithheld,
    Standing,
)

A_TIME = 1_161_993_600_000_000_000
"""2006-10-28T00:00:00Z, in nanoseconds: a time that every file system can say."""


@dataclass(frozen=True, slots=True)
class FakeItem:
    """One file of a `FakeStore`."""

    data: bytes = b""
    mtime_ns: int = A_TIME
    attributes: tuple[str, ...] = ()
    licenses: tuple[License, ...] = ()


class FakeStore:
    """A store in memory that does what goes wrong with real ones, on command.

    ``files`` maps true paths to bytes, or to a `FakeItem`; what is restored appears in it.
    ``reads`` lists the paths that were read, in order.
    """

    kind: ClassVar[str] = "fake"
    gives_statuses: ClassVar[bool] = False

    def __init__(
        self,
        files: Mapping[bytes, bytes | FakeItem],
        *,
        location: str = "memory",
        root: str | None = None,
        block: int = 1024 * 1024,
    ) -> None:
        """Fill it; ``block`` is the size from which on an item is given in blocks."""
        self.files = {
            path: FakeItem(item) if isinstance(item, bytes) else item
            for path, item in files.items()
        }
        self.location = location
        self.root = root
        self.block = block
        self.skipped: list[Skipped] = []
        self.known: list[License] = []
        self.machine: str | None = None
        self.reads: list[bytes] = []
        self.hanging = threading.Event()
        self.released = threading.Event()
        self._failures: dict[str, Exception] = {}
        self._lost: dict[bytes, int] = {}
        self._changing: dict[bytes, int] = {}
        self._withheld: dict[bytes, tuple[License, ...]] = {}
        self._hanging_at: set[bytes] = set()

    def fail(self, step: str, error: Exception | None = None) -> None:
        """Fail in ``export``, ``licenses``, ``import`` or ``commit``."""
        self._failures[step] = error or StoreUnavailable("the store fails on command")

    def lose(self, path: bytes, times: int = -1) -> None:
        """Let an item be listed and be gone when it is read, that many times or always."""
        self._lost[path] = times

    def change(self, path: bytes, times: int = -1) -> None:
        """Let an item change while it is read, that many times or always.

        A small one has fewer bytes than it says; blocks end in ItemUnavailable.
        """
        self._changing[path] = times

    def withhold(self, path: bytes, *licenses: License) -> None:
        """Let the issuer forbid the backup of an item with these licenses."""
        self._withheld[path] = licenses or (License("fake", withheld=True),)

    def hang(self, path: bytes) -> None:
        """Let reading an item hang; ``hanging`` is set then, and ``released`` lets it go on."""
        self._hanging_at.add(path)

    def meet(self, step: str) -> None:
        """Fail in a step if that was asked for."""
        if step in self._failures:
            raise self._failures[step]

    def licenses(self, control: Control) -> Iterator[License]:
        """Enumerate what the items hold, and what is known besides."""
        self.meet("licenses")
        control.check()
        for path, item in self.files.items():
            control.check()
            for license_ in self._withheld.get(path, item.licenses):
                yield replace(license_, path=path)
        yield from self.known

    @contextmanager
    def export(self, control: Control) -> Iterator[Export]:
        """List the items."""
        self.meet("export")
        control.check()
        yield _FakeExport(self)

    @contextmanager
    def import_(self, control: Control, *, replace: bool) -> Iterator[Import]:
        """Begin a restore."""
        self.meet("import")
        yield _FakeImport(self, control, replace=replace)

    def read(self, path: bytes) -> Content:
        """Read an item, with all that was ordered to happen."""
        self.reads.append(path)
        if path in self._hanging_at:
            self.hanging.set()
            self.released.wait()
        if path not in self.files or _take(self._lost, path):
            raise ItemUnavailable("it vanished")
        if path in self._withheld:
            raise ItemWithheld(self._withheld[path])
        item = self.files[path]
        changing = _take(self._changing, path)
        size = len(item.data)
        data = self._blocks(item.data, changing=changing) if size > self.block else item.data
        if changing and isinstance(data, bytes):
            size += 1
        return Content(size, item.mtime_ns, item.attributes, data, item.licenses)

    def _blocks(self, data: bytes, *, changing: bool) -> Iterator[bytes]:
        for at in range(0, len(data), self.block):
            if changing and at:
                raise ItemUnavailable("it changed while it was read")
            yield data[at : at + self.block]


def _take(orders: dict[bytes, int], path: bytes) -> bool:
    """Whether an order for a path still holds; counts it down."""
    left = orders.get(path, 0)
    if left:
        orders[path] = left - 1
    return left != 0


class _FakeExport:
    def __init__(self, store: FakeStore) -> None:
        self._store = store
        self.paths: Sequence[bytes] = tuple(store.files)
        self.skipped: Sequence[Skipped] = store.skipped
        self.licenses: Sequence[License] = store.known
        self.machine = store.machine

    def read(self, path: bytes) -> Content:
        return self._store.read(path)


class _FakeImport:
    def __init__(self, store: FakeStore, control: Control, *, replace: bool) -> None:
        self._store = store
        self._control = control
        self._replace = replace
        self._staged: dict[bytes, io.BytesIO] = {}
        self._taken: dict[bytes, FakeItem] = {}
        self._conflicts: set[bytes] = set()

    def standing(self, item: Item, sha256: bytes) -> Standing:
        files = self._store.files
        parts = item.path.split(b"/")
        parents = {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
        below = item.path + b"/"
        if not parents.isdisjoint(files) or any(path.startswith(below) for path in files):
            return Standing.BLOCKED
        there = files.get(item.path)
        if there is None:
            return Standing.NEW
        if hashlib.sha256(there.data).digest() == sha256:
            return Standing.SAME
        self._conflicts.add(item.path)
        return Standing.CONFLICT

    def put(self, item: Item, data: bytes) -> None:
        self._taken[item.path] = FakeItem(data, item.mtime_ns, item.attributes)

    def stage(self, item: Item) -> BinaryIO:
        self._staged[item.path] = _Kept()
        return self._staged[item.path]

    def accept(self, item: Item) -> None:
        self.put(item, self._staged.pop(item.path).getvalue())

    def commit(self) -> None:
        self._store.meet("commit")
        self._control.check()
        for path in self._taken:
            if path in self._store.files and not (self._replace and path in self._conflicts):
                raise RestoreConflict(f"{os.fsdecode(path)} stands in the target")
        self._store.files |= self._taken


class _Kept(io.BytesIO):
    """Staging whose bytes can be had after it was closed, as those of a file."""

    def close(self) -> None:
        """Leave it open."""

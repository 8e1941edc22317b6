"""What is in an archive or in a store, and choosing from it."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from wmbackup.archive.columns import Columns
from wmbackup.archive.inventory import Row
from wmbackup.archive.reader import SealedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._open import open_inventory
from wmbackup.engine._progress import Progress
from wmbackup.engine._tally import Tally
from wmbackup.errors import UsageError
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.stores.base import Content, Store

_SIGNS = re.compile(rb"[*?\[]")


class Selection(NamedTuple):
    """Which licenses and files are meant; each list is a choice, and all lists must agree.

    ``kids`` are key IDs in any form (see `wmbackup.formats.keyid`), ``titles`` are parts of titles
    in any case, ``paths`` are files, folders, or patterns with ``*`` and ``?``.
    """

    kids: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    paths: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        return bool(self.kids or self.titles or self.paths)

    @property
    def beginnings(self) -> tuple[bytes, ...]:
        """What true paths begin with that can match; none where that cannot be told."""
        if self.kids or self.titles:
            return ()
        # What stands before the first sign of a pattern is meant as it stands, whatever follows.
        found = tuple(_SIGNS.split(wanted.rstrip(b"/"), 1)[0] for wanted in self.paths)
        return found if all(found) else ()

    def matches(self, row: Row) -> bool:
        """Whether a row is meant."""
        known = row.license
        if self.kids and not self._has_kid(known):
            return False
        if self.titles:
            title = "" if known is None else known.attributes.get("Title", "").casefold()
            if not any(wanted.casefold() in title for wanted in self.titles):
                return False
        return not self.paths or any(_matches(row.path, wanted) for wanted in self.paths)

    def _has_kid(self, known: License | None) -> bool:
        if known is None or known.kid is None:
            return False
        from wmbackup.formats.keyid import canonical, meant

        kid = canonical(known.kid)
        return any(kid in meant(wanted) for wanted in self.kids)


def _matches(path: bytes | None, wanted: bytes) -> bool:
    if path is None:
        return False
    wanted = wanted.rstrip(b"/")
    return path == wanted or path.startswith(wanted + b"/") or fnmatch.fnmatchcase(path, wanted)


class Listing(NamedTuple):
    """What is there. ``info`` and ``principals`` are those of an archive, None and () of a store.

    ``store_kind`` is the kind of the store, also of the one that the archive was made of.
    ``rows`` can be taken once, while the archive or the store is open; or else ``batches``, which
    are the same rows of an archive, many at once.
    """

    info: BagInfo | None
    principals: tuple[str, ...]
    rows: Iterator[Row]
    store_kind: str
    batches: Iterator[Columns | list[Row]] | None = None


@contextlib.contextmanager
def inventory_of_archive(
    archive: SealedArchive, policy: TrustPolicy, control: Control | None = None
) -> Iterator[Listing]:
    """Open the inventory of an archive: its head alone, verified, and its length.

    Rows are checked as they are taken, which raises ArchiveDamaged or UnsupportedArchive as well.
    Raises SignerUntrusted and its kin, ArchiveDamaged, ArchiveTruncated, UnsupportedArchive.
    """
    control = control or Control()

    with open_inventory(archive, policy, control) as (trusted, inventory):
        inventory.check_length()

        def batches() -> Iterator[Columns | list[Row]]:
            for batch in inventory.batches():
                control.check()
                yield batch

        info = trusted.info
        yield Listing(info, trusted.principals, inventory.rows(), info.store_kind, batches())


@contextlib.contextmanager
def inventory_of_store(
    store: Store, control: Control | None = None, *, hashes: bool = False
) -> Iterator[tuple[Listing, Tally]]:
    """Open the inventory of a live store; ``hashes`` has every file read to its end.

    The tally fills with what is skipped and withheld while the rows are taken.
    Raises StoreUnavailable.
    """
    control = control or Control()
    tally = Tally(control)
    check = control.check if hashes else None
    if store.gives_statuses:
        # Exporting would be a whole backup by the interface.
        if hashes:
            raise UsageError(
                f"the licenses of {store.location} cannot be compared by their files, of which"
                " the interface writes others each time",
                hint="compare what wmbackup list shows of the archive and of the store",
            )
        yield Listing(None, (), _enumerated(store, tally, control), store.kind), tally
        return
    with store.export(control) as export:

        def rows() -> Iterator[Row]:
            names = tally.names(export)
            paths = [*names.own, *names.items]
            control.notify(PhaseEvent(Phase.READING, items=len(paths)))
            progress = Progress(control)
            found: list[Row] = []

            def take(path: bytes, content: Content) -> None:
                found.extend(_rows_of(path, content, check))
                progress.file(path, content.size)

            for path in paths:
                control.check()
                noted = tally.noted
                if not tally.carry(export, path, take):
                    progress.file(path, 0)
                for license_ in tally.withheld_since(noted):
                    yield Row(None, replace(license_, path=path))
                yield from found
                found.clear()
            tally.know(export.licenses)
            for license_ in export.licenses:
                yield Row(None, license_)

        yield Listing(None, (), rows(), store.kind), tally


def _enumerated(store: Store, tally: Tally, control: Control) -> Iterator[Row]:
    control.notify(PhaseEvent(Phase.READING))
    for license_ in store.licenses(control):
        control.check()
        tally.know([license_])
        yield Row(None, license_)


def _rows_of(path: bytes, content: Content, check: Callable[[], None] | None) -> Iterator[Row]:
    item = Item(path, content.size, content.mtime_ns, content.attributes)
    sha256 = None if check is None else _hash(content, check)
    for license_ in content.licenses or (None,):
        yield Row(item, license_, sha256)


def _hash(content: Content, check: Callable[[], None]) -> bytes:
    digest = hashlib.sha256()
    for block in (content.data,) if isinstance(content.data, bytes) else content.data:
        check()
        digest.update(block)
    return digest.digest()

"""What is in an archive or in a store, and choosing from it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from wmbackup.archive.columns import Columns
from wmbackup.archive.inventory import Row
from wmbackup.archive.reader import SealedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._open import open_inventory
from wmbackup.engine._path_patterns import exact, parse
from wmbackup.engine._progress import Progress
from wmbackup.engine._tally import Tally
from wmbackup.errors import UsageError
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.stores.base import Content, Store


class Selection(NamedTuple):
    """Which licenses and files are meant; each list is a choice, and all lists must agree.

    ``kids`` are key IDs in any form (see `wmbackup.formats.keyid`), ``titles`` are parts of titles
    in any case, ``paths`` are files, folders, or patterns, as `_path_patterns`
    reads them. ``exact`` are those of them that are meant to the letter (see `resolved`).
    """

    kids: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    paths: tuple[bytes, ...] = ()
    exact: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        return bool(self.kids or self.titles or self.paths)

    @property
    def beginnings(self) -> tuple[bytes, ...]:
        """What true paths begin with that can match; none where that cannot be told."""
        if self.kids or self.titles:
            return ()
        found = tuple(parse(wanted).beginning for wanted in self.paths)
        return found if all(found) else ()

    @property
    def is_open(self) -> bool:
        """Whether what is meant depends on which files there are; see `resolved`."""
        return any(parse(wanted).is_open for wanted in self.paths if wanted not in self.exact)

    def resolved(self, paths: Iterable[bytes]) -> Selection:
        """Return the selection for files with these true paths, which need not be all of them.

        A path that is there to the letter means that file alone, and is no pattern.
        """
        return self._replace(exact=self.exact | exact(self.paths, paths)) if self.is_open else self

    def matches(self, row: Row) -> bool:
        """Whether a row is meant."""
        known = row.license
        if self.kids and not self._has_kid(known):
            return False
        if self.titles:
            title = "" if known is None else known.attributes.get("Title", "").casefold()
            if not any(wanted.casefold() in title for wanted in self.titles):
                return False
        path = row.path
        if not self.paths or path is None:
            return not self.paths
        return any(
            parse(wanted).matches(path, to_the_letter=wanted in self.exact) for wanted in self.paths
        )

    def _has_kid(self, known: License | None) -> bool:
        if known is None or known.kid is None:
            return False
        from wmbackup.formats.keyid import canonical, meant

        kid = canonical(known.kid)
        return any(kid in meant(wanted) for wanted in self.kids)


class Listing(NamedTuple):
    """What is there. ``info`` and ``principals`` are those of an archive, None and () of a store.

    ``store_kind`` is the kind of the store, also of the one that the archive was made of.
    ``rows`` can be taken once, while the archive or the store is open; or else ``batches``, which
    are the same rows of an archive, many at once. ``paths`` are the true paths of all files, which
    can be taken again and again, before and between the rows.
    """

    info: BagInfo | None
    principals: tuple[str, ...]
    rows: Iterator[Row]
    store_kind: str
    batches: Iterator[Columns | list[Row]] | None = None
    paths: Callable[[], Iterable[bytes]] = tuple


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

        def paths() -> Iterator[bytes]:
            return (row.path for row in inventory.rows() if row.path is not None)

        info, signers = trusted.info, trusted.principals
        yield Listing(info, signers, inventory.rows(), info.store_kind, batches(), paths)


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
                reason="interface-not-compared",
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

        yield Listing(None, (), rows(), store.kind, paths=lambda: export.paths), tally


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

"""What a restore takes from: a whole archive, or what is left of a damaged one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wmbackup.archive.inventory import Inventory, Row
from wmbackup.archive.payload import Receiver
from wmbackup.archive.reader import SealedArchive, TrustedArchive, TrustPolicy
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine._inventory import Selection
from wmbackup.engine._open import (
    HOPELESS,
    authenticate,
    open_inventory,
    private_files,
    spooling,
)
from wmbackup.errors import ArchiveDamaged
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.workers.stage_files import start_stager

if TYPE_CHECKING:
    from wmbackup.archive.salvage import Rescued, Salvage
    from wmbackup.workers.process import Workers


class Lost(NamedTuple):
    """A file that a salvage could not verify; ``title`` is that of a license in it, where known."""

    path: bytes
    title: str | None


class Contents(Protocol):
    """Files that can be released once they are verified, by their index from 0."""

    @property
    def info(self) -> BagInfo:
        """What the archive says of itself."""

    @property
    def trusted(self) -> TrustedArchive:
        """The archive, whose signers are trusted."""

    @property
    def principals(self) -> tuple[str, ...]:
        """Who signed and is trusted."""

    @property
    def lost(self) -> tuple[Lost, ...]:
        """What cannot be released, ever."""

    @property
    def nameless(self) -> int:
        """How many files have lost their true path and their time."""

    @property
    def licenses_lost(self) -> bool:
        """Whether what the archive said of licenses is lost; their files need not be."""

    def rows(self, selection: Selection) -> Iterator[tuple[int, Row]]:
        """Yield what can be released, in order, each row with the index of its file.

        Some that the selection does not match may be left out.
        """

    def withholds(self, selection: Selection) -> bool:
        """Whether a license that the selection matches is known and was not backed up."""

    def release(
        self, wanted: bytearray, receiver: Receiver | None, *, alone: bool
    ) -> Generator[Verified, None, None]:
        """Verify what is wanted and release it to the receiver, where there is one.

        ``wanted`` has a byte for each file, 1 or 0. With ``alone`` nothing else is read.
        """

    def close(self) -> None:
        """Give private files back; nothing can be read after that."""


class Verified(NamedTuple):
    """A file was verified. ``member`` is its name below the bag, ``size`` in bytes."""

    member: bytes
    size: int


@contextlib.contextmanager
def open_contents(
    archive: SealedArchive,
    policy: TrustPolicy,
    control: Control,
    *,
    salvage: bool,
    few: bool = False,
    workers: Workers | None = None,
) -> Iterator[Contents]:
    """Open an archive for a restore; its head is verified, its payload is not read yet.

    All of the head is checked, or with ``few``, for a selection of paths, what is asked for alone.
    ``workers`` allows a worker process for many files. Raises SignerUntrusted and its kin,
    ArchiveDamaged, UnsupportedArchive, SystemFailure.
    """
    if not salvage:
        with open_inventory(archive, policy, control) as (trusted, inventory):
            if not few:
                inventory.check(control.check)
            inventory.check_length()
            yield _Whole(trusted, inventory, control, workers=workers)
        return
    trusted = authenticate(archive, policy, control)
    control.notify(PhaseEvent(Phase.PLANNING, items=trusted.info.files))
    with spooling():
        rest = trusted.salvage(private_files(archive))
    with contextlib.closing(rest):
        with spooling():
            files = rest.files(control.check)
        if all(one.offset is None for one in files):
            raise ArchiveDamaged("nothing in the archive can be verified any more", reason=HOPELESS)
        yield _Remains(rest, files, trusted)


class _Whole:
    """A whole archive."""

    lost: tuple[Lost, ...] = ()
    nameless = 0
    licenses_lost = False

    def __init__(
        self,
        trusted: TrustedArchive,
        inventory: Inventory,
        control: Control,
        *,
        workers: Workers | None,
    ) -> None:
        self._archive = trusted.sealed
        self._inventory = inventory
        self._control = control
        self._workers = workers
        self.trusted = trusted
        self.info = trusted.info
        self.principals = trusted.principals

    def rows(self, selection: Selection) -> Iterator[tuple[int, Row]]:
        beginnings = selection.beginnings
        if not beginnings:
            yield from _by_file(self._inventory.rows())
            return
        # Most files are not even looked at, which is most of what restoring one takes.
        for index, item, sha256 in self._inventory.items_with(beginnings):
            yield index, Row(item, None, sha256)

    def withholds(self, selection: Selection) -> bool:
        rows = self._inventory.rows()
        return any(row.item is None and selection.matches(row) for row in rows)

    def release(
        self, wanted: bytearray, receiver: Receiver | None, *, alone: bool
    ) -> Generator[Verified, None, None]:
        if alone and self._archive.length is not None:
            for chunk in self._inventory.extract(wanted, receiver):
                yield from map(Verified, chunk.members, chunk.sizes)
            return
        with start_stager(
            self._workers, self._archive, self._inventory, receiver, wanted.count(1)
        ) as worker:
            whole = (
                self._inventory.verify_payload(receiver, wanted.__getitem__)
                if worker is None
                else worker.release(wanted, self._control)
            )
            for chunk in whole:
                yield from map(Verified, chunk.members, chunk.sizes)

    def close(self) -> None:
        self._inventory.close()


class _Remains:
    """What is left of an archive."""

    def __init__(self, salvage: Salvage, files: list[Rescued], trusted: TrustedArchive) -> None:
        self._salvage = salvage
        self._files = [one for one in files if one.offset is not None]
        self.nameless = sum(not one.has_row for one in self._files)
        self.licenses_lost = not salvage.knows_licenses
        self.trusted = trusted
        self.info = trusted.info
        self.principals = trusted.principals
        self.lost = tuple(Lost(one.item.path, _title(one)) for one in files if one.offset is None)

    def rows(self, selection: Selection) -> Iterator[tuple[int, Row]]:
        for index, one in enumerate(self._files):
            for license_ in one.licenses or (None,):
                yield index, Row(one.item, license_, one.sha256)

    def withholds(self, selection: Selection) -> bool:
        return False  # what was withheld is no file, and a salvage is about files

    def release(
        self, wanted: bytearray, receiver: Receiver | None, *, alone: bool
    ) -> Generator[Verified, None, None]:
        for index, one in enumerate(self._files):
            if wanted[index]:
                if receiver is not None:  # without one: it was verified when the plan was made
                    self._salvage.release(one, receiver)
                yield Verified(one.item.member, one.item.size)

    def close(self) -> None:
        self._salvage.close()


def _by_file(rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
    """Number the rows by the file that they belong to; those without one are left out."""
    index, item = -1, None
    for row in rows:
        if row.item is None:
            continue
        if row.item is not item:
            index, item = index + 1, row.item
        yield index, row


def _title(one: Rescued) -> str | None:
    titles = (license_.attributes.get("Title") for license_ in one.licenses)
    return next((title for title in titles if title), None)

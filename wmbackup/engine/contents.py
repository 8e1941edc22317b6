"""What a restore takes from: a whole archive, or what is left of a damaged one."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wmbackup.archive.head import Row
from wmbackup.archive.payload import Receiver
from wmbackup.archive.section import Section
from wmbackup.archive.tag_files import BagInfo
from wmbackup.engine.inventory import Selection
from wmbackup.engine.opening import (
    HOPELESS,
    ArchiveInput,
    Believed,
    authenticate,
    believe,
    spooling,
)
from wmbackup.errors import ArchiveDamaged
from wmbackup.files import spool_in, temporary_folder
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.trust import Policy

if TYPE_CHECKING:
    from wmbackup.archive.salvage import Rescued, Salvage
    from wmbackup.workers.process import Workers


class Lost(NamedTuple):
    """A file that a salvage could not prove; ``title`` is that of a license in it, where known."""

    path: bytes
    title: str | None


class Contents(Protocol):
    """Files that can be released once they are proven, by their index from 0."""

    @property
    def info(self) -> BagInfo:
        """What the archive says of itself."""

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
    ) -> Generator[Proven, None, None]:
        """Prove what is wanted and release it to the receiver, where there is one.

        ``wanted`` has a byte for each file, 1 or 0. With ``alone`` nothing else is read.
        """

    def close(self) -> None:
        """Give private files back; nothing can be read after that."""


class Proven(NamedTuple):
    """A file was proven. ``member`` is its name below the bag, ``size`` in bytes."""

    member: bytes
    size: int


@contextlib.contextmanager
def open_contents(
    source: ArchiveInput,
    policy: Policy,
    control: Control,
    *,
    salvage: bool,
    few: bool = False,
    workers: Workers | None = None,
) -> Iterator[Contents]:
    """Open an archive for a restore; its head is proven, its payload is not read yet.

    All of the head is judged, or with ``few``, for a selection of paths, what is asked for alone.
    ``workers`` allows a worker process for many files. Raises SignerUntrusted and its kin,
    ArchiveDamaged, UnsupportedArchive, SystemFailure.
    """
    if not salvage:
        with believe(source, policy, control) as archive:
            if not few:
                archive.head.check(control.check)
            archive.reader.check_length()
            yield _Whole(archive, source, control, workers=workers)
        return
    from wmbackup.archive.salvage import Salvage

    signed = authenticate(source, policy, control)
    control.notify(PhaseEvent(Phase.PLANNING, items=signed.info.files))
    with spooling():
        rest = Salvage(signed.reader, signed.info, spool_in(temporary_folder()))
    with contextlib.closing(rest):
        with spooling():
            files = rest.files(control.check)
        if all(one.offset is None for one in files):
            raise ArchiveDamaged("nothing in the archive can be proven any more", hint=HOPELESS)
        yield _Remains(rest, files, signed.info, signed.principals)


class _Whole:
    """A whole archive."""

    lost: tuple[Lost, ...] = ()
    nameless = 0
    licenses_lost = False

    def __init__(
        self, archive: Believed, source: ArchiveInput, control: Control, *, workers: Workers | None
    ) -> None:
        self._archive = archive
        self._seekable = source.length is not None
        self._stream = source.stream
        self._control = control
        self._workers = workers
        self.info = archive.info
        self.principals = archive.principals

    def rows(self, selection: Selection) -> Iterator[tuple[int, Row]]:
        head = self._archive.head
        beginnings = selection.beginnings
        if not beginnings:
            yield from _by_file(head.rows())
            return
        # Most files are not even looked at, which is most of what restoring one takes.
        for index, item, sha256 in head.items_like(beginnings):
            yield index, Row(item, None, sha256)

    def withholds(self, selection: Selection) -> bool:
        rows = self._archive.head.rows()
        return any(row.item is None and selection.matches(row) for row in rows)

    def release(
        self, wanted: bytearray, receiver: Receiver | None, *, alone: bool
    ) -> Generator[Proven, None, None]:
        reader = self._archive.reader
        if alone and self._seekable:
            proven = reader.extract(wanted, receiver)
        elif self._workers is not None and self._seekable:
            proven = self._release_with(self._workers, wanted, receiver)
        else:
            proven = reader.payload(receiver, wanted.__getitem__)
        for section in proven:
            yield from map(Proven, section.members, section.sizes)

    def _release_with(
        self, workers: Workers, wanted: bytearray, receiver: Receiver | None
    ) -> Iterator[Section]:
        from wmbackup.engine.second_writer import second_writer

        reader, files = self._archive.reader, wanted.count(1)
        with second_writer(workers, reader, self._stream.fileno(), receiver, files) as second:
            if second is None:
                yield from reader.payload(receiver, wanted.__getitem__)
            else:
                yield from second.release(wanted, self._control)

    def close(self) -> None:
        self._archive.head.close()


class _Remains:
    """What is left of an archive."""

    def __init__(
        self, salvage: Salvage, files: list[Rescued], info: BagInfo, principals: tuple[str, ...]
    ) -> None:
        self._salvage = salvage
        self._files = [one for one in files if one.offset is not None]
        self.nameless = sum(not one.has_row for one in self._files)
        self.licenses_lost = not salvage.knows_licenses
        self.info = info
        self.principals = principals
        self.lost = tuple(Lost(one.item.path, _title(one)) for one in files if one.offset is None)

    def rows(self, selection: Selection) -> Iterator[tuple[int, Row]]:
        for index, one in enumerate(self._files):
            for license_ in one.licenses or (None,):
                yield index, Row(one.item, license_, one.sha256)

    def withholds(self, selection: Selection) -> bool:
        return False  # what was withheld is no file, and a salvage is about files

    def release(
        self, wanted: bytearray, receiver: Receiver | None, *, alone: bool
    ) -> Generator[Proven, None, None]:
        for index, one in enumerate(self._files):
            if wanted[index]:
                if receiver is not None:  # without one: it was proven when the plan was made
                    self._salvage.release(one, receiver)
                yield Proven(one.item.member, one.item.size)

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

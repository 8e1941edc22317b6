"""From a store into an archive: one pipeline, for a backup and for a dry run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from wmbackup import __version__
from wmbackup.archive.names import Naming
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.writer import ArchiveWriter, DiscardingWriter, Sealed
from wmbackup.engine._destination import Destination, Refuse, choose_destination, name_prefix
from wmbackup.engine._envelope import Sealing
from wmbackup.engine._link import History, Making, made_entry
from wmbackup.engine._machine import lock_subject
from wmbackup.engine._open import spooling
from wmbackup.engine._pipeline import Pipeline
from wmbackup.engine._read_back import HashedFile, read_back_archive
from wmbackup.engine._tally import Tally
from wmbackup.errors import NothingToBackUp, SystemFailure
from wmbackup.history.records import Place
from wmbackup.item import Skipped
from wmbackup.license import License
from wmbackup.status import Control, Phase, PhaseEvent
from wmbackup.storage.locks import Locks
from wmbackup.storage.private_files import remove_leftovers
from wmbackup.storage.publish import Draft
from wmbackup.storage.spool import spool_in, temporary_folder
from wmbackup.stores.base import Export, Store
from wmbackup.trust.keys import SigningKey
from wmbackup.workers.process import Workers

if TYPE_CHECKING:
    from wmbackup.age.keys import Recipient

AGENT = f"wmbackup {__version__}"
_SYNC_STEP = 64 * 1024 * 1024  # bytes that go to the disk together while more are written


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What was made. ``path`` is None where it went to a stream; sizes are in bytes.

    ``skipped`` were seen and not carried, ``withheld`` are licenses that their issuers do not
    let go; ``info`` says who signed.
    """

    path: str | None
    size: int
    info: BagInfo
    licenses: int
    skipped: tuple[Skipped, ...]
    withheld: tuple[License, ...]
    read_back: bool


@dataclass(frozen=True, slots=True)
class BackupPlan:
    """What would be made: nothing was written. Sizes are in bytes."""

    path: str | None
    store_kind: str
    files: int
    octets: int
    licenses: int
    skipped: tuple[Skipped, ...]
    withheld: tuple[License, ...]


def backup(
    store: Store,
    output: str | BinaryIO | Destination,
    key: SigningKey,
    control: Control | None = None,
    *,
    replace_output: bool = False,
    read_back: bool = True,
    locks: Locks | None = None,
    host: str | None = None,
    workers: Workers | None = None,
    refuse: Refuse = Refuse(),  # noqa: B008 - it is frozen
    recipients: Sequence[Recipient] = (),
    history: History | None = None,
) -> BackupSummary:
    """Back a store up into a signed archive.

    ``output`` is a file, a folder in which the archive gets its usual name, a stream that is
    open for writing (what went there cannot be read back), or what `choose_destination` chose.
    The archive appears at once, whole and read back, or not at all. ``workers`` allows a worker
    process that reads a part of many files, where that pays. Nothing is written where ``refuse``
    says so. With ``recipients``, of `wmbackup.age.keys`, the archive is an age file that they can
    open, and no private file on the way holds plaintext. With ``history`` it takes its place in the
    series of this store and destination; without, it names no chain.

    A file is skipped for what is wrong with it; trouble of the machine ends the backup. Raises
    OutputExists, OutputInsideStore, NothingToBackUp, Incomplete, StoreUnavailable, Busy, Cancelled,
    SystemFailure and others of `wmbackup.errors`.
    """
    stream: BinaryIO | None = None
    if isinstance(output, str):
        destination = choose_destination(
            store, output, host, replace=replace_output, encrypted=bool(recipients)
        )
    elif isinstance(output, Destination):
        destination = output
    else:
        stream, destination = output, choose_destination(store, None, host)
    run = _Backup(store, destination, control or Control(), locks, refuse, recipients, history)
    if stream is not None:
        return run.into_stream(stream, key, workers)
    return run.into_file(key, workers, read_back=read_back)


def plan_backup(
    store: Store,
    output: str | Destination | None,
    control: Control | None = None,
    *,
    replace_output: bool = False,
    locks: Locks | None = None,
    refuse: Refuse = Refuse(),  # noqa: B008 - it is frozen
) -> BackupPlan:
    """Read and hash a store as `backup` does, and write nothing. Raises as `backup` does."""
    if not isinstance(output, Destination):
        output = choose_destination(store, output, replace=replace_output)
    return _Backup(store, output, control or Control(), locks, refuse).nowhere()


class _Backup:
    """One backup on its way."""

    def __init__(
        self,
        store: Store,
        destination: Destination,
        control: Control,
        locks: Locks | None,
        refuse: Refuse,
        recipients: Sequence[Recipient] = (),
        history: History | None = None,
    ) -> None:
        self._sealing = Sealing(recipients)
        self._history = history
        self._making: Making | None = None
        self._store = store
        self._destination = destination
        self._control = control
        self._locks = locks
        self._refuse = refuse

    def nowhere(self) -> BackupPlan:
        with self._locked(), spooling(), self._filled(DiscardingWriter, None) as (writer, tally):
            return BackupPlan(
                self._destination.path,
                self._store.kind,
                writer.files,
                writer.octets,
                tally.licenses,
                tuple(tally.skipped),
                tuple(tally.withheld),
            )

    def into_stream(
        self, output: BinaryIO, key: SigningKey, workers: Workers | None
    ) -> BackupSummary:
        folder = temporary_folder()
        with self._locked(), spooling():
            remove_leftovers(folder)
            spool = self._sealing.spool(spool_in(folder))
            with self._filled(lambda: ArchiveWriter(spool), workers) as (writer, tally):
                try:
                    sealed, size = self._seal(writer, output, key, tally)
                except OSError as error:
                    raise SystemFailure.of(error, "write to", "the output stream") from error
            self._confirm(sealed, size, tally, None)
        return self._summary(sealed, size, tally, read_back=False)

    def into_file(
        self, key: SigningKey, workers: Workers | None, *, read_back: bool
    ) -> BackupSummary:
        path, folder = self._destination.path, self._destination.folder
        assert path is not None  # noqa: S101 - `backup` saw to it
        assert folder is not None  # noqa: S101
        draft = None
        try:
            with self._locked():
                remove_leftovers(folder)
                draft = Draft(path, "the archive")
                with contextlib.closing(draft):
                    spool = self._sealing.spool(spool_in(folder))
                    with self._filled(lambda: ArchiveWriter(spool), workers) as (writer, tally):
                        sealed, size = self._seal(writer, draft.file, key, tally, draft.sync_ahead)
                    draft.sync()
                    file = HashedFile(draft.file)
                    if read_back:
                        read_back_archive(
                            *(file, sealed, key.public, spool, self._control, self._sealing)
                        )
                    digest = None if self._making is None else file.sha256(self._control.check)
                    self._control.check()
                    if self._making is not None:
                        self._making.pending(made_entry(sealed, size, tally.licenses, path, digest))
                    draft.publish(replace=self._destination.replace)
                    self._confirm(sealed, size, tally, digest)
        except OSError as error:
            if draft is not None and draft.published:
                raise draft.unconfirmed(error) from error
            raise SystemFailure.of(error, "write", path) from error
        return self._summary(sealed, size, tally, read_back=read_back)

    def _confirm(self, sealed: Sealed, size: int, tally: Tally, digest: str | None) -> None:
        if self._making is not None:
            path = self._destination.path
            self._making.confirm(made_entry(sealed, size, tally.licenses, path, digest))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = self._destination.path
        with contextlib.ExitStack() as stack:
            subject = lock_subject(self._store)
            if self._locks is not None and subject is not None:
                stack.enter_context(self._locks.hold("store", subject, self._control))
            if self._locks is not None and path is not None:
                stack.enter_context(self._locks.hold("destination", path, self._control))
            yield

    @contextlib.contextmanager
    def _filled(
        self, make_writer: Callable[[], ArchiveWriter], workers: Workers | None
    ) -> Iterator[tuple[ArchiveWriter, Tally]]:
        """Read the store into a writer."""
        self._control.notify(PhaseEvent(Phase.PLANNING))
        tally = Tally(self._control)
        with self._store.export(self._control) as export:
            while True:
                names = tally.names(export)
                with contextlib.closing(make_writer()) as writer:
                    if self._fill(writer, export, names, tally, workers):
                        yield writer, tally
                        return
                # One is gone, and others had made room for its name: names are given anew.
                tally.start_over()

    def _fill(
        self,
        writer: ArchiveWriter,
        export: Export,
        names: Naming,
        tally: Tally,
        workers: Workers | None,
    ) -> bool:
        """Carry everything; return False where a file was lost and that changes other names."""
        files = len(names.own) + len(names.items)
        self._control.notify(PhaseEvent(Phase.READING, items=files))
        pipeline = Pipeline(writer, export, names, tally, self._control)
        if not pipeline.run(workers):
            return False
        free = tally.know(export.licenses)
        for license_ in (*tally.withheld, *free):
            writer.know(license_)
        self._machine = export.machine
        if not writer.files:
            raise _nothing(self._store, tally)
        planned = isinstance(writer, DiscardingWriter)
        tally.refuse(**self._refuse._asdict(), planned=planned)
        return True

    def _seal(
        self,
        writer: ArchiveWriter,
        output: BinaryIO,
        key: SigningKey,
        tally: Tally,
        sync_ahead: Callable[[], None] | None = None,
    ) -> tuple[Sealed, int]:
        """Return what was sealed, and how large it is with its envelope."""
        self._control.notify(PhaseEvent(Phase.SEALING, size=writer.length))  # which has no files
        link = None
        if self._history is not None:
            prefix = name_prefix(self._store, self._destination.host)
            place = Place(
                *(self._destination.host, self._store.kind, self._store.location),
                self._destination.folder,
            )
            self._making = Making(self._history, place, key.public, prefix, self._control)
            link = self._making.link()
        info = BagInfo(
            archive_id=self._destination.archive_id,
            created=self._destination.moment,
            host=self._destination.host,
            store_kind=self._store.kind,
            store=self._store.location,
            signer=key.fingerprint,
            withheld=0,
            skipped=len(tally.skipped),
            octets=0,
            files=0,
            agent=AGENT,
            machine=self._machine,
            recipients=self._sealing.names,
            chain=link and link.chain,
            sequence=link and link.sequence,
            previous=link and link.previous,
        )
        sealed: list[Sealed] = []

        def write(stream: BinaryIO) -> int:
            sealed.append(writer.seal(stream, info, key.sign, self._ticking(sync_ahead)))
            return sealed[0].size

        size = self._sealing.write(output, write)
        return sealed[0], size

    def _ticking(self, sync_ahead: Callable[[], None] | None) -> Callable[[int], None]:
        written = 0

        def tick(size: int) -> None:
            nonlocal written
            self._control.check()
            self._control.item(b"", 0, size)
            written += size
            # The disk is a quarter of the sealing sooner done when it begins with the first bytes.
            if sync_ahead is not None and written >= _SYNC_STEP:
                sync_ahead()
                written = 0

        return tick

    def _summary(
        self, sealed: Sealed, size: int, tally: Tally, *, read_back: bool
    ) -> BackupSummary:
        return BackupSummary(
            path=self._destination.path,
            size=size,
            info=sealed.info,
            licenses=tally.licenses,
            skipped=tuple(tally.skipped),
            withheld=tuple(tally.withheld),
            read_back=read_back,
        )


def _nothing(store: Store, tally: Tally) -> NothingToBackUp:
    if tally.withheld:
        message = f"all licenses of the store {store.location} are withheld by their issuers"
    elif tally.skipped:
        message = f"nothing in the store {store.location} can be carried"
    else:
        message = f"the store {store.location} has nothing to back up"
    return NothingToBackUp(message)

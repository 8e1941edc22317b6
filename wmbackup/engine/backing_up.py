"""From a store into an archive."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from wmbackup import __version__
from wmbackup.archive.names import Naming
from wmbackup.archive.reader import ArchiveReader
from wmbackup.archive.row_codec import file_row
from wmbackup.archive.tag_files import BagInfo
from wmbackup.archive.writer import ArchiveWriter, Sealed
from wmbackup.engine.filling import Filling, row_of
from wmbackup.engine.here import host_name, lock_subject
from wmbackup.engine.opening import spooling
from wmbackup.engine.reading import Tally
from wmbackup.errors import (
    NothingToBackUp,
    OutputInsideStore,
    SystemFailure,
    WmbackupError,
)
from wmbackup.files import (
    Draft,
    exists,
    is_inside,
    output_path,
    remove_leftovers,
    spool_in,
    temporary_folder,
)
from wmbackup.item import Skipped
from wmbackup.license import License
from wmbackup.locks import Locks
from wmbackup.status import (
    Control,
    Phase,
    PhaseEvent,
)
from wmbackup.stores.base import Export, Store
from wmbackup.trust.keys import SigningKey
from wmbackup.workers.process import Workers

AGENT = f"wmbackup {__version__}"
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIX = ".wmbackup.tar"
_SYNC_STEP = 64 * 1024 * 1024  # bytes that go to the disk together while more are written


class ReadBackFailed(WmbackupError):
    """The disk gave back other bytes than were written; nothing was published."""

    code = "read-back-failed"


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What was made. ``path`` is None where it went to a stream; sizes are in bytes.

    ``skipped`` were seen and not carried, ``withheld`` are licenses that their issuers do not
    let go, ``principal`` is who signed.
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


def archive_name(store: Store, host: str, moment: datetime) -> str:
    """Return the usual name of an archive: ``HOST-STORE-20261122T030000Z.wmbackup.tar``."""
    label = store.kind if store.root is None else os.path.basename(store.root) or store.kind
    parts = [_UNFIT.sub("_", part).strip("_")[:64] or "unknown" for part in (host, label)]
    return f"{parts[0]}-{parts[1]}-{moment:%Y%m%dT%H%M%SZ}{_SUFFIX}"


def backup(
    store: Store,
    output: str | BinaryIO,
    key: SigningKey,
    control: Control | None = None,
    *,
    replace_output: bool = False,
    read_back: bool = True,
    locks: Locks | None = None,
    host: str | None = None,
    workers: Workers | None = None,
    refuse_skipped: bool = False,
    refuse_withheld: bool = False,
) -> BackupSummary:
    """Back a store up into a signed archive.

    ``output`` is a file, a folder in which the archive gets its usual name, or a stream that is
    open for writing (what went there cannot be read back). The archive appears at once, whole
    and read back, or not at all. ``workers`` allows a worker process that reads a part of many
    files, where that pays. With ``refuse_skipped`` nothing is written where a file would be
    skipped, with ``refuse_withheld`` where a license is withheld.

    A file is skipped for what is wrong with it; trouble of the machine ends the backup. Raises
    OutputExists, OutputInsideStore, NothingToBackUp, Incomplete, StoreUnavailable, Busy, Cancelled,
    SystemFailure and others of `wmbackup.errors`.
    """
    control = control or Control()
    host = host or host_name()
    moment = datetime.now(UTC).replace(microsecond=0)
    refused = refuse_skipped, refuse_withheld
    run = _Run(store, key, control, host, moment, refused=refused, workers=workers)
    if not isinstance(output, str):
        return run.into_stream(output, locks)
    path = destination(store, output, host, moment, replace_output=replace_output)
    return run.into_file(path, locks, replace_output=replace_output, read_back=read_back)


def destination(
    store: Store, output: str, host: str, moment: datetime, *, replace_output: bool
) -> str:
    """Return the file that will be written.

    Raises OutputExists, OutputInsideStore, NotFound, UsageError.
    """
    path = output_path(output, archive_name(store, host, moment))
    if store.root is not None and is_inside(path, store.root):
        raise OutputInsideStore(
            f"the output {path} lies in the store that is read",
            hint="choose an output outside of it",
        )
    if os.path.lexists(path) and not replace_output:
        raise exists(path)
    return path


def plan_backup(
    store: Store,
    output: str | None,
    control: Control | None = None,
    *,
    replace_output: bool = False,
    refuse_skipped: bool = False,
    refuse_withheld: bool = False,
) -> BackupPlan:
    """Read a store as `backup` does and write nothing. Raises as `backup` does."""
    control = control or Control()
    target = None
    if output is not None:
        moment = datetime.now(UTC)
        target = destination(store, output, host_name(), moment, replace_output=replace_output)
    tally = Tally(control)
    with store.export(control) as export:
        names = tally.names(export)
        files = octets = 0
        for is_own, paths in ((True, names.own), (False, names.items)):
            for path in paths:
                control.check()
                content = tally.read(export, path)
                if content is None:
                    continue
                try:
                    file_row(row_of(path, content, is_own=is_own))
                except ValueError as error:
                    tally.skip(path, str(error))
                    continue
                files += 1
                octets += content.size
                tally.licenses += len(content.licenses)
                control.item(path, files, content.size)
        tally.know(export.licenses)
    if not files:
        raise _nothing(store, tally)
    tally.refuse(skipped=refuse_skipped, withheld=refuse_withheld, planned=True)
    skipped, withheld = tuple(tally.skipped), tuple(tally.withheld)
    return BackupPlan(target, store.kind, files, octets, tally.licenses, skipped, withheld)


def _nothing(store: Store, tally: Tally) -> NothingToBackUp:
    if tally.withheld:
        message = f"all licenses of the store {store.location} are withheld by their issuers"
    elif tally.skipped:
        message = f"nothing in the store {store.location} can be carried"
    else:
        message = f"the store {store.location} has nothing to back up"
    return NothingToBackUp(message, hint="no archive was made; older ones are as they were")


class _Run:
    """One backup on its way."""

    def __init__(
        self,
        store: Store,
        key: SigningKey,
        control: Control,
        host: str,
        moment: datetime,
        *,
        refused: tuple[bool, bool],
        workers: Workers | None,
    ) -> None:
        self._refused = refused
        self._store = store
        self._key = key
        self._control = control
        self._host = host
        self._moment = moment
        self._workers = workers

    def into_stream(self, output: BinaryIO, locks: Locks | None) -> BackupSummary:
        folder = temporary_folder()
        with self._holding(locks, None), spooling():
            remove_leftovers(folder)
            with self._filled(folder) as (writer, tally):
                try:
                    sealed = self._seal(writer, output, tally)
                except OSError as error:
                    raise SystemFailure.of(error, "write to", "the output stream") from error
        return self._summary(None, sealed, tally, read_back=False)

    def into_file(
        self, path: str, locks: Locks | None, *, replace_output: bool, read_back: bool
    ) -> BackupSummary:
        folder = os.path.dirname(path)
        draft = None
        try:
            with self._holding(locks, path):
                remove_leftovers(folder)
                draft = Draft(path, "the archive")
                with contextlib.closing(draft):
                    with self._filled(folder) as (writer, tally):
                        sealed = self._seal(writer, draft.file, tally, draft.sync_ahead)
                    draft.sync()
                    if read_back:
                        self._read_back(draft.file, sealed, folder)
                    self._control.check()
                    draft.publish(replace=replace_output)
        except OSError as error:
            if draft is not None and draft.published:
                raise draft.unconfirmed(error) from error
            raise SystemFailure.of(error, "write", path) from error
        return self._summary(path, sealed, tally, read_back=read_back)

    @contextlib.contextmanager
    def _holding(self, locks: Locks | None, path: str | None) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            subject = lock_subject(self._store)
            if locks is not None and subject is not None:
                stack.enter_context(locks.hold("store", subject, self._control))
            if locks is not None and path is not None:
                stack.enter_context(locks.hold("destination", path, self._control))
            yield

    @contextlib.contextmanager
    def _filled(self, folder: str) -> Iterator[tuple[ArchiveWriter, Tally]]:
        """Read the store into a writer whose spools are in the folder."""
        self._control.notify(PhaseEvent(Phase.PLANNING))
        tally = Tally(self._control)
        spool = spool_in(folder)
        with self._store.export(self._control) as export:
            while True:
                names = tally.names(export)
                writer = ArchiveWriter(spool)
                with contextlib.closing(writer):
                    if self._fill(writer, export, names, tally):
                        yield writer, tally
                        return
                # One is gone, and others had made room for its name: names are given anew.
                tally.start_over()

    def _fill(self, writer: ArchiveWriter, export: Export, names: Naming, tally: Tally) -> bool:
        """Carry everything; return False where a file was lost and that changes other names."""
        files = len(names.own) + len(names.items)
        self._control.notify(PhaseEvent(Phase.READING, items=files))
        filling = Filling(writer, export, tally, self._control)
        if not filling.fill(names, workers=self._workers):
            return False
        free = tally.know(export.licenses)
        for license_ in (*tally.withheld, *free):
            writer.know(license_)
        self._machine = export.machine
        if not writer.files:
            raise _nothing(self._store, tally)
        tally.refuse(skipped=self._refused[0], withheld=self._refused[1])
        return True

    def _seal(
        self,
        writer: ArchiveWriter,
        output: BinaryIO,
        tally: Tally,
        sync_ahead: Callable[[], None] | None = None,
    ) -> Sealed:
        control = self._control
        control.notify(PhaseEvent(Phase.SEALING, size=writer.length))  # which knows no files
        info = BagInfo(
            archive_id=os.urandom(16).hex(),
            created=self._moment,
            host=self._host,
            store_kind=self._store.kind,
            store=self._store.location,
            signer=self._key.fingerprint,
            withheld=0,
            skipped=len(tally.skipped),
            octets=0,
            files=0,
            agent=AGENT,
            machine=self._machine,
        )
        return writer.seal(output, info, self._key.sign, self._ticking(sync_ahead))

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

    def _read_back(self, file: BinaryIO, sealed: Sealed, folder: str) -> None:
        """Prove that the disk holds what was sealed. Raises ReadBackFailed."""
        control = self._control
        info = sealed.info
        control.notify(PhaseEvent(Phase.READING_BACK, items=info.files, size=info.octets))
        reader = ArchiveReader(file, spool_in(folder), sealed.size)
        try:
            signatures = reader.signatures()
            if signatures.maker != self._key.public or reader.info() != info:
                raise ReadBackFailed("the archive that was read back is another one")
            with contextlib.closing(reader.head()) as head:
                head.check(control.check)
                reader.check_length()
                for section in reader.payload():
                    control.check()
                    control.each(section.members, section.sizes, section.first)
        except WmbackupError as error:
            if error.exit_code not in {4, 7}:
                raise
            raise ReadBackFailed(
                f"the disk gave back other bytes than were written: {error}",
                hint="nothing was published; check the disk and write to another one",
            ) from error

    def _summary(
        self, path: str | None, sealed: Sealed, tally: Tally, *, read_back: bool
    ) -> BackupSummary:
        return BackupSummary(
            path=path,
            size=sealed.size,
            info=sealed.info,
            licenses=tally.licenses,
            skipped=tuple(tally.skipped),
            withheld=tuple(tally.withheld),
            read_back=read_back,
        )

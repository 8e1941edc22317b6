"""The object itself: its interfaces, flags and properties."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from wmbackup.archive.reader import TrustedArchive
from wmbackup.engine._destination import Destination, Refuse, choose_destination
from wmbackup.engine._envelope import Identities, nobody
from wmbackup.engine._inventory import Selection
from wmbackup.engine._open import open_archive
from wmbackup.engine._restore import (
    OnConflict,
    RestorePlan,
    RestoreSummary,
    always,
    any_archive,
    restore,
)
from wmbackup.errors import Busy, UsageError
from wmbackup.restorer.operation import Operation
from wmbackup.restorer.statuses import Statuses
from wmbackup.status import Control, Notify, Phase
from wmbackup.storage.locks import Locks
from wmbackup.stores.base import Store, TakesConsent
from wmbackup.trust import Policy
from wmbackup.trust.keys import SigningKey

if TYPE_CHECKING:
    from wmbackup.age.envelope import SealedEnvelope
    from wmbackup.age.keys import Identity, Recipient
    from wmbackup.engine._backup import BackupPlan, BackupSummary
    from wmbackup.engine._link import History
    from wmbackup.workers.process import Workers

    _Operation = Operation[BackupSummary | BackupPlan] | Operation[RestoreSummary]

_PROPERTIES = {"BackupPath", "RestorePath"}


class BackupFlags(IntFlag):
    """``WM_BACKUP_*`` of ``wmsdkidl.h``."""

    NONE = 0
    OVERWRITE = 1


class RestoreFlags(IntFlag):
    """``WM_RESTORE_*`` of ``wmsdkidl.h``. INDIVIDUALIZE says that the user has consented."""

    NONE = 0
    INDIVIDUALIZE = 2


class InvalidArgument(UsageError):
    """E_INVALIDARG: a callback, a flag or a property that cannot be."""

    code = "invalid-argument"
    hresult = 0x80070057


class LicenseBackup(Protocol):
    """``IWMLicenseBackup``."""

    def backup_licenses(self, flags: BackupFlags | int, on_status: Notify | None) -> None:
        """Begin a backup; return at once."""

    def cancel_license_backup(self) -> None:
        """Ask a backup under way to stop."""


class LicenseRestore(Protocol):
    """``IWMLicenseRestore``."""

    def restore_licenses(self, flags: RestoreFlags | int, on_status: Notify | None) -> None:
        """Begin a restore; return at once."""

    def cancel_license_restore(self) -> None:
        """Ask a restore under way to stop."""


class BackupRestoreProps(Protocol):
    """``IWMBackupRestoreProps``."""

    def get_prop_count(self) -> int:
        """Return how many properties are set."""

    def get_prop_by_index(self, index: object) -> tuple[str, str]:
        """Return name and value of a property, counted from 0."""

    def get_prop_by_name(self, name: object) -> str:
        """Return the value of a property."""

    def set_prop(self, name: object, value: object) -> None:
        """Set a property."""

    def remove_prop(self, name: object) -> None:
        """Remove a property."""

    def remove_all_props(self) -> None:
        """Remove all of them."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the documented object does not know, and a signed archive needs.

    ``output`` and ``source`` are streams that take the place of BackupPath and RestorePath.
    ``announce`` gets the plan of a restore as soon as it is made; ``confirm`` is asked before it
    is carried out, on the thread that calls `BackupRestorer.wait`. Without ``items`` no single
    files are told. ``workers`` allows a worker process for a part of many files. ``dry_run`` writes
    nothing, of a backup and of a restore. A backup is encrypted for ``recipients``, of
    `wmbackup.age.keys`; ``identities`` returns what to try on an encrypted archive, and is asked on
    the thread that ``confirm`` is asked on. With ``history`` a backup takes its place in a series.
    """

    signing_key: SigningKey | None = None
    policy: Policy = field(default_factory=Policy)
    locks: Locks | None = None
    output: BinaryIO | None = None
    read_back: bool = True
    source: BinaryIO | None = None
    selection: Selection | None = None
    on_conflict: OnConflict = OnConflict.FAIL
    announce: Callable[[RestorePlan], object] = always
    confirm: Callable[[RestorePlan], bool] = always
    admit: Callable[[TrustedArchive], object] = any_archive
    dry_run: bool = False
    salvage: bool = False
    items: bool = True
    workers: Workers | None = None
    refuse: Refuse = field(default_factory=Refuse)
    recipients: Sequence[Recipient] = ()
    identities: Identities = nobody
    history: History | None = None


def create_backup_restorer(
    on_status: Notify | None, *, store: Store, options: Options | None = None
) -> BackupRestorer:
    """Return a backup restorer for a store (``WMCreateBackupRestorer``).

    Raises InvalidArgument without a callback.
    """
    return BackupRestorer(on_status, store=store, options=options)


class BackupRestorer:
    """Backs a store up and restores into it, one operation at a time.

    Every method can be called from any thread, and from the callback. An object that is dropped
    while it works cancels what it does.
    """

    def __init__(
        self, on_status: Notify | None, *, store: Store, options: Options | None = None
    ) -> None:
        """Keep the callback that operations report to when they are given none of their own."""
        _callback(on_status)
        self._store = store
        self._options = options or Options()
        self._props: dict[str, str] = {}
        self._mutex = threading.Lock()
        self._operation: _Operation | None = None

    # IWMLicenseBackup

    def backup_licenses(self, flags: BackupFlags | int, on_status: Notify | None) -> None:
        """Begin to back the store up to BackupPath; return at once.

        The path is a file, or a folder in which the archive gets its usual name. Raises
        InvalidArgument, OutputExists (NS_E_DRM_BACKUP_EXISTS) where it exists and OVERWRITE is
        not set, Busy (NS_E_DRM_BACKUPRESTORE_BUSY) while another operation runs.
        """
        replace = bool(_flags(BackupFlags, flags) & BackupFlags.OVERWRITE)
        notify = _callback(on_status)
        with self._starting():
            self._start(self._backup(notify, replace=replace))

    def _backup(self, notify: Notify, *, replace: bool) -> Operation[BackupSummary | BackupPlan]:
        from wmbackup.engine import backup, plan_backup

        store, options = self._store, self._options
        key = options.signing_key
        if key is None and not options.dry_run:
            raise InvalidArgument("a backup needs a signing key")
        # Refused at once, as documented, and not by the callback.
        output = options.output or self._destination(replace=replace)

        def work(control: Control) -> BackupSummary | BackupPlan:
            if key is None or options.dry_run:
                plan = output if isinstance(output, Destination) else None
                return plan_backup(store, plan, control, locks=options.locks, refuse=options.refuse)
            return backup(
                store,
                output,
                key,
                control,
                read_back=options.read_back,
                locks=options.locks,
                workers=options.workers,
                refuse=options.refuse,
                recipients=options.recipients,
                history=options.history,
            )

        statuses = Statuses(notify, silent=store.gives_statuses, begins=Phase.READING)
        return Operation(work, statuses, items=options.items)

    def _destination(self, *, replace: bool) -> Destination:
        """Return where BackupPath leads; a dry run needs none."""
        output = self._props.get("BackupPath")
        if output is None and not self._options.dry_run:
            output = self.get_prop_by_name("BackupPath")
        encrypted = bool(self._options.recipients)
        return choose_destination(self._store, output, replace=replace, encrypted=encrypted)

    def cancel_license_backup(self) -> None:
        """Ask the operation to stop; it ends with NS_E_DRM_OPERATION_CANCELED.

        Asking twice, before one began or after it ended changes nothing.
        """
        operation = self._operation
        if operation is not None:
            operation.cancel()

    # IWMLicenseRestore

    def restore_licenses(self, flags: RestoreFlags | int, on_status: Notify | None) -> None:
        """Begin to restore the archive at RestorePath into the store; return at once.

        Raises InvalidArgument, and Busy (NS_E_DRM_BACKUPRESTORE_BUSY) while another operation
        runs.
        """
        consent = bool(_flags(RestoreFlags, flags) & RestoreFlags.INDIVIDUALIZE)
        notify = _callback(on_status)
        with self._starting():
            self._start(self._restore(notify, consent=consent))

    def _restore(self, notify: Notify, *, consent: bool) -> Operation[RestoreSummary]:
        store, options = self._store, self._options
        if consent and isinstance(store, TakesConsent):
            store = store.with_consent()
        source = options.source or self.get_prop_by_name("RestorePath")
        begins = Phase.APPLYING if options.dry_run else Phase.VERIFYING  # which then never comes
        statuses = Statuses(notify, silent=store.gives_statuses, begins=begins)

        def identities(envelope: SealedEnvelope) -> Sequence[Identity]:
            found: list[Identity] = []

            def gather() -> bool:
                found.extend(options.identities(envelope))
                return True

            operation.ask(gather)
            return found

        def work(control: Control) -> RestoreSummary:
            with open_archive(source, identities, salvage=options.salvage) as archive:
                return restore(
                    archive,
                    store,
                    options.policy,
                    control,
                    selection=options.selection,
                    on_conflict=options.on_conflict,
                    announce=options.announce,
                    confirm=lambda plan: operation.ask(lambda: options.confirm(plan)),
                    admit=options.admit,
                    dry_run=options.dry_run,
                    salvage=options.salvage,
                    locks=options.locks,
                    workers=options.workers,
                )

        operation = Operation(work, statuses, items=options.items)
        return operation

    def cancel_license_restore(self) -> None:
        """See `cancel_license_backup`."""
        self.cancel_license_backup()

    # IWMBackupRestoreProps

    def get_prop_count(self) -> int:
        """Return how many properties are set."""
        return len(self._props)

    def get_prop_by_index(self, index: object) -> tuple[str, str]:
        """Return name and value of a property, counted from 0. Raises InvalidArgument."""
        props = sorted(self._props.items())
        if not isinstance(index, int) or not 0 <= index < len(props):
            raise InvalidArgument(f"there is no property {index}")
        return props[index]

    def get_prop_by_name(self, name: object) -> str:
        """Return the value of a property. Raises InvalidArgument where it is not set."""
        if not isinstance(name, str) or name not in self._props:
            raise InvalidArgument(f"the property {name} is not set")
        return self._props[name]

    def set_prop(self, name: object, value: object) -> None:
        """Set BackupPath or RestorePath. Raises InvalidArgument."""
        if not isinstance(name, str) or name not in _PROPERTIES:
            raise InvalidArgument(f"there is no property {name}: set BackupPath or RestorePath")
        if not isinstance(value, str) or not _is_path(value):
            raise InvalidArgument(f"the property {name} takes a path, which is a string")
        self._props[name] = value

    def remove_prop(self, name: object) -> None:
        """Remove a property. Raises InvalidArgument where it is not set."""
        self.get_prop_by_name(name)
        self._props.pop(str(name))

    def remove_all_props(self) -> None:
        """Remove all properties."""
        self._props.clear()

    # What a caller in Python needs besides

    def wait(self, timeout: float | None = None) -> BackupSummary | BackupPlan | RestoreSummary:
        """Wait for the operation; return its summary, or raise the error that ended it.

        After ``timeout`` seconds it is cancelled and TimedOut raised; the time that answers take
        does not count. Questions of `Options` are asked on this thread, and where the system
        grants no other, the operation runs on it as well. Raises InvalidArgument where nothing was
        begun, Busy on the thread of the operation itself, and what the callback raised, where that
        ended it.
        """
        operation = self._operation
        if operation is None:
            raise InvalidArgument("there is nothing to wait for: begin an operation first")
        return operation.wait(timeout)

    @contextlib.contextmanager
    def _starting(self) -> Iterator[None]:
        # Before all else: what another operation is doing may be what a check would find wrong.
        with self._mutex:
            if self._operation is not None and not self._operation.ended:
                raise Busy("this backup restorer is working already", reason="same")
            yield

    def _start(self, operation: _Operation) -> None:
        self._operation = operation
        # The thread knows the operation and not this object, which can therefore be dropped.
        weakref.finalize(self, operation.cancel)
        operation.start()


def _callback(on_status: Notify | None) -> Notify:
    if not callable(on_status):
        raise InvalidArgument("a backup restorer reports through a callback, and there is none")
    return on_status


def _is_path(value: str) -> bool:
    try:
        return bool(value) and "\0" not in value and bool(os.fsencode(value))
    except UnicodeEncodeError:
        return False


_FlagT = TypeVar("_FlagT", BackupFlags, RestoreFlags)


def _flags(kind: type[_FlagT], value: object) -> _FlagT:
    if not isinstance(value, int):
        raise InvalidArgument("flags are a number")
    known = 0
    for flag in kind:
        known |= int(flag)  # the inverse of a flag has the other known flags alone
    if value & ~known:
        raise InvalidArgument(f"there are no such flags: {value:#x}")
    return kind(value)

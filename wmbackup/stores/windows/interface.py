"""Backup and restore through the documented interface: one folder, one call, one outcome.

The interface takes all licenses or none and cannot list them. What it writes into the folder is
its own affair: whatever the files are called, they are what a restore wants back.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import os
from collections.abc import Callable
from contextlib import ExitStack

from wmbackup.errors import NotFound
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.windows.callback import StatusCallback
from wmbackup.stores.windows.com import Apartment, crashes
from wmbackup.stores.windows.following import Operation, Outcome, Patience
from wmbackup.stores.windows.private import sizes
from wmbackup.stores.windows.wmsdkidl import (
    BACKUP_PATH,
    RESTORE_PATH,
    BackupFlags,
    IWMBackupRestoreProps,
    IWMLicenseBackup,
    IWMLicenseRestore,
    RestoreFlags,
    create_backup_restorer,
)

Call = Callable[[StatusCallback], object]
Cancel = Callable[[], object]
Begin = Callable[[ExitStack, IWMLicenseBackup], tuple[Call, Cancel]]

_left_alone: list[ExitStack] = []
"""What belongs to operations that never answered a cancel. Releasing an object may wait for its
thread, and that is the one that hangs: it stays until the process ends."""


def probe() -> None:
    """Make the object and let go of it: nothing is backed up.

    Raises StoreUnavailable without the interface, InterfaceError with what it answers instead.
    """
    with ExitStack() as stack:
        stack.enter_context(Apartment())
        callback = StatusCallback(lambda _status, _hresult, _value: None)
        stack.callback(callback.release)
        stack.enter_context(create_backup_restorer(callback.pointer))


def backup_into(
    folder: str,
    control: Control | None = None,
    timeout: float | None = None,
    *,
    overwrite: bool = False,
    patience: Patience | None = None,
) -> Outcome:
    """Back up all licenses into an existing folder, and wait for the end.

    ``timeout`` is in seconds, None for no limit but that of `Patience.silence`. Each status goes to
    ``control.notify`` on this thread, in order. Without ``overwrite`` an existing backup there is
    NS_E_DRM_BACKUP_EXISTS. Raises NotFound without the folder, StoreUnavailable without the
    interface, InterfaceError, Cancelled and TimedOut. Source: ``wmsdkidl.h``, IWMLicenseBackup.
    """
    flags = BackupFlags.OVERWRITE if overwrite else BackupFlags.NONE

    def begin(_stack: ExitStack, backup: IWMLicenseBackup) -> tuple[Call, Cancel]:
        return (
            lambda callback: backup.BackupLicenses(flags, callback.pointer),
            backup.CancelLicenseBackup,
        )

    control = control or Control()
    operation = Operation(
        control,
        doing="back up the licenses",
        timeout=timeout,
        patience=patience,
        growth=lambda: sizes(folder),
    )
    return _run(operation, control, BACKUP_PATH, folder, begin)


def restore_from(
    folder: str,
    control: Control | None = None,
    timeout: float | None = None,
    *,
    individualize: bool = False,
    patience: Patience | None = None,
) -> Outcome:
    """Restore all licenses from a folder that a backup wrote, and wait for the end.

    ``individualize`` says that the user has given permission for a security upgrade. Otherwise as
    `backup_into`; where the service refuses, the InterfaceError has the page's address in ``url``.
    Source: ``wmsdkidl.h``, IWMLicenseRestore.
    """
    flags = RestoreFlags.INDIVIDUALIZE if individualize else RestoreFlags.NONE

    def begin(stack: ExitStack, backup: IWMLicenseBackup) -> tuple[Call, Cancel]:
        restore = stack.enter_context(backup.query(IWMLicenseRestore))
        return (
            lambda callback: restore.RestoreLicenses(flags, callback.pointer),
            restore.CancelLicenseRestore,
        )

    control = control or Control()
    operation = Operation(control, doing="restore the licenses", timeout=timeout, patience=patience)
    return _run(operation, control, RESTORE_PATH, folder, begin)


def _run(operation: Operation, control: Control, prop: str, folder: str, begin: Begin) -> Outcome:
    path = os.path.abspath(folder)
    if not os.path.isdir(path):
        raise NotFound(f"no such folder: {path}")
    outcome = _operate(operation, prop, path, begin)
    while crashes:
        # The interface had finished: its files are whole, whatever happened when it was released.
        late = crashes.pop()
        control.notify(WarningEvent("interface-crashed", late.message))
    return outcome


def _operate(operation: Operation, prop: str, path: str, begin: Begin) -> Outcome:
    with ExitStack() as stack:
        stack.enter_context(Apartment())
        callback = StatusCallback(operation.receive)
        stack.callback(callback.release)
        backup = stack.enter_context(create_backup_restorer(callback.pointer))
        with backup.query(IWMBackupRestoreProps) as props:
            props.set_path(prop, path)
        call, cancel = begin(stack, backup)
        try:
            return operation.run(lambda: call(callback), cancel)
        finally:
            if operation.unanswered:
                _left_alone.append(stack.pop_all())

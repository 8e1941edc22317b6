"""The backup restorer: the documented object behind ``WMCreateBackupRestorer``, for every store.

One object in three roles, asynchronous, as in ``wmsdkidl.h``: ``IWMLicenseBackup``,
``IWMLicenseRestore`` and ``IWMBackupRestoreProps``. It runs the engine on a thread of its own and
says everything through a callback, in order: the documented statuses, and between them phases
and items as events of their own.
"""

from __future__ import annotations

from wmbackup.restorer.restorer import (
    BackupFlags,
    BackupRestoreProps,
    BackupRestorer,
    InvalidArgument,
    LicenseBackup,
    LicenseRestore,
    Options,
    RestoreFlags,
    create_backup_restorer,
)

__all__ = [
    "BackupFlags",
    "BackupRestoreProps",
    "BackupRestorer",
    "InvalidArgument",
    "LicenseBackup",
    "LicenseRestore",
    "Options",
    "RestoreFlags",
    "create_backup_restorer",
]

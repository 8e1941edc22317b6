"""Back up Windows Media DRM licenses into a signed archive that stock tools open."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wmbackup.engine.backing_up import backup
    from wmbackup.engine.opening import open_archive
    from wmbackup.engine.restoring import restore
    from wmbackup.engine.verifying import verify
    from wmbackup.restorer import BackupRestorer, Options, create_backup_restorer
    from wmbackup.status import Control

__version__ = "0.1.0"
__all__ = [
    "BackupRestorer",
    "Control",
    "Options",
    "__version__",
    "backup",
    "create_backup_restorer",
    "open_archive",
    "restore",
    "verify",
]

_RESTORER = ("BackupRestorer", "Options", "create_backup_restorer")
_HOMES = dict.fromkeys(_RESTORER, "wmbackup.restorer") | {"Control": "wmbackup.status"}
_HOMES |= dict.fromkeys(("backup", "open_archive", "restore", "verify"), "wmbackup.engine")


def __getattr__(name: str) -> object:
    # Loaded when they are asked for: the program's own start must not pay for the library.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

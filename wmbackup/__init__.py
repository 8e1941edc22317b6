"""Back up Windows Media DRM licenses into a signed archive that stock tools open.

`backup`, `open_archive`, `verify` and `restore` are synchronous functions; `wmbackup.engine` has
the whole interface. `create_backup_restorer` returns the asynchronous object of the Windows Media
Format SDK. `wmbackup.stores.base` defines what a store is, and `wmbackup.testing` tests one.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of typing would be loaded before a Ctrl-C is heard
if TYPE_CHECKING:
    from wmbackup.engine import open_archive
    from wmbackup.engine._backup import backup
    from wmbackup.engine._restore import restore
    from wmbackup.engine._verify import verify
    from wmbackup.restorer import BackupFlags, BackupRestorer, Options, RestoreFlags
    from wmbackup.restorer import create_backup_restorer as create_backup_restorer
    from wmbackup.status import Control

__version__ = "0.1.0"
__all__ = [
    "BackupFlags",
    "BackupRestorer",
    "Control",
    "Options",
    "RestoreFlags",
    "__version__",
    "backup",
    "create_backup_restorer",
    "open_archive",
    "restore",
    "verify",
]

_HOMES = dict.fromkeys(("backup", "open_archive", "restore", "verify"), "wmbackup.engine") | {
    "Control": "wmbackup.status"
}


def __dir__() -> list[str]:
    # What `help` and `dir` show; pydoc asks for each of these names, and so loads it.
    return sorted({*globals(), *__all__} - {"__dir__", "__getattr__"})


def __getattr__(name: str) -> object:
    # Loaded when they are asked for: the program's own start must not pay for the library.
    if name in __all__:
        import importlib

        return getattr(importlib.import_module(_HOMES.get(name, "wmbackup.restorer")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

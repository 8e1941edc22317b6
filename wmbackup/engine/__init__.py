"""The public interface: back up, restore, verify, take inventory, compare.

Synchronous functions that take a store, an archive and a `wmbackup.status.Control`, and return a
summary or raise a `wmbackup.errors.WmbackupError`. Nothing here prints, exits or knows a terminal.

`Control.notify` receives a `PhaseEvent` for each phase and an `ItemEvent` for each file, besides
skipped and withheld ones and warnings. A `StatusEvent` comes only from a store whose
``gives_statuses`` is true, such as the one of Windows; `wmbackup.restorer` supplies the documented
statuses for every other store.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wmbackup.archive.head import Row
    from wmbackup.archive.plain import Plain
    from wmbackup.engine.backing_up import BackupPlan, BackupSummary, backup, plan_backup
    from wmbackup.engine.comparing import Differences, compare
    from wmbackup.engine.inventory import (
        Inventory,
        Selection,
        inventory_of_archive,
        inventory_of_store,
    )
    from wmbackup.engine.opening import ArchiveInput, open_archive
    from wmbackup.engine.restoring import (
        OnConflict,
        RestorePlan,
        RestoreSummary,
        restore,
    )
    from wmbackup.engine.verifying import VerifySummary, verify

__all__ = [
    "ArchiveInput",
    "BackupPlan",
    "BackupSummary",
    "Differences",
    "Inventory",
    "OnConflict",
    "Plain",
    "RestorePlan",
    "RestoreSummary",
    "Row",
    "Selection",
    "VerifySummary",
    "backup",
    "compare",
    "inventory_of_archive",
    "inventory_of_store",
    "open_archive",
    "plan_backup",
    "restore",
    "verify",
]

_PARTS = {
    "archive.head": ("Row",),
    "archive.plain": ("Plain",),
    "engine.backing_up": ("BackupPlan", "BackupSummary", "backup", "plan_backup"),
    "engine.comparing": ("Differences", "compare"),
    "engine.inventory": ("Inventory", "Selection", "inventory_of_archive", "inventory_of_store"),
    "engine.opening": ("ArchiveInput", "open_archive"),
    "engine.restoring": ("OnConflict", "RestorePlan", "RestoreSummary", "restore"),
    "engine.verifying": ("VerifySummary", "verify"),
}
_HOMES = {name: f"wmbackup.{part}" for part, names in _PARTS.items() for name in names}


def __dir__() -> list[str]:
    # What `help` and `dir` show; pydoc asks for each of these names, and so loads it.
    return sorted({*globals(), *__all__} - {"__dir__", "__getattr__"})


def __getattr__(name: str) -> object:
    # Each part is loaded when it is asked for: who lists an archive needs nothing of a backup.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

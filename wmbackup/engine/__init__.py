"""What happens, in order: back up, restore, verify, take inventory, compare.

Synchronous functions that take a store, an archive and a `wmbackup.status.Control`, and return a
summary or raise a `wmbackup.errors.WmbackupError`. Nothing here prints, exits or knows a terminal.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wmbackup.engine.backing_up import BackupPlan, BackupSummary, backup, plan_backup
    from wmbackup.engine.comparing import Differences, compare
    from wmbackup.engine.inventory import (
        Inventory,
        Row,
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

_HOMES = {
    name: f"wmbackup.engine.{module}"
    for module, names in {
        "backing_up": ("BackupPlan", "BackupSummary", "backup", "plan_backup"),
        "comparing": ("Differences", "compare"),
        "inventory": (
            "Inventory",
            "Row",
            "Selection",
            "inventory_of_archive",
            "inventory_of_store",
        ),
        "opening": ("ArchiveInput", "open_archive"),
        "restoring": ("OnConflict", "RestorePlan", "RestoreSummary", "restore"),
        "verifying": ("VerifySummary", "verify"),
    }.items()
    for name in names
}


def __getattr__(name: str) -> object:
    # Each part is loaded when it is asked for: who lists an archive needs nothing of a backup.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

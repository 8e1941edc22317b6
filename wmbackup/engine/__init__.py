"""What happens, in order: back up, restore, verify, take inventory, compare.

Synchronous functions that take a store, an archive and a `wmbackup.status.Control`, and return a
summary or raise a `wmbackup.errors.WmbackupError`. Nothing here prints, exits or knows a terminal.
"""

from wmbackup.engine.backup import BackupPlan, BackupSummary, backup, plan_backup
from wmbackup.engine.compare import Differences, compare
from wmbackup.engine.inventory import (
    Inventory,
    Row,
    Selection,
    inventory_of_archive,
    inventory_of_store,
)
from wmbackup.engine.opening import ArchiveInput, open_archive
from wmbackup.engine.restore import (
    OnConflict,
    RestorePlan,
    RestoreSummary,
    restore,
)
from wmbackup.engine.verify import VerifySummary, verify

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

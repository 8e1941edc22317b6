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
    from wmbackup.archive.inventory import Row
    from wmbackup.archive.reader import SealedArchive
    from wmbackup.engine._backup import BackupPlan, BackupSummary, backup, plan_backup
    from wmbackup.engine._compare import Differences, compare
    from wmbackup.engine._countersign import Countersigned, countersign
    from wmbackup.engine._destination import Destination, Refuse, choose_destination
    from wmbackup.engine._inventory import (
        Listing,
        Selection,
        inventory_of_archive,
        inventory_of_store,
    )
    from wmbackup.engine._link import History
    from wmbackup.engine._open import identify, open_archive
    from wmbackup.engine._restore import (
        OnConflict,
        RestorePlan,
        RestoreSummary,
        restore,
    )
    from wmbackup.engine._verify import VerifySummary, verify

__all__ = [
    "BackupPlan",
    "BackupSummary",
    "Countersigned",
    "Destination",
    "Differences",
    "History",
    "Listing",
    "OnConflict",
    "Refuse",
    "RestorePlan",
    "RestoreSummary",
    "Row",
    "SealedArchive",
    "Selection",
    "VerifySummary",
    "backup",
    "choose_destination",
    "compare",
    "countersign",
    "identify",
    "inventory_of_archive",
    "inventory_of_store",
    "open_archive",
    "plan_backup",
    "restore",
    "verify",
]

_PARTS = {
    "archive.inventory": ("Row",),
    "archive.reader": ("SealedArchive",),
    "engine._backup": ("BackupPlan", "BackupSummary", "backup", "plan_backup"),
    "engine._compare": ("Differences", "compare"),
    "engine._countersign": ("Countersigned", "countersign"),
    "engine._destination": ("Destination", "Refuse", "choose_destination"),
    "engine._inventory": ("Listing", "Selection", "inventory_of_archive", "inventory_of_store"),
    "engine._link": ("History",),
    "engine._open": ("identify", "open_archive"),
    "engine._restore": ("OnConflict", "RestorePlan", "RestoreSummary", "restore"),
    "engine._verify": ("VerifySummary", "verify"),
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

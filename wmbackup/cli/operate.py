"""Running a backup restorer, and stopping it when a signal says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wmbackup.cli.signals import Interrupted
from wmbackup.errors import WmbackupError
from wmbackup.restorer import BackupRestorer

if TYPE_CHECKING:
    from wmbackup.engine import BackupPlan, BackupSummary, RestoreSummary

_CLEANING = 10.0  # seconds to clean up after a signal; the next run does what is left


def operate(
    restorer: BackupRestorer, begin: Callable[[], object], timeout: float | None
) -> BackupSummary | BackupPlan | RestoreSummary:
    """Begin and wait for the end. A signal cancels it, and is raised when it has cleaned up.

    What was done when the signal came is returned: only what left nothing counts as interrupted.
    """
    try:
        begin()
        return restorer.wait(timeout)
    except Interrupted as signal:
        restorer.cancel_license_backup()
        try:
            return restorer.wait(_CLEANING)
        except WmbackupError:
            raise signal from None

"""Waiting for a backup restorer, and stopping it when a signal says so."""

from __future__ import annotations

import contextlib

from wmbackup.cli.signals import Interrupted
from wmbackup.engine import BackupSummary, RestoreSummary
from wmbackup.errors import WmbackupError
from wmbackup.restorer import BackupRestorer

_CLEANING = 10.0  # seconds to clean up after a signal; the next run does what is left


def operate(restorer: BackupRestorer, timeout: float | None) -> BackupSummary | RestoreSummary:
    """Wait for what was begun. A signal cancels it and is raised when it has cleaned up."""
    try:
        return restorer.wait(timeout)
    except Interrupted:
        restorer.cancel_license_backup()
        with contextlib.suppress(WmbackupError):
            restorer.wait(_CLEANING)
        raise

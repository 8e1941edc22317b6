"""When the deprecation notice is shown.

The rule is that of the manual: after a run that dealt with licenses of Windows Media and reported
no error; on a terminal at most once a day for a user. Programs that read JSON always get it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from wmbackup.cli.render.output import Checked, Listed, Result
from wmbackup.cli.session import is_terminal, state_folder
from wmbackup.errors import UsageError

if TYPE_CHECKING:
    from wmbackup.cli.session import Session

COMMANDS = frozenset({"backup", "restore", "check", "list"})
"""The commands that may show it."""

_KINDS = frozenset({"windows", "sample", "drm", "bak"})
_MEMORY = "notice-shown"
_DAY = 24 * 60 * 60  # seconds


def show(session: Session) -> None:
    """Show the notice at the end of a run, where it belongs there."""
    if session.command not in COMMANDS or not session.running:
        return
    error = session.record.last_error
    if session.common.json:
        is_of_store = session.command != "list" or session.params.get("store") is not None
        if is_of_store and not isinstance(error, UsageError):
            session.output.notice()
        return
    if session.common.no_notice or session.common.quiet or error is not None:
        return
    if not concerns(session.record.result) or _was_shown_today():
        return
    session.output.notice()


def concerns(result: Result) -> bool:
    """Whether a result is about licenses that the deprecated interface can back up."""
    if isinstance(result, Checked):
        return result.store_kind in _KINDS
    if isinstance(result, Listed):
        return result.live and result.store_kind in _KINDS
    from wmbackup.engine import BackupPlan, BackupSummary, RestoreSummary

    match result:
        case BackupSummary():
            return result.info.store_kind in _KINDS
        case BackupPlan():
            return result.store_kind in _KINDS
        case RestoreSummary():
            return result.plan.info.store_kind in _KINDS
        case _:
            return False


def _was_shown_today() -> bool:
    """Whether this user saw it on a terminal within a day; remembers that it is shown now.

    Where nothing can be remembered, it is shown in every run.
    """
    folder = state_folder()
    if folder is None or not is_terminal(sys.stderr):
        return False
    memory = os.path.join(folder, _MEMORY)
    with contextlib.suppress(OSError):
        if 0 <= time.time() - os.stat(memory).st_mtime < _DAY:
            return True
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(memory, "wb"):
            os.utime(memory)
    return False

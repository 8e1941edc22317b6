"""Private temporary files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import IO

from wmbackup.errors import LIMITS, SystemFailure


def spool_in(folder: str) -> Callable[[], IO[bytes]]:
    """Return a maker of private temporary files: in memory while small, then in the folder.

    They have no name, or vanish when they are closed.
    """

    def spool() -> IO[bytes]:
        from wmbackup.storage.spool_file import Spool

        return Spool(folder)

    return spool


def temporary_folder() -> str:
    """Return where large temporary files go when nothing else says it: TMPDIR or /var/tmp."""
    chosen = os.environ.get("TMPDIR")
    if chosen and os.access(chosen, os.W_OK | os.X_OK):
        # What tempfile does to try it out leaves a file where a signal comes between.
        return os.path.abspath(chosen)
    if chosen is not None or os.name == "nt" or not os.access("/var/tmp", os.W_OK):  # noqa: S108 - a place for large private files
        import tempfile

        return tempfile.gettempdir()
    return "/var/tmp"  # noqa: S108 - its files have no name


def spool_failure(error: OSError) -> SystemFailure:
    """Return the error for private temporary files that cannot be written."""
    failure = SystemFailure.of(error, "write temporary files in", temporary_folder())
    if failure.reason not in LIMITS:
        failure.reason = "temporary"
    return failure

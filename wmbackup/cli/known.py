"""What this machine remembers of its series, for a run that reads or judges archives."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.ledgers import ledger_of
from wmbackup.cli.render import next_steps
from wmbackup.engine._folder import (
    Found,
    Head,
    place_of,
)
from wmbackup.engine._line import Line, accept, newer_known, rolled_back
from wmbackup.errors import (
    Busy,
    HistoryInconsistent,
    SystemFailure,
    WmbackupError,
)
from wmbackup.status import WarningEvent
from wmbackup.storage.files import resolved

if TYPE_CHECKING:
    from wmbackup.cli.session import Session
    from wmbackup.history.records import Memory


class Known:
    """The ledger, as far as it can be used in this run; what cannot is warned of once."""

    def __init__(self, session: Session) -> None:
        """Read it when it is asked for."""
        self._session = session
        self._ledger = ledger_of(session)
        self._memory: Memory | None = None
        self._accepted: list[tuple[Found, Head]] = []
        self._is_warned = False

    @property
    def memory(self) -> Memory:
        """What is remembered; nothing where the ledger cannot be read."""
        from wmbackup.history.records import Memory

        if self._memory is None:
            try:
                found = None if self._ledger is None else self._ledger.read()
            except SystemFailure as error:
                self._warn(error)
                found = None
            self._memory = Memory("") if found is None else found.memory
        return self._memory

    def rolled_back(self, line: Line) -> HistoryInconsistent | None:
        """Return the error for a line that ends before the newest archive known."""
        destination = os.path.dirname(resolved(line.newest.found.path))
        return rolled_back(line, self.memory, destination)

    def note_newer(self, found: Found, head: Head) -> None:
        """Note that a newer archive of the series is known, where one is."""
        place = place_of(head.info, os.path.dirname(resolved(found.path)))
        known = newer_known(self.memory, place, head)
        if known is not None:
            name = "" if known.path is None else f": {known.path}"
            self._session.output.warning(
                "newer-known",
                f"{found.path} was made at {format_time(head.info.created)}, and an archive that"
                f" was made at {known.created} is known here{name}",
                next_steps.of_warning(WarningEvent("newer-known", "")),
            )

    def accept(self, found: Found, head: Head) -> None:
        """Remember an archive that was verified; it is written by `keep`."""
        self._accepted.append((found, head))

    def keep(self) -> None:
        """Write what was accepted. What cannot be written is warned of."""
        if not self._accepted:
            return
        if self._ledger is None:
            self._session.output.warning(
                "ledger-unusable",
                "there is no state folder, so what was verified is not remembered",
                next_steps.of_warning(WarningEvent("ledger-unusable", "")),
            )
            return
        try:
            with self._ledger.change(self._session.control()) as (memory, _):
                for found, head in self._accepted:
                    accept(memory, found, head)
        except (SystemFailure, Busy) as error:
            self._warn(error)

    def change(self, change: Callable[[Memory], None]) -> None:
        """Change the ledger. What cannot be written is warned of."""
        if self._ledger is None:
            return
        try:
            with self._ledger.change(self._session.control()) as (memory, _):
                change(memory)
        except (SystemFailure, Busy) as error:
            self._warn(error)

    def _warn(self, error: WmbackupError) -> None:
        if not self._is_warned:
            self._is_warned = True
            self._session.output.warning(
                "ledger-unusable",
                f"what was verified is not remembered: {error.message}",
                next_steps.of_error(error),
            )

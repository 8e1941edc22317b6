"""How fresh the archives of folders are: one row for each series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.folders import Contents, read_folder, state_of
from wmbackup.cli.proof import Proof
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.folder_values import SeriesRow
from wmbackup.cli.render.hints import complete as complete_error
from wmbackup.cli.render.sanitize import count
from wmbackup.cli.session import Session, worst
from wmbackup.engine._folder import Found, count_licenses, moment_of
from wmbackup.engine._line import Line, Member, lines_of
from wmbackup.engine._prune import recognized
from wmbackup.errors import ArchiveStale, ExitCode, Undecryptable, WmbackupError
from wmbackup.history.records import Entry, Place
from wmbackup.quoting import quoted
from wmbackup.storage.files import resolved

if TYPE_CHECKING:
    from wmbackup.cli.encryption import Identities
    from wmbackup.history.retention import Span
    from wmbackup.trust import Policy

_RANKS = ("verified", "head ok", "pending", "stale", "inconsistent", "rolled back", "damaged")
"""The states, from the best to the worst: the worst is shown."""

_NAMED = 3  # archives that are named one by one


class Freshness:
    """One run of `status`."""

    def __init__(
        self,
        session: Session,
        policy: Policy,
        opens: Identities,
        *,
        max_age: Span | None,
        full: bool,
    ) -> None:
        """Take whom to trust, and how old the newest archive of a series may be."""
        self._session = session
        self._policy = policy
        self._opens = opens
        self._max_age = max_age
        self._full = full
        self._proof = Proof(session, policy, opens, None, quick=False, restore_test=False)
        self._proof.notes_newer = False
        self._known = self._proof.known
        self._now = datetime.now(UTC)
        self.codes: list[ExitCode] = []
        self.bad: list[str] = []

    def rows(self, folder: str) -> list[SeriesRow]:
        """Return the series of a folder; what is wrong is reported. Raises as `read_folder`."""
        contents = read_folder(self._session, folder, self._policy, self._opens)
        memory = self._known.memory
        control = self._session.control()
        found = [
            (recognized(one, memory, control) or one) if one.is_locked else one
            for one in contents.found
        ]
        verified = self._verified(contents) if self._full else None
        rows = [self._row(folder, line, verified) for line in lines_of(found, self._now)]
        without = [one for one in found if one.head is None]
        for state in sorted({state_of(one) for one in without}):
            some = [one for one in without if state_of(one) == state]
            rows.append(self._nameless(folder, state, some))
        return rows

    def finish(self) -> ExitCode:
        """Report what to do about archives that are not good; return the worst exit code."""
        self._known.keep()
        if self.bad:
            names = ", ".join(quoted(path) for path in self.bad[:_NAMED])
            more = f" and {len(self.bad) - _NAMED:,} more" if len(self.bad) > _NAMED else ""
            self._session.output.warning(
                "not-good",
                f"{count(len(self.bad), 'archive')} cannot be relied on: {names}{more}",
                next_steps.step_of_warning("not-good"),
            )
        return worst(self.codes)

    def _verified(self, contents: Contents) -> set[str]:
        """Verify every archive, also after a damaged one; return the paths of the good ones."""
        good = set()
        for one in contents.found:
            if one.is_locked and recognized(one, self._known.memory) is not None:
                good.add(one.path)  # by the hash of its file
                continue
            done = self._proof.verify(one.path, one.kind)
            if done.error is None:
                good.add(one.path)
            else:
                self.codes.append(done.error.exit_code)
                self.bad.append(one.path)
        return good

    def _row(self, folder: str, line: Line, verified: set[str] | None) -> SeriesRow:
        newest = line.newest
        found, info = newest.found, newest.head.info
        entry, checked = self._remembered(newest)
        states = ["head ok"]
        if verified is not None:
            bad = [one for one in line.members if one.found.path not in verified]
            states = ["damaged" if bad else "verified"]
        since = max(info.created, checked) if checked is not None else info.created
        problems: list[WmbackupError] = [*line.problems]
        states += ["inconsistent"] * bool(problems)
        rolled_back = self._known.rolled_back(line)
        if rolled_back is not None:
            problems.append(rolled_back)
            states.append("rolled back")
        if self._max_age is not None and since < self._max_age.before(self._now):
            problems.append(
                ArchiveStale(
                    f"the newest archive of {quoted(info.store)} on {quoted(info.host)} is stale:"
                    f" it was made at {format_time(info.created)}",
                    path=folder,
                )
            )
            states.append("stale")
        for problem in problems:
            self._session.output.error(problem)
            self.codes.append(problem.exit_code)
        if self._is_pending(newest, folder):
            states.append("pending")
        licenses = None if entry is None else entry.licenses
        if licenses is None:
            licenses = count_licenses(found, self._policy, self._opens)
        return SeriesRow(
            folder=folder,
            path=found.path,
            state=max(states, key=_RANKS.index),
            info=info,
            principal=line.owner.principal,
            age=max(timedelta(), self._now - since),
            licenses=licenses,
            size=found.size,
            archives=len(line.members),
            total=sum(one.found.size for one in line.members),
        )

    def _nameless(self, folder: str, state: str, some: list[Found]) -> SeriesRow:
        """Return a row for archives of which it is not known whose they are."""
        for one in some:
            if one.error is not None and not self._full:
                complete_error(one.error, self._session.arguments, self._session.params)
                self._session.output.error(one.error)
                self.codes.append(one.error.exit_code)
                if not isinstance(one.error, Undecryptable):
                    self.bad.append(one.path)
        last = some[-1]
        total = sum(one.size for one in some)
        return SeriesRow(
            *(folder, last.path, state, None, "", None, None, last.size, len(some), total)
        )

    def _remembered(self, newest: Member) -> tuple[Entry | None, datetime | None]:
        """Return what the ledger remembers of an archive, and when its store was last the same."""
        for series in self._known.memory.series:
            made = series.made
            if made is not None and made.signed == newest.head.signed:
                checked = None if series.checked is None else moment_of(series.checked)
                return made, checked
        return None, None

    def _is_pending(self, newest: Member, folder: str) -> bool:
        info = newest.head.info
        place = Place(info.host, info.store_kind, info.store, resolved(folder))
        return any(
            one.place == place
            and one.pending is not None
            and one.pending.signed != newest.head.signed
            for one in self._known.memory.series
        )

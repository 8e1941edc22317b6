"""Folders of archives on the command line: their heads, their lines, and what the ledger knows."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wmbackup.archive.tag_files import format_time
from wmbackup.cli.ledgers import ledger_of
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.folder_rows import ArchiveRow
from wmbackup.cli.render.hints import complete as complete_error
from wmbackup.cli.render.output import FolderListed, Verified
from wmbackup.cli.session import worst
from wmbackup.engine._bag import is_bag
from wmbackup.engine._folder import (
    Found,
    Head,
    Kind,
    head_of,
    head_of_trusted,
    place_of,
    search,
)
from wmbackup.engine._line import Line, accept, lines_of, newer_known, older, rolled_back
from wmbackup.engine._progress import Progress
from wmbackup.errors import (
    ArchiveDamaged,
    Busy,
    ExitCode,
    HistoryInconsistent,
    NotAnArchive,
    NotFound,
    SignerUntrusted,
    SystemFailure,
    Undecryptable,
    WmbackupError,
)
from wmbackup.quoting import quoted
from wmbackup.status import Phase, PhaseEvent, WarningEvent
from wmbackup.storage.files import resolved

if TYPE_CHECKING:
    from wmbackup.archive.reader import TrustedArchive, TrustPolicy
    from wmbackup.cli.encryption import Identities
    from wmbackup.cli.proof import Proof
    from wmbackup.cli.session import Session
    from wmbackup.engine._envelope import Identities as Opens
    from wmbackup.history.records import Memory
    from wmbackup.trust import Policy


def is_folder_of_archives(name: str) -> bool:
    """Whether a name is that of a folder that is no unpacked archive."""
    return name != "-" and os.path.isdir(name) and not is_bag(name)


@dataclass(slots=True)
class Contents:
    """The archives of a folder, and how many other files are in it."""

    folder: str
    found: list[Found] = field(default_factory=list)
    others: int = 0

    def lines(self, *, complete: bool = False) -> list[Line]:
        """Return the series in it, judged by the clock of this machine."""
        return lines_of(self.found, datetime.now(UTC), complete=complete)


def read_folder(session: Session, folder: str, policy: TrustPolicy, opens: Opens) -> Contents:
    """Read the heads of all archives in a folder and below it.

    Raises NotFound where there is none, UsageError, SystemFailure.
    """
    control = session.control()
    contents = Contents(folder)
    every = [*search(folder)]
    control.notify(PhaseEvent(Phase.AUTHENTICATING, items=len(every)))
    progress = Progress(control)
    for path, kind in every:
        control.check()
        found = head_of(path, kind, policy, opens, control)
        progress.file(os.fsencode(path), 0)
        if found is None:
            contents.others += 1
        else:
            contents.found.append(found)
    if not contents.found:
        raise NotFound(f"there is no archive in {folder}", reason="no-archives", path=folder)
    return contents


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
                _step("newer-known"),
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
                _step("ledger-unusable"),
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


class Ages:
    """Keeps a restore from an older archive where a newer one is known."""

    def __init__(self, session: Session, policy: Policy, name: str, *, allow_older: bool) -> None:
        """Take the name of the archive, and whether its age is no matter."""
        self._known = Known(session)
        self._policy = policy
        self._name = name
        self._allow_older = allow_older
        self._verified: tuple[Found, Head] | None = None

    def admit(self, trusted: TrustedArchive) -> None:
        """Raise RolledBack for an older archive; see `wmbackup.engine.restore`."""
        head = head_of_trusted(trusted, self._policy)
        is_pipe = self._name == "-"
        folder = None if is_pipe else os.path.dirname(resolved(self._name))
        if not self._allow_older:
            known = newer_known(self._known.memory, place_of(head.info, folder), head)
            if known is not None:
                raise older("standard input" if is_pipe else self._name, known)
        if not is_pipe:
            self._verified = Found(self._name, Kind.FILE, 0, head), head

    def keep(self) -> None:
        """Remember that the archive was verified and restored."""
        if self._verified is not None:
            self._known.accept(*self._verified)
            self._known.keep()


def verify_folder(
    session: Session, run: Proof, contents: Contents, *, latest: bool
) -> list[Verified]:
    """Verify the archives of a folder; with ``latest`` the newest of each series.

    The others then count by their heads, and what is wrong with one of those is shown.
    """
    newest = {line.newest.found.path for line in contents.lines()}
    results = []
    run.notes_newer = False
    for found in contents.found:
        if not latest or found.path in newest:
            results.append(run.verify(found.path, found.kind))
        elif found.error is not None:
            complete_error(found.error, session.arguments, session.params)
            session.output.error(found.error)
            results.append(Verified(found.path, None, found.error))
    run.notes_newer = True
    return results


def list_folder(session: Session, folder: str, policy: Policy, opens: Identities) -> ExitCode:
    """Show the archives of a folder, by host, store and age; return the worst exit code."""
    contents = read_folder(session, folder, policy, opens)
    ordered = [member.found for line in contents.lines() for member in line.members]
    ordered += [found for found in contents.found if found.head is None]
    rows = [archive_row(found) for found in ordered]
    session.output.folder(rows)
    codes = []
    for found in ordered:
        if found.error is not None:
            complete_error(found.error, session.arguments, session.params)
            session.output.error(found.error)
            codes.append(found.error.exit_code)
    total = sum(found.size for found in ordered)
    session.output.result(FolderListed(folder, len(ordered), total))
    return worst(codes)


def archive_row(found: Found) -> ArchiveRow:
    """Return an archive as it is shown."""
    head, state = found.head, state_of(found)
    if head is None:
        return ArchiveRow(found.path, found.kind.value, found.size, state, None, (), found.error)
    info, principals = head.info, head.principals
    return ArchiveRow(found.path, found.kind.value, found.size, state, info, principals)


def state_of(found: Found) -> str:
    """Return in a word or two what is known of an archive by its head."""
    if found.error is None:
        return "head ok"
    if isinstance(found.error, Undecryptable):
        return "encrypted"
    if isinstance(found.error, SignerUntrusted):
        return "untrusted"
    if isinstance(found.error, (ArchiveDamaged, NotAnArchive)):
        return "damaged"
    return "failed"


def report_lines(
    session: Session, known: Known, contents: Contents, *, complete: bool
) -> list[ExitCode]:
    """Report what contradicts the lines of a folder, and what else is in it."""
    codes = []
    for line in contents.lines(complete=complete):
        rolled_back = known.rolled_back(line)
        problems = (*line.problems, *(() if rolled_back is None else (rolled_back,)))
        for problem in problems:
            session.output.error(problem)
            codes.append(problem.exit_code)
        if line.gaps and not complete:
            where = f"{quoted(line.owner.store)} on {quoted(line.owner.host)}"
            session.output.warning(
                "line-gap",
                f"archives that others in {contents.folder} name are not there: {line.gaps:,} of"
                f" the series of {where}",
                _step("line-gap"),
            )
    if contents.others:
        session.output.warning(
            "no-archives",
            f"other files in {contents.folder}, which are no archives: {contents.others:,}",
            _step("no-archives"),
        )
    return codes


def _step(code: str) -> str | None:
    return next_steps.of_warning(WarningEvent(code, ""))

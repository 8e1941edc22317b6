"""Folders of archives on the command line: their heads, their lines, and what the ledger knows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wmbackup.cli.known import Known
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.folder_values import ArchiveRow
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
from wmbackup.engine._line import Line, lines_of, newer_known, older
from wmbackup.engine._progress import Progress
from wmbackup.errors import (
    ArchiveDamaged,
    ExitCode,
    NotAnArchive,
    NotFound,
    SignerUntrusted,
    Undecryptable,
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

"""What `verify` does with each archive."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO

from wmbackup.cli.encryption import Identities
from wmbackup.cli.known import Known
from wmbackup.cli.paths import archive_on_standard_input, owner
from wmbackup.cli.render.hints import complete
from wmbackup.cli.render.output import Verified
from wmbackup.cli.session import Session
from wmbackup.engine import SealedArchive, VerifySummary, open_archive, verify
from wmbackup.engine._folder import Found, Kind, head_from, opened
from wmbackup.engine._open import spooling
from wmbackup.errors import LIMITS, SystemFailure, UsageError, WmbackupError
from wmbackup.storage.spool import temporary_folder
from wmbackup.trust import Policy

# A restore and a comparison are loaded where they are asked for: with them every `verify` would
# begin a tenth later.
if TYPE_CHECKING:
    from wmbackup.engine import Differences
    from wmbackup.stores.base import Store


class Proof:
    """One run over one or more archives."""

    def __init__(
        self,
        session: Session,
        policy: Policy,
        opens: Identities,
        against: tuple[str, Store] | None,
        *,
        quick: bool,
        restore_test: bool,
    ) -> None:
        """Keep what is asked for; ``against`` is a store with the name that it was given by."""
        self._session = session
        self._policy = policy
        self._opens = opens
        self._against = against
        self._quick = quick
        self._restore_test = restore_test
        self.known = Known(session)
        self.notes_newer = True

    def verify(self, name: str, kind: Kind = Kind.FILE) -> Verified:
        """Verify one; an error is shown, and part of the result.

        What was verified to its last byte is accepted: an older one is noticed from then on.
        """
        result = Verified("standard input" if name == "-" else name, None, None)
        before = self._session.elapsed
        try:
            source = archive_on_standard_input(self._session) if name == "-" else name
            with self._opened(source, kind) as archive:
                if archive.length is None and (self._against or self._restore_test):
                    raise UsageError(
                        "what comes through a pipe cannot be read twice",
                        hint="save the archive to a file first",
                    )
                control = self._session.control()
                done = verify(
                    archive,
                    self._policy,
                    control,
                    quick=self._quick,
                    workers=self._session.workers(),
                )
                result = result._replace(summary=done)
                if name != "-":
                    self._remember(name, kind, done)
                if self._restore_test:
                    self._try_restore(archive)
                    result = result._replace(restore_tested=True)
                if self._against is not None:
                    against, store = self._against
                    differences = self._compare(archive, store)
                    self._session.output.differences(differences, result.name, against)
                    result = result._replace(differences=differences, against=against)
        except WmbackupError as error:
            complete(error, self._session.arguments, self._session.params)
            self._session.output.error(error)
            return result._replace(summary=None, error=error)
        return result._replace(seconds=self._session.elapsed - before)

    def _opened(
        self, source: str | BinaryIO, kind: Kind
    ) -> contextlib.AbstractContextManager[SealedArchive]:
        if isinstance(source, str):
            return opened(source, kind, self._opens)
        return open_archive(source, self._opens)

    def _remember(self, name: str, kind: Kind, done: VerifySummary) -> None:
        head = head_from(done, self._policy)
        found = Found(name, kind, 0, head)
        if self.notes_newer:
            self.known.note_newer(found, head)
        if not self._quick:
            self.known.accept(found, head)

    def _try_restore(self, archive: SealedArchive) -> None:
        from wmbackup.engine import restore
        from wmbackup.stores.folder import FolderStore
        from wmbackup.stores.leftovers import private_folder

        control = self._session.control()
        try:
            with spooling(), private_folder(temporary_folder(), owner(), control) as folder:
                target = FolderStore(f"{folder}/restored")
                restore(archive, target, self._policy, control, workers=self._session.workers())
                differences = self._compare(archive, target)
        except SystemFailure as error:
            if isinstance(error.__cause__, OSError) and error.reason not in LIMITS:
                error.hint = (
                    "a restore test needs room for all files: set TMPDIR to a folder that has it"
                )
            raise
        if differences:
            raise WmbackupError(
                "the restored files differ from the archive", hint="check the disk and its memory"
            )

    def _compare(self, archive: SealedArchive, store: Store) -> Differences:
        from wmbackup.engine import compare, inventory_of_archive, inventory_of_store

        control = self._session.inventory_control()
        with (
            inventory_of_archive(archive, self._policy, control) as ours,
            inventory_of_store(store, control, hashes=True) as (theirs, _),
        ):
            return compare(ours.rows, theirs.rows)

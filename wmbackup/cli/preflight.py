"""What `check` tries before a backup: the store is read, the output takes a file and gives it back.

The settings are those of `backup`: of the command line, the environment, the configuration.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from typing import TYPE_CHECKING

from wmbackup.archive.sshsig import fingerprint
from wmbackup.cli.interface import store_row
from wmbackup.cli.ledgers import ledger_of
from wmbackup.cli.passphrases import PassphraseGiven, asker
from wmbackup.cli.paths import default_store, parse_store
from wmbackup.cli.render import next_steps, shell
from wmbackup.cli.render.output import CheckRow, State
from wmbackup.cli.render.sanitize import count, size
from wmbackup.cli.session import Session, allowed_signers_path, signing_key_path
from wmbackup.cli.settings import in_force_for
from wmbackup.cli.signing import agent_address, has_own
from wmbackup.engine import BackupPlan, choose_destination, plan_backup
from wmbackup.errors import (
    ExitCode,
    SignerUntrusted,
    SigningKeyMissing,
    SystemFailure,
    UsageError,
)
from wmbackup.status import Control, Event, ItemEvent, PhaseEvent
from wmbackup.storage.private_files import create_private, discard, remove_leftovers
from wmbackup.stores.exclusion import Exclusion
from wmbackup.trust import keys
from wmbackup.trust.unlock import SigningKeyLocked, Unlock, read_public

if TYPE_CHECKING:
    from wmbackup.stores.base import Store

_COMMAND = ("backup",)
_FILE_ROW = 1024  # bytes that an archive has for each file, besides its content: two blocks of tar
_TABLES = 64 * 1024  # bytes that an archive has in any case
_PROBE = 64 * 1024  # bytes that are written at both ends of a trial file
_OLDEST = 1_767_225_600  # 2026-01-01T00:00:00Z: no machine that runs this program is older
_SPOOLED = 512  # bytes of temporary files for each file of a store
_LITTLE = 100 * 1024 * 1024  # bytes of free space that are few


class Preflight:
    """A backup that is not made: its store, its output, and what is known of both."""

    def __init__(self, session: Session, store: str | None, output: str | None) -> None:
        """Take what the command line names; what it does not name is what `backup` would take."""
        self._session = session
        self._given = store or _one(in_force_for(session, _COMMAND, "store")) or default_store()
        self._output = output or _one(in_force_for(session, _COMMAND, "output"))
        self._store: Store | None = None
        self._plan: BackupPlan | None = None

    @property
    def store_kind(self) -> str:
        """The kind of the store, "" where there is none."""
        return "" if self._store is None else self._store.kind

    def store_row(self) -> CheckRow:
        """Read the store as a backup reads it. Raises WmbackupError."""
        session = self._session
        if self._given is None:
            raise UsageError(
                "no store is named, so a backup would not know what to read",
                hint="name one with --store STORE, or as store in the table [backup] of"
                " wmbackup.toml",
            )
        exclusion = Exclusion(tuple(in_force_for(session, _COMMAND, "exclude")))
        all_files = self._is_set("all-files")
        control = session.control()
        self._store = store = parse_store(
            self._given, all_files=all_files, exclusion=exclusion, control=control
        )
        if store.gives_statuses:  # whose export would be a whole backup
            return store_row(self._given, control)
        self._plan = plan = plan_backup(store, None, self._quiet(control))
        message = (
            f"{store.kind} store {store.location}: {count(plan.files, 'file')},"
            f" {count(plan.licenses, 'license')}, {size(plan.octets)}"
        )
        left, is_accepted = [], True
        if plan.skipped:
            first = os.fsdecode(plan.skipped[0].path)
            left.append(f"{count(len(plan.skipped), 'file')} cannot be carried, such as {first}")
            is_accepted = self._is_set("accept-skipped")
        if plan.withheld:
            left.append(f"{count(len(plan.withheld), 'license')} may not be backed up")
            is_accepted = is_accepted and self._is_set("accept-restricted")
        message = "; ".join((message, *left))
        if is_accepted:
            return CheckRow("store", State.OK, message)
        see = f"see which: wmbackup backup --dry-run --store {shell.argument(self._given)}"
        strict = self._session.common.strict
        code = ExitCode.FAILED if strict else ExitCode.PARTIAL
        return CheckRow("store", State.FAILED, message, see, code)

    def _is_set(self, flag: str) -> bool:
        return in_force_for(self._session, _COMMAND, flag)[-1:] == ["true"]

    @staticmethod
    def _quiet(control: Control) -> Control:
        """Follow the reading without what it skips, which the row names."""

        def notify(event: Event) -> None:
            if isinstance(event, (PhaseEvent, ItemEvent)):
                control.notify(event)

        return Control(notify, control.cancelled, control.items)

    def output_row(self) -> CheckRow:
        """Write a trial file where the archive will be, and read it. Raises WmbackupError."""
        if self._output is None:
            raise UsageError(
                "no output is named, so a backup would not know where to write",
                hint="name one with -o FILE|FOLDER, or as output in the table [backup] of"
                " wmbackup.toml",
            )
        if self._output == "-":
            message = "standard output, which the backup will find out about"
            return CheckRow("output", State.OK, message)
        if self._store is None:
            folder = self._output
            if not os.path.isdir(folder):
                folder = os.path.dirname(os.path.abspath(folder))
        else:
            force = self._is_set("force")
            chosen = choose_destination(self._store, self._output, replace=force)
            folder = chosen.folder or os.curdir
        needed = self._needed()
        try:
            _try_out(folder, needed)
        except OSError as error:
            raise SystemFailure.of(error, f"keep {size(needed)} in", folder) from error
        return CheckRow("output", State.OK, f"{folder} takes {size(needed)} and gives it back")

    def _needed(self) -> int:
        if self._plan is None:
            return _TABLES
        return self._plan.octets + self._plan.files * _FILE_ROW + _TABLES

    def space_row(self, folder: str, free: int) -> CheckRow:
        """Say whether the temporary files of the backup have room."""
        needed = 0 if self._plan is None else self._plan.files * _SPOOLED
        message = f"{size(free)} free for temporary files in {folder}"
        if free < needed:
            message = f"{message}, and the backup needs about {size(needed)}"
            remedy = "free some, or set TMPDIR to another folder"
            return CheckRow("space", State.FAILED, message, remedy, ExitCode.FAILED)
        if free < _LITTLE:
            return CheckRow("space", State.WARNING, message, "free some, or set TMPDIR")
        return CheckRow("space", State.OK, message)

    def key_row(self) -> CheckRow:
        """Open the signing key as a backup that nobody watches does. Raises WmbackupError."""
        named = _one(in_force_for(self._session, _COMMAND, "signing-key"))
        path = named or signing_key_path()
        if named is None and not has_own():
            raise SigningKeyMissing(f"there is none at {path}", hint="wmbackup key create")
        ways = [
            _one(in_force_for(self._session, _COMMAND, f"key-passphrase-{way}"))
            for way in ("file", "command")
        ]
        given = PassphraseGiven(False, ways[0], None, ways[1], "key-passphrase")
        unlock = Unlock(agent_address())
        if given.given:
            ask = asker(self._session, given, "")
            unlock = Unlock(agent_address(), ask, is_given=True)
        try:
            key = keys.load(path, unlock)
        except SigningKeyLocked as error:
            message = (
                f"{fingerprint(read_public(path))}, {path}, has a passphrase, which an unattended"
                " backup has to be given"
            )
            step = next_steps.of_error(error)
            return CheckRow("signing key", State.FAILED, message, step, error.exit_code)
        if key.exposed:
            message = f"other users can read {path}"
            return CheckRow("signing key", State.WARNING, message, next_steps.hide(path))
        return CheckRow("signing key", State.OK, f"{key.fingerprint}, {path}")

    def trust_row(self) -> CheckRow:
        """Say whether this machine would trust the archive. Raises WmbackupError."""
        path = allowed_signers_path()
        policy = self._session.policy(None)
        own = _one(in_force_for(self._session, _COMMAND, "signing-key")) or signing_key_path()
        has_key = os.path.lexists(own) or os.path.lexists(keys.public_path(own))
        key = read_public(own) if has_key else None
        if key is not None and key in policy.revoked:
            raise SignerUntrusted(
                "the own signing key is revoked: nobody trusts what it signs",
                fingerprint=fingerprint(key),
                hint="wmbackup key rotate",
            )
        trusted = {signer.key for signer in policy.signers} - policy.revoked
        if key is not None and key not in trusted:
            remedy = f"wmbackup key trust {shell.argument(keys.public_path(own))}"
            if keys.is_incomplete(own):
                remedy = "wmbackup key create"
            raise SignerUntrusted(
                "the own signing key is not trusted, so its archives could not be restored",
                fingerprint=fingerprint(key),
                hint=remedy,
            )
        if not trusted:
            remedy = "wmbackup key create, or wmbackup key trust FILE|ARCHIVE"
            return CheckRow("trust", State.WARNING, f"nobody is trusted in {path}", remedy)
        revoked = f", {len(policy.revoked)} revoked" if policy.revoked else ""
        return CheckRow("trust", State.OK, f"{len(trusted)} trusted{revoked}, {path}")


def clock_row() -> CheckRow:
    """Say whether the clock can be right: an archive says when it was made."""
    now = time.time()
    told = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < _OLDEST:
        message = f"it is {told}, which is before this program was written"
        return CheckRow("clock", State.WARNING, message, "set the clock of this machine")
    return CheckRow("clock", State.OK, told)


def ledger_row(session: Session) -> CheckRow:
    """Say whether this machine still knows its series. Raises SystemFailure."""
    ledger = ledger_of(session)
    if ledger is None:
        message = "there is no home for it, so each archive begins a series"
        return CheckRow("ledger", State.WARNING, message, "set HOME")
    state = ledger.read().state
    if state == "here":
        return CheckRow("ledger", State.OK, ledger.path)
    if state == "missing":
        return CheckRow("ledger", State.OK, f"there is none yet at {ledger.path}")
    what = "is no ledger" if state == "damaged" else "was written on another machine"
    message = f"{ledger.path} {what}: the next backup begins a new series"
    return CheckRow("ledger", State.WARNING, message, "look whether it is the right one")


def _one(values: list[str]) -> str | None:
    return values[0] if values else None


def _try_out(folder: str, needed: int) -> None:
    """Make a private file of a size, write and read both of its ends, remove it. Raises OSError."""
    remove_leftovers(folder)
    name, file = create_private(folder)
    try:
        _reserve(file.fileno(), needed)
        ends = (0, needed - _PROBE) if needed >= 2 * _PROBE else (0,)
        written = os.urandom(_PROBE)
        for position in ends:
            file.seek(position)
            file.write(written)
        file.flush()
        os.fsync(file.fileno())
        for position in ends:
            file.seek(position)
            if file.read(_PROBE) != written:
                raise OSError(errno.EIO, "it gives back other bytes than it was given", folder)
    finally:
        discard(file, name)


def _reserve(descriptor: int, needed: int) -> None:
    """Claim so many bytes of the disk, where the system can. Raises OSError."""
    if sys.platform == "linux":
        try:
            os.posix_fallocate(descriptor, 0, needed)
        except OSError as error:
            if error.errno not in {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                raise
    else:
        os.ftruncate(descriptor, needed)

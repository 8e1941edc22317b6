"""``wmbackup check``."""

from __future__ import annotations

import os
import platform
import shutil
import struct
from collections.abc import Callable, Iterator

import click

from wmbackup import __version__
from wmbackup.archive.sshsig import fingerprint
from wmbackup.cli import settings
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.click_ext import option
from wmbackup.cli.interface import interface_rows, kind_of, store_row
from wmbackup.cli.openable import encryption_row
from wmbackup.cli.render import next_steps, shell
from wmbackup.cli.render.output import Checked, CheckRow, State
from wmbackup.cli.render.sanitize import size
from wmbackup.cli.session import (
    Session,
    allowed_signers_path,
    config_folder,
    signing_key_path,
    site_config_folder,
    state_folder,
    worst,
)
from wmbackup.cli.signing import agent_address, has_own
from wmbackup.errors import ExitCode, WmbackupError
from wmbackup.storage.spool import temporary_folder
from wmbackup.trust import keys
from wmbackup.trust.unlock import SigningKeyLocked, Unlock, read_public

_LITTLE = 100 * 1024 * 1024  # bytes of free space that are few


@declare("check", example="wmbackup check --store folder:licenses")
@option("--store", metavar="STORE", section="What", help="look at this store as well")
def command(session: Session, store: str | None) -> ExitCode:
    """Say what works here and what does not, each with its remedy. Nothing is changed."""
    rows = []
    for row in _checks(session, store):
        rows.append(row)
        session.output.check(row)
    session.output.result(Checked(tuple(rows), "windows" if store is None else kind_of(store)))
    return worst([row.exit_code for row in rows])


def _checks(session: Session, store: str | None) -> Iterator[CheckRow]:
    yield CheckRow("program", State.OK, f"wmbackup {__version__}, archive format 1")
    bits = struct.calcsize("P") * 8
    yield CheckRow("python", State.OK, f"{platform.python_version()}, {bits} bits")
    yield CheckRow("system", State.OK, platform.platform())
    yield from _configuration(session)
    yield from interface_rows()
    yield _try("signing key", _signing_key)
    yield _try("trust", lambda: _trust(session))
    yield _try("encryption", lambda: encryption_row(session))
    yield _try("locks", _locks)
    yield _try("space", _space)
    if store is not None:
        yield _try("store", lambda: store_row(store, session.control()))


def _try(name: str, look: Callable[[], CheckRow]) -> CheckRow:
    try:
        return look()
    except WmbackupError as error:
        step = next_steps.of_error(error)
        return CheckRow(name, State.FAILED, error.message, step, error.exit_code)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        return CheckRow(name, State.FAILED, text, None, ExitCode.FAILED)


def _configuration(session: Session) -> Iterator[CheckRow]:
    for file in session.configs:
        yield CheckRow("configuration", State.OK, file.file)
    folder, site = config_folder(), site_config_folder()
    if not session.configs:
        places = [os.path.join(one, settings.FILE) for one in (folder, site) if one is not None]
        usual = f"; it would be {' or '.join(places)}" if places else ""
        yield CheckRow("configuration", State.OK, f"there is no file{usual}")
    for setting in settings.in_force(session, click.get_current_context()):
        whose = f" for {', '.join(setting.commands)}" if setting.commands else ""
        message = f"{setting.key} = {setting.value}{whose}, from {setting.origin}"
        if setting.wrong is None:
            yield CheckRow("setting", State.OK, message)
        else:
            message = f"{message}: {setting.wrong}"
            yield CheckRow("setting", State.FAILED, message, "correct it", ExitCode.USAGE)
    for name, meant in settings.strange_variables(sorted(os.environ)):
        remedy = "unset it" if meant is None else f"did you mean {meant}?"
        yield CheckRow("setting", State.WARNING, f"no option reads {name}", remedy)


def _signing_key() -> CheckRow:
    path = signing_key_path()
    if not has_own():
        return CheckRow(
            "signing key", State.WARNING, f"there is none at {path}", "wmbackup key create"
        )
    try:
        key = keys.load(path, Unlock(agent_address()))
    except SigningKeyLocked as error:
        mark = fingerprint(read_public(path))
        message = f"{mark}, {path}, has a passphrase, which an unattended backup has to be given"
        return CheckRow("signing key", State.WARNING, message, next_steps.of_error(error))
    if key.exposed:
        message = f"other users can read {path}"
        return CheckRow("signing key", State.WARNING, message, next_steps.hide(path))
    return CheckRow("signing key", State.OK, f"{key.fingerprint}, {path}")


def _trust(session: Session) -> CheckRow:
    path = allowed_signers_path()
    policy = session.policy(None)
    if not policy.signers:
        remedy = "wmbackup key create, or wmbackup key trust FILE|ARCHIVE"
        return CheckRow("trust", State.WARNING, f"nobody is trusted in {path}", remedy)
    own = signing_key_path()
    key = read_public(own) if has_own() else None
    if key in policy.revoked:
        message = "the own signing key is revoked: nobody trusts what it signs"
        return CheckRow("trust", State.WARNING, message, "wmbackup key rotate")
    trusted = {signer.key for signer in policy.signers} - policy.revoked
    if key is not None and key not in trusted:
        remedy = f"wmbackup key trust {shell.argument(keys.public_path(own))}"
        if keys.is_incomplete(own):
            remedy = "wmbackup key create"
        return CheckRow("trust", State.WARNING, "the own signing key is not trusted", remedy)
    revoked = f", {len(policy.revoked)} revoked" if policy.revoked else ""
    return CheckRow("trust", State.OK, f"{len(trusted)} trusted{revoked}, {path}")


def _locks() -> CheckRow:
    folder = state_folder()
    if folder is None:
        remedy = "set HOME, so that runs of one user see each other"
        return CheckRow("locks", State.WARNING, "there is no home for the locks", remedy)
    at = folder
    while not os.path.isdir(at):
        at = os.path.dirname(at)
    if not os.access(at, os.W_OK):
        message = f"cannot write to {at}; locks are kept among the temporary files"
        return CheckRow("locks", State.WARNING, message, "check its permissions")
    return CheckRow("locks", State.OK, folder)


def _space() -> CheckRow:
    folder = temporary_folder()
    free = shutil.disk_usage(folder).free
    message = f"{size(free)} free for temporary files in {folder}"
    if free < _LITTLE:
        return CheckRow("space", State.WARNING, message, "free some, or set TMPDIR")
    return CheckRow("space", State.OK, message)

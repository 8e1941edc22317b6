"""``wmbackup key``: the group, and the keys of this user."""

from __future__ import annotations

import os
import shlex

import click

from wmbackup.archive import sshsig
from wmbackup.cli.click_ext import HELP, Group, option
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.commands import key_sign, key_trust
from wmbackup.cli.encryption import create_identity, own_identities
from wmbackup.cli.help_layout import show_help_without_command
from wmbackup.cli.keyring import identity_rows
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.output import KeyRow, Message
from wmbackup.cli.session import (
    Session,
    allowed_signers_path,
    host_name,
    revoked_keys_paths,
    signing_key_path,
)
from wmbackup.cli.signing import has_own
from wmbackup.errors import (
    ExitCode,
    SetupUnusable,
    SystemFailure,
    UsageError,
    WmbackupError,
)
from wmbackup.trust import principal_of
from wmbackup.trust.unlock import read_public


@click.group(
    "key",
    cls=Group,
    example="wmbackup key create",
    invoke_without_command=True,
    context_settings=HELP,
)
@click.pass_context
def _group(ctx: click.Context) -> None:
    """Manage the signing key and the keys that are trusted."""
    show_help_without_command(ctx)


@declare("create", example="wmbackup key create", short="make the signing key and trust it")
@option(
    "--identity", is_flag=True, command_line_only=True, section="What",
    help="make an age identity instead, which decrypts archives",
)  # fmt: skip
def _create(session: Session, *, identity: bool) -> ExitCode:
    """Make the signing key of this user and trust it.

    It is an OpenSSH Ed25519 key without a passphrase, so that cron can sign.

    With --identity make what opens encrypted archives instead, and print its recipient, for which
    others encrypt.
    """
    if identity:
        return _create_identity(session)
    created = session.create_key()
    done = "completed" if created.completed else "made"
    what = f"{done} {created.key.path} ({created.key.fingerprint})"
    session.output.result(Message(f"{what}, trusted as {created.principal}"))
    return ExitCode.OK


def _create_identity(session: Session) -> ExitCode:
    made = create_identity(session)
    session.data_on_stdout = True
    session.output.keys(identity_rows(made))
    session.output.result(
        Message(
            f"made {made.path}; keep a copy elsewhere: what is encrypted for it cannot be opened"
            " without it"
        )
    )
    return ExitCode.OK


@declare("show", example="wmbackup key show", short="show its public part")
@option("--signing-key", metavar="F", section="What", help="another key than that of key create")
@option(
    "--sheet", metavar="FILE", section="How", command_line_only=True,
    help="write one page to keep on paper; HTML where the name ends in .html",
)  # fmt: skip
def _show(session: Session, signing_key: str | None, sheet: str | None) -> ExitCode:
    """Show the public part of the signing key, as other machines want it.

    Where this user has an age identity, its recipient is shown too. With --sheet write one page
    instead: fingerprint, trust line, recipient, what to keep where, and the commands of a restore
    by hand with stock tools. Nothing secret is on it.
    """
    own = own_identities(session) if signing_key is None else None
    rows = [] if own is None else identity_rows(own)
    if own is None or signing_key is not None or has_own():
        path = signing_key or signing_key_path()
        key = read_public(path)
        mark, line = sshsig.fingerprint(key), sshsig.public_line(key)
        rows.insert(0, KeyRow("signing", mark, line, _own_principal(key), path))
    if sheet is not None:
        return _write_sheet(session, sheet, rows)
    session.data_on_stdout = True
    session.output.keys(rows)
    return ExitCode.OK


def _write_sheet(session: Session, path: str, rows: list[KeyRow]) -> ExitCode:
    from wmbackup.cli.sheet import write

    if not rows or rows[0].role != "signing":
        raise UsageError(
            "there is no signing key that a sheet could show",
            hint="make one with: wmbackup key create",
        )
    write(path, rows, host_name())
    session.output.result(Message(f"wrote {path}; print it, and keep it apart from the machine"))
    return ExitCode.OK


def _own_principal(key: bytes) -> str:
    """Return the name under which this user trusts a key; the usual one where it does not."""
    from wmbackup.trust.patterns import has_patterns
    from wmbackup.trust.trust_files import read_signers

    try:
        lines = [one for one in read_signers(allowed_signers_path()) if one.key == key]
    except WmbackupError:  # without a trust file that can be read, a key still has its usual name
        lines = []
    names = [one.principals for one in lines if not has_patterns(one.principals)]
    return next((name for name in names if "," not in name), principal_of(host_name()))


@declare("rotate", example="wmbackup key rotate", short="make a new signing key")
def _rotate(session: Session) -> ExitCode:
    """Make a new signing key, and keep the old one trusted for what it has signed until now.

    The old key is renamed and kept. The line that other machines must trust is printed.
    """
    from wmbackup.trust.keys import next_path
    from wmbackup.trust.rotation import rotate

    revoked = revoked_keys_paths()
    session.warn_of_writers(allowed_signers_path(), *revoked)
    path = signing_key_path()
    try:
        done = rotate(*(path, allowed_signers_path(), host_name(), revoked), session.trust_locks())
    except (SystemFailure, SetupUnusable) as error:
        if os.path.lexists(next_path(path)):
            complete = "complete the rotation with: wmbackup key rotate"
            error.hint = next_steps.then(error, complete)
        raise
    session.warn_if_exposed(done.key)
    if done.had_passphrase:
        session.output.warning(
            "new-key-has-no-passphrase",
            f"the old key had a passphrase, and {done.key.path} has none, so that cron can sign",
            f"ssh-keygen -p -f {shlex.quote(done.key.path)}",
        )
    line = sshsig.public_line(done.key.public)
    row = KeyRow("signing", done.key.fingerprint, line, done.principal, done.key.path)
    session.data_on_stdout = True
    session.output.keys([row])
    session.output.result(
        Message(
            f"made {done.key.path} ({done.key.fingerprint}); the old key,"
            f" {sshsig.fingerprint(done.old)}, is {done.old_path} and trusted until"
            f" {done.until:%Y-%m-%dT%H:%M:%SZ}"
        )
    )
    return ExitCode.OK


for _command in (_create, _show, _rotate, *key_trust.COMMANDS, key_sign.sign):
    _group.add_command(_command)
command = _group

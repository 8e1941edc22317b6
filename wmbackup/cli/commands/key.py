"""``wmbackup key``."""

from __future__ import annotations

import sys

import click

from wmbackup.archive import sshsig
from wmbackup.cli.click_ext import HELP, Group, option
from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.encryption import (
    Identities,
    create_identity,
    identity_options,
    own_identities,
)
from wmbackup.cli.help_layout import show_help_without_command
from wmbackup.cli.keyring import (
    confirm_key,
    described,
    identity_rows,
    key_from_archive,
    key_from_file,
    trusted_rows,
)
from wmbackup.cli.render.output import KeyRow, Message
from wmbackup.cli.session import (
    Session,
    allowed_signers_path,
    host_name,
    is_terminal,
    revoked_keys_path,
    signing_key_path,
)
from wmbackup.cli.signing import has_own
from wmbackup.engine import open_archive
from wmbackup.errors import ExitCode, SignerUntrusted
from wmbackup.trust import principal_of, trust_files
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
    """Make the signing key, show it, and say whom to trust."""
    show_help_without_command(ctx)


@declare("create", example="wmbackup key create", short="make the signing key and trust it")
@option(
    "--identity", is_flag=True, command_line_only=True, section="What",
    help="make an age identity instead, which opens archives",
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
def _show(session: Session, signing_key: str | None) -> ExitCode:
    """Show the public part of the signing key, as other machines want it.

    Where this user has an age identity, its recipient is shown too.
    """
    own = own_identities(session) if signing_key is None else None
    rows = [] if own is None else identity_rows(own)
    if own is None or signing_key is not None or has_own():
        path = signing_key or signing_key_path()
        key = read_public(path)
        mark, line = sshsig.fingerprint(key), sshsig.public_line(key)
        rows.insert(0, KeyRow("signing", mark, line, principal_of(host_name()), path))
    session.data_on_stdout = True
    session.output.keys(rows)
    return ExitCode.OK


@declare("list", example="wmbackup key list", short="list who is trusted, and who is revoked")
@option(
    "--allowed-signers", metavar="F", section="What",
    help="an allowed_signers file instead of the one of key trust",
)  # fmt: skip
def _list(session: Session, allowed_signers: str | None) -> ExitCode:
    """List the keys that are trusted, and those that are revoked."""
    path = allowed_signers or allowed_signers_path()
    policy = session.policy(allowed_signers)
    session.data_on_stdout = True
    session.output.keys(trusted_rows(policy.signers, policy.revoked, path))
    file = revoked_keys_path()
    session.output.keys(
        KeyRow("revoked", sshsig.fingerprint(key), sshsig.public_line(key), None, file)
        for key in sorted(policy.revoked)
    )
    if not policy.signers and not policy.revoked:
        session.output.result(Message(f"no keys are trusted in {path}"))
    return ExitCode.OK


@declare("trust", example="wmbackup key trust other.pub", short="trust another machine's key")
@click.argument("source", metavar="FILE|ARCHIVE")
@option(
    "--fingerprint",
    metavar="SHA256:...",
    section="What",
    help="the key that is expected; needed for an archive when nobody can be asked",
)
@option(
    "--allowed-signers", metavar="F", section="What",
    help="add the key to this file instead of the usual one",
)  # fmt: skip
@identity_options
def _trust(
    session: Session,
    source: str,
    fingerprint: str | None,
    allowed_signers: str | None,
    opens: Identities,
) -> ExitCode:
    """Trust the key in a public key file, or the key that signed an archive.

    A key that came with an archive proves nothing by being there: compare its fingerprint with
    what you know of the machine that made it.
    """
    path = allowed_signers or allowed_signers_path()
    revoked = revoked_keys_path()
    signer = key_from_file(source)
    asked = None
    if signer is None:
        with open_archive(source, opens) as archive:
            signer = key_from_archive(archive)
        asked = archive.name if fingerprint is None else None
    mark = sshsig.fingerprint(signer.key)
    if fingerprint is not None and fingerprint not in {mark, mark.removeprefix("SHA256:")}:
        raise SignerUntrusted(
            f"the key in {source} is {mark} and not {fingerprint}",
            fingerprint=mark,
            hint="nothing was changed; find out which of the two is right",
        )
    # Whatever stands against it is reported before a question is asked.
    session.warn_of_writers(path, revoked)
    known = trust_files.find_trusted(path, signer, revoked)
    if known is None:
        if asked is not None:
            confirm_key(session, asked, signer)
        known = trust_files.trust(path, signer, revoked, session.trust_locks())
    local = is_terminal(sys.stdout) and not session.common.json
    if known is None:
        what = f"trusting {mark} as {described(signer, local=local)}"
    else:
        what = f"{mark} is trusted already as {described(known, local=local)}"
    session.output.result(Message(what))
    return ExitCode.OK


for _command in (_create, _show, _list, _trust):
    _group.add_command(_command)
command = _group

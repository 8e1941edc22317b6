"""``wmbackup key``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

import click

from wmbackup import keys
from wmbackup.archive import sshsig
from wmbackup.archive.bag import format_time
from wmbackup.cli.app import HELP, Group, option
from wmbackup.cli.app import command as declare
from wmbackup.cli.output import KeyRow, Message
from wmbackup.cli.session import (
    Session,
    allowed_signers_path,
    host_name,
    revoked_keys_path,
    signing_key_path,
)
from wmbackup.engine.opening import ArchiveInput, identify, open_archive
from wmbackup.errors import (
    ConfirmationNeeded,
    Declined,
    ExitCode,
    NotAnArchive,
    SignerUntrusted,
)
from wmbackup.trust import Signer, TrustFileInvalid, parse_key_file


@click.group("key", cls=Group, example="wmbackup key create", context_settings=HELP)
def _group() -> None:
    """Make the signing key, show it, and say whom to trust."""


@declare("create", example="wmbackup key create")
def _create(session: Session) -> ExitCode:
    """Make the signing key of this user and trust it.

    It is an OpenSSH Ed25519 key without a passphrase, so that cron can sign.
    """
    key, principal = keys.create_trusted(signing_key_path(), allowed_signers_path(), host_name())
    session.output.result(Message(f"made {key.path} ({key.fingerprint}), trusted as {principal}"))
    return ExitCode.OK


@declare("show", example="wmbackup key show")
@option("--signing-key", metavar="F", section="What", help="another key than that of key create")
def _show(session: Session, signing_key: str | None) -> ExitCode:
    """Show the public part of the signing key, as other machines want it."""
    key = keys.load(signing_key or signing_key_path())
    public = sshsig.public_line(key.public)
    session.data_on_stdout = True
    session.output.keys(
        [KeyRow("signing", key.fingerprint, public, keys.principal_of(host_name()), key.path)]
    )
    return ExitCode.OK


@declare("list", example="wmbackup key list")
@option(
    "--allowed-signers", metavar="F", section="What",
    help="an allowed_signers file instead of the one of key trust",
)  # fmt: skip
def _list(session: Session, allowed_signers: str | None) -> ExitCode:
    """List the keys that are trusted, and those that are revoked."""
    path = allowed_signers or allowed_signers_path()
    policy = session.policy(allowed_signers)
    session.data_on_stdout = True
    session.output.keys(_trusted(policy.signers, policy.revoked, path))
    file = revoked_keys_path()
    session.output.keys(
        KeyRow("revoked", sshsig.fingerprint(key), sshsig.public_line(key), None, file)
        for key in sorted(policy.revoked)
    )
    return ExitCode.OK


def _trusted(signers: tuple[Signer, ...], revoked: frozenset[bytes], path: str) -> Iterator[KeyRow]:
    for signer in signers:
        if signer.key not in revoked:
            yield KeyRow(
                "trusted",
                sshsig.fingerprint(signer.key),
                sshsig.public_line(signer.key),
                signer.principals,
                os.path.abspath(path),
                _time(signer.valid_after),
                _time(signer.valid_before),
            )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


@declare("trust", example="wmbackup key trust other-machine.pub")
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
def _trust(
    session: Session, source: str, fingerprint: str | None, allowed_signers: str | None
) -> ExitCode:
    """Trust the key in a public key file, or the key that signed an archive.

    A key that came with an archive proves nothing by being there: compare its fingerprint with
    what you know of the machine that made it.
    """
    found = _from_file(source) if allowed_signers != source else None
    if found is None:
        with open_archive(source) as archive:
            principal, key = _from_archive(session, archive, fingerprint)
    else:
        principal, key = found
    mark = sshsig.fingerprint(key)
    if fingerprint is not None and fingerprint != mark:
        raise SignerUntrusted(
            f"the key in {source} is {mark} and not {fingerprint}",
            fingerprint=mark,
            hint="nothing was changed; find out which of the two is right",
        )
    path = allowed_signers or allowed_signers_path()
    added = keys.trust(path, principal, key)
    what = f"trusting {mark} as {principal}" if added else f"{mark} is trusted already"
    session.output.result(Message(what))
    return ExitCode.OK


def _from_file(source: str) -> tuple[str, bytes] | None:
    """Return principal and key of a key file; None where it is an archive. Raises WmbackupError."""
    with open_archive(source) as file:
        text = file.stream.read(keys.MAX_FILE)
    if text.startswith(b"wmbackup-"):
        return None
    try:
        principal, key = parse_key_file(text)
    except TrustFileInvalid as error:
        raise NotAnArchive(
            f"{source} is neither an archive nor a public key: {error.message}",
            hint="name an archive, or a file with a line such as that of wmbackup key show",
        ) from error
    return principal or keys.principal_of(host_name()), key


def _from_archive(
    session: Session, archive: ArchiveInput, fingerprint: str | None
) -> tuple[str, bytes]:
    key, info = identify(archive)
    principal = keys.principal_of(info.host)
    if fingerprint is None:
        mark = sshsig.fingerprint(key)
        if not session.interactive:
            raise ConfirmationNeeded(
                f"the key that signed {archive.name} is not trusted for being in it",
                hint=f"if you know it: --fingerprint {mark}",
            )
        question = f"Trust {mark}, which says that it is {principal}?"
        if not session.output.ask(question):
            raise Declined("nothing was changed: the key was declined")
    return principal, key


for _command in (_create, _show, _list, _trust):
    _group.add_command(_command)
command = _group

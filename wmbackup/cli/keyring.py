"""The keys that `key` shows, and where `key trust` finds one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from wmbackup import keys
from wmbackup.archive import sshsig
from wmbackup.archive.bag import format_time
from wmbackup.cli.output import KeyRow
from wmbackup.cli.session import Session
from wmbackup.engine.opening import ArchiveInput, identify, open_archive
from wmbackup.errors import ConfirmationNeeded, Declined, NotAnArchive, UsageError
from wmbackup.trust import Signer, TrustFileInvalid, parse_key_file


def trusted_rows(
    signers: tuple[Signer, ...], revoked: frozenset[bytes], path: str
) -> Iterator[KeyRow]:
    """Yield who is trusted by a file and not revoked."""
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


def key_from_file(source: str) -> tuple[str, bytes] | None:
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
    if principal is None:
        raise UsageError(
            f"{source} does not say whose key it is",
            hint="write it as the line wmbackup@HOST ssh-ed25519 ..., or name an archive of that"
            " machine",
        )
    return principal, key


def key_from_archive(
    session: Session, archive: ArchiveInput, fingerprint: str | None
) -> tuple[str, bytes]:
    """Return principal and key of who made an archive, after a question. Raises WmbackupError."""
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

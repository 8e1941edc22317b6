"""The keys that `key` shows, and where `key trust` finds one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from wmbackup.archive import sshsig
from wmbackup.archive.bag import format_time
from wmbackup.cli.output import KeyRow
from wmbackup.cli.session import Session
from wmbackup.engine.opening import ArchiveInput, identify, open_archive
from wmbackup.errors import ConfirmationNeeded, Declined, NotAnArchive, UsageError
from wmbackup.trust import Signer, TrustFileInvalid, keys, parse_key_file, principal_of


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


def key_from_file(source: str) -> Signer | None:
    """Return the key of a key file; None where it is an archive. Raises WmbackupError."""
    with open_archive(source) as file:
        text = file.stream.read(keys.MAX_FILE)
    if text.startswith(b"wmbackup-"):
        return None
    try:
        principal, signer = parse_key_file(text)
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
    return signer


def key_from_archive(archive: ArchiveInput) -> Signer:
    """Return the key that signed an archive, with the principal of its host. Nothing is trusted."""
    key, info = identify(archive)
    return Signer(principal_of(info.host), key)


def confirm_key(session: Session, name: str, signer: Signer) -> None:
    """Ask whether to trust the key of an archive. Raises ConfirmationNeeded, Declined."""
    mark = sshsig.fingerprint(signer.key)
    if not session.interactive:
        raise ConfirmationNeeded(
            f"the key that signed {name} is not trusted for being in it",
            hint=f"if you know it: --fingerprint {mark}",
        )
    if not session.output.ask(f"Trust {mark}, which says that it is {signer.principals}?"):
        raise Declined("nothing was changed: the key was declined")

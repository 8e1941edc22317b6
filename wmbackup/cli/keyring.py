"""The keys that `key` shows, and where `key trust` finds one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime

from wmbackup.age.magic import is_envelope
from wmbackup.archive import sshsig
from wmbackup.archive.tag_files import format_time
from wmbackup.cli.encryption import Own
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.output import KeyRow
from wmbackup.cli.render.sanitize import time_shown
from wmbackup.cli.session import Session
from wmbackup.engine import SealedArchive, identify
from wmbackup.engine._open import unavailable
from wmbackup.errors import ConfirmationNeeded, Declined, NotAnArchive, NotFound, UsageError
from wmbackup.storage.files import reachable, read_small_file
from wmbackup.trust import Signer, TrustFileInvalid, parse_key_file, principal_of, small_files


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


def identity_rows(own: Own) -> list[KeyRow]:
    """Return a row for each identity of a file."""
    return [
        KeyRow("identity", None, str(one.recipient), path=os.path.abspath(own.path))
        for one in own.identities
    ]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def described(signer: Signer, *, local: bool) -> str:
    """Return whom a line stands for, and how long; times are ``local`` for a terminal."""
    text = signer.principals
    for word, moment in (("from", signer.valid_after), ("until", signer.valid_before)):
        if moment is not None:
            text += f" {word} {time_shown(moment, local=local)}"
    return text


def key_from_file(source: str) -> Signer | None:
    """Return the key of a key file; None where it is an archive. Raises WmbackupError."""
    text = _beginning(source)
    if text.startswith(b"wmbackup-") or is_envelope(text):
        return None
    if len(text) > small_files.MAX_FILE:
        raise NotAnArchive(
            f"{source} is neither an archive nor a public key: it is too large for a key",
            hint="name an archive, or a file with a line such as that of wmbackup key show",
        )
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


def _beginning(source: str) -> bytes:
    """Read as much of a file as a key may have; a pipe is refused, and not waited for."""
    if not source:
        raise UsageError("the name of the key is empty", hint="name a key file, or an archive")
    try:
        found = read_small_file(reachable(source), small_files.MAX_FILE)
    except IsADirectoryError:
        hint = "name a key file or an archive in it"
        raise UsageError(f"{source} is a folder", hint=hint) from None
    except OSError as error:
        raise unavailable(error, source) from error
    if found is None:
        raise NotFound(f"there is no file {source}", hint="check its path")
    return found.data


def key_from_archive(archive: SealedArchive) -> Signer:
    """Return the key that signed an archive, with the principal of its host. Nothing is trusted."""
    key, info = identify(archive)
    return Signer(principal_of(info.host), key)


def confirm_key(session: Session, name: str, signer: Signer) -> None:
    """Ask whether to trust the key of an archive. Raises ConfirmationNeeded, Declined."""
    mark = sshsig.fingerprint(signer.key)
    if not session.interactive:
        raise ConfirmationNeeded(
            f"the key that signed {name} is not trusted for being in it",
            hint=f"if you know that it is {mark}: {again('--fingerprint', mark)}",
        )
    if not session.output.ask(f"Trust {mark}, which says that it is {signer.principals}?"):
        raise Declined("nothing was changed: the key was declined")

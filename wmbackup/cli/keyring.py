"""The keys that `key` shows, and where `key trust` finds one."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from wmbackup.age.magic import is_envelope
from wmbackup.archive import sshsig
from wmbackup.archive.tag_files import format_time
from wmbackup.cli.encryption import Own
from wmbackup.cli.render.hints import again
from wmbackup.cli.render.output import KeyRow
from wmbackup.cli.render.sanitize import time_shown
from wmbackup.cli.render.shell import quote
from wmbackup.cli.session import Session
from wmbackup.engine import SealedArchive, identify
from wmbackup.engine._open import unavailable
from wmbackup.errors import ConfirmationNeeded, Declined, NotAnArchive, NotFound, UsageError
from wmbackup.storage.files import reachable, read_small_file
from wmbackup.trust import Signer, TrustFileInvalid, parse_key_file, principal_of, small_files
from wmbackup.trust.trust_files import read_signers


def trust_rows(
    files: Sequence[str], revoked: Mapping[bytes, str], now: datetime
) -> Iterator[KeyRow]:
    """Yield the lines of trust files, then the revoked keys that are on none of them."""
    seen = set()
    for file in files:
        for signer in read_signers(file):
            seen.add(signer.key)
            yield KeyRow(
                "revoked" if signer.key in revoked else "trusted",
                sshsig.fingerprint(signer.key),
                sshsig.public_line(signer.key),
                signer.principals,
                os.path.abspath(file),
                _time(signer.valid_after),
                _time(signer.valid_before),
                _state(signer, revoked, now),
                revoked.get(signer.key),
            )
    for key, file in sorted(revoked.items()):
        if key not in seen:
            yield KeyRow(
                *("revoked", sshsig.fingerprint(key), sshsig.public_line(key)),
                path=file,
                state="revoked",
                revoked_in=file,
            )


def _state(signer: Signer, revoked: Collection[bytes], now: datetime) -> str:
    if signer.key in revoked:
        return "revoked"
    if signer.valid_before is not None and signer.valid_before <= now:
        return "expired"
    if signer.valid_after is not None and signer.valid_after > now:
        return "not-yet"
    return "valid"


def parse_date(text: str, option: str) -> datetime:
    """Read a date or a time, which is UTC. Raises UsageError."""
    digits = text.strip().upper().removesuffix("Z")
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y%m%d", "%Y%m%d%H%M%S"):
        try:
            moment = datetime.strptime(digits, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        # The shortest of these forms takes what is no date for one: 2027011 is 2027-01-1.
        if moment.strftime(form) == digits and moment.timestamp() > 0:
            return moment
    raise UsageError(
        f"{option} is {text}, which is no date",
        hint="write it as 2027-01-31 or 2027-01-31T23:59:59Z",
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


def key_from_file(source: str, name: str | None = None) -> Signer | None:
    """Return the key of a key file; None where it is an archive. Raises WmbackupError.

    ``name`` is the principal instead of the one that the file says.
    """
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
    if name is not None:
        return replace(signer, principals=name)
    if principal is None:
        raise UsageError(
            f"{source} does not say whose key it is",
            hint=f"name it: wmbackup key trust {quote(source)} --as wmbackup@HOST",
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


def key_from_archive(archive: SealedArchive, name: str | None = None) -> Signer:
    """Return the key that signed an archive, with the principal of its host. Nothing is trusted.

    ``name`` is the principal instead of that one.
    """
    key, info = identify(archive)
    return Signer(principal_of(info.host) if name is None else name, key)


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

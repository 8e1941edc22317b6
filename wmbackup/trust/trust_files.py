"""The files that say whom to trust, read and extended: one line at a time, under a lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from wmbackup.archive import sshsig
from wmbackup.errors import SetupUnusable, SystemFailure, WmbackupError
from wmbackup.status import Control
from wmbackup.storage.files import make_folders, resolved
from wmbackup.storage.locks import Locks
from wmbackup.trust import small_files
from wmbackup.trust.allowed_signers import (
    PrincipalTaken,
    TrustFileInvalid,
    parse_allowed_signers,
    parse_revoked,
    with_line,
)
from wmbackup.trust.policy import Policy, Signer

LOCK_WAIT = 10.0
"""How long to wait for another run that writes a trust file, in seconds."""


class KeyRevoked(WmbackupError):
    """The key is revoked, and a revoked key is never trusted again."""

    code = "key-revoked"


def read_policy(
    allowed_signers: str, revoked: str | None = None, *, must_exist: bool = False
) -> Policy:
    """Read whom to trust; a missing file trusts nobody unless it ``must_exist``.

    Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    signers = read_signers(allowed_signers, must_exist=must_exist)
    return Policy(signers, read_revoked(revoked))


def read_signers(path: str, *, must_exist: bool = False) -> tuple[Signer, ...]:
    """Read who is trusted; a missing file trusts nobody unless it ``must_exist``.

    Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    found = small_files.read(path)
    if found is None and must_exist:
        raise SetupUnusable(f"there is no file {path}", reason="no-file", path=path)
    with _named(path):
        return parse_allowed_signers(b"" if found is None else found.data)


def read_revoked(path: str | None) -> frozenset[bytes]:
    """Read which keys are revoked; none without a file.

    Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    found = None if path is None else small_files.read(path)
    with _named(path or ""):
        return parse_revoked(b"" if found is None else found.data)


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the file in which something is wrong."""
    try:
        yield
    except TrustFileInvalid as error:
        error.message = f"{path}: {error.message}"
        error.args = (error.message,)
        raise


@contextlib.contextmanager
def held(path: str, locks: Locks | None = None) -> Iterator[str]:
    """Keep other runs off a trust file, whose folder is made, and give its path without links.

    Without ``locks`` the lock is beside the file. Raises Busy, SystemFailure.
    """
    path = resolved(path)  # a link stays one, also where the file that it names is to be made
    folder = os.path.dirname(path)
    try:
        make_folders(folder)
    except OSError as error:
        raise SystemFailure.of(error, "make the folder", folder) from error
    # Two at once would each write the file without the other's line.
    with (locks or Locks(folder, LOCK_WAIT)).hold("trust file", path, Control()):
        yield path


def trust(
    path: str, signer: Signer, revoked: str | None = None, locks: Locks | None = None
) -> Signer | None:
    """Trust a key; return the line that trusts it already, where there is one.

    ``revoked`` is the file of revoked keys. Raises KeyRevoked, PrincipalTaken where another key
    holds the principal, PrincipalUnfit, TrustFileInvalid, Busy, SetupUnusable, SystemFailure.
    """
    with held(path, locks) as file:
        return trust_held(file, signer, revoked)


def trust_held(path: str, signer: Signer, revoked: str | None) -> Signer | None:
    """Do as `trust`, where the file is `held` already."""
    known, text = _new_text(path, signer, revoked)
    if text is not None:
        try:
            small_files.write(path, text, "the trust file")
        except OSError as error:
            raise SystemFailure.of(error, "write", path) from error
    return known


def find_trusted(path: str, signer: Signer, revoked: str | None = None) -> Signer | None:
    """Return what `trust` would return, and raise what it would raise; nothing is changed."""
    return _new_text(resolved(path), signer, revoked)[0]


def _new_text(path: str, signer: Signer, revoked: str | None) -> tuple[Signer | None, bytes | None]:
    """Return the line that trusts a key, or the file with one more line that does."""
    if signer.key in read_revoked(revoked):
        raise KeyRevoked(
            f"the key {sshsig.fingerprint(signer.key)} is revoked in {revoked}",
        )
    found = small_files.read(path)
    text = b"" if found is None else found.data
    with _named(path):
        known = [one for one in parse_allowed_signers(text) if one.key == signer.key]
        if known:
            return known[0], None
        try:
            return None, with_line(text, signer)
        except PrincipalTaken as error:
            error.path, error.ends = path, not text or text.endswith(b"\n")
            raise

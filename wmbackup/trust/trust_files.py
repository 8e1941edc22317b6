"""The files that say whom to trust, read and extended: one line at a time, under a lock."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from wmbackup.archive import sshsig
from wmbackup.errors import SetupUnusable, SystemFailure, WmbackupError
from wmbackup.status import Control
from wmbackup.storage.files import make_folders, resolved
from wmbackup.storage.locks import Locks
from wmbackup.trust import edits, small_files
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


class KeyTrustedOtherwise(WmbackupError):
    """The key is trusted already, and under another name or for another time than was asked."""

    code = "key-trusted-otherwise"


Paths = str | Sequence[str] | None
"""One file, several, or none."""


def _each(paths: Paths) -> tuple[str, ...]:
    if paths is None:
        return ()
    return (paths,) if isinstance(paths, str) else tuple(paths)


def read_policy(
    allowed_signers: Paths, revoked: Paths = None, *, must_exist: bool = False
) -> Policy:
    """Read whom to trust; a missing file trusts nobody unless it ``must_exist``.

    Of several files all lines count. Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    signers = [
        signer
        for path in _each(allowed_signers)
        for signer in read_signers(path, must_exist=must_exist)
    ]
    return Policy(tuple(signers), read_revoked(revoked))


def read_signers(path: str, *, must_exist: bool = False) -> tuple[Signer, ...]:
    """Read who is trusted; a missing file trusts nobody unless it ``must_exist``.

    Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    found = small_files.read(path)
    if found is None and must_exist:
        raise SetupUnusable(f"there is no file {path}", reason="no-file", path=path)
    with named(path):
        return parse_allowed_signers(b"" if found is None else found.data)


def read_revoked(paths: Paths) -> frozenset[bytes]:
    """Read which keys are revoked in any of the files; none without a file.

    Raises TrustFileInvalid, SetupUnusable, SystemFailure.
    """
    return frozenset(revoked_in(paths))


def revoked_in(paths: Paths) -> dict[bytes, str]:
    """Return the revoked keys, each with the first file that revokes it. Raises as above."""
    found: dict[bytes, str] = {}
    for path in _each(paths):
        file = small_files.read(path)
        with named(path):
            for key in sorted(parse_revoked(b"" if file is None else file.data)):
                found.setdefault(key, path)
    return found


@contextlib.contextmanager
def named(path: str) -> Iterator[None]:
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
    path: str, signer: Signer, revoked: Paths = None, locks: Locks | None = None
) -> Signer | None:
    """Trust a key; return the line that trusts it already, where there is one.

    ``revoked`` is the file of revoked keys. Raises KeyRevoked, PrincipalTaken where another key
    holds the principal, PrincipalUnfit, TrustFileInvalid, Busy, SetupUnusable, SystemFailure.
    """
    with held(path, locks) as file:
        return trust_held(file, signer, revoked)


def trust_held(path: str, signer: Signer, revoked: Paths) -> Signer | None:
    """Do as `trust`, where the file is `held` already."""
    known, text = _new_text(path, signer, revoked)
    if text is not None:
        _write(path, text, "the trust file")
    return known


def find_trusted(path: str, signer: Signer, revoked: Paths = None) -> Signer | None:
    """Return what `trust` would return, and raise what it would raise; nothing is changed."""
    return _new_text(resolved(path), signer, revoked)[0]


def _new_text(path: str, signer: Signer, revoked: Paths) -> tuple[Signer | None, bytes | None]:
    """Return the line that trusts a key, or the file with one more line that does."""
    never = revoked_in(revoked)
    if signer.key in never:
        raise KeyRevoked(
            f"the key {sshsig.fingerprint(signer.key)} is revoked in {never[signer.key]}",
        )
    found = small_files.read(path)
    text = b"" if found is None else found.data
    with named(path):
        known = [one for one in parse_allowed_signers(text) if one.key == signer.key]
        if known:
            return known[0], None
        try:
            return None, with_line(text, signer, datetime.now(UTC), never)
        except PrincipalTaken as error:
            error.path, error.ends = path, not text or text.endswith(b"\n")
            raise


def untrust(
    path: str, meant: Callable[[Signer], bool], locks: Locks | None = None
) -> tuple[Signer, ...]:
    """Take the lines that are meant out of a trust file; return what stood on them.

    The file as it was is kept beside it as ``.old``. Raises TrustFileInvalid, Busy, SetupUnusable,
    SystemFailure.
    """
    with held(path, locks) as file:
        found = small_files.read(file)
        text = b"" if found is None else found.data
        with named(file):
            after, gone = edits.without(text, meant)
        if gone:
            _write(f"{file}.old", text, "the copy of the trust file")
            _write(file, after, "the trust file")
        return gone


def limit(path: str, key: bytes, until: datetime, locks: Locks | None = None) -> None:
    """Let a key be valid before a time at most. Raises as `untrust` does."""
    with held(path, locks) as file:
        found = small_files.read(file)
        text = b"" if found is None else found.data
        with named(file):
            after = edits.limited(text, key, until)
        if after != text:
            _write(f"{file}.old", text, "the copy of the trust file")
            _write(file, after, "the trust file")


def revoke(path: str, key: bytes, comment: str, locks: Locks | None = None) -> bool:
    """Add a key to a file of revoked keys; return False where it is there already.

    Raises as `untrust` does.
    """
    with held(path, locks) as file:
        found = small_files.read(file)
        with named(file):
            after = edits.with_revoked(b"" if found is None else found.data, key, comment)
        if after is not None:
            _write(file, after, "the file of revoked keys")
        return after is not None


def read_text(path: str) -> bytes:
    """Return the bytes of a trust file, none where it is missing. Raises as `read_signers`."""
    found = small_files.read(path)
    return b"" if found is None else found.data


def write_text(path: str, text: bytes) -> None:
    """Write a trust file that is `held`. Raises SystemFailure."""
    _write(path, text, "the trust file")


def _write(path: str, text: bytes, what: str) -> None:
    try:
        small_files.write(path, text, what)
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error

"""Our signing key and the files that say whom to believe.

The key is an unencrypted OpenSSH Ed25519 key, so that cron can sign and ``ssh-keygen`` knows it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wmbackup.archive import sshsig
from wmbackup.errors import (
    NotFound,
    OutputExists,
    SigningKeyMissing,
    SigningKeyUnusable,
    SystemFailure,
    WmbackupError,
)
from wmbackup.files import Draft, make_folders, read_small_file, remove_leftovers, resolved
from wmbackup.locks import Locks
from wmbackup.status import Control
from wmbackup.trust.allowed_signers import (
    PrincipalTaken,
    TrustFileInvalid,
    parse_allowed_signers,
    parse_revoked,
    with_line,
)
from wmbackup.trust.policy import Policy, Signer, principal_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_FILE = 1024 * 1024
"""The largest key or trust file that is read, in bytes."""

_LOCK_WAIT = 10.0  # seconds


class KeyExists(WmbackupError):
    """There is a signing key already, and another would orphan what it signed."""

    code = "key-exists"


class KeyRevoked(WmbackupError):
    """The key is revoked, and a revoked key is never trusted again."""

    code = "key-revoked"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs archives. ``public`` is 32 raw bytes, ``path`` the private file."""

    path: str
    public: bytes
    exposed: bool
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as ``ssh-keygen -l`` prints it."""
        return sshsig.fingerprint(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the armored SSHSIG of a message."""
        return sshsig.sign(self.private, message)


if sys.platform == "win32":
    from wmbackup.trust import owner

    def _restrict(path: str) -> None:
        with contextlib.suppress(OSError):  # a disk without access lists; the key is then exposed
            owner.restrict(path)

    def _is_exposed(path: str, _mode: int) -> bool:
        try:
            return owner.is_exposed(path)
        except OSError:
            return True

else:

    def _restrict(_path: str) -> None:
        """It was made with a mode that says so."""

    def _is_exposed(_path: str, mode: int) -> bool:
        return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))


def load(path: str) -> SigningKey:
    """Read a signing key. Raises SigningKeyMissing, SigningKeyUnusable or SystemFailure."""
    try:
        found = read_small_file(path, MAX_FILE)
    except OSError as error:
        raise SystemFailure.of(error, "read the signing key", path) from error
    if found is None:
        raise SigningKeyMissing(
            f"there is no signing key at {path}",
            hint="make one with: wmbackup key create, or name one with --signing-key",
        )
    private = _parse_private(path, found.data)
    exposed = _is_exposed(path, found.mode)
    return SigningKey(path, sshsig.public_of(private), exposed, private)


def _parse_private(path: str, text: bytes) -> Ed25519PrivateKey:
    # Only those who sign load a private key, and it takes a tenth of the start of the others.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
    )

    try:
        private = serialization.load_ssh_private_key(text, password=None)
    except TypeError:
        reason = "is protected by a passphrase, which nobody can give in an unattended run"
    except (ValueError, OverflowError, NotImplementedError, UnsupportedAlgorithm, KeyError):
        # The parser's ways to refuse a file, such as a point in compressed form, are many.
        reason = "is not an OpenSSH private key"
    else:
        if isinstance(private, Ed25519PrivateKey):
            return private
        reason = "is not an Ed25519 key"
    raise SigningKeyUnusable(
        f"the signing key {path} {reason}",
        hint="name another with --signing-key, or make one with: wmbackup key create",
    )


def create(path: str, host: str) -> SigningKey:
    """Make a signing key and its ``.pub`` file beside it.

    Raises KeyExists and leaves the one that is there; SystemFailure.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
    )

    private = Ed25519PrivateKey.generate()
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = sshsig.public_of(private)
    try:
        make_folders(os.path.dirname(path) or os.curdir)
        if os.path.lexists(path):
            raise _exists(path)
        # The private file first: of two runs at once, one gets its name, and writes both. A run
        # that is cut off behind it is completed by the next one, see `create_trusted`.
        write(path, text, replace=False)
        _write_public(path, public, host)
    except OutputExists:
        raise _exists(path) from None
    except OSError as error:
        raise SystemFailure.of(error, "write the signing key", path) from error
    return SigningKey(path, public, exposed=False, private=private)


def _write_public(path: str, public: bytes, host: str) -> None:
    write(f"{path}.pub", f"{sshsig.public_line(public)} {principal_of(host)}\n".encode())


def _exists(path: str) -> KeyExists:
    return KeyExists(
        f"there is a signing key at {path}",
        hint="keep it: the archives that it signed are trusted because of it",
    )


def write(path: str, text: bytes, *, replace: bool = True) -> None:
    """Write a small private file at once and for good. Raises OSError, OutputExists."""
    path = resolved(path)
    remove_leftovers(os.path.dirname(path))
    draft = Draft(path)
    try:
        _restrict(draft.name)
        draft.file.write(text)
        draft.sync()
        draft.publish(replace=replace)
    finally:
        draft.close()


def read_policy(
    allowed_signers: str, revoked: str | None = None, *, must_exist: bool = False
) -> Policy:
    """Read whom to believe; a missing file believes nobody unless it ``must_exist``.

    Raises TrustFileInvalid, NotFound, SystemFailure.
    """
    text = _read(allowed_signers)
    if text is None and must_exist:
        raise NotFound(f"there is no file {allowed_signers}")
    revoked_text = None if revoked is None else _read(revoked)
    with _named(allowed_signers):
        signers = parse_allowed_signers(text or b"")
    with _named(revoked or ""):
        return Policy(signers, parse_revoked(revoked_text or b""))


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the file in which something is wrong."""
    try:
        yield
    except TrustFileInvalid as error:
        error.message = f"{path}: {error.message}"
        error.args = (error.message,)
        error.hint = error.hint or "one OpenSSH key a line; see ssh-keygen(1), ALLOWED SIGNERS"
        raise


def writable_by_others(path: str) -> bool:
    """Whether users other than its owner can write a file that is there."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return os.name == "posix" and bool(mode & (stat.S_IWGRP | stat.S_IWOTH))


def _read(path: str) -> bytes | None:
    """Return a trust file; None where there is none. Raises SystemFailure, TrustFileInvalid."""
    try:
        found = read_small_file(path, MAX_FILE)
    except OSError as error:
        raise SystemFailure.of(error, "read", path) from error
    if found is None:
        return None
    if len(found.data) > MAX_FILE:
        raise TrustFileInvalid(f"{path} is larger than {MAX_FILE // 1024:,} KiB")
    return found.data


def trust(path: str, signer: Signer, revoked: str | None = None) -> bool:
    """Trust a key; return False where it is trusted already.

    ``revoked`` is the file of revoked keys. Raises KeyRevoked, PrincipalTaken where another key
    holds the principal, PrincipalUnfit, TrustFileInvalid, Busy, SystemFailure.
    """
    path = resolved(path)  # a link stays one, also where the file that it names is to be made
    try:
        make_folders(os.path.dirname(path))
        # Two at once would each write the file without the other's line.
        with Locks(os.path.dirname(path), _LOCK_WAIT).hold("trust file", path, Control()):
            return _trust(path, signer, revoked)
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error


def check_trustable(path: str, signer: Signer, revoked: str | None = None) -> bool:
    """Return whether `trust` would change anything; raises what it would raise."""
    return _new_text(resolved(path), signer, revoked) is not None


def _trust(path: str, signer: Signer, revoked: str | None) -> bool:
    text = _new_text(path, signer, revoked)
    if text is not None:
        write(path, text)
    return text is not None


def _new_text(path: str, signer: Signer, revoked: str | None) -> bytes | None:
    revoked_text = None if revoked is None else _read(revoked)
    with _named(revoked or ""):
        if signer.key in parse_revoked(revoked_text or b""):
            raise KeyRevoked(
                f"the key {sshsig.fingerprint(signer.key)} is revoked in {revoked}",
                hint="a revoked key is not trusted again; trust a new key of that machine",
            )
    text = _read(path)
    with _named(path):
        try:
            return with_line(text or b"", signer)
        except PrincipalTaken as error:
            error.hint = f"trust it under a name of its own: add this line to {path}: {error.line}"
            raise


def create_trusted(
    path: str, allowed_signers: str, host: str, revoked: str | None = None
) -> tuple[SigningKey, str]:
    """Make a signing key and trust it; return it and the principal.

    What an earlier run left undone is completed: a key without its ``.pub`` file, or one that is
    not trusted yet. Where another key holds ``wmbackup@HOST``, as after a reinstallation, the new
    one gets a number behind it. Raises as `create` and `trust` do.
    """
    with _named(allowed_signers):  # before there is a key to be lost
        trusted = parse_allowed_signers(_read(allowed_signers) or b"")
    if os.path.lexists(path):
        key = load(path)
        if any(signer.key == key.public for signer in trusted):
            raise _exists(path)
    else:
        key = create(path, host)
    principal = base = principal_of(host)
    number = 1
    while True:
        try:
            trust(allowed_signers, Signer(principal, key.public), revoked)
        except PrincipalTaken:
            number += 1
            principal = f"{base}-{number}"
        else:
            break
    if not os.path.lexists(f"{path}.pub"):
        try:
            _write_public(path, key.public, host)
        except OSError as error:
            raise SystemFailure.of(error, "write", f"{path}.pub") from error
    return key, principal

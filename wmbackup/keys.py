"""Our signing key and the files that say whom to believe.

The key is an unencrypted OpenSSH Ed25519 key, so that cron can sign and ``ssh-keygen`` knows it.
"""

from __future__ import annotations

import contextlib
import os
import re
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
from wmbackup.files import PRIVATE_FOLDER, Draft, remove_leftovers, resolved
from wmbackup.locks import Locks
from wmbackup.status import Control
from wmbackup.trust import Policy, TrustFileInvalid, parse_allowed_signers, parse_revoked

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_FILE = 1024 * 1024
"""The largest key or trust file that is read, in bytes."""

_LOCK_WAIT = 10.0  # seconds
_NOT_IN_PRINCIPAL = re.compile(r"[^A-Za-z0-9._-]+")


class KeyExists(WmbackupError):
    """There is a signing key already, and another would orphan what it signed."""

    code = "key-exists"


class PrincipalTaken(WmbackupError):
    """Another key holds the principal already."""

    code = "principal-taken"


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
    from wmbackup import owner

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


def principal_of(host: str) -> str:
    """Return the principal of a host: ``wmbackup@HOST`` in characters that need no quoting."""
    return "wmbackup@" + (_NOT_IN_PRINCIPAL.sub("-", host).strip("-") or "unknown")


def load(path: str) -> SigningKey:
    """Read a signing key. Raises SigningKeyMissing, SigningKeyUnusable or SystemFailure."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_FILE)
    except FileNotFoundError:
        raise SigningKeyMissing(
            f"there is no signing key at {path}",
            hint="make one with: wmbackup key create, or name one with --signing-key",
        ) from None
    except OSError as error:
        raise SystemFailure.of(error, "read the signing key", path) from error
    private = _parse_private(path, text)
    return SigningKey(path, sshsig.public_of(private), _is_exposed(path, mode), private)


def _parse_private(path: str, text: bytes) -> Ed25519PrivateKey:
    # Only those who sign load a private key, and it takes a tenth of the start of the others.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
    )

    try:
        private = serialization.load_ssh_private_key(text, password=None)
    except (ValueError, UnsupportedAlgorithm):
        reason = "is not an OpenSSH private key"
    except TypeError:
        reason = "is protected by a passphrase, which nobody can give in an unattended run"
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
        os.makedirs(os.path.dirname(path) or os.curdir, PRIVATE_FOLDER, exist_ok=True)
        if os.path.lexists(path):
            raise _exists(path)
        # The private file first: of two runs at once, one gets its name, and writes both.
        write(path, text, replace=False)
        write(f"{path}.pub", f"{sshsig.public_line(public)} {principal_of(host)}\n".encode())
    except OutputExists:
        raise _exists(path) from None
    except OSError as error:
        raise SystemFailure.of(error, "write the signing key", path) from error
    return SigningKey(path, public, exposed=False, private=private)


def _exists(path: str) -> KeyExists:
    return KeyExists(
        f"there is a signing key at {path}",
        hint="keep it: what it signed is believed for its sake",
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
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemFailure.of(error, "read", path) from error
    if len(text) > MAX_FILE:
        raise TrustFileInvalid(f"{path} is too large to be a list of keys")
    return text


def trust_line(principal: str, key: bytes) -> str:
    """Return the line of allowed_signers that believes a key for archives and nothing else."""
    return f'{principal} namespaces="archive@wmbackup" {sshsig.public_line(key)}'


def trust(path: str, principal: str, key: bytes) -> bool:
    """Believe a key under a principal; return False where it is believed already.

    Raises PrincipalTaken where another key holds the principal, TrustFileInvalid, Busy,
    SystemFailure.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(folder, PRIVATE_FOLDER, exist_ok=True)
        # Two at once would each write the file without the other's line.
        with Locks(folder, _LOCK_WAIT).hold("trust file", os.path.abspath(path), Control()):
            return _trust(path, principal, key)
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error


def _trust(path: str, principal: str, key: bytes) -> bool:
    text = _read(path) or b""
    with _named(path):
        signers = parse_allowed_signers(text)
    if any(signer.key == key for signer in signers):
        return False
    if any(principal in signer.principals.split(",") for signer in signers):
        raise PrincipalTaken(
            f"another key is trusted as {principal}",
            hint=f"believe it under a name of its own, with a line in {path}:"
            f" {trust_line(principal + '-2', key)}",
        )
    gap = b"" if not text or text.endswith(b"\n") else b"\n"
    write(path, text + gap + trust_line(principal, key).encode() + b"\n")
    return True


def create_trusted(path: str, allowed_signers: str, host: str) -> tuple[SigningKey, str]:
    """Make a signing key and trust it; return it and the principal.

    Where another key holds ``wmbackup@HOST``, as after a reinstallation, the new one gets a
    number behind it. Raises as `create` and `trust` do.
    """
    parse_allowed_signers(_read(allowed_signers) or b"")  # before there is a key to be lost
    key = create(path, host)
    principal = base = principal_of(host)
    number = 1
    while True:
        try:
            trust(allowed_signers, principal, key.public)
        except PrincipalTaken:
            number += 1
            principal = f"{base}-{number}"
        else:
            return key, principal

"""The key that signs archives: any OpenSSH Ed25519 key.

The one that `create` makes has no passphrase, so that cron can sign.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from wmbackup.archive import sshsig
from wmbackup.errors import (
    OutputExists,
    SetupUnusable,
    SigningKeyUnusable,
    SystemFailure,
    WmbackupError,
)
from wmbackup.storage.files import make_folders
from wmbackup.trust import small_files
from wmbackup.trust.allowed_signers import PrincipalTaken
from wmbackup.trust.policy import Signer, principal_of
from wmbackup.trust.trust_files import (
    KeyRevoked,
    Paths,
    held,
    read_revoked,
    read_signers,
    trust_held,
)
from wmbackup.trust.unlock import Signs, Unlock
from wmbackup.trust.unlock import load as load_key

if TYPE_CHECKING:
    from wmbackup.storage.locks import Locks


class KeyExists(WmbackupError):
    """There is a signing key already, and another would orphan what it signed."""

    code = "key-exists"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs archives. ``public`` is 32 raw bytes, ``path`` its file.

    ``exposed`` says that others can read it on a file system that keeps no permissions.
    """

    path: str
    public: bytes
    exposed: bool
    private: Signs = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as ``ssh-keygen -l`` prints it."""
        return sshsig.fingerprint(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the armored SSHSIG of a message."""
        return sshsig.sign_with(self.public, self.private.sign, message)


class Created(NamedTuple):
    """A signing key that is complete and trusted.

    ``completed`` says that an earlier run had made it, and was cut off.
    """

    key: SigningKey
    principal: str
    completed: bool


def load(path: str, unlock: Unlock = Unlock()) -> SigningKey:  # noqa: B008 - it is frozen
    """Read a signing key; ``unlock`` is for one that its file alone does not give.

    Raises SigningKeyMissing, SigningKeyUnusable, SetupUnusable or SystemFailure.
    """
    loaded = load_key(path, unlock)
    return SigningKey(path, loaded.public, loaded.exposed, loaded.private)


def load_own(path: str, unlock: Unlock = Unlock()) -> SigningKey:  # noqa: B008 - it is frozen
    """Read the signing key of this user, which can be made anew. Raises as `load` does."""
    try:
        return load(path, unlock)
    except SigningKeyUnusable as error:
        if error.reason is None:  # nothing else would mend this one
            error.reason = "own"
        raise


def create(path: str, host: str) -> SigningKey:
    """Make a signing key and its ``.pub`` file beside it.

    Raises KeyExists and leaves the one that is there; SystemFailure.
    """
    key = create_private_key(path)
    write_public(key, principal_of(host))
    return key


def create_private_key(path: str) -> SigningKey:
    """Make a private key that nobody trusts yet. Raises KeyExists, SystemFailure."""
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
    try:
        make_folders(os.path.dirname(path) or os.curdir)
        if os.path.lexists(path):
            raise _exists(path)
        small_files.write(path, text, "the signing key", replace=False)
    except OutputExists:
        raise _exists(path) from None
    except OSError as error:
        raise SystemFailure.of(error, "write the signing key", path) from error
    return load(path)  # also to see who can read it: some file systems keep no modes


def write_public(key: SigningKey, principal: str) -> None:
    """Write the ``.pub`` file of a key. Raises SystemFailure."""
    path = public_path(key.path)
    line = f"{sshsig.public_line(key.public)} {principal}\n"
    try:
        small_files.write(path, line.encode(), "the public key")
    except OSError as error:
        raise SystemFailure.of(error, "write", path) from error


def public_path(path: str) -> str:
    """Return where the public part of a signing key is."""
    return f"{path}.pub"


def next_path(path: str) -> str:
    """Return where a new signing key is until it takes the place of the old one."""
    return f"{path}.next"


def rotation_unfinished(path: str) -> SetupUnusable:
    """Return the error for a signing key whose rotation was cut off."""
    return SetupUnusable(
        f"there is no signing key at {path}: a run that replaced it was cut off",
        reason="rotation",
    )


def _exists(path: str) -> KeyExists:
    return KeyExists(f"there is a signing key at {path}", path=path)


def is_incomplete(path: str) -> bool:
    """Whether the run that made a signing key was cut off: its ``.pub`` file comes last."""
    return os.path.lexists(path) and not os.path.lexists(public_path(path))


def create_trusted(
    path: str,
    allowed_signers: str,
    host: str,
    revoked: Paths = None,
    locks: Locks | None = None,
) -> Created:
    """Make a signing key, trust it, and write its ``.pub`` file, in this order.

    What an earlier run left undone is completed. Where another key holds ``wmbackup@HOST``, as
    after a reinstallation, the new one gets a number behind it. Raises KeyExists where there is
    nothing to do, and as `load` and `trust` do.
    """
    with held(allowed_signers, locks) as file:
        trusted = read_signers(file)  # before there is a key to be lost
        read_revoked(revoked)
        completed = os.path.lexists(path)
        if not completed and os.path.lexists(next_path(path)):
            raise rotation_unfinished(path)
        key = load_own(path) if completed else create_private_key(path)
        is_known = any(signer.key == key.public for signer in trusted)
        if is_known and completed and not is_incomplete(path):
            raise _exists(path)
        principal = _trust_own(file, key, host, revoked)
        if not os.path.lexists(public_path(path)):
            write_public(key, principal_of(host))
        return Created(key, principal, completed)


def _trust_own(file: str, key: SigningKey, host: str, revoked: Paths) -> str:
    principal = base = principal_of(host)
    number = 1
    while True:
        try:
            known = trust_held(file, Signer(principal, key.public), revoked)
        except KeyRevoked as error:
            error.reason, error.path = "own", key.path
            raise
        except PrincipalTaken:
            number += 1
            principal = f"{base}-{number}"
        else:
            return principal if known is None else known.principals

"""Getting hold of a signing key: from its file, with a passphrase, or through ssh-agent.

Nothing here reads the environment or a terminal: an `Unlock` says what may be asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from wmbackup.archive import sshsig
from wmbackup.errors import SigningKeyMissing, SigningKeyUnusable
from wmbackup.trust import small_files
from wmbackup.trust.private_keys import (
    ED25519,
    CipherUnsupported,
    PassphraseWrong,
    belongs_to_user,
    has_package,
    open_private,
    read_private,
    refusal,
)
from wmbackup.trust.public_keys import is_key_type, parse_key, words

if TYPE_CHECKING:
    from wmbackup.trust.agent import Agent

_PUBLIC_PREFIXES = (b"ssh-", b"sk-", b"ecdsa-")


class SigningKeyLocked(SigningKeyUnusable):
    """The signing key has a passphrase, and nothing and nobody here gives it."""

    code = "signing-key-locked"


class Signs(Protocol):
    """Whatever makes raw Ed25519 signatures: a private key in memory, or ssh-agent."""

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64 bytes of a signature."""


@dataclass(frozen=True, slots=True)
class Unlock:
    """What may be asked for a key that its file alone does not give.

    ``agent`` is the address of ssh-agent. ``passphrase`` returns a passphrase and may be called
    ``tries`` times. Where ``is_given``, the user named one, and the agent is not asked before.
    """

    agent: str | None = None
    passphrase: Callable[[], bytes] | None = None
    is_given: bool = False
    tries: int = 1


class Loaded(NamedTuple):
    """A key that can sign; ``public`` is 32 raw bytes."""

    public: bytes
    exposed: bool
    private: Signs


class _OfAgent:
    """Signs by ssh-agent, which keeps the private key to itself."""

    def __init__(self, agent: Agent, public: bytes, path: str) -> None:
        self._agent = agent
        self._public = public
        self._path = path

    def sign(self, data: bytes, /) -> bytes:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        from wmbackup.trust.agent import AgentFailure

        try:
            signature = self._agent.sign(self._public, data)
            Ed25519PublicKey.from_public_bytes(self._public).verify(signature, data)
        except AgentFailure as error:
            raise SigningKeyUnusable(
                f"the signing key {self._path} did not sign: {error}",
                reason="agent-refused",
            ) from None
        except (InvalidSignature, ValueError):
            raise SigningKeyUnusable(
                f"the signing key {self._path} did not sign: ssh-agent returned an invalid"
                " signature",
                reason="agent-invalid",
            ) from None
        return signature


def load(path: str, unlock: Unlock) -> Loaded:
    """Get hold of a key: ``path`` is a private key file, or the public half of one elsewhere.

    Raises SigningKeyMissing, SigningKeyUnusable, SetupUnusable, SystemFailure, and what asking for
    a passphrase raises.
    """
    found = small_files.read(path, "the signing key")
    if found is None:
        half = small_files.read(f"{path}.pub", "the public key")
        if half is None:
            raise SigningKeyMissing(
                f"there is no signing key at {path}",
                path=path,
            )
        return _by_public_half(f"{path}.pub", half.data, unlock)
    if found.data.lstrip().removeprefix(b"\xef\xbb\xbf").startswith(_PUBLIC_PREFIXES):
        beside = path.removesuffix(".pub")
        has_private = beside != path and os.path.lexists(beside)
        return _by_public_half(path, found.data, unlock, beside if has_private else None)
    try:
        known = read_private(found.data)
    except ValueError as error:
        raise _unusable(path, str(error)) from None
    exposed = small_files.is_exposed(path, found.mode)
    if exposed:
        _refuse_exposed(path)
    if not known.is_encrypted:
        return Loaded(known.public, exposed, _open(path, found.data, None))
    signer = None if unlock.is_given else _in_agent(known.public, path, unlock)
    return Loaded(known.public, exposed, signer or _unlocked(path, found.data, unlock))


def read_public(path: str) -> bytes:
    """Return the public half of a key (32 raw bytes); no passphrase is needed. Raises as `load`."""
    found = small_files.read(path, "the signing key")
    if found is None:
        found = small_files.read(f"{path}.pub", "the public key")
        path = f"{path}.pub"
    if found is None:
        return load(path.removesuffix(".pub"), Unlock()).public  # which says that there is none
    if found.data.lstrip().removeprefix(b"\xef\xbb\xbf").startswith(_PUBLIC_PREFIXES):
        return _public_half(path, found.data)
    try:
        known = read_private(found.data)
    except ValueError as error:
        raise _unusable(path, str(error)) from None
    if not known.is_encrypted:
        _open(path, found.data, None)  # a file whose two halves do not fit is none
    return known.public


def has_passphrase(path: str) -> bool:
    """Whether a private key file is encrypted; not where it is none. Raises SystemFailure."""
    found = small_files.read(path, "the signing key")
    try:
        return found is not None and read_private(found.data).is_encrypted
    except ValueError:
        return False


def _by_public_half(path: str, text: bytes, unlock: Unlock, private: str | None = None) -> Loaded:
    public = _public_half(path, text)
    signer = _in_agent(public, path, unlock, must=private is None)
    if signer is not None:
        return Loaded(public, False, signer)
    assert private is not None  # noqa: S101 - or the agent had to have it
    loaded = load(private, unlock)
    if loaded.public != public:
        raise _unusable(path, f"is the public half of another key than {private}")
    return loaded


def _public_half(path: str, text: bytes) -> bytes:
    """Return the key of a public key file. Raises SigningKeyUnusable."""
    line = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").strip()
    kind = words(line, 1)[0]
    if "\n" in line:
        raise _unusable(path, "is a public key with more than one line")
    if kind != ED25519 and is_key_type(kind) and kind.isprintable():
        raise _unusable(path, refusal(kind[:60]))
    try:
        key = parse_key(line)
    except ValueError as error:
        raise _unusable(path, f"is a public key that cannot be used: {error}") from None
    if key is None:
        raise _unusable(path, refusal(kind))
    return key


def _in_agent(public: bytes, path: str, unlock: Unlock, *, must: bool = False) -> Signs | None:
    """Return what signs by the agent; None where it does not, unless it ``must``."""
    from wmbackup.trust.agent import Agent, AgentFailure

    mark = sshsig.fingerprint(public)
    private = path.removesuffix(".pub")
    if unlock.agent is None:
        if must:
            raise SigningKeyUnusable(
                f"the signing key {path} is a public key, and no ssh-agent is running that could"
                " hold its private half",
                reason="no-agent",
                path=private,
            )
        return None
    agent = Agent(unlock.agent)
    try:
        if agent.holds(public):
            return _OfAgent(agent, public, path)
        reason = f"ssh-agent does not hold the key {mark}"
    except AgentFailure as error:
        reason = str(error)
    if must:
        raise SigningKeyUnusable(
            f"the signing key {path} is a public key, and {reason}",
            reason="not-in-agent",
            path=private,
        )
    return None


def _unlocked(path: str, text: bytes, unlock: Unlock) -> Signs:
    """Open an encrypted key with a passphrase."""
    if unlock.passphrase is None:
        raise SigningKeyLocked(
            f"the signing key {path} is protected by a passphrase, and there is nobody to ask",
            path=path,
        )
    if not has_package():
        raise SigningKeyUnusable(
            f"the signing key {path} is encrypted, and the package that opens such keys is not"
            " installed",
            reason="no-package",
            path=path,
        )
    for left in reversed(range(unlock.tries)):
        try:
            return open_private(text, unlock.passphrase())
        except PassphraseWrong:
            if left:
                continue
            raise SigningKeyUnusable(
                f"the passphrase does not open the signing key {path}",
                reason="wrong-passphrase",
                path=path,
            ) from None
        except CipherUnsupported as error:
            raise SigningKeyUnusable(
                f"the signing key {path} {error}",
                reason="cipher",
                path=path,
            ) from None
        except ValueError as error:
            raise _unusable(path, str(error)) from None
    raise AssertionError("a passphrase is tried at least once")


def _open(path: str, text: bytes, passphrase: bytes | None) -> Signs:
    try:
        return open_private(text, passphrase)
    except ValueError as error:
        raise _unusable(path, str(error)) from None


def _refuse_exposed(path: str) -> None:
    """Refuse a private key of this user that others can use, as ssh does.

    On a file system that keeps no permissions there is nothing that could be mended: the caller is
    told that the key is exposed. Where the machine does not tell, nothing is said of the key:
    raises SystemFailure.
    """
    if belongs_to_user(path) and small_files.can_hide(path):
        raise SigningKeyUnusable(
            f"other users can read the signing key {path}, and such a key is not used",
            reason="exposed",
            path=path,
        )


def _unusable(path: str, reason: str) -> SigningKeyUnusable:
    return SigningKeyUnusable(f"the signing key {path} {reason}", path=path)

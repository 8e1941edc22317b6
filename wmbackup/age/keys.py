"""Who can open an age file: X25519 recipients and identities, and passphrases (C2SP age, v1)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from wmbackup.age import bech32
from wmbackup.age.header import FILE_KEY_SIZE, Stanza, b64decode, b64encode, derive
from wmbackup.errors import EnvelopeDamaged

X25519 = "X25519"
SCRYPT = "scrypt"
MAX_WORK_FACTOR = 20
"""The largest scrypt work factor that is read: 2^20 takes 1 GiB of memory."""

WORK_FACTOR = 18
"""The work factor that is written: 2^18 takes 256 MiB and about a second."""

_KEY_SIZE = 32
_SALT_SIZE = 16
_BODY_SIZE = FILE_KEY_SIZE + 16  # with the tag
_RECIPIENT = "age"
_IDENTITY = "age-secret-key-"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_SCRYPT_INFO = b"age-encryption.org/v1/scrypt"
_NUMBER = re.compile(r"[1-9][0-9]{0,2}\Z")
_ZERO_NONCE = bytes(12)


class Recipient(Protocol):
    """Somebody for whom a file key is wrapped."""

    @property
    def name(self) -> str:
        """``age1…``, or ``passphrase``."""

    def wrap(self, file_key: bytes) -> Stanza:
        """Return the file key, wrapped with fresh randomness."""


class Identity(Protocol):
    """A secret that may open a file."""

    @property
    def name(self) -> str:
        """The name of its recipient."""

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the file key, or None where no stanza is meant for this identity.

        Raises EnvelopeDamaged for a stanza of its type that is malformed.
        """


class X25519Recipient:
    """``age1…``: the public half of an X25519 identity."""

    def __init__(self, public: bytes) -> None:
        """Take the 32 raw bytes."""
        self.public = public

    @classmethod
    def parse(cls, text: str) -> X25519Recipient:
        """Read ``age1…``. Raises ValueError."""
        prefix, public = bech32.decode(text)
        if prefix != _RECIPIENT or len(public) != _KEY_SIZE:
            raise ValueError("not an age recipient of the kind age1…")
        recipient = cls(public)
        try:
            recipient.wrap(bytes(FILE_KEY_SIZE))
        except ValueError:  # a point of low order: anybody could open what is made for it
            raise ValueError("an age recipient that protects nothing; nobody made it") from None
        return recipient

    @property
    def name(self) -> str:
        """See `Recipient`."""
        return str(self)

    def __str__(self) -> str:
        """Return ``age1…``."""
        return bech32.encode(_RECIPIENT, self.public)

    def __repr__(self) -> str:
        """Return it readable."""
        return f"X25519Recipient({self})"

    def __eq__(self, other: object) -> bool:
        """Whether both name the same key."""
        return isinstance(other, X25519Recipient) and self.public == other.public

    def __hash__(self) -> int:
        """Return the hash of the key."""
        return hash(self.public)

    def wrap(self, file_key: bytes) -> Stanza:
        """See `Recipient`. Raises ValueError for a key with which nothing can be agreed."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.public))
        key = derive(shared, share + self.public, _X25519_INFO)
        return Stanza(X25519, (b64encode(share),), _seal(key, file_key))


class X25519Identity:
    """``AGE-SECRET-KEY-1…``: a private key."""

    def __init__(self, private: X25519PrivateKey) -> None:
        """Take the key."""
        self._private = private
        self.recipient = X25519Recipient(private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> X25519Identity:
        """Make a new one."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> X25519Identity:
        """Read ``AGE-SECRET-KEY-1…``. Raises ValueError, which never has any of the text."""
        try:
            prefix, raw = bech32.decode(text)
        except ValueError:
            prefix, raw = "", b""
        if prefix != _IDENTITY.upper() or len(raw) != _KEY_SIZE:
            raise ValueError("not an age identity of the kind AGE-SECRET-KEY-1…")
        return cls(X25519PrivateKey.from_private_bytes(raw))

    @property
    def name(self) -> str:
        """See `Identity`."""
        return str(self.recipient)

    def secret(self) -> str:
        """Return ``AGE-SECRET-KEY-1…``, for its file and for nothing else."""
        return bech32.encode(_IDENTITY, self._private.private_bytes_raw()).upper()

    def __repr__(self) -> str:
        """Return the public half alone."""
        return f"X25519Identity({self.recipient})"

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """See `Identity`."""
        return next((key for key in map(self._try, stanzas) if key is not None), None)

    def _try(self, stanza: Stanza) -> bytes | None:
        if stanza.type != X25519:
            return None
        share = b64decode(stanza.arguments[0].encode(), _KEY_SIZE)
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:  # a point of low order: anybody would agree on the same secret
            raise _malformed(X25519) from None
        key = derive(shared, share + self.recipient.public, _X25519_INFO)
        return _open(key, stanza.body)


class Passphrase:
    """A passphrase, as recipient and as identity; asked for when it is needed and once."""

    name = "passphrase"

    def __init__(self, ask: Callable[[], bytes], work_factor: int = WORK_FACTOR) -> None:
        """Take what returns the passphrase, and log2 of the work to write.

        Raises ValueError for more work than is written.
        """
        if not 0 < work_factor <= WORK_FACTOR:
            raise ValueError(f"the work factor must be 1 to {WORK_FACTOR}")
        self._ask = ask
        self._known: bytes | None = None
        self._work_factor = work_factor

    def __repr__(self) -> str:
        """Return nothing of the passphrase."""
        return "Passphrase(…)"

    def wrap(self, file_key: bytes) -> Stanza:
        """See `Recipient`."""
        salt = os.urandom(_SALT_SIZE)
        key = self._stretch(salt, self._work_factor)
        arguments = (b64encode(salt), str(self._work_factor))
        return Stanza(SCRYPT, arguments, _seal(key, file_key))

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """See `Identity`."""
        if not any(stanza.type == SCRYPT for stanza in stanzas):
            return None
        (stanza,) = stanzas  # `check_stanzas` has seen to it
        salt, work = stanza.arguments
        return _open(self._stretch(b64decode(salt.encode(), _SALT_SIZE), int(work)), stanza.body)

    def _stretch(self, salt: bytes, work_factor: int) -> bytes:
        if self._known is None:
            self._known = self._ask()
        salted = _SCRYPT_INFO + salt
        return Scrypt(salt=salted, length=32, n=2**work_factor, r=8, p=1).derive(self._known)


def check_stanzas(stanzas: Sequence[Stanza]) -> None:
    """Check every stanza of a known type, also those that nobody here would open.

    Raises EnvelopeDamaged.
    """
    types = [stanza.type for stanza in stanzas]
    for stanza in stanzas:
        match stanza.type, stanza.arguments:
            case "X25519", (share,) if len(stanza.body) == _BODY_SIZE:
                b64decode(share.encode(), _KEY_SIZE)
            case "scrypt", (salt, work) if len(stanza.body) == _BODY_SIZE and _NUMBER.match(work):
                b64decode(salt.encode(), _SALT_SIZE)
                _check_work(int(work))
            case (("X25519" | "scrypt"), _):
                raise _malformed(stanza.type)
    if SCRYPT in types and len(types) > 1:
        raise EnvelopeDamaged("a passphrase must be the only way to open an age file")


def _check_work(work: int) -> None:
    if work > MAX_WORK_FACTOR:
        raise EnvelopeDamaged(
            f"the passphrase takes 2^{work} steps of work; at most 2^{MAX_WORK_FACTOR} are done"
        )


def _malformed(kind: str) -> EnvelopeDamaged:
    return EnvelopeDamaged(f"the encryption has a malformed {kind} recipient")


def _seal(key: bytes, file_key: bytes) -> bytes:
    return ChaCha20Poly1305(key).encrypt(_ZERO_NONCE, file_key, None)


def _open(key: bytes, body: bytes) -> bytes | None:
    try:
        return ChaCha20Poly1305(key).decrypt(_ZERO_NONCE, body, None)
    except InvalidTag:
        return None

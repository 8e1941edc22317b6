"""OpenSSH private keys as they are written in files (PROTOCOL.key).

What a file says of its key is read without a passphrase. Nothing private is in a message.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

from wmbackup.archive.sshsig import KEY_SIZE, public_of
from wmbackup.trust import sealed_keys
from wmbackup.trust.sealed_keys import Sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = "ssh-ed25519"
SUPPORTED = "archives are signed with plain Ed25519 keys, from a file or from ssh-agent"
_MAGIC = b"openssh-key-v1\0"
_ARMOR = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\s(.*?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL
)
_PLAIN = b"none"
_MAX_ROUNDS = 10_000
"""Rounds of bcrypt_pbkdf that are waited for; ssh-keygen takes 16 unless -a says more."""

_OTHER_FORMS = (
    (b"-----BEGIN RSA PRIVATE KEY-----", "ssh-rsa"),
    (b"-----BEGIN EC PRIVATE KEY-----", "ecdsa"),
    (b"-----BEGIN DSA PRIVATE KEY-----", "ssh-dss"),
)


class PassphraseWrong(ValueError):
    """The passphrase does not open the key."""


class CipherUnsupported(ValueError):
    """The key is encrypted with a cipher that cryptography does not know."""


class PrivateKeyText(NamedTuple):
    """A private key as its file says it without a passphrase; ``public`` is 32 raw bytes."""

    public: bytes
    is_encrypted: bool


def refusal(kind: str) -> str:
    """Return why a key of this type, which is not plain Ed25519, signs no archive."""
    if kind.endswith("-cert-v01@openssh.com"):
        return f"is a certificate ({kind}); name the key itself"
    if kind.startswith("sk-"):
        return f"is held by a FIDO token ({kind}): {SUPPORTED}"
    return f"is not an Ed25519 key ({kind}): {SUPPORTED}"


def read_private(text: bytes) -> PrivateKeyText:
    """Read what a private key file says without a passphrase.

    Raises ValueError, whose text goes on where a message has named the file.
    """
    for mark, kind in _OTHER_FORMS:
        if mark in text:
            raise ValueError(refusal(kind))
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("is UTF-16, as Windows PowerShell writes texts; save it as UTF-8")
    if text.startswith(b"PuTTY-User-Key-File"):
        raise ValueError("is a key of PuTTY; export it as an OpenSSH key with PuTTYgen")
    try:
        sealed, blob = _parse(text)
        strings = _Strings(blob)
        kind, public = strings.next().decode("ascii"), strings.next()
    except (ValueError, struct.error, binascii.Error):
        raise ValueError("is not an OpenSSH private key") from None
    if kind != ED25519:
        raise ValueError(refusal(kind) if kind.isprintable() else "is not an OpenSSH private key")
    if len(public) != KEY_SIZE:
        raise ValueError("is not an OpenSSH private key")
    if sealed.rounds > _MAX_ROUNDS:
        raise ValueError(
            f"takes {sealed.rounds:,} rounds to open; at most {_MAX_ROUNDS:,} are waited for"
        )
    return PrivateKeyText(public, sealed.cipher != _PLAIN)


def open_private(text: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Return the private key that `read_private` has described.

    Raises PassphraseWrong, CipherUnsupported, ValueError.
    """
    # Only those who sign load a private key, and it takes a tenth of the start of the others.
    from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    known = read_private(text)
    try:
        private = serialization.load_ssh_private_key(text, passphrase)
    except (ValueError, TypeError, OverflowError, NotImplementedError, KeyError) as error:
        if known.is_encrypted and passphrase is not None and isinstance(error, ValueError):
            raise PassphraseWrong("is not opened by this passphrase") from None
        # The parser's ways to refuse a file, such as a point in compressed form, are many.
        raise ValueError("is not an OpenSSH private key") from None
    except InvalidTag:  # of aes256-gcm
        raise PassphraseWrong("is not opened by this passphrase") from None
    except UnsupportedAlgorithm:
        private = _open_otherwise(text, passphrase)
    if not isinstance(private, Ed25519PrivateKey) or public_of(private) != known.public:
        raise ValueError("is not an OpenSSH private key")
    return private


def _open_otherwise(text: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Open a key whose cipher cryptography's reader does not know. Raises as `open_private`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    sealed, _ = _parse(text)
    if not sealed_keys.opens(sealed.cipher) or passphrase is None:
        raise CipherUnsupported("is encrypted with a cipher that is not supported here")
    try:
        strings = _Strings(sealed_keys.decrypt(sealed, passphrase))
        is_opened = strings.number() == strings.number()
        kind, public, pair = strings.next(), strings.next(), strings.next()
    except ImportError:
        raise CipherUnsupported("is encrypted with a cipher that is not supported here") from None
    except (ValueError, struct.error):
        raise PassphraseWrong("is not opened by this passphrase") from None
    if not is_opened:
        raise PassphraseWrong("is not opened by this passphrase")
    if kind != ED25519.encode() or len(pair) != 2 * KEY_SIZE or pair[KEY_SIZE:] != public:
        raise ValueError("is not an OpenSSH private key")
    return Ed25519PrivateKey.from_private_bytes(pair[:KEY_SIZE])


def has_package() -> bool:
    """Whether the package that opens encrypted keys, which cryptography uses, is installed."""
    import importlib.util

    return importlib.util.find_spec("bcrypt") is not None


def belongs_to_user(path: str) -> bool:
    """Whether a file is this user's, as ssh asks before it looks at the permissions."""
    if sys.platform == "win32":
        return True
    else:  # noqa: RET505 - mypy tells systems apart by such branches
        return os.stat(path).st_uid == os.getuid()


class _Strings:
    """The strings of which a blob consists."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob
        self._at = 0

    def number(self) -> int:
        value: int = struct.unpack_from(">I", self._blob, self._at)[0]
        self._at += 4
        return value

    def next(self) -> bytes:
        size = self.number()
        if size > len(self._blob) - self._at:
            raise ValueError
        self._at += size
        return self._blob[self._at - size : self._at]

    def rest(self) -> bytes:
        return self._blob[self._at :]


def _parse(text: bytes) -> tuple[Sealed, bytes]:
    """Return the private part as it is written, and the public key, of the one key in a file."""
    armored = _ARMOR.search(text)
    if armored is None:
        raise ValueError
    blob = base64.b64decode(b"".join(armored[1].split()), validate=True)
    if not blob.startswith(_MAGIC):
        raise ValueError
    strings = _Strings(blob[len(_MAGIC) :])
    cipher, _function, options = strings.next(), strings.next(), strings.next()
    if strings.number() != 1:
        raise ValueError
    salt, rounds = b"", 0
    if options:
        parts = _Strings(options)
        salt, rounds = parts.next(), parts.number()
    public = strings.next()
    return Sealed(cipher, salt, rounds, strings.next(), strings.rest()), public

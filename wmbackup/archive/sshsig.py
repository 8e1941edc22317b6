"""OpenSSH signatures exactly as ``ssh-keygen -Y sign`` writes them (PROTOCOL.sshsig).

Ed25519 alone, one encoding alone. Keys are the 32 raw bytes of the public key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from wmbackup.errors import ArchiveDamaged

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMESPACE = b"archive@wmbackup"
ARMORED_SIZE = 310
KEY_SIZE = 32

_KEY_TYPE = b"ssh-ed25519"
_MAGIC = b"SSHSIG"
_COLUMNS = 70
_BEGIN = b"-----BEGIN SSH SIGNATURE-----\n"
_END = b"-----END SSH SIGNATURE-----\n"


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


_BEFORE_KEY = _MAGIC + struct.pack(">I", 1) + struct.pack(">I", 51) + _string(_KEY_TYPE)
_BEFORE_KEY += struct.pack(">I", KEY_SIZE)
_BEFORE_SIGNATURE = (
    _string(NAMESPACE) + _string(b"") + _string(b"sha512") + struct.pack(">I", 83)
) + (_string(_KEY_TYPE) + struct.pack(">I", 64))


def _signed_data(message: bytes) -> bytes:
    digest = hashlib.sha512(message).digest()
    return _MAGIC + _string(NAMESPACE) + _string(b"") + _string(b"sha512") + _string(digest)


def public_blob(key: bytes) -> bytes:
    """Return the public key as it stands, in base64, in an OpenSSH key line."""
    return _string(_KEY_TYPE) + _string(key)


def public_line(key: bytes) -> str:
    """Return ``ssh-ed25519 AAAA…``: the key as in ``id_ed25519.pub``, without a comment."""
    return f"{_KEY_TYPE.decode()} {base64.b64encode(public_blob(key)).decode()}"


def parse_public(key_type: str, encoded: str) -> bytes | None:
    """Return the key of an OpenSSH key line; None where it is of another type.

    Raises ValueError where it says that it is Ed25519 and is not a key.
    """
    if key_type != _KEY_TYPE.decode():
        return None
    blob = base64.b64decode(encoded, validate=True)
    key = blob[-KEY_SIZE:]
    if len(key) != KEY_SIZE or blob != public_blob(key):
        raise ValueError("not an Ed25519 public key")
    return key


def fingerprint(key: bytes) -> str:
    """Return ``SHA256:…`` as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(public_blob(key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def public_of(private: Ed25519PrivateKey) -> bytes:
    """Return the public key of a private one."""
    return private.public_key().public_bytes_raw()


def sign(private: Ed25519PrivateKey, message: bytes) -> bytes:
    """Return the armored signature of a message: always 310 bytes."""
    return sign_with(public_of(private), private.sign, message)


def sign_with(public: bytes, sign_raw: Callable[[bytes], bytes], message: bytes) -> bytes:
    """Return what `sign` returns; ``sign_raw`` makes the 64 bytes of the Ed25519 signature."""
    blob = _BEFORE_KEY + public + _BEFORE_SIGNATURE
    return _armor(blob + sign_raw(_signed_data(message)))


def _armor(blob: bytes) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[at : at + _COLUMNS] + b"\n" for at in range(0, len(text), _COLUMNS)]
    return _BEGIN + b"".join(lines) + _END


def signer(armored: bytes, message: bytes) -> bytes:
    """Return the key that signed the message.

    That it signed says nothing about whether it is trusted. Raises ArchiveDamaged for any
    other encoding, namespace or algorithm, and for a signature that does not verify.
    """
    try:
        text = armored[len(_BEGIN) : -len(_END)].replace(b"\n", b"")
        blob = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ArchiveDamaged("a signature is not in the armor that ssh-keygen writes") from None
    key = blob[len(_BEFORE_KEY) : len(_BEFORE_KEY) + KEY_SIZE]
    signature = blob[-64:]
    # Whoever writes the same blob again gets the same bytes, or the encoding is another one.
    if armored != _armor(_BEFORE_KEY + key + _BEFORE_SIGNATURE + signature):
        raise ArchiveDamaged("a signature is not in the form that this format allows")
    # A tenth of the start of those who have no archive before them.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, _signed_data(message))
    except (InvalidSignature, ValueError):
        raise ArchiveDamaged("a signature does not fit what it signs") from None
    return key

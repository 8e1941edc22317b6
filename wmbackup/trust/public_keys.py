"""OpenSSH public keys and certificates as they are written in text files.

Of whatever type a key is, it is read as strictly as ``ssh-keygen`` reads it; only Ed25519 keys are
returned, since no other key signs archives.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct

from wmbackup.archive.sshsig import KEY_SIZE, parse_public, public_blob

_ED25519 = "ssh-ed25519"
_RSA = "ssh-rsa"
_SK_ED25519 = "sk-ssh-ed25519@openssh.com"
_SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
_ECDSA = ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_CERTIFICATE = "-cert-v01@openssh.com"
_FIELDS = {_ED25519: 1, _RSA: 2, **dict.fromkeys(_ECDSA, 2), _SK_ED25519: 2, _SK_ECDSA: 3}
"""How many strings a key has behind its type. OpenSSH 10 reads no DSA keys, and neither do we."""

_CERTIFICATES = {kind.removesuffix("@openssh.com") + _CERTIFICATE: kind for kind in _FIELDS}
_LEAST_RSA, _MOST_RSA = 1024, 16384  # bits
_MOST_PRINCIPALS = 256  # of a certificate: SSHKEY_CERT_MAX_PRINCIPALS
_PREFIXES = ("ssh-", "sk-", "ecdsa-")
_REFUSALS = (ValueError, OverflowError, NotImplementedError, KeyError)
"""How the library refuses what is no key; points in compressed form, by NotImplementedError."""

_DAMAGED = "the key is damaged or incomplete"


def is_key_type(text: str) -> bool:
    """Whether a text begins as the type of a key does."""
    return text.startswith(_PREFIXES)


def words(text: str, most: int) -> list[str]:
    """Split a text as OpenSSH does: blanks are spaces and tabs, and none of Unicode."""
    return re.split(r"[ \t]+", text.strip(" \t"), maxsplit=most)


def parse_key(text: str) -> bytes | None:
    """Read ``TYPE BASE64 [COMMENT]``; None where it is a valid key of another type.

    Raises ValueError, whose text is a reason.
    """
    kind, encoded = _kind_and_key(text)
    if kind not in _FIELDS:
        raise ValueError(_no_type(kind))
    if kind == _ED25519:
        return _ed25519(encoded)
    _check_plain(kind, _strings(_decoded(encoded)))
    return None


def parse_revoked_key(text: str) -> frozenset[bytes]:
    """Return the Ed25519 keys that a line of revoked keys revokes.

    A certificate revokes the key in it, and not the key that signed it. Raises ValueError.
    """
    if not text:
        raise ValueError("there is nothing but a carriage return")
    kind, encoded = _kind_and_key(text)
    if kind not in _CERTIFICATES:
        key = parse_key(text)
        return frozenset(() if key is None else (key,))
    return _certified(kind, encoded)


def _kind_and_key(text: str) -> tuple[str, str]:
    found = words(text, 2)
    if len(found) < 2:  # noqa: PLR2004 - a type and a key
        raise ValueError("there is no key")
    return found[0], found[1]


def _no_type(kind: str) -> str:
    return f"{kind[:40]!r} is no type of a key" if kind.isprintable() else "there is no key"


def _ed25519(encoded: str) -> bytes:
    try:
        key = parse_public(_ED25519, encoded)
    except ValueError:
        key = None
    # Base64 that says the same in other characters is another text for ssh-keygen(1).
    if key is None or encoded != base64.b64encode(public_blob(key)).decode():
        raise ValueError(_DAMAGED)
    return key


def _decoded(encoded: str) -> bytes:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_DAMAGED) from None
    if base64.b64encode(blob).decode() != encoded:
        raise ValueError(_DAMAGED)
    return blob


def _strings(blob: bytes) -> list[bytes]:
    """Return the strings of which a key consists to its end. Raises ValueError."""
    found, at = [], 0
    while at < len(blob):
        end = at + 4
        if end > len(blob) or end + (size := struct.unpack_from(">I", blob, at)[0]) > len(blob):
            raise ValueError(_DAMAGED)
        at = end + size
        found.append(blob[end:at])
    return found


def _check_plain(kind: str, strings: list[bytes]) -> None:
    """Check a key that is no certificate, given as all of its strings. Raises ValueError."""
    if len(strings) != 1 + _FIELDS[kind] or strings[0] != kind.encode():
        raise ValueError(_DAMAGED)
    if kind == _SK_ED25519:
        if len(strings[1]) != KEY_SIZE:
            raise ValueError(_DAMAGED)
    elif kind == _SK_ECDSA:
        _load(_ECDSA[0], [_ECDSA[0].encode(), *strings[1:3]])
    else:
        _load(kind, strings)


def _load(kind: str, strings: list[bytes]) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    blob = b"".join(struct.pack(">I", len(value)) + value for value in strings)
    try:
        key = load_ssh_public_key(f"{kind} {base64.b64encode(blob).decode()}".encode())
    except (*_REFUSALS, UnsupportedAlgorithm):
        raise ValueError(_DAMAGED) from None
    if isinstance(key, rsa.RSAPublicKey) and not _LEAST_RSA <= key.key_size <= _MOST_RSA:
        raise ValueError(f"the key has {key.key_size:,} bits; {_LEAST_RSA:,} are the least")


def _certified(kind: str, encoded: str) -> frozenset[bytes]:
    """Return the Ed25519 key in a certificate whose signature is valid. Raises ValueError."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import (
        SSHCertificate,
        load_ssh_public_identity,
    )

    _decoded(encoded)
    try:
        found = load_ssh_public_identity(f"{kind} {encoded}".encode())
        if not isinstance(found, SSHCertificate) or len(found.valid_principals) > _MOST_PRINCIPALS:
            raise ValueError(_DAMAGED)
        _ = found.type  # of a user or of a host; any other is an error
        found.verify_cert_signature()
        keys = (found.public_key(), found.signature_key())
    except (*_REFUSALS, InvalidSignature, TypeError, UnsupportedAlgorithm):
        raise ValueError("the certificate is damaged, or of a kind that is not known") from None
    sizes = [key.key_size for key in keys if isinstance(key, rsa.RSAPublicKey)]
    if any(not _LEAST_RSA <= size <= _MOST_RSA for size in sizes):
        raise ValueError("the certificate has a key of too few or too many bits")
    # A key on a token is another key than its 32 bytes alone.
    if isinstance(keys[0], Ed25519PublicKey) and _CERTIFICATES[kind] == _ED25519:
        return frozenset({keys[0].public_bytes_raw()})
    return frozenset()

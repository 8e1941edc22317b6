"""A second writer of age files, made from the specification alone (C2SP age, v1).

It imports nothing of wmbackup, draws nothing at random, and makes what is wrong as readily as what
is right. Its keys are worth nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

IDENTITY = "AGE-SECRET-KEY-1RFQC4LGDUZJME5DRT7HWYVZ9YJ9UC0QDKNU5QEJQS8KQGGH0TV0SNF7ZJT"
OTHER_IDENTITY = "AGE-SECRET-KEY-1U4859M3AX0477AH9A6788WAGQT2LMXWMS9K2DXNDYPPA5TDRML9SL35SF2"
PASSPHRASE = b"correct horse battery staple"
FILE_KEY = hashlib.sha256(b"file key of the vectors").digest()[:16]
NONCE = hashlib.sha256(b"nonce of the vectors").digest()[:16]
SALT = hashlib.sha256(b"salt of the vectors").digest()[:16]
VERSION = b"age-encryption.org/v1\n"
CHUNK = 65536
WORK = 10  # 2^10: the tests are many
_LETTERS = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"


def raw_key(identity: str) -> bytes:
    """Return the 32 bytes of an identity; its checksum is not looked at."""
    number = 0
    for letter in identity.rpartition("1")[2][:-6]:
        number = number << 5 | _LETTERS.index(letter)
    return (number >> 4).to_bytes(32, "big")  # 52 letters are 260 bits


def b64(data: bytes) -> bytes:
    """Return base64 without padding."""
    return base64.b64encode(data).rstrip(b"=")


def lines(body: bytes) -> bytes:
    """Return the body of a stanza as it is written, with the short line that ends it."""
    text = b64(body)
    return b"".join(text[at : at + 64] + b"\n" for at in range(0, len(text) + 1, 64))


def hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt or bytes(32), info=info).derive(key)


def seal(key: bytes, data: bytes, nonce: bytes = bytes(12)) -> bytes:
    """Return data, encrypted, and its tag."""
    return ChaCha20Poly1305(key).encrypt(nonce, data, None)


def x25519(identity: str = IDENTITY, file_key: bytes = FILE_KEY, seed: bytes = b"1") -> bytes:
    """Return a stanza for the recipient of an identity."""
    share, body = x25519_parts(identity, file_key, seed)
    return b"-> X25519 " + b64(share) + b"\n" + lines(body)


def x25519_parts(
    identity: str = IDENTITY, file_key: bytes = FILE_KEY, seed: bytes = b"1"
) -> tuple[bytes, bytes]:
    """Return the share and the body of such a stanza."""
    ephemeral = X25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
    public = X25519PrivateKey.from_private_bytes(raw_key(identity)).public_key().public_bytes_raw()
    share = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    key = hkdf(shared, share + public, b"age-encryption.org/v1/X25519")
    return share, seal(key, file_key)


def scrypt_parts(work: int = WORK, file_key: bytes = FILE_KEY, salt: bytes = SALT) -> bytes:
    """Return the body of a stanza for the passphrase."""
    label = b"age-encryption.org/v1/scrypt"
    key = hashlib.scrypt(PASSPHRASE, salt=label + salt, n=2**work, r=8, p=1, dklen=32)
    return seal(key, file_key)


def scrypt(work: int = WORK, said: bytes | None = None, salt: bytes = SALT) -> bytes:
    """Return such a stanza; ``said`` is what it says of its work."""
    said = str(work).encode() if said is None else said
    return b"-> scrypt " + b64(salt) + b" " + said + b"\n" + lines(scrypt_parts(work, salt=salt))


def chunks(data: bytes) -> list[bytes]:
    """Return the plaintext of each chunk; no data is one empty chunk."""
    return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)] or [b""]


def stream(parts: Sequence[bytes], last: Sequence[int] | None = None) -> bytes:
    """Return sealed chunks; ``last`` are the indexes of those that are marked as the last one."""
    marked = (len(parts) - 1,) if last is None else last
    key = hkdf(FILE_KEY, NONCE, b"payload")
    return b"".join(
        seal(key, part, index.to_bytes(11, "big") + bytes([index in marked]))
        for index, part in enumerate(parts)
    )


def same(data: bytes) -> bytes:
    """Return what is given."""
    return data


@dataclass(frozen=True)
class Draft:
    """An age file on its way: each part of it can be another."""

    stanzas: bytes = field(default_factory=x25519)
    version: bytes = VERSION
    payload: bytes = b"age"
    mac: Callable[[bytes], bytes] = same
    end: bytes = b"\n"
    nonce: bytes = NONCE
    sealed: bytes | None = None

    def header(self) -> bytes:
        """Return the header."""
        text = self.version + self.stanzas + b"---"
        mac = hmac.digest(hkdf(FILE_KEY, b"", b"header"), text, "sha256")
        return text + self.mac(b" " + b64(mac)) + self.end

    def encode(self) -> bytes:
        """Return the file."""
        sealed = stream(chunks(self.payload)) if self.sealed is None else self.sealed
        return self.header() + self.nonce + sealed

"""Opening the private part of an OpenSSH key with ciphers that cryptography's own reader lacks.

`ssh-keygen -Z` takes every cipher of OpenSSH. Its key file is described in PROTOCOL.key: the
key and the IV come from bcrypt_pbkdf, and an authenticated cipher has its tag behind the blob.
``chacha20-poly1305@openssh.com`` is described in PROTOCOL.chacha20poly1305, here with the
sequence number 0.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherAlgorithm

_AES = 16  # bytes of a block
_CHACHA = b"chacha20-poly1305@openssh.com"
_CHACHA_KEY = 64  # bytes: the payload's key, and that of lengths, which a file does not have


class Sealed(NamedTuple):
    """The private part of a key file; ``tag`` is empty where the cipher has none."""

    cipher: bytes
    salt: bytes
    rounds: int
    data: bytes
    tag: bytes


class _Sizes(NamedTuple):
    """The sizes of a cipher's key, IV and blocks, in bytes."""

    key: int
    iv: int
    block: int


_SIZES = {
    b"aes128-ctr": _Sizes(16, 16, 16),
    b"aes192-ctr": _Sizes(24, 16, 16),
    b"aes128-cbc": _Sizes(16, 16, 16),
    b"aes192-cbc": _Sizes(24, 16, 16),
    b"aes128-gcm@openssh.com": _Sizes(16, 12, 16),
    b"3des-cbc": _Sizes(24, 8, 8),
    _CHACHA: _Sizes(_CHACHA_KEY, 0, 8),
}


def opens(cipher: bytes) -> bool:
    """Whether `decrypt` knows a cipher."""
    return cipher in _SIZES


def decrypt(sealed: Sealed, passphrase: bytes) -> bytes:
    """Return the private part. Raises ValueError where a tag or a size is wrong.

    A cipher without a tag gives something for any passphrase: the caller compares the two equal
    numbers with which the part begins. Raises ImportError without bcrypt.
    """
    import bcrypt

    sizes = _SIZES[sealed.cipher]
    if not sealed.data or len(sealed.data) % sizes.block:
        raise ValueError("the private part is not whole blocks")
    secret = bcrypt.kdf(
        passphrase, sealed.salt, sizes.key + sizes.iv, sealed.rounds, ignore_few_rounds=True
    )
    key, iv = secret[: sizes.key], secret[sizes.key :]
    if sealed.cipher == _CHACHA:
        return _chacha(sealed, key)
    if sealed.cipher.startswith(b"aes128-gcm"):
        return _gcm(sealed, key, iv)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    mode: modes.CTR | modes.CBC
    mode = modes.CTR(iv) if sealed.cipher.endswith(b"-ctr") else modes.CBC(iv)
    algorithm: CipherAlgorithm = algorithms.AES(key) if sizes.block == _AES else _triple_des(key)
    decryptor = Cipher(algorithm, mode).decryptor()
    return decryptor.update(sealed.data) + decryptor.finalize()


def _triple_des(key: bytes) -> CipherAlgorithm:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

    return TripleDES(key)


def _gcm(sealed: Sealed, key: bytes, iv: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(iv, sealed.data + sealed.tag, None)
    except InvalidTag:
        raise ValueError("the tag is wrong") from None


def _chacha(sealed: Sealed, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    def stream(counter: int, data: bytes) -> bytes:
        nonce = counter.to_bytes(8, "little") + bytes(8)
        encryptor = Cipher(algorithms.ChaCha20(key[:32], nonce), None).encryptor()
        return encryptor.update(data) + encryptor.finalize()

    tag = Poly1305.generate_tag(stream(0, bytes(32)), sealed.data)
    if not hmac.compare_digest(tag, sealed.tag):
        raise ValueError("the tag is wrong")
    return stream(1, sealed.data)

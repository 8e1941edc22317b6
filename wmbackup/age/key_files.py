"""Files of identities and of recipients, as ``age-keygen`` writes and ``age`` reads them."""

from __future__ import annotations

from datetime import UTC, datetime

from wmbackup.age.keys import X25519Identity, X25519Recipient

MAX_FILE = 1024 * 1024  # bytes
_PUBLIC_KINDS = {
    ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-", "---- BEGIN SSH2 PUBLIC"): "an SSH public key",
    ("-----BEGIN PGP PUBLIC",): "a PGP public key",
    ("-----BEGIN CERTIFICATE",): "a certificate",
    ("-----BEGIN PUBLIC KEY", "-----BEGIN RSA PUBLIC"): "a public key in PEM",
    ("untrusted comment:",): "a minisign or signify public key",
    ("AGE-PLUGIN-",): "an identity of an age plugin",
    ("AGE-SECRET-KEY-",): "an age identity, which is secret; its recipient begins with age1",
    ("-----BEGIN",): "a private key, or a file of another program",
}
"""What a key of another program begins with, and what it is."""

_SECRET_KINDS = {
    "age1": "a recipient, which is public; an identity begins with AGE-SECRET-KEY-1",
    "AGE-PLUGIN-": "an identity of an age plugin, which cannot be used here",
    "-----BEGIN OPENSSH": "part of an SSH private key, not an age identity",
    "-----BEGIN PGP": "part of a PGP private key, not an age identity",
    "-----BEGIN AGE ENCRYPTED": "part of an encrypted identity file; decrypt it with age first",
    "age-encryption.org/": "part of an encrypted identity file; decrypt it with age first",
}


class OtherKey(ValueError):
    """A recipient was expected, and it is a key of another kind, which the message names."""


def identity_file(identity: X25519Identity, created: datetime) -> str:
    """Return the text of a file with one identity."""
    moment = created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = f"# created: {moment}", f"# public key: {identity.recipient}", identity.secret()
    return "\n".join(lines) + "\n"


def parse_identities(text: str) -> list[X25519Identity]:
    """Read a file of identities: one a line, comments and empty lines between.

    Raises ValueError, which names the line and has none of its text.
    """
    found = []
    for number, line in _lines(text):
        try:
            found.append(X25519Identity.parse(line))
        except ValueError as error:
            raise ValueError(f"line {number} is {_secret_kind(line) or error}") from None
    if not found:
        raise ValueError("there is no identity in it")
    return found


def parse_recipients(text: str) -> list[X25519Recipient]:
    """Read a file of recipients: one a line. Raises ValueError, and OtherKey where that is why."""
    found = []
    for number, line in _lines(text):
        try:
            found.append(parse_recipient(line))
        except ValueError as error:
            raise type(error)(f"line {number} is {error}") from None
    if not found:
        raise ValueError("there is no recipient in it")
    return found


def parse_recipient(text: str) -> X25519Recipient:
    """Read ``age1…``. Raises ValueError, and OtherKey that says what else it is."""
    other = _public_kind(text)
    if other is not None:
        raise OtherKey(other)
    return X25519Recipient.parse(text)


def _public_kind(text: str) -> str | None:
    """Return what a text is that is no recipient of ours."""
    for beginnings, meaning in _PUBLIC_KINDS.items():
        if text.startswith(beginnings):
            return meaning
    # A plugin's recipient is age1NAME1…; an X25519 recipient has no second separator.
    if text.startswith("age1") and "1" in text[len("age1") :]:
        return "a recipient of an age plugin, which cannot be used here"
    return None


def _secret_kind(line: str) -> str | None:
    """Return what a line is that is no identity of ours."""
    return next((kind for begin, kind in _SECRET_KINDS.items() if line.startswith(begin)), None)


def _lines(text: str) -> list[tuple[int, str]]:
    numbered = enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1)
    stripped = ((number, line.strip(" \t")) for number, line in numbered)
    return [(number, line) for number, line in stripped if line and not line.startswith("#")]

"""Recipients, identities, passphrases: what is taken, what is refused, what is never shown."""

from __future__ import annotations

import pprint
from datetime import UTC, datetime

import pytest

from wmbackup.age import bech32
from wmbackup.age.envelope import NewEnvelope, SealedEnvelope
from wmbackup.age.key_files import (
    identity_file,
    parse_identities,
    parse_recipient,
    parse_recipients,
)
from wmbackup.age.keys import WORK_FACTOR, Passphrase, Recipient, X25519Identity, X25519Recipient

# What age-keygen prints for the private key of 32 bytes 0x42 was compared with this by hand.
PRIVATE = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLIC = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_identity_and_its_recipient_are_those_of_age_keygen() -> None:
    identity = X25519Identity.parse(PRIVATE)
    assert str(identity.recipient) == PUBLIC
    assert identity.secret() == PRIVATE
    assert X25519Recipient.parse(PUBLIC) == identity.recipient
    assert len({identity.recipient, X25519Recipient.parse(PUBLIC)}) == 1


def test_identity_file_is_that_of_age_keygen() -> None:
    text = identity_file(X25519Identity.parse(PRIVATE), datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert text == f"# created: 2026-11-23T12:00:00Z\n# public key: {PUBLIC}\n{PRIVATE}\n"
    assert [one.secret() for one in parse_identities(text)] == [PRIVATE]


def test_no_secret_is_shown() -> None:
    identity = X25519Identity.parse(PRIVATE)
    passphrase = Passphrase(lambda: b"hunter2")
    passphrase.wrap(bytes(16))  # which has asked for it
    envelope = NewEnvelope([identity.recipient])
    for secret in (identity, passphrase, envelope):
        shown = f"{secret!r} {secret!s} {pprint.pformat(secret)}"
        assert PRIVATE[20:] not in shown.upper()
        assert "hunter2" not in shown
        assert repr(envelope._file_key) not in shown


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@host", "an SSH public key"),
        ("ecdsa-sha2-nistp256 AAAA", "an SSH public key"),
        ("sk-ssh-ed25519@openssh.com AAAA", "an SSH public key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----", "an SSH public key"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----", "a PGP public key"),
        ("-----BEGIN CERTIFICATE-----", "a certificate"),
        ("-----BEGIN PUBLIC KEY-----", "a public key in PEM"),
        ("untrusted comment: minisign public key", "a minisign or signify public key"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugin"),
        (PUBLIC.upper(), "not an age recipient"),
        (PUBLIC[:-1] + "q", "the checksum does not match"),
        (PUBLIC[:-1], "not Bech32"),
        ("me@example.org", "not Bech32"),
        (bech32.encode("age", bytes(31)), "not an age recipient"),
        (bech32.encode("age", bytes(32)), "protects nothing"),
        (bech32.encode("age-", bytes(32)), "not an age recipient"),
    ],
)
def test_what_is_no_recipient_is_named(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_recipient(text)
    with pytest.raises(ValueError, match=f"line 2 is .*{what}"):
        parse_recipients(f"# comment\n{text}\n")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (PUBLIC, "a recipient, which is public"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQ", "age plugin"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "SSH private key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "PGP private key"),
        ("-----BEGIN AGE ENCRYPTED FILE-----", "encrypted identity file"),
        ("age-encryption.org/v1", "encrypted identity file"),
        (PRIVATE.lower(), "not an age identity"),
        (PRIVATE[:-1] + "Q", "not an age identity"),
        (PRIVATE[:-6], "not an age identity"),
        (f"{PRIVATE} {PRIVATE}", "not an age identity"),
        ("PASSWORD", "not an age identity"),
    ],
)
def test_what_is_no_identity_is_named_and_not_shown(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"line 2 is .*{what}") as caught:
        parse_identities(f"# comment\n{text}\n")
    assert text not in str(caught.value)
    assert not (text[12:] and text[12:40] in str(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "\n", "# only\n# comments\n"])
def test_files_without_a_key_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no identity"):
        parse_identities(text)
    with pytest.raises(ValueError, match="no recipient"):
        parse_recipients(text)


def test_files_of_windows_are_read() -> None:
    assert parse_recipients(f"# comment\r\n\r\n  {PUBLIC}\t\r\n")[0] == X25519Recipient.parse(
        PUBLIC
    )
    assert parse_identities(f"\ufeff# comment\r\n{PRIVATE}\r\n")[0].secret() == PRIVATE


def test_passphrase_is_asked_for_once_and_only_when_it_is_needed() -> None:
    asked = []

    def ask() -> bytes:
        asked.append(1)
        return b"secret"

    passphrase = Passphrase(ask, 1)
    assert passphrase.unwrap((X25519Identity.generate().recipient.wrap(bytes(16)),)) is None
    assert not asked
    stanza = passphrase.wrap(bytes(16))
    assert passphrase.unwrap((stanza,)) == bytes(16)
    assert passphrase.wrap(bytes(16)) != stanza
    assert len(asked) == 1


@pytest.mark.parametrize("work", [-1, 0, WORK_FACTOR + 1])
def test_no_more_work_is_written_than_bounded(work: int) -> None:
    with pytest.raises(ValueError, match="work factor"):
        Passphrase(lambda: b"secret", work)


def test_what_is_written_takes_the_work_that_is_promised() -> None:
    stanza = Passphrase(lambda: b"secret").wrap(bytes(16))
    assert stanza.arguments[1] == "18"


def test_recipients_that_do_not_go_together_are_refused() -> None:
    recipient, passphrase = X25519Identity.generate().recipient, Passphrase(lambda: b"x", 1)
    several: list[list[Recipient]] = [
        [],
        [recipient, passphrase],
        [passphrase, passphrase],
        [recipient] * 513,
    ]
    for recipients in several:
        with pytest.raises(ValueError, match=r"recipients|passphrase"):
            NewEnvelope(recipients)


def test_largest_header_that_is_written_is_read() -> None:
    import io

    identity = X25519Identity.generate()
    others = [X25519Identity.generate().recipient] * 511
    output = io.BytesIO()
    NewEnvelope([*others, identity.recipient]).begin(output).finish()
    age = output.getvalue()
    assert SealedEnvelope(io.BytesIO(age), len(age)).open([identity]).stream.read(1) == b""

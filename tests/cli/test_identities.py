"""``key create --identity`` and ``key show``, and what is named as an identity or a recipient."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import STRANGER, Inside, Process
from tests.folders import is_private
from wmbackup.age.key_files import parse_identities
from wmbackup.age.keys import X25519Identity
from wmbackup.cli.encryption import Identities, read_identities, read_recipients
from wmbackup.cli.passphrases import PassphraseGiven
from wmbackup.cli.session import Session
from wmbackup.errors import SetupUnusable, UsageError

SECRET = re.compile("AGE-SECRET-KEY-1[A-Z0-9]{58}")
NO_PASSPHRASE = PassphraseGiven(asked=False, file=None, descriptor=None, command=None)


def identity_of(inside: Inside) -> Path:
    return Path(inside.config, "identity.txt")


def test_identity_is_made_in_the_form_of_age_keygen_and_its_recipient_is_printed(
    inside: Inside,
) -> None:
    made = inside("key", "create", "--identity")
    path = identity_of(inside)
    (identity,) = parse_identities(path.read_text())
    assert made.code == 0
    assert made.out == f"{identity.recipient}\n"
    assert made.err.startswith(f"made {path}; keep a copy elsewhere")
    assert is_private(path)
    created, public, secret = path.read_text().splitlines()
    assert re.fullmatch(r"# created: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert public == f"# public key: {identity.recipient}"
    assert SECRET.fullmatch(secret)
    assert not SECRET.search(made.out + made.err)


def test_identity_is_made_without_a_signing_key_and_the_other_way_round(inside: Inside) -> None:
    inside("key", "create", "--identity")
    assert not Path(inside.config, "signing_key").exists()
    assert inside("key", "create").code == 0
    assert Path(inside.config, "signing_key").exists()


def test_age_keygen_reads_the_identity(program: Process) -> None:
    made = program("key", "create", "--identity", "--quiet")
    public = subprocess.run(
        ["age-keygen", "-y", Path(program.config, "identity.txt")],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert made.out == public
    assert not made.err


def test_identity_that_is_there_is_kept(inside: Inside) -> None:
    inside("key", "create", "--identity")
    before = identity_of(inside).read_bytes()
    again = inside("key", "create", "--identity")
    assert again.code == 1
    assert again.errors == [f"there is an identity at {identity_of(inside)}"]
    assert "wmbackup key show" in again.hints[0]
    assert identity_of(inside).read_bytes() == before


def test_key_show_prints_the_recipient_below_the_signing_key(inside: Inside) -> None:
    inside("key", "create")
    alone = inside("key", "show")
    recipient = inside("key", "create", "--identity").out.strip()
    both = inside("key", "show")
    assert both.code == 0
    assert both.out == f"{alone.out}# recipient: {recipient}\n"
    named = inside("key", "show", "--signing-key", str(Path(inside.config, "signing_key")))
    assert named.out == alone.out


def test_what_key_show_prints_is_trusted_by_another_machine(inside: Inside) -> None:
    inside("key", "create")
    inside("key", "create", "--identity")
    shown = inside.write("other.pub", inside("key", "show").out.encode())
    os.unlink(Path(inside.config, "allowed_signers"))
    assert inside("key", "trust", shown).code == 0
    assert Path(inside.config, "allowed_signers").exists()


def test_key_show_prints_a_recipient_alone_where_there_is_no_signing_key(inside: Inside) -> None:
    recipient = inside("key", "create", "--identity").out
    shown = inside("key", "show")
    assert (shown.code, shown.out) == (0, recipient)


def test_json_has_the_recipient_in_a_line_of_its_own(inside: Inside) -> None:
    inside("key", "create")
    made = inside("key", "create", "--identity", "--json")
    (key,) = [line for line in made.lines if line["type"] == "key"]
    assert (key["role"], key["fingerprint"], key["principal"]) == ("identity", None, None)
    assert key["file"] == str(identity_of(inside))
    shown = inside("key", "show", "--json")
    keys = [line for line in shown.lines if line["type"] == "key"]
    assert [line["role"] for line in keys] == ["signing", "identity"]
    assert keys[1]["public_key"] == key["public_key"]
    assert not SECRET.search(made.out + shown.out)


def test_a_broken_identity_is_named_by_its_line_and_not_shown(program: Process) -> None:
    program("key", "create", "--identity")
    path = Path(program.config, "identity.txt")
    path.write_text(path.read_text().replace("AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1Q"))
    for more in ("", " --debug", " --json"):
        shown = program.shell(f"wmbackup key show{more}")
        assert shown.code == 2
        assert "line 3 is not an age identity" in shown.out + shown.err
        assert "AGE-SECRET-KEY-1Q" not in shown.out + shown.err


@pytest.mark.skipif(os.name == "nt", reason="its modes are access lists")
def test_an_identity_that_others_can_read_is_warned_of(inside: Inside) -> None:
    inside("key", "create", "--identity")
    identity_of(inside).chmod(0o644)
    shown = inside("key", "show")
    assert f"warning: other users can read the identity {identity_of(inside)}" in shown.err
    assert shown.hints == [f"chmod 600 {identity_of(inside)}"]


@pytest.mark.skipif(os.name == "nt", reason="it has folders of its own")
def test_without_a_home_there_is_no_place_for_an_identity(program: Process) -> None:
    made = program("key", "create", "--identity", env={"HOME": None}, powers=STRANGER)
    assert made.code == 2
    assert made.errors == ["there is no home folder that could hold an identity"]
    assert made.hints == ["name one with --identity, or set HOME"]


def recipient() -> str:
    return str(X25519Identity.generate().recipient)


def test_recipients_are_named_or_are_lines_of_files_and_count_once(tmp_path: Path) -> None:
    one, two, three = recipient(), recipient(), recipient()
    file = tmp_path / "recipients.txt"
    file.write_text(f"# ours\n{two}\n\n{three}\r\n{one}\n")
    found = read_recipients([one, str(file), two])
    assert [str(each) for each in found] == [one, two, three]


def test_recipients_in_utf_16_are_read(tmp_path: Path) -> None:
    one = recipient()
    file = tmp_path / "recipients.txt"
    file.write_bytes(f"{one}\r\n".encode("utf-16"))
    assert [str(each) for each in read_recipients([str(file)])] == [one]


PGP = bytes.fromhex("9833045f")


@pytest.mark.parametrize(
    ("given", "content", "what"),
    [
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", None, "an SSH public key"),
        ("id_ed25519.pub", b"ssh-ed25519 AAAA me@host\n", "line 1 is an SSH public key"),
        ("id_rsa.pub", b"ssh-rsa AAAA\n", "line 1 is an SSH public key"),
        ("key.asc", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "line 1 is a PGP public key"),
        ("key.gpg", PGP, "a PGP public key"),
        ("cert.pem", b"-----BEGIN CERTIFICATE-----\n", "line 1 is a certificate"),
        ("me@example.org", None, "names a PGP key"),
        ("0xDEADBEEF", None, "names a PGP key"),
        ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", None, "plugin"),
        ("age1qqqqqqqq", None, "the checksum does not match"),
        ("", None, "names nobody"),
        ("noise", b"\xff\x00\x01", "it is not a text"),
        ("empty", b"", "there is no recipient"),
        ("words", b"hello\n", "line 1 is not Bech32"),
    ],
)
def test_what_is_no_recipient_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, content: bytes | None, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / given).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_recipients([given])
    assert what in caught.value.message
    assert caught.value.code == "recipient-invalid"
    assert caught.value.hint is not None
    assert "key create --identity" in caught.value.hint or "key show" in caught.value.hint


def test_a_recipient_file_that_is_missing_is_named() -> None:
    with pytest.raises(SetupUnusable, match=r"there is no file recipients\.txt"):
        read_recipients(["recipients.txt"])


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(tmp_path: Path) -> None:
    secret = X25519Identity.generate().secret()
    file = tmp_path / "identity.txt"
    file.write_text(secret)
    for call in (
        lambda: read_recipients([secret]),
        lambda: read_recipients([secret.lower()]),
        lambda: read_recipients([str(file)]),
        lambda: read_identities(Session(), secret),
        lambda: Identities(Session(), [secret], NO_PASSPHRASE),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        shown = f"{caught.value.message} {caught.value.hint}".upper()
        assert secret[20:] not in shown
        assert "SECRET" in shown


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 1 is part of an SSH private key"),
        (b"age-encryption.org/v1\n-> scrypt a 18\n", "line 1 is part of an encrypted identity"),
        (b"# only a comment\n", "there is no identity"),
        (b"\x00\xff", "it is not a text"),
    ],
)
def test_what_is_no_identity_file_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "identity.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="is not a file of age identities") as caught:
        read_identities(Session(), str(file))
    assert what in caught.value.message


@pytest.mark.skipif(os.name == "nt", reason="a crash there leaves no core")
def test_a_crash_leaves_no_core_once_an_identity_was_read(program: Process) -> None:
    script = (
        "import resource; from wmbackup.cli.encryption import *; "
        "from wmbackup.cli.session import Session; own_identities(Session()); "
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    program("key", "create", "--identity")
    import sys

    def limit() -> str:
        command = f"ulimit -c unlimited 2>/dev/null; '{sys.executable}' -c '{script}'"
        return program.shell(command).out.strip()

    assert limit() == "0"

"""What `--signing-key` takes: held against the keys that ssh-keygen makes."""

from __future__ import annotations

import base64
import errno
import importlib.util
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agents import keygen
from wmbackup.archive import sshsig
from wmbackup.cli.render import next_steps
from wmbackup.errors import SigningKeyMissing, SigningKeyUnusable, SystemFailure
from wmbackup.trust import keys, small_files
from wmbackup.trust.private_keys import read_private
from wmbackup.trust.unlock import SigningKeyLocked, Unlock, read_public

SECRET = "a secret phrase"  # noqa: S105 - of keys that the tests make


def answers(*texts: str) -> Callable[[], bytes]:
    """Return what gives these passphrases, one after the other, and no more."""
    left = iter(texts)
    return lambda: next(left).encode()


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-a", "1"),
        ("-a", "40"),
        ("-Z", "aes256-cbc"),
        ("-Z", "aes256-gcm@openssh.com"),
    ],
)
def test_encrypted_key_signs_with_its_passphrase(tmp_path: Path, options: tuple[str, ...]) -> None:
    path = keygen(tmp_path / "key", *options, passphrase=SECRET)
    key = keys.load(str(path), Unlock(passphrase=answers(SECRET), is_given=True))
    assert sshsig.signer(key.sign(b"x"), b"x") == key.public == read_public(str(path))
    mark = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True)
    assert key.fingerprint in mark.stdout


def test_wrong_passphrase_is_asked_for_again_as_often_as_allowed(tmp_path: Path) -> None:
    path = str(keygen(tmp_path / "key", "-a", "1", passphrase=SECRET))
    opened = keys.load(path, Unlock(passphrase=answers("no", "nor this", SECRET), tries=3))
    assert opened.public == read_public(path)
    with pytest.raises(SigningKeyUnusable, match="the passphrase does not open the signing key"):
        keys.load(path, Unlock(passphrase=answers("no", "no", "no", SECRET), tries=3))
    with pytest.raises(SigningKeyUnusable, match="does not open") as caught:
        keys.load(path, Unlock(passphrase=answers("Wr0ng-Guess")))
    assert "Wr0ng-Guess" not in f"{caught.value}{caught.value.hint}"


def test_encrypted_key_with_nobody_to_ask_names_the_options_and_the_agent(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key", "-a", "1", passphrase=SECRET)
    with pytest.raises(SigningKeyLocked, match="is protected by a passphrase") as caught:
        keys.load(str(path))
    assert "--key-passphrase-file" in str(next_steps.of_error(caught.value))
    assert f"ssh-add {path}" in str(next_steps.of_error(caught.value))


def test_encrypted_key_without_the_package_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keygen(tmp_path / "key", "-a", "1", passphrase=SECRET)
    real: Any = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "bcrypt" else real(name)
    )
    with pytest.raises(SigningKeyUnusable, match="package that opens such keys") as caught:
        keys.load(str(path), Unlock(passphrase=answers(SECRET)))
    assert "pip install 'wmbackup[encrypted-keys]'" in str(next_steps.of_error(caught.value))


@pytest.mark.parametrize(("rounds", "is_refused"), [(10_000, False), (10_001, True)])
def test_rounds_are_waited_for_up_to_a_bound(
    tmp_path: Path, rounds: int, *, is_refused: bool
) -> None:
    path = keygen(tmp_path / "key", "-a", "7", passphrase=SECRET)
    lines = path.read_bytes().splitlines()
    blob = base64.b64decode(b"".join(lines[1:-1]))
    blob = blob.replace(struct.pack(">II", 7, 1), struct.pack(">II", rounds, 1))
    text = b"\n".join([lines[0], base64.b64encode(blob), lines[-1], b""])
    if is_refused:
        with pytest.raises(ValueError, match="takes 10,001 rounds"):
            read_private(text)
    else:
        assert read_private(text).is_encrypted


def test_a_public_half_that_claims_more_than_it_has_is_no_key(tmp_path: Path) -> None:
    lines = keygen(tmp_path / "key").read_bytes().splitlines()
    blob = base64.b64decode(b"".join(lines[1:-1]))
    kind = struct.pack(">I", 11) + b"ssh-ed25519"
    begin = blob.index(kind) - 4
    whole = kind + struct.pack(">I", 33) + blob[begin + 4 + len(kind) + 4 :][:32]
    blob = blob[:begin] + struct.pack(">I", len(whole)) + whole + blob[begin + 4 + len(whole) :]
    with pytest.raises(ValueError, match="is not an OpenSSH private key"):
        read_private(b"\n".join([lines[0], base64.b64encode(blob), lines[-1], b""]))


def test_key_that_takes_too_many_rounds_is_refused_before_they_are_counted(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key", "-a", "7", passphrase=SECRET)
    lines = path.read_text().splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    assert blob.count(struct.pack(">II", 7, 1)) == 1  # rounds, and one key
    blob = blob.replace(struct.pack(">II", 7, 1), struct.pack(">II", 2**31, 1))
    path.write_text("\n".join([lines[0], base64.b64encode(blob).decode(), lines[-1], ""]))
    with pytest.raises(SigningKeyUnusable, match="takes 2,147,483,648 rounds"):
        keys.load(str(path), Unlock(passphrase=answers(SECRET)))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("-t", "rsa", "-b", "2048"), "ssh-rsa"),
        (("-t", "rsa", "-b", "2048", "-m", "PEM"), "ssh-rsa"),
        (("-t", "ecdsa"), "ecdsa-sha2-nistp256"),
        (("-t", "ecdsa", "-m", "PEM"), "ecdsa"),
    ],
)
@pytest.mark.parametrize("passphrase", ["", SECRET])
@pytest.mark.parametrize("half", ["key", "key.pub"])
def test_key_of_another_type_is_refused_in_a_sentence_that_says_what_is_supported(
    tmp_path: Path, options: tuple[str, ...], word: str, passphrase: str, half: str
) -> None:
    keygen(tmp_path / "key", *options, passphrase=passphrase)
    with pytest.raises(SigningKeyUnusable, match="is not an Ed25519 key") as caught:
        keys.load(f"{tmp_path}/{half}", Unlock(passphrase=answers()))
    assert word in caught.value.message
    assert "plain Ed25519 keys, from a file or from ssh-agent" in caught.value.message


FIDO = (  # the public halves of keys on tokens
    "sk-ssh-ed25519@openssh.com AAAA user@host",
    "sk-ecdsa-sha2-nistp256@openssh.com AAAA user@host",
)


@pytest.mark.parametrize("line", FIDO)
def test_key_on_a_fido_token_is_refused_in_a_sentence_that_says_what_is_supported(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / "key.pub").write_text(line + "\n")
    for name in ("key", "key.pub"):
        with pytest.raises(SigningKeyUnusable, match="is held by a FIDO token") as caught:
            keys.load(f"{tmp_path}/{name}", Unlock("/nowhere"))
        assert "plain Ed25519 keys, from a file or from ssh-agent" in caught.value.message


def test_private_file_of_a_fido_token_is_refused_the_same(tmp_path: Path) -> None:
    import base64
    import struct

    def string(value: bytes) -> bytes:
        return struct.pack(">I", len(value)) + value

    kind = b"sk-ssh-ed25519@openssh.com"
    public = string(kind) + string(bytes(32)) + string(b"ssh:")
    blob = b"openssh-key-v1\0" + string(b"none") + string(b"none") + string(b"")
    blob += struct.pack(">I", 1) + string(public) + string(bytes(160))
    text = base64.b64encode(blob).decode()
    path = tmp_path / "key"
    path.write_text(
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    path.chmod(0o600)
    with pytest.raises(SigningKeyUnusable, match="is held by a FIDO token"):
        keys.load(str(path))


def test_certificate_in_the_place_of_a_key_is_named_as_that(tmp_path: Path) -> None:
    path, authority = keygen(tmp_path / "key"), keygen(tmp_path / "ca")
    command = ("ssh-keygen", "-q", "-s", authority, "-I", "id", "-n", "me", f"{path}.pub")
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SigningKeyUnusable, match="is a certificate"):
        keys.load(f"{path}-cert.pub", Unlock("/nowhere"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("PuTTY-User-Key-File-3: ssh-ed25519\n", "is a key of PuTTY"),
        ("ssh-ed25519 AAAA\n", "cannot be used: the key is damaged"),
        ("ssh-ed25519\n", "cannot be used: there is no key"),
        ("AGE-SECRET-KEY-1\n", "is not an OpenSSH private key"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)
    for look in (keys.load, read_public):
        with pytest.raises(SigningKeyUnusable, match=reason):
            look(f"{tmp_path}/key")


def test_missing_key_is_missing_for_its_public_half_as_well(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyMissing):
        read_public(f"{tmp_path}/key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644, 0o620, 0o601])
@pytest.mark.parametrize("passphrase", ["", SECRET])
def test_key_that_others_can_use_is_refused_as_ssh_does(
    tmp_path: Path, mode: int, passphrase: str
) -> None:
    path = keygen(tmp_path / "key", "-a", "1", passphrase=passphrase)
    path.chmod(mode)
    ssh = subprocess.run(
        ("ssh-keygen", "-Y", "sign", "-f", path, "-n", "x"), input=b"x", capture_output=True,
        env={**os.environ, "SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force"}, check=False,
    )  # fmt: skip
    assert b"UNPROTECTED PRIVATE KEY FILE" in ssh.stderr
    with pytest.raises(SigningKeyUnusable, match="other users can read the signing key") as caught:
        keys.load(str(path), Unlock(passphrase=answers(SECRET)))
    assert next_steps.of_error(caught.value) == f"chmod 600 {path}"
    path.chmod(0o400)
    assert not keys.load(str(path), Unlock(passphrase=answers(SECRET))).exposed


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_permissions_of_a_file_of_another_user_are_not_looked_at_as_ssh_does(
    tmp_path: Path,
) -> None:
    path = keygen(tmp_path / "key")
    os.chown(path, 1, -1)
    path.chmod(0o644)
    command = ("ssh-keygen", "-Y", "sign", "-f", path, "-n", "x")
    subprocess.run(command, input=b"x", check=True, capture_output=True)
    assert keys.load(str(path)).exposed


def test_exposed_key_on_a_file_system_without_permissions_is_used_and_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keygen(tmp_path / "key")
    path.chmod(0o644)
    monkeypatch.setattr(small_files, "keeps_modes", lambda _: False)
    assert keys.load(str(path)).exposed


def test_public_half_under_another_name_has_no_private_half_beside_it(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key")
    half = tmp_path / "half"
    half.write_bytes(Path(f"{path}.pub").read_bytes())
    with pytest.raises(SigningKeyUnusable, match="no ssh-agent is running"):
        keys.load(str(half))


def test_key_with_what_is_no_base64_in_it_is_refused_as_ssh_does(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key")
    keys.load(str(path))
    first, second, *rest = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([first, b"!" + second, *rest]))
    assert subprocess.run(("ssh-keygen", "-y", "-f", path), check=False).returncode
    with pytest.raises(SigningKeyUnusable):
        keys.load(str(path))


def test_trouble_of_the_machine_is_not_taken_for_an_exposed_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_folder: str) -> bool:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = keygen(tmp_path / "key")
    path.chmod(0o644)
    monkeypatch.setattr(small_files, "keeps_modes", fail)
    with pytest.raises(SystemFailure, match="input/output error"):
        keys.load(str(path))


def test_nothing_private_is_in_what_is_printed_of_a_key(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key", passphrase=SECRET)
    unlock = Unlock(passphrase=answers(SECRET))
    key = keys.load(str(path), unlock)
    assert "PrivateKey" not in repr(key)
    assert SECRET not in repr((key, unlock))


_CIPHERS = (
    *(f"aes{bits}-{mode}" for bits in (128, 192, 256) for mode in ("ctr", "cbc")),
    *("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"),
    "3des-cbc",
)


@pytest.mark.parametrize("cipher", _CIPHERS)
def test_every_cipher_of_ssh_keygen_is_opened(tmp_path: Path, cipher: str) -> None:
    path = keygen(tmp_path / "key", "-Z", cipher, passphrase=SECRET)
    key = keys.load(str(path), Unlock(passphrase=answers(SECRET)))
    assert key.public == read_public(str(path))
    for wrong in ("another", f"{SECRET} "):
        with pytest.raises(SigningKeyUnusable, match="passphrase does not open"):
            keys.load(str(path), Unlock(passphrase=answers(wrong)))


@pytest.mark.parametrize("cipher", _CIPHERS)
def test_a_changed_private_part_opens_nothing(tmp_path: Path, cipher: str) -> None:
    path = keygen(tmp_path / "key", "-Z", cipher, passphrase=SECRET)
    lines = path.read_bytes().splitlines()
    blob = bytearray(base64.b64decode(b"".join(lines[1:-1])))
    for at in (len(blob) - 1, len(blob) - 17, len(blob) - 100):
        changed = bytearray(blob)
        changed[at] ^= 1
        path.write_bytes(b"\n".join((lines[0], base64.b64encode(changed), lines[-1])) + b"\n")
        try:
            key = keys.load(str(path), Unlock(passphrase=answers(SECRET)))
        except SigningKeyUnusable:
            continue
        # Without a tag, only what is read of the private part can show that it was changed.
        assert key.public == read_public(str(path))
        assert not cipher.endswith("openssh.com")


def test_cipher_that_is_not_supported_is_named_with_the_command_that_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmbackup.trust.sealed_keys.opens", lambda _: False)
    path = keygen(tmp_path / "key", "-Z", "aes128-ctr", passphrase=SECRET)
    with pytest.raises(SigningKeyUnusable, match="cipher that is not supported") as caught:
        keys.load(str(path), Unlock(passphrase=answers(SECRET)))
    command = f"ssh-keygen -p -Z aes256-ctr -f {path}"
    assert str(next_steps.of_error(caught.value)).endswith(command)
    again = [*command.split(), "-P", SECRET, "-N", SECRET]
    subprocess.run(again, check=True, capture_output=True)
    assert keys.load(str(path), Unlock(passphrase=answers(SECRET))).public

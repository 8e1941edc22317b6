from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.archives import private, public
from tests.folders import is_private
from wmbackup.archive import sshsig
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import SetupUnusable, SigningKeyMissing, SigningKeyUnusable, SystemFailure
from wmbackup.trust import (
    Signer,
    TrustFileInvalid,
    keys,
    parse_allowed_signers,
    principal_of,
    small_files,
    trust_files,
)
from wmbackup.trust.allowed_signers import PrincipalTaken, line_of
from wmbackup.trust.keys import KeyExists


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_key_is_made_and_read_back(tmp_path: Path) -> None:
    made = keys.create(f"{tmp_path}/new/folder/key", "host")
    read = keys.load(made.path)
    assert read.public == made.public
    assert read.fingerprint == made.fingerprint
    assert not read.exposed
    assert read.sign(b"message") == made.sign(b"message")
    assert is_private(tmp_path / "new" / "folder")
    for name in ("key", "key.pub"):
        assert is_private(tmp_path / "new" / "folder" / name)
    assert len(list((tmp_path / "new" / "folder").iterdir())) == 2
    assert "private" not in repr(read)


def test_ssh_keygen_knows_the_key_and_its_public_half(tmp_path: Path) -> None:
    made = keys.create(f"{tmp_path}/key", "host.example")
    line = (tmp_path / "key.pub").read_text()
    assert line == f"{sshsig.public_line(made.public)} wmbackup@host.example\n"
    assert run("ssh-keygen", "-y", "-f", tmp_path / "key").split()[:2] == line.split()[:2]
    assert made.fingerprint in run("ssh-keygen", "-l", "-f", tmp_path / "key.pub")


def test_a_key_made_by_ssh_keygen_is_read(tmp_path: Path) -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key")
    assert keys.load(f"{tmp_path}/key").fingerprint in run("ssh-keygen", "-lf", tmp_path / "key")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("-t", "ed25519", "-N", "secret"), "is protected by a passphrase"),
        (("-t", "rsa", "-b", "1024", "-N", ""), "is not an Ed25519 key"),
        (("-t", "ecdsa", "-N", ""), "is not an Ed25519 key"),
    ],
)
def test_other_keys_are_refused_with_the_reason(
    tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    run("ssh-keygen", "-q", *options, "-f", tmp_path / "key")
    with pytest.raises(SigningKeyUnusable, match=reason) as caught:
        keys.load(f"{tmp_path}/key")
    assert of_error(caught.value) is not None


def _pem(private_key: Any) -> bytes:
    text: bytes = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\x00",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        sshsig.public_line(public(1)).encode(),
        _pem(private(1)),
        _pem(rsa.generate_private_key(65537, 2048)),
        _pem(ec.generate_private_key(ec.SECP256R1())),
    ],
)
def test_what_is_no_openssh_private_key_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "key").write_bytes(text)
    reason = "public key" if text.startswith(b"ssh-") else "not an OpenSSH private key"
    with pytest.raises(SigningKeyUnusable, match=f"is an? {reason}|is {reason}"):
        keys.load(f"{tmp_path}/key")


def test_every_cut_of_a_key_is_refused(tmp_path: Path) -> None:
    keys.create(f"{tmp_path}/key", "host")
    text = (tmp_path / "key").read_bytes().rstrip()
    for length in range(0, len(text) - 1, 7):
        (tmp_path / "key").write_bytes(text[:length])
        with pytest.raises(SigningKeyUnusable):
            keys.load(f"{tmp_path}/key")


def test_a_missing_key_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SigningKeyMissing) as caught:
        keys.load(f"{tmp_path}/key")
    assert "wmbackup key create" in str(of_error(caught.value))


def test_a_key_that_powershell_has_written_is_read_or_named_as_that(tmp_path: Path) -> None:
    key = keys.create(f"{tmp_path}/key", "host")
    text = Path(key.path).read_text()
    Path(key.path).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert keys.load(key.path).public == key.public
    Path(key.path).write_bytes(text.encode("utf-16"))
    with pytest.raises(SigningKeyUnusable, match="is UTF-16, as Windows PowerShell writes"):
        keys.load(key.path)


def test_a_key_that_cannot_be_read_is_a_fault_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(SetupUnusable, match="cannot read the signing key"):
        keys.load(str(tmp_path))


def test_a_disk_that_does_not_read_is_a_failure_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(SystemFailure, match="cannot read the signing key"):
        keys.load(f"{tmp_path}/key")
    with pytest.raises(SystemFailure, match="cannot read"):
        trust_files.read_policy(f"{tmp_path}/signers")


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_a_key_never_replaces_what_is_there(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "key"
    if kind == "file":
        place.write_bytes(b"a key")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("nowhere")
    with pytest.raises(KeyExists, match="there is a signing key"):
        keys.create(str(place), "host")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_of_two_keys_made_at_once_one_wins_with_both_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keys.create(f"{tmp_path}/key", "first")
    line = (tmp_path / "key.pub").read_text()
    monkeypatch.setattr(os.path, "lexists", lambda _: False)  # asked just before the first came
    with pytest.raises(KeyExists, match="there is a signing key"):
        keys.create(f"{tmp_path}/key", "second")
    assert keys.load(f"{tmp_path}/key").public == first.public
    assert (tmp_path / "key.pub").read_text() == line


def test_a_key_that_cannot_be_written_is_a_failure_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailure, match="cannot write the signing key"):
        keys.create(f"{tmp_path}/file/key", "host")


@pytest.mark.parametrize(
    ("host", "principal"),
    [
        ("host.example", "wmbackup@host.example"),
        ("my host,*!?", "wmbackup@my-host"),
        ("größe", "wmbackup@gr-e"),
        ("", "wmbackup@unknown"),
        ("---", "wmbackup@unknown"),
        ('a"b\nc', "wmbackup@a-b-c"),
    ],
)
def test_a_principal_needs_no_quoting(host: str, principal: str) -> None:
    assert principal_of(host) == principal


def test_trusting_a_key_writes_its_line_once(tmp_path: Path) -> None:
    path = f"{tmp_path}/new/allowed_signers"
    first, second = Signer("wmbackup@a", public(1)), Signer("wmbackup@b", public(2))
    assert trust_files.trust(path, first) is None
    assert trust_files.trust(path, first) == first
    assert trust_files.trust(path, Signer("wmbackup@other", public(1))) == first
    assert trust_files.trust(path, second) is None
    text = Path(path).read_text()
    assert text == "".join(
        f'wmbackup@{name} namespaces="archive@wmbackup" {sshsig.public_line(public(seed))}\n'
        for name, seed in (("a", 1), ("b", 2))
    )
    assert trust_files.read_policy(path).signers == (
        Signer("wmbackup@a", public(1)),
        Signer("wmbackup@b", public(2)),
    )


def test_trust_keeps_what_somebody_else_wrote(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_text("# no line end at the end")
    trust_files.trust(str(path), Signer("wmbackup@a", public(1)))
    assert path.read_text() == (
        "# no line end at the end\n" + line_of(Signer("wmbackup@a", public(1))) + "\n"
    )


def test_trust_follows_a_link_to_the_file_and_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / "allowed_signers").symlink_to("dotfiles/signers")
    trust_files.trust(f"{tmp_path}/allowed_signers", Signer("wmbackup@a", public(1)))
    assert (tmp_path / "allowed_signers").is_symlink()
    assert (tmp_path / "dotfiles" / "signers").is_file()


@pytest.mark.parametrize("taken", ["wmbackup@a", "x,wmbackup@a", "wmbackup@a,y"])
def test_a_principal_that_another_key_holds_is_refused(tmp_path: Path, taken: str) -> None:
    path = f"{tmp_path}/allowed_signers"
    Path(path).write_text(f"{taken} {sshsig.public_line(public(1))}\n")
    before = Path(path).read_bytes()
    with pytest.raises(PrincipalTaken, match="another key is trusted as wmbackup@a") as caught:
        trust_files.trust(path, Signer("wmbackup@a", public(2)))
    assert "wmbackup@a-2" in str(of_error(caught.value))
    assert Path(path).read_bytes() == before


def test_a_trust_file_that_cannot_be_read_believes_nobody(tmp_path: Path) -> None:
    path = tmp_path / "allowed_signers"
    path.write_bytes(b"\n" * (small_files.MAX_FILE + 1))
    with pytest.raises(SetupUnusable, match="is larger than 1,024 KiB"):
        trust_files.read_policy(str(path))
    path.write_bytes(b"nonsense here\n")
    with pytest.raises(TrustFileInvalid):
        trust_files.trust(str(path), Signer("wmbackup@a", public(1)))
    assert path.read_bytes() == b"nonsense here\n"
    with pytest.raises(SetupUnusable, match="cannot read"):
        trust_files.read_policy(str(tmp_path))


def test_a_trust_file_that_cannot_be_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "allowed_signers"
    trust_files.trust(str(path), Signer("wmbackup@a", public(1)))
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemFailure, match="no space") as caught:
        trust_files.trust(str(path), Signer("wmbackup@b", public(2)))
    assert of_error(caught.value) is not None
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_missing_trust_file_believes_nobody_unless_it_was_named(tmp_path: Path) -> None:
    path = f"{tmp_path}/allowed_signers"
    assert trust_files.read_policy(path).signers == ()
    with pytest.raises(SetupUnusable, match="there is no file"):
        trust_files.read_policy(path, must_exist=True)


def test_revoked_keys_are_read_where_there_is_a_file(tmp_path: Path) -> None:
    trust_files.trust(f"{tmp_path}/signers", Signer("wmbackup@a", public(1)))
    (tmp_path / "revoked").write_text(sshsig.public_line(public(2)) + "\n")
    policy = trust_files.read_policy(f"{tmp_path}/signers", f"{tmp_path}/revoked")
    assert policy.revoked == frozenset({public(2)})
    assert trust_files.read_policy(f"{tmp_path}/signers", f"{tmp_path}/none").revoked == frozenset()


def test_a_killed_creation_leaves_no_half_key(tmp_path: Path) -> None:
    code = (
        "import os, sys; from wmbackup.trust import keys\n"
        "os.link = lambda *_: os.kill(os.getpid(), 9)\n"
        "keys.create(sys.argv[1], 'host')"
    )
    command = [sys.executable, "-c", code, f"{tmp_path}/key"]
    assert subprocess.run(command, check=False).returncode == -9
    with pytest.raises(SigningKeyMissing):
        keys.load(f"{tmp_path}/key")
    keys.create(f"{tmp_path}/key", "host")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "key.pub"]


def test_a_new_key_is_trusted_at_once_under_a_free_name(tmp_path: Path) -> None:
    signers = f"{tmp_path}/signers"
    principals = []
    for number in range(3):
        made = keys.create_trusted(f"{tmp_path}/key{number}", signers, "host")
        principals.append(made.principal)
        assert trust_files.read_policy(signers).check(made.key.public) == (made.principal,)
    assert principals == ["wmbackup@host", "wmbackup@host-2", "wmbackup@host-3"]


def test_keys_that_are_trusted_at_once_are_all_trusted(tmp_path: Path) -> None:
    path = str(tmp_path / "allowed_signers")
    threads = [
        threading.Thread(
            target=trust_files.trust, args=(path, Signer(f"wmbackup@host{seed}", public(seed)))
        )
        for seed in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = parse_allowed_signers((tmp_path / "allowed_signers").read_bytes())
    assert {signer.key for signer in found} == {public(seed) for seed in range(1, 9)}
    assert os.listdir(tmp_path) == ["allowed_signers"]


def test_no_key_is_made_where_the_trust_file_makes_no_sense(tmp_path: Path) -> None:
    (tmp_path / "allowed_signers").write_text("nonsense\n")
    with pytest.raises(TrustFileInvalid):
        keys.create_trusted(str(tmp_path / "key"), str(tmp_path / "allowed_signers"), "host")
    assert os.listdir(tmp_path) == ["allowed_signers"]

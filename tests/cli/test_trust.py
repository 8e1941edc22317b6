"""``key trust`` writes what was shown and checked, and nothing else; ``key create`` recovers."""

from __future__ import annotations

import builtins
import errno
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archives import public
from tests.cli.program import Inside
from tests.folders import is_private
from wmbackup.archive.sshsig import fingerprint, public_line
from wmbackup.storage.publish import Draft
from wmbackup.trust import parse_allowed_signers

GOOD, EVIL = public_line(public(1)), public_line(public(2))
MARK = fingerprint(public(1))
EVERYBODY = 0o022  # may write: the group, and all others
STEP = OSError(28, "no space left on device")


def signers(inside: Inside) -> bytes:
    path = Path(inside.config, "allowed_signers")
    return path.read_bytes() if path.exists() else b""


@pytest.mark.parametrize(
    "line",
    [
        f'"wmbackup@peer {EVIL}" {GOOD}',
        f'"wmbackup@peer {EVIL} " {GOOD}',
        f'"wmbackup@peer\t{EVIL}" {GOOD}',
        f'"a b" {GOOD}',
        f"* {GOOD}",
        f"wmbackup@* {GOOD}",
        f"!wmbackup@peer {GOOD}",
        f"wmbackup@peer,!x {GOOD}",
        f"a?b {GOOD}",
        f"a,b {GOOD}",
        f"a\\b {GOOD}",
        f"a#b {GOOD}",
        f"\x1b[31mwmbackup@peer {GOOD}",
        f"wmbackup@peer\x7f {GOOD}",
        f"wmbackup@pe\u200ber {GOOD}",
        f"wmbackup@p\u00e9er {GOOD}",
        f"\u202ewmbackup@peer {GOOD}",
        f"ssh-peer {GOOD}",
        f"{'a' * 300} {GOOD}",
        f"wmbackup@peer cert-authority {GOOD}",
        f'wmbackup@peer namespaces="file" {GOOD}',
        f'wmbackup@peer unknown="x" {GOOD}',
        f"wmbackup@peer {GOOD}\nwmbackup@other {EVIL}",
        f"wmbackup@peer {GOOD}\0",
    ],
)
def test_trust_of_a_line_that_is_not_plain_is_refused_and_changes_nothing(
    inside: Inside, line: str
) -> None:
    Path("peer").write_text(line + "\n")
    result = inside("key", "trust", "peer", "--fingerprint", MARK)
    assert result.code in {1, 2, 7}
    assert "this is a bug" not in result.err
    assert "\x1b[31m" not in result.err
    assert signers(inside) == b""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_trust_of_a_file_that_powershell_wrote_works(
    inside: Inside, encoding: str, end: str
) -> None:
    text = f"wmbackup@peer {GOOD}{end}"
    data = text.encode("utf-16" if encoding.startswith("utf-16") else encoding)
    Path("peer").write_bytes(data)
    assert inside("key", "trust", "peer").code == 0
    (signer,) = parse_allowed_signers(signers(inside))
    assert (signer.principals, signer.key) == ("wmbackup@peer", public(1))


def test_trust_keeps_the_options_of_a_line(inside: Inside) -> None:
    Path("peer").write_text(
        f'wmbackup@peer valid-after="20200102Z",valid-before="20300102030405Z" {GOOD}\n'
    )
    result = inside("key", "trust", "peer")
    assert result.code == 0
    assert "until 2030-01-02T03:04:05Z" in result.out + result.err
    assert b'valid-after="20200102000000Z",valid-before="20300102030405Z"' in signers(inside)


def test_trust_takes_a_fingerprint_without_its_prefix(inside: Inside) -> None:
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    assert inside("key", "trust", "peer", "--fingerprint", MARK[7:]).code == 0


def test_trust_of_a_revoked_key_is_refused(inside: Inside) -> None:
    os.makedirs(inside.config, 0o700)
    Path(inside.config, "revoked_keys").write_text(GOOD + "\n")
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    result = inside("key", "trust", "peer", "--fingerprint", MARK)
    assert result.code == 1
    assert f"the key {MARK} is revoked" in result.err
    assert signers(inside) == b""


def test_trust_of_a_revoked_key_that_is_trusted_says_that_it_is_revoked(inside: Inside) -> None:
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    assert inside("key", "trust", "peer").code == 0
    Path(inside.config, "revoked_keys").write_text(GOOD + "\n")
    result = inside("key", "trust", "peer")
    assert result.code == 1
    assert "is revoked" in result.err


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("nowhere"), "link to nothing"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_text("nonsense\n"), "revoked keys, line 1"),
        (lambda path: path.write_bytes(GOOD.encode("utf-16")), "UTF-16"),
        (lambda path: path.write_bytes(b"SSHKRL\n\0"), "key revocation list"),
    ],
)
def test_revocation_that_cannot_be_read_trusts_nobody(
    ready: Inside, make: object, reason: str
) -> None:
    assert callable(make)
    make(Path(ready.config, "revoked_keys"))
    result = ready("verify", "archive.tar")
    assert result.code == 2
    assert reason in result.err
    assert "revoked_keys" in result.err


@pytest.fixture
def ready(inside: Inside) -> Inside:
    assert inside("key", "create").code == 0
    backup = ("backup", "--store", "sample", "--accept-restricted", "-o", "archive.tar")
    assert inside(*backup).code == 0
    return inside


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("allowed_signers", ("verify", "archive.tar")),
        ("signing_key", ("backup", "--store", "sample", "-o", "b.tar")),
        ("wmbackup.toml", ("verify", "archive.tar")),
    ],
)
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(
    ready: Inside, name: str, command: tuple[str, ...]
) -> None:
    path = Path(ready.config, name)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    result = ready(*command)
    assert result.code == 2
    assert re.search(f"{name}.*(not a regular file|is a pipe)", result.err)


def _interruptions() -> Iterator[str]:
    yield from ("the private key", "the trust file", "the public key")


@pytest.mark.parametrize("step", range(3), ids=_interruptions())
def test_key_create_that_was_cut_off_is_completed_by_the_next(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    real, calls = Draft.publish, []

    def fails(draft: Draft, *, replace: bool) -> None:
        calls.append(draft.path)
        if len(calls) == step + 1:
            raise STEP
        real(draft, replace=replace)

    with monkeypatch.context() as patched:
        patched.setattr(Draft, "publish", fails)
        assert inside("key", "create").code == 1
    assert inside("key", "create").code == 0
    names = sorted(os.listdir(inside.config))
    assert names == ["allowed_signers", "signing_key", "signing_key.pub"]
    assert inside("backup", "--store", "sample", "-o", "a.tar", "--accept-restricted").code == 0
    assert inside("verify", "a.tar").code == 0
    again = inside("key", "create")
    assert again.code == 1
    assert re.search(r"there is a signing key at", again.err)


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_principal_that_is_taken_is_answered_by_a_command_that_works(
    inside: Inside, end: str
) -> None:
    os.makedirs(inside.config)
    taken = f"wmbackup@peer {EVIL}\nwmbackup@peer-2 {public_line(public(3))}{end}"
    Path(inside.config, "allowed_signers").write_text(taken)
    Path("peer").write_text(f'wmbackup@peer valid-before="20300101Z" {GOOD}\n')
    result = inside("key", "trust", "peer")
    assert result.code == 1
    (hint,) = result.hints
    subprocess.run(hint.partition("own: ")[2], shell=True, check=True)  # noqa: S602 - as it is pasted
    added = parse_allowed_signers(signers(inside))[-1]
    assert (added.principals, added.key) == ("wmbackup@peer-3", public(1))
    assert added.valid_before is not None


def test_key_list_without_keys_says_so(inside: Inside) -> None:
    result = inside("key", "list")
    assert result.code == 0
    assert "no keys are trusted" in result.err


def test_key_trust_answers_before_it_asks(ready: Inside) -> None:
    assert ready("key", "trust", "archive.tar").code == 0  # trusted already: nothing to ask
    Path(ready.config, "revoked_keys").write_bytes(
        Path(ready.config, "signing_key.pub").read_bytes()
    )
    result = ready("key", "trust", "archive.tar")
    assert result.code == 1
    assert "is revoked" in result.err


BACKUP = ("backup", "--store", "sample", "--accept-restricted")


def test_backup_with_a_key_whose_creation_was_cut_off_works_and_names_the_next_step(
    ready: Inside,
) -> None:
    os.unlink(f"{ready.config}/signing_key.pub")
    os.unlink(f"{ready.config}/allowed_signers")
    backup = ready(*BACKUP, "-o", "b.tar")
    assert backup.code == 0
    assert "the run that made the signing key was cut off" in backup.err
    assert backup.hints == ["wmbackup key create"]
    assert ready("verify", "b.tar").code == 5
    assert ready("key", "create").out.startswith("completed ")
    assert ready("verify", "b.tar").code == 0
    assert "cut off" not in ready(*BACKUP, "-o", "c.tar").err


@pytest.mark.parametrize("name", ["pipe", "device", "folder"])
def test_key_trust_of_what_is_no_file_is_refused_and_not_waited_for(
    inside: Inside, name: str
) -> None:
    source = {"pipe": "pipe", "device": "/dev/zero", "folder": "."}[name]
    if name == "pipe":
        os.mkfifo("pipe")
    result = inside("key", "trust", source)
    assert result.code == (2 if name == "folder" else 7)
    assert re.search("not a regular file|is a folder", result.err)
    assert signers(inside) == b""


def _pipe(path: str) -> None:
    os.mkfifo(path)


def _link_to_nothing(path: str) -> None:
    os.symlink("nowhere", path)


def _malformed(path: str) -> None:
    Path(path).write_bytes(b"\xff\xfe\0nonsense")


def _too_large(path: str) -> None:
    Path(path).write_bytes(b"#" * (1024 * 1024 + 1))


def _nothing(_path: str) -> None:
    pass


@pytest.mark.parametrize("make", [os.mkdir, _pipe, _link_to_nothing, _malformed, _too_large])
@pytest.mark.parametrize(
    "command",
    [
        ("verify", "archive.tar", "--allowed-signers", "it"),
        ("key", "list", "--allowed-signers", "it"),
        (*BACKUP, "-o", "b.tar", "--signing-key", "it"),
        ("key", "show", "--signing-key", "it"),
        ("verify", "archive.tar"),
    ],
)
def test_setup_that_cannot_be_used_is_2(
    ready: Inside, make: Callable[[str], None], command: tuple[str, ...]
) -> None:
    make("it" if "it" in command else os.path.join(ready.config, "wmbackup.toml"))
    result = ready(*command)
    assert result.code == 2, result.err
    assert "this is a bug" not in result.err


@pytest.mark.parametrize("option", ["--allowed-signers", "--signing-key"])
def test_setup_that_is_missing_is_2(ready: Inside, option: str) -> None:
    command = ("verify", "archive.tar") if option == "--allowed-signers" else (*BACKUP, "-o", "b")
    assert ready(*command, option, "it").code == 2


@pytest.mark.parametrize("make", [_link_to_nothing, _malformed, _nothing])
@pytest.mark.parametrize(
    "command", [("verify", "it"), ("list", "it"), ("list", "--store", "it"), ("key", "trust", "it")]
)
def test_stores_and_archives_that_are_none_are_7(
    ready: Inside, make: Callable[[str], None], command: tuple[str, ...]
) -> None:
    make("it")
    assert ready(*command).code == 7


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "archive.tar"),
        ("key", "list"),
        (*BACKUP, "-o", "b.tar"),
        ("verify", "archive.tar", "--allowed-signers", "signers"),
    ],
)
def test_a_disk_that_does_not_read_is_1_whatever_is_read(
    ready: Inside, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    real = os.open
    Path("signers").write_text("")
    wanted = {"verify": "archive.tar", "key": "allowed_signers", "backup": "signing_key"}
    name = "signers" if "signers" in command else wanted[command[0]]

    def broken(path: object, *given: Any, **named: Any) -> int:
        if str(path).endswith(name):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path, *given, **named)  # type: ignore[arg-type] # as it was given

    def broken_file(path: object, *given: Any, **named: Any) -> object:
        if str(path).endswith(name):
            broken(path)
        return real_file(path, *given, **named)

    real_file: Any = builtins.open
    monkeypatch.setattr(os, "open", broken)
    monkeypatch.setattr(builtins, "open", broken_file)
    result = ready(*command)
    assert result.code == 1
    assert re.match(rf"cannot read .*{name}: input/output error", result.errors[0])


@pytest.mark.parametrize("mode", [0o775, 0o770])
def test_first_run_in_a_folder_made_by_hand_with_a_wide_mask_ends_well(
    inside: Inside, mode: int
) -> None:
    for folder in (os.path.dirname(inside.config), inside.config):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, mode)
    before = os.umask(0o002)
    try:
        assert inside("key", "create").code == 0
        assert inside(*BACKUP, "-o", "a.tar").code == 0
        verify = inside("verify", "a.tar")
    finally:
        os.umask(before)
    assert verify.code == 0
    assert f"other users can write {inside.config}, and say whom to trust" in verify.err
    assert verify.hints == [f"chmod go-w {inside.config}"]
    assert is_private(f"{inside.config}/signing_key")
    os.chmod(inside.config, mode & ~0o022)
    assert "other users" not in inside("verify", "a.tar").err


@pytest.mark.parametrize("name", ["", "/allowed_signers", "/revoked_keys"])
def test_what_everybody_can_write_decides_no_trust(ready: Inside, name: str) -> None:
    Path(f"{ready.config}/revoked_keys").touch()
    place = ready.config + name
    mode = os.stat(place).st_mode
    os.chmod(place, mode | EVERYBODY)
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    for command in (("verify", "archive.tar"), ("key", "list"), ("key", "trust", "peer")):
        result = ready(*command)
        assert result.code == 2
        assert result.errors == [f"every user can write {place}, and so decide whom to trust"]
        assert result.hints == [f"chmod go-w {place}"]
    os.chmod(place, mode)
    assert ready("verify", "archive.tar").code == 0


def test_key_create_in_a_folder_that_everybody_can_write_makes_nothing(inside: Inside) -> None:
    os.makedirs(inside.config)
    os.chmod(inside.config, 0o700 | EVERYBODY)
    result = inside("key", "create")
    assert result.code == 2
    assert result.hints == [f"chmod go-w {inside.config}"]
    assert os.listdir(inside.config) == []
    os.chmod(inside.config, 0o700)
    assert inside("key", "create").code == 0


def test_trust_file_in_a_sticky_folder_of_everybody_is_written(inside: Inside) -> None:
    os.mkdir("shared")
    os.chmod("shared", 0o1700 | EVERYBODY)
    Path("peer").write_text(f"wmbackup@peer {GOOD}\n")
    trust = ("key", "trust", "peer", "--allowed-signers", "shared/signers")
    assert inside(*trust).code == 0
    assert os.listdir("shared") == ["signers"]


def test_hints_quote_paths_for_the_shell(inside: Inside) -> None:
    assert inside("key", "create").code == 0
    odd = os.path.abspath("a folder/signing key")
    os.mkdir("a folder")
    os.rename(f"{inside.config}/signing_key", odd)
    os.chmod(odd, 0o644)
    result = inside(*BACKUP, "-o", "a.tar", "--signing-key", odd)
    assert result.code == 2
    assert result.hints == [f"chmod 600 '{odd}'"]


def test_key_create_where_the_file_system_keeps_no_modes_warns_and_goes_on(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on exFAT, where all files belong to one user and others may read them."""
    real = os.fstat

    def everybodys(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if inside.home not in os.readlink(f"/proc/self/fd/{descriptor}"):
            return status
        return os.stat_result((status.st_mode | 0o077, *status[1:4], 12345, *status[5:]))

    monkeypatch.setattr(os, "fstat", everybodys)
    result = inside("key", "create")
    assert result.code == 0
    assert "other users can read the signing key" in result.err
    assert "keeps no modes: mount it with umask=077, or use another one" in result.hints[0]
    assert inside(*BACKUP, "-o", "a.tar").code == 0
    assert inside("verify", "a.tar").code == 0

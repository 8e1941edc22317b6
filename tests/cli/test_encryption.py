"""Encrypted archives on the command line: made, opened, refused, and what is warned of."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.cli.program import WMBACKUP, Inside, Process
from wmbackup.age.keys import X25519Identity

QUIET = ("--quiet", "--no-notice")


def key_pair(inside: Inside, name: str) -> tuple[str, str]:
    """Return a recipient, and the file of its identity in the current folder."""
    identity = X25519Identity.generate()
    path = inside.write(name, f"{identity.secret()}\n".encode())
    os.chmod(path, 0o600)
    return str(identity.recipient), path


@pytest.fixture
def machine(inside: Inside) -> Inside:
    """A machine with a signing key, an identity, and a store of two files."""
    inside("key", "create")
    inside("key", "create", "--identity")
    inside.store()
    return inside


def own(machine: Inside) -> str:
    return machine("key", "show").out.split()[-1]


def passphrase(inside: Inside, text: bytes = b"correct horse\n", name: str = "pw") -> str:
    path = inside.write(name, text)
    os.chmod(path, 0o600)
    return path


def backup(inside: Inside, *arguments: str, to: str = "a.wmbackup.tar.age") -> None:
    done = inside("backup", "--store", "folder:store", "-o", to, *QUIET, *arguments)
    assert (done.code, done.err) == (0, "")


def age(inside: Inside, *arguments: str, data: bytes | None = None) -> bytes:
    return subprocess.run(
        ["age", *arguments], cwd=inside.here, input=data, capture_output=True, check=True
    ).stdout


def test_encrypted_archive_is_an_age_file_that_every_command_reads(machine: Inside) -> None:
    backup(machine, "--recipient", own(machine))
    data = machine.read("a.wmbackup.tar.age")
    assert data.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert b"wmbackup-1/" not in data
    os.rename(machine.path("a.wmbackup.tar.age"), machine.path("renamed"))
    assert machine("verify", "renamed", "--restore-test", "--against", "folder:store").code == 0
    listed = machine("list", "renamed")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == ["a.lic", "b.lic"]
    assert machine("list", "renamed", "--against", "folder:store").code == 0
    assert machine("restore", "renamed", "--to", "back", "--yes", "--path", "b.lic").code == 0
    assert machine.tree(machine.path("back")) == ["b.lic"]
    assert machine("restore", "renamed", "--to", "whole", "--yes").code == 0
    assert machine.tree(machine.path("whole")) == ["a.lic", "b.lic"]


def test_a_pipe_is_read_as_a_file_is(machine: Inside) -> None:
    backup(machine, "--recipient", own(machine))
    data = machine.read("a.wmbackup.tar.age")
    assert machine("verify", "-", stdin=data).code == 0
    assert machine("list", "-", stdin=data).out.count("\n") == 2
    assert machine("restore", "-", "--to", "back", "--yes", stdin=data).code == 0
    assert machine.tree(machine.path("back")) == ["a.lic", "b.lic"]
    cut = machine("verify", "-", stdin=data[:-1])
    assert cut.code == 4


def test_in_a_folder_it_gets_its_usual_name(machine: Inside) -> None:
    os.mkdir(machine.path("out"))
    backup(machine, "--recipient", own(machine), to="out")
    (name,) = machine.tree(machine.path("out"))
    assert re.fullmatch(r".*-store-\d{8}T\d{6}Z-[0-9a-f]{8}\.wmbackup\.tar\.age", name)
    os.mkdir(machine.path("plain"))
    backup(machine, to="plain")
    (name,) = machine.tree(machine.path("plain"))
    assert name.endswith(".wmbackup.tar")


def test_standard_output_carries_an_age_file(program: Process) -> None:
    program("key", "create")
    recipient = program("key", "create", "--identity").out.strip()
    program.store()
    program.shell(f"wmbackup backup --store folder:store -o - --recipient {recipient} > a.age")
    assert program.read("a.age").startswith(b"age-encryption.org/v1\n")
    assert program("verify", "a.age").code == 0


def test_recipients_are_signed_and_everybody_opens_it(machine: Inside) -> None:
    first, one = key_pair(machine, "one.txt")
    second, two = key_pair(machine, "two.txt")
    machine.write("recipients.txt", f"# ours\n{second}\n".encode())
    backup(machine, "--recipient", first, "--recipient", "recipients.txt", "--recipient", first)
    for path in (one, two):
        assert machine("verify", "a.wmbackup.tar.age", "--identity", path).code == 0
    plain = age(machine, "-d", "-i", "one.txt", "a.wmbackup.tar.age")
    assert f"\nWMBackup-Recipients: {first} {second}\n".encode() in plain
    lines = machine("verify", "a.wmbackup.tar.age", "--identity", one, "--json").lines
    (archive,) = lines[-1]["result"]["archives"]
    assert archive["archive"]["recipients"] == f"{first} {second}"


def test_passphrase_opens_what_it_closed(machine: Inside) -> None:
    file = passphrase(machine)
    backup(machine, "--passphrase-file", file)
    assert b"-> scrypt " in machine.read("a.wmbackup.tar.age")[:60]
    verify = ("verify", "a.wmbackup.tar.age", *QUIET)
    assert machine(*verify, "--passphrase-file", file).code == 0
    none = machine(*verify)
    assert none.code == 6
    text = "the archive is encrypted with a passphrase (1 scrypt), and none was given"
    assert none.errors == [f"a.wmbackup.tar.age: {text}"]
    assert "--passphrase-file" in none.hints[0]
    wrong = machine(*verify, "--passphrase-file", passphrase(machine, b"wrong", "other"))
    assert wrong.code == 6
    assert "the passphrase does not open the archive (1 scrypt)" in wrong.errors[0]


def test_passphrase_by_descriptor_and_command(program: Process) -> None:
    program("key", "create")
    program.store()
    make = "wmbackup backup --store folder:store --quiet"
    for given in ("--passphrase-fd 7 7< pw", "--passphrase-command 'cat pw'"):
        program.write("pw", b"correct horse\n")
        os.chmod(program.path("pw"), 0o600)
        assert program.shell(f"{make} -f -o a.age {given}").code == 0
        assert program.shell(f"wmbackup verify a.age {given}").code == 0
    assert program.shell("wmbackup verify - --passphrase-fd 0 < a.age").code == 2
    closed = program.shell("wmbackup verify a.age --passphrase-fd 9")
    assert closed.code == 2
    assert "file descriptor 9" in closed.err


def test_no_secret_is_in_a_list_of_processes_or_in_debug_output(program: Process) -> None:
    program("key", "create")
    program.store()
    program.write("pw", b"correct horse\n")
    program.write("look", b"#!/bin/sh\ntr '\\0' ' ' < /proc/$PPID/cmdline > seen\ncat pw\n")
    os.chmod(program.path("look"), 0o700)
    made = program.shell(
        "wmbackup backup --store folder:store -o a.age --passphrase-command ./look -vv --debug"
    )
    assert made.code == 0
    assert b"passphrase-command" in program.read("seen")
    wrong = program.shell("echo wrong > pw; wmbackup verify a.age --debug --passphrase-file pw")
    assert wrong.code == 6
    assert "Traceback" not in wrong.err or "Undecryptable" in wrong.err
    for text in (program.read("seen").decode(), made.out, made.err, wrong.out, wrong.err):
        assert "correct horse" not in text
        assert "wrong" not in text.replace("echo wrong", "")


@contextlib.contextmanager
def terminal(place: Process, *arguments: str) -> Iterator[pexpect.spawn[str]]:
    child = pexpect.spawn(
        WMBACKUP, list(arguments), cwd=place.here, env=place.environment(TERM="dumb"), timeout=60,
        encoding="utf-8",
    )  # fmt: skip
    try:
        yield child
    finally:
        child.close()


def test_terminal_asks_twice_where_one_is_made_and_once_where_it_is_opened(
    program: Process,
) -> None:
    program("key", "create")
    program.store()
    make = ("backup", "--store", "folder:store", "-o", "a.age", "--passphrase", "--quiet")
    with terminal(program, *make) as child:
        child.expect("Passphrase for the new archive: ")
        child.sendline("correct horse")
        child.expect("The same again: ")
        child.sendline("another")
        child.expect("differ")
        child.expect(pexpect.EOF)
    assert child.exitstatus == 2
    assert "a.age" not in program.tree()
    with terminal(program, *make) as child:
        for prompt in ("Passphrase for the new archive: ", "The same again: "):
            child.expect(prompt)
            child.sendline("correct horse")
        child.expect(pexpect.EOF)
        assert "horse" not in (child.before or "")  # nothing is echoed
    assert child.exitstatus == 0
    for command in (
        ("verify", "a.age", "a.age"),
        ("restore", "a.age", "--to", "back", "--yes"),
        ("list", "a.age"),
    ):
        with terminal(program, *command) as child:
            child.expect("Passphrase: ")
            child.sendline("correct horse")
            child.expect(pexpect.EOF)
            assert "Passphrase" not in (child.before or "")
        assert child.exitstatus == 0


def test_without_a_terminal_nobody_is_asked(machine: Inside) -> None:
    done = machine("backup", "--store", "folder:store", "-o", "a.age", "--passphrase")
    assert done.code == 2
    assert "--passphrase-file" in done.hints[0]


@pytest.mark.parametrize(
    "options",
    [
        ("--passphrase-file", "a", "--passphrase-command", "b"),
        ("--passphrase", "--passphrase-fd", "3"),
        ("--passphrase-file", "a", "--recipient", str(X25519Identity.generate().recipient)),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    machine: Inside, options: tuple[str, ...]
) -> None:
    done = machine("backup", "--store", "folder:store", "-o", "a.age", *options)
    assert done.code == 2
    assert "contradict each other" in done.errors[0]
    assert "a.age" not in machine.tree()


def test_what_is_no_recipient_makes_no_archive(machine: Inside) -> None:
    key = Path(machine.config, "signing_key.pub")
    done = machine("backup", "--store", "folder:store", "-o", "a.age", "--recipient", str(key))
    assert done.code == 2
    assert "line 1 is an SSH public key" in done.errors[0]
    assert "wmbackup key create --identity" in done.hints[0]
    assert "a.age" not in machine.tree()


def test_another_identity_is_told_who_could_open_it(machine: Inside) -> None:
    recipient, _ = key_pair(machine, "other.txt")
    backup(machine, "--recipient", recipient)
    for command in (("verify", "a.wmbackup.tar.age"), ("list", "a.wmbackup.tar.age")):
        done = machine(*command)
        assert done.code == 6
        text = "for other recipients (1 X25519); the identity here is not one of them"
        assert done.errors == [f"a.wmbackup.tar.age: the archive is encrypted {text}"]
        assert "--identity" in done.hints[0]
    restored = machine("restore", "a.wmbackup.tar.age", "--to", "back", "--yes")
    assert restored.code == 6
    assert "back" not in machine.tree()
    os.unlink(Path(machine.config, "identity.txt"))
    assert "there is no identity here" in machine("verify", "a.wmbackup.tar.age").errors[0]


def test_damage_is_told_from_a_bad_signature_inside(machine: Inside) -> None:
    backup(machine, "--recipient", own(machine))
    data = bytearray(machine.read("a.wmbackup.tar.age"))
    header = bytes(data).index(b"---")
    for at, text in ((header - 5, "header of the encryption"), (-30, "does not authenticate")):
        changed = bytearray(data)
        changed[at] ^= 1
        machine.write("b.age", bytes(changed))
        done = machine("verify", "b.age")
        assert done.code in {4, 6}  # of another stanza nobody knows whose it is
        if at < 0:
            assert done.code == 4
            assert text in done.errors[0]
            assert "decrypted" not in done.errors[0]


def test_badly_signed_inside_says_that_it_was_decrypted(machine: Inside) -> None:
    backup(machine, "--recipient", own(machine))
    identity = str(Path(machine.config, "identity.txt"))
    plain = age(machine, "-d", "-i", identity, "a.wmbackup.tar.age")
    changed = plain.replace(b"WMBackup-Host: ", b"WMBackup-Hose: ", 1)
    machine.write("b.age", age(machine, "-r", own(machine), data=changed))
    bad = machine("verify", "b.age")
    assert bad.code == 4
    assert bad.errors[0].startswith("b.age: decrypted, but ")
    machine.write("c.age", age(machine, "-r", own(machine), data=b"hello"))
    other = machine("verify", "c.age")
    assert (other.code, other.errors) == (
        7,
        ["c.age: decrypted, but not an archive of wmbackup"],
    )
    os.unlink(Path(machine.config, "allowed_signers"))
    unknown = machine("verify", "a.wmbackup.tar.age")
    assert unknown.code == 5
    assert "decrypted, but " in unknown.errors[0]
    mark = re.search(r"SHA256:\S+", unknown.hints[0])
    assert mark is not None
    trust = ("key", "trust", "a.wmbackup.tar.age", "--fingerprint", mark[0])
    assert machine(*trust).code == 0
    assert machine("verify", "a.wmbackup.tar.age").code == 0


def test_truncated_at_the_border_of_a_chunk_nothing_is_shown(machine: Inside) -> None:
    machine.write("store/large", bytes(200_000))
    backup(machine, "--recipient", own(machine))
    data = machine.read("a.wmbackup.tar.age")
    payload = data.index(b"\n", data.index(b"---")) + 1 + 16
    machine.write("cut.age", data[: payload + 2 * 65552])
    for command in (
        ("list", "cut.age"),
        ("restore", "cut.age", "--to", "back", "--yes", "--path", "a.lic"),
        ("verify", "cut.age"),
    ):
        done = machine(*command)
        assert done.code == 4
        assert "truncated" in done.errors[0]
    assert "back" not in machine.tree()


def test_salvage_gets_back_what_is_outside_of_a_damaged_chunk(machine: Inside) -> None:
    machine.write("store/large", os.urandom(200_000))
    machine.write("store/z.lic", b"last")
    backup(machine, "--recipient", own(machine))
    data = bytearray(machine.read("a.wmbackup.tar.age"))
    payload = bytes(data).index(b"\n", bytes(data).index(b"---")) + 1 + 16
    data[payload + 2 * 65552 + 9] ^= 1
    machine.write("b.age", bytes(data))
    assert machine("restore", "b.age", "--to", "back", "--yes").code == 4
    done = machine("restore", "b.age", "--to", "back", "--yes", "--salvage")
    assert done.code == 4
    assert machine.tree(machine.path("back")) == ["a.lic", "b.lic", "z.lic"]
    machine.write("cut.age", bytes(data[: payload + 65552 + 40]))
    done = machine("restore", "cut.age", "--to", "cut", "--yes", "--salvage")
    assert done.code == 4
    assert machine.tree(machine.path("cut")) == ["a.lic", "b.lic"]


def test_recipients_in_the_clear_are_warned_of(machine: Inside) -> None:
    backup(machine, "--recipient", own(machine))
    identity = str(Path(machine.config, "identity.txt"))
    machine.write("plain", age(machine, "-d", "-i", identity, "a.wmbackup.tar.age"))
    for command in (
        ("verify", "plain"),
        ("list", "plain"),
        ("restore", "plain", "--to", "b", "-y"),
    ):
        done = machine(*command)
        assert done.code == 0
        assert done.err.count("warning: the maker encrypted this archive") == 1
    lines = machine("verify", "plain", "--json").lines
    assert [line["code"] for line in lines if line["type"] == "warning"] == ["encryption-missing"]


def test_an_identity_that_is_not_among_the_recipients_is_warned_of(machine: Inside) -> None:
    recipient, path = key_pair(machine, "other.txt")
    backup(machine, "--recipient", recipient)
    plain = age(machine, "-d", "-i", path, "a.wmbackup.tar.age")
    machine.write("b.age", age(machine, "-r", own(machine), data=plain))
    done = machine("verify", "b.age")
    assert done.code == 0
    assert "warning: the maker did not encrypt this archive for what opens it here" in done.err
    assert "warning" not in machine("verify", "a.wmbackup.tar.age", "--identity", path).err


def test_an_archive_that_was_encrypted_by_hand_is_read_without_a_warning(machine: Inside) -> None:
    backup(machine, to="plain.tar")
    machine.write("b.age", age(machine, "-r", own(machine), "plain.tar"))
    done = machine("verify", "b.age")
    assert (done.code, done.err) == (0, "")


def test_armor_names_age(machine: Inside) -> None:
    backup(machine, to="plain.tar")
    machine.write("b c.age", age(machine, "-a", "-r", own(machine), "plain.tar"))
    done = machine("verify", "b c.age")
    assert done.code == 7
    assert "armored" in done.errors[0]
    assert "age -d -i identity.txt 'b c.age'" in done.hints[0]


def test_a_name_that_promises_encryption_is_warned_of(machine: Inside) -> None:
    done = machine("backup", "--store", "folder:store", "-o", "a.wmbackup.tar.age")
    assert done.code == 0
    assert "is named as an encrypted archive, and will be none" in done.err


def configure(machine: Inside, text: str) -> None:
    Path(machine.config, "wmbackup.toml").write_text(text, encoding="utf-8")


def row(machine: Inside, name: str = "encryption") -> tuple[str, str]:
    lines = machine("check", "--json").lines
    (found,) = (line for line in lines if line["type"] == "check" and line["name"] == name)
    return found["state"], found["message"]


def test_check_says_whether_somebody_could_open_an_archive(machine: Inside) -> None:
    assert row(machine) == ("ok", "archives are not encrypted: no recipient is configured")
    other, path = key_pair(machine, "other.txt")
    configure(machine, f'[backup]\nrecipient = ["{other}", "{own(machine)}"]\n')
    assert row(machine) == (
        "ok",
        "archives are encrypted for 2 recipients, and an identity here opens them",
    )
    configure(machine, f'recipient = ["{other}"]\n')
    assert row(machine) == (
        "warning",
        f"archives are encrypted for {other}, and no identity here opens them",
    )
    configure(machine, f'recipient = ["{other}"]\nidentity = ["{path}"]\n')
    assert row(machine)[0] == "ok"
    configure(machine, '[backup]\nrecipient = ["nobody"]\n')
    assert row(machine)[0] == "failed"
    configure(machine, f'passphrase-file = "{passphrase(machine)}"\n')
    assert row(machine)[0] == "ok"
    configure(machine, f'[backup]\npassphrase-file = "{passphrase(machine)}"\n')
    assert row(machine)[0] == "warning"
    configure(machine, 'passphrase-file = "/nowhere"\n')
    assert row(machine)[0] == "warning"


def test_recipients_of_the_configuration_encrypt_and_the_command_line_goes_before(
    machine: Inside,
) -> None:
    configure(machine, f'[backup]\nrecipient = ["{own(machine)}"]\n')
    backup(machine)
    assert b"-> X25519 " in machine.read("a.wmbackup.tar.age")[:60]
    backup(machine, "-f", "--passphrase-file", passphrase(machine))
    assert b"-> scrypt " in machine.read("a.wmbackup.tar.age")[:60]


@pytest.mark.skipif(os.name == "nt", reason="its modes are access lists")
def test_a_command_of_a_configuration_that_others_can_write_is_not_run(machine: Inside) -> None:
    configure(machine, "passphrase-command = 'touch ran'\n")
    file = Path(machine.config, "wmbackup.toml")
    file.chmod(0o620)
    done = machine("backup", "--store", "folder:store", "-o", "a.age")
    assert done.code == 2
    assert "is not run: other users can write" in done.errors[0]
    assert done.hints == [f"chmod go-w {file}"]
    assert "ran" not in machine.tree()
    file.chmod(0o600)
    configure(machine, "passphrase-command = 'echo secret'\n")
    backup(machine)
    assert machine("verify", "a.wmbackup.tar.age").code == 0


def test_a_command_never_comes_from_the_environment(
    machine: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WMBACKUP_PASSPHRASE_COMMAND", "touch ran")
    backup(machine, to="plain.tar")
    assert "ran" not in machine.tree()
    assert machine.read("plain.tar").startswith(b"wmbackup-1/")


def test_the_recipe_of_the_manual_unpacks_what_a_backup_made(program: Process) -> None:
    program("key", "create")
    recipient = program("key", "create", "--identity").out.strip()
    program.store()
    made = program("backup", "--store", "folder:store", "-o", "X.tar.age", "--recipient", recipient)
    assert made.code == 0
    unpack = "age -d -i ../identity.txt ../X.tar.age | tar -x"
    check = "sha256sum --strict -c tagmanifest-sha256.txt manifest-sha256.txt"
    done = program.shell(
        f"cp {program.config}/identity.txt . && mkdir new && cd new && {unpack} &&"
        f" cd wmbackup-1 && {check}"
    )
    assert done.code == 0, done.err
    assert done.out.count(": OK\n") == 8
    assert program.read("new/wmbackup-1/data/a.lic") == b"one"

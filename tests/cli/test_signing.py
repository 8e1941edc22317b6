"""``--signing-key``: encrypted keys and keys in ssh-agent, from the command line."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pexpect
import pytest

from tests.agents import add, agent, keygen
from tests.cli.program import PROGRAM, Inside, Process, Result
from wmbackup.archive import sshsig
from wmbackup.trust.unlock import read_public

SECRET = "correct horse"  # noqa: S105 - of keys that the tests make
BACKUP = ("backup", "--store", "sample", "--accept-restricted", "--no-notice", "-o")


@pytest.fixture
def ready(program: Process) -> Process:
    """Return a program whose current folder has an encrypted key, which is trusted."""
    path = keygen(Path(program.here, "id"), "-a", "1", passphrase=SECRET)
    program.write("secret", f"{SECRET}\n".encode())
    os.chmod(program.path("secret"), 0o600)
    line = f"wmbackup@me {sshsig.public_line(read_public(str(path)))}\n"
    program.write("trusted", line.encode())
    return program


def is_good(program: Process, name: str, result: Result) -> bool:
    """Check a backup that was made, and that no secret was printed."""
    assert result.code == 0, result.err
    assert SECRET not in result.out + result.err
    assert "PRIVATE KEY" not in result.out + result.err
    verified = program("verify", name, "--allowed-signers", "trusted")
    return verified.code == 0


def askpass(program: Process, body: str) -> str:
    path = program.write("askpass", f"#!/bin/sh\n{body}\n".encode())
    os.chmod(path, 0o700)
    return path


@pytest.mark.parametrize("debug", [(), ("--debug", "-vv")])
def test_passphrase_comes_from_a_file_a_descriptor_or_a_command(
    ready: Process, debug: tuple[str, ...]
) -> None:
    command = f'{shlex.quote(sys.executable)} -c \'print(open("secret").read(), end="")\''
    ways = {
        "a": ("--key-passphrase-file", "secret"),
        "b": ("--key-passphrase-fd", "0"),
        "c": ("--key-passphrase-command", command),
    }
    for name, way in ways.items():
        done = ready(
            *BACKUP, name, "--signing-key", "id", *way, *debug, stdin=f"{SECRET}\n".encode()
        )
        assert is_good(ready, name, done)


def test_wrong_passphrase_makes_no_archive_and_is_not_shown(ready: Process) -> None:
    ready.write("wrong", b"Tr0ub4dor\n")
    result = ready(*BACKUP, "a", "--signing-key", "id", "--key-passphrase-file", "wrong", "-vv")
    assert result.code == 2
    assert result.errors == ["the passphrase does not open the signing key id"]
    assert "Tr0ub4dor" not in result.err
    assert "a" not in ready.tree()


def test_passphrase_of_the_archive_does_not_open_the_key(ready: Process) -> None:
    result = ready(*BACKUP, "a", "--signing-key", "id", env={"WMBACKUP_PASSPHRASE_FILE": "secret"})
    assert result.code == 2
    assert "is protected by a passphrase" in result.err


def test_encrypted_key_with_nobody_to_ask_is_2_and_names_what_supplies_it(ready: Process) -> None:
    for more in ((), ("--json",)):
        result = ready(*BACKUP, "a", "--signing-key", "id", *more)
        assert result.code == 2
        assert "--key-passphrase-file" in result.out + result.err
        assert "ssh-add id" in result.out + result.err


def test_two_ways_to_the_passphrase_contradict_each_other(ready: Process) -> None:
    ways = ("--key-passphrase-file", "secret", "--key-passphrase-command", "cat secret")
    result = ready(*BACKUP, "a", "--signing-key", "id", *ways)
    assert result.code == 2
    assert "contradict each other" in result.err


def test_command_for_the_passphrase_does_not_come_from_the_environment(ready: Process) -> None:
    variable = {"WMBACKUP_KEY_PASSPHRASE_COMMAND": "touch proof"}
    assert ready(*BACKUP, "a", "--signing-key", "id", env=variable).code == 2
    assert "proof" not in ready.tree()


def test_command_for_the_passphrase_stands_in_a_configuration_nobody_else_can_write(
    ready: Process,
) -> None:
    os.makedirs(ready.config, 0o700)
    file = Path(ready.config, "wmbackup.toml")
    file.write_text('[backup]\nsigning-key = "id"\nkey-passphrase-command = "cat secret"\n')
    assert is_good(ready, "a", ready(*BACKUP, "a"))
    file.chmod(0o666)
    refused = ready(*BACKUP, "b")
    assert refused.code == 2
    assert "b" not in ready.tree()


@pytest.mark.parametrize(
    ("env", "asks"),
    [
        ({"SSH_ASKPASS_REQUIRE": "force"}, True),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "w"}, True),
        ({"DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "prefer"}, True),
        ({"SSH_ASKPASS_REQUIRE": "prefer"}, False),
        ({}, False),
        ({"DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "never"}, False),
    ],
)
def test_askpass_is_run_where_ssh_runs_it(
    ready: Process, env: dict[str, str], *, asks: bool
) -> None:
    program = askpass(ready, 'echo "$1" > question; cat secret')
    done = ready(*BACKUP, "a", "--signing-key", "id", env={**env, "SSH_ASKPASS": program})
    if asks:
        assert is_good(ready, "a", done)
        assert b"Passphrase for the signing key id" in ready.read("question")
    else:
        assert done.code == 2
    assert ("question" in ready.tree()) is asks


@pytest.mark.parametrize(
    ("body", "reason"), [("exit 1", "gave no passphrase"), ("", "gave no passphrase")]
)
def test_askpass_that_gives_none_is_named(ready: Process, body: str, reason: str) -> None:
    env = {"SSH_ASKPASS": askpass(ready, body), "SSH_ASKPASS_REQUIRE": "force"}
    result = ready(*BACKUP, "a", "--signing-key", "id", env=env)
    assert result.code == 2
    assert reason in result.err
    env["SSH_ASKPASS"] = "/nowhere"
    result = ready(*BACKUP, "a", "--signing-key", "id", env=env)
    assert result.code == 2
    assert "cannot run /nowhere" in result.err


def test_no_input_runs_no_askpass(ready: Process) -> None:
    env = {"SSH_ASKPASS": askpass(ready, "touch asked"), "SSH_ASKPASS_REQUIRE": "force"}
    assert ready(*BACKUP, "a", "--signing-key", "id", "--no-input", env=env).code == 2
    assert "asked" not in ready.tree()


def test_passphrase_is_asked_on_the_terminal_and_not_echoed(ready: Process) -> None:
    command = [*PROGRAM, *BACKUP, "a", "--signing-key", "id"]
    env = ready.environment(COLUMNS="200")
    child = pexpect.spawn(command[0], command[1:], env=env, cwd=ready.here, encoding="utf-8")
    try:
        for answer in ("wrong", SECRET):
            child.expect_exact("Passphrase for the signing key id: ")
            child.sendline(answer)
        rest = child.read()
    finally:
        child.close()
    assert child.exitstatus == 0, rest
    assert SECRET not in rest
    assert "wrong" not in rest
    assert ready("verify", "a", "--allowed-signers", "trusted").code == 0


@pytest.mark.parametrize("name", ["id", "id.pub"])
def test_key_in_the_agent_signs_where_only_its_public_half_is_on_the_disk(
    ready: Process, name: str
) -> None:
    keygen(Path(ready.here, "plain"))
    line = sshsig.public_line(read_public(ready.path("plain")))
    ready.write("trusted", f"wmbackup@me {line}\n".encode())
    with agent() as address:
        add(address, Path(ready.here, "plain"))
        os.unlink(ready.path("plain"))
        os.unlink(ready.path("id"))
        os.replace(ready.path("plain.pub"), ready.path("id.pub"))
        env = {"SSH_AUTH_SOCK": address}
        assert is_good(ready, "a", ready(*BACKUP, "a", "--signing-key", name, env=env))
    refused = ready(*BACKUP, "b", "--signing-key", name, env=env)
    assert refused.code == 2
    assert "ssh-agent cannot be reached" in refused.err
    assert "b" not in ready.tree()


def test_own_key_may_be_in_the_agent_alone(program: Process) -> None:
    assert program("key", "create").code == 0
    path = Path(program.config, "signing_key")
    with agent() as address:
        add(address, path)
        path.unlink()
        env = {"SSH_AUTH_SOCK": address}
        assert program(*BACKUP, "a", env=env).code == 0
        assert program("key", "show", env=env).code == 0
        assert "ok      signing key" in program("check", env=env).out
    assert program("verify", "a").code == 0
    without = program(*BACKUP, "b")
    assert without.code == 2
    assert "no ssh-agent is running" in without.err


def test_key_that_others_can_read_makes_no_archive(inside: Inside) -> None:
    assert inside("key", "create").code == 0
    path = f"{inside.config}/signing_key"
    os.chmod(path, 0o644)
    for command in ((*BACKUP, "a"), (*BACKUP, "a", "--signing-key", path)):
        result = inside(*command)
        assert result.code == 2
        assert result.errors == [
            f"other users can read the signing key {path}, and such a key is not used"
        ]
        assert result.hints == [f"chmod 600 {path}"]
    check = inside("check")
    assert "FAILED  signing key" in check.out or "failed  signing key" in check.out
    os.chmod(path, 0o600)
    assert inside(*BACKUP, "a").code == 0


def test_public_part_of_an_encrypted_key_is_shown_without_its_passphrase(ready: Process) -> None:
    result = ready("key", "show", "--signing-key", "id")
    assert result.code == 0
    assert result.out.split()[1] == ready.read("id.pub").decode().split()[1]


def test_check_warns_of_an_own_key_with_a_passphrase(ready: Process) -> None:
    os.makedirs(ready.config, 0o700)
    os.rename(ready.path("id"), f"{ready.config}/signing_key")
    result = ready("check")
    assert "has a passphrase, which an unattended backup has to be given" in result.out

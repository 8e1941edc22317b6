"""Keys in ssh-agent: a real agent signs, and one that lies is caught."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agents import add, agent, keygen
from tests.archives import private, public
from wmbackup.archive import sshsig
from wmbackup.cli.render import next_steps
from wmbackup.errors import SigningKeyUnusable
from wmbackup.trust import agent as client
from wmbackup.trust import keys
from wmbackup.trust.agent import Agent, AgentFailure
from wmbackup.trust.unlock import Unlock, read_public


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with agent() as found:
        yield found


def test_agent_key_signs_as_its_file_does_and_ssh_keygen_verifies_it(
    tmp_path: Path, address: str
) -> None:
    path = keygen(tmp_path / "key")
    add(address, path)
    by_file = keys.load(str(path))
    path.unlink()  # the public half is all that is left on the disk
    key = keys.load(str(path), Unlock(address))
    assert key.public == by_file.public
    assert key.sign(b"message") == by_file.sign(b"message")
    (tmp_path / "signature").write_bytes(key.sign(b"message"))
    (tmp_path / "trusted").write_text(f"me {sshsig.public_line(key.public)}\n")
    namespace = sshsig.NAMESPACE.decode()
    signed = ("-f", tmp_path / "trusted", "-I", "me", "-s", tmp_path / "signature")
    command = ("ssh-keygen", "-Y", "verify", "-n", namespace, *signed)
    subprocess.run(command, input=b"message", check=True, capture_output=True)


@pytest.mark.parametrize("name", ["key.pub", "key", "half"])
def test_public_half_names_the_key_in_the_agent(tmp_path: Path, address: str, name: str) -> None:
    path = keygen(tmp_path / "key")
    add(address, path)
    path.unlink()
    if name == "half":
        os.rename(f"{path}.pub", tmp_path / "half")
    key = keys.load(str(tmp_path / name), Unlock(address))
    assert sshsig.signer(key.sign(b"x"), b"x") == key.public == read_public(str(tmp_path / name))


def test_public_half_of_a_key_that_no_agent_holds_uses_the_private_file_beside_it(
    tmp_path: Path, address: str
) -> None:
    path = keygen(tmp_path / "key")
    for unlock in (Unlock(), Unlock(address), Unlock("/nowhere")):
        assert keys.load(f"{path}.pub", unlock).public == keys.load(str(path)).public
    os.replace(keygen(tmp_path / "other"), path)
    with pytest.raises(SigningKeyUnusable, match="is the public half of another key"):
        keys.load(f"{path}.pub")


@pytest.mark.parametrize(
    ("unlock", "reason"),
    [
        (Unlock(), "no ssh-agent is running"),
        (Unlock("/nowhere"), "ssh-agent cannot be reached at /nowhere: no such file"),
        (Unlock("/" + "x" * 200), "ssh-agent cannot be reached"),
    ],
)
def test_public_half_without_an_agent_names_the_command(
    tmp_path: Path, unlock: Unlock, reason: str
) -> None:
    path = keygen(tmp_path / "key")
    path.unlink()
    with pytest.raises(SigningKeyUnusable, match=reason) as caught:
        keys.load(f"{path}.pub", unlock)
    assert f"ssh-add {path}" in str(next_steps.of_error(caught.value))


def test_key_that_the_agent_does_not_hold_is_named_by_its_fingerprint(
    tmp_path: Path, address: str
) -> None:
    path = keygen(tmp_path / "key")
    mark = sshsig.fingerprint(read_public(str(path)))
    path.unlink()
    with pytest.raises(SigningKeyUnusable, match="does not hold the key") as caught:
        keys.load(str(path), Unlock(address))
    assert mark in caught.value.message


def test_encrypted_key_in_the_agent_needs_no_passphrase(tmp_path: Path, address: str) -> None:
    path = keygen(tmp_path / "key")
    add(address, path)
    command = ("ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", path)
    subprocess.run(command, check=True, capture_output=True)
    key = keys.load(str(path), Unlock(address))
    assert sshsig.signer(key.sign(b"x"), b"x") == key.public


def test_agent_that_has_lost_the_key_does_not_sign(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key")
    with agent() as address:
        add(address, path)
        key = keys.load(f"{path}.pub", Unlock(address))
        environment = {**os.environ, "SSH_AUTH_SOCK": address}
        subprocess.run(["ssh-add", "-D"], env=environment, capture_output=True, check=True)
        with pytest.raises(SigningKeyUnusable, match="did not sign: ssh-agent refused"):
            key.sign(b"x")


def test_agent_that_has_ended_does_not_sign(tmp_path: Path) -> None:
    path = keygen(tmp_path / "key")
    with agent() as address:
        add(address, path)
        key = keys.load(f"{path}.pub", Unlock(address))
    with pytest.raises(SigningKeyUnusable, match="cannot be reached"):
        key.sign(b"x")


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _message(body: bytes) -> bytes:
    return _string(body)


def _signature(raw: bytes, kind: bytes = b"ssh-ed25519") -> bytes:
    return _message(bytes([14]) + _string(_string(kind) + _string(raw)))


@pytest.fixture
def lying() -> Iterator[Callable[[bytes], str]]:
    """Return what makes an agent that answers every request with the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        threads: list[threading.Thread] = []
        listening = socket.socket(socket.AF_UNIX)

        def serve(answer: bytes) -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        def begin(answer: bytes) -> str:
            path = os.path.join(folder, "socket")
            listening.bind(path)
            listening.listen()
            threads.append(threading.Thread(target=serve, args=(answer,)))
            threads[-1].start()
            return path

        yield begin
        for thread in threads:
            thread.join()
        listening.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "closed the connection"),
        (b"\0\0\0", "closed the connection"),
        (_message(b""), "a message of 0 bytes"),
        (struct.pack(">I", 2**31), "a message of 2,147,483,648 bytes"),
        *((_message(bytes([number])), "refused") for number in (5, 28, 30, 102)),
        (_message(bytes([99])), "message 99"),
        (_message(bytes([103])), "message 103"),
        (struct.pack(">I", 256 * 1024 + 1), "a message of 262,145 bytes"),
        (struct.pack(">I", 256 * 1024), "closed the connection"),
        (_message(bytes([12]) + b"\0"), "truncated"),
        (_message(bytes([12]) + struct.pack(">I", 2**32 - 1)), "at most 2,048 are read"),
        (_message(bytes([12]) + struct.pack(">I", 1) + _string(b"blob")), "truncated"),
        (_message(bytes([12]) + struct.pack(">I", 0) + b"more"), "bytes after its end"),
    ],
)
def test_list_of_keys_that_is_malformed_is_refused(
    lying: Callable[[bytes], str], answer: bytes, reason: str
) -> None:
    with pytest.raises(AgentFailure, match=reason):
        Agent(lying(answer)).holds(public(1))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (_message(bytes([5])), "refused"),
        (_message(bytes([14]) + _string(b"")), "truncated"),
        (_signature(bytes(63)), "another type"),
        (_signature(bytes(64), b"ssh-rsa"), "another type"),
        (_signature(bytes(64)) + b"more", "invalid signature"),
    ],
)
def test_signature_that_is_malformed_is_refused(
    lying: Callable[[bytes], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    answer: bytes,
    reason: str,
) -> None:
    (tmp_path / "key.pub").write_text(sshsig.public_line(public(1)))
    monkeypatch.setattr(Agent, "holds", lambda *_: True)
    key = keys.load(f"{tmp_path}/key.pub", Unlock(lying(answer)))
    with pytest.raises(SigningKeyUnusable, match=reason):
        key.sign(b"x")


def test_signature_over_other_data_is_refused(
    lying: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key.pub").write_text(sshsig.public_line(public(1)))
    monkeypatch.setattr(Agent, "holds", lambda *_: True)
    key = keys.load(f"{tmp_path}/key.pub", Unlock(lying(_signature(private(1).sign(b"other")))))
    with pytest.raises(SigningKeyUnusable, match="invalid signature"):
        key.sign(b"x")


def test_agent_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_LIST_WAIT", 0.05)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/socket")
        listening.listen()
        with pytest.raises(AgentFailure, match="did not answer within"):
            Agent(f"{folder}/socket").holds(public(1))

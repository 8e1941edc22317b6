"""Signing keys on Windows: the pipe of ssh-agent, and the life of a key."""

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import contextlib
import ctypes
import os
import pathlib
import struct
import threading
from collections.abc import Iterator
from ctypes import wintypes

import pytest

from tests.archives import private, public
from tests.cli.program import Inside
from wmbackup.archive import sshsig
from wmbackup.cli.signing import agent_address
from wmbackup.errors import SigningKeyUnusable
from wmbackup.trust import keys, owner, parse_allowed_signers
from wmbackup.trust.agent import PIPE, Agent, AgentFailure
from wmbackup.trust.unlock import Unlock

_DUPLEX, _BYTES, _INVALID = 3, 0, wintypes.HANDLE(-1).value
_kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel32.CreateNamedPipeW.restype = wintypes.HANDLE
for _name in ("ConnectNamedPipe", "DisconnectNamedPipe", "CloseHandle", "FlushFileBuffers"):
    getattr(_kernel32, _name).argtypes = (
        (wintypes.HANDLE, ctypes.c_void_p) if _name == "ConnectNamedPipe" else (wintypes.HANDLE,)
    )
_kernel32.ReadFile.argtypes = _kernel32.WriteFile.argtypes = (
    *(wintypes.HANDLE, ctypes.c_void_p, wintypes.DWORD, ctypes.POINTER(wintypes.DWORD)),
    ctypes.c_void_p,
)


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def answer(request: bytes) -> bytes:
    """Answer as ssh-agent does that holds the first key."""
    blob = sshsig.public_blob(public(1))
    if request == bytes([11]):
        return bytes([12]) + struct.pack(">I", 1) + string(blob) + string(b"a comment")
    if request.startswith(bytes([13]) + string(blob)):
        at = 1 + 4 + len(blob)
        (size,) = struct.unpack_from(">I", request, at)
        data = request[at + 4 : at + 4 + size]
        return bytes([14]) + string(string(b"ssh-ed25519") + string(private(1).sign(data)))
    return bytes([5])


def read(pipe: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part, count = ctypes.create_string_buffer(size - len(data)), wintypes.DWORD()
        if not _kernel32.ReadFile(pipe, part, len(part), ctypes.byref(count), None):
            return b""
        data += part.raw[: count.value]
    return data


@contextlib.contextmanager
def served(address: str, connections: int) -> Iterator[None]:
    """Answer so many connections to a named pipe, one after the other."""
    pipe = _kernel32.CreateNamedPipeW(address, _DUPLEX, _BYTES, 1, 4096, 4096, 0, None)
    assert pipe != _INVALID, ctypes.get_last_error()

    def serve() -> None:
        for _ in range(connections):
            _kernel32.ConnectNamedPipe(pipe, None)
            (size,) = struct.unpack(">I", read(pipe, 4))
            message, count = string(answer(read(pipe, size))), wintypes.DWORD()
            _kernel32.WriteFile(pipe, message, len(message), ctypes.byref(count), None)
            _kernel32.FlushFileBuffers(pipe)
            _kernel32.DisconnectNamedPipe(pipe)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(10)
        assert not thread.is_alive(), "somebody did not connect"
        _kernel32.CloseHandle(pipe)


def test_key_in_the_agent_signs_through_its_pipe(tmp_path: pathlib.Path) -> None:
    address = rf"\\.\pipe\wmbackup-test-{os.getpid()}"
    (tmp_path / "key.pub").write_text(sshsig.public_line(public(1)))
    with served(address, 2):
        key = keys.load(str(tmp_path / "key"), Unlock(address))
        assert sshsig.signer(key.sign(b"message"), b"message") == public(1)
    (tmp_path / "key.pub").write_text(sshsig.public_line(public(2)))
    with served(address, 1), pytest.raises(SigningKeyUnusable, match="does not hold the key"):
        keys.load(str(tmp_path / "key"), Unlock(address))


def test_agent_that_is_not_there_is_named() -> None:
    with pytest.raises(AgentFailure, match="cannot be reached"):
        Agent(r"\\.\pipe\wmbackup-nobody").holds(public(1))


def test_agent_is_that_of_openssh_unless_a_pipe_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert agent_address() == PIPE
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/of-another-shell")
    assert agent_address() == PIPE
    monkeypatch.setenv("SSH_AUTH_SOCK", r"\\.\pipe\mine")
    assert agent_address() == r"\\.\pipe\mine"


@pytest.fixture
def inside(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Inside:
    place = Inside(str(tmp_path))
    for name, text in place.environment().items():
        monkeypatch.setenv(name, text)
    monkeypatch.chdir(place.here)
    return place


def test_life_of_a_key(inside: Inside) -> None:
    backup = ("backup", "--store", "sample", "--accept-restricted", "--no-notice", "-o")
    assert inside("key", "create").code == 0
    assert inside(*backup, "a.tar").code == 0
    rotated = inside("key", "rotate")
    assert rotated.code == 0, rotated.err
    signed = inside("key", "sign", "a.tar")
    assert signed.code == 0, signed.err
    assert inside("verify", "a.tar", "--require-signers", "2").code == 5  # one principal
    assert inside("verify", "a.tar").code == 0
    path = os.path.join(inside.config, "allowed_signers")
    with open(path, "rb") as file:
        old, new = parse_allowed_signers(file.read())
    assert inside("key", "revoke", sshsig.fingerprint(old.key), ".").code == 0
    assert inside("verify", "a.tar").code == 5
    assert inside("key", "untrust", sshsig.fingerprint(new.key)).code == 0
    for name in os.listdir(inside.config):
        path = os.path.join(inside.config, name)
        assert os.path.isdir(path) or not owner.is_exposed(path), name

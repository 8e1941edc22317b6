"""Keys that ssh-agent holds: a small client of the agent's protocol (draft-ietf-sshm-ssh-agent).

The agent is asked for two things alone: which keys it holds, and a signature by one of them.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys
import time
from collections.abc import Iterator
from typing import Protocol

from wmbackup.archive.sshsig import public_blob

PIPE = r"\\.\pipe\openssh-ssh-agent"
"""Where the agent of OpenSSH for Windows listens."""

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_FAILURES = {5, 28, 30, 102}
_MAX_MESSAGE = 256 * 1024  # bytes, as ssh-agent itself takes them
_MAX_KEYS = 2048
_KEY_TYPE = b"ssh-ed25519"
_SIGNATURE_SIZE = 64
_BUSY_WAIT = 2.0  # seconds
_LIST_WAIT = 10.0  # seconds
_SIGN_WAIT = 120.0  # seconds: an agent may ask its user to confirm


class AgentFailure(Exception):
    """The agent does not answer, answers nonsense, or refuses; the text is a clause."""


class _Connection(Protocol):
    def send(self, data: bytes) -> None:
        """Send all of it. Raises OSError."""

    def receive(self, size: int) -> bytes:
        """Return up to ``size`` bytes, none at the end. Raises OSError."""


class Agent:
    """The agent that listens at ``address``: a Unix socket, on Windows a named pipe."""

    def __init__(self, address: str) -> None:
        """Keep the address; each request connects anew."""
        self.address = address

    def holds(self, public: bytes) -> bool:
        """Whether it holds the private half of a key (32 raw bytes). Raises AgentFailure."""
        answer = self._ask(bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER, _LIST_WAIT)
        return public_blob(public) in _identities(answer)

    def sign(self, public: bytes, data: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature. Raises AgentFailure."""
        request = bytes([_SIGN_REQUEST]) + _string(public_blob(public)) + _string(data)
        answer = self._ask(request + struct.pack(">I", 0), _SIGN_RESPONSE, _SIGN_WAIT)
        (signature,) = _strings(answer, 1)
        kind, raw = _strings(signature, 2)
        if kind != _KEY_TYPE or len(raw) != _SIGNATURE_SIZE:
            raise AgentFailure("ssh-agent returned a signature of another type")
        return raw

    def _ask(self, request: bytes, expected: int, wait: float) -> bytes:
        try:
            with _connected(self.address, wait) as connection:
                connection.send(struct.pack(">I", len(request)) + request)
                (size,) = struct.unpack(">I", _exactly(connection, 4))
                if not 1 <= size <= _MAX_MESSAGE:
                    raise AgentFailure(f"ssh-agent returned a message of {size:,} bytes")
                answer = _exactly(connection, size)
        except TimeoutError:
            raise AgentFailure(f"ssh-agent did not answer within {wait:g} s") from None
        except (OSError, ValueError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise AgentFailure(f"ssh-agent cannot be reached at {self.address}: {reason}") from None
        if answer[0] in _FAILURES:
            raise AgentFailure("ssh-agent refused")
        if answer[0] != expected:
            raise AgentFailure(f"ssh-agent answered with message {answer[0]}")
        return answer[1:]


def _identities(answer: bytes) -> list[bytes]:
    if len(answer) < 4:  # noqa: PLR2004 - a number
        raise AgentFailure("ssh-agent returned a list that is truncated")
    (count,) = struct.unpack_from(">I", answer)
    if count > _MAX_KEYS:
        raise AgentFailure(f"ssh-agent returned {count:,} keys; at most {_MAX_KEYS:,} are read")
    return _strings(answer[4:], 2 * count)[::2]  # each has a comment behind it


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Return the strings of which a blob consists to its end. Raises AgentFailure."""
    found, at = [], 0
    for _ in range(count):
        end = at + 4
        if end > len(blob) or end + (size := struct.unpack_from(">I", blob, at)[0]) > len(blob):
            raise AgentFailure("ssh-agent returned a message that is truncated")
        at = end + size
        found.append(blob[end:at])
    if at != len(blob):
        raise AgentFailure("ssh-agent returned a message with bytes after its end")
    return found


def _exactly(connection: _Connection, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.receive(size - len(data))
        if not part:
            raise AgentFailure("ssh-agent closed the connection")
        data += part
    return data


if sys.platform == "win32":

    class _Pipe:
        """A named pipe, which is opened as a file is."""

        def __init__(self, address: str) -> None:
            self._file = _open_pipe(address)
            self.close = self._file.close

        def send(self, data: bytes) -> None:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) or 0 :]

        def receive(self, size: int) -> bytes:
            return self._file.read(size) or b""

    def _open_pipe(address: str) -> io.FileIO:
        """Open a pipe, which is busy for a moment after another program has used it."""
        until = time.monotonic() + _BUSY_WAIT
        while True:
            try:
                return io.FileIO(address, "r+")
            except FileNotFoundError:
                raise
            except OSError:
                if time.monotonic() >= until:
                    raise
            time.sleep(_BUSY_WAIT / 100)

    @contextlib.contextmanager
    def _connected(address: str, _wait: float) -> Iterator[_Connection]:
        # A plain read of a pipe knows no timeout; Ctrl-C ends the program.
        with contextlib.closing(_Pipe(address)) as pipe:
            yield pipe

else:
    import socket

    class _Socket:
        """A Unix socket with one deadline for all that is sent and received."""

        def __init__(self, connection: socket.socket, wait: float) -> None:
            self._socket = connection
            self._until = time.monotonic() + wait

        def _limit(self) -> None:
            left = self._until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)

        def send(self, data: bytes) -> None:
            self._limit()
            self._socket.sendall(data)

        def receive(self, size: int) -> bytes:
            self._limit()
            return self._socket.recv(size)

    @contextlib.contextmanager
    def _connected(address: str, wait: float) -> Iterator[_Connection]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(wait)
            connection.connect(address)
            yield _Socket(connection, wait)

"""OpenSSH's own agent and keys, for the tests that compare with them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


def keygen(path: Path, *options: str, passphrase: str = "") -> Path:
    """Make a key with ssh-keygen; Ed25519 where the options say nothing else."""
    kind = () if "-t" in options else ("-t", "ed25519")
    command = ("ssh-keygen", "-q", *kind, *options, "-N", passphrase, "-C", "a comment", "-f", path)
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextlib.contextmanager
def agent() -> Iterator[str]:
    """Run ssh-agent, and end it by its process; yield its socket."""
    folder = tempfile.mkdtemp(prefix="agent-")  # a socket's path has to be short
    socket = os.path.join(folder, "socket")
    process = subprocess.Popen(
        ["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not os.path.exists(socket):
            assert process.poll() is None, "ssh-agent has ended"
            time.sleep(0.01)
        yield socket
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def add(socket: str, key: Path, *options: str) -> None:
    """Add an unencrypted key to an agent, or do what else the options of ssh-add say."""
    environment = {**os.environ, "SSH_AUTH_SOCK": socket}
    command = ["ssh-add", "-q", *options, str(key)]
    subprocess.run(command, env=environment, check=True, capture_output=True)

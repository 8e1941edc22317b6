"""What the manual proposes to run after a backup, with the programs themselves."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.program import SCRIPTS, Process
from tests.cli.test_manual import ROOT, examples

if sys.platform == "win32":
    pytest.skip("the programs are those of POSIX", allow_module_level=True)


def recipe(program: str) -> list[str]:
    """Return the words of the example that runs a program, after ``wmbackup``."""
    (found,) = [
        command
        for command, _ in examples(ROOT / "man" / "wmbackup-backup.1")
        if f"'{program} " in command or f'"{program} ' in command
    ]
    words = shlex.split(found.replace("\\\n", ""))
    assert words[0] == "wmbackup"
    return words[1:]


@pytest.fixture
def ready(program: Process) -> Process:
    assert program("key", "create").code == 0
    program.write("licenses/a", b"1")
    os.mkdir(program.path("backups"))
    return program


@pytest.fixture
def pings() -> Iterator[tuple[str, list[str]]]:
    """Return the address of a server on this machine, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_monitor_is_pinged(ready: Process, pings: tuple[str, list[str]]) -> None:
    address, asked = pings
    words = [word.replace("https://hc-ping.com", address) for word in recipe("curl")]
    assert ready(*words).code == 0
    assert asked == ["/UUID"]
    shutil.rmtree(ready.path("licenses"))
    words[words.index("-o") + 1] = "another.tar"
    assert ready(*words).code == 7
    assert asked == ["/UUID", "/UUID/fail"]


def test_a_failure_is_mailed(ready: Process) -> None:
    mail = ready.write("bin/mail", b'#!/bin/sh\nprintf "%s\\n" "$@" > args; cat > body\n')
    os.chmod(mail, 0o755)  # noqa: S103 - a program
    shutil.rmtree(ready.path("licenses"))
    words = recipe("mail")
    path = f"{os.path.dirname(mail)}:/usr/bin:/bin"
    assert ready(*words, env={"PATH": path}).code == 7
    assert ready.read("args").decode().splitlines() == ["-s", "wmbackup failed", "root"]
    assert json.loads(ready.read("body"))["error"] == "store-unavailable"


@pytest.mark.skipif(
    not os.path.exists(f"{SCRIPTS}/rclone"), reason="its wheel is for Linux on 64-bit PCs alone"
)
def test_the_archive_is_copied_off_site(ready: Process) -> None:
    folder = ready.path("elsewhere")
    remote = {"RCLONE_CONFIG_OFFSITE_TYPE": "alias", "RCLONE_CONFIG_OFFSITE_REMOTE": folder}
    words = recipe("rclone copy")
    assert ready(*words, env=remote).code == 0
    (name,) = os.listdir(ready.path("backups"))
    copy = os.path.join(folder, "wmbackup", name)
    assert ready("verify", copy).code == 0
    with open(copy, "r+b") as file:
        file.truncate(1000)
    words[words.index("-o") + 1] = f"backups/{name}"
    again = ready(*words, "--force", env=remote)
    assert again.code == 0
    assert os.path.getsize(copy) == 1000  # what is there is never changed

"""Whether `check` says what the next backup does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from typing import BinaryIO

import pytest

from tests.archives import public
from tests.cli.program import IS_ROOT, POWERLESS, Inside, Json, Process
from wmbackup.archive import sshsig
from wmbackup.errors import ExitCode
from wmbackup.storage.private_files import create_private


@pytest.fixture
def ready(inside: Inside) -> Inside:
    assert inside("key", "create").code == 0
    inside.store()
    os.mkdir(inside.path("backups"))
    return inside


def rows(result_lines: list[Json]) -> dict[str, Json]:
    return {line["name"]: line for line in result_lines if line["type"] == "check"}


def configure(place: Inside | Process, text: str) -> None:
    os.makedirs(place.config, exist_ok=True)
    with open(f"{place.config}/wmbackup.toml", "w", encoding="utf-8") as file:
        file.write(text)


def test_ready_means_that_a_backup_succeeds(ready: Inside) -> None:
    options = ("--store", "store", "-o", "backups/")
    done = ready("check", *options)
    assert done.code == 0
    assert done.out.endswith("\nready\n")
    assert ready.tree("backups") == []
    assert ready("backup", *options).code == 0


def test_what_is_configured_is_what_is_tried(ready: Inside) -> None:
    configure(ready, "[profile.nightly.backup]\nstore = 'store'\noutput = 'backups/'\n")
    assert ready("check").code == ExitCode.USAGE
    assert ready("check", "--profile", "nightly").code == 0
    done = ready("check", "--profile", "nightly", "-o", "nowhere/")
    assert done.code == ready("backup", "--profile", "nightly", "-o", "nowhere/").code == 7


def test_the_environment_is_what_is_tried(ready: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMBACKUP_STORE", "store")
    monkeypatch.setenv("WMBACKUP_OUTPUT", "backups/")
    assert ready("check").code == 0
    monkeypatch.setenv("WMBACKUP_STORE", "nowhere")
    assert ready("check").code == 7


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("-o", "backups/"), "store"),
        (("--store", "missing", "-o", "backups/"), "store"),
        (("--store", "store"), "output"),
        (("--store", "store", "-o", "nowhere/"), "output"),
        (("--store", "store", "-o", "store/x.tar"), "output"),
        (("--store", "store", "-o", "old.tar"), "output"),
        (("--store", "empty", "-o", "backups/"), "store"),
        (("--store", "sample", "-o", "backups/"), "store"),
        (("--store", "sample", "-o", "backups/", "--strict"), "store"),
        (("--store", "linked", "-o", "backups/"), "store"),
    ],
)
def test_the_exit_code_is_that_of_the_backup(
    ready: Inside, options: tuple[str, ...], name: str
) -> None:
    os.mkdir(ready.path("empty"))
    ready.write("old.tar")
    ready.write("linked/a")
    os.symlink("a", ready.path("linked/b"))
    done = ready("check", *options, "--json")
    row = rows(done.lines)[name]
    assert row["state"] == "failed"
    assert row["remedy"]
    assert done.code == ready("backup", *options).code != 0


@pytest.mark.parametrize("flag", ["accept-restricted", "accept-skipped"])
def test_what_is_accepted_is_no_problem(ready: Inside, flag: str) -> None:
    ready.write("linked/a")
    os.symlink("a", ready.path("linked/b"))
    store = "sample" if flag == "accept-restricted" else "linked"
    configure(ready, f"[backup]\nstore = '{store}'\noutput = 'backups/'\n{flag} = true\n")
    assert ready("check").code == ready("backup").code == 0


def test_without_a_key_nothing_is_ready(ready: Inside) -> None:
    shutil.rmtree(ready.config)
    options = ("--store", "store", "-o", "backups/")
    done = ready("check", *options, "--json")
    assert done.code == ready("backup", *options).code == ExitCode.USAGE
    assert rows(done.lines)["signing key"]["remedy"] == "wmbackup key create"


def test_an_archive_that_could_not_be_restored_is_a_problem(ready: Inside) -> None:
    options = ("--store", "store", "-o", "backups/")
    with open(f"{ready.config}/allowed_signers", "w", encoding="utf-8") as file:
        file.write(f"other {sshsig.public_line(public(1))}\n")
    done = ready("check", *options, "--json")
    assert done.code == ExitCode.UNTRUSTED
    assert rows(done.lines)["trust"]["remedy"].startswith("wmbackup key trust ")


def test_a_key_with_a_passphrase_needs_it_in_the_settings(ready: Inside) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "pass", "-f", ready.path("id")],
                   check=True)  # fmt: skip
    ready("key", "trust", "id.pub", "--as", "me")
    ready.write("secret", b"pass\n")
    os.chmod(ready.path("secret"), 0o600)
    text = "[backup]\nstore = 'store'\noutput = 'backups/'\nsigning-key = 'id'\n"
    configure(ready, text)
    assert ready("check").code == ready("backup", "--no-input").code == ExitCode.USAGE
    configure(ready, text + "key-passphrase-file = 'secret'\n")
    assert ready("check").code == ready("backup", "--no-input").code == 0


class Forgetful:
    """A file that reads as zeros whatever was written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return bytes(len(self._file.read(size)))

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def test_an_output_that_gives_back_something_else_is_a_problem(
    ready: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(folder: str) -> tuple[str, Forgetful]:
        name, file = create_private(folder)
        return name, Forgetful(file)

    monkeypatch.setattr("wmbackup.cli.preflight.create_private", made)
    done = ready("check", "--store", "store", "-o", "backups/")
    assert done.code == ExitCode.FAILED
    assert "gives back other bytes" in done.out


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_an_output_that_nobody_may_write_is_a_problem(program: Process) -> None:
    program.store()
    os.makedirs(program.path("backups"))
    assert program("key", "create").code == 0
    os.chmod(program.path("backups"), 0o500)
    options = ("--store", "store", "-o", "backups/", "--no-notice")
    done = program("check", *options, powers=POWERLESS if IS_ROOT else ())
    assert done.code == 1
    assert "permission denied" in done.out
    os.chmod(program.path("backups"), 0o700)


def test_an_old_clock_is_told(ready: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    lines = ready("check", "--store", "store", "-o", "backups/", "--json").lines
    assert rows(lines)["clock"]["state"] == "warning"


def test_a_ledger_that_is_none_is_told(ready: Inside) -> None:
    options = ("--store", "store", "-o", "backups/")
    assert "there is none yet at" in ready("check", *options).out
    assert ready("backup", *options).code == 0
    (ledger,) = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(ready.home)
        for name in names
        if name == "ledger.json"
    ]
    row = rows(ready("check", *options, "--json").lines)["ledger"]
    assert (row["state"], row["message"]) == ("ok", ledger)
    with open(ledger, "w", encoding="utf-8") as file:
        file.write("{")
    row = rows(ready("check", *options, "--json").lines)["ledger"]
    assert row["state"] == "warning"
    assert "is no ledger" in row["message"]


def test_problems_and_warnings_are_counted(ready: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMBACKUP_STOER", "x")
    done = ready("check", "--store", "store")
    assert done.out.endswith("\nnot ready: 1 problem, 1 warning\n")
    done = ready("check", "--store", "store", "-o", "backups/")
    assert done.out.endswith("\nready, with 1 warning\n")
    assert json.loads(ready("check", "--json").raw.splitlines()[-1])["result"]["failed"] == 2


def test_a_report_is_made_on_windows_alone(inside: Inside) -> None:
    result = inside("check", "--report", "r.zip")
    if sys.platform != "win32":
        assert result.code == 2, result
        assert "this is another system" in result.err
        assert "Traceback" not in result.err


def test_a_backup_is_tried_for_a_report_alone(inside: Inside) -> None:
    result = inside("check", "--try-backup")
    assert result.code == 2, result
    assert "--report" in result.err

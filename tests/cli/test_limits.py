"""Runs with few files, little memory and no threads: they work, or they name the limit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pexpect
import pytest

from tests.cli.program import IS_ROOT, STRANGER, WMBACKUP, Process

if sys.platform == "win32":
    pytest.skip("Windows has no such limits", allow_module_level=True)

import resource

MIB = 1024 * 1024
COMMANDS = (
    ("backup", "--store", "store", "-o", "b.tar", "--force", "--no-notice"),
    ("backup", "--store", "store", "-n", "--no-notice"),
    (
        *("restore", "a.tar", "--to", "out", "--yes", "--on-conflict", "replace", "--no-notice"),
        "--allow-older",
    ),
    ("restore", "a.tar", "--to", "there", "--yes", "--no-notice", "--allow-older"),
    ("verify", "a.tar", "--restore-test"),
    ("list", "a.tar"),
    ("list", "--store", "store", "--no-notice"),
    ("check", "--no-notice", "--store", "store", "-o", "."),
    ("key", "list"),
)
NO_THREADS = (*(STRANGER if IS_ROOT else ()), "prlimit", "--nproc=1", "--")


@pytest.fixture
def ready(program: Process) -> Process:
    """A key, a store with more folders than handles are kept of, and an archive of it."""
    for number in range(40):
        program.write(f"store/{number}/sub/file", b"x" * number)
    program.write("store/large", bytes(2 * MIB))
    program.write("there/other")
    assert program("key", "create").code == 0
    assert program("backup", "--store", "store", "-o", "a.tar", "--no-notice").code == 0
    return program


def limited(what: int, size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(what, (size, size))


def judge(
    program: Process, arguments: tuple[str, ...], before: Callable[[], None], hint: str
) -> int:
    """Run a command below a limit: it works, or names the limit, and keeps what there was."""
    old = program.read("a.tar")
    done = program(*arguments, before=before)
    assert done.code in {0, 1}, (arguments, done)
    assert "Traceback" not in done.err
    assert "this is a bug" not in done.err
    assert "skipped" not in done.err
    assert program.read("a.tar") == old
    for folder in re.findall("nothing in it is needed: rm -r (.*)", done.err):
        shutil.rmtree(folder, ignore_errors=True)  # what could not be removed is named
    if done.code:
        is_told = done.errors or "not ready: " in done.out  # by `check`, which goes on
        assert is_told, (arguments, done)
        assert re.search(hint, done.out + done.err), (arguments, done)
    return done.code


@pytest.mark.parametrize("files", [6, 8, 9, 10, 11, 12, 16, 24, 32])
def test_with_few_files_everything_works_or_names_the_limit(ready: Process, files: int) -> None:
    few = limited(resource.RLIMIT_NOFILE, files)
    codes = [
        judge(ready, one, few, rf"may have {files} files open; .*ulimit -n") for one in COMMANDS
    ]
    assert files < 16 or codes == [0] * len(COMMANDS)


@pytest.mark.parametrize("mib", [16, 40, 79, 80, 100, 200, 300])
def test_with_little_memory_everything_works_or_names_the_limit(ready: Process, mib: int) -> None:
    little = limited(resource.RLIMIT_AS, mib * MIB)
    hint = rf"may use {mib} MiB; .*ulimit -v" if mib > 16 else "not enough|cannot be loaded"
    codes = [judge(ready, one, little, hint) for one in COMMANDS]
    assert mib < 200 or codes == [0] * len(COMMANDS)


def test_a_failure_below_a_limit_is_told_to_programs_as_well(ready: Process) -> None:
    few = limited(resource.RLIMIT_NOFILE, 6)
    done = ready("restore", "a.tar", "--to", "new", "--yes", "--json", before=few)
    assert done.code == 1
    assert done.summary["error"] == "system"


@pytest.fixture
def threadless(ready: Process) -> Iterator[Process]:
    yield ready
    shutil.rmtree(f"{ready.tmp}/wmbackup-54321", ignore_errors=True)  # the folder of the locks


def without_threads(program: Process) -> Iterator[tuple[tuple[str, ...], int]]:
    for arguments in COMMANDS:
        yield arguments, program(*arguments, powers=NO_THREADS, before=lambda: None).code


@pytest.mark.skipif(sys.platform != "linux", reason="others count no threads")
def test_without_threads_everything_works(threadless: Process) -> None:
    start = "import threading; threading.Thread(target=print).start()"
    refused = [*NO_THREADS, "/usr/bin/python3", "-c", start]
    done = subprocess.run(refused, capture_output=True, text=True, check=False)
    assert "can't start new thread" in done.stderr
    assert [(one, code) for one, code in without_threads(threadless) if code] == []


@pytest.mark.skipif(sys.platform != "linux", reason="others count no threads")
def test_without_threads_the_bar_is_drawn_all_the_same(threadless: Process) -> None:
    for arguments in COMMANDS[:4]:
        child = pexpect.spawn(
            NO_THREADS[0],
            [*NO_THREADS[1:], WMBACKUP, *arguments],
            env=threadless.environment(TERM="xterm-256color"),
            cwd=threadless.here,
            encoding="utf-8",
            timeout=60,
        )
        text = str(child.read())
        child.close()
        assert child.exitstatus == 0, text
        assert "Traceback" not in text
        assert "━" in text

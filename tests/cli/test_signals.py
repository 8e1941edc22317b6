from __future__ import annotations

import fcntl
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.cli.program import DEADLINE, Process, judge
from wmbackup.cli import signals
from wmbackup.cli.operate import operate
from wmbackup.cli.signals import Interrupted, handled
from wmbackup.engine import BackupSummary, RestoreSummary
from wmbackup.errors import Cancelled, TimedOut
from wmbackup.restorer import BackupRestorer, Options
from wmbackup.stores.sample import SampleStore
from wmbackup.trust import keys

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python 3.11 does not name
FILES = 300


@pytest.fixture
def program(program: Process) -> Iterator[Process]:
    """A program with a key, which hears a hang-up also where these tests run below nohup."""
    program("key", "create")
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield program
    signal.signal(signal.SIGHUP, before)


def long_store(program: Process) -> str:
    """Make a store whose files, told by name, fill a small pipe many times over."""
    for number in range(FILES):
        program.write(f"store/{number:03}-{'x' * 70}", b"data")
    return program.path("store")


def narrow(stream: IO[bytes] | None) -> IO[bytes]:
    """Make a pipe so small that the program waits for its reader."""
    assert stream is not None
    fcntl.fcntl(stream.fileno(), SET_PIPE_SIZE, 4096)
    return stream


def read_until(stream: IO[bytes], wanted: bytes) -> None:
    for line in stream:
        if wanted in line:
            return
    pytest.fail(f"{wanted!r} was never said")


# With -vv every file is told, and the program stands still where nobody reads on.
BACKUP = ("backup", "--store", "store", "-o", "archive.tar", "--no-notice", "-vv")
MOMENTS = [b"phase: planning", b"phase: reading", b"050-x", b"phase: sealing", b"phase: reading b"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_leaves_nothing_and_says_so_by_the_exit_code(
    program: Process, moment: bytes, number: int, code: int
) -> None:
    long_store(program)
    with program.started(*BACKUP, stderr=subprocess.PIPE) as process:
        stream = narrow(process.stderr)
        read_until(stream, moment)
        time.sleep(0.05)  # it stands still where nobody reads on
        process.send_signal(number)
        time.sleep(0.1)
        rest = stream.read().decode()
        assert process.wait(DEADLINE) == code
    assert "Traceback" not in rest
    word = "interrupted" if code == 130 else "terminated"
    assert f"wmbackup: error: {word}" in rest
    assert "WMT_BACKUPRESTORE_END (27) failed with 0xC00D2768" in rest or moment == MOMENTS[0]
    assert program.tree() == program.tree(program.here)
    assert not os.path.exists(program.path("archive.tar"))


def test_the_old_archive_stays_when_the_new_one_is_interrupted(program: Process) -> None:
    long_store(program)
    program.write("archive.tar", b"old")
    with program.started(*BACKUP, "--force") as process:
        stream = narrow(process.stderr)
        read_until(stream, b"phase: sealing")
        process.send_signal(signal.SIGTERM)
        stream.read()
        assert process.wait(DEADLINE) in {143, 0}
        if process.returncode == 143:
            assert program.read("archive.tar") == b"old"


def test_json_ends_with_a_summary_also_after_a_signal(program: Process) -> None:
    long_store(program)
    arguments = ("verify", "--json", "-")
    with program.started(*arguments) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out = (first + process.stdout.read()).decode()
        code = process.wait(DEADLINE)
    assert code == 130
    lines = judge(out, code)
    assert lines[-1]["error"] == "cancelled"
    assert lines[-2]["hresult"] == "NS_E_DRM_OPERATION_CANCELED"


@pytest.mark.parametrize(("number", "code"), SIGNALS[:2])
def test_a_second_signal_stops_at_once(program: Process, number: int, code: int) -> None:
    long_store(program)
    with program.started(*BACKUP) as process:
        stream = narrow(process.stderr)
        read_until(stream, b"010-x")
        time.sleep(0.3)  # nobody reads on, and it stands still where it cannot clean up
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(5) == code
        stream.read()
    assert not os.path.exists(program.path("archive.tar"))
    assert any(name.startswith(".wmbackup-") for name in program.tree())
    # The next run removes what was left.
    assert program("backup", "--store", "store", "-o", "archive.tar", "--quiet").code == 0
    assert not any(name.startswith(".wmbackup-") for name in program.tree())


def test_kill_leaves_the_old_archive_and_the_next_run_removes_the_rest(program: Process) -> None:
    long_store(program)
    program.write("archive.tar", b"old")
    for moment in (b"010-x", b"phase: sealing"):
        with program.started(*BACKUP, "--force") as process:
            read_until(narrow(process.stderr), moment)
            process.kill()
        assert program.read("archive.tar") == b"old"
    assert any(name.startswith(".wmbackup-") for name in program.tree())
    done = program("backup", "--store", "store", "-o", "archive.tar", "--quiet", "--force")
    assert done.code == 0
    assert [name for name in program.tree() if "/" not in name] == ["archive.tar"]
    assert program("verify", "archive.tar").code == 0


def test_a_killed_restore_is_undone_by_the_next_run(program: Process) -> None:
    long_store(program)
    program("backup", "--store", "store", "-o", "archive.tar", "--quiet")
    program.write("target/own", b"mine")
    restore = ("restore", "archive.tar", "--to", "target", "--yes", "--no-notice", "-vv")
    with program.started(*restore) as process:
        read_until(narrow(process.stderr), b"phase: verifying")
        process.kill()
    assert os.path.exists(program.path("target/own"))
    assert program("restore", "archive.tar", "--to", "target", "--yes", "--quiet").code == 0
    assert len(os.listdir(program.path("target"))) == FILES + 1


@pytest.mark.parametrize(("number", "code"), SIGNALS[:2])
def test_an_interrupted_restore_leaves_the_target_as_it_was(
    program: Process, number: int, code: int
) -> None:
    long_store(program)
    program("backup", "--store", "store", "-o", "archive.tar", "--quiet")
    program.write("target/own", b"mine")
    for moment in (b"phase: authenticating", b"phase: verifying"):
        for target in ("target", "fresh"):
            arguments = ("restore", "archive.tar", "--to", target, "--yes", "--no-notice", "-vv")
            with program.started(*arguments) as process:
                stream = narrow(process.stderr)
                read_until(stream, moment)
                process.send_signal(number)
                time.sleep(0.1)
                stream.read()
                assert process.wait(DEADLINE) == code
    assert os.listdir(program.path("target")) == ["own"]
    assert not os.path.exists(program.path("fresh"))


def test_a_signal_at_any_moment_is_either_too_late_or_leaves_nothing(program: Process) -> None:
    program.write("store/large", os.urandom(20_000_000))
    chance = random.Random(20261123)  # noqa: S311 - moments, not secrets
    codes = set()
    for _ in range(8):
        arguments = ("backup", "--store", "store", "-o", "archive.tar", "--quiet")
        with program.started(*arguments) as process:
            time.sleep(chance.uniform(0.0, 0.5))
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=DEADLINE)
        assert b"Traceback" not in err
        codes.add(process.returncode)
        if os.path.exists(program.path("archive.tar")):
            assert program("verify", "--quick", "archive.tar").code == 0
            os.unlink(program.path("archive.tar"))
            # When the handlers have gone again, the system's own way ends it.
            assert process.returncode in {0, 143, -signal.SIGTERM}
        else:
            # Before the handlers stand, and after, the system's own way ends it.
            assert process.returncode in {143, -signal.SIGTERM}
        assert [name for name in program.tree() if name.startswith(".")] == []
    assert codes & {143}


def test_a_hang_up_that_was_ignored_before_stays_ignored(program: Process) -> None:
    long_store(program)

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with program.started(*BACKUP, preexec_fn=nohup) as process:
        stream = narrow(process.stderr)
        read_until(stream, b"010-x")
        process.send_signal(signal.SIGHUP)
        stream.read()
        assert process.wait(DEADLINE) == 0
    assert os.path.exists(program.path("archive.tar"))


@pytest.mark.parametrize("command", ["verify", "list", "restore"])
def test_a_pipe_that_says_nothing_can_be_interrupted(program: Process, command: str) -> None:
    more = ("--to", "target", "--yes", "--quiet") if command == "restore" else ()
    with program.started(command, "-", "-v", *more) as process:
        assert process.stderr is not None
        if command == "restore":
            time.sleep(1)
        else:
            read_until(process.stderr, b"phase: authenticating")
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
    assert program.tree() == []
    program.forget_locks()


def test_a_timeout_ends_what_hangs(program: Process) -> None:
    arguments = ("restore", "-", "--to", "target", "--yes", "--no-notice", "--timeout", "0.3")
    with program.started(*arguments) as process:  # its standard input stays open and silent
        assert process.stderr is not None
        err = process.stderr.read().decode()
        assert process.wait(DEADLINE) == 1
    assert err.startswith("wmbackup: error: the operation did not end within 0.3 s\nhint: ")
    assert program.tree() == []
    program.forget_locks()


def test_a_timeout_of_a_backup_leaves_nothing(program: Process) -> None:
    long_store(program)
    with program.started(*BACKUP, "--timeout", "0.5") as process:
        stream = narrow(process.stderr)
        read_until(stream, b"010-x")
        time.sleep(0.7)
        assert b"error: the operation did not end" in stream.read()
        assert process.wait(DEADLINE) == 1
    assert not os.path.exists(program.path("archive.tar"))
    with program.started(*BACKUP, "--timeout", "60") as process:
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(DEADLINE) == 0


class Fake(BackupRestorer):
    """A restorer that is interrupted while it is waited for, and then ends as it is told."""

    def __init__(self, end: BaseException | BackupSummary) -> None:
        super().__init__(lambda _event: None, store=SampleStore())
        self.end = end
        self.waits: list[float | None] = []
        self.canceled = False

    def cancel_license_backup(self) -> None:
        self.canceled = True

    def wait(self, timeout: float | None = None) -> BackupSummary | RestoreSummary:
        self.waits.append(timeout)
        if not self.canceled:
            raise Interrupted(signal.SIGINT)
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


def nothing() -> None:
    """Begin nothing."""


def interrupted() -> None:
    """Be interrupted while beginning."""
    raise Interrupted(signal.SIGTERM)


def test_little_is_loaded_before_a_signal_is_heard() -> None:
    program = (
        "import sys; old = {*sys.modules}; import wmbackup.cli; print(*({*sys.modules} - old))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "wmbackup.cli.signals" in loaded
    assert not loaded & {"typing", "re", "contextlib", "threading", "wmbackup.errors", "importlib"}


def test_a_signal_while_python_ends_does_not_change_the_exit_code() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with handled(to_the_end=True):
            pass
        for number in before:
            os.kill(os.getpid(), number)
            assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("end", [Cancelled(), TimedOut("it hangs")])
def test_the_wait_after_a_signal_has_an_end(end: BaseException) -> None:
    restorer = Fake(end)
    with pytest.raises(Interrupted):
        operate(restorer, nothing, None)
    assert restorer.waits[0] is None
    assert restorer.waits[1] is not None


def test_a_signal_between_beginning_and_waiting_cancels() -> None:
    restorer = Fake(Cancelled())
    with pytest.raises(Interrupted) as caught:
        operate(restorer, interrupted, None)
    assert caught.value.exit_code == 143
    assert restorer.canceled


def test_what_was_done_when_the_signal_came_is_no_interruption(tmp_path: Path) -> None:
    key = keys.create(str(tmp_path / "key"), "host")
    real = BackupRestorer(
        lambda _event: None, store=SampleStore(), options=Options(signing_key=key)
    )
    real.set_prop("BackupPath", str(tmp_path / "archive.tar"))
    real.backup_licenses(0, lambda _event: None)
    done = real.wait()
    assert isinstance(done, BackupSummary)
    assert operate(Fake(done), nothing, None) is done


def test_a_signal_just_before_a_read_wakes_it() -> None:
    """The moment between the last look for signals and the read of a pipe that says nothing."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with handled():
            assert signals._waker is not None
            assert select.select([signals._waker], [], [], 0)[0] == []
            os.kill(os.getpid(), signal.SIGUSR1)
            assert select.select([signals._waker], [], [], 10)[0] == [signals._waker]
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_that_is_no_end_ends_no_wait() -> None:
    reading, writing = os.pipe()
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    later = threading.Timer(0.2, os.write, (writing, b"x"))
    later.start()
    try:
        with handled():
            os.kill(os.getpid(), signal.SIGUSR1)
            signals.wait_readable(reading)
            assert os.read(reading, 1) == b"x"
    finally:
        later.join()
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
        os.close(writing)

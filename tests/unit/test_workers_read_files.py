from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import make  # the synthetic fixtures
import pytest

from tests.archives import read
from tests.folders import Log, back_up, fill
from tests.workers import ALWAYS, Processes, kill, stop, watch
from wmbackup.engine import _pipeline
from wmbackup.engine._backup import BackupSummary
from wmbackup.errors import Cancelled
from wmbackup.status import (
    Control,
    Event,
    ItemEvent,
    Phase,
    PhaseEvent,
    SkipEvent,
    WarningEvent,
    WithheldEvent,
)
from wmbackup.workers import process as worker_process
from wmbackup.workers.process import Workers

if sys.platform != "linux":
    pytest.skip("workers run on Linux only", allow_module_level=True)
import resource

COUNT = 200
PLAIN = {b"%03d/%03d" % (number // 50, number): b"%d" % number * number for number in range(COUNT)}
OPEN = make.v7(data=make.right("AllowBackupRestore", "1")).encode()
CLOSED = make.v7(make.OTHER_KID, data=make.right("AllowBackupRestore", "0")).encode()

Change = Callable[[Path], object]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Small batches, and a machine of two processors."""
    monkeypatch.setattr(_pipeline, "_BATCH", 4)
    yield from watch(monkeypatch)


class Changing(Log):
    """Changes a store when it has been listed and none of it was read."""

    def __init__(self, store: Path, change: Change) -> None:
        """Hear nothing yet."""
        super().__init__()
        self._store = store
        self._change = change

    def control(self) -> Control:
        """Return what the operation takes."""
        return Control(self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, PhaseEvent) and event.phase is Phase.READING:
            self._change(self._store)


def nothing(_store: Path) -> None:
    """Change nothing."""


def same(
    tmp_path: Path,
    files: dict[bytes, bytes],
    change: Change = nothing,
    workers: Workers = ALWAYS,
) -> tuple[BackupSummary, Log]:
    """Back up with a worker and without, and check that nothing differs."""
    done, logs, found = [], [], []
    for way in ("worker", "alone"):
        place = tmp_path / way
        store = fill(place / "store", files)
        for path in files:
            os.utime(store / os.fsdecode(path), (1, 1))
        log = Changing(store, change)
        done.append(
            back_up(store, place / "a", log.control(), workers=workers if way == "worker" else None)
        )
        logs.append(log)
        found.append(read((place / "a").read_bytes()))
    together, alone = found
    assert together.released == alone.released
    rows = [[(row.item, row.license) for row in one.inventory.rows()] for one in found]
    assert rows[0] == rows[1]
    like = together.info
    assert like == replace(
        alone.info, archive_id=like.archive_id, created=like.created, store=like.store
    )
    assert done[0] == replace(done[1], path=done[0].path, info=done[0].info)
    assert logs[0].phases() == logs[1].phases()
    for kind in (SkipEvent, WithheldEvent, WarningEvent):
        assert told(logs[0], kind) == told(logs[1], kind)
    assert items(logs[0]) == items(logs[1])
    return done[0], logs[0]


def told(log: Log, kind: type) -> list[str]:
    return sorted(repr(event) for event in log.events if isinstance(event, kind))


def items(log: Log) -> list[tuple[bytes, int]]:
    """Return paths and sizes of what was told to be read, the last time that it was.

    The index counts without a gap.
    """
    found: list[tuple[bytes, int]] = []
    phase, last = None, 0
    for event in log.events:
        if isinstance(event, PhaseEvent):
            phase, last = event.phase, 0
            if phase is Phase.READING:
                found.clear()
        elif isinstance(event, ItemEvent) and phase is Phase.READING:
            assert event.index in {last, last + 1}
            last = event.index
            found.append((event.path, event.size))
    return sorted(found)


def test_two_processes_make_archive_of_one(tmp_path: Path, processes: Processes) -> None:
    odd = {b"one.lic": OPEN, b"a?": b"item", b"Twin": b"1", b"twin": b"2", b"empty": b""}
    done, _ = same(tmp_path, PLAIN | odd)
    assert (done.info.files, done.licenses, done.skipped) == (COUNT + 5, 1, ())
    assert len(processes.begun) == 1
    assert processes.answered
    assert not processes.given_back


def test_what_is_large_is_read_by_the_first_which_tells_every_part(
    tmp_path: Path, processes: Processes
) -> None:
    large = {path: path * 500_000 for path in sorted(PLAIN)[::50]}
    _, log = same(tmp_path, PLAIN | large)
    parts = [path for path, _ in items(log) if path in large]
    assert len(parts) > len(large)
    assert processes.given_back


def test_a_batch_with_something_unusual_is_read_by_the_first(
    tmp_path: Path, processes: Processes
) -> None:
    gone, closed = sorted(PLAIN)[::20], sorted(PLAIN)[7::40]

    def change(store: Path) -> None:
        for path in gone:
            (store / os.fsdecode(path)).unlink()

    done, _ = same(tmp_path, PLAIN | dict.fromkeys(closed, CLOSED), change)
    assert [one.path for one in done.skipped] == gone
    assert len(done.withheld) == len(closed)
    assert processes.answered
    assert processes.given_back


def test_worker_loses_file_others_made_room_for_and_names_are_given_again(
    tmp_path: Path, processes: Processes
) -> None:
    # In the first batch, which always goes to the worker.
    twins = {b"000/-A": b"1", b"000/-a": b"2"}

    def change(store: Path) -> None:
        (store / "000" / "-A").unlink(missing_ok=True)

    done, log = same(tmp_path, PLAIN | twins, change)
    assert [one.path for one in done.skipped] == [b"000/-A"]
    assert log.phases().count("reading") == 2
    assert done.info.files == COUNT + 1
    assert processes.given_back == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_killed_worker_changes_nothing(tmp_path: Path, processes: Processes, count: int) -> None:
    processes.disturb[count] = kill
    done, _ = same(tmp_path, PLAIN)
    assert done.info.files == COUNT
    assert 1 <= processes.given_back <= 2  # what it had; it was given no more


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "/bin/cat", ""])
def test_worker_that_cannot_start_changes_nothing(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    same(tmp_path, PLAIN)
    assert not processes.answered


def test_waiting_for_worker_takes_no_descriptor(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last one may have gone into a pipe, and then nobody would end what has begun.
    def none_left(*_arguments: object) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("selectors.DefaultSelector", none_left)
    monkeypatch.setattr("select.epoll", none_left)
    same(tmp_path, PLAIN)
    assert processes.answered


def test_a_full_disk_is_told_by_the_first(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker gets a file for its records that it cannot write to.
    real = worker_process._begin

    def begin(module: str, numbers: Any, opened: Any) -> Any:
        with open(f"/proc/self/fd/{opened[1]}", "rb") as closed:
            places = (opened[0], closed.fileno())
            return real(module, (*places, *numbers[2:]), places)

    monkeypatch.setattr(worker_process, "_begin", begin)
    same(tmp_path, PLAIN)
    assert not processes.answered
    assert processes.given_back


def test_a_record_that_is_written_in_part_is_not_taken(
    tmp_path: Path, processes: Processes
) -> None:
    # The system writes as far as it can, and says only the next time why it was no more. No record
    # ends at this byte.
    def limit(process: subprocess.Popen[bytes]) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (10_001, resource.RLIM_INFINITY))

    processes.disturb[1] = limit
    same(tmp_path, PLAIN)
    assert processes.answered
    assert processes.given_back


def test_backup_waiting_for_hung_worker_can_be_cancelled(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes.disturb[1] = stop
    monkeypatch.setattr(worker_process, "_WAITING", 3)
    store = fill(tmp_path / "store", PLAIN)
    output = tmp_path / "out" / "a"
    output.parent.mkdir()
    seen: list[Event] = []
    begin = time.monotonic()
    control = Control(seen.append, lambda: time.monotonic() > begin + 1)
    with pytest.raises(Cancelled):
        back_up(store, output, control, workers=ALWAYS)
    # It went ahead, and not so far that what waits for the other would fill the memory.
    assert sum(isinstance(event, ItemEvent) for event in seen) == 3 * 4
    assert os.listdir(output.parent) == []


@pytest.mark.parametrize("count", [1, 4])
def test_hung_worker_is_killed_and_its_files_are_read_here(
    tmp_path: Path, processes: Processes, count: int
) -> None:
    processes.disturb[count] = stop
    done, _ = same(tmp_path, PLAIN, workers=ALWAYS._replace(patience=0.2))
    assert done.info.files == COUNT
    assert 1 <= processes.given_back <= 2
    assert processes.begun[0].returncode == -signal.SIGKILL


def test_a_ctrl_c_of_the_terminal_is_for_the_first_alone(
    tmp_path: Path, processes: Processes
) -> None:
    sessions: list[int] = []
    processes.disturb[1] = lambda process: sessions.append(os.getsid(process.pid))
    back_up(fill(tmp_path / "store", PLAIN), tmp_path / "a", workers=ALWAYS)
    assert sessions == [processes.begun[0].pid]


def test_a_program_without_standard_streams_backs_up(tmp_path: Path) -> None:
    # What is opened takes their numbers, and in another process these are its own.
    code = """
import os, sys
from pathlib import Path
from tests.folders import back_up
from tests.workers import ALWAYS, worker_process
worker_process.processors = lambda: 2
for stream in range(3):
    os.close(stream)
back_up(Path(sys.argv[1]), Path(sys.argv[2]), workers=ALWAYS)
"""
    store = fill(tmp_path / "store", PLAIN)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, store, tmp_path / "a"], env=environment, check=False
    )
    assert done.returncode == 0
    assert len(read((tmp_path / "a").read_bytes()).released) == COUNT


def test_worker_ends_with_first_process(tmp_path: Path) -> None:
    code = """
import os, sys, time
from tests.folders import back_up
from tests.workers import ALWAYS, worker_process
worker_process.processors = lambda: 2
real = worker_process._begin
def begin(*arguments):
    process = real(*arguments)
    print(process.pid, flush=True)
    time.sleep(60)
worker_process._begin = begin
from pathlib import Path
back_up(Path(sys.argv[1]), Path(sys.argv[2]), workers=ALWAYS)
"""
    store = fill(tmp_path / "store", PLAIN)
    root = Path(__file__).parents[2]
    first = subprocess.Popen(
        [sys.executable, "-c", code, store, tmp_path / "a"],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    with first:
        assert first.stdout is not None
        second = int(first.stdout.readline())
        assert Path(f"/proc/{second}").exists()
        first.kill()
    until = time.monotonic() + 30
    while Path(f"/proc/{second}").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{second}").exists()


@pytest.mark.parametrize("why", ["few files", "one processor", "not asked", "frozen"])
def test_no_worker_where_it_does_not_pay_or_is_not_allowed(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    workers: Workers | None = ALWAYS
    if why == "few files":
        workers = Workers(min_files=COUNT + 1)
    elif why == "not asked":
        workers = None
    elif why == "one processor":
        monkeypatch.setattr(worker_process, "processors", lambda: 1)
    elif why == "frozen":
        monkeypatch.setattr(sys, "frozen", "somehow", raising=False)
    back_up(fill(tmp_path / "store", PLAIN), tmp_path / "a", workers=workers)
    assert processes.begun == []

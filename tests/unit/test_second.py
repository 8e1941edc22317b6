from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.archives import File, build, split
from tests.folders import POLICY, Log
from wmbackup import files as files_module
from wmbackup.archive import stream
from wmbackup.cli.signals import Interrupted, handled
from wmbackup.engine import open_archive, verify
from wmbackup.engine.opening import believe
from wmbackup.errors import ArchiveDamaged, Cancelled
from wmbackup.status import Control

if sys.platform != "linux":
    pytest.skip("only Linux has a second process", allow_module_level=True)

from wmbackup.engine import second

COUNT = 10_000  # files: the tables of fewer are read at once, and have no border inside
LATE = b"the last of all"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive of many files, of which the second process proves most."""
    monkeypatch.setattr(second, "_PAYS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    files = [File(b"%05d" % number, b"%d" % number) for number in range(COUNT)]
    place = tmp_path / "a.tar"
    place.write_bytes(build([*files, File(b"z", LATE)]))
    return place


def check(archive: Path, log: Log) -> None:
    with open_archive(str(archive)) as source:
        verify(source, POLICY, log.control())


def damage(archive: Path) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data.replace(LATE, LATE.upper()))


def no_child() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_everything_is_told_as_without_a_second_process(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped, alone = Log(), Log()
    started: list[int] = []
    fork = os.fork

    def counted() -> int:
        started.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    check(archive, helped)
    assert started == [1]
    monkeypatch.setattr(second, "_PAYS", 2**60)
    check(archive, alone)
    assert started == [1]
    assert helped.events == alone.events
    assert len(helped.items()) == COUNT + 1
    assert no_child()


def test_its_share_is_not_read_again(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Damage that only this process would see is in the share of the other.
    damage(archive)
    monkeypatch.setattr(second, "prove_rest", lambda _reader, _descriptor: None)
    check(archive, Log())
    assert no_child()


def test_what_it_finds_wrong_is_told_as_by_one_process(archive: Path) -> None:
    damage(archive)
    log = Log()
    with pytest.raises(ArchiveDamaged, match="data/z is not what was signed"):
        check(archive, log)
    assert len(log.items()) == COUNT
    assert no_child()


def test_it_proves_its_share(archive: Path) -> None:
    def prove() -> None:
        with open_archive(str(archive)) as source, believe(source, POLICY, Control()) as found:
            second.prove_rest(found.reader, source.stream.fileno())

    prove()
    damage(archive)
    with pytest.raises(ArchiveDamaged, match="data/z is not what was signed"):
        prove()


@pytest.mark.parametrize("end", [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 / 0])
def test_where_it_fails_the_plain_way_follows(
    archive: Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], object]
) -> None:
    monkeypatch.setattr(second, "prove_rest", lambda _reader, _descriptor: end())
    log = Log()
    check(archive, log)
    assert len(log.items()) == COUNT + 1
    assert no_child()


def test_it_ends_with_a_run_that_is_cancelled(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second, "prove_rest", lambda _reader, _descriptor: time.sleep(600))
    for after in (3, 1000, 4500):  # in the first share, and while the second is waited for
        with pytest.raises(Cancelled):
            check(archive, Log(after))
        assert no_child()


def test_signals_end_it_as_they_end_any_process(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_reader: object, _descriptor: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)

    monkeypatch.setattr(second, "prove_rest", interrupted)
    check(archive, Log())
    assert no_child()


def test_beside_other_threads_there_is_none(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    stop = threading.Event()
    other = threading.Thread(target=stop.wait)
    other.start()
    try:
        check(archive, Log())
    finally:
        stop.set()
        other.join()


def test_where_children_are_not_waited_for_there_is_none(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        check(archive, Log())
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_where_the_system_grants_none_one_process_does_all(
    archive: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def refused() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, call, refused)
    log = Log()
    check(archive, log)
    assert len(log.items()) == COUNT + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_where_somebody_else_has_waited_for_it_the_plain_way_follows(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = os.fork

    def forked_and_waited_for() -> int:
        process = fork()
        if process:
            os.waitpid(process, 0)
        return process

    monkeypatch.setattr(os, "fork", forked_and_waited_for)
    damage(archive)
    with pytest.raises(ArchiveDamaged, match="data/z is not what was signed"):
        check(archive, Log())


def test_a_signal_at_the_fork_leaves_no_process_behind(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = os.fork

    def interrupted() -> int:
        process = fork()
        if process:
            os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(second, "prove_rest", lambda _reader, _descriptor: time.sleep(20))
    monkeypatch.setattr(os, "fork", interrupted)
    with pytest.raises(Interrupted), handled():
        check(archive, Log())
    assert no_child()


def test_it_ends_when_the_first_process_is_gone(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter((2, 2, 2, 1))
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    with (
        open_archive(str(archive)) as source,
        believe(source, POLICY, Control()) as found,
        pytest.raises(Cancelled),
    ):
        second.prove_rest(found.reader, source.stream.fileno())


def test_it_reads_all_of_a_table_that_ends_just_behind_a_block(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is written in pieces smaller than a buffer waits in this process, where no other sees it.
    rows = split(archive.read_bytes())["files.jsonl"]
    monkeypatch.setattr(stream, "CHUNK", len(rows) - 700)
    monkeypatch.setattr(files_module, "_SPOOL_IN_MEMORY", len(rows) // 2)
    with open_archive(str(archive)) as source, believe(source, POLICY, Control()) as found:
        second.prove_rest(found.reader, source.stream.fileno())


def test_a_single_processor_has_none(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0})
    check(archive, Log())

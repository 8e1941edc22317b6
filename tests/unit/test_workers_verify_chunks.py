"""A worker that verifies parts of a payload changes nothing but the time that it takes."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import File, build
from tests.folders import POLICY, Log
from tests.workers import Processes, kill, stop, watch
from wmbackup.archive import stream, tables
from wmbackup.archive.index import Part
from wmbackup.engine import open_archive, verify
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, Cancelled
from wmbackup.status import Control
from wmbackup.storage import spool_file
from wmbackup.workers import verify_chunks
from wmbackup.workers.process import Workers

if sys.platform != "linux":
    pytest.skip("workers run on Linux only", allow_module_level=True)

COUNT = 2_000
FILES = [File(b"%05d" % number, b"<%05d>" % number) for number in range(COUNT)]
ALWAYS = Workers(min_bytes=1, patience=1.0)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Small parts, and a machine of two processors."""
    monkeypatch.setattr(tables, "_BLOCK", 8 * 1024)
    yield from watch(monkeypatch)


def check(
    data: bytes, folder: Path, log: Log | None = None, workers: Workers | None = ALWAYS
) -> None:
    (folder / "a.tar").write_bytes(data)
    control = None if log is None else log.control()
    with open_archive(str(folder / "a.tar")) as archive:
        verify(archive, POLICY, control, workers=workers)


def damaged(data: bytes, *numbers: int) -> bytes:
    for number in numbers:
        data = data.replace(FILES[number].data, FILES[number].data.replace(b"<", b">"))
    return data


def test_everything_is_reported_as_without_a_worker(tmp_path: Path, processes: Processes) -> None:
    helped, alone = Log(), Log()
    data = build([*FILES, File(b"a:b", b"item")])
    check(data, tmp_path, helped)
    check(data, tmp_path, alone, workers=None)
    assert helped.events == alone.events
    assert len(helped.items()) == COUNT + 1
    assert len(processes.begun) == 1
    assert processes.answered
    assert not processes.given_back


def test_without_events_of_files_it_verifies_as_well(tmp_path: Path, processes: Processes) -> None:
    control = Control(items=False)
    (tmp_path / "a.tar").write_bytes(damaged(build(FILES), COUNT - 1))
    with open_archive(str(tmp_path / "a.tar")) as archive, pytest.raises(ArchiveDamaged):
        verify(archive, POLICY, control, workers=ALWAYS)
    assert processes.answered


def test_what_the_worker_verified_is_not_read_again(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[int] = []
    real = verify_chunks.VerifyingWorker._do

    def counted(worker: verify_chunks.VerifyingWorker, part: Part, control: Control) -> object:
        here.append(part.begin.files)
        return real(worker, part, control)

    monkeypatch.setattr(verify_chunks.VerifyingWorker, "_do", counted)
    check(build(FILES), tmp_path)
    assert processes.answered
    assert len(here) + processes.answered > 4
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("numbers", [[0], [COUNT - 1], [700, 900], [900, 1500]])
def test_the_first_damage_is_reported(
    tmp_path: Path, processes: Processes, numbers: list[int]
) -> None:
    log = Log()
    data = damaged(build(FILES), *numbers)
    with pytest.raises(ArchiveDamaged, match=f"data/{numbers[0]:05} is not what was signed"):
        check(data, tmp_path, log)
    assert len(log.items()) <= numbers[0]
    assert processes.begun


@pytest.mark.parametrize("at", [-1, -1024])
def test_the_end_is_checked_as_well(tmp_path: Path, processes: Processes, at: int) -> None:
    data = bytearray(build(FILES))
    data[at] = 1
    with pytest.raises(ArchiveDamaged, match="does not end where it should"):
        check(bytes(data), tmp_path)
    assert processes.answered


def test_a_file_that_becomes_shorter_is_truncated(tmp_path: Path, processes: Processes) -> None:
    data = build(FILES)
    (tmp_path / "a.tar").write_bytes(data)
    with open_archive(str(tmp_path / "a.tar")) as archive:
        os.truncate(tmp_path / "a.tar", len(data) - 5000)
        with pytest.raises(ArchiveTruncated):
            verify(archive, POLICY, workers=ALWAYS)
    assert processes.begun


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("disturb", [kill, stop])
def test_a_worker_that_ends_or_hangs_changes_nothing(
    tmp_path: Path, processes: Processes, count: int, disturb: object
) -> None:
    processes.disturb[count] = disturb  # type: ignore[assignment] # one of two functions
    log = Log()
    check(build(FILES), tmp_path, log)
    assert len(log.items()) == COUNT
    assert processes.given_back


def test_it_ends_with_a_run_that_is_cancelled(tmp_path: Path, processes: Processes) -> None:
    processes.disturb[1] = stop
    begin = time.monotonic()
    control = Control(cancelled=lambda: time.monotonic() > begin + 0.5)
    (tmp_path / "a.tar").write_bytes(build(FILES))
    patient = Workers(min_bytes=1, patience=600)
    with open_archive(str(tmp_path / "a.tar")) as archive, pytest.raises(Cancelled):
        verify(archive, POLICY, control, workers=patient)
    assert processes.begun


def test_tables_that_end_just_after_a_block_are_whole(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is written in pieces smaller than a buffer waits in this process, where no other sees it.
    monkeypatch.setattr(stream, "AT_ONCE", 7_000)
    monkeypatch.setattr(spool_file, "_IN_MEMORY", 1_000)
    check(build(FILES), tmp_path)
    assert not processes.given_back


def test_large_parts_are_left_to_the_first(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_chunks, "_MOST", 1)
    check(build(FILES), tmp_path)
    assert processes.begun
    assert not processes.asked


@pytest.mark.parametrize("workers", [None, Workers()])
def test_none_is_started_without_leave_or_for_little(
    tmp_path: Path, processes: Processes, workers: Workers | None
) -> None:
    check(build(FILES), tmp_path, workers=workers)
    assert processes.begun == []


def test_none_is_started_for_a_pipe_or_the_head_alone(tmp_path: Path, processes: Processes) -> None:
    with open_archive(io.BytesIO(build(FILES))) as archive:
        verify(archive, POLICY, workers=ALWAYS)
    (tmp_path / "a.tar").write_bytes(build(FILES))
    with open_archive(str(tmp_path / "a.tar")) as archive:
        verify(archive, POLICY, quick=True, workers=ALWAYS)
    assert processes.begun == []

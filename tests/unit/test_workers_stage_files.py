from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import File, build
from tests.folders import POLICY, Log, files, fill, snapshot
from tests.workers import ALWAYS, Processes, kill, stop, watch
from wmbackup.archive.ustar import record_length
from wmbackup.engine import open_archive, restore
from wmbackup.engine._inventory import Selection
from wmbackup.engine._restore import OnConflict
from wmbackup.errors import ArchiveDamaged, Cancelled, RestoreConflict
from wmbackup.status import Control, Event, ItemEvent
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.importing import _NewFolder
from wmbackup.stores.staging import Staging
from wmbackup.workers import process as worker_process
from wmbackup.workers import stage_files
from wmbackup.workers.process import Workers

if sys.platform != "linux":
    pytest.skip("workers run on Linux only", allow_module_level=True)

COUNT = 200
CHUNK = 4
TIME = 1_161_993_600_123_456_789
FILES = [
    File(b"%03d/%03d" % (number // 50, number), b"<%d>" % number * number, TIME + number)
    for number in range(COUNT)
]
ODD = [File(b"a:b", b"item"), File(b"TWIN", b"1"), File(b"twin", b"2"), File(b"empty", b"")]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Small chunks, for which a worker pays."""
    monkeypatch.setattr(stage_files, "_CHUNK", CHUNK * 1024)
    yield from watch(monkeypatch)


def bring_back(
    archive: bytes, place: Path, *, workers: Workers | None, control: Control | None = None
) -> dict[bytes, bytes | str]:
    """Restore; return everything that there is then, and before that what is told."""
    place.mkdir(exist_ok=True)
    (place / "a.tar").write_bytes(archive)
    with open_archive(str(place / "a.tar")) as source:
        target = FolderStore(str(place / "target"))
        more = OnConflict.REPLACE
        restore(source, target, POLICY, control, on_conflict=more, workers=workers)
    return snapshot(place)


def times(place: Path) -> dict[Path, int]:
    """Return when each file was changed."""
    found = (path for path in place.rglob("target/**/*") if path.is_file())
    return {path.relative_to(place): path.stat().st_mtime_ns for path in found}


def same(tmp_path: Path, archive: bytes, before: dict[bytes, bytes] | None = None) -> Log:
    """Restore with a worker and without, and check that nothing differs."""
    logs, found, dates = [], [], []
    for way in ("worker", "alone"):
        if before is not None:
            store = fill(tmp_path / way / "target", before)
            for path in before:
                os.utime(store / os.fsdecode(path), (1, 1))
        log = Log()
        found.append(
            bring_back(
                archive,
                tmp_path / way,
                workers=ALWAYS if way == "worker" else None,
                control=log.control(),
            )
        )
        logs.append(log)
        dates.append(times(tmp_path / way))
    assert found[0] == found[1]
    assert dates[0] == dates[1]
    assert logs[0].events == logs[1].events
    return logs[0]


@pytest.mark.parametrize("before", [None, {}, {b"000/001": b"other", b"mine": b"mine"}])
def test_two_processes_restore_what_one_does(
    tmp_path: Path, processes: Processes, before: dict[bytes, bytes] | None
) -> None:
    log = same(tmp_path, build([*FILES, *ODD]), before)
    assert len(set(log.items())) == COUNT + len(ODD)
    assert len(processes.begun) == 1
    assert processes.answered
    assert not processes.given_back
    assert set(times(tmp_path / "worker").values()) >= {one.mtime_ns for one in FILES}


def test_what_is_large_or_there_already_is_left_to_the_first(
    tmp_path: Path, processes: Processes
) -> None:
    large = [File(b"large/%d" % number, b"%d" % number * 1_200_000) for number in range(3)]
    same(tmp_path, build([*FILES, *large]), {one.path: one.data for one in FILES[:100]})
    assert processes.asked < COUNT // CHUNK
    assert not processes.given_back


def damaged(archive: bytes, *files: File) -> bytes:
    for file in files:
        archive = archive.replace(file.data, file.data.replace(b"<", b">"))
    return archive


@pytest.mark.parametrize("places", [[1], [COUNT - 1], [7, 9], [9, 150], [2, 3, 4, 5, 6, 7, 8]])
def test_the_first_damage_is_told_and_nothing_restored(
    tmp_path: Path, processes: Processes, places: list[int]
) -> None:
    archive = damaged(build(FILES), *(FILES[place] for place in places))
    told = []
    for way in ("worker", "alone"):
        with pytest.raises(ArchiveDamaged) as error:
            bring_back(archive, tmp_path / way, workers=ALWAYS if way == "worker" else None)
        told.append(str(error.value).partition(": ")[2])
        assert os.listdir(tmp_path / way) == ["a.tar"]
    assert told[0] == told[1]
    assert FILES[places[0]].path.decode() in told[0]
    assert processes.begun


@pytest.mark.parametrize("at", [-1, -1024])
def test_the_end_is_judged_as_well(tmp_path: Path, processes: Processes, at: int) -> None:
    archive = bytearray(build(FILES))
    archive[at] = 1
    with pytest.raises(ArchiveDamaged, match="end where it should"):
        bring_back(bytes(archive), tmp_path / "a", workers=ALWAYS)
    assert os.listdir(tmp_path / "a") == ["a.tar"]
    assert processes.answered


@pytest.mark.parametrize("before", [None, {b"mine": b"mine"}])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_worker_that_is_killed_changes_nothing(
    tmp_path: Path, processes: Processes, count: int, before: dict[bytes, bytes] | None
) -> None:
    processes.disturb[count] = kill
    same(tmp_path, build([*FILES, *ODD]), before)
    assert 1 <= processes.given_back <= 2  # what it had; it was asked nothing more


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "/bin/cat", ""])
def test_a_worker_that_cannot_begin_changes_nothing(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    same(tmp_path, build(FILES))
    assert not processes.answered


@pytest.mark.parametrize("before", [None, {b"mine": b"mine"}])
def test_what_hangs_or_was_half_done_leaves_nothing(
    tmp_path: Path,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[bytes, bytes] | None,
) -> None:
    monkeypatch.setattr(worker_process, "_WAITING", 3)
    processes.disturb[3] = stop
    begin = time.monotonic()
    control = Control(cancelled=lambda: time.monotonic() > begin + 1)
    if before is not None:
        fill(tmp_path / "a" / "target", before)
    with pytest.raises(Cancelled):
        bring_back(build(FILES), tmp_path / "a", workers=ALWAYS, control=control)
    left = snapshot(tmp_path / "a")
    del left[b"a.tar"]
    assert left == ({} if before is None else {b"target": "a folder", b"target/mine": b"mine"})


def test_a_callback_that_stops_ends_the_second_before_its_files_are_removed(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Event] = []
    ended: list[bool] = []
    close = Staging.close

    def closed(staging: Staging) -> None:
        ended.extend(process.returncode is not None for process in processes.begun)
        close(staging)

    monkeypatch.setattr(Staging, "close", closed)

    class Stop(Exception):
        pass

    def notify(event: Event) -> None:
        seen.append(event)
        if sum(isinstance(one, ItemEvent) for one in seen) == COUNT // 2:
            raise Stop

    with pytest.raises(Stop):
        bring_back(build(FILES), tmp_path / "a", workers=ALWAYS, control=Control(notify))
    assert os.listdir(tmp_path / "a") == ["a.tar"]
    assert ended == [True]


def test_an_archive_may_begin_within_a_file(tmp_path: Path, processes: Processes) -> None:
    (tmp_path / "a").write_bytes(b"something" * 1000 + build(FILES))
    with (tmp_path / "a").open("rb") as file:
        file.seek(9000)
        with open_archive(file) as source:
            restore(source, FolderStore(str(tmp_path / "target")), POLICY, workers=ALWAYS)
    assert files(tmp_path / "target") == {one.path: one.data for one in FILES}
    assert processes.answered
    assert not processes.given_back


def test_no_worker_where_nothing_is_staged_or_the_archive_comes_but_once(
    tmp_path: Path, processes: Processes
) -> None:
    archive = build(FILES)
    (tmp_path / "a.tar").write_bytes(archive)
    with open_archive(str(tmp_path / "a.tar")) as source:
        target = FolderStore(str(tmp_path / "plan"))
        restore(source, target, POLICY, dry_run=True, workers=ALWAYS)
    with open_archive(str(tmp_path / "a.tar")) as source:
        target = FolderStore(str(tmp_path / "few"))
        restore(source, target, POLICY, selection=Selection(paths=(b"000/*",)), workers=ALWAYS)
    with open_archive(io.BytesIO(archive)) as source:
        restore(source, FolderStore(str(tmp_path / "piped")), POLICY, workers=ALWAYS)
    assert sorted(os.listdir(tmp_path)) == ["a.tar", "few", "piped"]
    assert processes.begun == []


def test_a_name_that_another_file_has_taken_is_told_by_the_first(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = _NewFolder.staging_path

    def taken(import_: _NewFolder, path: bytes) -> bytes:
        return place(import_, path.replace(b"199", b"198"))

    monkeypatch.setattr(_NewFolder, "staging_path", taken)
    monkeypatch.setattr(stage_files, "_CHUNK", 64 * 1024)  # both names are in the last one
    with pytest.raises(RestoreConflict, match="same name as another"):
        bring_back(build(FILES), tmp_path / "a", workers=ALWAYS)
    assert os.listdir(tmp_path / "a") == ["a.tar"]
    assert processes.begun


def test_an_item_is_not_taken_for_what_the_second_left(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on file systems that do not tell upper case from lower case.
    place = _NewFolder.staging_path

    def one_file(import_: _NewFolder, path: bytes) -> bytes:
        return place(import_, FILES[-1].path if path == b"a:b" else path)

    monkeypatch.setattr(_NewFolder, "staging_path", one_file)
    own = sum(record_length(len(one.data)) for one in FILES)
    monkeypatch.setattr(stage_files, "_CHUNK", own)  # so that the item has the next chunk
    processes.disturb[1] = kill
    with pytest.raises(RestoreConflict, match="same name as another"):
        bring_back(build([*FILES, File(b"a:b", b"item")]), tmp_path / "a", workers=ALWAYS)
    assert os.listdir(tmp_path / "a") == ["a.tar"]
    assert processes.given_back == 1


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_no_worker_for_a_descriptor_of_a_standard_stream(processes: Processes, taken: int) -> None:
    with Workers().start("none", opened=(9, taken)) as worker:
        assert worker is None
    assert processes.begun == []

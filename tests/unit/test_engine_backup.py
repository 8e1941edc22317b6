from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.archives import Read, read
from tests.folders import KEY, TICK, WINDOWS, Log, back_up, fill, is_private, possible, snapshot
from wmbackup.archive.writer import ArchiveWriter
from wmbackup.cli.render.next_steps import of_error
from wmbackup.engine import BackupSummary, Refuse, _backup, _read_back, backup, plan_backup
from wmbackup.engine._destination import archive_name, choose_destination
from wmbackup.engine._read_back import ReadBackFailed
from wmbackup.errors import (
    Busy,
    Cancelled,
    Incomplete,
    NotFound,
    NothingToBackUp,
    OutputExists,
    OutputInsideStore,
    StoreUnavailable,
    SystemFailure,
    UsageError,
)
from wmbackup.item import MAX_SIZE, Skipped
from wmbackup.license import License
from wmbackup.status import Control, PhaseEvent, SkipEvent, WarningEvent, WithheldEvent
from wmbackup.storage.locks import Locks
from wmbackup.storage.publish import Draft
from wmbackup.stores.base import Content, Store
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.sample import SampleStore
from wmbackup.testing import FakeItem, FakeStore

LARGE = bytes(range(256)) * 12_001
FILES = {b"a.lic": b"1", b"sub/b.lic": b"22", b"sub/empty": b"", b"large": LARGE}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder with a few files."""
    return fill(tmp_path / "store", FILES)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where archives go."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "a.wmbackup.tar"


def save(store: Store, output: Path, control: Control | None = None, **more: Any) -> BackupSummary:
    return backup(store, str(output), KEY, control, host="host", **more)


def opened(path: Path) -> Read:
    return read(path.read_bytes())


def carried(archive: Read) -> dict[bytes, bytes]:
    return {item.path: data for item, data in archive.released}


def refuse(number: int) -> Callable[..., Any]:
    def call(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


class FailingCall:
    """A function of the system whose n-th call, counted from 1, fails."""

    def __init__(self, failing: int, number: int, real: Callable[..., Any]) -> None:
        self._failing = failing
        self._number = number
        self._real = real
        self.made = 0

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        self.made += 1
        if self.made == self._failing:
            refuse(self._number)()
        return self._real(*arguments, **more)


def test_a_store_goes_whole_into_a_private_archive(store: Path, output: Path) -> None:
    summary = back_up(store, output)
    archive = opened(output)
    assert carried(archive) == FILES
    assert summary.path == str(output)
    assert summary.size == output.stat().st_size
    assert summary.info == archive.info
    assert (summary.licenses, summary.skipped, summary.withheld) == (0, (), ())
    assert summary.read_back
    assert is_private(output)
    assert os.listdir(output.parent) == [output.name]
    info = archive.info
    assert (info.host, info.store_kind, info.store) == ("host", "folder", str(store))
    assert (info.files, info.octets) == (4, sum(map(len, FILES.values())))
    assert info.signer == KEY.fingerprint
    assert abs((datetime.now(UTC) - info.created).total_seconds()) < 60


def test_two_archives_of_one_store_differ_in_their_identity_alone(
    store: Path, output: Path
) -> None:
    first = back_up(store, output).info
    second = back_up(store, output, replace_output=True).info
    assert first.archive_id != second.archive_id
    assert replace(first, archive_id="", created=second.created) == replace(second, archive_id="")


def test_the_phases_come_in_order_with_every_byte(store: Path, output: Path) -> None:
    log = Log()
    back_up(store, output, log.control())
    assert log.phases() == ["planning", "reading", "sealing", "reading back"]
    sizes = {"reading": 0, "reading back": 0}
    phase = ""
    for event in log.events:
        if isinstance(event, PhaseEvent):
            phase = event.phase.value
        elif phase in sizes:
            sizes[phase] += event.size  # type: ignore[union-attr]
    total = sum(map(len, FILES.values()))
    assert sizes == {"reading": total, "reading back": total}
    reading = next(
        e for e in log.events if isinstance(e, PhaseEvent) and e.phase.value == "reading"
    )
    assert reading.items == 4


def test_times_are_kept_to_the_nanosecond_and_before_1970(store: Path, output: Path) -> None:
    times = {
        "a.lic": -86_400_000_000_000 - TICK,
        "large": 1_234_567_890_123_456_700 + TICK,
        "sub/empty": 0,
    }
    for name, mtime_ns in times.items():
        os.utime(store / name, ns=(0, mtime_ns))
    back_up(store, output)
    found = {item.path.decode(): item.mtime_ns for item, _ in opened(output).released}
    assert {name: found[name] for name in times} == times


def test_the_disk_begins_before_all_is_written(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[int] = []
    monkeypatch.setattr(_backup, "_SYNC_STEP", len(LARGE))
    monkeypatch.setattr(Draft, "sync_ahead", lambda draft: began.append(draft.file.tell()))
    back_up(store, output)
    assert len(began) == 1
    assert len(LARGE) <= began[0] < output.stat().st_size
    back_up(store, output, replace_output=True)  # no step is carried over
    assert len(began) == 2


ODD = possible(
    [
        b"new\nline",
        b"\xff\xfe",
        b"\x1b[31m",
        b"x" * 255,
        b"con",
        b"...",
        b"a" * 90,
        b"twin",
        b"Twin",
    ]
)


def test_odd_names_go_in_and_come_out(tmp_path: Path, output: Path) -> None:
    store = fill(tmp_path / "store", {b"sub/" + name: name for name in ODD})
    back_up(store, output)
    assert carried(opened(output)) == {b"sub/" + name: name for name in ODD}


def test_what_is_no_file_is_named_and_counted(store: Path, output: Path) -> None:
    os.mkfifo(store / "pipe")
    (store / "link").symlink_to("/etc")
    log = Log()
    summary = back_up(store, output, log.control())
    assert {skipped.path for skipped in summary.skipped} == {b"pipe", b"link"}
    assert summary.info.skipped == 2
    assert {e.path for e in log.events if isinstance(e, SkipEvent)} == {b"pipe", b"link"}


NO_PATH = "its path is absolute, leaves its store, or has an empty component"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        *((path, NO_PATH) for path in (b"../up", b"/root", b"a//b", b"", b"a/./b")),
        (b"zero\0", "its path has a zero byte"),
        (b"x" * 4097, "its path has 4,097 bytes; an archive takes 4,096 at most"),
        (b"/".join([b"d"] * 101), "it is 100 folders deep; an archive takes 99 at most"),
    ],
)
def test_a_path_that_no_archive_takes_is_skipped(output: Path, path: bytes, reason: str) -> None:
    summary = save(FakeStore({b"a": b"1", path: b"2"}), output)
    assert summary.skipped == (Skipped(path, reason),)
    assert carried(opened(output)) == {b"a": b"1"}


def test_more_files_than_an_archive_takes_are_skipped(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmbackup.engine._tally.MAX_FILES", 2)
    summary = save(FakeStore({b"a": b"1", b"b": b"2", b"c": b"3"}), output)
    assert summary.skipped == (Skipped(b"c", "an archive takes no more than 2 files"),)


@pytest.mark.parametrize("data", [b"1", LARGE])
def test_a_file_is_read_once_more_then_skipped_by_name(output: Path, data: bytes) -> None:
    for order in ("lose", "change"):
        for times in (1, -1):
            store = FakeStore({b"a": data, b"b": b"2"})
            getattr(store, order)(b"a", times)
            summary = save(store, output, replace_output=True)
            archive = carried(opened(output))
            if times == 1:
                assert archive == {b"a": data, b"b": b"2"}
                assert summary.skipped == ()
                assert store.reads.count(b"a") == 2
            else:
                assert archive == {b"b": b"2"}
                assert [skipped.path for skipped in summary.skipped] == [b"a"]
                assert "vanished" in summary.skipped[0].reason or "changed" in str(summary.skipped)
                assert summary.info.skipped == 1


def test_a_file_that_grows_without_end_is_left_alone_at_its_size(output: Path) -> None:
    taken = []

    def endless() -> Iterator[bytes]:
        while True:
            taken.append(1)
            yield bytes(1024 * 1024)

    class Growing(FakeStore):
        def read(self, path: bytes) -> Content:
            content = super().read(path)
            return content._replace(size=2**21, data=endless()) if path == b"log" else content

    summary = save(Growing({b"log": b"", b"a": b"1"}), output)
    assert summary.skipped == (Skipped(b"log", "it changed while it was read"),)
    assert len(taken) == 6
    assert carried(opened(output)) == {b"a": b"1"}


def test_a_file_that_is_too_large_is_skipped_unread(output: Path) -> None:
    class Huge(FakeStore):
        def read(self, path: bytes) -> Content:
            content = super().read(path)
            return content._replace(size=MAX_SIZE + 1) if path == b"huge" else content

    summary = save(Huge({b"huge": b"", b"a": b"1"}), output)
    assert summary.skipped[0].reason == "it has 8 GiB or more, which no archive takes"


def test_a_file_whose_row_cannot_be_written_is_skipped_and_read_once(output: Path) -> None:
    far = 2**53 * 1_000_000_000
    unfit: dict[bytes, bytes | FakeItem] = {
        b"b": FakeItem(b"2", attributes=("unknown",)),
        b"future": FakeItem(b"3", mtime_ns=far),
        b"past": FakeItem(b"4", mtime_ns=-far),
    }
    near = FakeItem(b"1", mtime_ns=far - 1)
    store = FakeStore({b"a": near, **unfit})
    summary = save(store, output)
    assert [skipped.path for skipped in summary.skipped] == list(unfit)
    assert all(store.reads.count(path) == 1 for path in unfit)
    assert [item.mtime_ns for item, _ in opened(output).released] == [far - 1]
    assert plan_backup(store, None).skipped == summary.skipped


@pytest.mark.parametrize("path", [b"x" * 4096, b"/".join([b"d"] * 100)])
def test_the_longest_and_the_deepest_path_is_carried(output: Path, path: bytes) -> None:
    summary = save(FakeStore({path: b"2"}), output)
    assert summary.skipped == ()
    assert carried(opened(output)) == {path: b"2"}


def test_what_vanishes_from_a_folder_or_becomes_a_pipe_is_skipped(
    store: Path, output: Path
) -> None:
    def on(event: object) -> None:
        if isinstance(event, PhaseEvent) and event.phase.value == "reading":
            (store / "a.lic").unlink()
            os.mkfifo(store / "large.pipe")
            (store / "large").unlink()
            (store / "large.pipe").rename(store / "large")

    summary = back_up(store, output, Control(on))
    assert {skipped.path: skipped.reason for skipped in summary.skipped} == {
        b"a.lic": "it cannot be read: it vanished",
        b"large": summary.skipped[-1].reason,
    }
    assert set(carried(opened(output))) == {b"sub/b.lic", b"sub/empty"}


def winner_and_losers() -> dict[bytes, bytes | FakeItem]:
    return {b"Twin": b"winner", b"twin": b"loser", b"a": b"1", b"z": b"2"}


@pytest.mark.parametrize("order", ["lose", "withhold"])
def test_names_are_given_anew_when_one_is_lost_that_others_made_room_for(
    output: Path, order: str
) -> None:
    store = FakeStore(winner_and_losers())
    getattr(store, order)(b"Twin")
    log = Log()
    summary = save(store, output, log.control())
    archive = opened(output)
    assert carried(archive) == {b"twin": b"loser", b"a": b"1", b"z": b"2"}
    assert {item.member for item, _ in archive.released} == {b"data/a", b"data/twin", b"data/z"}
    assert [e.code for e in log.events if isinstance(e, WarningEvent)] == ["reading-again"]
    assert len(summary.skipped) == (order == "lose")
    assert len(summary.withheld) == (order == "withhold")
    assert store.reads.count(b"Twin") == (2 if order == "lose" else 1)


def test_what_was_skipped_before_names_were_given_anew_stays_skipped(output: Path) -> None:
    store = FakeStore(winner_and_losers())
    store.lose(b"Twin")
    store.lose(b"a", times=2)  # it could be read the third time
    summary = save(store, output)
    assert sorted(skipped.path for skipped in summary.skipped) == [b"Twin", b"a"]
    assert carried(opened(output)) == {b"twin": b"loser", b"z": b"2"}
    assert summary.info.skipped == 2


def test_what_is_skipped_is_told_once_though_it_is_listed_again(output: Path) -> None:
    store = FakeStore(winner_and_losers())
    store.skipped.append(Skipped(b"link", "a link"))
    store.lose(b"Twin")
    log = Log()
    summary = save(store, output, log.control())
    assert [skipped.path for skipped in summary.skipped] == [b"link", b"Twin"]
    assert [e.path for e in log.events if isinstance(e, SkipEvent)] == [b"link", b"Twin"]


def test_licenses_are_counted_once_though_they_are_read_again(output: Path) -> None:
    known = (License("fake", kid="k"),)
    files = winner_and_losers()
    store = FakeStore(
        {p: FakeItem(d, licenses=known) for p, d in files.items() if isinstance(d, bytes)}
    )
    store.lose(b"Twin")
    store.known.append(License("fake", kid="whole"))
    assert save(store, output).licenses == 4


def test_a_withheld_license_is_known_and_not_carried(output: Path) -> None:
    store = FakeStore({b"a": b"1", b"b": b"2"})
    store.withhold(b"b", License("fake", kid="x", withheld=True), License("fake", kid="y"))
    log = Log()
    summary = save(store, output, log.control())
    assert [known.kid for known in summary.withheld] == ["x", "y"]
    assert all(known.withheld for known in summary.withheld)
    assert [known.path for known in summary.withheld] == [b"b", b"b"]
    assert summary.skipped == (
        Skipped(b"b", "1 other license stays behind with one that is restricted"),
    )
    (event,) = [e for e in log.events if isinstance(e, WithheldEvent)]
    assert (event.license.kid, event.license.path) == ("x", b"b")
    assert carried(opened(output)) == {b"a": b"1"}
    assert summary.info.withheld == 2


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("what", ["empty", "withheld", "lost", "special"])
def test_nothing_to_back_up_makes_no_archive_and_keeps_the_old_one(
    tmp_path: Path, output: Path, what: str, *, existing: bool
) -> None:
    if existing:
        output.write_bytes(b"old")
    store: Store = FakeStore({} if what == "empty" else {b"a": b"1"})
    if what == "special":
        os.makedirs(tmp_path / "store")
        os.mkfifo(tmp_path / "store" / "pipe")
        store = FolderStore(f"{tmp_path}/store")
    elif what != "empty":
        assert isinstance(store, FakeStore)
        (store.lose if what == "lost" else store.withhold)(b"a")
    message = {"empty": "has nothing to back up", "withheld": "withheld by their issuers"}.get(
        what, "can be carried"
    )
    for call in (
        lambda: save(store, output, replace_output=True),
        lambda: plan_backup(store, str(output), replace_output=True),
    ):
        with pytest.raises(NothingToBackUp, match=message):
            call()
        assert snapshot(output.parent) == ({b"a.wmbackup.tar": b"old"} if existing else {})


def test_the_sample_store_is_backed_up_with_one_license_withheld(output: Path) -> None:
    summary = save(SampleStore(), output)
    assert (summary.licenses, len(summary.withheld), summary.info.files) == (11, 1, 12)
    assert (summary.info.store_kind, summary.info.store) == ("sample", "built in")


def test_an_existing_output_is_replaced_only_where_it_may(store: Path, output: Path) -> None:
    output.write_bytes(b"old")
    with pytest.raises(OutputExists) as caught:
        back_up(store, output)
    assert "--force" in str(of_error(caught.value))
    assert output.read_bytes() == b"old"
    assert caught.value.hresult == 0xC00D2742
    back_up(store, output, replace_output=True)
    assert carried(opened(output)) == FILES


def test_an_output_that_appears_during_the_run_is_not_replaced(store: Path, output: Path) -> None:
    def on(event: object) -> None:
        if isinstance(event, PhaseEvent) and event.phase.value == "reading back":
            output.write_bytes(b"somebody's")

    with pytest.raises(OutputExists):
        back_up(store, output, Control(on))
    assert snapshot(output.parent) == {b"a.wmbackup.tar": b"somebody's"}


def test_an_output_that_is_a_folder_gets_the_usual_name(store: Path, output: Path) -> None:
    summary = back_up(store, output.parent)
    assert summary.path is not None
    name = os.path.basename(summary.path)
    info = summary.info
    assert name == f"host-store-{info.created:%Y%m%dT%H%M%SZ}-{info.archive_id[:8]}.wmbackup.tar"


def test_two_archives_of_one_second_have_two_names(store: Path, output: Path) -> None:
    moment = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
    folder = FolderStore(str(store))
    chosen = [choose_destination(folder, str(output.parent), "host") for _ in range(50)]
    assert len({one.archive_id for one in chosen}) == len(chosen)
    names = {archive_name(folder, "host", moment, one.archive_id) for one in chosen}
    assert len(names) == len({one.archive_id[:8] for one in chosen}) > 1


@pytest.mark.parametrize(
    ("store", "host", "name"),
    [
        (FolderStore("/some/My Licenses"), "my.host", "my.host-My_Licenses"),
        (FolderStore("/"), "h", "h-folder"),
        (FolderStore("/größe"), "../h", ".._h-gr_e"),
        (FolderStore("/!!!"), "", "unknown-unknown"),
        (FolderStore("/" + "x" * 200), "h" * 200, "h" * 64 + "-" + "x" * 64),
        (SampleStore(), "h", "h-sample"),
    ],
)
def test_the_usual_name_is_safe_everywhere(store: Store, host: str, name: str) -> None:
    moment = datetime(2026, 11, 22, 3, 0, 0, tzinfo=UTC)
    assert archive_name(store, host, moment, "0a1b2c3d" * 4) == (
        f"{name}-20261122T030000Z-0a1b2c3d.wmbackup.tar"
    )


@pytest.mark.parametrize("where", ["a.tar", "sub/a.tar", "new.tar", "", "../link/a.tar", "link"])
def test_an_output_inside_the_store_is_refused(store: Path, where: str) -> None:
    (store.parent / "link").symlink_to("store/sub")
    (store / "link").symlink_to("sub")
    before = snapshot(store)
    with pytest.raises(OutputInsideStore):
        backup(FolderStore(str(store)), os.path.join(store, where), KEY)
    with pytest.raises(OutputInsideStore):
        plan_backup(FolderStore(str(store)), os.path.join(store, where))
    assert snapshot(store) == before


def test_an_output_that_cannot_be_one_is_refused(store: Path, output: Path) -> None:
    os.mkfifo(output)
    with pytest.raises(UsageError, match="special file"):
        back_up(store, output, replace_output=True)
    with pytest.raises(UsageError, match="special file"):
        back_up(store, Path("/dev/full"), replace_output=True)
    with pytest.raises(NotFound):
        back_up(store, output.parent / "missing" / "a.tar")


def test_a_store_that_is_not_there_is_unavailable(tmp_path: Path, output: Path) -> None:
    with pytest.raises(StoreUnavailable):
        back_up(tmp_path / "missing", output)
    assert snapshot(output.parent) == {}
    broken = FakeStore({b"a": b"1"})
    broken.fail("export")
    with pytest.raises(StoreUnavailable):
        save(broken, output)
    assert snapshot(output.parent) == {}


def test_leftovers_of_a_killed_run_are_removed(store: Path, output: Path) -> None:
    (output.parent / ".wmbackup-0123.part").write_bytes(b"half")
    back_up(store, output)
    assert os.listdir(output.parent) == [output.name]


def events_of(store: Path, output: Path) -> int:
    log = Log()
    back_up(store, output, log.control())
    output.unlink()
    return len(log.events)


@pytest.mark.parametrize("existing", [False, True])
def test_a_cancel_after_any_event_leaves_nothing(
    store: Path, output: Path, *, existing: bool
) -> None:
    total = events_of(store, output)
    assert total > 15
    before = {b"a.wmbackup.tar": b"old"} if existing else {}
    fill(output.parent, before)
    for after in range(1, total + 1):
        log = Log(after)
        with pytest.raises(Cancelled):
            back_up(store, output, log.control(), replace_output=existing)
        assert snapshot(output.parent) == before
        assert len(log.events) <= after + 1, "it stopped at once"
    back_up(store, output, Log(total + 1).control(), replace_output=existing)


def test_a_notify_that_raises_ends_the_run_and_leaves_nothing(store: Path, output: Path) -> None:
    total = events_of(store, output)
    for after in range(1, total + 1):
        heard: list[object] = []

        def notify(event: object, heard: list[object] = heard, after: int = after) -> None:
            heard.append(event)
            if len(heard) == after:
                raise KeyError

        with pytest.raises(KeyError):
            back_up(store, output, Control(notify))
        assert snapshot(output.parent) == {}


def test_an_archive_goes_into_a_stream(store: Path) -> None:
    stream = io.BytesIO()
    log = Log()
    summary = backup(FolderStore(str(store)), stream, KEY, log.control())
    assert carried(read(stream.getvalue())) == FILES
    assert summary.path is None
    assert not summary.read_back
    assert summary.size == len(stream.getvalue())
    assert log.phases() == ["planning", "reading", "sealing"]


def test_an_archive_goes_into_a_pipe(store: Path) -> None:
    reading, writing = os.pipe()
    got: list[bytes] = []

    def drain() -> None:
        with open(reading, "rb") as file:
            got.append(file.read())

    thread = threading.Thread(target=drain)
    thread.start()
    with open(writing, "wb") as stream:
        backup(FolderStore(str(store)), stream, KEY)
    thread.join()
    assert carried(read(got[0])) == FILES


def test_a_pipe_that_is_closed_is_a_failure_of_the_system(store: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with (
        pytest.raises(SystemFailure, match="cannot write to the output stream: broken pipe"),
        open(writing, "wb", buffering=0) as stream,
    ):
        backup(FolderStore(str(store)), stream, KEY)


def test_the_archive_is_read_back_from_the_disk(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, position = Draft.sync, 0

    def spoil(self: Draft) -> None:
        real(self)
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(position if position >= 0 else size + position)
        byte = self.file.read(1)
        self.file.seek(-1, os.SEEK_CUR)
        self.file.write(bytes([byte[0] ^ 1]))
        self.file.seek(0)

    monkeypatch.setattr(Draft, "sync", spoil)
    for at in (0, 700, 3000, 9000, -1_000_000, -1):
        position = at
        with pytest.raises(ReadBackFailed, match="the disk gave back"):
            back_up(store, output)
        assert snapshot(output.parent) == {}
    assert not back_up(store, output, read_back=False).read_back


def test_another_archive_is_not_taken_for_the_one_that_was_written(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(store, output)
    another = output.read_bytes()
    real = Draft.sync

    def swap(self: Draft) -> None:
        real(self)
        self.file.write(another)
        self.file.seek(0)

    monkeypatch.setattr(Draft, "sync", swap)
    with pytest.raises(ReadBackFailed, match="is another one"):
        back_up(store, output, replace_output=True)
    assert output.read_bytes() == another


def test_reading_back_that_fails_otherwise_says_so(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_read_back, "SealedArchive", refuse(errno.EIO))
    with pytest.raises(SystemFailure, match="input/output error"):
        back_up(store, output)
    assert snapshot(output.parent) == {}


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.ESTALE])
@pytest.mark.parametrize("call", ["open", "read", "scandir"])
def test_trouble_of_the_machine_keeps_the_old_archive_and_skips_nothing(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """Whichever call meets it: the archive that is there stays, and the error names the file."""
    back_up(store, output)
    old = snapshot(output.parent)
    log = Log()
    messages = []
    for failing in count(1):
        calls = FailingCall(failing, number, getattr(os, call))
        monkeypatch.setattr(os, call, calls)
        try:
            back_up(store, output, log.control(), replace_output=True)
        except SystemFailure as error:
            monkeypatch.undo()
            messages.append(error.message)
            if error.message.startswith(("cannot read", "cannot list")):
                assert snapshot(output.parent) == old
        if calls.made < failing:  # there are no more
            break
        old = snapshot(output.parent)
    monkeypatch.undo()
    assert not [event for event in log.events if isinstance(event, SkipEvent)]
    names = ("a.lic", "b.lic", "empty", "large") if call != "scandir" else (str(store), "sub")
    reason = os.strerror(number).lower()
    for name in names:
        assert any(m.endswith(f"{name}: {reason}") for m in messages), messages


@pytest.mark.parametrize("call", ["open", "fsync", "close", "unlink", "rename", "replace", "link"])
@pytest.mark.parametrize("replaces", [False, True])
def test_whichever_call_fails_the_error_says_which_archive_is_there(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str,
    *, replaces: bool,
) -> None:  # fmt: skip
    """Old or new, whole; what is said of it is true, and "cannot write" means the old one."""
    locks = Locks(f"{tmp_path}/locks")
    for failing in count(1):
        output.unlink(missing_ok=True)
        if replaces:
            back_up(store, output)
        old = snapshot(output.parent)
        calls = FailingCall(failing, errno.EIO, getattr(os, call))
        monkeypatch.setattr(os, call, calls)
        message = ""
        try:
            back_up(store, output, replace_output=replaces, locks=locks)
        except SystemFailure as error:
            message = error.message
        monkeypatch.undo()
        after = snapshot(output.parent)
        is_new = bool(after) and after != old
        if is_new:
            assert opened(output).info.files == len(FILES)
        assert set(after) <= {os.fsencode(output.name)}, message
        assert is_new is (not message or "is complete" in message), message
        if calls.made < failing:
            break


def test_what_may_not_be_left_behind_is_refused_before_anything_is_written(
    output: Path,
) -> None:
    store = FakeStore({b"a": b"1", b"b": b"2", b"c": b"3"})
    save(store, output)
    old = output.read_bytes()
    store.lose(b"b")
    stream = io.BytesIO()
    with pytest.raises(Incomplete, match="no archive was written: 1 file is skipped") as caught:
        save(store, output, replace_output=True, refuse=Refuse(skipped=True))
    assert (caught.value.code, caught.value.exit_code) == ("incomplete", 1)
    with pytest.raises(Incomplete):
        backup(store, stream, KEY, refuse=Refuse(skipped=True))
    assert (output.read_bytes(), stream.getvalue()) == (old, b"")
    save(store, output, replace_output=True, refuse=Refuse(withheld=True))
    store.withhold(b"c", License("f", withheld=True), License("f", withheld=True))
    both = Refuse(skipped=True, withheld=True)
    with pytest.raises(Incomplete, match="1 file is skipped and 2 licenses are withheld"):
        save(store, output, replace_output=True, refuse=both)
    with pytest.raises(Incomplete, match="written: 2 licenses are withheld"):
        save(store, output, replace_output=True, refuse=Refuse(withheld=True))
    assert os.listdir(output.parent) == [output.name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter megabyte."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root mounts a disk")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(place)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_in_the_spool_leaves_nothing(store: Path, small_disk: Path) -> None:
    with pytest.raises(SystemFailure, match="no space left") as caught:
        back_up(store, small_disk / "a.tar")
    assert "free some space" in str(of_error(caught.value))
    assert snapshot(small_disk) == {}


@pytest.mark.parametrize("size", range(220_000, 260_000, 5_000))
def test_a_full_disk_at_the_destination_leaves_the_old_archive(
    tmp_path: Path, small_disk: Path, size: int
) -> None:
    (small_disk / "a.tar").write_bytes(b"old" * 10_000)
    store = fill(tmp_path / "store", {b"a": bytes(size)})
    with pytest.raises(SystemFailure, match="no space left"):
        back_up(store, small_disk / "a.tar", replace_output=True)
    assert snapshot(small_disk) == {b"a.tar": b"old" * 10_000}


def test_a_destination_that_is_read_only_is_said(store: Path, small_disk: Path) -> None:
    (small_disk / "a.tar").write_bytes(b"old")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(SystemFailure, match="read-only") as caught:
        back_up(store, small_disk / "a.tar", replace_output=True)
    assert "can be written" in str(of_error(caught.value))
    assert snapshot(small_disk) == {b"a.tar": b"old"}


def test_a_store_on_a_disk_that_is_read_only_is_read(small_disk: Path, output: Path) -> None:
    fill(small_disk, {b"a": b"1"})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    back_up(small_disk, output)
    assert carried(opened(output)) == {b"a": b"1"}


def test_one_run_holds_store_and_destination(store: Path, output: Path, tmp_path: Path) -> None:
    locks = Locks(f"{tmp_path}/locks")
    place = store if WINDOWS else tmp_path / "link"
    if not WINDOWS:
        place.symlink_to("store")
    for what, subject in (("store", str(store)), ("destination", str(output))):
        with locks.hold(what, subject, Control()):
            with pytest.raises(Busy, match=re.escape(subject)):
                back_up(place, output, locks=locks)
            assert snapshot(output.parent) == {}
    back_up(store, output, locks=locks)
    assert os.listdir(tmp_path / "locks") == []
    with locks.hold("store", str(store), Control()), pytest.raises(Busy):
        backup(FolderStore(str(store)), io.BytesIO(), KEY, locks=locks)


def test_a_plan_reads_everything_and_writes_nothing(store: Path, output: Path) -> None:
    log = Log()
    plan = plan_backup(FolderStore(str(store)), str(output), log.control())
    assert plan.path == str(output)
    assert (plan.files, plan.octets) == (4, sum(map(len, FILES.values())))
    assert sorted(set(log.items())) == sorted(FILES)
    assert snapshot(output.parent) == {}
    assert plan_backup(FolderStore(str(store)), None).path is None
    output.touch()
    with pytest.raises(OutputExists):
        plan_backup(FolderStore(str(store)), str(output))


def test_a_plan_says_what_stays_behind(output: Path) -> None:
    store = FakeStore({b"a": FakeItem(b"1", licenses=(License("f"),)), b"b": b"2", b"c": b"3"})
    store.known.append(License("f"))
    store.lose(b"b")
    store.withhold(b"c")
    plan = plan_backup(store, str(output))
    assert (plan.files, plan.licenses, len(plan.withheld)) == (1, 2, 1)
    assert plan.skipped == (Skipped(b"b", "it vanished"),)
    for after in range(1, 3):
        with pytest.raises(Cancelled):
            plan_backup(store, None, Log(after).control())


def test_private_files_are_given_back_when_the_run_fails(
    store: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(ArchiveWriter, "seal", refuse(errno.EIO))
    with pytest.raises(SystemFailure, match=r"cannot write .*: input/output error"):
        back_up(store, output)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_engine_knows_no_terminal() -> None:
    code = (
        "import sys, wmbackup.engine, wmbackup.testing, wmbackup.stores.sample\n"
        "assert not {'click', 'rich', 'comtypes', 'pytest'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

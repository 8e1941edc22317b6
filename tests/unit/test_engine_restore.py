from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.archives import File, build, public, reseal, split
from tests.folders import (
    FOLDER,
    KEY,
    POLICY,
    TICK,
    WINDOWS,
    Log,
    back_up,
    bring_back,
    files,
    fill,
    snapshot,
)
from wmbackup.cli.render.next_steps import of_error
from wmbackup.engine import (
    OnConflict,
    SealedArchive,
    Selection,
    backup,
    open_archive,
    restore,
)
from wmbackup.engine._open import NamedStream
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    Busy,
    Cancelled,
    Declined,
    NotFound,
    RestoreConflict,
    SignerUntrusted,
    StoreReadOnly,
    SystemFailure,
    UsageError,
    WmbackupError,
)
from wmbackup.item import Skipped
from wmbackup.license import License
from wmbackup.status import Control, SkipEvent
from wmbackup.storage.locks import Locks
from wmbackup.storage.spool import spool_in
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.sample import SampleStore
from wmbackup.testing import FakeItem, FakeStore
from wmbackup.trust import Policy

LARGE = bytes(range(256)) * 12_001
ODD = "\u202e odd".encode() if WINDOWS else b"\xff odd"
FILES = {b"a.lic": b"1", b"sub/b.lic": b"22", b"sub/empty": b"", ODD: b"3", b"large": LARGE}
REPLACE, SKIP = OnConflict.REPLACE, OnConflict.SKIP


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of a few files."""
    back_up(fill(tmp_path / "store", FILES), tmp_path / "a.tar")
    return tmp_path / "a.tar"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where it goes; it is not there yet."""
    return tmp_path / "target"


class Counting(io.FileIO):
    """A file that says how much was read of it, and how often it was sought."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bytes = 0
        self.seeks: list[int] = []

    def read(self, size: int | None = -1, /) -> Any:
        data = super().read(-1 if size is None else size)
        self.bytes += len(data or b"")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self.seeks.append(offset)
        return super().seek(offset, whence)


def from_stream(stream: Any, length: int | None, store: Any, **more: Any) -> Any:
    return restore(
        SealedArchive(NamedStream(stream, "the archive"), length=length), store, POLICY, **more
    )


def test_an_archive_comes_back_whole_into_a_new_folder(archive: Path, target: Path) -> None:
    os.utime(archive.parent / "store" / "a.lic", ns=(0, -7 * TICK))
    back_up(archive.parent / "store", archive, replace_output=True)
    summary = bring_back(archive, target)
    assert snapshot(target) == snapshot(archive.parent / "store")
    assert (target / "a.lic").stat().st_mtime_ns == -7 * TICK
    assert summary.applied
    assert (summary.restored, summary.replaced, summary.skipped) == (5, 0, ())
    assert summary.size == sum(map(len, FILES.values()))
    plan = summary.plan
    assert (plan.new, plan.same, plan.conflicts, plan.left_out) == (5, 0, (), 0)
    assert plan.principals == ("wmbackup@host",)
    assert plan.target == str(target)
    assert plan.info.host == "host"


def test_the_phases_come_in_order_with_every_byte(archive: Path, target: Path) -> None:
    log = Log()
    bring_back(archive, target, log.control())
    assert log.phases() == ["authenticating", "planning", "verifying", "applying"]
    assert len(log.items()) == 5


def test_missing_parents_come_with_the_folder(archive: Path, target: Path) -> None:
    bring_back(archive, target / "some" / "more")
    assert files(target / "some" / "more") == FILES


def test_what_is_there_and_the_same_is_left_untouched(archive: Path, target: Path) -> None:
    fill(target, {b"a.lic": b"1", b"large": LARGE, b"own": b"stays"})
    inodes = {name: (target / name).stat().st_ino for name in ("a.lic", "large")}
    summary = bring_back(archive, target)
    assert (summary.restored, summary.plan.same, summary.plan.new) == (3, 2, 3)
    assert files(target) == {**FILES, b"own": b"stays"}
    assert {name: (target / name).stat().st_ino for name in inodes} == inodes


def test_a_conflict_fails_before_anything_changes_unless_told_otherwise(
    archive: Path, target: Path
) -> None:
    before = {b"a.lic": b"other", b"sub/b.lic": b"other too"}
    fill(target, before)
    plans: list[Any] = []
    with pytest.raises(RestoreConflict, match=r"a\.lic, sub/b\.lic"):
        bring_back(archive, target, announce=plans.append)
    assert plans[0].conflicts == (b"a.lic", b"sub/b.lic")
    assert files(target) == before
    summary = bring_back(archive, target, on_conflict=SKIP)
    assert {skipped.path for skipped in summary.skipped} == set(before)
    assert files(target) == {**FILES, **before}
    summary = bring_back(archive, target, on_conflict=REPLACE)
    assert (summary.restored, summary.replaced) == (2, 2)
    assert files(target) == FILES


def test_many_conflicts_are_named_in_part(tmp_path: Path, target: Path) -> None:
    many = {b"%02d" % number: b"1" for number in range(8)}
    back_up(fill(tmp_path / "store", many), tmp_path / "a.tar")
    fill(target, dict.fromkeys(many, b"2"))
    with pytest.raises(RestoreConflict, match="00, 01, 02, 03, 04 and 3 more"):
        bring_back(tmp_path / "a.tar", target)


@pytest.mark.parametrize("on_conflict", [OnConflict.FAIL, REPLACE])
def test_what_is_blocked_fails_even_where_it_may_replace(
    archive: Path, target: Path, on_conflict: OnConflict
) -> None:
    fill(target, {b"a.lic/below": b"own"})
    if WINDOWS:
        (target / "sub").touch()
    else:
        os.mkfifo(target / "sub")
    before = snapshot(target)
    with pytest.raises(RestoreConflict, match="something that is no file stands where"):
        bring_back(archive, target, on_conflict=on_conflict)
    assert snapshot(target) == before
    summary = bring_back(archive, target, on_conflict=SKIP)
    assert {s.path for s in summary.skipped} == {b"a.lic", b"sub/b.lic", b"sub/empty"}
    assert snapshot(target) == {**before, b"large": LARGE, ODD: b"3"}


@pytest.mark.parametrize("on_conflict", list(OnConflict))
def test_links_in_the_target_lead_nowhere(
    archive: Path, target: Path, tmp_path: Path, on_conflict: OnConflict
) -> None:
    fill(tmp_path / "outside", {b"b.lic": b"secret", b"a": b"secret"})
    target.mkdir()
    (target / "sub").symlink_to(tmp_path / "outside")
    (target / "a.lic").symlink_to(tmp_path / "outside" / "a")
    if on_conflict is SKIP:
        bring_back(archive, target, on_conflict=SKIP)
    else:
        with pytest.raises(RestoreConflict):
            bring_back(archive, target, on_conflict=on_conflict)
    assert files(tmp_path / "outside") == {b"b.lic": b"secret", b"a": b"secret"}
    assert (target / "a.lic").is_symlink()


def test_a_dry_run_changes_nothing(archive: Path, target: Path) -> None:
    log = Log()
    summary = bring_back(archive, target, log.control(), dry_run=True)
    assert not summary.applied
    assert summary.restored == 5
    assert not target.exists()
    assert log.phases() == ["authenticating", "planning", "verifying"]


@pytest.mark.parametrize("selection", [None, Selection(paths=(b"a.lic",))])
@pytest.mark.parametrize("salvage", [False, True])
def test_a_dry_run_proves_what_it_promises(
    archive: Path, target: Path, selection: Selection | None, *, salvage: bool
) -> None:
    data = archive.read_bytes()
    at = data.index(b"data/a.lic\0") - len(b"wmbackup-1/") + 512
    archive.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(ArchiveDamaged) if selection or not salvage else contextlib.nullcontext():
        summary = bring_back(archive, target, selection=selection, salvage=salvage, dry_run=True)
        assert (summary.restored, len(summary.plan.lost)) == (4, 1)
    assert not target.exists()


def test_a_plan_that_is_declined_changes_nothing(archive: Path, target: Path) -> None:
    with pytest.raises(Declined):
        bring_back(archive, target, confirm=lambda _: False)
    assert not target.exists()


def test_a_conflict_is_no_question(archive: Path, target: Path) -> None:
    fill(target, {b"a.lic": b"other"})
    asked: list[Any] = []
    with pytest.raises(RestoreConflict):
        bring_back(archive, target, confirm=asked.append)
    assert asked == []


def test_what_the_target_cannot_hold_is_skipped_by_name(tmp_path: Path, target: Path) -> None:
    long = b"x" * 256
    backup(FakeStore({b"a": b"1", long: b"2"}), f"{tmp_path}/a.tar", KEY, host="host")
    log = Log()
    summary = bring_back(tmp_path / "a.tar", target, log.control())
    assert summary.skipped == (Skipped(long, "its name is too long for this file system"),)
    assert [e.path for e in log.events if isinstance(e, SkipEvent)] == [long]
    assert files(target) == {b"a": b"1"}


def licensed() -> FakeStore:
    def song(kid: str, title: str) -> License:
        return License("wmdrm-v7", kid=kid, attributes={"Title": title})

    both = (song("k1", "First Light"), song("k2", "Second Wind"))
    return FakeStore(
        {
            b"aurora/a": FakeItem(b"1", licenses=both),
            b"aurora/b": FakeItem(b"2", licenses=(song("k3", "Light Rain"),)),
            b"harbour/c": FakeItem(b"3", licenses=(song("k1", "First Light"),)),
            b"harbour/large": FakeItem(LARGE),
            b"plain [1].txt": b"5",
        }
    )


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(), "abcl5"),
        (Selection(kids=("k1",)), "ac"),
        (Selection(kids=("k2", "k3")), "ab"),
        (Selection(titles=("light",)), "abc"),
        (Selection(titles=("RAIN", "wind")), "ab"),
        (Selection(paths=(b"aurora",)), "ab"),
        (Selection(paths=(b"aurora/",)), "ab"),
        (Selection(paths=(b"harbour/c", b"aurora/b")), "bc"),
        (Selection(paths=(b"*/?",)), "abc"),
        (Selection(paths=(b"plain [1].txt",)), "5"),
        (Selection(paths=(b"*.txt",)), "5"),
        (Selection(kids=("k1",), paths=(b"harbour",)), "c"),
        (Selection(kids=("k1",), titles=("wind",)), ""),
        (Selection(kids=("k9",)), ""),
        (Selection(paths=(b"aur",)), ""),
    ],
)
@pytest.mark.parametrize("seekable", [True, False])
def test_a_selection_is_restored_and_nothing_else(
    target: Path, selection: Selection, names: str, *, seekable: bool
) -> None:
    stream = io.BytesIO()
    backup(licensed(), stream, KEY, host="host")
    data = stream.getvalue()
    stream.seek(0)
    length = len(data) if seekable else None
    store = FolderStore(str(target))
    if not names:
        with pytest.raises(NotFound, match="matches the selection"):
            from_stream(stream, length, store, selection=selection)
        assert not target.exists()
        return
    summary = from_stream(stream, length, store, selection=selection)
    content = {"a": b"1", "b": b"2", "c": b"3", "l": LARGE, "5": b"5"}
    assert sorted(files(target).values()) == sorted(content[name] for name in names)
    assert summary.plan.left_out == 5 - len(names)


def test_a_selection_reads_the_head_and_one_file_by_one_seek(archive: Path, target: Path) -> None:
    stream = Counting(archive)
    length = archive.stat().st_size
    from_stream(stream, length, FolderStore(str(target)), selection=Selection(paths=(b"a.lic",)))
    stream.close()
    assert files(target) == {b"a.lic": b"1"}
    assert len(stream.seeks) == 1
    assert stream.bytes < 1_000_000 < length


def test_a_selection_from_a_damaged_archive_releases_only_what_is_proven(
    archive: Path, target: Path
) -> None:
    data = bytearray(archive.read_bytes())
    data[data.index(LARGE) + 5] ^= 1
    archive.write_bytes(data)
    bring_back(archive, target, selection=Selection(paths=(b"a.lic",)))
    assert files(target) == {b"a.lic": b"1"}
    with pytest.raises(ArchiveDamaged):
        bring_back(archive, target, selection=Selection(paths=(b"large", b"sub")))
    with pytest.raises(ArchiveDamaged):
        bring_back(archive, target)
    assert snapshot(target) == {b"a.lic": b"1"}


def pipe(data: bytes) -> tuple[IO[bytes], threading.Thread]:
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    return open(reading, "rb"), thread


@pytest.mark.parametrize("selection", [Selection(), Selection(paths=(b"a.lic",))])
def test_a_pipe_is_checked_whole_before_anything_is_seen(
    archive: Path, target: Path, selection: Selection
) -> None:
    seen: list[bool] = []
    stream, thread = pipe(archive.read_bytes())

    def on(_event: object) -> None:
        seen.append(target.exists())

    with stream, open_archive(stream) as source:  # type: ignore[arg-type]
        restore(source, FolderStore(str(target)), POLICY, Control(on), selection=selection)
    thread.join()
    assert not any(seen)
    assert files(target) == ({b"a.lic": b"1"} if selection else FILES)


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("selection", [Selection(), Selection(paths=(b"a.lic",))])
def test_a_pipe_that_is_cut_or_damaged_leaves_nothing(
    archive: Path, target: Path, selection: Selection, *, existing: bool
) -> None:
    whole = archive.read_bytes()
    if existing:
        fill(target, {b"a.lic": b"old"})
    before = snapshot(target.parent)
    flipped = bytearray(whole)
    flipped[-2000] ^= 1
    cuts = [0, 10, 20, 3000, 9000, 20_000, len(whole) // 2, len(whole) - 1024, len(whole) - 1]
    for data in [whole[:cut] for cut in cuts] + [bytes(flipped), whole + b"\0"]:
        with pytest.raises(WmbackupError) as caught:
            from_stream(
                io.BytesIO(data),
                None,
                FolderStore(str(target)),
                selection=selection,
                on_conflict=REPLACE,
            )
        assert caught.value.exit_code in {4, 7}
        assert snapshot(target.parent) == before


def test_a_file_that_is_cut_is_refused_before_its_payload_is_read(
    archive: Path, target: Path
) -> None:
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1])
    log = Log()
    with pytest.raises(ArchiveTruncated, match=r"a\.tar: the archive lacks its last 1 "):
        bring_back(archive, target, log.control())
    assert log.phases() == ["authenticating"]
    archive.write_bytes(whole + b"\0")
    with pytest.raises(ArchiveDamaged, match="follows the end"):
        bring_back(archive, target)
    assert not target.exists()


def test_nobody_is_believed_for_being_there(archive: Path, target: Path) -> None:
    log = Log()
    with (
        open_archive(str(archive)) as source,
        pytest.raises(SignerUntrusted) as caught,
    ):
        restore(source, FolderStore(str(target)), Policy(), log.control())
    assert not target.exists()
    assert f"wmbackup key trust {archive} --fingerprint SHA256:" in str(of_error(caught.value))
    assert log.phases() == ["authenticating"]


def test_the_hint_of_a_stranger_in_a_pipe_names_no_path(archive: Path, target: Path) -> None:
    with (
        pytest.raises(SignerUntrusted, match="standard input") as caught,
        open_archive(io.BytesIO(archive.read_bytes())) as source,
    ):
        restore(source, FolderStore(str(target)), Policy())
    assert "save the archive to a file, then: wmbackup key trust FILE" in str(
        of_error(caught.value)
    )
    revoked = Policy(POLICY.signers, frozenset({public(1)}))
    with pytest.raises(SignerUntrusted) as caught, open_archive(str(archive)) as source:
        restore(source, FolderStore(str(target)), revoked)
    assert "key trust" not in str(of_error(caught.value))


def test_the_sample_store_takes_nothing_in(archive: Path) -> None:
    with open_archive(str(archive)) as source, pytest.raises(StoreReadOnly):
        restore(source, SampleStore(), POLICY)


def test_a_license_that_is_in_no_file_stands_in_nobodys_way(tmp_path: Path, target: Path) -> None:
    backup(SampleStore(), f"{tmp_path}/s.tar", KEY, host="host")
    summary = bring_back(tmp_path / "s.tar", target)
    assert summary.restored == 12
    withheld = Selection(titles=("Low Tide",))
    with pytest.raises(NotFound):
        bring_back(tmp_path / "s.tar", target, selection=withheld)


def test_an_archive_may_lie_in_the_folder_that_it_is_restored_into(
    archive: Path, target: Path
) -> None:
    target.mkdir()
    moved = target / "backups.tar"
    archive.rename(moved)
    bring_back(moved, target)
    there = files(target)
    del there[b"backups.tar"]
    assert there == FILES


def test_a_restore_never_replaces_the_archive_that_it_reads(tmp_path: Path) -> None:
    store = fill(tmp_path / "store", {b"a.tar": b"an older archive", b"b": b"1"})
    back_up(store, tmp_path / "a.tar")
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "link").symlink_to(".")
    for target in (tmp_path, tmp_path / "link"):
        with pytest.raises(UsageError, match="would replace the archive"):
            bring_back(tmp_path / "a.tar", target, on_conflict=REPLACE)
        bring_back(tmp_path / "a.tar", target, on_conflict=SKIP)
        with open((tmp_path / "a.tar"), "rb") as stream, open_archive(stream) as source:
            summary = restore(source, FolderStore(str(target)), POLICY, on_conflict=SKIP)
            assert [skipped.path for skipped in summary.skipped] == [b"a.tar"]
    assert (tmp_path / "a.tar").read_bytes() == whole


def events_of(archive: Path, target: Path) -> int:
    log = Log()
    bring_back(archive, target, log.control(), on_conflict=REPLACE)
    return len(log.events)


@pytest.mark.parametrize("existing", [False, True])
def test_a_cancel_after_any_event_leaves_the_target_as_it_was(
    archive: Path, tmp_path: Path, *, existing: bool
) -> None:
    before = {b"a.lic": b"old", b"large": b"old", b"own": b"stays"} if existing else {}

    def fresh(name: str) -> Path:
        return fill(tmp_path / name / "t", before) if existing else tmp_path / name / "t"

    total = events_of(archive, fresh("first"))
    assert total >= 9
    target = fresh("second")
    for after in range(1, total + 1):
        state = snapshot(tmp_path)
        log = Log(after)
        with pytest.raises(Cancelled):
            bring_back(archive, target, log.control(), on_conflict=REPLACE)
        assert snapshot(tmp_path) == state
        assert len(log.events) <= after + 1, "it stopped at once"


def test_a_notify_that_raises_leaves_the_target_as_it_was(archive: Path, tmp_path: Path) -> None:
    total = events_of(archive, tmp_path / "first")
    target = fill(tmp_path / "target", {b"a.lic": b"old"})
    state = snapshot(tmp_path)
    for after in range(1, total + 1):
        heard: list[object] = []

        def notify(event: object, heard: list[object] = heard, after: int = after) -> None:
            heard.append(event)
            if len(heard) == after:
                raise KeyError

        with pytest.raises(KeyError):
            bring_back(archive, target, Control(notify), on_conflict=REPLACE)
        assert snapshot(tmp_path) == state


def test_one_run_holds_the_target(archive: Path, target: Path, tmp_path: Path) -> None:
    locks = Locks(f"{tmp_path}/locks")
    target.mkdir()
    place = target if WINDOWS else tmp_path / "link"
    if not WINDOWS:
        place.symlink_to("target")
    with locks.hold("store", str(target), Control()), pytest.raises(Busy):
        bring_back(archive, place, locks=locks)
    with locks.hold("store", str(target), Control()), pytest.raises(Busy):
        back_up(target, tmp_path / "b.tar", locks=locks)
    bring_back(archive, place, locks=locks)
    assert files(target) == FILES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root mounts a disk")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("where", ["", "new/folder"])
def test_a_full_disk_leaves_the_target_as_it_was(
    archive: Path, small_disk: Path, where: str
) -> None:
    fill(small_disk, {b"a.lic": b"old"})
    with pytest.raises(SystemFailure, match=r"cannot restore into .*: no space left") as caught:
        bring_back(archive, small_disk / where, on_conflict=REPLACE)
    assert "free some space" in str(of_error(caught.value))
    assert snapshot(small_disk) == {b"a.lic": b"old"}


def test_a_target_that_is_read_only_is_said(archive: Path, small_disk: Path) -> None:
    fill(small_disk, {b"a.lic": b"old"})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    bring_back(archive, small_disk, on_conflict=SKIP, dry_run=True)
    for where in (small_disk, small_disk / "new"):
        with pytest.raises(SystemFailure, match="read-only"):
            bring_back(archive, where, on_conflict=SKIP)
    assert snapshot(small_disk) == {b"a.lic": b"old"}


def test_a_target_that_fails_at_the_end_is_told(archive: Path) -> None:
    store = FakeStore({})
    store.fail("commit", SystemFailure("the store fails on command"))
    with open_archive(str(archive)) as source, pytest.raises(SystemFailure, match="on command"):
        restore(source, store, POLICY)
    assert store.files == {}


def test_an_unreadable_archive_is_named_and_not_the_target(archive: Path, target: Path) -> None:
    class Broken(Counting):
        def read(self, size: int | None = -1, /) -> Any:
            if self.bytes > 20_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with Broken(archive) as stream, pytest.raises(SystemFailure, match="cannot read the archive"):
        from_stream(stream, archive.stat().st_size, FolderStore(str(target)))
    assert not target.exists()


@pytest.mark.parametrize("salvage", [False, True])
def test_private_files_are_gone_before_the_target_is_synced(
    archive: Path, target: Path, monkeypatch: pytest.MonkeyPatch, *, salvage: bool
) -> None:
    # A sync of all of the file system would bring them to the disk as well.
    spools: list[IO[bytes]] = []
    closed: list[bool] = []

    def noted(folder: str) -> Callable[[], IO[bytes]]:
        def spool() -> IO[bytes]:
            spools.append(spool_in(folder)())
            return spools[-1]

        return spool

    def sync(_descriptor: int) -> None:
        closed.extend(spool.closed for spool in spools)

    monkeypatch.setattr("wmbackup.engine._open.spool_in", noted)
    monkeypatch.setattr("wmbackup.stores.staging.sync_everything", sync)
    bring_back(archive, target, salvage=salvage)
    assert closed
    assert all(closed)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_restore_can_be_stopped_inside_one_large_file(tmp_path: Path, *, dry_run: bool) -> None:
    def checks(blocks: int) -> int:
        asked = 0

        def count() -> bool:
            nonlocal asked
            asked += 1
            return False

        data = build([File(b"large", bytes(blocks * 1024 * 1024))])
        target = FolderStore(str(tmp_path / str(blocks)))
        with open_archive(io.BytesIO(data)) as file:
            restore(file, target, POLICY, Control(cancelled=count), dry_run=dry_run)
        return asked

    assert checks(12) - checks(4) >= 8


def test_nothing_but_folders_is_made_on_the_way(archive: Path, target: Path) -> None:
    bring_back(archive, target)
    assert {p: d for p, d in snapshot(target).items() if isinstance(d, str)} == {b"sub": FOLDER}


def test_two_files_of_one_path_do_not_become_one(tmp_path: Path) -> None:
    members = split(build([File(b"x?", b"1"), File(b"y?", b"2")]))
    place = tmp_path / "a.tar"
    rows = members["files.jsonl"].replace(b"y?", b"x?")
    place.write_bytes(reseal(members, files_jsonl=rows))
    target = fill(tmp_path / "target", {b"old": b"3"})
    with pytest.raises(ArchiveDamaged, match="the items are out of order"):
        bring_back(place, target, selection=Selection(paths=(b"x*",)))
    assert snapshot(target) == {b"old": b"3"}

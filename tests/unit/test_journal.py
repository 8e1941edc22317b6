from __future__ import annotations

import errno
import json
import os
import shutil
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.folders import WAYS, fill, is_private, snapshot
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.storage.files import try_lock
from wmbackup.stores.journal import Journal, Move
from wmbackup.stores.leftovers import private_folder, undo_leftovers
from wmbackup.stores.staging import LOCK, STAGING, Staging
from wmbackup.stores.tree import Tree

NAME = STAGING + b"0123456789abcdef"
PLACE = os.fsdecode(NAME)
NOTHING = {"inode": 0, "size": 0, "mtime_ns": 0}
ROW = {"number": 0, "path": "YQ==", **NOTHING, "replaces": 0, "made": 0}


@pytest.fixture(params=WAYS)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tree]:
    """Both ways, over an empty folder."""
    made: Tree = request.param(str(tmp_path))
    yield made
    made.close()


def leave(root: Path, journal: object = None, end: str = "end ") -> None:
    """Leave what a dead run leaves: one file moved to a/b, one that replaced c."""
    fill(root, {b"a/b": b"new", b"c": b"new", NAME + b"/old/1": b"old", NAME + b"/lock": b""})
    (root / PLACE).chmod(0o700)
    rows: list[dict[str, Any]] = [
        {"number": 0, "path": _text(b"a/b"), **_identity(root / "a/b"), "replaces": False},
        {"number": 1, "path": _text(b"c"), **_identity(root / "c"), "replaces": True},
    ]
    rows[0]["made"], rows[1]["made"] = 1, 0
    content = {"inode": _inode(root / PLACE), "moves": rows}
    if journal is None or isinstance(journal, dict):
        content |= journal or {}
        moves = content["moves"] if isinstance(content["moves"], list) else [content["moves"]]
        lines = [{"inode": content["inode"]}, *moves]
    else:
        lines = [journal]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (root / PLACE / "journal").write_text(f"{text}{end}\n")
    (root / PLACE / "journal").chmod(0o600)


def _text(path: bytes) -> str:
    return b64encode(path).decode()


def _identity(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"inode": status.st_ino, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _inode(path: Path) -> int:
    return path.stat().st_ino


def test_what_a_dead_run_did_is_undone(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"c": b"old"}


def test_what_a_dead_run_did_without_a_lock_is_undone(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    (tmp_path / PLACE / "lock").unlink()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"c": b"old"}


def test_undoing_touches_nothing_that_came_later(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    for path in ("a/b", "c"):
        (tmp_path / "later").write_bytes(b"later")
        (tmp_path / "later").replace(tmp_path / path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"a": "a folder", b"a/b": b"later", b"c": b"later"}


def test_undoing_passes_over_what_has_gone(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    (tmp_path / "a" / "b").unlink()
    (tmp_path / "c").unlink()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"c": b"old"}


def test_what_replaced_a_file_that_nobody_kept_is_better_than_nothing(
    tree: Tree, tmp_path: Path
) -> None:
    leave(tmp_path)
    (tmp_path / PLACE / "old" / "1").unlink()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"c": b"new"}


def test_a_roll_back_is_told(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    told: list[Event] = []
    undo_leftovers(tree, Control(told.append))
    (event,) = (event for event in told if isinstance(event, WarningEvent))
    assert event.code == "rolled-back"
    assert event.message.endswith("what it had changed was put back: 2 files")


def test_a_journal_that_was_copied_here_is_not_carried_out(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    (tmp_path / PLACE).rename(tmp_path / "elsewhere")
    shutil.copytree(tmp_path / "elsewhere", tmp_path / PLACE)
    before = snapshot(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_a_private_folder_goes_away_also_after_a_crash(tmp_path: Path) -> None:
    with private_folder(str(tmp_path)) as folder:
        fill(Path(folder), {b"a/b": b"data"})
        assert is_private(folder)
    assert os.listdir(tmp_path) == []
    leave(tmp_path)
    (tmp_path / PLACE / "journal").unlink()
    with private_folder(str(tmp_path)) as folder:
        assert os.listdir(tmp_path).count(PLACE) == 0
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]


def test_a_run_that_lives_is_left_alone(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    before = snapshot(tmp_path)
    lock = os.open(tmp_path / PLACE / "lock", os.O_RDWR)
    assert try_lock(lock)
    undo_leftovers(tree)
    os.close(lock)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o775])
def test_a_journal_that_others_can_write_is_not_carried_out(
    tree: Tree, tmp_path: Path, mode: int
) -> None:
    leave(tmp_path)
    (tmp_path / PLACE).chmod(mode)
    before = snapshot(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_a_journal_of_another_user_is_not_carried_out(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)
    before = snapshot(tmp_path)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_what_merely_has_the_name_is_left_alone(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / PLACE).touch()
    (tmp_path / (PLACE + "-link")).symlink_to(tmp_path)
    (tmp_path / "lock").touch()
    before = snapshot(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("path", [b"../c", b"/c", b"a/../../c", b"", b"."])
def test_a_journal_that_leaves_the_folder_is_not_carried_out(
    tree: Tree, tmp_path: Path, path: bytes
) -> None:
    row = {"number": 0, "path": _text(path), **NOTHING, "replaces": False, "made": 0}
    leave(tmp_path, {"moves": [row]})
    before = snapshot(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "journal",
    [
        {"inode": None},
        [],
        7,
        {"moves": 7},
        {"moves": [{}]},
        {"moves": [{**ROW, "path": "not base64!"}]},
        {"moves": [{**ROW, "number": None}]},
        {"moves": [{**ROW, "number": "x"}]},
        {"moves": [{**ROW, "made": None}]},
    ],
)
def test_what_a_journal_that_is_none_kept_is_not_thrown_away(
    tree: Tree, tmp_path: Path, journal: object
) -> None:
    leave(tmp_path, journal)
    before = snapshot(tmp_path)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_half_a_journal_is_none(tree: Tree, tmp_path: Path) -> None:
    leave(tmp_path)
    (tmp_path / PLACE / "journal").rename(tmp_path / PLACE / "journal.new")
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"a": "a folder", b"a/b": b"new", b"c": b"new"}


def test_a_roll_back_that_fails_keeps_what_it_needs_and_goes_on_later(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)

    def full(_source: bytes, _target: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tree, "rename", full)
    with pytest.raises(OSError, match="No space"):
        undo_leftovers(tree)
    there = snapshot(tmp_path)
    assert there[NAME + b"/old/1"] == b"old"
    assert b"a/b" not in there, "the other moves were undone all the same"
    monkeypatch.undo()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"c": b"old"}


def test_a_lock_that_cannot_be_opened_is_not_broken(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)
    before = snapshot(tmp_path)

    def denied(_path: bytes) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tree, "open", denied)
    with pytest.raises(PermissionError):  # nobody knows that its run has ended
        undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_staging_is_private_and_goes_with_all_that_is_in_it(tree: Tree, tmp_path: Path) -> None:
    staging = Staging(tree)
    staging.make_places()
    os.close(tree.create(staging.file(7)))
    place = tmp_path / os.fsdecode(staging.name)
    assert is_private(place)
    assert (place / "files" / "7").is_file()
    undo_leftovers(tree)
    assert place.is_dir()
    staging.close()
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("moment", ["make_folder", "create"])
def test_staging_that_another_run_removes_while_it_is_made_is_made_anew(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    real, tries = getattr(tree, moment), []

    def interrupted(path: bytes, mode: int = 0o777) -> Any:
        made = real(path, mode)
        tries.append(path)
        if len(tries) == 1:  # between this step and the next another run comes by
            undo_leftovers(tree)
        return made

    monkeypatch.setattr(tree, moment, interrupted)
    staging = Staging(tree)
    assert len(tries) == 2
    assert set(snapshot(tmp_path)) == {staging.name, staging.name + LOCK}
    staging.close()
    assert snapshot(tmp_path) == {}


def test_a_run_that_just_took_its_lock_is_not_taken_for_a_dead_one(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)
    (tmp_path / PLACE / "lock").unlink()
    before = snapshot(tmp_path)
    real = tree.remove_folder

    def late(folder: bytes) -> None:
        (tmp_path / PLACE / "lock").touch()
        real(folder)

    monkeypatch.setattr(tree, "remove_folder", late)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {**before, NAME + b"/lock": b""}


def test_a_journal_says_what_is_there_before_the_first_change(tree: Tree, tmp_path: Path) -> None:
    staging = Staging(tree)
    staging.make_places()
    fill(tmp_path, {b"there": b"old", staging.file(0): b"1", staging.file(1): b"2"})
    journal = Journal.write(tree, staging.name, [(b"there", 0), (b"x/y/z", 1)])
    moves = list(journal.moves())
    assert [(move.path, move.replaces) for move in moves] == [
        (b"there", True),
        (b"x/y/z", False),
    ]
    assert moves[0].inode == _inode(tmp_path / os.fsdecode(staging.file(0)))
    read = Journal.read(tree, staging.name)
    assert read is not None
    assert list(read.moves()) == moves
    assert list(read._made()) == [b"x/y", b"x"]
    staging.close()
    assert (tmp_path / os.fsdecode(staging.name)).is_dir(), "it has still to be undone"
    journal.done()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {b"there": b"old"}


def test_a_journal_that_cannot_be_written_is_none(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tree)
    staging.make_places()

    def full(_folder: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tree, "sync", full)
    with pytest.raises(OSError, match="No space"):
        Journal.write(tree, staging.name, {})
    staging.close()
    assert snapshot(tmp_path) == {}


def test_staging_whose_lock_another_run_took_is_made_anew(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def taken_once(_descriptor: int) -> bool:
        tries.append(1)
        return len(tries) > 1

    monkeypatch.setattr("wmbackup.stores.staging.try_lock", taken_once)
    staging = Staging(tree)
    assert len(tries) == 2
    staging.close()
    undo_leftovers(tree)
    assert snapshot(tmp_path) == {}


def test_a_lock_that_another_run_makes_at_the_same_time_is_left_to_it(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path)
    (tmp_path / PLACE / "lock").unlink()
    before = snapshot(tmp_path)

    def late(_path: bytes, _mode: int) -> int:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(tree, "create", late)
    undo_leftovers(tree)
    assert snapshot(tmp_path) == before


def test_a_file_of_the_same_size_and_time_is_another_one_where_inodes_tell(tmp_path: Path) -> None:
    """It is somebody's own, and an undo would remove it."""
    (tmp_path / "staged").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"y")
    for name in ("staged", "other"):
        os.utime(tmp_path / name, ns=(1, 1000))
    staged, other = (os.stat(tmp_path / name) for name in ("staged", "other"))
    move = Move(b"files/0", b"old/0", b"p", staged.st_ino, 1, staged.st_mtime_ns, replaces=False)
    assert move.moved(staged, exactly=True)
    assert not move.moved(other, exactly=True)
    assert move.moved(other, exactly=False)


def test_a_journal_is_whole_when_the_disk_is_asked_to_keep_it(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tree)
    staging.make_places()
    fill(tmp_path, {staging.file(0): b"1"})
    kept: list[int] = []
    sync = os.fsync

    def measured(descriptor: int) -> None:
        kept.append(os.fstat(descriptor).st_size)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", measured)
    journal = Journal.write(tree, staging.name, [(b"x", 0)])
    monkeypatch.undo()
    assert os.path.getsize(tmp_path / os.fsdecode(staging.name + b"/journal")) in kept
    journal.done()
    staging.close()


def test_an_undo_says_that_it_is_done_before_it_is_made_sure(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tree)
    staging.make_places()
    fill(tmp_path, {staging.file(0): b"1"})
    journal = Journal.write(tree, staging.name, [(b"x", 0)])

    def full(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("wmbackup.stores.journal.sync_all", full)
    with pytest.raises(OSError, match="Input/output"):
        journal.undo()
    assert journal.is_undone
    monkeypatch.undo()
    journal.undo()
    staging.close()

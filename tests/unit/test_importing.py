from __future__ import annotations

import errno
import hashlib
import os
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.folders import FOLDER, TICK, WAYS, files, fill, possible, snapshot
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import (
    HalfRestored,
    NotFound,
    RestoreConflict,
    SystemFailure,
    Unconfirmed,
    UsageError,
)
from wmbackup.item import Item
from wmbackup.status import Control
from wmbackup.storage import files as storage_files
from wmbackup.stores import importing, staging
from wmbackup.stores.base import Import, ItemUnavailable, Standing
from wmbackup.stores.importing import begin_import
from wmbackup.stores.tree import HandleTree, PathTree


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[HandleTree]:
    """Both ways through a folder."""
    monkeypatch.setattr(importing, "open_tree", request.param)
    way: type[HandleTree] = request.param
    return way


def item(path: bytes, data: bytes = b"new", mtime_ns: int = 10**18) -> Item:
    return Item(path, len(data), mtime_ns)


def standing(import_: Import, path: bytes, data: bytes = b"new") -> Standing:
    return import_.standing(item(path, data), hashlib.sha256(data).digest())


def put(root: Path, new: Mapping[bytes, bytes], *, replace: bool = False) -> None:
    with begin_import(str(root), Control(), replace=replace) as import_:
        for path, data in new.items():
            standing(import_, path, data)
            import_.put(item(path, data), data)
        import_.commit()


def refuse(number: int) -> Callable[..., None]:
    def call(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ENOMEM, errno.ESTALE])
@pytest.mark.parametrize("call", ["open", "stat"])
def test_trouble_of_the_machine_is_no_conflict(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    """A file that the machine does not read is not taken for another one, nor passed over."""
    target = fill(tmp_path / "target", {b"a": b"new", b"sub/b": b"new"})

    def compare() -> None:
        with (
            begin_import(str(target), Control(), replace=True) as import_,
            monkeypatch.context() as trouble,
        ):
            trouble.setattr(way, call, refuse(number))
            standing(import_, b"a" if call == "open" else b"sub/b")

    with pytest.raises(SystemFailure, match="cannot restore into"):
        compare()
    assert files(target) == {b"a": b"new", b"sub/b": b"new"}


@pytest.mark.parametrize("target", ["target", "some/more/target"])
def test_a_missing_folder_appears_by_one_rename(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    seen = []
    real = way.rename

    def rename(self: HandleTree, source: bytes, goal: bytes) -> None:
        seen.append(files(tmp_path / target))
        real(self, source, goal)
        seen.append(files(tmp_path / target))

    monkeypatch.setattr(way, "rename", rename)
    new = {b"a": b"1", b"sub/b": b"2", b"sub/deeper/c": b""}
    put(tmp_path / target, new)
    assert seen == [{}, new]
    assert [path.name for path in tmp_path.iterdir()] == [target.partition("/")[0]]


def test_a_link_to_a_missing_folder_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("missing")
    (tmp_path / "file").touch()
    for name in ("link", "file"):
        with pytest.raises(UsageError, match="is not a folder"):
            put(tmp_path / name, {b"a": b""})


def test_a_link_to_a_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    put(tmp_path / "link", {b"a": b"1"})
    put(tmp_path / "link" / "below", {b"b": b"2"})
    assert files(tmp_path / "folder") == {b"a": b"1", b"below/b": b"2"}


def test_a_target_whose_root_is_missing_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "is_folder", lambda _: False)
    with pytest.raises(NotFound):
        put(tmp_path / "missing" / "target", {})


def test_a_folder_that_appears_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    with (  # noqa: PT012 - its end fails
        pytest.raises(RestoreConflict, match="target has appeared in the meantime"),
        begin_import(f"{tmp_path}/target", Control(), replace=True) as import_,
    ):
        import_.put(item(b"a"), b"new")
        fill(tmp_path / "target", {b"a": b"somebody's"})
        import_.commit()
    assert snapshot(tmp_path) == {b"target": FOLDER, b"target/a": b"somebody's"}


def test_times_are_those_of_the_items(tmp_path: Path) -> None:
    for target in ("there", "new"):
        if target == "there":
            (tmp_path / target).mkdir()
        with begin_import(f"{tmp_path}/{target}", Control(), replace=False) as import_:
            for name, mtime_ns in ((b"early", -1_000_000_000 - TICK), (b"fine", 10**18 + 7 * TICK)):
                import_.put(item(name, b"new", mtime_ns), b"new")
            with import_.stage(item(b"large", b"new", 5 * TICK)) as staging:
                staging.write(b"new")
            import_.accept(item(b"large", b"new", 5 * TICK))
            import_.put(item(b"impossible", b"new", 2**80), b"new")
            import_.commit()
        assert (tmp_path / target / "early").stat().st_mtime_ns == -1_000_000_000 - TICK
        assert (tmp_path / target / "fine").stat().st_mtime_ns == 10**18 + 7 * TICK
        assert (tmp_path / target / "large").stat().st_mtime_ns == 5 * TICK
        assert (tmp_path / target / "impossible").is_file()


def test_a_time_that_the_system_refuses_costs_no_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "utime", refuse(errno.EINVAL))  # Windows, before the year 1601
    put(tmp_path / "new", {b"a": b"1", b"large": b"2"})
    assert files(tmp_path / "new") == {b"a": b"1", b"large": b"2"}
    monkeypatch.setattr(os, "utime", refuse(errno.EIO))
    with pytest.raises(SystemFailure, match="input/output error"):
        put(tmp_path / "other", {b"a": b"1"})


@pytest.mark.parametrize("target", ["there", "new"])
def test_names_that_the_file_system_cannot_hold_are_unavailable(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "there").mkdir()
    with begin_import(f"{tmp_path}/{target}", Control(), replace=False) as import_:
        for path in (b"x" * 256, b"x" * 256 + b"/a", b"a/" + b"x" * 256 + b"/b"):
            with pytest.raises(ItemUnavailable, match="too long for this file system"):
                standing(import_, path)
        for path in (b".wmbackup-restore-0123", b".wmbackup-restore-/a", b"a/.wmbackup-restore-"):
            with pytest.raises(ItemUnavailable, match="needs for itself"):
                standing(import_, path)
        assert standing(import_, b"x" * 255) is Standing.NEW
        assert standing(import_, b"a/b.wmbackup-restore-0123") is Standing.NEW


ODD = possible(
    [b"new\nline", b"\xff\xfe", b"\x1b[31m", b"...", b"con", "\u202e".encode(), b"x" * 255]
)


@pytest.mark.parametrize("target", ["there", "new"])
def test_odd_names_are_made_as_they_are(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    new = dict.fromkeys(ODD, b"1") | {b"sub/" + name: b"2" for name in ODD}
    put(tmp_path / target, new)
    assert files(tmp_path / target) == new


def test_what_stands_there_is_told_apart(tmp_path: Path) -> None:
    fill(tmp_path, {b"same": b"new", b"other": b"old", b"longer": b"older", b"sub/a": b""})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("same")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "to-folder").symlink_to("sub")
    before = snapshot(tmp_path)
    with begin_import(str(tmp_path), Control(), replace=True) as import_:
        found = {
            path: standing(import_, path)
            for path in (
                b"same", b"other", b"longer", b"pipe", b"link", b"dangling", b"to-folder",
                b"sub", b"same/below", b"pipe/below", b"to-folder/a", b"to-folder/x/y/z",
                b"dangling/a", b"missing", b"missing/a/b", b"sub/b", b"sub/a/b/c",
            )
        }  # fmt: skip
    conflict, blocked, new = Standing.CONFLICT, Standing.BLOCKED, Standing.NEW
    assert found == {
        b"same": Standing.SAME,
        b"other": conflict,
        b"longer": conflict,
        b"pipe": conflict,
        b"link": conflict,
        b"dangling": conflict,
        b"to-folder": conflict,
        b"sub": blocked,
        b"same/below": blocked,
        b"pipe/below": blocked,
        b"to-folder/a": blocked,
        b"to-folder/x/y/z": blocked,
        b"dangling/a": blocked,
        b"missing": new,
        b"missing/a/b": new,
        b"sub/b": new,
        b"sub/a/b/c": blocked,
    }
    assert snapshot(tmp_path) == before, "a plan alone changes nothing"


def test_a_file_that_cannot_be_read_is_not_known_to_be_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[HandleTree]
) -> None:
    fill(tmp_path, {b"a": b"new"})
    with begin_import(str(tmp_path), Control(), replace=False) as import_:
        monkeypatch.setattr(way, "open", refuse(errno.EACCES))
        assert standing(import_, b"a") is Standing.CONFLICT


def test_comparing_a_large_file_can_be_canceled(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": bytes(3_000_000)})

    class Stop(Exception):
        pass

    def cancelled() -> bool:
        raise Stop

    with (
        pytest.raises(Stop),
        begin_import(str(tmp_path), Control(cancelled=cancelled), replace=False) as import_,
    ):
        standing(import_, b"a", bytes(3_000_000))


def test_links_at_the_end_are_replaced_and_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "outside", {b"file": b"secret"})
    target = fill(tmp_path / "target", {b"a": b""})
    (target / "to-file").symlink_to("../outside/file")
    (target / "to-folder").symlink_to("../outside")
    os.mkfifo(target / "pipe")
    put(target, {b"to-file": b"1", b"to-folder": b"2", b"pipe": b"3"}, replace=True)
    assert files(tmp_path) == {
        b"outside/file": b"secret",
        b"target/a": b"",
        b"target/to-file": b"1",
        b"target/to-folder": b"2",
        b"target/pipe": b"3",
    }


def test_a_parent_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = fill(tmp_path / "target", {b"sub/a": b"old"})
    with (  # noqa: PT012 - its end fails
        pytest.raises(SystemFailure),
        begin_import(str(target), Control(), replace=True) as import_,
    ):
        for path in (b"first", b"sub/b"):
            assert standing(import_, path) is Standing.NEW
            import_.put(item(path), b"new")
        (target / "sub").rename(tmp_path / "moved")
        (target / "sub").symlink_to("../outside")
        _forget_handles(import_)
        import_.commit()
    assert files(tmp_path) == {b"moved/a": b"old"}
    assert os.path.islink(target / "sub")


def _forget_handles(import_: Import) -> None:
    tree = vars(import_)["_tree"]
    if isinstance(tree, HandleTree):
        tree._forget()


def test_a_target_that_becomes_a_link_is_not_followed(tmp_path: Path, way: object) -> None:
    target = fill(tmp_path / "target", {b"a": b"old"})
    (tmp_path / "outside").mkdir()
    if way is PathTree:
        return  # without handles a path is all there is, and whoever may swap it wins
    with begin_import(str(target), Control(), replace=True) as import_:
        standing(import_, b"b")
        import_.put(item(b"b"), b"new")
        target.rename(tmp_path / "moved")
        target.symlink_to("outside")
        import_.commit()
    assert files(tmp_path) == {b"moved/a": b"old", b"moved/b": b"new"}


@pytest.mark.parametrize("what", ["file", "link", "pipe", "folder"])
@pytest.mark.parametrize("was_there", [False, True])
def test_what_appears_between_plan_and_commit_is_not_replaced(
    tmp_path: Path, what: str, *, was_there: bool
) -> None:
    fill(tmp_path, {b"a": b"old"} | ({b"sub/b": b"old"} if was_there else {}))
    with (  # noqa: PT012 - its end fails
        pytest.raises((RestoreConflict, SystemFailure)) as caught,
        begin_import(str(tmp_path), Control(), replace=True) as import_,
    ):
        for path in (b"a", b"first", b"sub/c", b"sub/d", b"x/y/z"):
            standing(import_, path)
            import_.put(item(path), b"new")
        (tmp_path / "sub").mkdir(exist_ok=True)
        place = tmp_path / "sub" / "d"
        if what == "file":
            place.write_bytes(b"somebody's")
        elif what == "link":
            place.symlink_to("../a")
        elif what == "pipe":
            os.mkfifo(place)
        else:
            place.mkdir()
        before = {p: d for p, d in snapshot(tmp_path).items() if not p.startswith(b".wmbackup")}
        import_.commit()
    assert "sub/d has appeared in the target" in str(caught.value)
    assert snapshot(tmp_path) == before


def test_a_conflict_that_has_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": b"old"})
    with begin_import(str(tmp_path), Control(), replace=True) as import_:
        assert standing(import_, b"a") is Standing.CONFLICT
        import_.put(item(b"a"), b"new")
        (tmp_path / "a").unlink()
        import_.commit()
    assert snapshot(tmp_path) == {b"a": b"new"}


def test_a_commit_of_nothing_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, {})
    assert snapshot(tmp_path) == {}


@pytest.mark.parametrize("fail_at", [None, b"z"])
def test_without_hard_links_it_is_all_or_nothing_as_well(
    tmp_path: Path,
    way: type[HandleTree],
    monkeypatch: pytest.MonkeyPatch,
    fail_at: bytes | None,
) -> None:
    monkeypatch.setattr(way, "link", refuse(errno.EPERM))
    old = {b"a": b"old", b"sub/b": b"old"}
    new = {b"a": b"new", b"sub/b": b"new", b"sub/c": b"new", b"x/y": b"new"}
    fill(tmp_path, old)
    with begin_import(str(tmp_path), Control(), replace=True) as import_:
        for path in (*new, b"z"):
            standing(import_, path)
            import_.put(item(path), b"new")
        if fail_at is not None:
            (tmp_path / "z").write_bytes(b"somebody's")
            with pytest.raises(RestoreConflict, match="z has appeared"):
                import_.commit()
        else:
            import_.commit()
    expected = {**new, b"z": b"new"} if fail_at is None else {**old, b"z": b"somebody's"}
    assert files(tmp_path) == expected
    assert (tmp_path / "x").exists() == (fail_at is None)


def test_a_file_that_appears_at_the_last_moment_without_hard_links_stops_everything(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_self: HandleTree, _source: bytes, target: bytes) -> None:
        (tmp_path / os.fsdecode(target)).write_bytes(b"somebody's")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(way, "link", late)
    with pytest.raises(RestoreConflict, match="b has appeared"):
        put(tmp_path, {b"b": b"new"})
    assert snapshot(tmp_path) == {b"b": b"somebody's"}


def test_a_link_that_fails_for_another_reason_rolls_back(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": b"old"})
    for path in (b"a", b"b"):
        monkeypatch.setattr(way, "link", refuse(errno.EIO))
        with pytest.raises(SystemFailure, match=r"cannot restore [ab] into"):
            put(tmp_path, {path: b"new"}, replace=True)
    assert snapshot(tmp_path) == {b"a": b"old"}


class _CaseInsensitive:
    """Makes a tree one whose names differ by more than case."""

    @staticmethod
    def install(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        def wrap(name: str) -> Callable[..., Any]:
            real = getattr(way, name)

            def call(self: Any, *args: Any) -> Any:
                return real(self, *(a.lower() if isinstance(a, bytes) else a for a in args))

            return call

        for name in ("stat", "open", "create", "make_folder", "rename", "link", "unlink"):
            monkeypatch.setattr(way, name, wrap(name))


@pytest.fixture
def insensitive(way: type[HandleTree], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that differ in case only are one."""
    _CaseInsensitive.install(way, monkeypatch)


@pytest.mark.usefixtures("insensitive")
@pytest.mark.parametrize("target", ["there", "new"])
def test_twins_are_not_laid_over_each_other(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(RestoreConflict, match="Twin has the same name as another file"):
        put(tmp_path / target, {b"twin": b"1", b"Twin": b"2"})
    assert snapshot(tmp_path) == {b"there": FOLDER}


def put_twice(root: Path) -> None:
    with begin_import(str(root), Control(), replace=True) as import_:
        import_.put(item(b"a", b"1"), b"1")
        import_.put(item(b"a", b"2"), b"2")
        import_.commit()


@pytest.mark.parametrize("target", ["target", "missing"])
def test_a_path_that_comes_twice_is_not_taken_for_one(tmp_path: Path, target: str) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(RestoreConflict, match="a has the same name as another file"):
        put_twice(tmp_path / target)
    assert snapshot(tmp_path) == {b"target": FOLDER}


def test_memory_does_not_grow_with_the_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmbackup.storage.spool_file._IN_MEMORY", 1)

    def peak(count: int) -> int:
        root = tmp_path / str(count)
        root.mkdir()
        tracemalloc.start()
        with begin_import(str(root), Control(), replace=False) as import_:
            for number in range(count):
                one = item(b"folder/%07d" % number, b"1")
                import_.standing(one, b"")
                import_.put(one, b"1")
            import_.commit()
        _, found = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found

    peak(100)  # what is loaded once
    assert (peak(5000) - peak(2000)) / 3000 < 10  # bytes a file


@pytest.mark.usefixtures("insensitive")
def test_twins_do_not_replace_the_same_file_one_after_the_other(tmp_path: Path) -> None:
    fill(tmp_path, {b"twin": b"old"})
    with pytest.raises(RestoreConflict, match="Twin has the same name as another file"):
        put(tmp_path, {b"twin": b"1", b"Twin": b"2"}, replace=True)
    assert snapshot(tmp_path) == {b"twin": b"old"}


def test_two_names_of_one_file_are_both_replaced(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": b"old"})
    os.link(tmp_path / "a", tmp_path / "b")
    put(tmp_path, {b"a": b"1", b"b": b"2"}, replace=True)
    assert snapshot(tmp_path) == {b"a": b"1", b"b": b"2"}


def test_a_target_that_cannot_be_written_is_a_failure_of_the_system(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "make_folder", refuse(errno.EROFS))
    with pytest.raises(SystemFailure, match=r"cannot restore into .*read-only") as caught:
        put(tmp_path, {b"a": b"1"})
    assert "can be written" in str(of_error(caught.value))


def test_a_target_whose_name_is_too_long_is_a_failure_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match="too long"):
        put(tmp_path / ("x" * 256), {b"a": b"1"})
    with pytest.raises(SystemFailure, match="too long"):
        put(tmp_path / "a" / ("x" * 256), {b"a": b"1"})
    assert snapshot(tmp_path) == {}


def test_what_a_dead_run_left_beside_a_new_folder_goes_with_the_next_run(tmp_path: Path) -> None:
    left = tmp_path / ".wmbackup-restore-0123"
    fill(left, {b"lock": b"", b"made/a": b"half"})
    left.chmod(0o700)
    put(tmp_path / "some" / "target", {b"a": b"1"})
    assert files(tmp_path) == {b"some/target/a": b"1"}
    fill(left, {b"lock": b""})
    left.chmod(0o700)
    put(tmp_path / "some" / "target", {b"b": b"1"})
    assert files(tmp_path) == {b"some/target/a": b"1", b"some/target/b": b"1"}


def test_two_restores_into_one_folder_disturb_each_other_only_where_they_meet(
    tmp_path: Path,
) -> None:
    with begin_import(str(tmp_path), Control(), replace=False) as first:
        standing(first, b"a")
        first.put(item(b"a"), b"new")
        put(tmp_path, {b"b": b"other"})
        first.commit()
    assert snapshot(tmp_path) == {b"a": b"new", b"b": b"other"}


def test_a_folder_that_may_not_be_entered_blocks_what_is_below(
    tmp_path: Path, way: type[HandleTree], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"sub/a": b"old"})
    with begin_import(str(tmp_path), Control(), replace=True) as import_:
        monkeypatch.setattr(way, "stat", refuse(errno.EACCES))
        assert standing(import_, b"sub/a") is Standing.BLOCKED
        monkeypatch.undo()


def test_a_file_below_another_file_is_named(tmp_path: Path) -> None:
    with begin_import(str(tmp_path / "new"), Control(), replace=False) as import_:
        import_.put(item(b"a"), b"data")
        with pytest.raises(RestoreConflict, match=r"a/b/x has the same name as another file"):
            import_.put(item(b"a/b/x"), b"data")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("target", ["target", "new"])
@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_the_file_system_does_not_take_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, way: type[HandleTree | PathTree]
) -> None:
    def refuses(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: Any, **more: Any) -> object:
            if any(isinstance(a, bytes) and a.endswith(b"a?b") for a in arguments):
                raise OSError(errno.EINVAL, "Invalid argument")
            return real(*arguments, **more)

        return call

    for name in ("create", "link", "rename"):
        monkeypatch.setattr(way, name, refuses(getattr(way, name)))
    monkeypatch.setattr(importing, "open_tree", way)
    (tmp_path / "target").mkdir()
    before = snapshot(tmp_path)
    with pytest.raises(SystemFailure, match=r'cannot restore "a\?b" into .*: invalid argument'):
        put(tmp_path / target, {b"good": b"1", b"a?b": b"2"})
    assert snapshot(tmp_path) == before


def test_a_late_sync_that_fails_says_that_the_folder_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "open_tree", HandleTree)
    monkeypatch.setattr(HandleTree, "sync", refuse(errno.EIO))
    with pytest.raises(Unconfirmed, match="what was restored is complete at"):
        put(tmp_path / "new", {b"a": b"1"})
    assert files(tmp_path / "new") == {b"a": b"1"}


def test_a_journal_that_is_gone_and_not_synced_says_that_the_restore_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "open_tree", HandleTree)
    real, calls = HandleTree.sync, []

    def sync(tree: HandleTree, folder: bytes) -> None:
        calls.append(folder)
        if len(calls) > 1:  # the first one is that of the new journal
            raise OSError(errno.EIO, "I/O error")
        real(tree, folder)

    monkeypatch.setattr(HandleTree, "sync", sync)
    with pytest.raises(Unconfirmed, match="what was restored is complete at"):
        put(tmp_path, {b"a": b"1"})
    assert files(tmp_path) == {b"a": b"1"}


def test_an_undo_that_fails_says_that_the_next_run_has_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "open_tree", HandleTree)
    fill(tmp_path, {b"a": b"old"})
    real = HandleTree.rename

    def rename(tree: HandleTree, source: bytes, target: bytes) -> None:
        if source.endswith(b"/old/0") or target == b"b":
            raise OSError(errno.EIO, "I/O error")
        real(tree, source, target)

    monkeypatch.setattr(HandleTree, "rename", rename)
    monkeypatch.setattr(HandleTree, "link", refuse(errno.EPERM))
    with pytest.raises(HalfRestored, match="could not be put back: i/o error"):
        put(tmp_path, {b"a": b"new", b"b": b"2"}, replace=True)
    monkeypatch.undo()
    with begin_import(str(tmp_path), Control(), replace=False):
        pass
    assert snapshot(tmp_path) == {b"a": b"old"}


def windows_error(number: int) -> OSError:
    """Return an error as Windows has it: one errno for many, and a number that tells."""
    error = OSError(errno.EINVAL, "as Windows says it")
    error.winerror = number  # type: ignore[attr-defined, unused-ignore] # other systems have none
    return error


def refuse_as_windows(number: int) -> Callable[..., None]:
    def call(*_args: object, **_more: object) -> None:
        raise windows_error(number)

    return call


@pytest.mark.parametrize("number", [1, 50, 87, 120, 1142])
def test_a_file_system_of_windows_without_hard_links_takes_a_restore(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[HandleTree], number: int
) -> None:
    fill(tmp_path, {b"a": b"old", b"sub/b": b"old"})
    monkeypatch.setattr(way, "link", refuse_as_windows(number))
    put(tmp_path, {b"a": b"new", b"sub/b": b"new", b"sub/c": b"new", b"d/e": b"new"}, replace=True)
    assert set(files(tmp_path).values()) == {b"new"}
    assert len(files(tmp_path)) == 4


def test_a_link_that_fails_for_another_reason_on_windows_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[HandleTree]
) -> None:
    fill(tmp_path, {b"a": b"old"})
    monkeypatch.setattr(way, "link", refuse_as_windows(1117))  # ERROR_IO_DEVICE
    with pytest.raises(SystemFailure):
        put(tmp_path, {b"a": b"new", b"b": b"new"}, replace=True)
    assert files(tmp_path) == {b"a": b"old"}


@pytest.mark.parametrize("number", [1, 50, 87, 120])
def test_a_disk_without_attributes_or_old_times_takes_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[HandleTree], number: int
) -> None:
    for name in ("set_attributes", "set_time"):
        monkeypatch.setattr(way, name, refuse_as_windows(number))
    one = Item(b"a", 3, 10**18, ("archive", "hidden"))
    with begin_import(str(tmp_path / "new"), Control(), replace=True) as import_:
        import_.standing(one, hashlib.sha256(b"new").digest())
        import_.put(one, b"new")
        import_.commit()
    assert files(tmp_path / "new") == {b"a": b"new"}


def noting(call: Callable[..., None], order: list[str]) -> Callable[..., None]:
    def noted(*arguments: object) -> None:
        order.append("name")
        call(*arguments)

    return noted


def test_where_files_are_flushed_one_by_one_each_is_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: type[HandleTree]
) -> None:
    """As on Windows: what is staged in one piece, and what is staged as a file."""
    order: list[str] = []
    fill(tmp_path, {b"old": b"old"})
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        order.append(f"flush {size}" if size in {3, 1000} else "flush")
        sync(descriptor)

    monkeypatch.setattr(storage_files, "SYNCS_EACH", True)
    monkeypatch.setattr(staging, "SYNCS_EACH", True)
    monkeypatch.setattr(os, "fsync", fsync)
    for kind, call in ((way, "link"), (way, "rename")):
        monkeypatch.setattr(kind, call, noting(getattr(kind, call), order))
    with begin_import(str(tmp_path), Control(), replace=True) as import_:
        standing(import_, b"small")
        import_.put(item(b"small"), b"new")
        large = item(b"large", b"x" * 1000)
        import_.standing(large, hashlib.sha256(b"x" * 1000).digest())
        with import_.stage(large) as file:
            file.write(b"x" * 1000)
        import_.accept(large)
        staged = len(order)
        import_.commit()
    assert {"flush 3", "flush 1000"} <= set(order[:staged])
    assert order.count("name") >= 2
    assert max(order.index("flush 3"), order.index("flush 1000")) < order.index("name")

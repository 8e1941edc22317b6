"""What a restore left is undone for its own user, on file systems with owners and without."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.folders import files, fill, snapshot
from wmbackup.cli.render.next_steps import of_warning
from wmbackup.errors import HalfRestored
from wmbackup.item import Item
from wmbackup.status import Control, Event, SkipEvent, WarningEvent
from wmbackup.storage import remains
from wmbackup.storage.files import try_lock
from wmbackup.stores import leftovers, ownership, staging
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.importing import begin_import
from wmbackup.stores.journal import Journal
from wmbackup.stores.ownership import MAC_SIZE, Owner
from wmbackup.stores.staging import STAGING, Staging
from wmbackup.stores.tree import HandleTree

ME = Owner(lambda: b"1" * 32)
OTHER = Owner(lambda: b"2" * 32)


class CutOffError(Exception):
    """Stands for a crash: nothing is cleaned up behind it."""


@pytest.fixture
def no_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file seem to be everybody's, as on exFAT or a share."""

    def never(_status: os.stat_result) -> bool:
        return False

    for module in (staging, leftovers, ownership):
        monkeypatch.setattr(module, "is_private", never)


def cut_off(root: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace a file and bring a new one, and stop before the journal is removed."""

    def crash(*_: object) -> None:
        raise CutOffError

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "forget", crash)
        patched.setattr(Journal, "undo", crash)
        patched.setattr(Staging, "close", lambda staging: os.close(staging._lock))
        with pytest.raises(CutOffError):
            bring_new(root, owner)
    (staging,) = root.glob(".wmbackup-restore-*")
    assert (root / "a").read_bytes() == b"new"
    assert (staging / "journal").exists()


def bring_new(root: Path, owner: Owner) -> None:
    with begin_import(str(root), Control(), replace=True, owner=owner) as import_:
        for path in (b"a", b"b/new"):
            item = Item(path, 3, 0)
            import_.standing(item, b"")
            import_.put(item, b"new")
        import_.commit()


def begin_again(root: Path, owner: Owner) -> list[Event]:
    events: list[Event] = []
    with begin_import(str(root), Control(events.append), replace=True, owner=owner):
        pass
    return events


def codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, WarningEvent)]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fill(tmp_path / "store", {b"a": b"original", b"c": b"kept"})


@pytest.mark.usefixtures("no_modes")
def test_without_owners_the_secret_lets_the_next_restore_undo(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(store)
    cut_off(store, ME, monkeypatch)
    assert codes(begin_again(store, ME)) == ["rolled-back"]
    assert snapshot(store) == before


@pytest.mark.usefixtures("no_modes")
def test_without_owners_inodes_that_changed_are_no_obstacle(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    before = snapshot(store)
    monkeypatch.setattr(HandleTree, "link", refuse)
    cut_off(store, ME, monkeypatch)
    # As after the file system was mounted again: the same names, times and sizes, other inodes.
    shutil.copytree(store, tmp_path / "again", copy_function=shutil.copy2)
    assert codes(begin_again(tmp_path / "again", ME)) == ["rolled-back"]
    assert snapshot(tmp_path / "again") == before


@pytest.mark.usefixtures("no_modes")
@pytest.mark.parametrize("owner", [Owner(), OTHER])
def test_what_another_user_left_is_named_and_let_be(
    store: Path, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    (staging,) = store.glob(".wmbackup-restore-*")
    before = snapshot(store)
    (event,) = begin_again(store, owner)
    assert isinstance(event, WarningEvent)
    assert event.code == "foreign-restore"
    assert event.message.startswith(str(staging))
    assert str(of_warning(event)).startswith(
        "run that restore again as the user, and on the machine,"
    )
    assert str(of_warning(event)).endswith(f"if nobody needs that any more: rm -r {staging}")
    assert snapshot(store) == before
    # A backup goes on as well, and says that it may lack something.
    events: list[Event] = []
    with FolderStore(str(store), owner=owner).export(Control(events.append)) as export:
        assert [one.path for one in export.skipped] == [os.fsencode(staging.name)]
    assert events == [event]


@pytest.mark.usefixtures("no_modes")
def test_a_restore_that_the_next_one_could_not_undo_says_so_first(store: Path) -> None:
    events: list[Event] = []
    with begin_import(str(store), Control(events.append), replace=False) as import_:
        import_.put(Item(b"new", 3, 0), b"new")
        import_.commit()
    assert codes(events) == ["undo-unsure"]
    assert not list(store.glob(".wmbackup-*"))


def _planted(root: Path) -> Iterator[Callable[[], object]]:
    staging = root / (os.fsdecode(STAGING) + "planted")

    def folder() -> None:
        staging.mkdir()

    def with_journal() -> None:
        staging.mkdir()
        (staging / "journal").write_text("{}")
        (staging / "lock").write_text("")

    def file() -> None:
        staging.write_text("{}")

    def link() -> None:
        staging.symlink_to("/etc")

    yield from (folder, with_journal, file, link)


@pytest.mark.usefixtures("no_modes")
@pytest.mark.parametrize("kind", range(4))
def test_what_was_planted_stops_neither_a_backup_nor_a_restore(store: Path, kind: int) -> None:
    list(_planted(store))[kind]()
    events: list[Event] = []
    with FolderStore(str(store), owner=ME).export(Control(events.append)) as export:
        assert sorted(export.paths) == [b"a", b"c"]
        # Nothing is missing for a folder that has changed nothing.
        assert [one.path for one in export.skipped] == [STAGING + b"planted"][: bool(kind)]
    assert codes(events) == ["foreign-restore"]
    assert not any(isinstance(event, SkipEvent) for event in events)
    assert codes(begin_again(store, ME)) == (["foreign-restore"] if kind else [])
    assert (store / "a").read_bytes() == b"original"


@pytest.mark.usefixtures("no_modes")
def test_a_half_restored_store_of_this_user_is_not_backed_up(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    with (
        pytest.raises(HalfRestored),
        FolderStore(str(store), owner=ME).export(Control()),
    ):
        pass


def test_a_journal_of_another_owner_in_our_folder_is_not_carried_out(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, Owner(), monkeypatch)
    (staging,) = store.glob(".wmbackup-restore-*")
    (staging / "journal").chmod(0o666)  # as one would be that somebody else may have written
    assert codes(begin_again(store, Owner())) == ["foreign-restore"]
    assert (store / "a").read_bytes() == b"new"


def test_a_forged_mac_is_refused() -> None:
    mac = ME.mac(b"name", b"text")
    assert ME.wrote(mac, b"name", b"text")
    for owner, tag, name, text in (
        (OTHER, mac, b"name", b"text"),
        (ME, mac, b"nam", b"etext"),
        (ME, mac, b"name", b"text "),
        (ME, mac[:-1], b"name", b"text"),
        (ME, "", b"name", b"text"),
        (Owner(), "", b"name", b"text"),
    ):
        assert not owner.wrote(tag, name, text)


def test_what_cannot_be_removed_is_named_with_the_command_that_removes_it(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, events = os.rmdir, list[Event]()

    def refuse(path: str | bytes, **more: int) -> None:
        if os.fsencode(path).startswith(STAGING):
            raise OSError(errno.EBUSY, "device or resource busy")
        real(path, **more)

    monkeypatch.setattr(os, "rmdir", refuse)
    with begin_import(str(store), Control(events.append), replace=False) as import_:
        import_.put(Item(b"new", 3, 0), b"new")
        import_.commit()
    (event,) = events
    (staging,) = store.glob(".wmbackup-restore-*")
    assert isinstance(event, WarningEvent)
    assert event.code == "left-behind"
    assert (
        f"{staging} of this restore could not be removed: device or resource busy" in event.message
    )
    assert of_warning(event) == f"nothing in it is needed: rm -r {staging}"
    assert (store / "new").read_bytes() == b"new"


@pytest.mark.parametrize("text", ["", "{}", '{"inode": 1}\nend \n', "x" * 100_000])
def test_a_journal_that_was_not_made_here_stops_neither_a_backup_nor_a_restore(
    store: Path, text: str
) -> None:
    """It may have come along with the folder, unpacked or copied, and then belongs to this user."""
    staging = store / ".wmbackup-restore-planted"
    staging.mkdir(0o700)
    (staging / "journal").write_text(text)
    events: list[Event] = []
    with FolderStore(str(store), owner=ME).export(Control(events.append)) as export:
        assert sorted(export.paths) == [b"a", b"c"]
        assert [one.path for one in export.skipped] == [STAGING + b"planted"]
    assert codes(events) == ["foreign-restore"]
    assert codes(begin_again(store, ME)) == ["foreign-restore"]
    assert (store / "a").read_bytes() == b"original"
    assert (staging / "journal").read_text() == text


@pytest.mark.parametrize("modes", [True, False])
def test_a_half_restored_folder_below_the_store_is_named(
    store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, *, modes: bool
) -> None:
    if not modes:
        request.getfixturevalue("no_modes")
    fill(store / "sub", {b"a": b"original"})
    cut_off(store / "sub", ME, monkeypatch)
    with pytest.raises(HalfRestored) as caught, FolderStore(str(store), owner=ME).export(Control()):
        pass
    assert caught.value.message.startswith(f"a restore into {store / 'sub'} is under way")
    assert codes(begin_again(store / "sub", ME)) == ["rolled-back"]
    with FolderStore(str(store), owner=ME).export(Control()) as export:
        assert not export.skipped


@pytest.mark.usefixtures("no_modes")
def test_what_ended_before_it_could_be_marked_goes_away_without_a_word(store: Path) -> None:
    for name, held in ((b"one", False), (b"two", True)):
        staging = fill(store / os.fsdecode(STAGING + name), {b"lock": b""})
        if held:
            descriptor = os.open(staging / "lock", os.O_RDWR)
            assert try_lock(descriptor)
    try:
        assert codes(begin_again(store, ME)) == ["foreign-restore"]  # it may be at work
    finally:
        os.close(descriptor)
    assert [path.name for path in store.glob(".wmbackup-*")] == [".wmbackup-restore-two"]
    assert not codes(begin_again(store, ME))
    assert not list(store.glob(".wmbackup-*"))


@pytest.mark.usefixtures("no_modes")
@pytest.mark.parametrize("written", [0, 1, MAC_SIZE])
def test_what_ended_while_it_was_marked_goes_away_without_a_word(store: Path, written: int) -> None:
    fill(store / os.fsdecode(STAGING + b"x"), {b"lock": b"", b"owner": b"0" * written})
    assert not codes(begin_again(store, ME))
    assert not list(store.glob(".wmbackup-*"))


@pytest.mark.usefixtures("no_modes")
def test_a_folder_with_anything_in_it_is_not_removed_unmarked(store: Path) -> None:
    planted: list[dict[bytes, bytes]] = [
        {b"lock": b"", b"old/0": b"needed"},
        {b"lock": b"not empty"},
        {b"lock": b"", b"owner": b"0" * (MAC_SIZE + 1)},
        {b"lock": b"", b"owner/file": b""},
    ]
    folders = [
        fill(store / os.fsdecode(STAGING + b"%d" % number), content)
        for number, content in enumerate(planted)
    ]
    assert codes(begin_again(store, ME)) == ["foreign-restore"] * len(planted)
    assert [files(folder) for folder in folders] == planted


@pytest.mark.usefixtures("no_modes")
@pytest.mark.parametrize("fails", [b"old/0", b"old", b"owner", b"lock"])
def test_what_is_removed_in_part_is_removed_by_the_next_run(
    store: Path, monkeypatch: pytest.MonkeyPatch, fails: bytes
) -> None:
    def stop(method: str) -> None:
        plainly = getattr(HandleTree, method)

        def stopping(tree: HandleTree, path: bytes) -> None:
            if path.endswith(fails) and STAGING in path:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            plainly(tree, path)

        patched.setattr(HandleTree, method, stopping)

    with monkeypatch.context() as patched:
        stop("unlink")
        stop("remove_folder")
        bring_new(store, ME)
    (left,) = store.glob(".wmbackup-*")
    assert (left / os.fsdecode(fails)).exists()
    assert not codes(begin_again(store, ME))
    assert not list(store.glob(".wmbackup-*"))


def test_what_was_made_to_see_owners_and_left_there_is_removed(store: Path) -> None:
    fill(store, {b".wmbackup-owners-0": b"", b".wmbackup-owners-1": b"somebody's"})
    assert not codes(begin_again(store, ME))
    assert [path.name for path in store.glob(".wmbackup-*")] == [".wmbackup-owners-1"]


@pytest.mark.usefixtures("no_modes")
def test_a_look_at_owners_leaves_nothing_where_another_run_is_faster(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    unlink = HandleTree.unlink

    def twice(tree: HandleTree, path: bytes) -> None:
        unlink(tree, path)
        if path.startswith(b".wmbackup-owners-"):
            unlink(tree, path)

    monkeypatch.setattr(HandleTree, "unlink", twice)
    assert codes(begin_again(store, ME)) == ["rolled-back"]


@pytest.mark.usefixtures("no_modes")
def test_a_file_that_was_made_to_see_owners_and_stays_is_named(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    unlink = HandleTree.unlink
    noted: list[str] = []

    def refuse(tree: HandleTree, path: bytes) -> None:
        if path.startswith(b".wmbackup-owners-"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(tree, path)

    monkeypatch.setattr(HandleTree, "unlink", refuse)
    monkeypatch.setattr(remains, "note", lambda path, _error: noted.append(path))
    assert codes(begin_again(store, ME)) == ["rolled-back"]
    assert noted == [str(path) for path in store.glob(".wmbackup-*")] != []


def test_a_folder_that_is_undone_and_cannot_be_removed_is_named_before_anything_else_fails(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    (left,) = store.glob(".wmbackup-restore-*")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    events: list[Event] = []

    def keep(event: Event) -> None:
        events.append(event)
        if "rolled-back" in codes([event]):
            for method in ("unlink", "remove_folder", "stat"):
                monkeypatch.setattr(HandleTree, method, refuse)

    with (
        contextlib.suppress(OSError),
        begin_import(str(store), Control(keep), replace=True, owner=ME),
    ):
        pass
    assert codes(events) == ["rolled-back", "left-behind"]
    (_, event) = events
    assert isinstance(event, WarningEvent)
    assert event.message.startswith(f"the folder {left} of an earlier restore could not be removed")


def test_a_journal_that_another_run_holds_is_named(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    (staging,) = store.glob(".wmbackup-restore-*")
    descriptor = os.open(staging / "lock", os.O_RDWR)
    try:
        assert try_lock(descriptor)
        (event,) = begin_again(store, ME)
    finally:
        os.close(descriptor)
    assert isinstance(event, WarningEvent)
    assert event.message == (
        f"{staging} is of a restore that another run is carrying out, and was not undone"
    )
    assert (store / "a").read_bytes() == b"new"
    assert codes(begin_again(store, ME)) == ["rolled-back"]


@pytest.mark.usefixtures("no_modes")
def test_a_lock_that_was_replaced_by_a_link_stops_no_restore(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(store, ME, monkeypatch)
    (staging,) = store.glob(".wmbackup-restore-*")
    (staging / "lock").unlink()
    (staging / "lock").symlink_to("/dev/zero")
    (event,) = begin_again(store, ME)
    assert isinstance(event, WarningEvent)
    assert "has a lock that cannot be taken, and was not undone" in event.message
    assert (staging / "journal").exists()


def test_a_mark_that_was_copied_from_a_disk_without_owners_counts_for_nothing_elsewhere(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_modes:
        for module in (staging, leftovers, ownership):
            without_modes.setattr(module, "is_private", lambda _status: False)
        cut_off(store, ME, without_modes)
    (left,) = store.glob(".wmbackup-restore-*")
    other = fill(tmp_path / "other", {b"c": b"kept"})
    shutil.copytree(left, other / left.name)
    (other / left.name).chmod(0o777)
    (event,) = begin_again(other, ME)
    assert isinstance(event, WarningEvent)
    assert event.code == "foreign-restore"
    assert not (other / "a").exists()
    assert not list(other.glob(".wmbackup-owners-*"))

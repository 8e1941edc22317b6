from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.folders import TICK, WAYS, WINDOWS, fill, possible, snapshot
from wmbackup.storage import files
from wmbackup.stores import tree as module
from wmbackup.stores.attributes import attributes_of
from wmbackup.stores.removal import remove_all
from wmbackup.stores.tree import (
    EntryKind,
    HandleTree,
    PathTree,
    Tree,
    open_tree,
)


@pytest.fixture(params=WAYS)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tree]:
    """Both ways, over an empty folder."""
    (tmp_path / "root").mkdir()
    made: Tree = request.param(str(tmp_path / "root"))
    yield made
    made.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that the tree is over."""
    return tmp_path / "root"


def test_the_root_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(".")
    for kind in WAYS:
        with pytest.raises(NotADirectoryError):
            kind(f"{tmp_path}/file")
        with pytest.raises(FileNotFoundError):
            kind(f"{tmp_path}/missing")
        kind(f"{tmp_path}/link").close()


def test_handles_are_used_where_there_are_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for supported, kind in ((os.supports_dir_fd, HandleTree), (set(), PathTree)):
        monkeypatch.setattr(os, "supports_dir_fd", supported)
        tree = open_tree(str(tmp_path))
        assert type(tree) is kind
        tree.close()


def test_entries_are_named_by_what_they_are(tree: Tree, root: Path) -> None:
    fill(root, {b"file": b"", b"folder/below": b""})
    os.mkfifo(root / "pipe")
    for name, target in (("to-file", "file"), ("to-folder", "folder"), ("to-nothing", "gone")):
        (root / name).symlink_to(target)
    assert dict(tree.entries(b"")) == {
        b"file": EntryKind.FILE,
        b"folder": EntryKind.FOLDER,
        b"pipe": EntryKind.SPECIAL,
        b"to-file": EntryKind.LINK,
        b"to-folder": EntryKind.LINK,
        b"to-nothing": EntryKind.LINK,
    }
    assert dict(tree.entries(b"folder")) == {b"below": EntryKind.FILE}


def test_a_link_on_the_way_is_never_followed(tree: Tree, root: Path, tmp_path: Path) -> None:
    fill(tmp_path / "outside", {b"file": b"secret", b"sub/file": b"secret"})
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "own").write_bytes(b"own")
    before = snapshot(tmp_path / "outside")
    for call in (
        lambda: list(tree.entries(b"link")),
        lambda: tree.open(b"link/file"),
        lambda: tree.open(b"link/sub/file"),
        lambda: tree.create(b"link/new"),
        lambda: tree.make_folder(b"link/new"),
        lambda: tree.rename(b"own", b"link/file"),
        lambda: tree.rename(b"link/file", b"own"),
        lambda: tree.link(b"own", b"link/new"),
        lambda: tree.unlink(b"link/file"),
        lambda: tree.remove_folder(b"link/sub"),
        lambda: tree.set_time(b"link/file", 0),
    ):
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            call()
    assert snapshot(tmp_path / "outside") == before


def test_a_link_at_the_end_is_never_followed(tree: Tree, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match=r"Too many levels|not a file"):
        tree.open(b"link")
    with pytest.raises(FileExistsError):
        tree.create(b"link")
    status = tree.stat(b"link")
    assert status is not None
    assert stat.S_ISLNK(status.st_mode)
    tree.link(b"link", b"second")
    assert os.path.islink(root / "second") or isinstance(tree, PathTree)
    tree.unlink(b"link")
    assert (tmp_path / "outside").read_bytes() == b"secret"


def test_a_pipe_hangs_nobody(tree: Tree, root: Path) -> None:
    os.mkfifo(root / "pipe")
    if isinstance(tree, PathTree):
        with pytest.raises(OSError, match="pipe"):
            tree.open(b"pipe")
        return
    descriptor = tree.open(b"pipe")
    assert stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    os.close(descriptor)


def test_nothing_stands_where_there_is_nothing(tree: Tree, root: Path) -> None:
    (root / "file").touch()
    for path in (b"missing", b"missing/below", b"file/below"):
        assert tree.stat(path) is None


def test_what_cannot_be_looked_at_is_told(
    tree: Tree, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "file").touch()

    def denied(*_args: object, **_more: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(os, "lstat", denied)
    with pytest.raises(PermissionError):
        tree.stat(b"file")


def test_a_file_goes_from_name_to_name(tree: Tree, root: Path) -> None:
    tree.make_folder(b"a")
    tree.make_folder(b"a/b", 0o700)
    descriptor = tree.create(b"a/b/file", 0o600)
    os.write(descriptor, b"data")
    os.close(descriptor)
    tree.set_time(b"a/b/file", -1_500_000_000 - TICK)
    tree.set_attributes(b"a/b/file", ("archive",))  # which only Windows has
    tree.link(b"a/b/file", b"second")
    with pytest.raises(FileExistsError):
        tree.link(b"a/b/file", b"second")
    tree.rename(b"a/b/file", b"a/third")
    tree.sync(b"a")
    assert snapshot(root) == {
        b"a": "a folder",
        b"a/b": "a folder",
        b"a/third": b"data",
        b"second": b"data",
    }
    status = tree.stat(b"second")
    assert status is not None
    assert status.st_mtime_ns == -1_500_000_000 - TICK
    tree.unlink(b"second")
    tree.remove_folder(b"a/b")
    with pytest.raises(OSError, match="not empty"):
        tree.remove_folder(b"a")
    tree.rename(b"a/third", b"last")
    tree.remove_folder(b"a")
    assert snapshot(root) == {b"last": b"data"}
    if not WINDOWS:
        assert (root / "last").stat().st_mode & 0o777 == 0o600


def test_renaming_replaces(tree: Tree, root: Path) -> None:
    fill(root, {b"a": b"new", b"b": b"old"})
    tree.rename(b"a", b"b")
    assert snapshot(root) == {b"b": b"new"}


def test_more_folders_than_handles_and_deeper_ones(tree: Tree, root: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    deep = b"/".join([b"d"] * 70)
    for depth in range(70):
        tree.make_folder(b"/".join([b"d"] * (depth + 1)))
    for number in range(70):
        tree.make_folder(b"%d" % number)
        os.close(tree.create(b"%d/file" % number))
        tree.rename(b"%d/file" % number, deep + b"/%d" % number)
        tree.link(deep + b"/%d" % number, b"%d/file" % number)
        assert len(os.listdir("/proc/self/fd")) - before <= 33
    assert len(list(tree.entries(deep))) == 70
    remove_all(tree, b"d")
    assert sorted(os.listdir(root)) == sorted(str(number) for number in range(70))
    assert (root / "69" / "file").is_file()


@pytest.mark.parametrize("known", range(29, 33))
@pytest.mark.parametrize("call", ["rename", "link"])
def test_both_ends_of_a_step_are_open_however_many_folders_were(
    tree: Tree, root: Path, known: int, call: str
) -> None:
    fill(root, {b"from/file": b"data", b"to/other": b""})
    for number in range(known):
        tree.make_folder(b"%d" % number)
        list(tree.entries(b"%d" % number))
    getattr(tree, call)(b"from/file", b"to/file")
    assert (root / "to" / "file").read_bytes() == b"data"


def test_a_failed_step_gives_its_handles_back(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    tree = HandleTree(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            tree.open(b"a/b/missing/file")
    assert len(os.listdir("/proc/self/fd")) == before + 2, "a and a/b stay open"
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_the_longest_name_is_the_file_systems(tree: Tree) -> None:
    assert tree.longest_name() == 255
    os.close(tree.create(b"x" * 255))
    with pytest.raises(OSError, match="too long"):
        tree.create(b"x" * 256)


def test_removing_all_goes_as_far_as_it_can(
    tree: Tree, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "outside", {b"file": b"stays"})
    fill(root, {b"r/a": b"", b"r/kept": b"", b"r/sub/b": b"", b"r/sub/sub/c": b"", b"other": b""})
    (root / "r" / "link").symlink_to(tmp_path / "outside")
    real = tree.unlink

    def unlink(path: bytes) -> None:
        if path == b"r/kept":
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        real(path)

    monkeypatch.setattr(tree, "unlink", unlink)
    remove_all(tree, b"r")
    assert snapshot(root) == {b"other": b"", b"r": "a folder", b"r/kept": b""}
    assert snapshot(tmp_path / "outside") == {b"file": b"stays"}
    monkeypatch.undo()
    remove_all(tree, b"r")
    remove_all(tree, b"missing")
    assert snapshot(root) == {b"other": b""}


def test_names_that_are_not_utf_8_are_kept(tree: Tree, root: Path) -> None:
    odd = (b"\xff\xfe", b"new\nline", b"\x1b[31m", "\u202egnp.exe".encode(), b"con", b"...")
    names = set(possible(odd))
    for name in names:
        os.close(tree.create(name))
    assert {name for name, _ in tree.entries(b"")} == names
    assert set(os.listdir(os.fsencode(root))) == names


@pytest.mark.parametrize(
    ("bits", "names"),
    [(0, ()), (0x20, ("archive",)), (0x27, ("archive", "hidden", "readonly", "system"))],
)
def test_windows_attributes_have_names(bits: int, names: tuple[str, ...]) -> None:
    assert attributes_of(cast("Any", SimpleNamespace(st_file_attributes=bits))) == names
    assert attributes_of(cast("Any", SimpleNamespace())) == ()


def test_a_junction_is_a_link(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(
        is_symlink=lambda: False,
        is_file=lambda follow_symlinks: follow_symlinks,
        is_dir=lambda follow_symlinks: not follow_symlinks,
        stat=lambda **_: SimpleNamespace(st_reparse_tag=0xA0000003, st_mode=0o40777),
    )
    assert module._kind(cast("Any", entry)) is EntryKind.FOLDER
    monkeypatch.setattr(os, "name", "nt")
    assert module._kind(cast("Any", entry)) is EntryKind.LINK


@pytest.mark.parametrize(
    ("tag", "attributes", "is_folder", "kind"),
    [
        (0, 0x20, False, EntryKind.FILE),
        (0, 0x10, True, EntryKind.FOLDER),
        (0xA000000C, 0x400, False, EntryKind.LINK),  # a symbolic link
        (0xA0000003, 0x410, True, EntryKind.LINK),  # a junction
        (0xA000001D, 0x400, False, EntryKind.LINK),  # a link of the Linux subsystem
        (0x80000013, 0x420, False, EntryKind.FILE),  # deduplicated
        (0x80000017, 0x420, False, EntryKind.FILE),  # compressed by the system
        (0x9000301A, 0x420, False, EntryKind.FILE),  # OneDrive, and on this disk
        (0x9000301A, 0x430, True, EntryKind.FOLDER),  # a folder of OneDrive
        (0x9000301A, 0x401420, False, EntryKind.PLACEHOLDER),  # OneDrive, and not on this disk
        (0, 0x1020, False, EntryKind.PLACEHOLDER),  # moved to a tape
        (0x9000301A, 0x401430, True, EntryKind.FOLDER),  # whose files are looked at one by one
    ],
)
def test_on_windows_only_what_leads_elsewhere_is_a_link(
    monkeypatch: pytest.MonkeyPatch,
    tag: int,
    attributes: int,
    is_folder: bool,  # noqa: FBT001 (a parameter)
    kind: EntryKind,
) -> None:
    mode = 0o40777 if is_folder else 0o100666
    status = SimpleNamespace(st_reparse_tag=tag, st_file_attributes=attributes, st_mode=mode)
    entry = SimpleNamespace(
        is_symlink=lambda: False,
        is_file=lambda **_: not is_folder,
        is_dir=lambda **_: is_folder,
        stat=lambda **_: status,
    )
    monkeypatch.setattr(os, "name", "nt")
    assert module._kind(cast("Any", entry)) is kind


def test_windows_names_are_wtf_8_and_counted_in_utf_16(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.name_length("ä𝄞".encode()) == 6
    assert module.decode(b"\xff") == "\udcff"
    odd = (b"a:b", b"C:x", b"a\\b", b"sub/a\\b", b"what?", b"a\n", b"\xff", b"sub:/a", b"<>|*")
    assert all(map(module.is_possible, odd))
    monkeypatch.setattr(os, "name", "nt")
    assert module.name_length("ä𝄞".encode()) == 3
    assert not any(map(module.is_possible, odd))
    assert all(map(module.is_possible, (b"sub/a", b"a\xed\xa0\x80", b"con", "ä".encode())))
    assert module.encode("a\ud800") == b"a\xed\xa0\x80"
    assert module.decode(b"a\xed\xa0\x80") == "a\ud800"
    for path, extended in (
        ("C:\\x", "\\\\?\\C:\\x"),
        ("\\\\server\\share", "\\\\?\\UNC\\server\\share"),
        ("\\\\?\\C:\\x", "\\\\?\\C:\\x"),
    ):
        assert files.extended(path) == extended


@pytest.mark.parametrize("way", WAYS)
def test_removal_of_deep_folders_takes_calls_in_proportion(
    way: type[HandleTree | PathTree], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            nonlocal calls
            calls += 1
            return real(*arguments, **more)

        return call

    def removed(depth: int) -> int:
        nonlocal calls
        root = tmp_path / str(depth)
        root.mkdir()
        monkeypatch.chdir(root)
        os.mkdir("all")
        for level in range(depth):  # step by step, since the whole path is too long for one call
            os.chdir("all" if not level else "d")
            os.mkdir("d")
            Path("f").write_bytes(b"")
        monkeypatch.chdir(tmp_path)
        tree = way(str(root))
        with monkeypatch.context() as patched:
            for name in ("open", "stat", "lstat", "unlink", "rename", "replace", "rmdir"):
                patched.setattr(os, name, counted(getattr(os, name)))
            calls = 0
            assert remove_all(tree, b"all") is None
            found = calls
        tree.close()
        assert list(root.iterdir()) == []
        return found

    assert removed(1600) < 2.2 * removed(800)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("forgetful", [False, True])
def test_removal_lists_a_folder_of_many_files_few_times(
    way: type[HandleTree | PathTree], tmp_path: Path, *, forgetful: bool
) -> None:
    """Also where the system leaves every other name out while names are removed."""
    listed = 0

    class Counting(way):  # type: ignore[misc, valid-type]  # a class that is a parameter
        def entries(self, folder: bytes) -> Iterator[tuple[bytes, EntryKind]]:
            nonlocal listed
            for at, entry in enumerate(super().entries(folder)):
                listed += 1
                if not (forgetful and at % 2):
                    yield entry

    fill(tmp_path / "root", {b"all/%d" % number: b"" for number in range(10_000)})
    tree = Counting(str(tmp_path / "root"))
    assert remove_all(tree, b"all") is None
    tree.close()
    assert list((tmp_path / "root").iterdir()) == []
    assert listed < 25_000


@pytest.mark.parametrize("way", WAYS)
def test_removal_returns_what_is_in_the_way_and_removes_the_rest(
    way: type[HandleTree | PathTree], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"all/a": b"1", b"all/b": b"2", b"all/c/d": b"3"})
    real = os.unlink

    def refuse(path: str | bytes, **more: int) -> None:
        if os.fsencode(path).endswith(b"b"):
            raise OSError(errno.EBUSY, "busy")
        real(path, **more)

    monkeypatch.setattr(os, "unlink", refuse)
    tree = way(str(tmp_path))
    failure = remove_all(tree, b"all")
    tree.close()
    assert failure is not None
    assert failure.errno == errno.EBUSY
    assert snapshot(tmp_path) == {b"all": "a folder", b"all/b": b"2"}


class CutOffError(BaseException):
    """Stands for a crash: nothing is cleaned up behind it."""


@pytest.mark.parametrize("way", WAYS)
def test_a_removal_that_was_cut_off_anywhere_is_finished_by_another(
    way: type[HandleTree | PathTree], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {b"all/%s/file" % path: b"1" for path in (b"a/b", b"a/c/d", b"e", b"e/f", b"e/f/g")}
    calls = itertools.count()

    def cut_off(name: str, at: int) -> None:
        real = getattr(way, name)

        def method(*arguments: object) -> None:
            real(*arguments)
            if next(calls) == at:
                raise CutOffError

        patched.setattr(way, name, method)

    for at in itertools.count():
        fill(tmp_path, content)
        calls = itertools.count()
        with monkeypatch.context() as patched:
            for name in ("rename", "unlink", "remove_folder"):
                cut_off(name, at)
            with contextlib.closing(way(str(tmp_path))) as tree:
                try:
                    remove_all(tree, b"all")
                except CutOffError:
                    pass
                else:
                    break
        with contextlib.closing(way(str(tmp_path))) as tree:
            assert remove_all(tree, b"all") is None, at
        assert not snapshot(tmp_path)
    assert at > 15


def test_a_folder_is_listed_by_a_handle_of_its_own(tmp_path: Path) -> None:
    # On btrfs a handle lists what was there when it was opened.
    fill(tmp_path, {b"sub/a": b"1"})
    tree = HandleTree(str(tmp_path))
    assert tree.stat(b"sub/a") is not None  # which keeps a handle of sub
    listed: list[int] = []
    real = os.scandir

    def scandir(handle: int) -> Any:
        listed.append(handle)
        return real(handle)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "scandir", scandir)
        assert [name for name, _ in tree.entries(b"sub")] == [b"a"]
    assert listed[0] not in {tree._root, *tree._open.values()}
    tree.close()

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.folders import TICK, WAYS, WINDOWS, fill, possible
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import Cancelled, StoreUnavailable, SystemFailure
from wmbackup.item import MAX_SIZE, Skipped
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.stores import folder as module
from wmbackup.stores.base import ItemUnavailable
from wmbackup.stores.disk import search
from wmbackup.stores.folder import FolderExport, FolderStore
from wmbackup.stores.tree import HandleTree

LARGE = 3 * 1024 * 1024 + 5


@pytest.fixture(params=WAYS, autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """Both ways through a folder."""
    monkeypatch.setattr(module, "open_tree", request.param)
    way: object = request.param
    return way


def export(root: Path, control: Control | None = None) -> Any:
    return FolderStore(str(root)).export(control or Control())


def blocks(export: FolderExport, path: bytes) -> bytes:
    data = export.read(path).data
    return data if isinstance(data, bytes) else b"".join(data)


def denied(*_args: object, **_more: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_store_is_the_folder_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FolderStore("some/../store")
    assert store.kind == "folder"
    assert store.root == store.location == str(tmp_path / "store")


@pytest.mark.parametrize("link", [False, True])
def test_every_file_below_is_an_item(tmp_path: Path, *, link: bool) -> None:
    paths = {b"a", b".hidden", b"sub/b", b"sub/sub/c", b"sub/sub/d", "größe/ß".encode()}
    fill(tmp_path / "store", dict.fromkeys(paths, b"data"))
    (tmp_path / "store" / "empty").mkdir()
    (tmp_path / "link").symlink_to("store")
    with export(tmp_path / ("link" if link else "store")) as listed:
        assert sorted(listed.paths) == sorted(paths)
        assert listed.skipped == []
        assert listed.machine is None
        assert list(listed.licenses) == []


ODD = possible(
    [
        b"new\nline",
        b"tab\tbell\x07",
        b"\x1b[31mred",
        "\u202egnp.exe".encode(),
        b"\xff\xfe not UTF-8",
        b"x" * 255,
        b" leading and trailing ",
        b"...",
        b"..a",
        b"con",
        b"NUL.txt",
        b"back\\slash",
        b"C:",
        b"*?[a]",
        b"Twin",
        b"twin",
        "e\u0301".encode(),
        "\u00e9".encode(),
    ]
)


@pytest.mark.parametrize("where", [b"", b"sub/"])
def test_odd_names_are_names(tmp_path: Path, where: bytes) -> None:
    fill(tmp_path, {where + name: name for name in ODD})
    with export(tmp_path) as listed:
        assert sorted(listed.paths) == sorted(where + name for name in ODD)
        for name in ODD:
            assert listed.read(where + name).data == name


def test_folders_deeper_than_an_archive_takes_are_named_and_not_entered(tmp_path: Path) -> None:
    (tmp_path / "/".join("d" * 99)).mkdir(parents=True)
    (tmp_path / "/".join("d" * 99) / "file").write_bytes(b"1")
    (tmp_path / "/".join("d" * 99) / "d").mkdir()
    (tmp_path / "/".join("d" * 100) / "file").write_bytes(b"2")
    with export(tmp_path) as listed:
        assert listed.paths == [b"d/" * 99 + b"file"]
        reason = "what is in it is deeper than an archive takes"
        assert listed.skipped == [Skipped(b"/".join([b"d"] * 100), reason)]


def test_a_file_is_found_however_deep_it_is(tmp_path: Path, way: object) -> None:
    depth = 40  # with the folder of the test more bytes than a call of the system takes
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):  # one path would be longer than the system takes
        os.mkdir("d" * 100, dir_fd=at)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    path = b"/".join([b"d" * 100] * depth + [b"file"])
    with export(tmp_path) as listed:
        if way is HandleTree:
            assert listed.paths == [path]
            assert listed.read(path).data == b""
        else:  # full paths end somewhere, and the rest is said
            assert [skipped.reason for skipped in listed.skipped] == [
                "cannot be listed: file name too long"
            ]


def test_links_and_special_files_are_named_and_never_opened(tmp_path: Path) -> None:
    fill(tmp_path / "outside", {b"file": b"secret", b"sub/file": b"secret"})
    store = fill(tmp_path / "store", {b"file": b"data", b"sub/file": b"data"})
    links = {
        "to-file": "file",
        "to-folder": "sub",
        "to-itself": "to-itself",
        "to-above": "..",
        "to-here": ".",
        "to-nothing": "gone",
        "to-outside": "../outside",
        "to-a-file-outside": f"{tmp_path}/outside/file",
        "sub/up": "..",
    }
    for name, target in links.items():
        (store / name).symlink_to(target)
    os.mkfifo(store / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(store / "socket"))
    special = {b"pipe", b"socket"}
    if os.geteuid() == 0:
        os.mknod(store / "device", 0o20600, os.makedev(1, 5))  # /dev/zero, which never ends
        special.add(b"device")
    with export(store) as listed:
        assert sorted(listed.paths) == [b"file", b"sub/file"]
        reasons = {skipped.path: skipped.reason for skipped in listed.skipped}
    assert reasons == {
        **{name.encode(): "a symbolic link, which is never followed" for name in links},
        **dict.fromkeys(special, "a special file, such as a device or a pipe"),
    }


def test_a_second_name_of_a_file_is_a_file(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": b"data"})
    os.link(tmp_path / "a", tmp_path / "b")
    with export(tmp_path) as listed:
        assert sorted(listed.paths) == [b"a", b"b"]


def test_what_a_restore_left_is_named_and_not_carried(tmp_path: Path) -> None:
    left = b".wmbackup-restore-0123"
    fill(tmp_path, {left + b"/old/1": b"old", b"sub/" + left + b"/a": b"staged", b"b": b""})
    events: list[Event] = []
    with export(tmp_path, Control(events.append)) as listed:
        assert sorted(listed.paths) == [b"b"]
        assert not listed.skipped  # nothing is missing: no restore has changed anything
    folders = {str(tmp_path / os.fsdecode(path)) for path in (left, b"sub/" + left)}
    warnings = [event for event in events if isinstance(event, WarningEvent)]
    assert {event.code for event in warnings} == {"foreign-restore"}
    assert {event.message.split(" is of a restore")[0] for event in warnings} == folders


def test_a_journal_that_no_restore_here_wrote_stops_no_backup(tmp_path: Path) -> None:
    left = b".wmbackup-restore-0123"
    fill(tmp_path, {left + b"/journal": b"{}", b"b": b""})
    with export(tmp_path) as listed:
        assert listed.paths == [b"b"]
        assert listed.skipped == [Skipped(left, "left by a restore that is not over")]


@pytest.mark.parametrize(
    ("size", "mtime_ns"),
    [
        (0, 0),
        (1, -TICK),
        (1000, -86_400_000_000_000 - TICK),
        (1024 * 1024, 10**18 + TICK),
        (LARGE, 12300),
    ],
)
def test_size_and_time_are_those_of_the_file(tmp_path: Path, size: int, mtime_ns: int) -> None:
    fill(tmp_path, {b"file": bytes(range(256)) * (size // 256) + b"." * (size % 256)})
    os.utime(tmp_path / "file", ns=(0, mtime_ns))
    with export(tmp_path) as listed:
        content = listed.read(b"file")
        data = content.data if isinstance(content.data, bytes) else b"".join(content.data)
    attributes = ("archive",) if WINDOWS else ()
    assert (content.size, content.mtime_ns, content.attributes) == (size, mtime_ns, attributes)
    assert data == (tmp_path / "file").read_bytes()
    assert isinstance(content.data, bytes) == (size <= 1024 * 1024)


def test_a_missing_store_and_one_that_is_a_file_say_so(tmp_path: Path) -> None:
    fill(tmp_path, {b"file": b""})
    for name, message in (
        ("missing", "there is no folder"),
        ("file", "is not a folder"),
        ("file/below", "there is no folder" if WINDOWS else "is not a folder"),
    ):
        with pytest.raises(StoreUnavailable, match=message) as caught, export(tmp_path / name):
            pass
        assert of_error(caught.value) is not None


def test_a_store_that_may_not_be_read_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "scandir", denied)
    with (
        pytest.raises(StoreUnavailable, match=r"cannot read the folder .*: permission denied"),
        export(tmp_path),
    ):
        pass


def test_a_folder_that_may_not_be_listed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": b"", b"sub/b": b""})
    real, calls = os.scandir, []

    def second_denied(at: Any) -> Any:
        calls.append(at)
        return denied() if len(calls) == 2 else real(at)

    monkeypatch.setattr(os, "scandir", second_denied)
    with export(tmp_path) as listed:
        assert listed.paths == [b"a"]
        assert listed.skipped == [Skipped(b"sub", "cannot be listed: permission denied")]


def test_a_folder_that_became_a_link_is_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "outside", {b"secret": b""})
    store = fill(tmp_path / "store", {b"sub/b": b""})
    real = FolderExport._list

    def swap(self: FolderExport, folder: bytes, prefix: bytes) -> list[bytes]:
        below = real(self, folder, prefix)
        if not folder:
            (store / "sub" / "b").unlink()
            (store / "sub").rmdir()
            (store / "sub").symlink_to("../outside")
        return below

    monkeypatch.setattr(FolderExport, "_list", swap)
    with export(store) as listed:
        assert listed.paths == []
        assert [skipped.path for skipped in listed.skipped] == [b"sub"]


def test_a_file_that_may_not_be_read_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": b""})
    with export(tmp_path) as listed:
        monkeypatch.setattr(os, "open", denied)
        with pytest.raises(ItemUnavailable, match="it cannot be read: permission denied"):
            listed.read(b"a")
        monkeypatch.undo()


def _remove(path: Path) -> None:
    path.unlink()


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


@pytest.mark.parametrize("size", [4, LARGE])
@pytest.mark.parametrize("replace", [_remove, _link, _pipe, _folder, _socket])
def test_what_took_the_place_of_a_file_is_never_read(
    tmp_path: Path, size: int, replace: Callable[[Path], None]
) -> None:
    fill(tmp_path, {b"a": bytes(size)})
    with export(tmp_path) as listed:
        content = listed.read(b"a")
        replace(tmp_path / "a")
        if not isinstance(content.data, bytes):  # its first block was not taken yet
            with pytest.raises(ItemUnavailable):
                list(content.data)
        with pytest.raises(ItemUnavailable):
            listed.read(b"a")


def test_a_parent_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    fill(tmp_path / "outside", {b"a": b"secret"})
    store = fill(tmp_path / "store", {b"sub/a": b"data"})
    with export(store) as listed:
        (store / "sub").rename(tmp_path / "moved")
        (store / "sub").symlink_to("../outside")
        with contextlib.suppress(ItemUnavailable):
            assert listed.read(b"sub/a").data == b"data"  # by the handle that it holds


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _rewrite(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(b"y" * size)
    os.utime(path, ns=(1, 1))


def _swap(path: Path) -> None:
    status = path.stat()
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"y" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("change", [_grow, _shrink, _rewrite])
def test_a_small_file_that_changes_while_it_is_read_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    fill(tmp_path, {b"a": b"x" * 1000})
    real = os.read

    def read(descriptor: int, size: int) -> bytes:
        data = real(descriptor, 500)
        monkeypatch.setattr(os, "read", real)
        change(tmp_path / "a")
        return data + real(descriptor, size - 500)

    with export(tmp_path) as listed:
        monkeypatch.setattr(os, "read", read)
        with pytest.raises(ItemUnavailable, match="it changed while it was read"):
            listed.read(b"a")
        assert listed.read(b"a").size == (tmp_path / "a").stat().st_size


@pytest.mark.parametrize("change", [_grow, _shrink, _rewrite, _swap])
@pytest.mark.parametrize("first", [False, True])
def test_a_large_file_that_changes_while_it_is_read_is_unavailable(
    tmp_path: Path, change: Callable[[Path], None], *, first: bool
) -> None:
    fill(tmp_path, {b"a": b"x" * LARGE})
    with export(tmp_path) as listed:
        data: Iterator[bytes] = iter(listed.read(b"a").data)
        if first:
            assert len(next(data)) == 1024 * 1024
        change(tmp_path / "a")
        if first and change is _swap:
            assert sum(map(len, data)) == LARGE - 1024 * 1024  # the file that was begun
            return
        with pytest.raises(ItemUnavailable, match="it changed while it was read"):
            list(data)
        assert sum(map(len, listed.read(b"a").data)) == (tmp_path / "a").stat().st_size


def test_a_file_that_ends_before_its_size_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": b"0123456789"})
    ends = iter((b"0123", b""))
    with export(tmp_path) as listed:
        monkeypatch.setattr(os, "read", lambda _descriptor, _size: next(ends))
        with pytest.raises(ItemUnavailable, match="it changed while it was read"):
            listed.read(b"a")


def test_a_file_that_is_read_in_small_pieces_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": b"0123456789"})
    real = os.read
    with export(tmp_path) as listed:
        monkeypatch.setattr(os, "read", lambda descriptor, size: real(descriptor, min(size, 3)))
        assert listed.read(b"a").data == b"0123456789"


def refuse(number: int) -> Callable[..., Any]:
    def call(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


TROUBLE = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EBUSY)


@pytest.mark.parametrize("number", TROUBLE)
@pytest.mark.parametrize("call", ["open", "read", "fstat"])
def test_trouble_of_the_machine_while_reading_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    fill(tmp_path, {b"a": bytes(LARGE), b"b": b"small"})
    with export(tmp_path) as listed:
        monkeypatch.setattr(os, call, refuse(number))
        for path in (b"a", b"b"):
            with pytest.raises(SystemFailure) as caught:
                blocks(listed, path)
            name = tmp_path / path.decode()
            assert caught.value.message == f"cannot read {name}: {os.strerror(number).lower()}"
        monkeypatch.undo()


def test_trouble_in_the_midst_of_a_large_file_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {b"a": bytes(LARGE)})
    with export(tmp_path) as listed:
        parts = iter(listed.read(b"a").data)
        assert next(parts)
        monkeypatch.setattr(os, "read", refuse(errno.EIO))
        with pytest.raises(SystemFailure, match=r"cannot read .*/a: input/output error"):
            next(parts)
        monkeypatch.undo()


@pytest.mark.parametrize("number", TROUBLE)
@pytest.mark.parametrize("where", [1, 2])
def test_trouble_of_the_machine_while_listing_is_named_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: int, number: int
) -> None:
    fill(tmp_path, {b"a": b"", b"sub/b": b""})
    real, calls = os.scandir, []

    def broken(at: Any) -> Any:
        calls.append(at)
        return refuse(number)() if len(calls) == where else real(at)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(SystemFailure) as caught, export(tmp_path):
        pass
    name = tmp_path / ("sub" if where == 2 else "")
    assert caught.value.message == f"cannot list the folder {name}: {os.strerror(number).lower()}"


@pytest.mark.parametrize("number", TROUBLE)
def test_no_folder_is_taken_for_a_plain_one_for_trouble_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "listdir", refuse(number))
    with pytest.raises(SystemFailure, match="cannot list the folder"):
        assert FolderStore(str(tmp_path)).kind
    monkeypatch.setattr(os, "scandir", refuse(number))
    with pytest.raises(SystemFailure, match="cannot list the folder"):
        search(str(fill(tmp_path, {b"ProgramData/x": b""})))
    monkeypatch.undo()


def test_a_file_larger_than_an_archive_takes_is_unavailable_and_not_read(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": b""})
    os.truncate(tmp_path / "a", MAX_SIZE + 1)
    with export(tmp_path) as listed:
        with pytest.raises(ItemUnavailable, match="8 GiB or more, which no archive takes"):
            listed.read(b"a")
        os.truncate(tmp_path / "a", MAX_SIZE)
        assert listed.read(b"a").size == MAX_SIZE


def test_reading_leaves_no_handle_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    fill(tmp_path, {b"a": bytes(LARGE), b"sub/b": b"small"})
    with export(tmp_path) as listed:
        listed.read(b"a")
        blocks(listed, b"a")
        listed.read(b"sub/b")
    assert len(os.listdir("/proc/self/fd")) == before


def test_listing_can_be_canceled_between_folders(tmp_path: Path) -> None:
    fill(tmp_path, {b"a/a": b"", b"b/b": b"", b"c/c": b""})
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) == 3

    before = len(os.listdir("/proc/self/fd"))
    store = FolderStore(str(tmp_path))
    with pytest.raises(Cancelled), store.export(Control(cancelled=cancelled)):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_licenses_pass_over_what_cannot_be_read(tmp_path: Path) -> None:
    fill(tmp_path, {b"a": b"", b"b": b""})
    store = FolderStore(str(tmp_path))
    assert list(store.licenses(Control())) == []
    os.truncate(tmp_path / "b", MAX_SIZE + 1)
    assert list(store.licenses(Control())) == []

"""Names that a target cannot hold are found before anything is changed, and named."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.folders import KEY, POLICY, WINDOWS, Log, files, fill, snapshot
from wmbackup.engine import OnConflict, RestoreSummary, backup, open_archive, restore
from wmbackup.errors import RestoreConflict, SystemFailure
from wmbackup.item import Item
from wmbackup.status import SkipEvent
from wmbackup.stores import importing
from wmbackup.stores.base import ItemUnavailable
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.importing import begin_import
from wmbackup.stores.journal import Journal
from wmbackup.stores.name_trial import NameTrial
from wmbackup.stores.tree import HandleTree

pytestmark = pytest.mark.skipif(WINDOWS, reason="Windows has no such names in the first place")

GOOD = {b"a": b"1", b"sub/b": b"2", "m\u00fcsik.lic".encode(): b"3"}
BAD = {
    b"what?.lic": "this file system does not take its name",
    b"a:b/c": "this file system does not take its name",
    b"sub/end.": "this file system would give it another name",
    b"\xff": "this file system does not take its name",
}


class FatTree(HandleTree):
    """A folder that takes the names that FAT takes, and tells none apart by case."""

    def _at(self, folder: bytes) -> int:
        return super()._at(b"/".join(map(_stored, folder.split(b"/"))))

    def _split(self, path: bytes) -> tuple[int, bytes]:
        handle, name = super()._split(path)
        return handle, _stored(name)

    def create(self, path: bytes, mode: int = 0o666) -> int:
        _refuse(path)
        return super().create(path, mode)

    def make_folder(self, folder: bytes, mode: int = 0o777) -> None:
        _refuse(folder)
        super().make_folder(folder, mode)

    def rename(self, source: bytes, target: bytes) -> None:
        _refuse(target)
        super().rename(source, target)

    def link(self, source: bytes, target: bytes) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), target)

    def longest_name(self) -> int:
        return 1530  # as Linux answers: bytes of 255 characters


def _stored(name: bytes) -> bytes:
    with contextlib.suppress(UnicodeDecodeError):
        name = name.decode().lower().encode()
    return name.rstrip(b". ") or name


def _refuse(path: bytes) -> None:
    name = path.rpartition(b"/")[2]
    number = errno.EINVAL if set(name) & {*range(32), *b'"*:<>?|\\'} else 0
    try:
        if len(name.decode().encode("utf-16-le")) // 2 > 255:
            number = errno.ENAMETOOLONG
    except UnicodeDecodeError:
        number = errno.EILSEQ
    if number:
        raise OSError(number, os.strerror(number), path)


@pytest.fixture
def fat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "open_tree", FatTree)


def archive_of(tmp_path: Path, contents: Mapping[bytes, bytes]) -> str:
    store = fill(tmp_path / "source", contents)
    backup(FolderStore(str(store)), f"{tmp_path}/a.tar", KEY)
    return f"{tmp_path}/a.tar"


def bring(
    archive: str, target: Path, log: Log | None = None, *, dry_run: bool = False
) -> RestoreSummary:
    control = (log or Log()).control()
    how = OnConflict.REPLACE
    with open_archive(archive) as source:
        store = FolderStore(str(target))
        return restore(source, store, POLICY, control, on_conflict=how, dry_run=dry_run)


@pytest.mark.usefixtures("fat")
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("existing", [True, False])
def test_names_that_the_target_does_not_take_are_skipped_and_named(
    tmp_path: Path, *, existing: bool, dry_run: bool
) -> None:
    archive = archive_of(tmp_path, GOOD | dict.fromkeys(BAD, b"bad"))
    target = tmp_path / "target"
    if existing:
        fill(target, {b"a": b"old"})
    before = snapshot(tmp_path)
    log = Log()
    summary = bring(archive, target, log, dry_run=dry_run)
    assert {one.path: one.reason for one in summary.skipped} == BAD
    assert {event.path for event in log.events if isinstance(event, SkipEvent)} == BAD.keys()
    if dry_run:
        assert snapshot(tmp_path) == before
    else:
        assert files(target) == GOOD
    assert not list(tmp_path.rglob(".wmbackup-*"))


@pytest.mark.usefixtures("fat")
def test_names_are_as_long_as_the_target_takes_them_and_not_as_the_system_says(
    tmp_path: Path,
) -> None:
    fitting = b"folder/" + "\u00e9".encode() * 127  # more cannot be on the disk of this test
    too_long = b"folder/" + b"x" * 256
    with begin_import(str(tmp_path), Log().control(), replace=False) as import_:
        import_.standing(Item(fitting, 0, 0), b"")
        with pytest.raises(ItemUnavailable, match="its name is too long for this file system"):
            import_.standing(Item(too_long, 0, 0), b"")


def test_a_name_of_more_bytes_than_the_system_says_is_tried(tmp_path: Path) -> None:
    class ShortTree(HandleTree):
        def longest_name(self) -> int:
            return 100  # as ntfs-3g says 255, which is characters there

    with contextlib.closing(ShortTree(str(tmp_path))) as tree:
        tree.make_folder(b"staging")
        trial = NameTrial(tree, lambda: b"staging")
        assert trial.refusal(b"x" * 200) is None
        assert trial.refusal(b"x" * 256) == "its name is too long for this file system"
        assert trial.refusal(b"x/" + b"y" * 256 + b"/z") is not None


def test_where_all_names_are_taken_one_file_is_made_to_find_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    real = HandleTree.create

    def create(tree: HandleTree, path: bytes, mode: int = 0o666) -> int:
        made.append(path)
        return real(tree, path, mode)

    monkeypatch.setattr(HandleTree, "create", create)
    with contextlib.closing(HandleTree(str(tmp_path))) as tree:
        tree.make_folder(b"staging")
        trial = NameTrial(tree, lambda: b"staging")
        assert not any(trial.refusal(b"%d?/\xff%d." % (n, n)) for n in range(1000))
        assert trial.refusal(b"plain/a b.lic") is None
    assert len(made) == 1
    assert not list((tmp_path / "staging/names").iterdir())


def test_a_target_that_cannot_be_written_to_does_not_end_the_plan(tmp_path: Path) -> None:
    def refuse() -> bytes:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with contextlib.closing(HandleTree(str(tmp_path))) as tree:
        trial = NameTrial(tree, refuse)
        assert trial.refusal(b"a?") is None
        assert trial.refusal(b"x" * 256) == "its name is too long for this file system"


@pytest.mark.usefixtures("fat")
@pytest.mark.parametrize(
    ("paths", "named"),
    [
        ((b"License", b"license"), b"license"),
        ((b"sub/x", b"Sub/y", b"SUB/X"), b"SUB/X"),
        ((b"a/b", b"A"), b"A"),
        (("\u00c9".encode(), "\u00e9".encode()), "\u00e9".encode()),
    ],
)
def test_two_names_that_are_one_there_are_named_before_anything_is_applied(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    paths: tuple[bytes, ...],
    named: bytes,
) -> None:
    archive = archive_of(tmp_path, dict.fromkeys(paths, b"new"))
    target = fill(tmp_path / "target", {b"other": b"stays"})
    before = snapshot(target)

    def refuse(*_: object) -> None:
        raise AssertionError("something was applied")

    monkeypatch.setattr(Journal, "write", refuse)
    with pytest.raises(RestoreConflict) as caught:
        bring(archive, target)
    assert caught.value.message.lower().startswith(os.fsdecode(named).lower())
    assert "has the same name as another file on this file system" in caught.value.message
    assert snapshot(target) == before


@pytest.mark.usefixtures("fat")
def test_folders_that_differ_in_case_are_one_folder_there(tmp_path: Path) -> None:
    archive = archive_of(tmp_path, {b"Sub/x": b"1", b"sub/y": b"2"})
    target = fill(tmp_path / "target", {b"other": b"stays"})
    bring(archive, target)
    assert files(target) == {b"other": b"stays", b"sub/x": b"1", b"sub/y": b"2"}


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENAMETOOLONG, errno.EACCES])
def test_a_file_that_is_refused_late_is_named_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, *, existing: bool
) -> None:
    class LateTree(HandleTree):
        def _refuse(self, path: bytes) -> None:
            if path.endswith(b"sub/b"):
                raise OSError(number, os.strerror(number), path)

        def create(self, path: bytes, mode: int = 0o666) -> int:
            self._refuse(path)
            return super().create(path, mode)

        def link(self, source: bytes, target: bytes) -> None:
            self._refuse(target)
            super().link(source, target)

        def rename(self, source: bytes, target: bytes) -> None:
            self._refuse(target)
            super().rename(source, target)

    archive = archive_of(tmp_path, GOOD)
    target = tmp_path / "target"
    if existing:
        fill(target, {b"a": b"old"})
    before = snapshot(tmp_path)
    monkeypatch.setattr(importing, "open_tree", LateTree)
    with pytest.raises(SystemFailure) as caught:
        bring(archive, target)
    reason = os.strerror(number).lower()
    assert caught.value.message == f"cannot restore sub/b into {target}: {reason}"
    assert snapshot(tmp_path) == before

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.folders import is_private
from wmbackup.errors import (
    Busy,
    Cancelled,
    NotFound,
    OutputExists,
    SystemFailure,
    Unconfirmed,
    UsageError,
)
from wmbackup.status import Control
from wmbackup.storage import files, locks, private_files
from wmbackup.storage.files import has_no_links, is_inside
from wmbackup.storage.locks import Locks
from wmbackup.storage.private_files import remove_leftovers
from wmbackup.storage.publish import Draft, output_path
from wmbackup.storage.spool import spool_in, temporary_folder

HOLD = """
import sys, time
from wmbackup.storage.locks import Locks
from wmbackup.status import Control
with Locks(sys.argv[1]).hold("store", sys.argv[2], Control()):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def refuse(number: int) -> Any:
    def call(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def publish(path: Path, data: bytes, *, replace: bool) -> None:
    with contextlib.closing(Draft(str(path))) as draft:
        draft.file.write(data)
        draft.sync()
        assert draft.file.read() == data
        draft.publish(replace=replace)


@pytest.mark.parametrize("replace", [False, True])
def test_a_draft_appears_whole_and_private(tmp_path: Path, *, replace: bool) -> None:
    publish(tmp_path / "new", b"data", replace=replace)
    assert names(tmp_path) == ["new"]
    assert (tmp_path / "new").read_bytes() == b"data"
    assert is_private(tmp_path / "new")
    assert (tmp_path / "new").stat().st_nlink == 1


def test_a_draft_without_a_folder_goes_into_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    publish(Path("new"), b"data", replace=False)
    assert names(tmp_path) == ["new"]


def test_a_draft_replaces_only_where_it_may(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OutputExists, match="exists"):
        publish(tmp_path / "a", b"new", replace=False)
    assert (tmp_path / "a").read_bytes() == b"old"
    publish(tmp_path / "a", b"new", replace=True)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


def test_a_draft_that_is_closed_leaves_nothing(tmp_path: Path) -> None:
    draft = Draft(str(tmp_path / "a"))
    (part,) = names(tmp_path)
    assert part.startswith(".wmbackup-")
    draft.close()
    assert names(tmp_path) == []


def test_a_draft_whose_closing_fails_leaves_nothing(tmp_path: Path) -> None:
    draft = Draft(str(tmp_path / "a"))
    draft.file.write(b"in memory")
    os.close(draft.file.fileno())  # so that what is in memory cannot be written
    with pytest.raises(OSError, match="Bad file"):
        draft.close()
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_draft_is_renamed_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "link", refuse(number))
    publish(tmp_path / "a", b"first", replace=False)
    with pytest.raises(OutputExists):
        publish(tmp_path / "a", b"second", replace=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [1, 50, 1142])
def test_the_number_of_windows_tells_that_there_are_no_hard_links(number: int) -> None:
    error = OSError(errno.EINVAL, "as Windows says it")
    assert not has_no_links(error)
    error.winerror = number  # type: ignore[attr-defined, unused-ignore] # other systems have none
    assert has_no_links(error)
    error.winerror = 112  # type: ignore[attr-defined, unused-ignore] # ERROR_DISK_FULL
    assert not has_no_links(error)


def test_a_link_that_fails_for_another_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        publish(tmp_path / "a", b"data", replace=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_draft_that_is_in_its_place_is_said_to_be_whatever_fails_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, replace: bool
) -> None:
    """The folder is not synced, or the file not closed: the new state is there all the same."""
    path = str(tmp_path / "a")
    true = f"the archive is complete at {path}, but that it is on the disk could not be confirmed"
    monkeypatch.setattr("wmbackup.storage.publish.sync_folder", refuse(errno.EIO))
    draft = Draft(path, "the archive")
    draft.file.write(b"data")
    draft.sync()
    with pytest.raises(Unconfirmed, match=f"{true}: input/output error") as caught:
        draft.publish(replace=replace)
    assert (caught.value.code, caught.value.exit_code) == ("unconfirmed", 1)
    draft.close()
    assert (tmp_path / "a").read_bytes() == b"data"
    (tmp_path / "a").unlink()
    monkeypatch.undo()
    draft = Draft(path, "the archive")
    draft.sync()
    draft.publish(replace=replace)
    os.close(draft.file.fileno())
    with pytest.raises(Unconfirmed, match=f"{true}: bad file descriptor"):
        draft.close()
    assert names(tmp_path) == ["a"]


def test_a_draft_that_keeps_its_first_name_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failing = os.unlink, [True]

    def unlink(name: str) -> None:
        if failing:
            failing.pop()
            refuse(errno.EIO)()
        real(name)

    monkeypatch.setattr(os, "unlink", unlink)
    publish(tmp_path / "a", b"data", replace=False)
    assert names(tmp_path) == ["a"]
    failing += [True, True]
    with pytest.raises(SystemFailure, match=r"cannot remove the temporary file of .*/b, which is"):
        publish(tmp_path / "b", b"data", replace=False)
    assert (tmp_path / "b").read_bytes() == b"data"
    monkeypatch.undo()
    remove_leftovers(str(tmp_path))
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.skipif(sys.platform != "linux", reason="others have no setting for this")
def test_a_folder_that_may_be_written_to_and_not_be_opened_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("wmbackup.storage.publish.sync_folder", refuse(errno.EACCES))
    monkeypatch.setattr("wmbackup.storage.publish.sync_everything", synced.append)
    publish(tmp_path / "a", b"data", replace=True)
    assert len(synced) == 1


def test_a_draft_is_taken_by_nobody_else(tmp_path: Path) -> None:
    with contextlib.closing(Draft(str(tmp_path / "a"))):
        remove_leftovers(str(tmp_path))
        assert len(names(tmp_path)) == 1
    remove_leftovers(str(tmp_path))


def test_a_draft_that_another_run_removed_too_early_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = files.try_lock, []

    def steal(descriptor: int) -> bool:
        tries.append(descriptor)
        if len(tries) == 1:  # the other run holds it
            return False
        if len(tries) == 2:  # the other run has removed it
            (left,) = tmp_path.iterdir()
            left.unlink()
        return real(descriptor)

    monkeypatch.setattr(private_files, "try_lock", steal)
    publish(tmp_path / "a", b"data", replace=False)
    assert len(tries) == 3
    assert names(tmp_path) == ["a"]


def test_a_file_system_without_locks_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fcntl.flock", refuse(errno.ENOLCK))
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        Draft(str(tmp_path / "a"))
    assert names(tmp_path) == []
    locks = Locks(str(tmp_path / "locks"), wait=60)
    with pytest.raises(SystemFailure, match="cannot lock"), locks.hold("store", "/s", Control()):
        pass


def test_leftovers_are_removed_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / ".wmbackup-0123.part").write_bytes(b"left")
    (tmp_path / ".wmbackup-0123").write_bytes(b"not one")
    (tmp_path / "a.part").write_bytes(b"not one")
    (tmp_path / ".wmbackup-link.part").symlink_to("a.part")
    (tmp_path / ".wmbackup-folder.part").mkdir()
    os.mkfifo(tmp_path / ".wmbackup-pipe.part")
    remove_leftovers(str(tmp_path))
    assert names(tmp_path) == [
        ".wmbackup-0123",
        ".wmbackup-folder.part",
        ".wmbackup-link.part",
        ".wmbackup-pipe.part",
        "a.part",
    ]


def test_leftovers_of_a_folder_that_cannot_be_listed_are_left(tmp_path: Path) -> None:
    remove_leftovers(str(tmp_path / "missing"))


def test_syncing_names_passes_over_file_systems_that_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    files.sync_folder(str(tmp_path))
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        files.sync_folder(str(tmp_path))


def test_syncing_everything_syncs_one_file_system(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    files.sync_everything(descriptor)
    os.close(descriptor)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        files.sync_everything(descriptor)


def test_syncing_everything_syncs_all_where_one_cannot_be_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    synced = []
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    files.sync_everything(-1)
    assert synced == [True]


def test_a_spool_is_in_memory_while_small_then_in_its_folder_without_a_name(
    tmp_path: Path,
) -> None:
    with spool_in(str(tmp_path))() as spool:
        spool.write(bytes(1000))
        spool.write(bytes(2 * 1024 * 1024))
        at = os.readlink(f"/proc/self/fd/{spool.fileno()}")
        assert at.startswith(str(tmp_path))
        assert names(tmp_path) == []
        assert os.fstat(spool.fileno()).st_mode & 0o777 == 0o600


def test_large_temporary_files_go_where_tmpdir_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert temporary_folder() == str(tmp_path)
    monkeypatch.delenv("TMPDIR")
    assert temporary_folder() == "/var/tmp"
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert temporary_folder() == "/tmp"


def test_an_output_is_a_file_or_a_folder_for_the_usual_name(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert output_path(f"{tmp_path}/folder", "name") == str(tmp_path / "folder" / "name")
    assert output_path(f"{tmp_path}/folder/", "name") == str(tmp_path / "folder" / "name")
    assert output_path(f"{tmp_path}/file", "name") == str(tmp_path / "file")
    assert output_path(f"{tmp_path}/new", "name") == str(tmp_path / "new")


def test_an_output_that_is_a_link_means_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "dangling").symlink_to("folder/new")
    assert output_path(f"{tmp_path}/link", "name") == f"{tmp_path}/folder/name"
    assert output_path(f"{tmp_path}/dangling", "name") == f"{tmp_path}/folder/new"


@pytest.mark.parametrize("output", ["missing/", "missing/file", "file/below", "file/"])
def test_an_output_in_no_folder_is_not_found(tmp_path: Path, output: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotFound, match="there is no folder"):
        output_path(f"{tmp_path}/{output}", "name")


def test_an_output_that_is_no_file_is_refused_unopened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder" / "name").mkdir(parents=True)
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    for output in ("/dev/null", f"{tmp_path}/pipe", f"{tmp_path}/socket", f"{tmp_path}/loop"):
        with pytest.raises(UsageError, match="special file"):
            output_path(output, "name")
    with pytest.raises(UsageError, match="is a folder"):
        output_path(f"{tmp_path}/folder", "name")


def test_an_output_that_nobody_may_look_at_is_a_failure_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemFailure, match="too long"):
        output_path(f"{tmp_path}/{'x' * 256}", "name")
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        if path.endswith("secret"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    monkeypatch.setattr(os.path, "realpath", lambda path: path)
    monkeypatch.setattr(os, "lstat", lstat)
    with pytest.raises(SystemFailure, match="permission denied"):
        output_path(f"{tmp_path}/secret", "name")


def test_a_path_is_inside_a_folder_whatever_links_lead_there(tmp_path: Path) -> None:
    (tmp_path / "store" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("store/sub")
    (tmp_path / "store" / "out").symlink_to("../elsewhere")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "same").symlink_to("store")
    store = f"{tmp_path}/store"
    for inside in ("store", "store/a", "store/sub/a/b/c", "link/a", "same/a", "link/../a"):
        assert is_inside(f"{tmp_path}/{inside}", store)
        assert is_inside(f"{tmp_path}/{inside}", f"{tmp_path}/same")
    for outside in ("a", "store2/a", "store/out/a", ""):
        assert not is_inside(f"{tmp_path}/{outside}", store)
    assert not is_inside(f"{tmp_path}/a", f"{tmp_path}/missing")


@pytest.fixture
def held(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock on /store for a minute."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "locks"), "/store", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def hold(locks: Locks, control: Control | None = None, subject: str = "/store") -> None:
    with locks.hold("store", subject, control or Control()):
        pass


def test_a_lock_is_held_by_one_process_and_dropped_with_it(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    locks = Locks(str(tmp_path / "locks"))
    with pytest.raises(Busy, match="holds the store /store"):
        hold(locks)
    hold(locks, subject="/another")
    held.kill()
    held.wait()
    hold(locks)
    assert names(tmp_path / "locks") == []


def test_a_lock_is_waited_for_as_long_as_is_said(
    tmp_path: Path, held: subprocess.Popen[str]
) -> None:
    begin = time.monotonic()
    with pytest.raises(Busy):
        hold(Locks(str(tmp_path / "locks"), wait=0.3))
    assert time.monotonic() - begin >= 0.3
    threading.Timer(0.2, held.kill).start()
    hold(Locks(str(tmp_path / "locks"), wait=30))


def test_waiting_for_a_lock_can_be_canceled(tmp_path: Path, held: subprocess.Popen[str]) -> None:
    del held
    with pytest.raises(Cancelled):
        hold(Locks(str(tmp_path / "locks"), wait=30), Control(cancelled=lambda: True))


def test_a_lock_that_went_with_its_holder_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = files.try_lock, []

    def slow(descriptor: int) -> bool:
        tries.append(descriptor)
        if len(tries) == 1:  # its holder drops and removes it between the two steps
            (tmp_path / names(tmp_path)[0]).unlink()
        return real(descriptor)

    monkeypatch.setattr(locks, "try_lock", slow)
    hold(Locks(str(tmp_path), wait=5))
    assert len(tries) == 2


def test_a_place_for_locks_that_cannot_be_is_a_failure_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemFailure, match="cannot lock"):
        hold(Locks(str(tmp_path / "file")))
    os.close(os.open(tmp_path / "file", os.O_RDONLY))


def test_a_lock_is_dropped_with_its_descriptor_when_looking_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(locks, "_is_still", refuse(errno.EIO))
    with pytest.raises(SystemFailure):
        hold(Locks(str(tmp_path)))
    assert len(os.listdir("/proc/self/fd")) == before


def test_windows_renames_and_has_no_folders_to_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path, left = str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/.wmbackup-0.part"
    (tmp_path / ".wmbackup-0.part").touch()
    synced: list[int] = []
    monkeypatch.setattr(os, "posix_fadvise", refuse(errno.EIO))
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(os, "link", refuse(errno.EIO))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "name", "nt")
    draft = Draft(path)
    draft.file.write(b"data")
    draft.sync()
    draft.publish(replace=False)
    draft.close()
    remove_leftovers(folder)
    hold(Locks(f"{folder}/locks"))
    monkeypatch.undo()
    assert len(synced) == 1
    assert (tmp_path / "a").read_bytes() == b"data"
    assert not os.path.exists(left)
    assert names(tmp_path / "locks") == []

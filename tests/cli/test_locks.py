from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import IS_ROOT, Inside, Process
from wmbackup.errors import Busy
from wmbackup.status import Control
from wmbackup.storage.locks import Locks, shared_folders


@contextlib.contextmanager
def held(place: Inside, subject: str) -> Iterator[None]:
    """Hold a lock as another run would."""
    with Locks(f"{place.state}/locks").hold("store", os.path.realpath(subject), Control()):
        yield


@pytest.fixture
def inside(inside: Inside) -> Inside:
    inside("key", "create")
    inside.store()
    return inside


BACKUP = ("backup", "--store", "store", "-o", "archive.tar", "--no-notice")


def test_a_store_that_another_run_holds_is_busy(inside: Inside) -> None:
    with held(inside, "store"):
        result = inside(*BACKUP)
        again = inside(*BACKUP, "--json")
    assert result.code == 8
    assert result.errors == [f"another run of wmbackup holds the store {inside.path('store')}"]
    assert result.hints == [
        "to wait for it: wmbackup backup --store store -o archive.tar --no-notice --lock-wait 60"
    ]
    assert again.summary["error"] == "busy"
    (error,) = (line for line in again.lines if line["type"] == "error")
    assert error["hresult"] == "NS_E_DRM_BACKUPRESTORE_BUSY"
    assert "archive.tar" not in inside.tree()


def test_a_destination_that_another_run_holds_is_busy(inside: Inside) -> None:
    with held(inside, "archive.tar"):
        result = inside(*BACKUP)
    assert result.code == 8
    assert "the destination" in result.errors[0]
    assert inside(*BACKUP).code == 0


def test_a_target_that_another_run_holds_is_busy(inside: Inside) -> None:
    inside(*BACKUP)
    with held(inside, "target"):
        result = inside("restore", "archive.tar", "--to", "target", "--yes", "--quiet")
    assert result.code == 8
    assert not os.path.exists(inside.path("target"))


def test_another_store_and_destination_are_not_held_up(inside: Inside) -> None:
    inside.write("other/a", b"x")
    with held(inside, "other"):
        assert inside(*BACKUP).code == 0


def test_lock_wait_waits_as_long_as_it_is_told(inside: Inside) -> None:
    begin = time.monotonic()
    with held(inside, "store"):
        assert inside(*BACKUP, "--lock-wait", "0.4").code == 8
    assert time.monotonic() - begin >= 0.4


def test_lock_wait_goes_on_when_the_other_run_has_ended(inside: Inside) -> None:
    lock = held(inside, "store")
    lock.__enter__()
    thread = threading.Timer(0.3, lock.__exit__, (None, None, None))
    thread.start()
    try:
        assert inside(*BACKUP, "--lock-wait", "30").code == 0
    finally:
        thread.join()


def test_a_lock_goes_with_the_process_that_held_it(program: Process) -> None:
    program("key", "create")
    program.store()
    arguments = ("restore", "-", "--to", "store", "--yes", "--no-notice", "-v")
    backup = ("backup", "--store", "store", "-o", "archive.tar", "--quiet")
    with program.started(*arguments) as process:  # it waits for its standard input
        assert process.stderr is not None
        for line in process.stderr:
            if b"authenticating" in line:
                break
        assert program(*backup).code == 8
        process.kill()
        process.wait()
    assert program(*backup).code == 0


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if os.name != "posix":
        pytest.skip("Windows keeps temporary files of each user apart")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    return tmp_path


def _own() -> list[str]:
    return [os.path.basename(os.path.dirname(folder)) for folder in shared_folders()]


def test_folders_that_others_took_neither_hold_up_nor_are_used(temporary: Path) -> None:
    base = f"wmbackup-{os.getuid()}"
    assert _own() == [base]
    os.rmdir(temporary / base)
    (temporary / base).symlink_to("/etc")
    (temporary / f"{base}-file").write_bytes(b"")
    os.mkdir(temporary / f"{base}-open")
    os.chmod(temporary / f"{base}-open", 0o777)  # noqa: S103 - others put there what they like
    for number in range(200):  # however many names are taken
        (temporary / f"{base}-{number}").symlink_to("nowhere")
    (made,) = _own()
    assert made.startswith(f"{base}-")
    assert stat.S_IMODE(os.stat(temporary / made).st_mode) == 0o700
    assert _own() == [made]
    # Where the name is free again, the folder that is there stays the one.
    (temporary / base).unlink()
    assert _own() == [made]


def test_runs_that_have_each_made_a_folder_see_each_other(temporary: Path) -> None:
    base = f"wmbackup-{os.getuid()}"
    for name in (base, f"{base}-x"):
        os.mkdir(temporary / name, 0o700)
    one, other = str(temporary / base / "locks"), str(temporary / f"{base}-x" / "locks")
    for first in (one, other):  # whichever of them was there alone when the first run began
        with Locks(first).hold("store", "/a", Control()):
            with pytest.raises(Busy), Locks(shared_folders).hold("store", "/a", Control()):
                pass
            with Locks(shared_folders).hold("store", "/b", Control()):
                pass
    assert not os.listdir(one)
    assert not os.listdir(other)


def test_a_folder_that_appears_while_the_lock_is_taken_is_locked_as_well(temporary: Path) -> None:
    base = f"wmbackup-{os.getuid()}"
    seen: list[list[str]] = []

    def folders() -> list[str]:
        seen.append(shared_folders())
        if len(seen) == 1:
            os.mkdir(temporary / f"{base}-x", 0o700)
        return seen[-1]

    with (
        Locks(folders).hold("store", "/a", Control()),
        pytest.raises(Busy),
        Locks(f"{temporary}/{base}-x/locks").hold("store", "/a", Control()),
    ):
        pass
    assert len(seen) == 3


@pytest.mark.skipif(not IS_ROOT, reason="only root can be in the home of another user")
def test_locks_are_not_kept_in_the_home_of_another_user(program: Process) -> None:
    """As where sudo keeps HOME: the user's own runs could not write to what root had made."""
    program("key", "create")
    program.store()
    folder = f"{program.state}/locks"
    os.makedirs(folder, exist_ok=True)
    os.chown(folder, 1234, 1234)
    done = program("backup", "--store", "store", "-o", "a.tar", "--no-notice")
    assert done.code == 0, done
    assert os.listdir(f"{program.tmp}/wmbackup-0/locks") == []
    assert os.listdir(folder) == []
    shutil.rmtree(f"{program.tmp}/wmbackup-0")

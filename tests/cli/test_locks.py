from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Inside, Process
from wmbackup.errors import SystemFailure
from wmbackup.locks import Locks, shared_folder
from wmbackup.status import Control


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
    assert result.hints == ["wait for it to end, or add --lock-wait SECONDS"]
    assert again.summary["error"] == "busy"
    assert again.lines[-2]["hresult"] == "NS_E_DRM_BACKUPRESTORE_BUSY"
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


def test_a_folder_that_somebody_else_took_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    base = tmp_path / f"wmbackup-{os.getuid()}"
    base.symlink_to("/etc")
    Path(f"{base}-2").write_bytes(b"")
    os.mkdir(f"{base}-3")
    os.chmod(f"{base}-3", 0o777)  # noqa: S103 - as one would be in which others put what they like
    assert shared_folder() == f"{base}-4"
    assert shared_folder() == f"{base}-4"
    assert os.stat(f"{base}-4").st_mode & 0o777 == 0o700


def test_where_all_names_are_taken_the_next_step_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    for name in ("", *(f"-{number}" for number in range(2, 100))):
        Path(f"{tmp_path}/wmbackup-{os.getuid()}{name}").write_bytes(b"")
    with pytest.raises(SystemFailure, match="others have taken") as caught:
        shared_folder()
    assert "XDG_STATE_HOME" in str(caught.value.hint)

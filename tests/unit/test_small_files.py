from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from wmbackup.cli.render.next_steps import hide, of_exposed, without_modes
from wmbackup.errors import SetupUnusable, SystemFailure
from wmbackup.storage.private_files import keeps_modes
from wmbackup.trust import small_files
from wmbackup.trust.small_files import Exposed, check_writers, read

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="access lists say it there")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file that everybody can write."""
    file = tmp_path / "allowed_signers"
    file.touch()
    file.chmod(0o666)
    return str(file)


def answer(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have every look at the file system fail."""

    def fail(_folder: str) -> bool:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(small_files, "keeps_modes", fail)


def test_writers_of_what_is_no_file_are_not_looked_at(tmp_path: Path) -> None:
    """The null device, which everybody can write, is an empty file; all else is refused."""
    assert check_writers(os.devnull) is None
    found = read(os.devnull)
    assert found is not None
    assert found.data == b""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o666)
    pipe.chmod(0o666)
    assert check_writers(str(pipe)) is None
    with pytest.raises(SetupUnusable, match="it is not a regular file"):
        read(str(pipe))


def test_in_a_sticky_folder_nobody_replaces_the_file_of_another(path: str) -> None:
    folder = Path(path).parent
    os.chmod(path, 0o600)
    folder.chmod(0o1777)
    assert check_writers(path) is None
    folder.chmod(0o777)
    with pytest.raises(SetupUnusable, match="every user can write"):
        check_writers(path)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_trouble_of_the_machine_says_nothing_about_modes(
    path: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    answer(monkeypatch, number)
    with pytest.raises(SystemFailure) as caught:
        check_writers(path)
    assert os.path.dirname(path) in str(caught.value)
    assert os.strerror(number).lower() in str(caught.value)
    assert caught.value.exit_code == 1
    assert hide(path).startswith("chmod 600 ")  # which comes with an error of its own


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_in_which_nobody_may_write_is_taken_at_its_word(
    path: str, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    answer(monkeypatch, number)
    with pytest.raises(SetupUnusable, match="every user can write"):
        check_writers(path)


def test_a_file_system_without_modes_is_named_and_stops_nothing(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(small_files, "keeps_modes", lambda _folder: False)
    found = check_writers(path)
    assert found is not None
    assert found == Exposed(path, path, has_modes=False)
    assert of_exposed(found) == hide(path) == without_modes(path)


def test_looking_for_modes_leaves_nothing_and_removes_what_a_killed_run_left(
    tmp_path: Path,
) -> None:
    (tmp_path / ".wmbackup-0123.part").touch()
    assert keeps_modes(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_file_that_every_user_can_write_is_refused_whatever_else_its_mode_has(path: str) -> None:
    Path(path).parent.chmod(0o700)
    for mode in (0o666, 0o667, 0o777, 0o1666):
        os.chmod(path, mode)
        with pytest.raises(SetupUnusable, match="every user can write"):
            check_writers(path)

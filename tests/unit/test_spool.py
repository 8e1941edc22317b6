from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import pytest

from wmbackup.storage import remains, spool_file
from wmbackup.storage.spool import spool_in
from wmbackup.storage.spool_file import nameless_file

LARGE = bytes(range(256)) * 5000
"""More than is kept in memory."""


def refuse(_folder: str) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.fixture(params=["without", "with"])
def folder(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a file can be made without a name, and one in which it needs one first."""
    if request.param == "with" and sys.platform == "linux":
        monkeypatch.setattr(spool_file, "_without_name", refuse)
    return tmp_path


def test_a_spool_is_a_file_that_moves_to_the_folder_when_it_grows(folder: Path) -> None:
    plain = io.BytesIO()
    with spool_in(str(folder))() as file:
        for at, data in ((0, b"begin"), (3, LARGE), (7, b"within"), (len(LARGE), LARGE)):
            for one in (file, plain):
                one.seek(at)
                one.write(data)
            assert file.tell() == plain.tell()
        file.seek(0)
        assert file.read() == plain.getvalue()
        assert os.fstat(file.fileno()).st_size == len(plain.getvalue())
        if os.name == "posix":
            assert os.listdir(folder) == []
            assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    assert os.listdir(folder) == []


@pytest.mark.skipif(sys.platform == "win32", reason="an open file has a name there")
def test_a_name_that_stays_is_noted_and_goes_with_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "linux":
        monkeypatch.setattr(spool_file, "_without_name", refuse)

    def fail(_path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        noted: list[str] = []
        patched.setattr(remains, "note", lambda path, _error: noted.append(path))
        patched.setattr(os, "unlink", fail)
        file = spool_in(str(tmp_path))()
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            file.write(LARGE)
        assert file.tell() == len(LARGE)  # it is still whole, in memory
        file.close()
        assert noted == [str(path) for path in tmp_path.iterdir()] != []
    with nameless_file(str(tmp_path)):
        assert os.listdir(tmp_path) == []

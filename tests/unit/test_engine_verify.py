from __future__ import annotations

import contextlib
import io
import os
import shlex
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from tests.folders import POLICY, Log, back_up, fill
from wmbackup.cli.render.next_steps import of_error
from wmbackup.engine import (
    SealedArchive,
    Selection,
    VerifySummary,
    open_archive,
    restore,
    verify,
)
from wmbackup.engine._open import NamedStream
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    ArchiveUnavailable,
    Cancelled,
    NotAnArchive,
    NotFound,
    SignerUntrusted,
    SystemFailure,
    UsageError,
)
from wmbackup.status import Control
from wmbackup.stores.folder import FolderStore
from wmbackup.trust import Policy

FILES = {b"a": b"1", b"sub/b": b"22", b"large": bytes(3_000_000)}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive of a few files."""
    back_up(fill(tmp_path / "store", FILES), tmp_path / "a.tar")
    return tmp_path / "a.tar"


def check(archive: str | BinaryIO, log: Log | None = None, *, quick: bool = False) -> VerifySummary:
    with open_archive(archive) as source:
        return verify(source, POLICY, log.control() if log else None, quick=quick)


def test_every_byte_is_proven(archive: Path) -> None:
    log = Log()
    summary = check(str(archive), log)
    assert summary.principals == ("wmbackup@host",)
    assert summary.info.files == 3
    assert not summary.quick
    assert log.phases() == ["authenticating", "verifying"]
    assert log.items() == [b"data/a", b"data/large", b"data/sub/b"]


def test_quick_reads_no_payload(archive: Path) -> None:
    data = bytearray(archive.read_bytes())
    data[-1_000_000] ^= 1
    archive.write_bytes(data)
    log = Log()
    assert check(str(archive), log, quick=True).quick
    assert log.phases() == ["authenticating"]
    with pytest.raises(ArchiveDamaged, match=r"a\.tar: data/large is not what was signed"):
        check(str(archive))


@pytest.mark.parametrize("quick", [False, True])
def test_a_cut_archive_is_found_at_once(archive: Path, *, quick: bool) -> None:
    os.truncate(archive, archive.stat().st_size - 512)
    with pytest.raises(ArchiveTruncated, match="lacks its last 512 of"):
        check(str(archive), quick=quick)


def test_a_stranger_is_not_believed(archive: Path) -> None:
    with open_archive(str(archive)) as source, pytest.raises(SignerUntrusted):
        verify(source, Policy())


def test_verifying_stops_after_any_event(archive: Path) -> None:
    log = Log()
    check(str(archive), log)
    for after in range(1, len(log.events)):
        one = Log(after)
        with pytest.raises(Cancelled), open_archive(str(archive)) as source:
            verify(source, POLICY, one.control())
        assert len(one.events) <= after + 1, "it stopped at once"


def test_an_archive_may_begin_in_the_middle_of_a_file(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "shifted").write_bytes(b"before" + archive.read_bytes())
    with open(tmp_path / "shifted", "rb") as stream:
        stream.seek(6)
        assert check(stream).info.files == 3


def test_a_stream_without_a_descriptor_is_read_like_a_pipe(archive: Path) -> None:
    with open_archive(io.BytesIO(archive.read_bytes())) as source:
        assert source.length is None
        assert source.path is None
        assert verify(source, POLICY, Control()).info.files == 3


def test_what_is_no_archive_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("some text that is long enough to be looked at")
    for name in ("empty", "text"):
        with pytest.raises(NotAnArchive, match=name):
            check(f"{tmp_path}/{name}")
    with pytest.raises(NotFound, match="there is no file"):
        check(f"{tmp_path}/missing")
    with pytest.raises(UsageError, match="is a folder"):
        check(str(tmp_path))
    with pytest.raises(NotFound):
        check(f"{tmp_path}/text/below")


def test_a_selection_whose_seek_fails_names_the_archive(archive: Path, tmp_path: Path) -> None:
    class Broken(io.FileIO):
        def seek(self, _offset: int, _whence: int = 0, /) -> int:
            raise OSError(29, "Illegal seek")

    with Broken(archive) as stream, pytest.raises(SystemFailure, match="cannot read the archive"):
        restore(
            SealedArchive(
                NamedStream(cast("BinaryIO", stream), "the archive"), length=archive.stat().st_size
            ),
            FolderStore(f"{tmp_path}/target"),
            POLICY,
            selection=Selection(paths=(b"a",)),
        )


def test_a_folder_is_one_though_the_system_calls_it_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(UsageError, match="is a folder"):
        check(str(tmp_path))


@pytest.mark.parametrize("by", ["name", "link"])
def test_a_named_pipe_in_the_place_of_an_archive_is_named_and_not_waited_for(
    tmp_path: Path, by: str
) -> None:
    path = tmp_path / "a pipe"
    os.mkfifo(path)
    if by == "link":
        path = tmp_path / "link"
        path.symlink_to("a pipe")
    with pytest.raises(ArchiveUnavailable) as caught:
        check(str(path))
    assert str(caught.value) == f"{path} is a named pipe, and is not waited for"
    assert str(of_error(caught.value)).endswith(f"wmbackup verify - < {shlex.quote(str(path))}")


@pytest.mark.parametrize("path", ["/dev/fd/{0}", "link", "/dev/stdin"])
@pytest.mark.parametrize("named", [False, True])
def test_a_pipe_that_is_open_already_is_read_as_it_comes(
    archive: Path, tmp_path: Path, path: str, *, named: bool
) -> None:
    if named:
        os.mkfifo(tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(tmp_path / "pipe", os.O_WRONLY)
        os.set_blocking(reader, True)
    else:
        reader, writer = os.pipe()
    if path == "link":
        path = str(tmp_path / "link")
        os.symlink(f"/dev/fd/{reader}", path)
    stdin = os.dup(0)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError), os.fdopen(writer, "wb") as file:
            file.write(archive.read_bytes())
        os._exit(0)
    os.close(writer)
    try:
        if path == "/dev/stdin":
            os.dup2(reader, 0)
        assert check(path.format(reader)).info.files == 3
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(reader)
        os.waitpid(child, 0)


def test_a_full_place_for_temporary_files_is_said(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("wmbackup.engine._open.spool_in", lambda _folder: full)
    with pytest.raises(SystemFailure, match=r"cannot write temporary files in .*: no space left"):
        check(str(archive))

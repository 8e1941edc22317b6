from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator

import pytest

from tests.cli.program import Process

MEBIBYTE = 1024 * 1024
QUIET = ("--no-notice",)


@contextlib.contextmanager
def small_disk(path: str, options: str = "size=1m") -> Iterator[str]:
    """Mount a small disk, or skip the test where that is not allowed."""
    os.makedirs(path)
    mount = ["mount", "-t", "tmpfs", "-o", options, "wmbackup-tests", path]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounts a small disk")
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.fixture
def program(program: Process) -> Process:
    program("key", "create")
    program.write("store/large", os.urandom(3 * MEBIBYTE))
    return program


def test_a_full_destination_keeps_the_old_archive(program: Process) -> None:
    with small_disk(program.path("disk")) as disk:
        program.write("disk/old.tar", b"old")
        for name in ("old.tar", "new.tar"):
            result = program(
                "backup", "--store", "store", "-o", f"{disk}/{name}", "--force", *QUIET
            )
            assert result.code == 1
            assert result.errors == [f"cannot write {disk}/{name}: no space left on device"]
            assert result.hints == ["free some space there, or choose another place"]
        assert os.listdir(disk) == ["old.tar"]
        assert program.read("disk/old.tar") == b"old"


def test_a_full_spool_is_named(program: Process) -> None:
    with small_disk(program.path("disk")) as disk:
        result = program("backup", "--store", "store", "-o", "-", *QUIET, env={"TMPDIR": disk})
        assert result.code == 1
        assert result.raw == b""
        assert result.errors == [f"cannot write temporary files in {disk}: no space left on device"]
        assert result.hints == ["free some space there, or set TMPDIR to another folder"]
        assert os.listdir(disk) == []


def test_a_full_spool_of_a_salvage_is_named(program: Process) -> None:
    program("backup", "--store", "store", "-o", "a.tar", *QUIET)
    with small_disk(program.path("disk")) as disk:
        result = program.shell(
            f"cat a.tar | TMPDIR={disk} wmbackup restore - --to out --yes --quiet --salvage"
        )
        assert result.code == 1
        assert result.errors == [f"cannot write temporary files in {disk}: no space left on device"]
        assert os.listdir(disk) == []
    assert "out/" not in program.tree()


def test_a_restore_test_without_room_says_where_it_wants_some(program: Process) -> None:
    program("backup", "--store", "store", "-o", "a.tar", *QUIET)
    with small_disk(program.path("disk")) as disk:
        result = program("verify", "a.tar", "--restore-test", "--json", env={"TMPDIR": disk})
        assert result.code == 1
        (told,) = (line for line in result.lines if line["type"] == "error")
        assert told["hint"].endswith("set TMPDIR to a folder that has it")
        assert result.summary["result"]["archives"][0]["ok"] is False
        assert os.listdir(disk) == []


def test_a_pipe_that_does_not_wait_is_named(program: Process) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def inherit() -> None:
        os.dup2(writing, 1)

    result = program("backup", "--store", "store", "-o", "-", *QUIET, before=inherit)
    for descriptor in (reading, writing):
        os.close(descriptor)
    assert result.code == 1
    message = "cannot write to the output stream: resource temporarily unavailable"
    assert result.errors == [message]


def test_a_full_target_gets_nothing(program: Process) -> None:
    program("backup", "--store", "store", "-o", "a.tar", *QUIET)
    with small_disk(program.path("disk")) as disk:
        program.write("disk/own", b"mine")
        for target in (disk, f"{disk}/new"):
            result = program("restore", "a.tar", "--to", target, "--yes", "--quiet")
            assert result.code == 1
            assert result.errors == [f"cannot restore into {target}: no space left on device"]
            assert os.listdir(disk) == ["own"]


def test_a_read_only_disk_is_named(program: Process) -> None:
    program("backup", "--store", "store", "-o", "a.tar", *QUIET)
    with small_disk(program.path("disk"), "size=1m,ro") as disk:
        backup = program("backup", "--store", "store", "-o", f"{disk}/b.tar", *QUIET)
        assert backup.code == 1
        assert backup.errors == [f"cannot write {disk}/b.tar: read-only file system"]
        assert backup.hints == ["choose a place that can be written"]
        restore = program("restore", "a.tar", "--to", disk, "--yes", "--quiet")
        assert restore.code == 1
        assert restore.errors == [f"cannot restore into {disk}: read-only file system"]


def test_a_limit_on_the_size_of_files_is_heeded(program: Process) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, MEBIBYTE))

    result = program("backup", "--store", "store", "-o", "a.tar", *QUIET, before=limit)
    assert result.code == 1
    assert result.errors == [f"cannot write {program.path('a.tar')}: file too large"]
    assert "a.tar" not in program.tree()


def test_little_space_is_a_remark_of_check(program: Process) -> None:
    with small_disk(program.path("disk")) as disk:
        result = program("check", *QUIET, env={"TMPDIR": disk})
        assert "warning space:         1.0 MiB free" in result.out

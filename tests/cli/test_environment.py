from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.cli.program import IS_ROOT, POWERLESS, STRANGER, Process

needs_root = pytest.mark.skipif(not IS_ROOT, reason="becomes another user")
powers = POWERLESS if IS_ROOT else ()
BACKUP = ("backup", "--store", "sample", "--accept-restricted", "--no-notice")


@pytest.fixture
def program(program: Process) -> Process:
    program("key", "create")
    return program


def key_of(program: Process) -> tuple[str, str]:
    """Return copies of the signing key and of whom it trusts, in the current folder."""
    for name in ("signing_key", "allowed_signers"):
        shutil.copy(f"{program.config}/{name}", program.path(name))
    return program.path("signing_key"), program.path("allowed_signers")


@needs_root
def test_without_any_home_the_options_are_named(program: Process) -> None:
    key, signers = key_of(program)

    def run(*arguments: str) -> tuple[int, list[str]]:
        result = program(*arguments, env={"HOME": None}, powers=STRANGER)
        return result.code, result.hints

    assert run(*BACKUP, "-o", "a.tar") == (2, ["name one with --signing-key, or set HOME"])
    assert run(*BACKUP, "-o", "a.tar", "--signing-key", key)[0] == 0
    assert run("verify", "a.tar") == (2, ["name a file with --allowed-signers, or set HOME"])
    believing = ("--allowed-signers", signers)
    assert run("verify", "a.tar", *believing)[0] == 0
    assert run("list", "a.tar", *believing)[0] == 0
    assert run("restore", "a.tar", "--to", "b", "--yes", "--quiet", *believing)[0] == 0
    assert run("key", "create")[0] == 2
    assert run("check", "--no-notice")[0] == 2
    assert run("explain", "7")[0] == 0
    assert "READ ME.txt" in os.listdir(program.path("b"))
    locks = f"{program.tmp}/wmbackup-54321"
    assert os.stat(locks).st_mode & 0o022 == 0
    shutil.rmtree(locks)


def test_an_empty_path_is_no_hindrance(program: Process) -> None:
    # The interpreter is found by its own path.
    assert program(*BACKUP, "-o", "a.tar", env={"PATH": ""}).code == 0
    assert program("verify", "a.tar", env={"PATH": None}).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder")
def test_a_current_folder_that_is_gone_is_no_hindrance(program: Process) -> None:
    target = program.path("a.tar")
    gone = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    arguments = f"sh wmbackup {' '.join(BACKUP)} -o"
    done = program.shell(f"sh -c '{gone}' {arguments} {target}")
    assert (done.code, done.out.startswith("backed up 12 files")) == (0, True), done
    failed = program.shell(f"sh -c '{gone}' {arguments} a.tar")
    assert (failed.code, failed.errors) == (7, ["the current folder is gone"])
    assert failed.hints == ["change to another one"]
    assert program.shell(f"sh -c '{gone}' sh wmbackup verify {target}").code == 0


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1", "nonsense"])
def test_any_locale_does(program: Process, locale: str) -> None:
    program.write("store/Größe", b"x")
    program.write(os.fsdecode(b"store/\xff\xfe"), b"x")
    for encoding in (None, "ascii", "latin-1"):
        env = {"LC_ALL": locale, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        backup = program(
            *("backup", "--store", "store", "-o", "a.tar", "--force", "--no-notice"), env=env
        )
        assert backup.code == 0, backup
        listed = program("list", "a.tar", env=env)
        assert listed.code == 0
        assert "\\xff\\xfe" in listed.out
        assert program("verify", "a.tar", "--against", "store", env=env).code == 0
    names = {line.get("path") for line in program("list", "a.tar", "--json").lines}
    assert "Größe" in names


def test_standard_input_that_is_closed_asks_nothing(program: Process) -> None:
    program(*BACKUP, "-o", "a.tar")
    result = program.shell("wmbackup restore a.tar --to b --no-notice <&-")
    assert (result.code, "wmbackup restore a.tar --to b --no-notice --yes" in result.err) == (
        2,
        True,
    )


def test_what_may_not_be_read_is_named(program: Process) -> None:
    store = program.store()
    os.chmod(program.path("store/a.lic"), 0o000)

    def run() -> tuple[int, str]:
        result = program(
            "backup", "--store", store, "-o", "a.tar", "--force", "--no-notice", powers=powers
        )
        return result.code, result.err

    code, err = run()
    assert code == 3
    assert err == "wmbackup: skipped: a.lic: it cannot be read: permission denied\n"
    program.write("store/locked/x")
    os.chmod(program.path("store/locked"), 0o000)
    assert "skipped: locked: cannot be listed: permission denied" in run()[1]
    for mode in (0o000, 0o100):
        os.chmod(store, mode)
        code, err = run()
        assert code == 7
        assert err == (
            f"wmbackup: error: cannot read the folder {store}: permission denied\n"
            "hint: check its permissions, or run as a user who may read it\n"
        )
    for path in (store, program.path("store/locked")):
        os.chmod(path, 0o700)


def test_a_key_or_an_archive_that_may_not_be_read_is_named(program: Process) -> None:
    program(*BACKUP, "-o", "a.tar")
    os.chmod(program.path("a.tar"), 0o000)
    verify = program("verify", "a.tar", powers=powers)
    assert verify.code == 7
    assert verify.errors == ["cannot read a.tar: permission denied"]
    assert verify.hints == ["check the permissions, or run as a user who may"]
    key, _ = key_of(program)
    os.chmod(key, 0o000)
    backup = program(*BACKUP, "-o", "b.tar", "--signing-key", key, powers=powers)
    assert backup.code == 2
    assert backup.errors == [f"cannot read the signing key {key}: permission denied"]


def test_a_destination_that_may_not_be_written_is_named(program: Process) -> None:
    program(*BACKUP, "-o", "a.tar")
    os.chmod(program.here, 0o500)
    backup = program(*BACKUP, "-o", "b.tar", powers=powers)
    assert backup.code == 1
    assert backup.errors == [f"cannot write {program.path('b.tar')}: permission denied"]
    restore = program("restore", "a.tar", "--to", "new", "--yes", "--quiet", powers=powers)
    assert restore.code == 1
    assert restore.errors == [f"cannot restore into {program.path('new')}: permission denied"]
    os.chmod(program.here, 0o700)
    assert program.tree() == ["a.tar"]


def test_locks_that_cannot_be_made_at_home_are_made_elsewhere(program: Process) -> None:
    program.store()
    os.makedirs(program.state, exist_ok=True)
    os.chmod(program.state, 0o500)
    arguments = ("backup", "--store", "store", "-o", "a.tar", "--no-notice")
    assert program(*arguments, powers=powers).code == 0
    elsewhere = f"{program.tmp}/wmbackup-{os.getuid()}"
    assert os.listdir(f"{elsewhere}/locks") == []
    check = program("check", "--store", "store", "-o", "b.tar", "--no-notice", powers=powers)
    assert "warning locks:" in check.out
    assert check.code == 0
    os.chmod(program.state, 0o700)
    shutil.rmtree(elsewhere)

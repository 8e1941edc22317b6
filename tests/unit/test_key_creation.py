"""Making the signing key is one thing: whatever fails or kills it, the next run completes it."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wmbackup.archive.sshsig import public_line
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import SetupUnusable, SystemFailure, WmbackupError
from wmbackup.storage.locks import Locks
from wmbackup.trust import keys, parse_key_file, read_policy
from wmbackup.trust.keys import Created, KeyExists

CALLS = ("open", "mkdir", "link", "replace", "rename", "unlink", "fsync", "listdir")
KILLED = 137
pytestmark = pytest.mark.skipif(os.name == "nt", reason="it forks")


class Home:
    """A configuration folder that does not exist yet, and the locks beside it."""

    def __init__(self, root: Path) -> None:
        self.config = root / "home" / "config"
        self._locks = Locks(str(root / "state"))

    def create(self) -> Created:
        config = self.config
        return keys.create_trusted(
            f"{config}/signing_key", f"{config}/allowed_signers", "host", f"{config}/revoked",
            self._locks,
        )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@contextmanager
def counted(step: Callable[[str], None]) -> Iterator[None]:
    """Call ``step`` before each call to the system that changes anything."""

    class File(io.BufferedRandom):
        def write(self, data: Any) -> int:
            step("write")
            return super().write(data)

    def fdopen(descriptor: int, mode: str) -> io.BufferedIOBase:
        if mode == "rb":
            return io.BufferedReader(io.FileIO(descriptor))
        assert mode == "w+b"
        return File(io.FileIO(descriptor, "r+"))

    with pytest.MonkeyPatch.context() as patched:
        for name in CALLS:

            def call(*given: Any, _name: str = name, **named: Any) -> Any:
                step(_name)
                return real[_name](*given, **named)

            patched.setattr(os, name, call)
        patched.setattr(os, "fdopen", fdopen)
        yield


real = {name: getattr(os, name) for name in CALLS}


def steps_of(home: Home) -> list[str]:
    seen: list[str] = []
    with counted(seen.append):
        home.create()
    return seen


def attempt(home: Home, number: int, fault: Callable[[], None]) -> WmbackupError | None:
    """Create a key, with a fault at one step; return the error."""
    seen: list[str] = []

    def step(name: str) -> None:
        seen.append(name)
        if len(seen) == number:
            fault()

    with counted(step):
        try:
            home.create()
        except WmbackupError as error:
            return error
    return None


def complete(home: Home) -> None:
    """Run it again, and expect one key that is whole and trusted under its plain name."""
    with contextlib.suppress(KeyExists):  # the run that failed had done everything
        home.create()
    key = keys.load(f"{home.config}/signing_key")
    assert not key.exposed
    assert read_policy(f"{home.config}/allowed_signers").check(key.public) == ("wmbackup@host",)
    line = Path(f"{home.config}/signing_key.pub").read_bytes()
    assert line == f"{public_line(key.public)} wmbackup@host\n".encode()
    assert parse_key_file(line)[1].key == key.public
    assert sorted(os.listdir(home.config)) == ["allowed_signers", "signing_key", "signing_key.pub"]
    with pytest.raises(KeyExists):
        home.create()


def test_a_key_that_is_not_there_is_not_incomplete(tmp_path: Path) -> None:
    assert not keys.is_incomplete(str(tmp_path / "key"))
    (tmp_path / "key").touch()
    assert keys.is_incomplete(str(tmp_path / "key"))
    (tmp_path / "key.pub").touch()
    assert not keys.is_incomplete(str(tmp_path / "key"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EACCES])
def test_key_creation_that_fails_at_any_step_is_completed_by_the_next_run(
    tmp_path: Path, number: int
) -> None:
    steps = steps_of(Home(tmp_path / "counted"))
    assert {"open", "mkdir", "link", "replace", "fsync", "write"} <= set(steps)

    def fault() -> None:
        raise OSError(number, os.strerror(number))

    failed = 0
    for at in range(1, len(steps) + 1):
        home = Home(tmp_path / f"{at}")
        error = attempt(home, at, fault)
        if error is not None:
            failed += 1
            assert isinstance(error, (SystemFailure, SetupUnusable)), (at, steps[at - 1])
            assert str(tmp_path) in error.message
        complete(home)
    assert failed > len(steps) // 2


def test_key_creation_that_is_killed_at_any_step_is_completed_by_the_next_run(
    tmp_path: Path,
) -> None:
    steps = steps_of(Home(tmp_path / "counted"))
    incomplete = 0
    for at in range(1, len(steps) + 1):
        home = Home(tmp_path / f"{at}")
        child = os.fork()
        if not child:
            attempt(home, at, lambda: os._exit(KILLED))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        if os.path.lexists(f"{home.config}/signing_key"):
            keys.load(f"{home.config}/signing_key")
            incomplete += keys.is_incomplete(f"{home.config}/signing_key")
        complete(home)
    assert incomplete > 3


def test_key_creation_changes_nothing_where_the_trust_file_cannot_be_read(home: Home) -> None:
    os.makedirs(home.config)
    for name in ("allowed_signers", "revoked"):
        (home.config / name).write_text("nonsense\n")
        with pytest.raises(WmbackupError, match=f"{name}: "):
            home.create()
        assert os.listdir(home.config) == [name]
        (home.config / name).unlink()


def test_key_creation_with_a_key_that_is_revoked_names_the_way_to_another(home: Home) -> None:
    made = home.create()
    (home.config / "allowed_signers").unlink()
    (home.config / "revoked").write_text(public_line(made.key.public) + "\n")
    with pytest.raises(WmbackupError, match="is revoked") as caught:
        home.create()
    path = f"{home.config}/signing_key"
    assert of_error(caught.value) == (
        f"make another one: mv {path} {path}.old && wmbackup key create"
    )
    os.rename(path, f"{path}.old")
    assert home.create().principal == "wmbackup@host"


def test_key_creation_with_a_key_that_is_none_names_the_way_to_another(home: Home) -> None:
    home.create()
    path = f"{home.config}/signing_key"
    Path(path).write_bytes(b"")
    with pytest.raises(WmbackupError, match="is not an OpenSSH private key") as caught:
        home.create()
    assert f"mv {path} {path}.old && wmbackup key create" in str(of_error(caught.value))
    os.rename(path, f"{path}.old")
    assert home.create().principal == "wmbackup@host-2"

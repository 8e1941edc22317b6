"""What is on the disk before what, as SECURITY.md lists it: the order is traced and compared."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.archives import private, public
from tests.folders import KEY, POLICY, fill
from wmbackup.cli.paths import _secret
from wmbackup.engine import History, OnConflict, backup, countersign, open_archive, restore
from wmbackup.history.ledger import Ledger
from wmbackup.status import Control
from wmbackup.storage import files
from wmbackup.storage.locks import Locks
from wmbackup.stores import journal, staging
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.importing import begin_import
from wmbackup.trust import Signer, keys, rotation, trust_files

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="descriptors are named through /proc"
)

PAGE = Path(__file__).parents[2] / "SECURITY.md"
ROLES = (
    (re.compile(r"\.wmbackup-[0-9a-f]+\.part$"), "PART"),
    (re.compile(r"\.wmbackup-restore-[0-9a-f]+/files/\d+$"), "STAGED"),
    (re.compile(r"\.wmbackup-restore-[0-9a-f]+/old/\d+$"), "OLD"),
    (re.compile(r"\.wmbackup-restore-[0-9a-f]+/(journal|journal\.new)$"), "JOURNAL"),
    (re.compile(r"\.wmbackup-restore-[0-9a-f]+/made$"), "MADE"),
    (re.compile(r"\.wmbackup-restore-[0-9a-f]+$"), "STAGING"),
)
IGNORED = re.compile(r"\.lock$|/lock$|/files$|/old$")


class Trace:
    """The calls that change or sync names, each once in a row, by the roles of what they name."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names
        self.calls: list[str] = []

    def note(self, what: str, *paths: str) -> None:
        if any(IGNORED.search(path) for path in paths):
            return
        line = " ".join((what, *map(self._role, paths)))
        if not self.calls or self.calls[-1] != line:
            self.calls.append(line)

    def _role(self, path: str) -> str:
        for pattern, role in ROLES:
            if match := pattern.search(path):
                return "JOURNAL.NEW" if match[0].endswith(".new") else role
        return self._names.get(os.path.basename(path), "FOLDER")


def _full(path: str | bytes, descriptor: int | None) -> str:
    name = os.fsdecode(path)
    if descriptor is not None:
        name = os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), name)
    return name


@contextlib.contextmanager
def traced(monkeypatch: pytest.MonkeyPatch, **names: str) -> Iterator[Trace]:
    """Trace what happens inside; ``names`` give roles to base names."""
    trace = Trace({name: role for role, name in names.items()})
    real = {name: getattr(os, name) for name in ("fsync", "link", "unlink", "mkdir", "rmdir")}
    rename, replace = os.rename, os.replace

    def one(name: str) -> Callable[..., None]:
        def call(path: str | bytes, *more: int, dir_fd: int | None = None) -> None:
            full = _full(path, dir_fd)
            at = {} if dir_fd is None else {"dir_fd": dir_fd}
            real[name](path, *more, **at)
            trace.note(name, full)

        return call

    def two(name: str, call: Callable[..., None]) -> Callable[..., None]:
        def wrapped(old: str | bytes, new: str | bytes, **more: int) -> None:
            paths = _full(old, more.get("src_dir_fd")), _full(new, more.get("dst_dir_fd"))
            call(old, new, **more)
            trace.note(name, *paths)

        return wrapped

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        trace.note("sync", os.readlink(f"/proc/self/fd/{descriptor}"))

    def sync_everything(_descriptor: int) -> None:
        trace.calls.append("sync everything")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        patched.setattr(os, "link", two("link", real["link"]))
        patched.setattr(os, "rename", two("rename", rename))
        patched.setattr(os, "replace", two("rename", replace))
        for name in ("unlink", "mkdir", "rmdir"):
            patched.setattr(os, name, one(name))
        patched.setattr(
            os, "supports_dir_fd", {*os.supports_dir_fd, os.link, os.rename, os.unlink, os.mkdir}
        )
        patched.setattr(staging, "sync_everything", sync_everything)
        patched.setattr(files, "sync_everything", sync_everything)
        yield trace


def listed(title: str) -> list[str]:
    """Return the calls that SECURITY.md lists for a commit."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(title)}\n((?:    .+\n)+)", text, re.MULTILINE)
    assert found is not None, f"SECURITY.md lists no commit {title!r}"
    return [line.partition("#")[0].strip() for line in found[1].splitlines()]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fill(tmp_path / "store", {b"a": b"new", b"b/c": b"new"})


@pytest.fixture
def archive(tmp_path: Path, store: Path) -> str:
    backup(FolderStore(str(store)), f"{tmp_path}/archive.tar", KEY)
    return f"{tmp_path}/archive.tar"


def bring(archive: str, target: Path) -> None:
    with open_archive(archive) as source:
        restore(source, FolderStore(str(target)), POLICY, on_conflict=OnConflict.REPLACE)


@pytest.mark.parametrize("title", ["A new archive", "An archive that replaces another"])
def test_backup(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    replaces = title != "A new archive"
    if replaces:
        (tmp_path / "out.tar").write_bytes(b"")
    with traced(monkeypatch, ARCHIVE="out.tar") as trace:
        backup(FolderStore(str(store)), f"{tmp_path}/out.tar", KEY, replace_output=replaces)
    assert trace.calls == listed(title)


def test_restore_into_a_new_folder(
    tmp_path: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with traced(monkeypatch, TARGET="target", INSIDE="b") as trace:
        bring(archive, tmp_path / "target")
    calls = [call for call in trace.calls if not call.startswith(("mkdir", "rmdir"))]
    assert calls == listed("A restore into a new folder")


def test_restore_into_an_existing_folder(
    tmp_path: Path, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fill(tmp_path / "target", {b"a": b"old"})
    with traced(monkeypatch, FILE="a", NEW="c", INSIDE="b") as trace:
        bring(archive, target)
    calls = [call for call in trace.calls if not call.startswith(("rmdir", "mkdir STAGING"))]
    calls = [call for call in calls if call not in {"unlink STAGED", "unlink OLD"}]
    assert calls == listed("A restore into an existing folder")


def test_undo(tmp_path: Path, archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class CutOffError(Exception):
        pass

    def crash(*_: object) -> None:
        raise CutOffError

    target = fill(tmp_path / "target", {b"a": b"old"})
    with monkeypatch.context() as patched:
        patched.setattr(journal.Journal, "forget", crash)
        patched.setattr(journal.Journal, "undo", crash)
        patched.setattr(staging.Staging, "close", lambda staging: os.close(staging._lock))
        with pytest.raises(CutOffError):
            bring(archive, target)
    with (
        traced(monkeypatch, FILE="a", NEW="c", INSIDE="b") as trace,
        begin_import(str(target), Control(), replace=False),
    ):
        pass
    calls = [call for call in trace.calls if call not in {"unlink STAGED", "unlink OLD"}]
    assert [call for call in calls if call != "rmdir STAGING"] == listed("Undo")
    assert (target / "a").read_bytes() == b"old"


def test_key_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config"
    with traced(
        monkeypatch, KEY="signing_key", PUBLIC="signing_key.pub", TRUST="allowed_signers"
    ) as trace:
        keys.create_trusted(f"{folder}/signing_key", f"{folder}/allowed_signers", "host")
    assert trace.calls == listed("A signing key in a new configuration folder")


def test_key_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "allowed_signers").write_text("# mine\n")
    with traced(monkeypatch, TRUST="allowed_signers") as trace:
        trust_files.trust(f"{tmp_path}/allowed_signers", Signer("wmbackup@a", KEY.public))
    assert trace.calls == listed("A trust file")


def test_the_secret_of_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmbackup.cli.paths.state_folder", lambda: str(tmp_path / "state"))
    with traced(monkeypatch, RESTORE="restore_secret") as trace:
        assert _secret() is not None
    assert trace.calls == listed("The secret of restores in a new state folder")


def test_the_ledger(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written before the archive is published, and once more after."""
    state, archive = tmp_path / "state", tmp_path / "archive.tar"
    (state / "locks").mkdir(parents=True)
    ledger = Ledger(str(state), Locks(str(state / "locks")))
    history = History(ledger, (KEY.public,), POLICY)
    with traced(monkeypatch, LEDGER="ledger.json", ARCHIVE="archive.tar") as trace:
        backup(FolderStore(str(store)), str(archive), KEY, history=history)
    once = listed("The ledger, written with its number before an archive, and around its commit")
    assert [line for line in once if line.endswith("LEDGER")] == ["rename PART LEDGER"]
    new = listed("A new archive")
    # The trace has what repeats once in a row: both PARTs are synced before the second time.
    assert new[0] == once[0] == "sync PART"
    assert trace.calls == [*once, *once, *new[1:], *once]


def test_key_rotate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config"
    keys.create_trusted(f"{folder}/signing_key", f"{folder}/allowed_signers", "host")
    names = {"KEY": "signing_key", "NEXT": "signing_key.next", "TRUST": "allowed_signers"}
    names["PUBLIC"] = "signing_key.pub"
    with traced(monkeypatch, **names) as trace:
        rotation.rotate(f"{folder}/signing_key", f"{folder}/allowed_signers", "host")
    # The old key and its public half get a name with the time, which is no role of its own.
    renames = ("rename KEY FOLDER", "rename PUBLIC FOLDER")
    calls = [f"{c.removesuffix('FOLDER')}KEPT" if c in renames else c for c in trace.calls]
    assert calls == listed("A new signing key in the place of the old one")


def test_key_sign(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = keys.SigningKey("/other", public(2), exposed=False, private=private(2))
    with traced(monkeypatch, ARCHIVE=os.path.basename(archive)) as trace:
        countersign(archive, other, POLICY)
    assert trace.calls == listed("A countersignature")

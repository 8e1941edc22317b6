"""Every example runs, and every piece of code that a reader may copy passes ``mypy --strict``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from zip_store import ZipStore

from wmbackup.errors import Busy, RestoreConflict, StoreUnavailable
from wmbackup.item import Item
from wmbackup.status import Control, Event, SkipEvent
from wmbackup.stores.base import ItemUnavailable
from wmbackup.stores.sample import SampleStore
from wmbackup.testing import contents
from wmbackup.trust import keys

HERE = Path(__file__).parent
TEXTS = {
    name: Path(HERE, name).read_text(encoding="utf-8") for name in ("README.md", "../../README.md")
}
CODE = {
    name: re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for name, text in TEXTS.items()
}
A_TIME = 1_161_993_600_000_000_000


@pytest.fixture(name="home")
def a_folder_with_what_the_examples_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    keys.create_trusted("signing_key", "allowed_signers", "host")
    (tmp_path / "licenses").mkdir()
    (tmp_path / "licenses/a.lic").write_bytes(b"a license")
    return tmp_path


def run(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(HERE)},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_readme_code_backs_up_and_restores(home: Path) -> None:
    (program,) = CODE["../../README.md"]
    assert run("-c", program) == "1 files\n"
    assert (home / "restored/a.lic").read_bytes() == b"a license"


def test_store_readme_code_backs_up_and_restores(home: Path) -> None:
    with zipfile.ZipFile(home / "licenses.zip", "w") as file:
        file.writestr(zipfile.ZipInfo("albums/a.lic", (2006, 10, 28, 1, 2, 4)), b"a license")
    (program,) = CODE["README.md"]
    run("-c", program)
    with zipfile.ZipFile(home / "restored.zip") as file:
        assert [one.filename for one in file.infolist()] == ["albums/a.lic"]
        assert file.infolist()[0].date_time == (2006, 10, 28, 1, 2, 4)
        assert file.read("albums/a.lic") == b"a license"


def test_follow_operation_prints_every_event() -> None:
    lines = run(str(HERE / "follow_operation.py")).splitlines()
    assert "withheld: Low Tide" in lines
    assert lines[-1] == "12 files, 1 license withheld"


def test_restorer_object_ends_with_a_summary(home: Path) -> None:
    lines = run(str(HERE / "restorer_object.py")).splitlines()
    assert any(line.startswith("StatusEvent(status=<Status.BACKUPRESTORE_END") for line in lines)
    assert str(home / "sample.wmbackup.tar") in lines[-1]


def test_all_code_passes_mypy_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that the installed package is meant, not a checkout
    folder = tmp_path / "code"
    folder.mkdir()
    for path in HERE.glob("*.py"):
        if path.name != Path(__file__).name:
            (folder / path.name).write_bytes(path.read_bytes())
    for name, programs in CODE.items():
        assert programs, name
        for program in programs:
            count = len(list(folder.iterdir()))
            (folder / f"code_{count}.py").write_text(program, encoding="utf-8")
    command = ("-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path / "cache"))
    assert run(*command, str(folder)).startswith("Success: no issues found in ")


def test_sample_store_restores_into_a_zip_file(tmp_path: Path) -> None:
    target = ZipStore(str(tmp_path / "restored.zip"))
    expected = contents(SampleStore())
    with target.import_(Control(), replace=False) as import_:
        for path, data in expected.items():
            import_.put(Item(path, len(data), A_TIME), data)
        import_.commit()
    assert contents(target) == expected
    assert {one.kind for one in target.licenses(Control())} >= {"wmdrm-v7", "wmdrm-v1"}
    assert sorted(os.listdir(tmp_path)) == ["restored.zip"]


def _zip(path: Path, files: dict[str, bytes]) -> ZipStore:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return ZipStore(str(path))


@pytest.fixture(name="wmbackup")
def the_program_with_the_store_installed(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    (text,) = re.findall(r"^```toml\n(.*?)^```$", TEXTS["README.md"], re.MULTILINE | re.DOTALL)
    entries = tomllib.loads(text)["project"]["entry-points"]["wmbackup.stores"]
    site = tmp_path / "site"
    info = site / "zip_store-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "zip_store.py").write_bytes((HERE / "zip_store.py").read_bytes())
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zip-store\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[wmbackup.stores]\n{lines}")
    places = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    env = {**os.environ, **dict.fromkeys(places, str(tmp_path)), "PYTHONPATH": str(site)}

    def program(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "wmbackup", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return program


def test_registered_store_works_on_the_command_line(
    tmp_path: Path, wmbackup: Callable[..., tuple[int, str, str]]
) -> None:
    _zip(tmp_path / "licenses.zip", {"a.lic": b"a license", "b/c.lic": b"another"})
    store = ("--store", "zip:licenses.zip")
    archive = "a.wmbackup.tar"
    assert wmbackup("key", "create")[0] == 0
    assert wmbackup("backup", *store, "-o", archive)[0] == 0
    code, listed, _ = wmbackup("list", *store)
    assert (code, [line.split("\t")[0] for line in listed.splitlines()]) == (
        0,
        ["a.lic", "b/c.lic"],
    )
    assert wmbackup("verify", archive, "--against", "zip:licenses.zip")[0] == 0
    assert wmbackup("list", archive, "--against", "zip:licenses.zip")[0] == 0
    assert wmbackup("check", *store, "-o", "b.tar")[0] == 0
    code, _, errors = wmbackup("restore", archive, "--to", "zip:new.zip", "--yes")
    assert code == 0, errors
    assert contents(ZipStore(str(tmp_path / "new.zip"))) == {
        b"a.lic": b"a license",
        b"b/c.lic": b"another",
    }
    (tmp_path / "backups").mkdir()
    code, _, errors = wmbackup("backup", *store, "-o", "backups/")
    assert code == 0, errors
    assert len(list((tmp_path / "backups").iterdir())) == 1


def test_registered_stores_are_offered_where_a_store_is_missing_or_mistyped(
    wmbackup: Callable[..., tuple[int, str, str]],
) -> None:
    code, _, errors = wmbackup("restore", "a.tar")
    assert code == 2
    assert "hint: it takes windows, folder:PATH, zip:..., or a path" in errors
    code, _, errors = wmbackup("backup", "--store", "zpi:licenses.zip", "-o", "a.tar")
    assert code == 2
    assert "did you mean: wmbackup backup --store zip:licenses.zip -o a.tar" in errors


def test_names_that_are_no_paths_are_skipped(tmp_path: Path) -> None:
    store = _zip(tmp_path / "a.zip", {"a.lic": b"1", "../b.lic": b"2", "/c.lic": b"3"})
    with store.export(Control()) as export:
        assert list(export.paths) == [b"a.lic"]
        assert {one.path for one in export.skipped} == {b"../b.lic", b"/c.lic"}


def test_damaged_member_is_unavailable_and_the_others_are_not(tmp_path: Path) -> None:
    store = _zip(tmp_path / "a.zip", {"a.lic": b"x" * 999, "b.lic": b"2"})
    whole = bytearray((tmp_path / "a.zip").read_bytes())
    whole[40] ^= 255  # in the packed bytes of the first member
    (tmp_path / "a.zip").write_bytes(whole)
    with store.export(Control()) as export:
        with pytest.raises(ItemUnavailable):
            export.read(b"a.lic")
        assert export.read(b"b.lic").data == b"2"
    seen: list[Event] = []
    assert list(store.licenses(Control(seen.append))) == []
    assert [type(event) for event in seen] == [SkipEvent]


def test_file_that_is_no_zip_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no ZIP file")
    with pytest.raises(StoreUnavailable), ZipStore(str(tmp_path / "a.zip")).export(Control()):
        pass


def test_second_restore_at_the_same_time_is_busy(tmp_path: Path) -> None:
    store = _zip(tmp_path / "a.zip", {"a.lic": b"1"})
    (tmp_path / "a.zip.new").write_bytes(b"")
    with store.import_(Control(), replace=False) as import_:
        import_.put(Item(b"b.lic", 1, A_TIME), b"2")
        with pytest.raises(Busy):
            import_.commit()
    assert contents(store) == {b"a.lic": b"1"}
    assert (tmp_path / "a.zip.new").exists()


def test_conflict_without_replace_changes_nothing(tmp_path: Path) -> None:
    store = _zip(tmp_path / "a.zip", {"a.lic": b"1"})
    before = (tmp_path / "a.zip").read_bytes()
    with store.import_(Control(), replace=False) as import_:
        import_.put(Item(b"a.lic", 1, A_TIME), b"2")
        with pytest.raises(RestoreConflict):
            import_.commit()
    assert (tmp_path / "a.zip").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.zip"]

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import wmbackup
from wmbackup.errors import ExitCode
from wmbackup.stores.sample import _files
from wmbackup.trust import keys

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(name="home")
def a_folder_with_what_the_examples_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    keys.create_trusted("signing_key", "allowed_signers", "host")
    (tmp_path / "licenses").mkdir()
    (tmp_path / "licenses/a.lic").write_bytes(b"a license")
    return tmp_path


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_engine_example_runs(home: Path) -> None:
    assert run(PROGRAMS[0]).splitlines()[-1] == "1"
    assert (home / "restored/a.lic").read_bytes() == b"a license"


def test_the_listening_example_runs() -> None:
    told = run(PROGRAMS[1]).splitlines()
    assert "stays behind: Low Tide" in told
    assert told[-1] == "12 files, 1 license withheld"


def test_the_restorer_example_runs(home: Path) -> None:
    told = run(PROGRAMS[2]).splitlines()
    assert told[-1] == str(home / "sample.wmbackup.tar")
    assert any(line.startswith("StatusEvent(status=<Status.BACKUPRESTORE_END") for line in told)


def test_the_store_of_ones_own_keeps_the_contract(home: Path) -> None:
    (home / "zipstore.py").write_text(PROGRAMS[3])
    (home / "test_mine.py").write_text(PROGRAMS[4])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_both_manners_take_the_store_of_ones_own(home: Path) -> None:
    (home / "zipstore.py").write_text(PROGRAMS[3])
    with zipfile.ZipFile(home / "licenses.zip", "w") as file:
        for path, (data, _) in _files().items():
            file.writestr(path.decode(), data)
    start = "from zipstore import ZipStore\n"
    engine = PROGRAMS[0].replace('FolderStore("licenses")', 'ZipStore("licenses.zip")')
    assert run(start + engine).splitlines()[-1] == "12"
    restorer = PROGRAMS[2].replace("SampleStore()", 'ZipStore("licenses.zip")')
    assert run(start + restorer).splitlines()[-1] == str(home / "sample.wmbackup.tar")


def test_the_table_of_exit_codes_is_the_enum() -> None:
    table = README.split("<!-- exit codes: begin -->")[1].split("<!-- exit codes: end -->")[0]
    rows = [tuple(line.strip("| ").split(" | ")) for line in table.strip().splitlines()[2:]]
    assert rows == [(str(int(code)), code.meaning) for code in ExitCode]


def test_every_dependency_is_named_with_why() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed is not None
    names = re.findall(r'"([a-z]+)', listed[1])
    assert names
    for name in names:
        assert re.search(rf"^\| {name} \| .{{10,}} \|$", README, re.MULTILINE), name


def test_the_public_names_are_there() -> None:
    for name in wmbackup.__all__:
        assert getattr(wmbackup, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        wmbackup.nothing  # noqa: B018 - asking is the test
    assert importlib.import_module("wmbackup").__version__ == "0.1.0"


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys, wmbackup; print(sorted(m for m in sys.modules if '.' not in m))"
    loaded = run(program)
    for heavy in ("click", "rich", "cryptography", "platformdirs"):
        assert f"'{heavy}'" not in loaded

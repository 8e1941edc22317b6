from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wmbackup
from wmbackup.errors import ExitCode

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


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


def test_first_backup_runs_as_printed(tmp_path: Path) -> None:
    text = README.split("<!-- first backup: begin -->")[1].split("<!-- first backup: end -->")[0]
    commands = re.findall(r"^\$ wmbackup (.+)$", text, re.MULTILINE)
    assert len(commands) == 5
    places = ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
    env = {**os.environ, **dict.fromkeys(places, str(tmp_path))}
    codes = [
        subprocess.run(
            [sys.executable, "-m", "wmbackup", *command.split()],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            check=False,
        ).returncode
        for command in commands
    ]
    assert codes == [0, ExitCode.PARTIAL, 0, 0, 0]
    assert (tmp_path / "restored/harbour/preview.lic").is_file()


def test_readme_is_short_enough_to_read() -> None:
    assert len(README.splitlines()) <= 220


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\]\(([^):#]+)\)", text))
    named |= set(re.findall(r"(?<![\w/-])(?:wmbackup|tests|man|\.ci)/[\w./*-]*[\w*]", text))
    assert named
    for path in named - {"man/text/wmbackup-NAME.mdoc"}:
        assert list(ROOT.glob(path)), path


def test_every_link_within_contributing_has_its_heading() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]
    assert re.findall(r"\]\(#([^)]+)\)", text) == anchors


def test_the_table_of_exit_codes_is_the_enum() -> None:
    table = README.split("<!-- exit codes: begin -->")[1].split("<!-- exit codes: end -->")[0]
    rows = [tuple(line.strip("| ").split(" | ")) for line in table.strip().splitlines()[2:]]
    assert rows == [(str(int(code)), code.meaning) for code in ExitCode]


def test_every_dependency_is_named_with_why() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed is not None
    names = re.findall(r'"([a-z]+)', listed[1])
    assert names
    for name in names:
        assert re.search(rf"^\| {name} \| .{{10,}} \|$", CONTRIBUTING, re.MULTILINE), name


def test_the_public_names_are_there() -> None:
    for name in wmbackup.__all__:
        assert getattr(wmbackup, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        wmbackup.nothing  # noqa: B018 - asking is the test
    assert importlib.import_module("wmbackup").__version__ == "0.1.0"


@pytest.mark.parametrize("name", ["wmbackup", "wmbackup.engine"])
def test_help_shows_every_public_name_with_its_docstring(name: str) -> None:
    program = f"import pydoc, {name}; print(pydoc.plain(pydoc.render_doc({name})))"
    text = run(program)
    module = importlib.import_module(name)
    assert set(module.__all__) <= set(dir(module))
    for public in module.__all__:
        thing = getattr(module, public)
        if callable(thing):
            first = inspect.getdoc(thing).splitlines()[0]  # type: ignore[union-attr] # fails if None
            assert re.search(rf"^    (class )?{public}\b", text, re.MULTILINE), public
            assert first in text, public
    assert "__getattr__" not in text


def test_importing_the_package_loads_nothing_else() -> None:
    program = "import sys, wmbackup; print(sorted(m for m in sys.modules if '.' not in m))"
    loaded = run(program)
    for heavy in ("click", "rich", "cryptography", "platformdirs"):
        assert f"'{heavy}'" not in loaded

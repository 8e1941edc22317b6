from __future__ import annotations

import os
from pathlib import Path

import pytest

from wmbackup.cli.wildcards import expanded


@pytest.fixture(name="folder")
def a_folder_with_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.tar", "a.tar", "a[1].tar", "c.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_on_windows_wildcards_are_files_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    assert expanded(["*.tar"]) == ["a.tar", "a[1].tar", "b.tar"]
    assert expanded(["?.tar", "c.txt", "-"]) == ["a.tar", "b.tar", "c.txt", "-"]
    assert expanded(["a[1].t*"]) == ["a[1].tar"]


@pytest.mark.usefixtures("folder")
def test_what_names_no_file_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    assert expanded(["*.zip", "missing.tar"]) == ["*.zip", "missing.tar"]
    assert expanded([r"\\\\?\\C:\\a.tar"]) == [r"\\\\?\\C:\\a.tar"]


@pytest.mark.skipif(os.name == "nt", reason="the shell does it elsewhere")
@pytest.mark.usefixtures("folder")
def test_elsewhere_the_shell_has_done_it() -> None:
    assert expanded(["*.tar"]) == ["*.tar"]

"""Stores of other packages: found by their entry points, and never in the way of a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wmbackup.cli.paths import is_store, parse_store
from wmbackup.errors import StoreReadOnly, StoreUnavailable, UsageError
from wmbackup.stores.registered import open_registered, schemes

MODULE = """
from wmbackup.errors import StoreReadOnly
from wmbackup.testing import FakeStore

def make(text):
    return FakeStore({b"a": text.encode()}, location=text)

def picky(text):
    raise ValueError("no port")

def refuses(text):
    raise StoreReadOnly("not today")

def nothing(text):
    return object()
"""


@pytest.fixture(name="install")
def packages_beside_wmbackup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    (site / "foreign_stores.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(site))
    return site


def register(site: Path, package: str, *entries: str) -> None:
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[wmbackup.stores]", *entries, ""]))


def test_registered_scheme_is_a_store_with_the_text_behind_the_colon(install: Path) -> None:
    register(install, "one", "fake = foreign_stores:make")
    for text in ("", "x.zip", "//host/a:b", "C:\\x"):
        assert parse_store(f"fake:{text}").location == text
        assert parse_store(f"fake:{text}", option="--to", target=True).location == text
    assert is_store("fake:x.zip")
    assert not is_store("fake")
    assert not is_store("other:x.zip")


def test_everything_else_is_a_path(
    install: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("C", "fake", "Fake", "drm", "folder")
    register(install, "one", *(f"{name} = foreign_stores:make" for name in names))
    monkeypatch.chdir(tmp_path)
    assert parse_store("./fake:x").location == os.path.abspath("./fake:x")
    assert parse_store("C:x").kind == "folder"
    assert parse_store("folder:x").kind == "folder"
    assert parse_store("drm:x").kind == "drm"
    assert open_registered("C:x") is None
    assert open_registered("fakes:x") is None
    assert open_registered("a/fake:x") is None
    assert "C" not in schemes()


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ("foreign_stores:picky", StoreUnavailable, "does not take x: ValueError: no port"),
        ("foreign_stores:refuses", StoreReadOnly, "not today"),
        ("foreign_stores:nothing", StoreUnavailable, "it has no kind, no location"),
        ("foreign_stores:missing", StoreUnavailable, "cannot be loaded: AttributeError"),
        ("no_such_module:make", StoreUnavailable, "cannot be loaded: ModuleNotFoundError"),
    ],
)
def test_store_that_does_not_work_is_named_with_its_package(
    install: Path, entry: str, error: type[Exception], message: str
) -> None:
    register(install, "one", f"fake = {entry}")
    with pytest.raises(error, match=message) as raised:
        parse_store("fake:x")
    if error is StoreUnavailable:
        assert str(raised.value).startswith("the store fake: of the package one ")


def test_two_packages_with_one_scheme_are_both_named(install: Path) -> None:
    register(install, "one", "fake = foreign_stores:make")
    register(install, "two", "fake = foreign_stores:make")
    with pytest.raises(UsageError, match="one and two both register the store fake:"):
        parse_store("fake:x")

"""Patterns of files to leave out mean what they mean to Git."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from tests.folders import fill
from wmbackup.status import Control, Event, LeftOutEvent, WarningEvent
from wmbackup.stores.exclusion import Exclusion
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.layouts import DRM
from wmbackup.stores.sample import SampleStore

NAMES = (
    *("a", "b", "ab", "x.lic", "y.lic", "A", "a b", "!n", "#h", "a]", "-", "\u00e9", "[a]"),
    *("a\\b", "*", "a.b", "a ", "^"),
)
BITS = (
    *("a", "b", "x", "A", "\u00e9", ".lic", "*", "**", "?", "/", "**/", "/**", "\\", "!", "#", " "),
    *("[a-b]", "[!a]", "[^a-]", "[]a]", "[a\\]]", "[[:alpha:]]", "[[:x:]]", "[[:alpha]", "[z-a]"),
    *("[", "]", "-", "\\*", "\\ ", "[a/]", "[--0]"),
)
BY_HAND = (
    ["*.lic"],
    ["/a"],
    ["a/"],
    ["a/b"],
    ["a/**"],
    ["**/b"],
    ["a/**/b"],
    ["a**/b"],
    ["*", "!a"],
    ["*", "!*/", "!*.lic"],
    ["a", "!a/x.lic"],
    ["\\!n", "\\#h"],
    ["a\\ ", "a b "],
    ["!", "/", "", " ", "\\", "#a"],
    ["a\r"],
)


def files(chance: random.Random) -> list[str]:
    found = {
        "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 4))) for _ in range(150)
    }
    return sorted(one for one in found if not any(other.startswith(f"{one}/") for other in found))


@pytest.mark.parametrize("seed", range(3))
def test_patterns_match_what_git_ignores(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same patterns in every run
    paths = files(chance)
    fill(tmp_path, {os.fsencode(path): b"" for path in paths})
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    drawn = [
        ["".join(chance.choices(BITS, k=chance.randint(1, 6))) for _ in range(chance.randint(1, 3))]
        for _ in range(100)
    ]
    matched = 0
    for patterns in [*BY_HAND, *drawn]:
        lines = "".join(f"{pattern}\n" for pattern in patterns)
        (tmp_path / ".gitignore").write_text(lines, "utf-8", newline="")
        check = ("check-ignore", "--no-index", "-z", "--stdin")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "core.ignorecase=false", *check],
            input="".join(f"{path}\0" for path in paths).encode(),
            stdout=subprocess.PIPE,
            check=False,
        )
        exclusion = Exclusion(patterns, ignores_case=False)
        ours = [path for path in paths if exclusion.pattern_for_file(path.encode()) is not None]
        assert ours == done.stdout.decode().split("\0")[:-1], patterns
        matched += bool(ours)
    assert matched > 30


def test_case_is_ignored_where_file_systems_do() -> None:
    exclusion = Exclusion(["*.LIC", "[!A]x", "[[:upper:]]y"], ignores_case=True)
    found = {
        name: exclusion.pattern_for_file(name)
        for name in (b"a.lic", b"A.Lic", b"ax", b"AX", b"bx", b"cy", b"1y")
    }
    assert found == {
        b"a.lic": "*.LIC",
        b"A.Lic": "*.LIC",
        b"ax": None,
        b"AX": None,
        b"bx": "[!A]x",
        b"cy": "[[:upper:]]y",
        b"1y": None,
    }


@pytest.mark.parametrize("pattern", ["*a" * 20 + "b", "**/*a/" * 20 + "b", "a/" + "**/*a*a/" * 20])
def test_stars_do_not_multiply(pattern: str) -> None:
    """Trying every division between the stars would take longer than the universe has existed."""
    path = b"/".join([b"a" * 100] * 40)
    assert Exclusion([pattern]).pattern_for(path, is_folder=False) is None


@pytest.mark.parametrize("pattern", ["[a", "a\\", "[[:x:]]", "#a", "", "/", "!"])
def test_pattern_that_matches_nothing_is_named(pattern: str) -> None:
    assert Exclusion([pattern, "a"]).void == [pattern]


def told(store: FolderStore | SampleStore) -> tuple[set[bytes], list[Event]]:
    events: list[Event] = []
    with store.export(Control(events.append)) as export:
        assert not export.skipped
        return set(export.paths), events


def test_folder_store_leaves_out_what_matches_and_does_not_open_it(tmp_path: Path) -> None:
    fill(tmp_path, {b"a.lic": b"", b"b.tmp": b"", b"cache/c.lic": b"", b"keep/d.tmp": b""})
    os.mkfifo(tmp_path / "pipe")
    exclusion = Exclusion(["*.tmp", "!keep/*.tmp", "cache/", "pipe"])
    paths, events = told(FolderStore(str(tmp_path), exclusion=exclusion))
    assert paths == {b"a.lic", b"keep/d.tmp"}
    assert [(one.path, one.reason) for one in events if isinstance(one, LeftOutEvent)] == [
        (b"b.tmp", 'it matches the pattern "*.tmp"'),
        (b"cache", "it matches the pattern cache/"),
        (b"pipe", "it matches the pattern pipe"),
    ]
    assert not any(isinstance(one, WarningEvent) for one in events)


def test_exclusion_counts_in_a_drm_folder_with_all_files_too(tmp_path: Path) -> None:
    fill(tmp_path, {b"drmv2.lic": b"", b"drmv2.sst": b"", b"Server/S.xml": b"", b"note": b""})
    store = FolderStore(str(tmp_path), DRM, all_files=True, exclusion=Exclusion(["/note"]))
    assert told(store)[0] == {b"drmv2.lic", b"drmv2.sst", b"Server/S.xml"}


def test_sample_store_leaves_out_what_matches() -> None:
    every, _ = told(SampleStore())
    paths, events = told(SampleStore(Exclusion(["*.lic", "playready/"])))
    assert paths == {path for path in every if not path.endswith((b".lic", b".prh"))}
    assert {one.path for one in events if isinstance(one, LeftOutEvent)} == every - paths

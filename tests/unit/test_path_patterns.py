"""Paths are taken as they are printed, and each printed path means one file."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmbackup.archive.inventory import Row
from wmbackup.cli.render.sanitize import shown
from wmbackup.engine import Selection
from wmbackup.item import Item

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
HOSTILE = [
    *(b"new\nline", b"new\\nline", b"new\\\\nline", b"a\\b", b"a\\", b"\\\\", b"tab\t", b"\\t"),
    *(b"\xff\xfe.lic", b"\\xff\\xfe.lic", b"c1\xc2\x9bx", b"c1\x9bx", b"c1\\x9bx", b"c1\\u009bx"),
    *("soft\u00adx".encode(), b"soft\xadx", "\u202ertl".encode(), b"\\u202ertl", b"a*c", b"abc"),
    *(b"a?c", b"*", b"?", b"[a]", b"a", "\U000e0001".encode(), b"\\U000e0001", b"tr ", b"tr"),
    *("\u00fc".encode(), "u\u0308".encode(), b"\xed\xa0\x80", b"\\ud800", b"%0a", b"~", b"-rf"),
]


def chosen(wanted: str | bytes, paths: list[bytes]) -> list[bytes]:
    text = wanted.encode("utf-8", "surrogateescape") if isinstance(wanted, str) else wanted
    selection = Selection(paths=(text,)).resolved(paths)
    rows = (Row(Item(path, 1, 0), None, b"x") for path in paths)
    return [row.item.path for row in rows if row.item is not None and selection.matches(row)]


@pytest.mark.parametrize("path", HOSTILE)
def test_printed_path_means_the_file_that_it_was_printed_for(path: bytes) -> None:
    assert chosen(shown(path), HOSTILE) == [path]
    below = [b"in/%b" % one for one in HOSTILE]
    assert chosen(shown(b"in/" + path), below) == [b"in/" + path]


def test_no_two_paths_are_printed_alike() -> None:
    assert len(set(map(shown, HOSTILE))) == len(HOSTILE)


@given(st.binary(min_size=1, max_size=12).filter(lambda path: not {47, 0} & set(path)))
def test_every_path_comes_back_from_how_it_is_printed(path: bytes) -> None:
    if path not in {b".", b".."}:
        assert chosen(shown(path), [path]) == [path]
        beginnings = Selection(paths=(shown(path).encode(),)).beginnings
        assert all(path.startswith(beginning) for beginning in beginnings)


def test_path_with_brackets_is_that_path_where_there_is_one() -> None:
    paths = [b"Song [Live].lic", b"Song L.lic", b"dir[1]/x", b"dir1/x"]
    assert chosen("Song [Live].lic", paths) == paths[:1]
    assert chosen("Song [Live].lic", paths[1:]) == paths[1:2]
    assert chosen("dir[1]", paths) == [paths[2]]
    assert chosen("dir[1]/*", paths) == [paths[3]]
    assert chosen("dir\\[1]/*", paths) == [paths[2]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "wanted", ["B\u00fccher/L\u00e9a.lic", "B\u00fccher", "*/L\u00e9*", "B\u00fc*"]
)
def test_either_normalization_form_means_the_file(form: Literal["NFC", "NFD"], wanted: str) -> None:
    paths = [unicodedata.normalize(form, "B\u00fccher/L\u00e9a.lic").encode(), b"Bucher/Lea.lic"]
    for typed in FORMS:
        assert chosen(unicodedata.normalize(typed, wanted), paths) == paths[:1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("./a/b.lic", ["a/b.lic"]),
        ("././a//b.lic", ["a/b.lic"]),
        ("a/./b.lic", ["a/b.lic"]),
        ("/a", ["a/b.lic", "a/c"]),
        ("a/", ["a/b.lic", "a/c"]),
        ("./", ["a/b.lic", "a/c", "ab"]),
        (".", ["a/b.lic", "a/c", "ab"]),
        ("", []),
        ("*", ["a/b.lic", "a/c", "ab"]),
        ("./*.lic", ["a/b.lic"]),
        ("?", ["a/b.lic", "a/c"]),
        ("?b", ["ab"]),
        ("\\*", []),
        ("a\\", []),
        ("\\q", []),
        ("\\U99999999", []),
        ("[a]*", ["a/b.lic", "a/c", "ab"]),
        ("[!b]/[b-c]*", ["a/b.lic", "a/c"]),
        ("[ab]", ["a/b.lic", "a/c"]),
        ("\\[ab]", []),
        ("a/[c-b]", []),
        ("[", []),
        ("[]", []),
        ("[!]", []),
    ],
)
def test_what_a_path_means(wanted: str, found: list[str]) -> None:
    assert chosen(wanted, [b"a/b.lic", b"a/c", b"ab"]) == [path.encode() for path in found]

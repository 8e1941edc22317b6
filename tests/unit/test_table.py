"""The table of `list` on a terminal: its order, its columns, and what stands out in it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wmbackup.archive.inventory import Row
from wmbackup.cli.render.order import by_path, natural
from wmbackup.cli.render.row_texts import date
from wmbackup.cli.render.table import COLUMNS, Table, parse_columns, plain_columns
from wmbackup.errors import UsageError
from wmbackup.item import Item
from wmbackup.license import License

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KNOWN = License(
    "wmdrm-v7", kid="k", lid="l", attributes={"Title": "Song", "ContentDistributor": "S"}
)


def row(path: bytes | None, known: License | None = None) -> Row:
    return Row(None if path is None else Item(path, 2048, 0), known, None)


def test_rows_are_ordered_by_folder_and_name_as_people_sort() -> None:
    paths = [
        *(b"2.lic", b"10.lic", b"a.lic", b"\xc3\x84b.lic", b"B.lic", b"z.lic"),
        *(b"CD 2/01.lic", b"CD 2/1b.lic", b"CD 2/2.lic", b"CD 2/sub/1.lic", b"CD 10/1.lic"),
        *(b"cd 10/2.lic", b"\xff/x"),
    ]
    rows = [row(path) for path in paths]
    assert [one.path for one in sorted(set(rows), key=by_path)] == paths
    assert min([*rows, row(None, KNOWN)], key=by_path).path is None


@pytest.mark.parametrize(
    ("first", "second"),
    [("Track 9", "Track 10"), ("a", "B"), ("\u00e4rger", "Arm"), ("x007", "x8"), ("", "0")],
)
def test_natural_order(first: str, second: str) -> None:
    assert natural(first) < natural(second)
    assert natural("9" * 5000) < natural("1" + "0" * 5000)


@pytest.mark.parametrize(
    ("known", "mark", "style"),
    [
        (None, "", None),
        (KNOWN, "", None),
        (replace(KNOWN, withheld=True), "withheld", "error"),
        (replace(KNOWN, expires="2026-10-31T23:59:59Z"), "! 2026-1", "error"),
        (replace(KNOWN, expires="2026-11-01T00:00:00Z"), "! 2026-1", "error"),
        (replace(KNOWN, expires="2026-11-30T00:00:00Z"), "* 2026-1", "warning"),
        (replace(KNOWN, expires="2026-12-02T00:00:00Z"), "", None),
        (replace(KNOWN, expires="2026-11-30T00:00:00Z", withheld=True), "* 2026-1", "error"),
        (replace(KNOWN, expires="some day"), "", None),
    ],
)
def test_what_matters_stands_out_with_and_without_colors(
    known: License | None, mark: str, style: str | None
) -> None:
    table = Table(80, (), NOW)
    line, found = table.line(row(b"a", known))
    assert found == style
    assert mark in line
    assert not {"!", "*"} & set(line) or mark
    assert (table.legend is None) == (style is None)


def test_legend_counts_what_stands_out() -> None:
    table = Table(80, (), NOW)
    for _ in range(2):
        table.line(row(b"a", replace(KNOWN, withheld=True)))
    table.line(row(b"a", replace(KNOWN, expires="2001-01-01T00:00:00Z")))
    table.line(row(b"a", replace(KNOWN, expires="2026-11-02T00:00:00Z")))
    assert table.legend == (
        "2 licenses withheld, 1 license expired (!), 1 license expiring within 30 days (*)"
    )


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has one zone for all processes")
def test_dates_of_licenses_have_their_zone_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    try:
        assert date("2006-07-31T22:00:00Z") == "2006-08-01 +0200"
        assert date("2006-07-31T22:00:00Z", long=True) == "2006-08-01 00:00 +0200"
        assert date("2006-07-31T22:00:00Z", local=False) == "2006-07-31T22:00:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("width", [20, 40, 59, 60, 80, 109, 110, 149, 150, 200, 500])
def test_usual_table_fits_the_terminal(width: int) -> None:
    table = Table(width, (), NOW)
    long = replace(KNOWN, attributes={"Title": "x" * 900, "ContentDistributor": "y" * 900})
    line, _ = table.line(row(b"a", long))
    assert len(line) <= max(width, 38)
    assert len(table.header) <= max(width, 38)


def test_columns_that_are_asked_for_are_shown_in_their_order() -> None:
    table = Table(100, parse_columns("size, PATH,title"), NOW)
    assert table.header.split() == ["SIZE", "PATH", "TITLE", "OR", "FILE"]
    line, _ = table.line(row(b"sub/a.lic", KNOWN))
    assert line.split() == ["2.0", "KiB", "sub/a.lic", "Song"]
    assert (
        plain_columns(("size", "path", "title"))(row(b"sub/a.lic", KNOWN))
        == "2048\tsub/a.lic\tSong"
    )


@pytest.mark.parametrize("known", [None, KNOWN, replace(KNOWN, kid=None, attributes={})])
@pytest.mark.parametrize("path", [None, b"a\\b"])
def test_every_column_has_a_cell_for_every_row(path: bytes | None, known: License | None) -> None:
    made = plain_columns(tuple(COLUMNS))(row(path, known))
    assert len(made.split("\t")) == len(COLUMNS)
    assert Table(300, tuple(COLUMNS), NOW).line(row(path, known))[0]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("titel", "--columns: there is no column titel", "did you mean title?"),
        ("title,", '--columns: there is no column ""', f"there are {', '.join(COLUMNS)}"),
        ("kid,kid", "--columns has kid twice", "name each column once"),
    ],
)
def test_columns_that_are_none_are_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_columns(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)

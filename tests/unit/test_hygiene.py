from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, tzinfo
from typing import NoReturn

import pytest

from wmbackup.cli.render.row_texts import date
from wmbackup.cli.render.sanitize import all_utc, local_time, utc, visible


@pytest.mark.parametrize(
    ("mtime_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_161_993_600_000_000_001, "2006-10-28T00:00:00.000000001Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (253_402_300_799 * 10**9, "9999-12-31T23:59:59Z"),
        (253_402_300_800 * 10**9, "@253402300800.000000000"),
        (-62_135_596_800 * 10**9, "0001-01-01T00:00:00Z"),
        (-62_135_596_801 * 10**9, "@-62135596801.000000000"),
        (2**53 * 10**9 + 5, "@9007199254740992.000000005"),
        (2**80, "@1208925819614629.174706176"),
    ],
)
def test_times_are_said_in_utc_and_beyond_dates_in_seconds(mtime_ns: int, text: str) -> None:
    assert utc(mtime_ns) == text


@pytest.mark.parametrize("beyond", [[], [2**53 * 10**9 + 5, -(2**53) * 10**9]])
def test_many_times_are_said_as_each_of_them(beyond: list[int]) -> None:
    times = [0, -1, 59 * 10**9, 60 * 10**9 + 1, 1_161_993_600_000_000_010, -61 * 10**9, *beyond]
    rows = [("1", str(time // 10**9), str(time % 10**9)) for time in times]
    assert all_utc(rows) == list(map(utc, times))


def test_every_day_is_said_as_the_calendar_has_it() -> None:
    for day in range(-40_000, 40_000, 97):
        moment = datetime.fromtimestamp(day * 86_400 + day % 86_400, UTC)
        assert utc(int(moment.timestamp()) * 10**9) == f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def test_a_time_that_no_calendar_of_the_system_has_is_shown_as_it_is() -> None:
    class Narrow(datetime):
        def astimezone(self, _zone: tzinfo | None = None) -> NoReturn:  # as on Windows
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    assert local_time(Narrow(1960, 2, 3, 4, 5, 6, tzinfo=UTC)) == "1960-02-03T04:05:06Z"
    for year in (1, 1960, 3500, 9999):
        assert str(year) in local_time(datetime(year, 6, 1, tzinfo=UTC))
        assert str(year) in date(f"{year:04d}-06-01T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("", ""),
        ("a\tb\n", "a\\tb\\n"),
        ("a\x1b[2Jb\x7f", "a\\x1b[2Jb\\x7f"),
        ("caf\xe9", "caf\xe9"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\udcff", "\\xff"),
    ],
)
def test_what_could_mislead_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown

"""Numbers and names are those of the public headers.

Nothing of this was copied from one into the other: a mistake in either shows.
"""

from __future__ import annotations

import re

from tests.windows import headers
from wmbackup import hresult

HEADERS = (
    "nserror.h",
    "winerror.h",
    "wininet.h",
    "winhttp.h",
    "urlmon.h",
    "mferror.h",
    "ntstatus.h",
)


def names() -> dict[str, int]:
    rows = hresult.table().values()
    return {name: row.value for row in rows for name in (row.name, *row.aliases)}


def test_every_hresult_of_the_tables_is_in_a_header_with_its_number() -> None:
    known = {name: number for one in HEADERS for name, number in headers.numbers(one).items()}
    wrong = {
        name: f"0x{value:08X}"
        for name, value in names().items()
        if name not in known or headers.hresult_of(known[name]) != value
    }
    assert not wrong


def test_every_hresult_of_nserror_is_in_the_tables() -> None:
    ours = names()
    theirs = {
        name: number
        for name, number in headers.numbers("nserror.h").items()
        if re.match(r"NS_[A-Z]+_|MCMADM_", name)
    }
    assert len(theirs) > 1200
    assert {name for name in theirs if ours.get(name) != theirs[name]} == set()


def test_every_error_of_wininet_and_winhttp_is_in_the_tables() -> None:
    ours = names()
    pattern = re.compile(r"ERROR_(?:INTERNET|WINHTTP|HTTP|FTP|GOPHER)_(?!.*RESERVED)")
    theirs = {
        name
        for header in ("wininet.h", "winhttp.h")
        for name, number in headers.numbers(header).items()
        if pattern.match(name) and 12000 < number < 12200
    }
    assert len(theirs) > 100
    assert theirs - set(ours) == set()

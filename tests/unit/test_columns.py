"""What is read many at once says what reading it one by one says."""

from __future__ import annotations

import json

import pytest

from tests.archives import File, build, read
from wmbackup.archive._bulk import columns
from wmbackup.archive.columns import Columns
from wmbackup.archive.inventory import Inventory, Row
from wmbackup.archive.row_codec import FileRow, file_row
from wmbackup.cli.render.json_fields import SCHEMA, item_fields, item_lines
from wmbackup.cli.render.row_texts import plain_lines, plain_row
from wmbackup.license import License

ROW = file_row(FileRow(3, 1_161_993_600_000_000_005, None, ("hidden", "system")))
LINE = b"0123456789abcdef" * 4 + b"  data/a b/c.lic\n"
MANY = 8000  # files: more than one block


def test_plain_files_are_told_as_they_stand() -> None:
    found = columns(ROW * 2, [LINE, LINE])
    assert found == Columns(["a b/c.lic"] * 2, [("3", "1161993600", "5")] * 2, ROW * 2, [LINE] * 2)


def test_attributes_are_told_of_each_file() -> None:
    none = file_row(FileRow(3, 5, None, ()))
    for rows, attributes in (
        ((ROW, none), ['"hidden","system"', ""]),
        ((none, none), ["", ""]),
        ((none, ROW, ROW), ["", *['"hidden","system"'] * 2]),
    ):
        found = columns(b"".join(rows), [LINE] * len(rows))
        assert found is not None
        assert found.attributes == attributes


def test_what_is_listed_of_many_is_what_is_listed_of_each() -> None:
    inventory = read(
        build(
            [
                File(b"a", b"1", 1_161_993_600_000_000_005, ("hidden", "system")),
                File(b"b/c d.lic", b"", -1),
                File(b"e", b"22", 0, ("archive",)),
            ]
        )
    ).inventory
    (batch,) = inventory.batches()
    assert isinstance(batch, Columns)
    rows = list(inventory.rows())
    assert plain_lines(batch) == [plain_row(row) for row in rows]
    assert [json.loads(line) for line in item_lines(batch)] == [
        {"schema": SCHEMA, "type": "item", **item_fields(row.item, row.sha256)}
        for row in rows
        if row.item is not None
    ]


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (ROW.replace(b":3,", b":03,"), LINE),
        (ROW.replace(b":3,", b":3,"), LINE.replace(b"/c", b"/\x1b")),
        (ROW, LINE.replace(b"/c", "/é".encode())),
        (ROW, LINE.replace(b"a b", b"a\tb")),
        (ROW, LINE.replace(b"a b/c.lic", b"item-0000001")),
        (ROW, LINE[1:]),
        (ROW, LINE.replace(b"  data", b" data/")),
        (ROW, LINE[:-1]),
        (ROW, LINE.replace(b"abcdef", b"ABCDEF")),
        (ROW, b"g" + LINE[1:]),
        (ROW, LINE.replace(b"a b", b"..")),
        (ROW, LINE.replace(b"a b", b"con")),
        (ROW, LINE.replace(b"a b", b"")),
        (ROW, LINE.replace(b"a b/c.lic", b"")),
        (ROW, LINE.replace(b"a b/c.lic", b"a" * 85)),
        (file_row(FileRow(3, 5, b"?", ())), LINE.replace(b"a b/c.lic", b"item-0000001")),
        (file_row(FileRow(10**9, 5, None, ())), LINE),
        (ROW[:-1], LINE),
        (ROW * 2, LINE),
        (b"", LINE),
    ],
)
def test_of_anything_else_nothing_is_said(row: bytes, line: bytes) -> None:
    assert columns(row, [line]) is None
    assert columns(ROW + row, [LINE, line]) is None


def expanded(inventory: Inventory) -> list[tuple[bytes, str | None]]:
    """Return path and kind of every row that the batches of a inventory stand for."""
    found: list[tuple[bytes, str | None]] = []
    for batch in inventory.batches():
        if isinstance(batch, Columns):
            found += [(path.encode(), None) for path in batch.paths]
        else:
            found += [
                (row.path or b"", None if row.license is None else row.license.kind)
                for row in batch
            ]
    return found


def files(*special: File) -> list[File]:
    return [*(File(b"%06d.lic" % number) for number in range(MANY)), *special]


@pytest.mark.parametrize(
    "special",
    [
        (),
        (File(b"?"), File(b"\xff")),
        (File(b"000000", licenses=(License("first"),)),),
        (File(b"004000x", licenses=(License("middle"), License("again"))),),
        (File(b"z", licenses=(License("last"),)), File(b":", licenses=(License("item"),))),
        (File(b"z", mtime_ns=-1), File(b"zz", mtime_ns=10**24)),
    ],
)
def test_batches_are_the_rows_and_as_short_as_can_be(special: tuple[File, ...]) -> None:
    inventory = read(build(files(*special), [License("known", withheld=True)])).inventory
    rows = list(inventory.rows())
    assert expanded(inventory) == [
        (row.path or b"", None if row.license is None else row.license.kind) for row in rows
    ]
    assert len({row.path for row in rows}) == MANY + len(special) + 1
    batches = list(inventory.batches())
    assert any(isinstance(batch, Columns) for batch in batches)
    assert isinstance(batches[-1], list)
    assert batches[-1] == [Row(None, License("known", withheld=True))]

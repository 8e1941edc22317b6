from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from itertools import islice
from typing import IO

import pytest

from tests.archives import File, build, ignore, info, inventory_of, read, split
from wmbackup.archive import tables
from wmbackup.archive.index import Index
from wmbackup.archive.inventory import Inventory, Row
from wmbackup.archive.names import give_names, own_order
from wmbackup.archive.row_check import own_names_from
from wmbackup.archive.row_codec import FileRow, file_row, license_row
from wmbackup.errors import ArchiveDamaged, UnsupportedArchive
from wmbackup.item import Item
from wmbackup.license import License


def inventory(
    members: Sequence[tuple[bytes, bytes | None, int]],
    licenses: bytes = b"",
    *,
    octets: int | None = None,
    files: int | None = None,
    withheld: int = 0,
) -> Inventory:
    # Of members: name, true path, size.
    rows = b"".join(file_row(FileRow(size, 7, path, ())) for _, path, size in members)
    manifest = b"".join(manifest_line(name) for name, _, _ in members)
    said = info(
        octets=sum(size for _, _, size in members) if octets is None else octets,
        files=len(members) if files is None else files,
        withheld=withheld,
    )
    return inventory_of(said, rows, licenses, manifest)


def manifest_line(name: bytes) -> bytes:
    return hashlib.sha256(name).hexdigest().encode() + b"  data/" + name + b"\n"


THREE = ((b"A", None, 3), (b"b/c", None, 600), (b"item-0000001", b"?", 0))


def test_chunks_and_items_are_what_rows_and_manifest_say() -> None:
    found = inventory(THREE)
    found.check(ignore)
    (chunk,) = found.chunks()
    assert chunk.members == [b"data/A", b"data/b/c", b"data/item-0000001"]
    assert chunk.sizes == [3, 600, 0]
    assert list(found.rows()) == [
        Row(Item(b"A", 3, 7, (), b"data/A"), None, hashlib.sha256(b"A").digest()),
        Row(Item(b"b/c", 600, 7, (), b"data/b/c"), None, hashlib.sha256(b"b/c").digest()),
        Row(
            Item(b"?", 0, 7, (), b"data/item-0000001"),
            None,
            hashlib.sha256(b"item-0000001").digest(),
        ),
    ]
    assert Index(found.tables, found.info).marks[-1].length == (512 + 512) + (512 + 1024) + 512


@pytest.mark.parametrize(
    "changes", [{"octets": 602}, {"octets": 604}, {"files": 2}, {"files": 4}, {"withheld": 1}]
)
def test_counts_have_to_agree(changes: dict[str, int]) -> None:
    with pytest.raises(ArchiveDamaged, match="does not agree"):
        inventory(THREE, b"", **changes).check(ignore)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        (((b"b", None, 1), (b"a", None, 1)), "out of order"),
        (((b"a", None, 1), (b"A", None, 1)), "collides"),
        (((b"a?", None, 1),), "not a hash and a payload name"),
        (((b"con", None, 1),), "not safe"),
        (((b"a.", None, 1),), "not safe"),
        (((b"a", b"?", 1),), "own name has a true path"),
        (((b"Item-0000001", b"?", 1),), "own name has a true path"),
        (((b"item-0000001", None, 1),), "no true path"),
        (((b"item-0000002", b"?", 1),), "numbered"),
        (((b"item-1", b"?", 1),), "numbered"),
        (((b"item-0000001", b"a", 1),), "could have kept its name"),
        (((b"item-0000001", b"../a", 1),), "leaves its store"),
        (((b"item-0000001", b"?", 1), (b"a", None, 1)), "follows an item"),
        (((b"item-0000001", b"b?", 1), (b"item-0000002", b"a?", 1)), "out of order"),
        (((b"a" * 85, None, 1),), "not a hash and a payload name"),
        (((b"", None, 1),), "not a hash and a payload name"),
    ],
)
def test_names_that_cannot_be_are_refused(
    members: Sequence[tuple[bytes, bytes | None, int]], problem: str
) -> None:
    with pytest.raises(ArchiveDamaged, match=problem):
        inventory(members).check(ignore)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        manifest_line(b"A")[:-1],
        manifest_line(b"A").upper(),
        manifest_line(b"A").replace(b"  ", b" *"),
        manifest_line(b"A").replace(b"  ", b"   "),
        manifest_line(b"A").replace(b"data", b"dato"),
        manifest_line(b"A")[1:],
        manifest_line(b"A") * 2,
        manifest_line(b"A").replace(b"\n", b"\r\n"),
        b"x" * 70000,
    ],
)
def test_another_manifest_is_refused(line: bytes) -> None:
    found = inventory([(b"A", None, 1)])
    wrong = inventory_of(found.info, file_row(FileRow(1, 7, None, ())), b"", line)
    with pytest.raises(ArchiveDamaged):
        wrong.check(ignore)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_rows_and_manifest_lines_have_to_pair(rows: int) -> None:
    row = file_row(FileRow(1, 7, None, ()))
    lines = manifest_line(b"a") + manifest_line(b"b")
    wrong = inventory_of(info(), row * rows, b"", lines)
    with pytest.raises(ArchiveDamaged, match="differ in length"):
        wrong.check(ignore)
    with pytest.raises(ArchiveDamaged, match="do not agree"):
        list(wrong.chunks())


@pytest.mark.parametrize("row", [b"{}\n", b"x\n", b'{"size":x,\n', b"\n"])
def test_chunks_of_a_head_that_was_not_judged_still_fail_by_name(row: bytes) -> None:
    wrong = inventory_of(info(), row, b"", manifest_line(b"a"))
    with pytest.raises(ArchiveDamaged, match="do not agree"):
        list(wrong.chunks())
    unhexed = inventory_of(
        info(), file_row(FileRow(1, 7, None, ())), b"", b"x" + manifest_line(b"a")[1:]
    )
    with pytest.raises(ArchiveDamaged, match="do not agree"):
        [chunk.hashes for chunk in unhexed.chunks()]


def rows_of(*found: tuple[str, bytes | None]) -> bytes:
    return b"".join(
        license_row(License(kind, withheld=member is None), member) for kind, member in found
    )


def test_licenses_have_the_true_path_of_their_file() -> None:
    table = rows_of(
        ("a", b"data/A"),
        ("b", b"data/A"),
        ("c", b"data/item-0000001"),
        ("d", None),
        ("e", None),
    )
    found = inventory(THREE, table, withheld=2)
    found.check(ignore)
    assert [(row.license.kind, row.license.path) for row in found.rows() if row.license] == [
        ("a", b"A"),
        ("b", b"A"),
        ("c", b"?"),
        ("d", None),
        ("e", None),
    ]


@pytest.mark.parametrize(
    "table",
    [
        rows_of(("a", b"data/b/c"), ("b", b"data/A")),
        rows_of(("a", b"data/x")),
        rows_of(("a", b"A")),
        rows_of(("a", b"wmbackup-1/data/A")),
        rows_of(("a", b"")),
        rows_of(("a", None), ("b", b"data/A")),
        rows_of(("a", b"data/A"), ("b", None), ("c", b"data/A")),
    ],
)
def test_licenses_out_of_the_order_of_the_files_are_refused(table: bytes) -> None:
    for withheld in (0, 1):
        with pytest.raises(ArchiveDamaged, match="out of order"):
            inventory(THREE, table, withheld=withheld).check(ignore)


def test_what_is_unsupported_stays_so() -> None:
    table = rows_of(("a", None)).replace(b"}\n", b',"!":1}\n')
    with pytest.raises(UnsupportedArchive):
        inventory(THREE, table).check(ignore)


def test_a_license_in_no_single_file_need_not_be_withheld() -> None:
    found = inventory(THREE, license_row(License("k"), None))
    found.check(ignore)
    assert [row.license.withheld for row in found.rows() if row.license] == [False]


def test_the_caller_hears_of_a_long_check_now_and_then() -> None:
    ticks: list[None] = []
    members = [(b"%06d" % number, None, 0) for number in range(0x2001)]
    inventory(members).check(lambda: ticks.append(None))
    assert len(ticks) > 1


def test_closing_gives_the_private_files_back() -> None:
    found = inventory_of(info(), b"", b"", b"")
    found.close()
    assert all(table.closed for table in found.tables)


def test_own_names_are_found_from_any_key_on() -> None:
    paths = [b"a", b"b/c", b"b/d/e", b"b-c", b"C" * 84, b"d", b"x y/z"]
    own = give_names(paths).own
    archive = build([*map(File, own), File(b"?"), File(b"a:b")])
    found = read(archive).inventory
    keys = {own_order(path)[:length] for path in own for length in range(len(path) + 1)}
    for key in {*keys, *(key + b"\0" for key in keys), b"\0", b"\xff", b"e"}:
        wanted = [path for path in own if own_order(path) >= key]
        assert list(own_names_from(found.tables.manifest)(key)) == wanted, key


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_own_names_end_where_the_manifest_does(count: int) -> None:
    names = [b"%d" % number for number in range(count)]
    manifest = io.BytesIO(b"".join(b"0" * 64 + b"  data/" + name + b"\n" for name in names))
    for first in range(count + 1):
        key = names[first] if first < count else b"\xff"
        found = own_names_from(manifest)(key)
        assert list(islice(found, count + 1)) == names[first:]
    assert list(islice(own_names_from(manifest)(b""), count + 1)) == names


def test_an_item_that_lost_its_name_to_an_own_one_is_right() -> None:
    archive = build([File(b"Dir/a", b"1"), File(b"dir", b"2"), File(b"DIR/A", b"3"), File(b"z")])
    assert list(split(archive))[-4:] == [
        "data/DIR/A",
        "data/z",
        "data/item-0000001",
        "data/item-0000002",
    ]
    found = read(archive)
    assert [item.path for item, _ in found.released] == [b"DIR/A", b"z", b"dir", b"Dir/a"]


def test_more_files_than_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmbackup.archive.index.MAX_FILES", 2)
    with pytest.raises(ArchiveDamaged, match="Payload-Oxum"):
        inventory(THREE).check(ignore)
    monkeypatch.setattr("wmbackup.archive.index.MAX_FILES", 3)
    inventory(THREE).check(ignore)


def test_reading_chunks_leaves_the_search_alone() -> None:
    # Both read one private file; a search in the middle of an iteration must not move it.
    found = inventory([(b"A", None, 1), (b"B", None, 1), (b"item-0000001", b"a", 1)])
    found.check(ignore)
    chunks = found.chunks(most=1)
    first = next(chunks)
    assert list(own_names_from(found.tables.manifest)(b"")) == [b"A", b"B"]
    assert [first.members, *(chunk.members for chunk in chunks)] == [
        [b"data/A"],
        [b"data/B"],
        [b"data/item-0000001"],
    ]


def test_only_what_may_be_meant_is_parsed() -> None:
    archive = build([File(b"a/b.lic"), File(b"c.lic"), File(b"d.lic")])
    found = read(archive).inventory
    assert [index for index, _, _ in found.items_with([b"no such"])] == []
    items = list(found.items_with([b"c.l"]))
    row = list(found.rows())[1]
    assert (1, row.item, row.sha256) in items


@pytest.mark.parametrize(
    ("members", "wanted"),
    [
        (((b"a", None, 1), (b"a", None, 2)), b"a"),
        (((b"a", None, 1), (b"A", None, 2)), b"a"),
        (((b"a", None, 1), (b"a/b", None, 2)), b"a"),
        (((b"b", None, 1), (b"a", None, 2)), b"b"),
        (((b"item-0000001", b"?", 1), (b"item-0000002", b"?", 2)), b"?"),
        (((b"a", None, 1), (b"item-0000001", b"a", 2)), b"a"),
        (((b"a", None, 1), (b"item-0000002", b"?", 2)), b"a"),
    ],
)
@pytest.mark.parametrize("at_once", [1, 256 * 1024])
def test_names_that_may_be_meant_are_judged_together(
    members: Sequence[tuple[bytes, bytes | None, int]],
    wanted: bytes,
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two files of one path would overwrite each other, and only one would be there in the end.
    monkeypatch.setattr(tables, "_BLOCK", at_once)
    with pytest.raises(ArchiveDamaged) as expected:
        inventory(members).check(ignore)
    with pytest.raises(ArchiveDamaged) as found:
        list(inventory(members).items_with([wanted, b"a"]))
    assert found.value.message == expected.value.message


def test_names_like_those_of_devices_may_be_meant() -> None:
    found = inventory(((b"con x", None, 1), (b"d", None, 2)))
    assert [at for at, _, _ in found.items_with([b"d"])] == [0, 1]


def test_items_are_always_among_what_may_be_meant() -> None:
    archive = build([File(b"a.lic"), File(b"b:c")])
    found = read(archive).inventory
    assert [item.path for _, item, _ in found.items_with([b"b:"])][-1] == b"b:c"


def test_no_size_makes_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BLOCK", 1)
    rows = [file_row(FileRow(1, 7, None, ())) for _ in range(2)]
    rows[0] = rows[0].replace(b":1,", b":-%d," % 10**30)
    rows[1] = rows[1].replace(b":1,", b":%d," % (10**30 + 5))
    manifest = manifest_line(b"a") + manifest_line(b"b")
    for ask in (
        lambda index: index.marks,
        lambda index: list(index.located(bytearray([0, 1]))),
    ):
        said = info(octets=5, files=2)
        index = Index(inventory_of(said, b"".join(rows), b"", manifest).tables, said)
        with pytest.raises(ArchiveDamaged, match="negative size"):
            ask(index)


@pytest.mark.parametrize("lines", [0, 2, 4])
def test_single_files_are_not_looked_for_where_the_tables_do_not_pair(lines: int) -> None:
    rows = file_row(FileRow(0, 7, None, ())) * 3
    manifest = b"".join(map(manifest_line, [b"A", b"B", b"C", b"D"][:lines]))
    said = info(octets=0, files=3, withheld=0)
    found = inventory_of(said, rows, b"", manifest)
    with pytest.raises(ArchiveDamaged, match="differ in length"):
        list(found.items_with([b"A"]))
    with pytest.raises(ArchiveDamaged, match="differ in length"):
        list(Index(found.tables, said).located(bytearray([1, 0, 0])))


def test_wanted_files_are_found_with_what_lies_before_them() -> None:
    archive = build([File(b"a"), File(b"b", b"x" * 600), File(b"c"), File(b"?")])
    found = read(archive).inventory
    index = Index(found.tables, found.info)
    assert list(index.located(bytearray([0, 0, 1, 1]))) == list(found.chunks(most=1))[2:]


@pytest.mark.parametrize(("begin", "end"), [(0, 0), (0, 3), (2, 5), (9, 10), (4, 4)])
def test_a_part_of_a_table_is_read_and_no_more(begin: int, end: int) -> None:
    table = io.BytesIO(b"0123456789")
    assert tables.read(table, begin, end) == b"0123456789"[begin:end]


def test_lines_are_found_by_their_numbers_and_blocks_read_once_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "_BLOCK", 10)
    lines = [b"%d\n" % (7**number) for number in range(40)]
    table = io.BytesIO(b"".join(lines))
    starts = tables.block_starts(table)
    assert len(starts) > 10
    reads: list[int] = []

    def counted(table: IO[bytes], begin: int, end: int) -> bytes:
        reads.append(begin)
        table.seek(begin)
        return table.read(end - begin)

    monkeypatch.setattr(tables, "read", counted)
    found = tables.Lines(table, starts)
    assert [found[number] for number in range(40)] == lines
    assert reads == [start.offset for start in starts[:-1]]
    assert [found[number] for number in reversed(range(40))] == lines[::-1]
    assert [found[number * 7 % 40] for number in range(40)] == [
        lines[number * 7 % 40] for number in range(40)
    ]
    expected = [sum(map(len, lines[:number])) for number in range(41)]
    assert [found.offset(number) for number in range(41)] == expected

"""What judges many rows or names at once accepts nothing that judging them one by one refuses."""

from __future__ import annotations

import io
from collections.abc import Iterable
from unittest import mock

from hypothesis import example, given
from hypothesis import strategies as st

from tests.archives import info, inventory_of
from tests.property import strategies as draw
from wmbackup.archive import _bulk, tables
from wmbackup.archive._bulk import are_safe
from wmbackup.archive.columns import Columns
from wmbackup.archive.inventory import Row
from wmbackup.archive.names import NameCheck, is_safe, own_order
from wmbackup.archive.row_codec import FileRow, file_row, parse_file_row
from wmbackup.archive.tables import count_lines, split
from wmbackup.errors import ArchiveDamaged, UnsupportedArchive

plain_names = st.from_regex(rb"[a-cA-C0-1][a-c .]{0,3}(/[a-c .]{1,3})?", fullmatch=True)
any_names = plain_names | draw.paths | st.binary(max_size=6)


def judged(paths: list[bytes]) -> bool:
    check = NameCheck(lambda _key: iter(()))
    return all(check.own(path) is None for path in paths)


@given(st.lists(any_names, min_size=1, max_size=6))
@example([b"a\nb"])
@example([b"a\n", b"b"])
@example([b""])
@example([b"a" * 85])
@example([b"a", b"NUL.txt"])
@example([b"a", b"Item-1/b"])
def test_many_safe_paths_are_safe_each(paths: list[bytes]) -> None:
    if are_safe(paths):
        assert all(map(is_safe, paths))


@given(st.lists(plain_names.filter(is_safe), min_size=1, max_size=6))
def test_safe_paths_without_the_words_of_devices_are_safe_together(paths: list[bytes]) -> None:
    assert are_safe(paths)


@given(st.lists(any_names, min_size=1, max_size=8), st.booleans(), st.integers(1, 7))
@example([b"a", b"a/b"], False, 1)
@example([b"a/b", b"a"], False, 1)
@example([b"A", b"a"], False, 1)
@example([b"a-b", b"a/b"], False, 1)
def test_names_judged_together_are_good_one_by_one(
    paths: list[bytes],
    in_order: bool,  # noqa: FBT001 - it is drawn
    at: int,
) -> None:
    if in_order:
        paths.sort(key=own_order)
    check = NameCheck(lambda _key: iter(()))
    parts = [part for part in (paths[:at], paths[at:]) if part]
    if all(map(check.own_all, parts)):
        assert judged(paths)
    elif judged(paths):
        assert not all(map(are_safe, parts))


def test_names_that_were_not_taken_together_are_judged_as_if_nothing_had_been() -> None:
    check = NameCheck(lambda _key: iter(()))
    assert check.own_all([b"b", b"c"])
    assert not check.own_all([b"d", b"e", b"d/x"])
    assert not check.own_all([b"a"])
    assert check.own(b"d") is None
    assert check.item(b"data/item-0000001", b"a:b") is None
    assert not check.own_all([b"f"])


def parsed(line: bytes) -> FileRow | None:
    try:
        return parse_file_row(line)
    except (ArchiveDamaged, UnsupportedArchive):
        return None


@given(st.lists(draw.file_rows, min_size=1, max_size=5), st.data())
def test_rows_judged_together_are_good_one_by_one(
    found: list[FileRow], data: st.DataObject
) -> None:
    lines = [file_row(row) for row in found]
    if data.draw(st.booleans()):
        index = data.draw(st.integers(0, len(lines) - 1))
        at = data.draw(st.integers(0, len(lines[index])))
        cut = data.draw(st.integers(0, 3))
        text = data.draw(st.sampled_from([b"", b"0", b"\n", b",", b"}\n{", b'"archive"']))
        lines[index] = lines[index][:at] + text + lines[index][at + cut :]
    text = b"".join(lines)
    sizes = _bulk.sizes(text, count_lines(text))
    rows = [parsed(line) for line in split(text)]
    assert _bulk.file_rows(text, count_lines(text)) == (None if sizes is None else rows)
    if sizes is not None:
        assert [None if row is None else row.size for row in rows] == sizes
    else:
        assert any(row is None or row.path is not None or row.size >= 10**9 for row in rows)


WORDS = st.sampled_from([b"a", b"b.c", b"..", b"con", b"item-1", b" a", b"", b"a" * 85, b"\xe9"])


def told(batches: Iterable[Columns | list[Row]]) -> list[tuple[bytes, int, bytes]] | str:
    """Return what is known of each file, or what was wrong."""
    found: list[tuple[bytes, int, bytes]] = []
    try:
        for batch in batches:
            if isinstance(batch, Columns):
                for path, (size, _, _), line in zip(
                    batch.paths, batch.numbers, batch.lines, strict=True
                ):
                    found.append((path.encode(), int(size), bytes.fromhex(line[:64].decode())))
            else:
                found += [(r.path or b"", r.item.size, r.sha256 or b"") for r in batch if r.item]
    except ArchiveDamaged as error:
        return error.message
    return found


@given(st.lists(st.tuples(WORDS, st.integers(0, 10**10)), min_size=1, max_size=4), st.data())
def test_what_is_listed_many_at_once_is_what_is_listed_one_by_one(
    files: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    rows = b"".join(file_row(FileRow(size, 7, None, ())) for _, size in files)
    manifest = b"".join(b"%064x  data/%b\n" % (size, name) for name, size in files)
    if data.draw(st.booleans()):
        manifest = data.draw(draw.mutated(manifest))
    said = info(files=len(files), octets=sum(size for _, size in files))
    inventory = inventory_of(said, rows, b"", manifest)
    one_by_one = inventory_of(said, rows, b"", manifest)
    with mock.patch.object(_bulk, "own_names", return_value=None):
        plain = told(one_by_one.batches())
    assert told(inventory.batches()) == plain
    assert told([row] for row in inventory.rows()) == plain


@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\r", b"\n", b"\r\n", b"\x0b", b"\x85"])),
    st.integers(1, 9),
)
def test_blocks_of_a_table_are_its_lines(parts: list[bytes], at_once: int) -> None:
    text = b"".join(parts)
    with mock.patch.object(tables, "_BLOCK", at_once):
        found = list(tables.blocks(io.BytesIO(text)))
    assert b"".join(found) == text
    assert all(block.endswith(b"\n") for block in found[:-1])
    lines = [line for block in found for line in split(block)]
    assert lines == list(io.BytesIO(text))
    assert sum(map(count_lines, found)) == len(lines)


@given(st.lists(st.binary(max_size=9), min_size=1), st.integers(1, 30), st.data())
def test_lines_are_found_by_their_numbers(
    parts: list[bytes], at_once: int, data: st.DataObject
) -> None:
    table = io.BytesIO(b"\n".join(parts))
    lines = list(table)
    with mock.patch.object(tables, "_BLOCK", at_once):
        starts = tables.block_starts(table)
    assert starts[-1] == (len(lines), len(table.getvalue()))
    found = tables.Lines(table, starts)
    for number in data.draw(st.lists(st.integers(0, len(lines)))):
        assert found.offset(number) == sum(map(len, lines[:number]))
        if number < len(lines):
            assert found[number] == lines[number]

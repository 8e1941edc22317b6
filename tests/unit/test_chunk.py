"""Chunks of the payload: where they are cut, and what they say of their files."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmbackup.archive.chunk import Chunk, cut
from wmbackup.archive.row_codec import FileRow, file_row
from wmbackup.archive.ustar import record_length
from wmbackup.errors import ArchiveDamaged
from wmbackup.item import Item


def cut_up(sizes: list[int], most: int, first: int = 3, offset: int = 4096) -> list[Chunk]:
    rows = b"".join(file_row(FileRow(size, 7, None, ())) for size in sizes)
    lines = [b"%064x  data/%d\n" % (number, number) for number in range(len(sizes))]
    return list(cut(first, offset, rows, lines, most))


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=40),
    st.integers(1, 20_000),
)
def test_a_chunk_is_as_long_as_it_may_be(sizes: list[int], most: int) -> None:
    chunks = cut_up(sizes, most)
    assert [size for chunk in chunks for size in chunk.sizes] == sizes
    at, offset = 3, 4096
    for number, chunk in enumerate(chunks):
        assert (chunk.first, chunk.offset) == (at, offset)
        assert chunk.end - chunk.offset <= most or len(chunk.lines) == 1
        if number + 1 < len(chunks):
            after = record_length(chunks[number + 1].sizes[0])
            assert chunk.end - chunk.offset + after > most
        at, offset = at + len(chunk.lines), chunk.end
    assert [one for chunk in chunks for one in chunk.singly()] == cut_up(sizes, 1)


def test_it_says_what_the_head_says_of_each_file() -> None:
    digests = [hashlib.sha256(name).digest() for name in (b"A", b"b")]
    lines = [b"%b  data/A\n", b"%b  data/item-0000001\n"]
    chunk = Chunk(
        0,
        0,
        [1, 2],
        [file_row(FileRow(1, 7, None, ())), file_row(FileRow(2, 8, b"b?", ("hidden",)))],
        [line % digest.hex().encode() for line, digest in zip(lines, digests, strict=True)],
    )
    assert chunk.members == [b"data/A", b"data/item-0000001"]
    assert chunk.hashes == b"".join(digests)
    assert chunk.item(0) == Item(b"A", 1, 7, (), b"data/A")
    assert chunk.item(1) == Item(b"b?", 2, 8, ("hidden",), b"data/item-0000001")
    with pytest.raises(ArchiveDamaged, match="do not agree"):
        _ = chunk._replace(lines=[b"x" * 64 + b"  data/A\n"]).hashes

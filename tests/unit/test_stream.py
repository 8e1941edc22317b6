from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.archives import Dribble
from wmbackup.archive.stream import PIECE_SIZE, ExactReader
from wmbackup.archive.ustar import END, header
from wmbackup.errors import ArchiveDamaged, ArchiveTruncated, NotAnArchive, UnsupportedArchive


def of(data: bytes) -> ExactReader:
    return ExactReader(io.BytesIO(data))


@pytest.mark.parametrize("most", [1, 3, 100])
def test_a_stream_that_gives_little_at_a_time_is_read_all_the_same(most: int) -> None:
    source = ExactReader(Dribble(b"abcdefgh", most))
    assert source.read(5) == b"abcde"
    source.push_back(b"cde")
    assert source.position == 2
    assert source.take(4) == b"cdef"
    assert source.read(5) == b"gh"
    assert source.read(5) == b""
    assert source.position == 8


def test_what_is_taken_has_to_be_there() -> None:
    source = of(b"abc")
    with pytest.raises(ArchiveTruncated, match="ends at byte 3"):
        source.take(4)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"w",
        b"wmbackup-1/bagit.tx",
        b"PK\3\4" + bytes(600),
        b"wmbackup-2/bagit.txt",  # the name field does not end
        b"wmbackup-2/bagit.txt/" + bytes(600),
        b"wmbackup-02/bagit.txt" + bytes(600),
        b"wmbackup-0/bagit.txt" + bytes(600),
        b"wmbackup-/bagit.txt" + bytes(600),
        b"wmbackup-x/bagit.txt" + bytes(600),
        b"Wmbackup-1/bagit.txt" + bytes(600),
        b"wmbackup-2/README.txt" + bytes(600),
        b" wmbackup-2/bagit.txt" + bytes(600),
    ],
)
def test_what_does_not_begin_as_an_archive_is_none(start: bytes) -> None:
    with pytest.raises(NotAnArchive):
        of(start).magic()


@pytest.mark.parametrize("major", [2, 9, 10, 11, 123456789])
@pytest.mark.parametrize("rest", [1, 80, 600])
def test_another_major_version_is_unsupported(major: int, rest: int) -> None:
    name = f"wmbackup-{major}/bagit.txt".encode()
    with pytest.raises(UnsupportedArchive, match=f"of format {major},") as caught:
        of(name + bytes(rest)).magic()
    assert not isinstance(caught.value, NotAnArchive)


def test_the_magic_is_given_back() -> None:
    source = of(b"wmbackup-1/bagit.txt and more")
    source.magic()
    assert source.position == 0
    assert source.read(100) == b"wmbackup-1/bagit.txt and more"


def test_the_next_name_is_looked_at_and_not_taken() -> None:
    source = of(header(b"a/b", 3))
    assert source.next_name() == b"a/b"
    assert source.next_name() == b"a/b"
    assert source.member(b"a/b", 0, 3) == 3
    with pytest.raises(ArchiveTruncated):
        source.next_name()


def swap(at: int, content: bytes) -> bytes:
    head = header(b"a", 5)
    return head[:at] + content + head[at + len(content) :]


@pytest.mark.parametrize(
    "head",
    [
        header(b"b", 5),
        header(b"aa", 5),
        bytes(512),
        b"\xff" * 512,
        swap(124, b"0000000005\0\0"),
        swap(124, b"         05\0"),
        swap(124, b"00000000006\0"),
        swap(124, b"-0000000005\0"),
        swap(124, b"0000000_005\0"),
        swap(124, b"00000000009\0"),
        swap(124, b"00000000005 "),
        swap(124, b"\x80" + bytes(10) + b"\5"),
        swap(156, b"\0"),
        swap(156, b"5"),
        swap(148, b" "),
        swap(511, b"\1"),
    ],
)
def test_any_other_header_is_damaged(head: bytes) -> None:
    assert len(head) == 512
    told = "the header of a is not the" if head[:2] == b"a\0" else "is where a should be"
    with pytest.raises(ArchiveDamaged, match=told):
        of(head).member(b"a", 0, 100)


@pytest.mark.parametrize(("size", "fits"), [(1, False), (2, True), (4, True), (5, False)])
def test_a_size_out_of_its_range_is_damaged(size: int, *, fits: bool) -> None:
    source = of(header(b"a", size))
    if fits:
        assert source.member(b"a", 2, 4) == size
    else:
        with pytest.raises(ArchiveDamaged, match="it must have 2 to 4"):
            source.member(b"a", 2, 4)


def test_content_ends_with_its_padding() -> None:
    sizes = (3, 512, 0)
    source = of(b"".join(header(b"a", n) + b"x" * n + bytes(-n % 512) for n in sizes) + b"rest")
    for size in sizes:
        assert source.content(b"a", size, size) == b"x" * size
    assert source.read(9) == b"rest"


@pytest.mark.parametrize("at", [3, 200, 511])
def test_padding_that_is_not_zero_is_damaged(at: int) -> None:
    block = bytearray(header(b"name", 3) + b"abc" + bytes(509))
    block[512 + at] = 1

    def copied(source: ExactReader) -> None:
        source.copy(source.member(b"name", 3, 3))
        source.pad(b"name", 3)

    def taken(source: ExactReader) -> None:
        source.content(b"name", 3, 3)

    reads: tuple[Callable[[ExactReader], object], ...] = (taken, copied)
    for read in reads:
        with pytest.raises(ArchiveDamaged, match="the padding of name is not zero"):
            read(of(bytes(block)))
        with pytest.raises(ArchiveTruncated):
            read(of(bytes(block[:-1])))


@pytest.mark.parametrize(
    "size", [0, 1, *(PIECE_SIZE + at for at in (-1, 0, 1)), 2 * PIECE_SIZE + 5]
)
def test_a_copy_gives_every_sink_the_content_in_blocks(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    first: list[bytes] = []
    second: list[bytes] = []
    source = of(data + bytes(-size % 512) + b"rest")
    source.copy(size, first.append, second.append)
    source.pad(b"a", size)
    assert b"".join(first) == b"".join(second) == data
    assert all(len(block) <= PIECE_SIZE for block in first)
    assert source.read(9) == b"rest"


def test_the_end_is_two_zero_blocks_and_nothing_more() -> None:
    of(END).end()
    for short in (0, 1, 512, 1023):
        with pytest.raises(ArchiveTruncated):
            of(bytes(short)).end()
    for at in (0, 511, 512, 1023):
        block = bytearray(END)
        block[at] = 1
        with pytest.raises(ArchiveDamaged, match="does not end where it should"):
            of(bytes(block)).end()
    for more in (b"\0", b"x", bytes(512), bytes(9216)):
        with pytest.raises(ArchiveDamaged, match="follows the end"):
            of(END + more).end()


def test_a_block_without_a_name_is_named_as_nothing() -> None:
    reader = ExactReader(io.BytesIO(bytes(1024)))
    with pytest.raises(ArchiveDamaged, match=r"^nothing is where wmbackup-1/a should be"):
        reader.member(b"wmbackup-1/a", 0, 10)

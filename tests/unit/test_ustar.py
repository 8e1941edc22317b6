from __future__ import annotations

import tarfile

import pytest

from wmbackup.archive.ustar import BLOCK, END, header, padding, record_length
from wmbackup.item import MAX_SIZE

# The table of wmbackup-archive(5), CONTAINER, typed in once more: offset, bytes.
FIXED = (
    (100, b"0000600\0"),
    (108, b"0000000\0"),
    (116, b"0000000\0"),
    (136, b"03560116604\0"),
    (156, b"0"),
    (157, bytes(100)),
    (257, b"ustar\0"),
    (263, b"00"),
    (265, bytes(32)),
    (297, bytes(32)),
    (329, b"0000000\0"),
    (337, b"0000000\0"),
    (345, bytes(155)),
    (500, bytes(12)),
)


@pytest.mark.parametrize("name", [b"a", b"wmbackup-1/data/a b.lic", b"x" * 99, b"y" * 100])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 8**7, MAX_SIZE])
def test_every_byte_of_a_header_is_that_of_the_table(name: bytes, size: int) -> None:
    block = header(name, size)
    assert len(block) == BLOCK
    assert block[:100] == name + bytes(100 - len(name))
    assert block[124:136] == f"{size:011o}".encode() + b"\0"
    for offset, content in FIXED:
        assert block[offset : offset + len(content)] == content, offset
    total = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    assert block[148:156] == f"{total:06o}".encode() + b"\0 "


def test_python_reads_the_same_from_a_header() -> None:
    found = tarfile.TarInfo.frombuf(header(b"wmbackup-1/data/a", 12345), "utf-8", "strict")
    assert (found.name, found.size, found.mode) == ("wmbackup-1/data/a", 12345, 0o600)
    assert (found.uid, found.gid, found.uname, found.gname) == (0, 0, "", "")
    assert found.mtime == 499162500
    assert found.isreg()


@pytest.mark.parametrize(
    ("name", "size"), [(b"", 0), (b"x" * 101, 0), (b"a", -1), (b"a", MAX_SIZE + 1)]
)
def test_no_header_holds_what_the_format_cannot(name: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="no header"):
        header(name, size)


@pytest.mark.parametrize(
    ("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511), (MAX_SIZE, 1)]
)
def test_padding_reaches_the_next_multiple_of_512(size: int, zeros: int) -> None:
    assert padding(size) == zeros
    assert record_length(size) == 512 + size + zeros


def test_the_end_is_two_zero_blocks() -> None:
    assert bytes(1024) == END

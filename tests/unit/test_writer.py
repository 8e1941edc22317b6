from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, BinaryIO, cast

import pytest

from tests.archives import (
    MAKER,
    File,
    FileWriter,
    Members,
    build,
    ignore,
    info,
    join,
    read,
    split,
    spool,
    temporary,
    trusted,
)
from wmbackup.archive import sshsig, tag_files
from wmbackup.archive.batch import BatchWriter, ContentMismatch
from wmbackup.archive.row_codec import FileRow, file_row, license_row
from wmbackup.archive.stream import AT_ONCE, PIECE_SIZE
from wmbackup.archive.writer import copy
from wmbackup.item import MAX_SIZE, Item
from wmbackup.license import License


def sign(message: bytes) -> bytes:
    return sshsig.sign(MAKER, message)


def sealed(made: FileWriter, output: BinaryIO | None = None) -> bytes:
    target = io.BytesIO() if output is None else output
    result = made.seal(target, info(), sign, ignore)
    target.seek(0)
    archive = target.read()
    assert result.size == len(archive)
    assert result.tag_manifest == split(archive)["tagmanifest-sha256.txt"]
    assert result.info == tag_files.parse_info(split(archive)["bag-info.txt"])
    return archive


def small(data: bytes) -> FileRow:
    return FileRow(len(data), 5, None, ())


def test_an_archive_has_exactly_these_bytes() -> None:
    known = License("wmdrm-v7", kid="k", rights={"AllowPlay": True})
    withheld = License("wmdrm-v7", kid="w", withheld=True)
    files = [
        File(b"b", b"x" * 600, 1_500_000_000, ("hidden",), (known,)),
        File(b"A", b"", -1),
        File(b"a?", b"item", 7),
    ]
    rows = (
        file_row(FileRow(0, -1, None, ())),
        file_row(FileRow(600, 1_500_000_000, None, ("hidden",))),
        file_row(FileRow(4, 7, b"a?", ())),
    )
    payload: Members = {"data/A": b"", "data/b": b"x" * 600, "data/item-0000001": b"item"}
    members: Members = {
        "README.txt": tag_files.README,
        "bag-info.txt": info(withheld=1, octets=604, files=3).encode(),
        "files.jsonl": b"".join(rows),
        "licenses.jsonl": license_row(known, b"data/b") + license_row(withheld, None),
        "manifest-sha256.txt": "".join(
            f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in payload.items()
        ).encode(),
    }
    hashes = {name: tag_files.sha256(text) for name, text in members.items()}
    signed = tag_files.tag_manifest(hashes | {"bagit.txt": tag_files.sha256(tag_files.BAGIT)})
    head: Members = {
        "bagit.txt": tag_files.BAGIT,
        "tagmanifest-sha256.txt": signed,
        "tagmanifest-sha256.txt.sig": sign(signed),
    }
    wanted = join(head | members | payload)
    assert build(files, [withheld]) == wanted
    assert build(files[::-1], [withheld], make_spool=temporary) == wanted


def large(size: int, step: int = 100_000) -> Iterator[bytes]:
    left = size
    while left:
        block = bytes([left % 251]) * min(step, left)
        yield block
        left -= len(block)


@pytest.mark.parametrize(
    "size", [0, 1, 512, *(PIECE_SIZE + at for at in (-513, -512, 0, 1)), 3_000_000]
)
def test_blocks_and_bytes_make_the_same_archive(size: int) -> None:
    data = b"".join(large(size))
    archives = []
    contents: tuple[Callable[[], bytes | Iterator[bytes]], ...] = (
        lambda: data,
        lambda: large(size),
        lambda: iter([b"", data, b""]),
    )
    for content in contents:
        made = FileWriter()
        made.add(small(b"first"), b"a", b"first")
        made.add(small(data), b"b", content())
        made.add(small(b"last"), b"c", b"last")
        archives.append(sealed(made))
    assert archives[0] == archives[1] == archives[2]
    assert [(item.path, found) for item, found in read(archives[0]).released] == [
        (b"a", b"first"),
        (b"b", data),
        (b"c", b"last"),
    ]


def test_progress_is_the_bytes_that_are_done() -> None:
    made = FileWriter()
    done: list[int] = []
    made.add(FileRow(250_000, 0, None, ()), b"a", large(250_000), tick=done.append)
    assert done == [100_000, 100_000, 50_000]
    done.clear()
    made.seal(io.BytesIO(), info(), sign, done.append)
    made.close()
    tables = len(file_row(FileRow(250_000, 0, None, ()))) + len("0" * 64 + "  data/a\n")
    assert sum(done) == tables + 512 + 250_000 + -250_000 % 512


class Stop(Exception):
    pass


def broken(found: Iterator[bytes]) -> Iterator[bytes]:
    yield from found
    raise Stop


def three(size: int = 3, path: bytes | None = None) -> FileRow:
    return FileRow(size, 0, path, ())


def blocks(*found: bytes) -> Iterator[bytes]:
    return iter(found)


NO_KID = License("k", kid="\ud800")
Refused = Callable[[FileWriter], None]
REFUSED: list[tuple[Refused, type[Exception]]] = [
    (lambda made: made.add(three(), b"b", b"12"), ContentMismatch),
    (lambda made: made.add(three(), b"b", b"1234"), ContentMismatch),
    (lambda made: made.add(three(), b"b", blocks(b"12")), ContentMismatch),
    (lambda made: made.add(three(), b"b", blocks(b"1", b"23", b"4")), ContentMismatch),
    (lambda made: made.add(three(), b"b", blocks()), ContentMismatch),
    (lambda made: made.add(three(path=b"?"), None, blocks(b"12")), ContentMismatch),
    (lambda made: made.add(three(), b"b", broken(blocks(b"123"))), Stop),
    (lambda made: made.add(three(MAX_SIZE + 1), b"b", b""), ValueError),
    (lambda made: made.add(three(-1), b"b", blocks()), ValueError),
    (lambda made: made.add(three(), b"b" * 85, b"123"), ValueError),
    (lambda made: made.add(three(), b"b" * 85, blocks(b"123")), ValueError),
    (lambda made: made.add(three(path=b"x" * 70000), None, b"123"), ValueError),
    (lambda made: made.add(three(), b"b", b"123", [License("K")]), ValueError),
    (lambda made: made.add(three(), b"b", b"123", [License("k"), NO_KID]), ValueError),
    (lambda made: made.add(three(), b"b", blocks(b"123"), [NO_KID]), ValueError),
]


@pytest.mark.parametrize(("refused", "error"), REFUSED)
@pytest.mark.parametrize("make_spool", [spool, temporary])
def test_what_is_refused_leaves_the_archive_as_it_was(
    refused: Refused,
    error: type[Exception],
    make_spool: Callable[[], IO[bytes]],
) -> None:
    def add_rest(made: FileWriter) -> bytes:
        made.add(small(b"c"), b"c", b"c", [License("k")])
        made.add(FileRow(1, 0, b"?", ()), None, iter([b"d"]))
        return sealed(made)

    plain = FileWriter()
    plain.add(small(b"a"), b"a", b"a")
    made = FileWriter(make_spool)
    made.add(small(b"a"), b"a", b"a")
    with pytest.raises(error):
        refused(made)
    assert (made.batch.files, made.batch.octets) == (1, 1)
    assert add_rest(made) == add_rest(plain)
    made.close()


def test_a_caller_that_stops_takes_the_file_back() -> None:
    def stop(_done: int) -> None:
        raise Stop

    made = FileWriter()
    with pytest.raises(Stop):
        made.add(FileRow(3, 0, None, ()), b"a", iter([b"123"]), tick=stop)
    made.add(small(b"b"), b"b", b"b")
    assert [item.path for item, _ in read(sealed(made)).released] == [b"b"]


def test_the_counts_of_bag_info_are_the_writers() -> None:
    made = FileWriter()
    made.add(small(b"abc"), b"a", b"abc")
    made.know(License("k", withheld=True))
    made.know(License("k"))
    wrong = info(withheld=9, octets=9, files=9, skipped=9)
    result = made.seal(io.BytesIO(), wrong, sign, ignore)
    assert result.info == info(withheld=1, octets=3, files=1, skipped=9)


def test_a_value_that_cannot_be_written_seals_nothing() -> None:
    made = FileWriter()
    made.add(small(b"abc"), b"a", b"abc")
    output = io.BytesIO()
    with pytest.raises(ValueError, match="cannot be written"):
        made.seal(output, info(host=""), sign, ignore)
    assert output.getvalue() == b""


def test_many_small_files_are_written_in_the_order_in_which_they_came() -> None:
    files = [File(b"%05d" % number, b"%d" % number * 300) for number in range(3000)]
    found = read(build(files, make_spool=temporary))
    assert [(item.path, data) for item, data in found.released] == [
        (file.path, file.data) for file in files
    ]


def test_closing_gives_every_private_file_back() -> None:
    spools: list[IO[bytes]] = []

    def counted() -> IO[bytes]:
        spools.append(spool())
        return spools[-1]

    made = FileWriter(counted)
    made.close()
    assert len(spools) == 4
    assert all(file.closed for file in spools)


@pytest.mark.parametrize("size", [0, 5, PIECE_SIZE - 1, PIECE_SIZE, 3 * PIECE_SIZE + 7])
@pytest.mark.parametrize("source_on_disk", [False, True])
@pytest.mark.parametrize("output_on_disk", [False, True])
def test_a_spool_is_copied_from_its_beginning(
    size: int, *, source_on_disk: bool, output_on_disk: bool
) -> None:
    data = os.urandom(size)
    done: list[int] = []
    with (
        temporary() if source_on_disk else spool() as source,
        temporary() if output_on_disk else spool() as output,
    ):
        source.write(data + b"not this")
        output.write(b"head")
        copy(source, cast("BinaryIO", output), 0, size, done.append)
        output.write(b"tail")
        output.seek(0)
        assert output.read() == b"head" + data + b"tail"
    assert sum(done) == size


@pytest.mark.parametrize("moves", [[], [3], [3, 0], [PIECE_SIZE, 0]])
def test_what_the_kernel_leaves_is_copied_by_hand(
    monkeypatch: pytest.MonkeyPatch, moves: list[int]
) -> None:
    real, left = os.copy_file_range, iter(moves)

    def some(source: int, output: int, _count: int, offset: int) -> int:
        moved = next(left, None)
        if moved is None:
            raise OSError(errno.EXDEV, "another file system")
        return real(source, output, moved, offset) if moved else 0

    monkeypatch.setattr(os, "copy_file_range", some)
    data = os.urandom(2 * PIECE_SIZE + 5)
    done: list[int] = []
    with temporary() as source, temporary() as output:
        source.write(data)
        copy(source, cast("BinaryIO", output), 0, len(data), done.append)
        output.seek(0)
        assert output.read() == data
    assert sum(done) == len(data)


def test_a_system_without_the_call_copies_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "copy_file_range")
    with temporary() as source, temporary() as output:
        source.write(bytes(PIECE_SIZE))
        copy(source, cast("BinaryIO", output), 0, PIECE_SIZE, ignore)
        assert output.tell() == PIECE_SIZE


def test_a_large_file_takes_no_memory(tmp_path: str) -> None:
    size = 64 * PIECE_SIZE
    block = bytes(PIECE_SIZE)

    class Nowhere(io.RawIOBase):
        written = 0

        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            assert isinstance(data, bytes)
            self.written += len(data)
            return len(data)

    class Receiver:
        staging = Nowhere()
        accepted = 0

        def put(self, item: Item, data: bytes) -> None:
            raise AssertionError((item, len(data)))

        def stage(self, _item: Item) -> BinaryIO:
            return cast("BinaryIO", self.staging)

        def accept(self, item: Item) -> None:
            self.accepted += item.size

    receiver = Receiver()
    with tempfile.TemporaryFile(dir=tmp_path) as output:
        tracemalloc.start()
        try:
            made = FileWriter(temporary)
            made.add(FileRow(size, 0, None, ()), b"a", (block for _ in range(64)))
            made.seal(cast("BinaryIO", output), info(), sign, ignore)
            made.close()
            output.seek(0)
            inventory = trusted(cast("BinaryIO", output)).read_head(temporary)
            inventory.check(ignore)
            assert len(list(inventory.verify_payload(receiver))) == 1
            inventory.close()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert receiver.accepted == receiver.staging.written == size
    assert peak < 6 * PIECE_SIZE


def test_the_members_of_the_head_have_one_order() -> None:
    assert list(split(build([File(b"a")]))) == [
        "bagit.txt",
        "tagmanifest-sha256.txt",
        "tagmanifest-sha256.txt.sig",
        "README.txt",
        "bag-info.txt",
        "files.jsonl",
        "licenses.jsonl",
        "manifest-sha256.txt",
        "data/a",
    ]


@pytest.mark.parametrize("make_spool", [spool, temporary])
def test_a_spool_that_lost_bytes_is_an_error_and_no_endless_loop(
    make_spool: Callable[[], IO[bytes]],
) -> None:
    with make_spool() as source, temporary() as output:
        source.write(bytes(PIECE_SIZE))
        with pytest.raises(OSError, match="ends too early"):
            copy(source, cast("BinaryIO", output), 0, PIECE_SIZE + 1, ignore)


def test_what_is_sealed_has_left_the_buffers(tmp_path: Path) -> None:
    made = FileWriter()
    made.add(small(b"a"), b"a", b"a")
    with (tmp_path / "archive").open("wb") as output:
        result = made.seal(output, info(), sign, ignore)
        assert (tmp_path / "archive").stat().st_size == result.size


def test_what_is_small_is_copied_in_memory_and_asks_for_no_descriptor(tmp_path: Path) -> None:
    asked: list[int] = []

    class InMemory(io.BytesIO):
        def fileno(self) -> int:
            asked.append(len(self.getvalue()))
            return super().fileno()

    made = FileWriter(InMemory)
    made.add(small(b"x"), b"data/a", b"x")
    with (tmp_path / "a.tar").open("w+b") as output:
        made.seal(output, info(), sign, ignore)
    assert asked == []


def test_small_files_do_not_wait_in_memory_for_the_end() -> None:
    kept = io.BytesIO()
    batch = BatchWriter(kept)
    data = bytes(4000)
    sizes = []
    for number in range(3 * AT_ONCE // len(data)):
        batch.add(FileRow(len(data), 0, b"%06d" % number, ()), None, data)
        sizes.append(kept.tell())
    assert max(later - before for before, later in pairwise(sizes)) < 2 * AT_ONCE
    assert sizes[-1] >= 2 * AT_ONCE

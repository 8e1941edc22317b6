from __future__ import annotations

import errno
import io
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import make
import olefile
import pytest

from tests.growth import grows_in_proportion
from wmbackup.formats import compound, recognize, recognize_file
from wmbackup.license import License

LICENSE = make.v7().encode("utf-16-le")
OPAQUE = (License(kind="wmdrm-v7-store"),)


def kids(data: bytes) -> list[str | None]:
    return [license_.kid for license_ in recognize(b"drmv2.lic", data)]


def contents(data: bytes) -> list[bytes]:
    return [b"".join(stream.chunks) for stream in compound.streams(io.BytesIO(data), len(data))]


def patched(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value + data[place + len(value) :]


@pytest.mark.parametrize("sector", [512, 4096])
def test_streams_of_every_size(sector: int) -> None:
    sizes = (0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 70_000, 200_000)
    streams = {f"S{size}": bytes(index % 251 for index in range(size)) for size in sizes}
    assert contents(make.compound(streams, sector)) == [data for data in streams.values() if data]


def test_streams_that_are_not_contiguous() -> None:
    streams = {"A": b"a" * 200, "B": b"b" * 200}
    data = make.compound(streams)
    # FAT, directory, mini FAT, mini stream: exchange the second mini sector of A with that of B.
    mini_fat, mini = 512 * 3, 512 * 4
    table = list(struct.unpack_from("<8I", data, mini_fat))
    table = [5, 2, 3, table[3], 1, 6, 7, table[7]]
    table[0], table[5], table[4], table[1] = 5, 2, 1, 6
    data = patched(data, mini_fat, struct.pack("<8I", *table))
    swapped = data[mini + 5 * 64 : mini + 6 * 64], data[mini + 64 : mini + 128]
    data = patched(patched(data, mini + 64, swapped[0]), mini + 5 * 64, swapped[1])
    assert contents(data) == list(streams.values())


def test_recognizable_licenses_are_read_and_the_rest_is_opaque() -> None:
    streams = {
        "State": b"\x01" * 9000,
        "Wide": LICENSE,
        "Narrow": make.v7(make.OTHER_KID).encode(),
        "Prefixed": b"\x07\0\0" + LICENSE + b"\0",
        "V1": make.v1(),
        "PlayReady": make.playready((1, make.wrmheader().encode("utf-16-le"))),
    }
    found = recognize(b"any name", make.compound(streams))
    assert [license_.kind for license_ in found] == [
        *("wmdrm-v7", "wmdrm-v7", "wmdrm-v7", "wmdrm-v1", "playready-header")
    ]


def test_an_opaque_compound_file_is_named_by_its_own_name_only() -> None:
    data = make.compound({"WordDocument": bytes(5000)})
    assert recognize(b"report.doc", data) == ()
    assert recognize(b"drmv2.lic", data) == OPAQUE
    assert recognize(b"drmv2.sst", make.compound({})) == (License(kind="wmdrm-v7-state"),)


def test_compound_files_do_not_nest() -> None:
    assert recognize(b"x", make.compound({"In": make.compound({"A": LICENSE}) * 2})) != ()
    inner = make.compound({"A": make.v1()})
    assert recognize(b"x", make.compound({"In": inner})) == ()


def test_licenses_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmbackup.formats.scan.MAX_LICENSES", 3)
    assert len(kids(make.compound({f"S{index}": LICENSE for index in range(5)}))) == 3
    assert len(kids(make.compound({f"S{index}": LICENSE * 2 for index in range(5)}))) == 3


HEADER_FAULTS = [
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe2"),
    (30, b"\x0a\0"),
    (30, b"\xff\xff"),
    (32, b"\x07\0"),
    (44, b"\xff\xff\xff\x7f"),
    (48, b"\xff\xff\xff\xff"),
    (48, b"\0\0\0\0"),
    (68, b"\0\0\0\0\x01\0\0\0"),
    (68, b"\xf0\0\0\0\xff\0\0\0"),
    (76, b"\xf0\0\0\0"),
    (76, b"\xff\xff\xff\xff"),
]


@pytest.mark.parametrize(("place", "value"), HEADER_FAULTS)
def test_a_damaged_header_makes_it_opaque(place: int, value: bytes) -> None:
    data = patched(make.compound({"A": LICENSE}), place, value)
    assert contents(data) == []
    assert recognize(b"any name", data) == ()


def test_a_damaged_store_is_still_looked_through() -> None:
    data = patched(make.compound({"A": LICENSE}), 30, b"\xff\xff")
    assert kids(data) == [make.KID]
    large = data + bytes(2**20)
    assert recognize_file(b"drmv2.lic", io.BytesIO(large), len(large))[0].kid == make.KID
    assert recognize_file(b"any name", io.BytesIO(large), len(large)) == ()


@pytest.mark.parametrize("size", [8, 100, 511, 512, 513, 1024, 1100])
def test_a_truncated_file_is_opaque(size: int) -> None:
    assert recognize(b"drmv2.lic", make.compound({"A": LICENSE})[:size]) == OPAQUE


def test_a_stream_that_ends_early_yields_what_is_there() -> None:
    data = make.compound({"A": LICENSE, "B": LICENSE})
    assert len(kids(data[:-1024])) == 2
    assert kids(data[:-1024])[0] == make.KID
    assert kids(data[:-1024])[1] is None


def test_cyclic_chains_end() -> None:
    data = make.compound({"A": b"x" * 5000, "B": LICENSE})
    for sector in range(20):  # each sector in turn follows itself, or the first
        for target in (sector, 0, 1, 3):
            fault = patched(data, 512 + 4 * sector, struct.pack("<I", target))
            assert len(recognize(b"drmv2.lic", fault)) < 100


def test_a_cyclic_mini_chain_ends() -> None:
    data = make.compound({"A": b"x" * 3000})
    fault = patched(data, 512 * 3, struct.pack("<2I", 1, 0))
    assert contents(fault) == [b"x" * 3000]


def test_a_mini_stream_shorter_than_its_table() -> None:
    data = make.compound({"A": b"x" * 3000})
    assert contents(patched(data, 1024 + 120, struct.pack("<I", 512))) == [b"x" * 512]


def test_a_directory_without_root_has_no_mini_stream() -> None:
    data = make.compound({"A": b"x" * 3000, "B": b"y" * 5000})
    assert contents(patched(data, 1024 + 66, b"\x01")) == [b"", b"y" * 5000]


def test_streams_that_overlap_yield_no_more_than_the_file() -> None:
    count = 2000
    data = make.compound({"Big": b"x" * 200_000} | dict.fromkeys(map(str, range(count)), b""))
    entry = struct.unpack_from("<II", _entry(data, 1), 116)
    for index in range(2, count + 2):
        place = _place(data, index) + 116
        data = patched(data, place, struct.pack("<II", *entry))
    assert sum(map(len, contents(data))) <= len(data)


def _place(data: bytes, index: int) -> int:
    (directory,) = struct.unpack_from("<I", data, 48)
    return int((directory + 1) * 512 + index * 128)


def _entry(data: bytes, index: int) -> bytes:
    return data[_place(data, index) : _place(data, index) + 128]


def test_ten_thousand_streams_take_no_square_of_time_and_no_recursion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the square of the streams, or a recursion")

    for name in ("_check_duplicate_stream", "loaddirectory"):
        monkeypatch.setattr(olefile.OleFileIO, name, refuse)

    def work(streams: int) -> Callable[[], object]:
        data = make.compound({f"License{index}": b"x" * 64 for index in range(streams)})
        return lambda: contents(data)

    assert len(contents(make.compound({f"{at}": b"x" * 64 for at in range(10_000)}))) == 10_000
    grows_in_proportion(work, 1000)


def test_tables_that_are_read_again_and_again_end_with_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compound, "_MAX_TABLES", 1000)
    data = make.compound({"A": LICENSE})
    assert contents(data) == []


@pytest.mark.parametrize("error", [IndexError, ValueError, struct.error, OSError])
def test_whatever_olefile_trips_over_is_opaque(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(_ole: object, _header: bytes) -> None:
        raise error("tripped")

    monkeypatch.setattr(olefile.OleFileIO, "loadfat", trip)
    assert contents(make.compound({"A": LICENSE})) == []


def test_a_file_beyond_the_limit_is_opaque() -> None:
    data = make.compound({"A": LICENSE})
    assert list(compound.streams(io.BytesIO(data), compound.MAX_SIZE + 1)) == []


def test_a_disk_that_fails_is_not_a_damaged_file() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() >= 512:
                raise OSError(errno.EIO, "broken")
            return super().read(size)

    data = make.compound({"A": LICENSE})
    with pytest.raises(OSError, match="broken"):
        list(compound.streams(Broken(data), len(data)))


def blocks(size: int) -> Iterator[bytes]:
    block = bytes(2**20)
    yield from (block[: min(2**20, size - place)] for place in range(0, size, 2**20))


def test_200_megabytes_in_bounded_memory(tmp_path: Path) -> None:
    size = 190 * 2**20
    large = {"Large": (size + len(LICENSE), lambda: (*blocks(size), LICENSE))}
    streams = {f"License{index}": make.v7(str(index)).encode() for index in range(500)}
    path = tmp_path / "drmv2.lic"
    with open(path, "wb") as output:
        make.write_compound(output, streams | {"Last": LICENSE}, large)
    total = path.stat().st_size
    assert total > 190 * 2**20
    with open(path, "rb") as file:
        tracemalloc.start()
        found = recognize_file(b"drmv2.lic", file, total)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [license_.kid for license_ in found[:2]] == ["0", "1"]
    assert len(found) == 502
    assert peak < 32 * 2**20


def test_olefile_is_loaded_only_where_it_is_needed() -> None:
    code = (
        "import sys, wmbackup.formats as f; f.recognize(b'a', b'<x/>');"
        "sys.exit('olefile' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

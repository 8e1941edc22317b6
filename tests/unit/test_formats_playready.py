from __future__ import annotations

import struct

import make
import pytest

from wmbackup.formats import recognize
from wmbackup.license import License

ATTRIBUTES = {
    "LicenseAcquisitionURL": make.URL,
    "LicenseUserInterfaceURL": "https://shop.example/",
    "DomainServiceID": "AH+03juKbUGbHl1V/QIwRA==",
}


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


@pytest.mark.parametrize("version", ["4.0.0.0", "4.1.0.0", "4.2.0.0", "4.3.0.0"])
def test_each_version(version: str) -> None:
    data = make.playready((1, wide(make.wrmheader(version))))
    assert recognize(b"x", data) == (
        License(kind="playready-header", kid=make.KID, attributes=ATTRIBUTES),
    )


def test_one_license_for_each_key_id() -> None:
    kids = (make.KID, make.OTHER_KID, make.KID, *(f"K{index}" for index in range(100)))
    found = recognize(b"x", make.playready((1, wide(make.wrmheader("4.3.0.0", kids)))))
    assert [license_.kid for license_ in found[:3]] == [make.KID, make.OTHER_KID, "K0"]
    assert len(found) == 64


def test_a_header_without_key_id() -> None:
    (found,) = recognize(b"x", make.playready((1, wide(make.wrmheader("4.2.0.0", ())))))
    assert (found.kind, found.kid) == ("playready-header", None)


def test_an_embedded_license_store_is_opaque() -> None:
    header = (1, wide(make.wrmheader()))
    found = recognize(b"x", make.playready((3, b"\0opaque"), header, (2, b"reserved")))
    assert found[0] == License(kind="playready-license")
    assert found[1].kid == make.KID
    assert len(recognize(b"x", make.playready(header, (3, bytes(100))))) == 1


@pytest.mark.parametrize("text", ["<WRMHEADER>", "<OTHER/>", "", "\ud800<a"])
def test_a_header_that_cannot_be_read_is_opaque(text: str) -> None:
    data = make.playready((1, text.encode("utf-16-le", "surrogatepass")))
    assert recognize(b"x", data) == (License(kind="playready-header"),)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_header_that_stands_alone(encoding: str) -> None:
    text = '<?xml version="1.0"?>\n' + make.wrmheader("4.1.0.0")
    assert recognize(b"x", text.encode(encoding))[0].kid == make.KID


def test_a_big_endian_header_with_byte_order_mark() -> None:
    data = b"\xfe\xff" + make.wrmheader().encode("utf-16-be")
    assert recognize(b"x", data)[0].kid == make.KID


def test_the_header_of_windows_media_itself() -> None:
    (found,) = recognize(b"x", make.wrmheader("2.0.0.0", more="<Title>T</Title>").encode())
    assert (found.kind, found.kid, found.attributes["Title"]) == ("wmdrm-header", make.KID, "T")


@pytest.mark.parametrize(
    "data",
    [
        make.playready(),
        make.playready((2, b"x"), (4, b"y")),
        make.playready((1, wide(make.wrmheader())))[:-1],
        make.playready((1, wide(make.wrmheader()))) + b"\0",
        struct.pack("<IHHH", 10, 1, 1, 1),
        struct.pack("<IHH", 8, 1, 1),
        struct.pack("<IHHH", 10, 2, 1, 0),
        struct.pack("<IHHHB", 11, 1, 1, 0, 0),
        struct.pack("<I", 4),
        b"<a>" + b" " * 70_000 + make.wrmheader().encode() + b"</a>",
        b"<WRMHEADER",
        b"<WRMHEADERS/>",
    ],
)
def test_lengths_fit_to_the_byte(data: bytes) -> None:
    assert recognize(b"x", data) == ()

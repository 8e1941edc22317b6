from __future__ import annotations

import base64

import make
import pytest

from wmbackup.formats import forbids_backup, recognize
from wmbackup.license import License


def test_what_can_be_read_of_a_license() -> None:
    assert recognize(b"a", make.v1(security=1000, expires=b"\x14\x06\x01\x02")) == (
        License(
            kind="wmdrm-v1",
            kid=make.KID,
            expires="14060102",
            rights={"AllowBackupRestore": True, "Rights": "01000000", "AppSec": 1000},
        ),
    )


@pytest.mark.parametrize(
    ("rights", "forbidden"),
    [(b"\x01\0\0\0", False), (b"\x04\0\0\0", True), (b"\xff\xff\xff\xff", True)],
)
def test_bit_4_says_that_it_may_not_be_restored(rights: bytes, *, forbidden: bool) -> None:
    (license_,) = recognize(b"a", make.v1(rights=rights))
    assert forbids_backup(license_) is forbidden


@pytest.mark.parametrize("kid", [make.KID, "custom-key", "k" * 24])
@pytest.mark.parametrize("head", [make.V1_HEAD, b"\0\1\0\0\x75\0\0\0"])
def test_a_key_id_of_any_form_is_found_behind_the_head(kid: str, head: bytes) -> None:
    (license_,) = recognize(b"a", make.v1(kid, rights=b"\x05\0\0\0", head=head))
    assert license_.kid == kid
    assert forbids_backup(license_)


@pytest.mark.parametrize("width", [64, 76, 100_000])
def test_lines_of_any_length(width: int) -> None:
    assert recognize(b"a", b"\r\n" + make.v1(width=width) + b"\r\n")[0].kid == make.KID


def test_the_key_is_never_shown() -> None:
    assert "KKK" not in repr(recognize(b"a", make.v1()))


@pytest.mark.parametrize(
    "data",
    [
        make.v1("custom key"),
        make.v1("custom key", head=make.V1_HEAD),
        make.v1("k" * 25, head=make.V1_HEAD),
        make.v1("custom-key", head=b"\0\1\0\1\x76\0\0\0"),
        make.v1("custom-key", head=b"\0\2\0\1\x75\0\0\0"),
        make.v1(make.KID[:-1] + "A"),
        make.v1(width=100_000)[:216],
        make.v1() + b"!",
        make.v1(width=100_000)[:-3],
        base64.b64encode(bytes(48) + make.KID.encode() + b"\0" + bytes(91)),
        base64.b64encode(bytes(300)),
        b"A" * 65537,
        b"A" * 64,
        b"plain words " * 100,
    ],
)
def test_what_is_not_one(data: bytes) -> None:
    assert recognize(b"a", data) == ()


def test_the_shortest_one() -> None:
    data = bytes(48) + make.KID.encode() + b"\0" + bytes(92)
    assert recognize(b"a", base64.b64encode(data))[0].expires == "00000000"

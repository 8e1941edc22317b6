from __future__ import annotations

import io

import make
import pytest

from wmbackup.formats import (
    detect,
    kind_of_file,
    playready,
    recognize,
    recognize_file,
    wmdrm_v1,
    wmdrm_v2,
)
from wmbackup.formats.detect import WHOLE
from wmbackup.license import KINDS, License


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"drmv1.key", "wmdrm-v1-key"),
        (b"DRMv1.lic", "wmdrm-v1-store"),
        (b"drmv2.lic", "wmdrm-v7-store"),
        (b"drmv2.sst", "wmdrm-v7-state"),
        (b"drmstore.hds", "wmdrm-data-store"),
        (b"mspr.hds", "playready-store"),
        (b"drmv1key.bak", "wmdrm-v1-key-backup"),
        (b"drmv1lic.bak", "wmdrm-v1-backup"),
        (b"drmv2key.bak", "wmdrm-v7-key-backup"),
        (b"drmv2lic.bak", "wmdrm-v7-backup"),
        (b"a.bla", "wmdrm-other"),
        (b"a.sec", "wmdrm-other"),
        (b"IndivBox.key", "wmdrm-other"),
        (b"a.lic", None),
        (b"a.bak", None),
        (b"", None),
    ],
)
def test_files_are_named_for_what_they_are(name: bytes, kind: str | None) -> None:
    assert kind_of_file(name) == kind


def test_a_store_file_is_opaque_where_nothing_is_recognized() -> None:
    assert recognize(b"DRMV2.SST", b"\0") == (License(kind="wmdrm-v7-state"),)
    assert recognize(b"drmv1key.bak", b"") == (License(kind="wmdrm-v1-key-backup"),)


def test_a_name_alone_makes_no_license_of_any_file() -> None:
    assert recognize(b"individual report.doc", b"words") == ()
    assert recognize(b"a.sec", b"words") == ()


@pytest.mark.parametrize(("name", "data"), make.everything().items())
def test_a_file_and_its_bytes_are_the_same(name: str, data: bytes) -> None:
    found = recognize_file(name.encode(), io.BytesIO(data), len(data))
    assert found == recognize(name.encode(), data)


def test_a_large_file_of_many_licenses() -> None:
    spaces = " " * (WHOLE // 3 + 1)
    text = make.response(*(make.v7(f"kid-{index}") + spaces for index in range(12)))
    for encoding in ("utf-8", "utf-16-le", "utf-16"):
        data = text.encode(encoding)
        found = recognize_file(b"x", io.BytesIO(data), len(data))
        assert [license_.kid for license_ in found] == [f"kid-{index}" for index in range(12)]


def test_a_license_at_every_place_of_a_window() -> None:
    license_ = make.v7().encode()
    for place in range(WHOLE // 2 - 4000, WHOLE // 2 + 2000, 500):
        data = b"<x>".ljust(place) + license_ + b" " * WHOLE + license_
        found = recognize_file(b"x", io.BytesIO(data), len(data))
        assert [found.kid for found in found] == [make.KID] * 2


def test_a_license_too_long_in_a_large_file_is_opaque() -> None:
    data = make.v7(data="x" * (3 * WHOLE)).encode()
    found = recognize_file(b"x", io.BytesIO(data), len(data))
    assert found == (License(kind="wmdrm-v7"),)


def test_a_large_file_of_nothing() -> None:
    data = bytes(3 * WHOLE)
    assert recognize_file(b"x", io.BytesIO(data), len(data)) == ()
    expected = (License(kind="wmdrm-data-store"),)
    assert recognize_file(b"drmstore.hds", io.BytesIO(data), len(data)) == expected


def test_licenses_between_the_bytes_of_a_large_store() -> None:
    data = bytes(2 * WHOLE) + make.v7().encode("utf-16-le") + bytes(100)
    assert recognize_file(b"drmv2lic.bak", io.BytesIO(data), len(data))[0].kid == make.KID


def test_tags_that_are_never_closed_take_no_square_of_time() -> None:
    data = b'<LICENSE version="2.0.0.0">' * 20_000
    found = recognize(b"x", data)
    assert all(license_ == License(kind="wmdrm-v7") for license_ in found)
    assert len(found) == 16_384


def test_tags_of_others_are_counted() -> None:
    for tag in (b"<LICENSE >", b"<LICENSE >x</LICENSE>"):
        data = b"<x>" + tag * 70_000 + make.v7().encode()
        assert recognize(b"a", data) == ()
        assert len(recognize(b"a", b"<x>" + tag * 60_000 + make.v7().encode())) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("large", [False, True])
def test_a_license_behind_empty_lines(encoding: str, *, large: bool) -> None:
    text = "\r\n\t " * 300 + make.v7() + " " * WHOLE * large
    data = text.encode(encoding)
    found = recognize_file(b"a.lic", io.BytesIO(data), len(data))
    assert [license_.kid for license_ in found] == [make.KID]


def test_what_begins_as_no_text_of_any_encoding_is_nothing() -> None:
    license_ = make.v7().encode()
    for head in (b"x", b"\0 ", b" \0", b"\xff\xfe ", b"\xef\xbb"):
        assert recognize(b"a.lic", head + license_) == ()


def test_every_kind_is_a_known_one() -> None:
    alone = {playready.KIND, playready.LICENSE_STORE, playready.OLDER, wmdrm_v1.KIND}
    alone |= {wmdrm_v2.KIND, wmdrm_v2.RESPONSE, detect.OTHER, detect._PLAYREADY_STORE}
    assert alone | set(detect._KINDS.values()) == set(KINDS)
    assert len(KINDS) == len(set(KINDS))

from __future__ import annotations

import make
import pytest

from wmbackup.archive.row_codec import MAX_LINE, license_row
from wmbackup.formats import forbids_backup, recognize, scan
from wmbackup.formats.text import date, number, truth
from wmbackup.license import License


def read(text: str | bytes, name: bytes = b"a.lic") -> tuple[License, ...]:
    return recognize(name, text.encode() if isinstance(text, str) else text)


def one(text: str | bytes) -> License:
    (license_,) = read(text)
    return license_


def test_what_can_be_read_of_a_license() -> None:
    data = "".join(
        (
            make.right("AllowPlay", "true"),
            make.right("AllowBackupRestore", "1"),
            make.right("PlayCount", "12"),
            make.right("BeginDate", "#20040101 00:00Z#"),
            make.right("ExpirationDate", "20301231Z"),
            "<LAINFO>https://shop.example/?a=1&amp;b=2</LAINFO>",
        )
    )
    assert one(make.v7(data=data)) == License(
        kind="wmdrm-v7",
        kid=make.KID,
        lid=make.LID,
        issued="2004-05-06T07:08:09Z",
        begins="2004-01-01T00:00:00Z",
        expires="2030-12-31T00:00:00Z",
        rights={
            "AllowPlay": True,
            "AllowBackupRestore": True,
            "PlayCount": 12,
            "BeginDate": "2004-01-01T00:00:00Z",
            "ExpirationDate": "2030-12-31T00:00:00Z",
        },
        attributes={
            "Priority": "10",
            "LicenseAcquisitionURL": "https://shop.example/?a=1&b=2",
            **make.META,
        },
    )


@pytest.mark.parametrize(
    "data",
    [
        f"<UPLINKID>{make.OTHER_KID}</UPLINKID>",
        f"<UplinkKid> {make.OTHER_KID} </UplinkKid>",
        f"<UPLINKS><UPLINK><KID>{make.OTHER_KID}</KID></UPLINK></UPLINKS>",
        f'<UPLINK KID="{make.OTHER_KID}"/>',
        f"<META><UplinkID>{make.OTHER_KID}</UplinkID></META>",
    ],
)
def test_leaf_of_a_chain_names_its_root(data: str) -> None:
    license_ = one(make.v7(data=data))
    assert (license_.kid, license_.root) == (make.KID, make.OTHER_KID)
    assert one(make.v7(data=data.replace(make.OTHER_KID, make.KID))).root is None
    assert one(make.v7(data=data.replace(make.OTHER_KID, ""))).root is None
    assert one(make.v7()).root is None


def test_no_key_material_is_ever_shown() -> None:
    meta = {"Title": "x", "SIGNATURE": make.FILLER, "ENABLINGBITS": make.FILLER}
    license_ = one(make.v7(meta=meta))
    assert make.FILLER[:8] not in repr(license_)
    assert license_.attributes == {"Priority": "10", "Title": "x"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be", "utf-16"])
def test_every_encoding_with_and_without_byte_order_mark(encoding: str) -> None:
    text = "\r\n" + make.v7(meta={"Title": "Käse \U0001f9c0"}) + "\r\n"
    first, second = read((text + make.v7(make.OTHER_KID)).encode(encoding))
    assert first.attributes["Title"] == "Käse \U0001f9c0"
    assert (first.kid, second.kid) == (make.KID, make.OTHER_KID)


def test_a_big_endian_byte_order_mark() -> None:
    assert one(b"\xfe\xff" + make.v7().encode("utf-16-be")).kid == make.KID


def test_licenses_in_a_response() -> None:
    found = read(make.response(make.v7(), make.sealed(), make.v7(make.OTHER_KID, version="")))
    assert [license_.kind for license_ in found] == ["wmdrm-v7", "wmdrm-response", "wmdrm-v7"]


@pytest.mark.parametrize(
    "text",
    [
        make.sealed(),
        make.sealed("1.0.0.0"),
        make.response(make.sealed()),
        make.response("<LICENSE>Zm9v</LICENSE>"),
        make.response(),
        make.response("<LICENSE/>", "<LICENSE></LICENSE>"),
        make.response("<REVINFO/>"),
    ],
)
def test_an_encrypted_response_is_opaque(text: str) -> None:
    assert read(text) == (License(kind="wmdrm-response"),)


def test_a_response_may_carry_version_1() -> None:
    text = make.response(f'<LICENSE version="1.0.0.0">{make.v1().decode()}</LICENSE>')
    assert one(text).kind == "wmdrm-v1"


@pytest.mark.parametrize(
    "text",
    [
        "<LICENSE>MIT</LICENSE>",
        "<LICENSE version='3.1'><TEXT>GPL</TEXT></LICENSE>",
        "<LICENSE version='3.1'><TEXT>GPL</LICENSE>",
        "<LICENSES version='2.0.0.0'/>",
        '<LICENSE version="2.0.0.0"></LICENSE>',
        "<LICENSE never closed",
        "<html><body>2.0.0.0</body></html>",
        "LICENSE",
        "<",
        "",
    ],
)
def test_other_software_has_licenses_too(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        make.v7()[:-20],
        make.v7().replace("</KID>", "</KIT>"),
        make.v7(data="<a>" * 100 + "</a>" * 100),
        make.v7(data="<a/>" * 5000),
        make.v7(data="x" * 600_000),
        make.v7(data="\u4e00" * 100_000 + "<a/>" * 50_000),
        make.response("<LICENSE><a>"),
    ],
)
def test_a_license_that_cannot_be_parsed_is_opaque(text: str) -> None:
    assert read(text) == (License(kind="wmdrm-v7"),)


def test_no_document_type_declaration_is_ever_obeyed() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    fetch = '<!DOCTYPE x [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
    for declaration in (bomb, fetch):
        assert one(declaration + make.v7(meta={"Title": "&b;"})).attributes["Title"] == "&b;"
        inside = make.v7().replace("<DATA>", f"<DATA>{declaration}")
        assert read(inside) == (License(kind="wmdrm-v7"),)


def test_stray_ampersands_and_controls_are_mended() -> None:
    title = "Rock & Roll \x01 &lt;3 &nbsp;"
    license_ = one(make.v7(meta={"Title": title, "URL": "https://x.example/?a=1&b=2&#65;"}))
    assert license_.attributes["Title"] == "Rock & Roll \ufffd <3 &nbsp;"
    assert license_.attributes["URL"] == "https://x.example/?a=1&b=2A"


def test_bytes_that_are_no_text() -> None:
    assert one(make.v7(meta={"Title": "@"}).encode().replace(b"@", b"\xff")).attributes[
        "Title"
    ] == ("\ufffd")
    wide = make.v7(meta={"Title": "@"}).encode("utf-16-le").replace(b"@\0", b"\x00\xd8")
    assert "\ud800" not in one(wide).attributes.get("Title", "")


def test_prefixes_and_cdata_and_comments_and_nesting() -> None:
    data = "<x:AllowCopy>no</x:AllowCopy><!-- <KID>no</KID> --><a>lost<b>3</b>lost</a>"
    license_ = one(
        make.v7(
            data=data, meta={"Title": "<![CDATA[<b>]]>", "More": "<Deep>in<X/></Deep><D2>t</D2>"}
        )
    )
    assert license_.rights == {"AllowCopy": False}
    assert license_.attributes["Title"] == "<b>"
    assert license_.attributes["D2"] == "t"


def test_rights_named_by_attributes() -> None:
    data = (
        '<RIGHT name="AllowBackupRestore" value="false"/><RIGHT type="PlayCount">7</RIGHT>'
        '<RIGHTS AllowCopy="yes" other="x"/><AllowPlay value="0"/><RIGHT name="Unknown">1</RIGHT>'
    )
    assert one(make.v7(data=data)).rights == {
        "AllowBackupRestore": False,
        "PlayCount": 7,
        "AllowCopy": True,
        "AllowPlay": False,
    }


def test_conditions_are_reported_and_not_evaluated() -> None:
    data = (
        '<ONACTION type="Play"><CONDITION><![CDATA[counter > 0]]></CONDITION>'
        "<ACTION>counter--</ACTION></ONACTION>"
        '<ONACTION type="Backup"/><ONSTORE><ACTION>counter = 5</ACTION></ONSTORE>'
        "<ONSELECT><CONDITION>1</CONDITION></ONSELECT><ONCLOCKROLLBACK></ONCLOCKROLLBACK>"
    )
    license_ = one(make.v7(data=data))
    assert license_.rights == {
        "Play": "counter > 0",
        "Backup": True,
        "ONSTORE": "counter = 5",
        "ONSELECT": "1",
    }
    assert license_.backup_allowed is None


@pytest.mark.parametrize(
    ("data", "forbidden"),
    [
        ("", False),
        (make.right("AllowBackupRestore", "true"), False),
        (make.right("AllowBackupRestore", "false"), True),
        (make.right("AllowBackupRestore", " 0 "), True),
        (make.right("AllowBackupRestore", "perhaps"), False),
        (make.right("AllowBackupRestore", ""), False),
        (make.right("AllowBackupRestore", " "), False),
        (make.right("AllowBackupRestore", "1") + make.right("AllowBackupRestore", "0"), True),
        (make.right("AllowBackupRestore", "0") + make.right("AllowBackupRestore", "1"), True),
        (make.right("AllowCopy", "false"), False),
    ],
)
def test_only_an_explicit_no_forbids_a_backup(data: str, *, forbidden: bool) -> None:
    assert forbids_backup(one(make.v7(data=data))) is forbidden


def test_an_opaque_license_forbids_nothing() -> None:
    assert not forbids_backup(License(kind="wmdrm-response"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#20040506 07:08:09Z#", "2004-05-06T07:08:09Z"),
        ("#20040506 07:08Z#", "2004-05-06T07:08:00Z"),
        ("#20040506 07Z#", "2004-05-06T07:00:00Z"),
        (" #20040506Z# ", "2004-05-06T00:00:00Z"),
        ("20040506Z", "2004-05-06T00:00:00Z"),
        ("00010101Z", "0001-01-01T00:00:00Z"),
        ("20040506", "20040506"),
        ("#20040506Z", "#20040506Z"),
        ("20041306Z", "20041306Z"),
        ("#20040506 25Z#", "#20040506 25Z#"),
        ("\u0662\u0660\u0660\u06640506Z", "\u0662\u0660\u0660\u06640506Z"),
        ("next spring", "next spring"),
        ("x" * 100, "x" * 63 + "\u2026"),
        (" ", None),
    ],
)
def test_dates_as_documented_and_else_as_they_stand(text: str, expected: str | None) -> None:
    assert date(text) == expected


def test_numbers_that_a_row_cannot_hold_stay_text() -> None:
    assert number(" 9007199254740991 ") == "9007199254740991"
    assert number("123456789012345") == 123456789012345
    assert number("\u00b2") == "\u00b2"
    assert number("-1") == "-1"
    assert truth("maybe") == "maybe"


def test_identifiers_are_whole_or_unknown() -> None:
    license_ = one(make.v7("k" * 257, lid="  custom key \x7f "))
    assert license_.kid is None
    assert license_.lid == "custom key \ufffd"
    assert one(make.v7(" ")).kid is None


def test_the_largest_license_fits_a_row_with_its_attributes() -> None:
    wide = "\U0001f9c0" * 1100
    meta = {f"Name{index}": wide for index in range(20)}
    data = "".join(
        f'<ONACTION type="Action{index}"><CONDITION>{wide}</CONDITION></ONACTION>'
        for index in range(20)
    )
    license_ = one(make.v7(wide[:256], lid=wide[:256], meta=meta, data=data))
    assert len(license_.attributes["Name0"]) == 1024
    line = license_row(license_, b"data/" + b"n" * 250)
    assert 40_000 < len(line) <= MAX_LINE
    assert b'"attributes":{' in line


def test_entries_are_counted() -> None:
    meta = {f"N{index}": "x" for index in range(200)}
    data = "".join(f'<ONACTION type="A{index}"/>' for index in range(200))
    license_ = one(make.v7(meta=meta, data=data))
    assert len(license_.attributes) == 64
    assert len(license_.rights) == 64


def test_licenses_of_one_file_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MAX_LICENSES", 3)
    assert len(read(make.v7() * 5)) == 3


def test_licenses_between_bytes_of_a_store_alone() -> None:
    data = b"\x07\x01header" + make.v7().encode() + b"\0\xffx" + make.v7().encode("utf-16-le")
    assert read(data) == ()
    assert [license_.kid for license_ in read(data, b"drmv2lic.bak")] == [make.KID, make.KID]


def test_what_is_not_closed_hides_nothing_behind_it() -> None:
    first, second = read(make.v7()[:300] + make.v7(make.OTHER_KID))
    assert first == License(kind="wmdrm-v7")
    assert second.kid == make.OTHER_KID


def test_what_is_not_closed_hides_nothing_before_it() -> None:
    first, second = read(make.v7() + '<LICENSE version="2.0.0.0"><KID>')
    assert first.kid == make.KID
    assert second == License(kind="wmdrm-v7")

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.archives import info
from wmbackup.archive import tag_files
from wmbackup.errors import ArchiveDamaged, UnsupportedArchive

HASHES = {name: f"{number:064x}" for number, name in enumerate(tag_files.TAGGED, 10)}
FULL = info(
    withheld=1,
    skipped=2,
    octets=3,
    files=4,
    machine="m",
    recipients="r",
    chain="f" * 32,
    sequence=5,
    previous="0" * 64,
    other=(("A", "x"), ("WMBackup-New", "y"), ("a", "z")),
)
TEXT = b"""\
WMBackup-Format: 1
WMBackup-Archive-Id: 0123456789abcdef0123456789abcdef
WMBackup-Created: 2026-11-23T12:00:00Z
WMBackup-Host: host
WMBackup-Store-Kind: folder
WMBackup-Store: /store
WMBackup-Signer: %s
WMBackup-Withheld: 1
WMBackup-Skipped: 2
Payload-Oxum: 3.4
Bag-Software-Agent: tests
WMBackup-Machine: m
WMBackup-Recipients: r
WMBackup-Chain: ffffffffffffffffffffffffffffffff
WMBackup-Sequence: 5
WMBackup-Previous: 0000000000000000000000000000000000000000000000000000000000000000
A: x
WMBackup-New: y
a: z
""" % FULL.signer.encode()


def test_bagit_txt_is_54_bytes() -> None:
    assert len(tag_files.BAGIT) == 54


def test_the_tag_manifest_has_six_lines_and_477_bytes() -> None:
    text = tag_files.tag_manifest(HASHES)
    assert len(text) == tag_files.TAG_MANIFEST_SIZE == 477
    assert text.startswith(b"%064x  README.txt\n%064x  bag-info.txt\n" % (10, 11))
    assert tag_files.parse_tag_manifest(text) == HASHES


GOOD = tag_files.tag_manifest(HASHES)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\n",
        b"\n" + GOOD,
        GOOD + GOOD,
        GOOD.replace(b"0a  ", b"0A  "),
        GOOD.replace(b"0a  ", b"0a *"),
        GOOD.replace(b"0a  ", b"0a "),
        GOOD.replace(b"README.txt", b"README.TXT"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"bagit.txt", b"fetch.txt"),
        b"".join(sorted(GOOD.splitlines(keepends=True), reverse=True)),
        b"x" + GOOD[1:],
        GOOD + b"0" * 64 + b"  \xff\n",
    ],
)
def test_any_other_tag_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        tag_files.parse_tag_manifest(text)


def test_bag_info_has_the_lines_of_the_specification() -> None:
    assert FULL.encode() == TEXT
    assert tag_files.parse_info(TEXT) == FULL


def test_optional_labels_may_be_missing() -> None:
    plain = info()
    assert plain.encode().count(b"\n") == 11
    assert tag_files.parse_info(plain.encode()) == plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("a b", "a b"),
        (" a ", "%20a%20"),
        ("  ", "%20%20"),
        (" ", "%20"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("a\nWMBackup-Host: b", "a%0AWMBackup-Host: b"),
        ("\0\x1f\x7f\x80\x9f", "%00%1F%7F%C2%80%C2%9F"),
        ("\xa0", "\xa0"),
        ("\u061c\u200e\u200f", "%D8%9C%E2%80%8E%E2%80%8F"),
        ("\u2028\u202e", "%E2%80%A8%E2%80%AE"),
        ("\u2066\u2069", "%E2%81%A6%E2%81%A9"),
        ("\u061b\u061d\u200d\u2010\u2027\u202f\u2065\u206a",) * 2,
        ("caf\xe9 \U0001f3b5", "caf\xe9 \U0001f3b5"),
        ("\udcff\udc80", "%FF%80"),
        ("\udce9 \xe9", "%E9 \xe9"),
    ],
)
def test_values_are_escaped_as_little_as_is_needed(value: str, text: str) -> None:
    assert tag_files.escape(value) == text
    assert tag_files.unescape(text) == value
    line = f"\nWMBackup-Host: {text}\n".encode()
    assert line in info(host=value).encode()


def changed(old: bytes, new: bytes) -> bytes:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


@pytest.mark.parametrize(
    "value",
    [
        b"%41",
        b"%0a",
        b"%",
        b"a%2",
        b" a",
        b"a ",
        b"%2",
        b"\x01",
        b"\x7f",
        b"\xc2\x85",
        b"\xe2\x80\xae",
        b"%C3%A9",
        b"a%20b",
        b"",
        b"\xff",
        b"a\rb",
        b"\xed\xb3\xbf",
    ],
)
def test_a_value_that_is_escaped_in_another_way_is_refused(value: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        tag_files.parse_info(changed(b"Host: host", b"Host: " + value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Id: 0123", b"Id: 012"),
        (b"Id: 0123", b"Id: 012F"),
        (b"Id: 0123", b"Id: 01233"),
        (b"12:00:00Z", b"12:00:00"),
        (b"12:00:00Z", b"12:00:60Z"),
        (b"12:00:00Z", b"24:00:00Z"),
        (b"12:00:00Z", b"12:00:00.5Z"),
        (b"2026-11-23T", b"2026-11-23 "),
        (b"2026-11-23", b"2026-02-30"),
        (b"2026-11-23", b"0000-11-23"),
        (b"2026-11-23", b"2026-1-23"),
        (b"Kind: folder", b"Kind: Folder"),
        (b"Kind: folder", b"Kind: 1folder"),
        (b"Kind: folder", b"Kind: -"),
        (b"Kind: folder", b"Kind: " + b"f" * 33),
        (b"Signer: SHA256:", b"Signer: MD5:"),
        (b"Signer: SHA256:", b"Signer: SHA256:a"),
        (b"Withheld: 1", b"Withheld: 01"),
        (b"Withheld: 1", b"Withheld: -1"),
        (b"Withheld: 1", b"Withheld: +1"),
        (b"Withheld: 1", b"Withheld: 9007199254740992"),
        (b"Skipped: 2", b"Skipped: 1_0"),
        (b"Skipped: 2", "Skipped: \u0662".encode()),
        (b"Skipped: 2", b"Skipped: 9007199254740992"),
        (b"Oxum: 3.4", b"Oxum: 3"),
        (b"Oxum: 3.4", b"Oxum: 03.4"),
        (b"Oxum: 3.4", b"Oxum: 3.4.5"),
        (b"Oxum: 3.4", b"Oxum: 3.04"),
        (b"Oxum: 3.4", b"Oxum: 9007199254740992.4"),
        (b"Oxum: 3.4", b"Oxum: 3.9007199254740992"),
        (b"Sequence: 5", b"Sequence: 0"),
        (b"Sequence: 5", b"Sequence: 05"),
        (b"Sequence: 5", b"Sequence: 9007199254740992"),
        (b"Chain: f", b"Chain: F"),
        (b"Previous: 0", b"Previous: "),
        (b"WMBackup-Chain: ffffffffffffffffffffffffffffffff\n", b""),
        (b"WMBackup-Sequence: 5\n", b""),
        (b"WMBackup-Host: host\n", b""),
        (b"WMBackup-Host: host\n", b"WMBackup-Host: host\nWMBackup-Host: host\n"),
        (b"WMBackup-Host: host\n", b"WMBackup-Host: host\n\n"),
        (b"WMBackup-Host: host\n", b"WMBackup-Host: host\n folded\n"),
        (b"WMBackup-Host: host", b"WMBackup-Host:host"),
        (b"WMBackup-Host: host", b"WMBackup-Host:\thost"),
        (b"WMBackup-Host: host", b"wmbackup-host: host"),
        (b"WMBackup-Host: host", b"WMBackup-Host : host"),
        (b"WMBackup-Host: host\n", b"WMBackup-Host: host\r\n"),
        (b"WMBackup-Machine: m\nWMBackup-R", b"WMBackup-R"),  # known labels in another order ...
        (b"A: x\n", b"A: x\nA: x\n"),
        (b"A: x\n", b"B: x\nA: x\n"),
        (b"A: x\n", b"A_: x\n"),
        (b"A: x\n", b"A" * 65 + b": x\n"),
        (b"A: x\n", b": x\n"),
        (b"a: z\n", b"a: z"),
        (b"a: z\n", b"a: z\n\n"),
        (b"A: x\n", b"A: x\nWMBackup-Format: 1\n"),
        (b"WMBackup-Format: 1\n", b""),
        (b"WMBackup-Format: 1\n", b"\n"),
        (b"WMBackup-Format: 1\n", b"WMBackup-Format: \n"),
        (b"WMBackup-Format: 1\n", b"\xef\xbb\xbfWMBackup-Format: 1\n"),
        (b"WMBackup-Format: 1\n", b"WMBackup-Format: 1\nWMBackup-Critical-X\n"),
    ],
)
def test_any_other_line_is_refused(old: bytes, new: bytes) -> None:
    text = changed(old, new)
    if new == b"WMBackup-R":  # ... here moved behind the next one
        text = text.replace(b"WMBackup-Chain", b"WMBackup-Machine: m\nWMBackup-Chain")
    with pytest.raises(ArchiveDamaged):
        tag_files.parse_info(text)


@pytest.mark.parametrize("text", [b"", b"\n", TEXT[:-1], b"WMBackup-Format: 1"])
def test_an_end_without_a_line_feed_is_refused(text: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        tag_files.parse_info(text)


@pytest.mark.parametrize("value", [b"2", b"01", b"1 ", b"10", b"one", b"\xff", b"%31"])
def test_another_format_is_unsupported_whatever_follows(value: bytes) -> None:
    first = b"WMBackup-Format: " + value + b"\n"
    for rest in (TEXT.split(b"\n", 1)[1], b"", b"\xff\nno label", b"WMBackup-Critical-X: y\n"):
        with pytest.raises(UnsupportedArchive, match="of format"):
            tag_files.parse_info(first + rest)


@pytest.mark.parametrize("rest", [b"", b"\xff\n", b"no label\n", TEXT.split(b"\n", 1)[1]])
def test_a_critical_label_is_unsupported_whatever_else_is_wrong(rest: bytes) -> None:
    with pytest.raises(UnsupportedArchive, match="WMBackup-Critical-Seal"):
        tag_files.parse_info(b"WMBackup-Format: 1\nWMBackup-Critical-Seal: y\n" + rest)
    with pytest.raises(UnsupportedArchive, match="WMBackup-Critical-Seal"):
        tag_files.parse_info(b"WMBackup-Format: 1\n" + rest + b"WMBackup-Critical-Seal: y\n")


@pytest.mark.parametrize(
    "changes",
    [
        {"host": ""},
        {"host": "\ud800"},
        {"host": "\udcc3\udca9"},  # these two bytes are UTF-8 after all
        {"store_kind": "F"},
        {"archive_id": "0"},
        {"skipped": -1},
        {"skipped": 2**53},
        {"sequence": 0},
        {"sequence": 1},
        {"chain": "f" * 32},
        {"previous": "0" * 64},
        {"previous": "0" * 64, "sequence": 1},
        {"machine": ""},
        {"created": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)},
        {"other": (("b", "x"), ("a", "x"))},
        {"other": (("WMBackup-Host", "x"),)},
        {"other": (("WMBackup-Critical-X", "x"),)},
        {"other": (("a: b", "x"),)},
        {"other": (("\xe9", "x"),)},
        {"agent": "x" * tag_files.MAX_INFO},
    ],
)
def test_what_cannot_stand_there_is_not_written(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        info(**changes).encode()


def test_the_longest_bag_info_is_written() -> None:
    room = tag_files.MAX_INFO - len(info(agent="x").encode()) + 1
    assert len(info(agent="x" * room).encode()) == tag_files.MAX_INFO
    with pytest.raises(ValueError, match="cannot be written"):
        info(agent="x" * (room + 1)).encode()


def test_times_are_written_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert (
        tag_files.format_time(datetime(2026, 1, 1, 1, 2, 3, tzinfo=east)) == "2025-12-31T23:02:03Z"
    )
    assert tag_files.format_time(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00Z"
    created = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert tag_files.parse_info(info(created=created).encode()).created == created

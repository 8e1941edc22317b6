from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wmbackup.archive import row_codec
from wmbackup.archive.row_codec import (
    FileRow,
    file_row,
    license_row,
    parse_file_row,
    parse_license_row,
)
from wmbackup.errors import ArchiveDamaged, UnsupportedArchive
from wmbackup.item import ATTRIBUTES, MAX_SIZE
from wmbackup.license import License

MAX = 2**53 - 1


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            FileRow(4096, 1161234567 * 10**9, None, ("archive",)),
            b'{"size":4096,"mtime":1161234567,"mtime_ns":0,"attributes":["archive"]}\n',
        ),
        (
            FileRow(12, 5, "caf\xe9.lic".encode(), ()),
            b'{"size":12,"mtime":0,"mtime_ns":5,"path":"caf\xc3\xa9.lic","attributes":[]}\n',
        ),
        (
            FileRow(0, -1, b"\xff", ATTRIBUTES),
            (
                b'{"size":0,"mtime":-1,"mtime_ns":999999999,"path_base64":"/w==","attributes":'
                b'["archive","hidden","readonly","system"]}\n'
            ),
        ),
        (
            FileRow(MAX_SIZE, MAX * 10**9, b'"\\\x08\x0c\n\r\t\x01\x1f\x7f/', ("system",)),
            (
                b'{"size":8589934591,"mtime":9007199254740991,"mtime_ns":0,'
                b'"path":"\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/","attributes":["system"]}\n'
            ),
        ),
        (
            FileRow(1, -MAX * 10**9, None, ()),
            b'{"size":1,"mtime":-9007199254740991,"mtime_ns":0,"attributes":[]}\n',
        ),
    ],
)
def test_a_file_row_has_the_bytes_of_the_specification(row: FileRow, line: bytes) -> None:
    assert file_row(row) == line
    assert parse_file_row(line) == row


def test_every_set_of_attributes_has_one_form() -> None:
    for mask in range(16):
        names = tuple(name for bit, name in enumerate(ATTRIBUTES) if mask >> bit & 1)
        row = FileRow(1, 2, None, names)
        assert parse_file_row(file_row(row)) == row
        assert json.loads(file_row(row))["attributes"] == list(names)


def plain(**changes: Any) -> bytes:
    row = {"size": 1, "mtime": 2, "mtime_ns": 3, "attributes": []} | changes
    keys = ("size", "mtime", "mtime_ns", "path", "path_base64", "attributes")
    ordered = {key: row[key] for key in keys if key in row}
    return row_codec.dumps(ordered | {key: row[key] for key in row if key not in keys}) + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"size": -1},
        {"size": MAX_SIZE + 1},
        {"size": 10**30},
        {"size": True},
        {"size": "1"},
        {"size": None},
        {"mtime": 2**53},
        {"mtime": -(2**53)},
        {"mtime": 10**30},
        {"mtime": None},
        {"mtime": False},
        {"mtime_ns": -1},
        {"mtime_ns": 10**9},
        {"mtime_ns": True},
        {"attributes": None},
        {"attributes": {}},
        {"attributes": ""},
        {"attributes": ["hidden", "archive"]},
        {"attributes": ["hidden", "hidden"]},
        {"attributes": ["compressed"]},
        {"attributes": ["Hidden"]},
        {"attributes": [1]},
        {"attributes": [["hidden"]]},
        {"path": None},
        {"path": 1},
        {"path": ["a"]},
        {"path_base64": None},
        {"path_base64": 1},
        {"path_base64": ["/w=="]},
        {"path_base64": "/w"},
        {"path_base64": "/w==\n"},
        {"path_base64": "/x=="},
        {"path_base64": "_w=="},
        {"path_base64": "\xe9"},
        {"path_base64": "YQ=="},
        {"path_base64": ""},
        {"path": "a", "path_base64": "/w=="},
        {"path": None, "path_base64": "/w=="},
        {"path": "a", "path_base64": None},
        {"zz": 2**53},
        {"zz": -(2**53)},
        {"zz": [[[2**53]]]},
        {"zz": [[[[]]]]},
        {"zz": {"a": {"b": {"c": {}}}}},
        {"zz": {"b": 1, "a": 2}},
        {"zz": [{"b": 1, "a": 2}]},
        {"zz": 1, "aa": 1},
        {"zz": 1.5},
    ],
)
def test_a_file_row_with_another_value_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ArchiveDamaged):
        parse_file_row(plain(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"zz": None},
        {"zz": MAX},
        {"zz": -MAX},
        {"zz": [[[]]]},
        {"zz": [[[MAX, True, None, ""]]]},
        {"zz": {"a": {"b": {}}}},
        {"": 1, "a!": 2, "zz": {"!": 1, "b": [{"a": 1, "b": 2}]}, "\xe9": 1, "\U0001f3b5": 2},
    ],
)
def test_unknown_keys_are_passed_over(changes: dict[str, Any]) -> None:
    assert parse_file_row(plain(**changes)) == FileRow(1, 2 * 10**9 + 3, None, ())


@pytest.mark.parametrize("key", ["!", "!x", "!!"])
def test_an_unknown_key_with_an_exclamation_mark_is_unsupported(key: str) -> None:
    with pytest.raises(UnsupportedArchive):
        parse_file_row(plain(**{key: 1}))
    with pytest.raises(UnsupportedArchive):
        parse_license_row(license_row(License("k"), None)[:-2] + f',"{key}":1}}\n'.encode())


LINE = b'{"size":1,"mtime":2,"mtime_ns":3,"path":"a","attributes":["hidden"]}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}\n",
        b"[]\n",
        b"null\n",
        b"1\n",
        b'"size"\n',
        LINE[:-1],
        LINE + b"\n",
        LINE.replace(b"\n", b"\r\n"),
        b" " + LINE,
        b"\xef\xbb\xbf" + LINE,
        LINE.replace(b"}", b"} "),
        LINE.replace(b"}", b",}"),
        LINE.replace(b",", b", ", 1),
        LINE.replace(b":1", b": 1"),
        LINE.replace(b":1", b":01"),
        LINE.replace(b":1", b":+1"),
        LINE.replace(b":1", b":1.0"),
        LINE.replace(b":1", b":1e0"),
        LINE.replace(b":1", b":-0"),
        LINE.replace(b":1", b":1_0"),
        LINE.replace(b":1", b":NaN"),
        LINE.replace(b":1", b":Infinity"),
        LINE.replace(b":1", b":" + b"9" * 5000),
        LINE.replace(b'"size":1', b'"size":1,"size":1'),
        LINE.replace(b'"size":1,"mtime":2', b'"mtime":2,"size":1'),
        LINE.replace(b'"size":1,', b""),
        LINE.replace(b'"mtime":2,', b""),
        LINE.replace(b'"mtime_ns":3,', b""),
        LINE.replace(b',"attributes":["hidden"]', b""),
        LINE.replace(b'"a"', b"'a'"),
        LINE.replace(b'"a"', b'"\\u0061"'),
        LINE.replace(b'"a"', b'"\\/"'),
        LINE.replace(b'"a"', b'"\\u001F"'),
        LINE.replace(b'"a"', b'"\\u000a"'),
        LINE.replace(b'"a"', b'"\\u00e9"'),
        LINE.replace(b'"a"', b'"\\u007f"'),
        LINE.replace(b'"a"', b'"\x01"'),
        LINE.replace(b'"a"', b'"\\ud800"'),
        LINE.replace(b'"a"', b'"\\ud83c\\udfb5"'),
        LINE.replace(b'"a"', b'"\xff"'),
        LINE.replace(b'"a"', b'"\xed\xa0\x80"'),
        LINE.replace(b'"path":"a",', b'"path":"a","path":"a",'),
        LINE.replace(b'"hidden"', b"\"hidden\",''"),
        LINE.replace(b'"hidden"', b'"hidden",'),
        LINE.replace(b'"hidden"', b","),
        LINE.replace(b'"path":"a",', b'"zz":1,"path":"a",'),
        LINE.replace(b'"hidden"]', b'"hidden"],"zz":{"a":1,"a":1}'),
        LINE.replace(b'"hidden"]', b'"hidden"],"zz":' + b"[" * 30000 + b"]" * 30000),
        LINE.replace(b'"path":"a",', b'"path":"' + b"a" * 65536 + b'",'),
    ],
)
def test_a_row_in_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        parse_file_row(line)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b":1,", b":01,"),
        (b":1,", b":9999999999,"),
        (b":1,", b":8589934592,"),
        (b":2,", b":-0,"),
        (b":2,", b":9999999999999999,"),
        (b":3,", b":1000000000,"),
        (b":3,", b":-3,"),
        (b"[]", b'["x"]'),
        (b"[]", b"[,]"),
        (b"[]", b'["hidden","archive"]'),
        (b"}\n", b"}"),
        (b"}\n", b"}\n\n"),
    ],
)
def test_the_short_cut_for_plain_rows_lets_nothing_else_through(old: bytes, new: bytes) -> None:
    line = plain()
    assert old in line
    with pytest.raises(ArchiveDamaged):
        parse_file_row(line.replace(old, new))


def test_a_line_has_at_most_65536_bytes() -> None:
    room = row_codec.MAX_LINE - len(file_row(FileRow(1, 2, b"", ())))
    row = FileRow(1, 2, b"x" * room, ())
    assert len(file_row(row)) == row_codec.MAX_LINE == 65536
    assert parse_file_row(file_row(row)) == row
    with pytest.raises(ValueError, match="too long"):
        file_row(FileRow(1, 2, b"x" * (room + 1), ()))
    with pytest.raises(ArchiveDamaged):
        parse_file_row(file_row(row).replace(b'"x', b'"xx'))


@pytest.mark.parametrize("sign", [1, -1])
def test_no_row_is_written_that_says_a_time_no_reader_takes(sign: int) -> None:
    furthest = FileRow(1, sign * (2**53 - 1) * 1_000_000_000, None, ())
    assert parse_file_row(file_row(furthest)) == furthest
    with pytest.raises(ValueError, match="further away"):
        file_row(furthest._replace(mtime_ns=furthest.mtime_ns + sign * 1_000_000_000))


FULL = License(
    kind="wmdrm-v7",
    kid="k",
    lid="l",
    issued="2006-10-19T05:09:27Z",
    begins="b",
    expires="e",
    rights={"AllowPlay": True, "PlayCount": MAX, "Z": "z", "a": -MAX},
    attributes={"Author": "x", "Title": "\u266a"},
)
FULL_LINE = (
    '{"kind":"wmdrm-v7","kid":"k","lid":"l","issued":"2006-10-19T05:09:27Z","begins":"b",'
    '"expires":"e","rights":{"AllowPlay":true,"PlayCount":9007199254740991,"Z":"z",'
    '"a":-9007199254740991},"attributes":{"Author":"x","Title":"\u266a"},"withheld":false,'
    '"file":"data/a"}\n'
).encode()
EMPTY_LINE = (
    b'{"kind":"wmdrm-response","kid":null,"lid":null,"issued":null,"begins":null,"expires":null,'
    b'"rights":null,"attributes":null,"withheld":false,"file":"data/response.bin"}\n'
)


def test_a_license_row_has_the_bytes_of_the_specification() -> None:
    assert license_row(FULL, b"data/a") == FULL_LINE
    assert parse_license_row(FULL_LINE) == (FULL, b"data/a")
    assert license_row(License("wmdrm-response"), b"data/response.bin") == EMPTY_LINE
    assert parse_license_row(EMPTY_LINE) == (License("wmdrm-response"), b"data/response.bin")
    withheld = License("k", withheld=True)
    assert parse_license_row(license_row(withheld, None)) == (withheld, None)


def test_rights_and_attributes_are_sorted() -> None:
    shuffled = License(
        "k", rights={"b": 1, "a": 2, "\xe9": 3, "B": 4}, attributes={"y": "", "x": ""}
    )
    line = license_row(shuffled, None)
    assert b'"rights":{"B":4,"a":2,"b":1,"\xc3\xa9":3},"attributes":{"x":"","y":""}' in line


def license_line(**changes: Any) -> bytes:
    return row_codec.dumps(json.loads(FULL_LINE) | changes) + b"\n"


OTHER_VALUES: dict[str, tuple[object, ...]] = {
    "kind": (None, 1, "", "K", "1k", "-", "k_", "k" * 33, "k\n"),
    "kid": (1, [], False),
    "lid": (1, [], False),
    "issued": (1, {}, True),
    "begins": (1, {}, True),
    "expires": (0, [], False),
    "rights": ({}, [], "x", 1, {"a": None}, {"a": []}, {"a": 2**53}, {"b": 1, "a": 1}),
    "attributes": ({}, [], "x", {"a": 1}, {"a": True}, {"a": None}, {"b": "", "a": ""}),
    "withheld": (None, 0, 1, "true", True),  # what is withheld has no file
    "file": (1, [], {}, False),
}


@pytest.mark.parametrize(
    "changes", [{key: value} for key, values in OTHER_VALUES.items() for value in values]
)
def test_a_license_row_with_another_value_is_refused(changes: dict[str, Any]) -> None:
    assert license_line() == FULL_LINE
    with pytest.raises(ArchiveDamaged):
        parse_license_row(license_line(**changes))


@pytest.mark.parametrize("key", json.loads(FULL_LINE))
def test_a_license_row_lacks_no_key(key: str) -> None:
    row = json.loads(FULL_LINE)
    del row[key]
    with pytest.raises(ArchiveDamaged):
        parse_license_row(row_codec.dumps(row) + b"\n")


def test_an_unknown_key_of_a_license_is_passed_over() -> None:
    assert parse_license_row(license_line(zz=[1])) == (FULL, b"data/a")


def test_what_makes_a_license_row_too_long_is_left_out_attributes_first() -> None:
    long = "x" * row_codec.MAX_LINE
    first = License("k", expires="5", rights={"a": 1}, attributes={"long": long})
    found, _ = parse_license_row(license_row(first, None))
    assert (found.rights, found.attributes, found.expires) == ({"a": 1}, {}, "5")
    second = License("k", expires="5", rights={"a": long}, attributes={"b": ""})
    found, _ = parse_license_row(license_row(second, None))
    assert (found.rights, found.attributes, found.expires) == ({}, {}, "5")
    third = License("k", long, long, long, long, long)
    assert parse_license_row(license_row(third, b"data/a")) == (License("k"), b"data/a")


@pytest.mark.parametrize(
    ("license_", "file"),
    [
        (License("K"), None),
        (License(""), None),
        (License("k", withheld=True), b"data/a"),
        (License("k", rights={"a": 2**53}), None),
        (License("k", rights={"a": -(2**53)}), None),
        (License("k", kid="\ud800"), None),
    ],
)
def test_a_license_that_no_reader_takes_is_not_written(license_: License, file: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        license_row(license_, file)


def test_a_path_that_is_not_utf8_is_base64() -> None:
    row = FileRow(1, 2, b"\xff\xfe/\x80", ())
    assert base64.b64encode(b"\xff\xfe/\x80") in file_row(row)
    assert parse_file_row(file_row(row)) == row

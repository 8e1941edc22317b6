"""Faults of files.jsonl, licenses.jsonl and manifest-sha256.txt, each signed by its maker."""

from __future__ import annotations

from cases_good import LICENSE, one, three
from forge import Draft, File, draft, license_row, replace_once, sha256
from vector import Vector, Vectors, damaged, keep

# The vectors of each group that are kept as files.
KEPT_FORM = """
    row-space row-blank-line row-no-end row-reordered row-key-twice row-float row-exponent
    row-minus-zero row-nan row-number-2-53 row-depth-5 row-not-utf8
"""
KEPT_STRINGS = """
    row-string-escape-unneeded row-string-escape-upper-case row-string-surrogate
    row-string-control row-too-long
"""
KEPT_FILE_VALUES = """
    row-mtime-false row-mtime-ns-second row-attributes-missing
    row-attributes-unknown row-attributes-reordered
"""
KEPT_LICENSE_FORM = """
    license-key-missing license-reordered license-inner-reordered
"""
KEPT_LICENSE_VALUES = """
    license-kind-upper-case license-attributes-number-inside license-kid-number
    license-rights-empty license-rights-null-inside license-withheld-number
"""
KEPT_LICENSE_FILES = """
    license-withheld-with-file license-file-not-listed license-rows-reordered
    license-null-file-first
"""
KEPT_MANIFEST = """
    manifest-upper-case manifest-binary-mark manifest-no-end
"""


def vectors() -> Vectors:
    """All of them."""
    yield from keep(KEPT_FORM, _form())
    yield from keep(KEPT_STRINGS, _strings())
    yield from _tables()
    yield from keep(KEPT_FILE_VALUES, _file_values())
    yield from _sizes()
    yield from keep(KEPT_LICENSE_FORM, _license_form())
    yield from keep(KEPT_LICENSE_VALUES, _license_values())
    yield from keep(KEPT_LICENSE_FILES, _license_files())
    yield from _critical()
    yield from keep(KEPT_MANIFEST, _manifest())
    yield from _payload()


def _changed(name: str, comment: str, old: bytes, new: bytes) -> Vector:
    made = one()
    made.rows[0] = replace_once(made.rows[0], old, new)
    return damaged(f"row-{name}", comment, made.archive())


def _form() -> Vectors:
    end = b"]}"
    deep = b'],"a":[[[[]]]]}'
    for name, comment, old, new in (
        ("space", "a space behind a comma", b',"mtime":', b', "mtime":'),
        ("space-leading", "a space before the row", b'{"size"', b' {"size"'),
        ("space-trailing", "a space behind the row", b"}\n", b"} \n"),
        ("tab-inside", "a tab in an empty array", b'["archive"]', b"[\t]"),
        ("cr", "a CR before the line feed", b"}\n", b"}\r\n"),
        ("blank-line", "a blank line behind the row", b"}\n", b"}\n\n"),
        ("no-end", "a last row without its line feed", b"}\n", b"}"),
        ("cut", "a row without its brace", b"}\n", b"\n"),
        ("two-values", "two objects on a line", b"}\n", b"}{}\n"),
        ("bom", "a byte order mark", b'{"size"', b'\xef\xbb\xbf{"size"'),
        ("comma", "a comma too many", end, b"],}"),
        (
            "reordered",
            "mtime_ns before mtime",
            b'"mtime":1161234567,"mtime_ns":0',
            b'"mtime_ns":0,"mtime":1161234567',
        ),
        (
            "attributes-early",
            "attributes before mtime_ns",
            b'"mtime_ns":0,"attributes":["archive"]',
            b'"attributes":["archive"],"mtime_ns":0',
        ),
        ("key-twice", "a key twice", b'"mtime":', b'"mtime":1161234567,"mtime":'),
        ("key-twice-unknown", "an unknown key twice", end, b'],"a":1,"a":1}'),
        ("unknown-reordered", "unknown keys out of order", end, b'],"b":1,"a":1}'),
        ("unknown-early", "an unknown key before a known one", b'{"size"', b'{"a":1,"size"'),
        ("inner-twice", "a key of an inner object twice", end, b'],"a":{"b":1,"b":1}}'),
        ("inner-reordered", "keys of an inner object out of order", end, b'],"a":{"c":1,"b":1}}'),
        ("inner-reordered-in-array", "the same in an array", end, b'],"a":[{"c":1,"b":1}]}'),
        ("key-escaped", "an unneeded escape in a key", b'"size"', b'"siz\\u0065"'),
        ("float", "a number with a fraction", end, b'],"a":1.5}'),
        ("float-known", "a whole number with a fraction", b'"mtime_ns":0', b'"mtime_ns":0.0'),
        ("exponent", "a number with an exponent", b'"mtime_ns":0', b'"mtime_ns":1e3'),
        ("minus-zero", "the number -0", b'"mtime_ns":0', b'"mtime_ns":-0'),
        ("leading-zero", "a number with a leading zero", b'"mtime_ns":0', b'"mtime_ns":00'),
        ("plus", "a number with a plus", b'"mtime_ns":0', b'"mtime_ns":+1'),
        ("nan", "NaN", end, b'],"a":NaN}'),
        ("infinity", "Infinity", end, b'],"a":-Infinity}'),
        ("number-2-53", "the number 2^53", end, b'],"a":9007199254740992}'),
        ("number-minus-2-53", "the number -2^53", end, b'],"a":-9007199254740992}'),
        ("number-inner", "the number 2^53 in an inner array", end, b'],"a":[9007199254740992]}'),
        ("number-5000-digits", "a number of 5000 digits", end, b'],"a":' + b"1" * 5000 + b"}"),
        ("depth-5", "5 levels", end, deep),
        ("depth-5-objects", "5 levels of objects", end, b'],"a":{"b":{"c":{"d":{}}}}}'),
        ("depth-20000", "20000 levels", end, b'],"a":' + b"[" * 20000 + b"]" * 20000 + b"}"),
        ("single-quotes", "apostrophes for quotes", b'"archive"', b"'archive'"),
        ("not-utf8", "a byte that is not UTF-8", end, b'],"a":"\xff"}'),
        ("surrogate-bytes", "an encoded surrogate", end, b'],"a":"\xed\xa0\x80"}'),
    ):
        yield _changed(name, comment, old, new)
    for name, row in (("array", b"[]\n"), ("number", b"1\n"), ("empty-object", b"{}\n")):
        made = one()
        made.rows[0] = row
        yield damaged(f"row-is-{name}", f"a row that is {row.decode().strip()}", made.archive())


def _strings() -> Vectors:
    for name, comment, path in (
        ("escape-unneeded", "an escape for a letter", b"\\u0041:"),
        ("escape-upper-case", "an upper-case digit in an escape", b"\\u001F"),
        ("escape-long", "\\u000a for \\n", b"\\u000a"),
        ("escape-slash", "an escape for a slash", b"a:\\/b"),
        ("escape-delete", "an escape for U+007F", b"\\u007f"),
        ("escape-unknown", "an escape that JSON has not", b"\\x41"),
        ("escape-pair", "a pair of surrogates for a character", b"\\ud83d\\ude00"),
        ("surrogate", "a lone surrogate", b"\\ud800"),
        ("control", "a control character without its escape", b"a\tb"),
    ):
        made = draft([File(b"x:", b"1")])
        made.rows[0] = replace_once(made.rows[0], b'"path":"x:"', b'"path":"%s"' % path)
        yield damaged(f"row-string-{name}", f"in a string: {comment}", made.archive())
    rest = len(File(b"", b"1").at(b"", b"").row())
    long = draft([File(b"p" * (65537 - rest), b"1")])
    yield damaged("row-too-long", "a row of 65537 bytes", long.archive())


def _tables() -> Vectors:
    made = three()
    fewer, more, both = three(), three(), three()
    del fewer.rows[2]
    more.rows.append(made.rows[2])
    del both.manifest[2]
    extra = three()
    extra.manifest.append(b"%s  data/d.lic\n" % sha256(b""))
    for name, comment, changed in (
        ("rows-fewer", "a row less than lines of the manifest", fewer),
        ("rows-more", "a row more than lines of the manifest", more),
        ("manifest-fewer", "a line of the manifest less than rows", both),
        ("manifest-more", "a line of the manifest more than rows", extra),
    ):
        yield damaged(name, comment, changed.archive())
    nothing = one()
    nothing.files, nothing.rows, nothing.manifest = [], [], []
    nothing.set(b"Payload-Oxum", b"0.0")
    yield damaged("no-payload", "no payload file at all", nothing.archive())


def _file_values() -> Vectors:
    row = one().rows[0]
    size = b'"size":%d' % len(LICENSE.data)
    mtime, attributes = b'"mtime":1161234567', b'"attributes":["archive"]'
    for name, comment, old, new in (
        ("size-missing", "no size", size + b",", b""),
        ("size-text", "a size in quotes", size, b'"size":"%d"' % len(LICENSE.data)),
        ("size-null", "the size null", size, b'"size":null'),
        ("size-true", "the size true", size, b'"size":true'),
        ("size-negative", "the size -1", size, b'"size":-1'),
        ("mtime-missing", "no mtime", mtime + b",", b""),
        ("mtime-text", "an mtime in quotes", mtime, b'"mtime":"0"'),
        ("mtime-false", "the mtime false", mtime, b'"mtime":false'),
        ("mtime-2-53", "an mtime of 2^53", mtime, b'"mtime":9007199254740992'),
        ("mtime-ns-negative", "mtime_ns is negative", b'_ns":0', b'_ns":-1'),
        ("mtime-ns-second", "mtime_ns is a whole second", b'_ns":0', b'_ns":1000000000'),
        ("mtime-ns-missing", "no mtime_ns", b'"mtime_ns":0,', b""),
        ("attributes-missing", "no attributes", b"," + attributes, b""),
        ("attributes-null", "the attributes null", attributes, b'"attributes":null'),
        ("attributes-text", "attributes that are no array", attributes, b'"attributes":"archive"'),
        ("attributes-unknown", "an attribute that nobody knows", b'"archive"', b'"hiddn"'),
        ("attributes-upper-case", "an attribute in capitals", b'"archive"', b'"ARCHIVE"'),
        ("attributes-reordered", "attributes out of order", b'"archive"', b'"hidden","archive"'),
        ("attributes-twice", "an attribute twice", b'"archive"', b'"archive","archive"'),
        ("attributes-number", "an attribute that is a number", b'"archive"', b"1"),
        (
            "attributes-joined",
            "two attributes in one string",
            b'"archive"',
            b'"archive\\",\\"hidden"',
        ),
    ):
        if old not in row:
            raise ValueError(f"{name} changes nothing")
        yield _changed(name, comment, old, new)


def _sizes() -> Vectors:
    made = one()
    right = b'"size":%d' % len(LICENSE.data)
    made.rows[0] = replace_once(made.rows[0], right, b'"size":8589934592')
    made.set(b"Payload-Oxum", b"8589934592.1")
    yield damaged("row-size-8-gib", "the row and Payload-Oxum say 8 GiB", made.archive())
    data = b"x" * 600
    for name, comment, size, expect in (
        ("larger", "a byte more than there is", 601, None),
        ("smaller", "a byte less than there is", 599, None),
        # The header differs from the row; a length differs from what the rows demand.
        ("much-larger", "a block more than there is", 1112, "truncated"),
        ("far-larger", "3 MiB more than there is", 600 + 3 * 1024 * 1024, "truncated"),
        ("much-smaller", "a block less than there is", 88, "damaged"),
    ):
        made = draft([File(b"a.lic", b"first"), File(b"b.lic", data)])
        made.rows[1] = replace_once(made.rows[1], b'"size":600', b'"size":%d' % size)
        made.set(b"Payload-Oxum", b"%d.2" % (size + 5))
        yield Vector(
            name=f"row-size-{name}",
            comment=f"the row and Payload-Oxum say {comment}",
            archive=made.archive(),
            released=b"first",
            seekable_expect=expect if expect == "truncated" else None,
            seekable_released=b"first" if expect is None else b"",
        )


def _licensed(name: str, comment: str, *rows: bytes) -> Vector:
    made = draft([LICENSE, File(b"b.lic", b"2"), File("é".encode(), b"3")], rows)
    return damaged(f"license-{name}", comment, made.archive())


def _license_form() -> Vectors:
    right = license_row("data/a.lic")
    for name, comment, old, new in (
        ("space", "a space behind a colon", b'"kid":', b'"kid": '),
        ("reordered", "lid before kid", b'"kid":null,"lid":null', b'"lid":null,"kid":null'),
        ("key-twice", "a key twice", b'"kid":', b'"kid":null,"kid":'),
        ("key-missing", "no expires", b'"expires":null,', b""),
        ("file-missing", "no file", b',"file":"data/a.lic"', b""),
        ("blank-line", "a blank line", b"}\n", b"}\n\n"),
        ("no-end", "a row without its line feed", b"}\n", b"}"),
        ("escape-unneeded", "an unneeded escape", b'"wmdrm-response"', b'"\\u0077mdrm"'),
        ("float", "a number with a fraction", b'"rights":null', b'"rights":{"a":1.0}'),
        ("number-2-53", "the number 2^53", b'"rights":null', b'"rights":{"a":9007199254740992}'),
        ("depth-5", "5 levels", b'"data/a.lic"}', b'"data/a.lic","z":[[[[]]]]}'),
        ("inner-reordered", "rights out of order", b'"rights":null', b'"rights":{"b":1,"a":1}'),
        ("inner-twice", "a right twice", b'"rights":null', b'"rights":{"a":1,"a":1}'),
    ):
        yield _licensed(name, f"a license row: {comment}", replace_once(right, old, new))
    long = license_row("data/a.lic", kid=b'"%s"' % (b"k" * 65536))
    yield _licensed("too-long", "a license row of more than 65536 bytes", long)


def _license_values() -> Vectors:
    for name, key, value in (
        ("kind-null", "kind", b"null"),
        ("kind-empty", "kind", b'""'),
        ("kind-upper-case", "kind", b'"WMDRM"'),
        ("kind-digit", "kind", b'"1-kind"'),
        ("kind-33", "kind", b'"' + b"k" * 33 + b'"'),
        ("kid-number", "kid", b"1"),
        ("lid-false", "lid", b"false"),
        ("issued-number", "issued", b"1161234567"),
        ("begins-array", "begins", b"[]"),
        ("expires-object", "expires", b"{}"),
        ("rights-empty", "rights", b"{}"),
        ("rights-array", "rights", b"[1]"),
        ("rights-text", "rights", b'"AllowPlay"'),
        ("rights-null-inside", "rights", b'{"AllowPlay":null}'),
        ("rights-object-inside", "rights", b'{"AllowPlay":{}}'),
        ("attributes-empty", "attributes", b"{}"),
        ("attributes-number-inside", "attributes", b'{"Title":1}'),
        ("attributes-true-inside", "attributes", b'{"Title":true}'),
        ("withheld-null", "withheld", b"null"),
        ("withheld-number", "withheld", b"0"),
        ("withheld-text", "withheld", b'"false"'),
        ("file-number", "file", b"1"),
    ):
        row = license_row("data/a.lic", **{key: value})
        yield _licensed(name, f"a license row: {key} is {value.decode()}", row)


def _license_files() -> Vectors:
    a, b, item, none = map(license_row, ("data/a.lic", "data/b.lic", "data/item-0000001", None))
    made = draft([LICENSE], [license_row("data/a.lic", withheld=b"true")])
    yield damaged("license-withheld-with-file", "a withheld license in a file", made.archive())
    for name, comment, *rows in (
        ("file-not-listed", "a file that is not there", license_row("data/c.lic")),
        ("file-empty", "an empty file", license_row("")),
        ("file-without-data", "a file without data/", license_row("a.lic")),
        ("file-with-bag", "a file with the bag's name", license_row("wmbackup-1/data/a.lic")),
        ("file-true-path", "a true path for an item", license_row("é")),
        ("file-case", "a file in other case", license_row("data/A.lic")),
        ("rows-reordered", "rows out of the order of the files", b, a),
        ("rows-reordered-item", "the row of an item before that of a name", item, a),
        ("rows-returning", "a file again behind another", a, b, a),
        ("null-file-first", "a row without file before one with", none, a),
        ("null-file-between", "a row without file between two with", a, none, b),
    ):
        yield _licensed(name, f"licenses.jsonl: {comment}", *rows)


def _critical() -> Vectors:
    made = one()
    made.rows[0] = replace_once(made.rows[0], b"]}", b'],"!encrypted":true}')
    licensed = draft([LICENSE], [license_row("data/a.lic")])
    licensed.licenses[0] = replace_once(licensed.licenses[0], b"}\n", b',"!must":1}\n')
    for name, table, changed in (
        ("file", "files.jsonl", made),
        ("license", "licenses.jsonl", licensed),
    ):
        yield Vector(
            name=f"unsupported-key-in-{name}",
            comment=f"a key that begins with ! in {table}",
            expect="unsupported",
            archive=changed.archive(),
        )


def _manifest() -> Vectors:
    line = one().manifest[0]
    digest = line[:64]
    for name, comment, changed in (
        ("upper-case", "upper-case digits", digest.upper() + line[64:]),
        ("short-hash", "63 digits", line[1:]),
        ("one-space", "one space", line.replace(b"  ", b" ")),
        ("binary-mark", "a space and an asterisk", line.replace(b"  ", b" *")),
        ("escaped", "a backslash as sha256sum puts it", b"\\" + line),
        ("with-bag", "the name with the bag's", line.replace(b"data/", b"wmbackup-1/data/")),
        ("without-data", "a name outside data/", line.replace(b"data/", b"")),
        ("dot", "a name that begins with ./", line.replace(b"data/", b"./data/")),
        ("blank-line", "a blank line", line + b"\n"),
        ("no-end", "a line without its line feed", line[:-1]),
        ("crlf", "a CR before the line feed", line[:-1] + b"\r\n"),
    ):
        made = one()
        made.manifest[0] = changed
        yield damaged(f"manifest-{name}", f"in the manifest: {comment}", made.archive())


def _payload() -> Vectors:
    for at, place in enumerate(("first", "middle", "last")):
        made = three()
        members = made.members()
        data = members[at - 3].content
        members[at - 3].content = data[:3] + b"X" + data[4:]
        yield Vector(
            name=f"payload-changed-{place}",
            comment=f"a byte of the {place} of three files was changed",
            archive=b"".join(member.encode() for member in members) + bytes(1024),
            released=made.data(at),
        )
    made = three()
    made.manifest[1] = b"%s  data/b.lic\n" % sha256(b"something else")
    yield Vector(
        name="manifest-hash",
        comment="the manifest has another SHA-256 for the second of three files",
        archive=made.archive(),
        released=made.data(1),
    )
    other: Draft = three()
    other.files[1] = other.files[1].at(b"data/bb.lic")
    yield Vector(
        name="manifest-name",
        comment="the manifest has another name than the second of three members",
        archive=other.archive(),
        released=other.data(1),
    )
    empty = draft([File(b"a.lic", b"")])
    empty.manifest[0] = b"%s  data/a.lic\n" % (b"0" * 64)
    yield damaged("manifest-hash-empty", "another SHA-256 for an empty file", empty.archive())

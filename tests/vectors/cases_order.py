"""Which fault decides where an archive has more than one, or half of one."""

from __future__ import annotations

from dataclasses import replace

from cases_good import one, three
from forge import BAG, Member, find, header, license_row, replace_once
from forge import stream as joined
from vector import Vector, Vectors

KEY = b'"!a":1'


def vectors() -> Vectors:
    """All of them."""
    yield from _bag_info()
    yield from _unsigned()
    yield from _rows()


def _bag_info() -> Vectors:
    made = one()
    made.info.append(b"WMBackup-Critical-%s: x\n" % (b"a" * 100))
    yield Vector(
        name="order-info-critical-long",
        comment="a critical label that is longer than a label can be",
        expect="unsupported",
        archive=made.archive(),
    )
    for name, value, expect in (("1", b"1", "damaged"), ("2", b"2", "unsupported")):
        made = one()
        made.info = [b"WMBackup-Format: " + value]
        yield Vector(
            name=f"order-info-first-line-{name}",
            comment=f"the first line, of format {name}, without a line feed, and nothing else",
            expect=expect,
            archive=made.archive(),
        )
    members = one().members()
    at = find(members, b"bag-info.txt")
    other = replace(members[at], content=members[at].content.replace(b"VECTOR", b"OTHERS"))
    yield Vector(
        name="order-info-padding",
        comment="another bag-info.txt than was signed, cut in its padding, which is read first",
        expect="truncated",
        archive=joined(members[:at], b"") + other.encode()[:-1],
    )


def _unsigned() -> Vectors:
    members = one().members()
    at = find(members, b"tagmanifest-sha256.txt.sig")
    for name, fields in (
        ("checksum", {"chksum": b"0000000\0"}),
        ("size", {"size": b"00000000000\0"}),
    ):
        readme = header(BAG + b"README.txt", len(members[at + 1].content), **fields)
        yield Vector(
            name=f"order-unsigned-readme-{name}",
            comment="README.txt behind the tag manifest: its name field alone decides",
            expect="unsigned",
            archive=joined([*members[:at], Member(b"README.txt", b"", head=readme)]),
        )


def _rows() -> Vectors:
    made = one()
    made.rows.append(replace_once(made.rows[0], b"]}", b"]," + KEY + b"}"))
    yield Vector(
        name="order-rows-more",
        comment="a row more than the manifest has lines, with a critical key that nobody reads",
        archive=made.archive(),
    )
    for name, comment in (("rows-more", "a row more"), ("rows-fewer", "a row less")):
        made = three()
        made.rows[0] = replace_once(made.rows[0], b"]}", b"]," + KEY + b"}")
        if name == "rows-more":
            made.rows.append(made.rows[2])
        else:
            del made.rows[2]
        yield Vector(
            name=f"order-row-{name}",
            comment=f"a critical key in the first row, and {comment} than lines of the manifest",
            expect="unsupported",
            archive=made.archive(),
        )
    made = one()
    made.rows[0] = b'{"size":%d,%b}\n' % (len(made.files[0].data), KEY)
    yield Vector(
        name="order-row-key-missing",
        comment="keys are missing, which is of the values, and a critical key",
        expect="unsupported",
        archive=made.archive(),
    )
    made = one()
    row = license_row(None)
    made.licenses = [replace_once(row, b',"file":null}', b"," + KEY + b"}")]
    yield Vector(
        name="order-license-key-missing",
        comment="a key is missing, which is of the values, and a critical key",
        expect="unsupported",
        archive=made.archive(),
    )

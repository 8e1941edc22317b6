"""Faults of bag-info.txt, each signed by its maker."""

from __future__ import annotations

from collections.abc import Iterable

from cases_good import one
from forge import Draft, draft, license_row
from vector import Vector, Vectors, damaged, keep

CONTROL = "WMBackup-Host"
_HISTORY = (
    b"WMBackup-Chain: %s\n" % (b"0f" * 16),
    b"WMBackup-Sequence: 1\n",
    b"WMBackup-Previous: %s\n" % (b"0f" * 32),
)


# The vectors of each group that are kept as files.
KEPT_FORMAT = """
    unsupported-info-format-01 unsupported-info-format-2 unsupported-info-critical
    unsupported-info-format-2-broken
"""
KEPT_LABELS = """
    info-label-reordered-unknown info-missing-created info-missing-payload-oxum
    info-label-twice info-label-reordered info-label-format-second
    info-label-reordered-optional info-label-unknown-early
"""
KEPT_LINES = """
    info-line-underscore info-line-no-space info-line-no-value info-line-blank
    info-line-no-end info-injected
"""
KEPT_ESCAPES = """
    info-escape-lower-case info-escape-unneeded info-escape-leading-space info-escape-cr
    info-escape-override info-escape-not-utf8
"""
KEPT_VALUES = """
    info-archive-id-upper-case info-created-not-a-leap-year info-created-second-60
    info-withheld-leading-zero info-skipped-too-large info-oxum-octets info-oxum-count
    info-sequence-0
"""
KEPT_AGREEMENT = """
    info-withheld-fewer info-withheld-more
"""


def vectors() -> Vectors:
    """All of them."""
    yield from keep(KEPT_FORMAT, _format())
    yield from keep(KEPT_LABELS, _labels())
    yield from keep(KEPT_LINES, _lines())
    yield from keep(KEPT_ESCAPES, _escapes())
    yield from keep(KEPT_VALUES, _values())
    yield from keep(KEPT_AGREEMENT, _agreement())


def _with_lines(lines: Iterable[bytes]) -> bytes:
    made = one()
    made.info = list(lines)
    return made.archive()


def _format() -> Vectors:
    right = one().info
    critical = b"WMBackup-Critical-Feature: x\n"
    broken = b"no label\n"
    two = [b"WMBackup-Format: 2\n", *right[1:]]
    for name, comment, lines in (
        ("format-2", "format 2", two),
        (
            "format-01",
            "a format with a leading zero is another one",
            [b"WMBackup-Format: 01\n", *right[1:]],
        ),
        ("critical", "a critical label that nobody knows", [*right, critical]),
        ("critical-misplaced", "a critical label in the midst", [*right[:3], critical, *right[3:]]),
        # The format is judged first: another one may have another grammar.
        ("format-2-broken", "format 2, and a line that format 1 has not", [*two, broken]),
        ("format-2-not-utf8", "format 2, and bytes that are not UTF-8", [*two, b"A: \xff\n"]),
        ("format-2-no-end", "format 2, and no line feed at the end", [*two, b"A: b"]),
        ("critical-broken", "a critical label, and a line of no form", [*right, broken, critical]),
    ):
        yield Vector(
            name=f"unsupported-info-{name}",
            comment=comment,
            expect="unsupported",
            archive=_with_lines(lines),
        )


def _labels() -> Vectors:
    right = one().info
    for at, line in enumerate(right):
        label = line.partition(b":")[0].decode()
        yield damaged(
            f"info-missing-{label.lower().removeprefix('wmbackup-')}",
            f"the label {label} is missing",
            _with_lines(right[:at] + right[at + 1 :]),
        )
    a, b = b"A: 1\n", b"b: 2\n"
    chain, sequence = b"WMBackup-Chain: %s\n" % (b"0f" * 16), b"WMBackup-Sequence: 1\n"
    for name, comment, lines in (
        ("twice", "a label twice", [*right[:4], right[3], *right[4:]]),
        ("twice-unknown", "an unknown label twice", [*right, a, a]),
        (
            "reordered",
            "two labels have changed places",
            [*right[:3], right[4], right[3], *right[5:]],
        ),
        ("format-empty", "a format without a value", [b"WMBackup-Format: \n", *right[1:]]),
        ("format-second", "the format is the second line", [right[1], right[0], *right[2:]]),
        ("reordered-optional", "optional labels out of order", [*right, sequence, chain]),
        ("reordered-unknown", "unknown labels out of order", [*right, b, a]),
        ("unknown-early", "an unknown label before a known one", [*right[:4], a, *right[4:]]),
        ("unknown-before-optional", "an unknown label before an optional one", [*right, a, chain]),
    ):
        yield damaged(f"info-label-{name}", comment, _with_lines(lines))


def _lines() -> Vectors:
    right = one().info
    for name, comment, line in (
        ("underscore", "a label with an underscore", b"A_b: 1\n"),
        ("space-in-label", "a space before the colon", b"A : 1\n"),
        ("label-65", "a label of 65 bytes", b"A" * 65 + b": 1\n"),
        ("label-empty", "no label", b": 1\n"),
        ("label-not-ascii", "a label that is not ASCII", "É: 1\n".encode()),
        ("no-colon", "no colon", b"A\n"),
        ("no-space", "no space behind the colon", b"A:1\n"),
        ("no-value", "no value", b"A: \n"),
        ("critical-no-space", "what would be critical with a space", b"WMBackup-Critical-A:1\n"),
        ("folded", "a folded line", b"A: 1\n  2\n"),
        ("blank", "a blank line", b"\n"),
        ("crlf", "a CR at the end of a line", b"A: 1\r\n"),
        ("no-end", "no line feed at the end", b"A: 12"),
    ):
        yield damaged(f"info-line-{name}", comment, _with_lines([*right, line]))
    bom = [b"\xef\xbb\xbf" + right[0], *right[1:]]
    yield damaged("info-line-bom", "a byte order mark at the start", _with_lines(bom))
    injected = [*right[:3], b"WMBackup-Host: A\nWMBackup-Skipped: 5\n", *right[4:]]
    yield damaged("info-injected", "a line break in the host's name", _with_lines(injected))


def _escapes() -> Vectors:
    for name, comment, value in (
        ("no-digits", "% and no digits", b"a%"),
        ("one-digit", "% and one digit", b"a%4"),
        ("bad-digits", "% and letters that are no digits", b"a%zz"),
        ("lower-case", "lower-case digits", b"a%0ab"),
        ("unneeded", "a letter that needs none", b"a%41"),
        ("unneeded-space", "a space that is not at an end", b"a%20b"),
        ("unneeded-utf8", "valid UTF-8 that needs none", b"caf%C3%A9"),
        ("half", "one byte of a character escaped, one not", b"\xc2%85"),
        ("leading-space", "a space at the start", b" a"),
        ("trailing-space", "a space at the end", b"a "),
        ("inner-leading-space", "the second of two spaces at the start", b"%20 a"),
        ("cr", "a CR that needs one", b"a\rWMBackup-Skipped: 5"),
        ("zero", "a zero byte that needs one", b"a\0b"),
        ("tab", "a tab that needs one", b"a\tb"),
        ("delete", "U+007F that needs one", b"a\x7fb"),
        ("c1", "U+0085 that needs one", "a\x85b".encode()),
        ("alm", "U+061C that needs one", "a\u061cb".encode()),
        ("mark", "U+200F that needs one", "a\u200fb".encode()),
        ("line-separator", "U+2028 that needs one", "a\u2028b".encode()),
        ("override", "U+202E that needs one", "a\u202eb".encode()),
        ("isolate", "U+2069 that needs one", "a\u2069b".encode()),
        ("not-utf8", "a byte that is not UTF-8", b"a\xffb"),
        ("surrogate", "an encoded surrogate", b"a\xed\xa0\x80b"),
    ):
        made = one()
        made.set(CONTROL.encode(), value)
        yield damaged(f"info-escape-{name}", f"in a value: {comment}", made.archive())


def _values() -> Vectors:
    for label, values in {
        "Archive-Id": {"upper-case": "AB" * 16, "31": "0" * 31, "33": "0" * 33},
        "Created": {
            "not-a-leap-year": "2007-02-29T00:00:00Z",
            "hour-24": "2007-01-30T24:00:00Z",
            "second-60": "2006-12-31T23:59:60Z",
            "no-z": "2007-01-30T12:00:00",
            "offset": "2007-01-30T12:00:00+00:00",
            "fraction": "2007-01-30T12:00:00.5Z",
            "lower-case": "2007-01-30t12:00:00z",
            "year-0": "0000-01-01T00:00:00Z",
        },
        "Store-Kind": {"upper-case": "Folder", "digit": "1folder", "33": "a" * 33},
        "Signer": {"padded": "SHA256:" + "A" * 43 + "=", "md5": "MD5:" + "00:" * 15 + "00"},
        "Withheld": {"leading-zero": "00", "negative": "-0", "text": "none"},
        "Skipped": {"plus": "+1", "too-large": str(2**53), "seventeen-digits": "1" * 17},
    }.items():
        for name, value in values.items():
            made = one()
            made.set(b"WMBackup-" + label.encode(), value.encode())
            yield damaged(
                f"info-{label.lower()}-{name}", f"WMBackup-{label}: {value}", made.archive()
            )
    octets = len(one().data())
    for name, value in (
        ("leading-zero", f"0{octets}.1"),
        ("no-count", str(octets)),
        ("comma", f"{octets},1"),
        ("octets", f"{octets + 1}.1"),
        ("count", f"{octets}.2"),
    ):
        made = one()
        made.set(b"Payload-Oxum", value.encode())
        yield damaged(f"info-oxum-{name}", f"Payload-Oxum: {value}", made.archive())
    for name, line in (
        ("sequence-too-large", b"WMBackup-Sequence: 9007199254740992"),
        ("chain-upper-case", b"WMBackup-Chain: " + b"0F" * 16),
        ("sequence-0", b"WMBackup-Sequence: 0"),
        ("sequence-leading-zero", b"WMBackup-Sequence: 01"),
        ("previous-short", b"WMBackup-Previous: " + b"0" * 63),
    ):
        made = one()
        before = line.partition(b":")[0]
        made.info += [line + b"\n" if before in ours else ours for ours in _HISTORY]
        yield damaged(f"info-{name}", line.decode(), made.archive())
    chain, sequence, previous = _HISTORY
    for name, comment, lines in (
        ("chain-alone", "a chain without a sequence", [chain]),
        ("sequence-alone", "a sequence without a chain", [sequence]),
        ("previous-alone", "a previous archive without a chain", [previous]),
        ("previous-without-chain", "a sequence without its chain", [sequence, previous]),
    ):
        made = one()
        made.info += lines
        yield damaged(f"info-{name}", comment, made.archive())


def _agreement() -> Vectors:
    withheld = [license_row(None, withheld=b"true"), license_row(None, withheld=b"true")]
    for name, rows, number in (("fewer", withheld, 1), ("more", withheld, 3), ("none", [], 1)):
        made: Draft = draft(one().files, rows)
        made.set(b"WMBackup-Withheld", b"%d" % number)
        yield damaged(
            f"info-withheld-{name}",
            f"{number} withheld by bag-info.txt, {len(rows)} by licenses.jsonl",
            made.archive(),
        )

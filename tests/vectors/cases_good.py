"""Archives that are right, most of them at an edge of a rule."""

from __future__ import annotations

from forge import (
    COSIGNER,
    MAKER,
    SECOND,
    Draft,
    File,
    Key,
    collide,
    draft,
    is_safe,
    license_row,
    replace_once,
    sha256,
)
from vector import Vector, Vectors, keep, ok

LICENSE = File(b"a.lic", b"a synthetic license\n")
LARGEST = 2**53 - 1


def one() -> Draft:
    """The smallest archive: one file, no license known."""
    return draft([LICENSE])


def three() -> Draft:
    """Three files of one size class, so that they can change places."""
    return draft([File(b"%c.lic" % c, b"a synthetic license, %c\n" % c) for c in b"abc"])


# The vectors of each group that are kept as files.
KEPT_PAYLOADS = """
    ok-minimal ok-empty-file ok-sizes
"""
KEPT_PATHS = """
    ok-path-deep ok-path-long
    ok-own-names-and-items ok-path-not-utf8 ok-path-signs
"""
KEPT_NAMES = """
    ok-order-of-names ok-order-of-items ok-name-nearly-bad ok-path-85 ok-item-twin
    ok-item-below
"""
KEPT_INFO = """
    ok-optional-labels ok-unknown-labels ok-info-escapes
"""
KEPT_ROWS = """
    ok-license-rows ok-withheld ok-unknown-key-in-file ok-unknown-keys-in-license ok-times
"""
KEPT_SIGNATURES = """
    ok-time-stamp ok-cosigner ok-fifteen-cosigners ok-two-required
"""


def vectors() -> Vectors:
    """All of them."""
    yield from keep(KEPT_PAYLOADS, _payloads())
    yield from keep(KEPT_PATHS, _paths())
    yield from keep(KEPT_NAMES, _names())
    yield from keep(KEPT_INFO, _info())
    yield from keep(KEPT_ROWS, _rows())
    yield from keep(KEPT_SIGNATURES, _signatures())


def _of(name: str, comment: str, made: Draft) -> Vector:
    return ok(name, comment, made.archive(), made.data())


def _payloads() -> Vectors:
    yield _of("minimal", "one file and nothing that is optional", one())
    yield _of("empty-file", "a payload of no bytes", draft([File(b"a.lic", b"")]))
    sizes = [File(b"%03d.lic" % n, b"x" * n) for n in (0, 1, 511, 512, 513)]
    yield _of("sizes", "sizes around the block of 512", draft(sizes))
    twins = [File(b"a.lic", b"same"), File(b"b.lic", b"same")]
    yield _of("same-content", "two files with the same bytes", draft(twins))
    zeros = [File(b"a.lic", bytes(1024)), File(b"b.lic", b"behind what looks like an end")]
    yield _of("zero-blocks", "a file that looks like the end of a tar", draft(zeros))


def _paths() -> Vectors:
    mixed = [LICENSE, File(b"B/c.lic", b"1"), File("café.lic".encode(), b"2"), File(b"x:y", b"3")]
    yield _of("own-names-and-items", "two own names and two items", draft(mixed))
    yield _of("path-not-utf8", "a path in path_base64", draft([File(b"caf\xe9.lic", b"1")]))
    deep = draft([File(b"/".join([b"x:"] * 100), b"1")])
    yield _of("path-deep", "a path of 100 components", deep)
    long = draft([File(b"x:" * 2048, b"1")])
    yield _of("path-long", "a path of 4,096 bytes", long)
    surrogate = draft([File(b"\xed\xa0\x80.lic", b"1")])
    yield _of("path-surrogate", "an encoded surrogate is not UTF-8, so path_base64", surrogate)
    signs = '"\\/\b\f\n\r\t\x01\x1f\x7f\x85é\u2028\ufeff\U0001f600'
    odd = draft([File(signs.encode(), b"1")])
    yield _of("path-signs", "each escape of JSON, and characters that have none", odd)
    # A row of exactly 65536 bytes: an unknown key takes what the rest leaves.
    long = draft([LICENSE])
    rest = len(long.rows[0].rstrip(b"\n")) + len(b',"x":""' + b"\n")
    key = b'],"x":"%b"}' % (b"p" * (65536 - rest))
    long.rows[0] = replace_once(long.rows[0], b"]}", key)
    yield _of("row-longest", "a row of 65536 bytes", long)
    yield _of("item-backslash", "a backslash makes an item", draft([File(b"a\\b", b"1")]))


def _names() -> Vectors:
    spread = [b"a b", b"a-b", b"a.b", b"a/b", b"a/B.x", b"a0", b"B", b"c/d/e", b"c/d-e"]
    yield _of(
        "order-of-names",
        "own names by lower-cased components, in which a/b stands before a b",
        draft(File(path, path) for path in spread),
    )
    items = ["é", "É", "a:", "B:", "b:", "Z:", "ä", "a:/x"]
    yield _of(
        "order-of-items",
        "items by lower-cased path, ASCII letters only, then by exact bytes",
        draft(File(path.encode(), path.encode()) for path in items),
    )
    near = [b"com10", b"con1", b"conx.txt", b"nu.l", b"xaux", b"items", b"item", b"x/item-1"]
    yield _of(
        "name-nearly-bad",
        "own names that resemble device names and items and are neither",
        draft(File(path, b"1") for path in near),
    )
    yield _of("name-84", "an own name of 84 bytes", draft([File(b"n" * 84, b"1")]))
    yield _of("path-85", "a path of 85 bytes is an item", draft([File(b"n" * 85, b"1")]))
    for name, comment, paths in (
        ("item-twin", "an item that lost to its twin, A before a", [b"A.lic", b"a.lic"]),
        ("item-below", "an item a/b that lost to the file A", [b"A", b"a/b"]),
        ("item-above", "an item a that lost to A/b before it", [b"A/b", b"a"]),
        ("item-below-exact", "an item a/b that lost to the file a", [b"a", b"a/b"]),
        # a-x stands between a and a/b in the order of bytes, and A/b/c after a in that of names.
        ("item-among", "an item that lost, among names near it", [b"a", b"a-x", b"a/b", b"a0"]),
        ("item-lost-to-own", "an item b/C that lost to the file B", [b"B", b"b/C", b"c"]),
    ):
        made = draft(File(path, b"1") for path in paths)
        lost = [file.path for file in made.files if file.true_path is not None]
        if len(lost) != 1 or not is_safe(lost[0]) or not any(collide(lost[0], p) for p in paths):
            raise ValueError(f"{name} does not show what it should")
        yield _of(name, comment, made)


def _info() -> Vectors:
    made = one()
    made.info += [
        b"WMBackup-Machine: 00112233\n",
        b"WMBackup-Recipients: age1synthetic\n",
        b"WMBackup-Chain: %s\n" % (b"0f" * 16),
        b"WMBackup-Sequence: 1\n",
        b"WMBackup-Previous: %s\n" % sha256(b"a tag manifest"),
    ]
    yield _of("optional-labels", "all labels that may be missing", made)
    made = one()
    made.info += [b"Contact: somebody\n", b"WMBackup-Mood: good\n", b"contact: b\n"]
    yield _of("unknown-labels", "labels that nobody knows, in the order of bytes", made)
    for name, comment, label, value in (
        (
            "info-escapes",
            "each kind of escape",
            "Store",
            "%20%25%0A%7F%C2%85%E2%80%A8%FF%ED%A0%80 é%20",
        ),
        ("info-spaces", "a value of spaces alone", "Host", "%20%20%20"),
        ("info-colon", "a value with a colon and a space", "Host", "A: b"),
        ("info-skipped-largest", "2^53-1 files skipped", "Skipped", str(LARGEST)),
        ("info-leap-day", "February 29 in a leap year", "Created", "2008-02-29T23:59:59Z"),
        ("info-year-1", "the first second that can be said", "Created", "0001-01-01T00:00:00Z"),
        ("info-year-9999", "the last second that can be said", "Created", "9999-12-31T23:59:59Z"),
        ("info-kind-longest", "a store kind of 32 signs", "Store-Kind", "a" + "-9" * 15 + "z"),
    ):
        made = one()
        made.set(b"WMBackup-" + label.encode(), value.encode())
        yield _of(name, comment, made)


def _rows() -> Vectors:
    files = [LICENSE, File(b"b.lic", b"2"), File("é".encode(), b"3")]
    rights = (
        b'{"AllowBackupRestore":true,"AllowPlay":false,"PlayCount":-3,"Until":"",'
        b'"Z":9007199254740991}'
    )
    rows = [
        license_row("data/a.lic", kid=b'"AAAA=="', lid=b'""', rights=rights),
        license_row("data/a.lic", attributes=b'{"":"no name","Title":"\\u0000\xc3\xa9"}'),
        license_row("data/item-0000001", issued=b'"2006-11-02T03:04:05Z"', begins=b'"soon"'),
        license_row(None, kind=b'"wmdrm-v7"'),
        license_row(None, kind=b'"wmdrm-v7"', withheld=b"true"),
    ]
    yield _of("license-rows", "licenses of files and of none, two in one file", draft(files, rows))
    withheld = [license_row(None, withheld=b"true")] * 2
    yield _of("withheld", "two withheld licenses", draft([LICENSE], withheld))

    made = one()
    made.rows[0] = replace_once(made.rows[0], b"]}", b'],"a":null}')
    yield _of("unknown-key-in-file", "a key of a file row that nobody knows", made)
    made = draft([LICENSE], [license_row(None)])
    more = b'null,"A":{"a":[true,{}],"b":-9007199254740991},"z":[{}],"\xc3\xa9":1}'
    made.licenses[0] = replace_once(made.licenses[0], b'"file":null}', b'"file":' + more)
    yield _of("unknown-keys-in-license", "unknown keys with values of all types, 4 levels", made)

    names = ("archive", "hidden", "readonly", "system")
    kept = [File(b"a", b"1", attributes=names), File(b"b", b"2", attributes=())]
    yield _of("attributes", "all attributes, and none", draft(kept))
    times = [
        File(b"a", b"1", mtime=-1, mtime_ns=999999999),
        File(b"b", b"2", mtime=LARGEST, mtime_ns=0),
        File(b"c", b"3", mtime=-LARGEST, mtime_ns=1),
        File(b"d:", b"4", mtime=0),
    ]
    yield _of("times", "times before 1970 and far away", draft(times))


def _signatures() -> Vectors:
    made = one()
    made.time_stamp = b"opaque"
    yield _of("time-stamp", "a time stamp, at which nobody looks", made)
    made.time_stamp = b"t" * 65536
    yield _of("time-stamp-largest", "a time stamp of 65536 bytes", made)
    made = one()
    made.cosigners = (COSIGNER,)
    made.time_stamp = b"opaque"
    yield _of("cosigner", "a cosigner whom nobody knows, and a time stamp", made)
    made = one()
    made.cosigners = [Key(f"cosigner {number}") for number in range(15)]
    yield _of("fifteen-cosigners", "as many cosigners as there can be", made)
    made = one()
    made.cosigners = (COSIGNER, SECOND)
    yield Vector(
        name="ok-two-required",
        comment="two principals are required, and two of three who signed are trusted",
        expect="ok",
        archive=made.archive(),
        released=made.data(),
        trusted=(MAKER.trusted(), SECOND.trusted()),
        required=2,
    )

"""Faults of the names of payload files, each signed by its maker."""

from __future__ import annotations

from forge import Draft, File, draft, replace_once
from vector import Vector, Vectors, damaged, keep

# The vectors of each group that are kept as files.
KEPT_PATHS = """
    path-empty path-slash-twice path-dot path-parent path-parent-inside path-absolute
    path-slash-last path-zero path-duplicate path-deep path-long
"""
KEPT_ROWS = """
    path-base64-bits path-both path-base64-of-utf8 path-base64-no-padding path-base64-parent
    path-on-own-name path-missing-on-item
"""
KEPT_UNSAFE = """
    name-item-capital name-device-com0 name-backslash name-not-ascii name-dot-leading
    name-dot-trailing name-space-leading name-space-trailing-inside name-device-con
    name-device-nul-txt name-device-aux-folder name-device-com1-space name-85
"""
KEPT_ORDER = """
    names-reordered-case names-reordered-components names-twins names-prefix
    names-prefix-apart names-behind-item
"""
KEPT_ITEMS = """
    items-reordered items-reordered-case item-numbers-gap
"""
KEPT_UNNEEDED = """
    item-unneeded item-of-earlier item-of-earlier-above item-of-earlier-below item-of-item
"""


def vectors() -> Vectors:
    """All of them."""
    yield from keep(KEPT_PATHS, _paths())
    yield from keep(KEPT_ROWS, _rows())
    yield from keep(KEPT_UNSAFE, _unsafe())
    yield from keep(KEPT_ORDER, _order())
    yield from keep(KEPT_ITEMS, _items())
    yield from keep(KEPT_UNNEEDED, _unneeded())


def placed(*names: tuple[str, str | None]) -> Draft:
    """An archive of these members below data/ with these true paths, in this order."""
    files = [
        File(b"", b"%d" % number).at(
            b"data/" + member.encode(), None if path is None else path.encode()
        )
        for number, (member, path) in enumerate(names)
    ]
    return Draft(files)


def _named(name: str, comment: str, *names: tuple[str, str | None]) -> Vector:
    return damaged(name, comment, placed(*names).archive())


def _own(name: str, comment: str, *names: str) -> Vector:
    return _named(name, comment, *((member, None) for member in names))


def _item(name: str, comment: str, *paths: str) -> Vector:
    return _named(name, comment, *((f"item-{n:07d}", path) for n, path in enumerate(paths, 1)))


def _paths() -> Vectors:
    for name, path in {
        "empty": "",
        "deep": "/".join(["x:"] * 101),
        "deeper": "/".join(["x:"] * 8000),
        "long": "x:" * 2048 + "x",
        "long-base64": "/".join(["x" * 90 + ":"] * 50),
        "dot": ".",
        "dots": "..",
        "parent": "../x:",
        "parent-inside": "x:/../y",
        "parent-last": "x:/..",
        "dot-inside": "x:/./y",
        "dot-first": "./x:",
        "absolute": "/x:",
        "slash-alone": "/",
        "slash-last": "x:/",
        "slash-twice": "x://y",
        "zero": "x:\\u0000y",
    }.items():
        made = placed(("item-0000001", "%"))
        made.rows[0] = replace_once(made.rows[0], b'"%"', b'"%s"' % path.encode())
        yield damaged(f"path-{name}", f'the true path "{path}"', made.archive())
    yield _item("path-duplicate", "one true path for two items", "x:", "x:")


def _rows() -> Vectors:
    made = placed(("item-0000001", "x:"))
    path = b'"path":"x:"'
    for name, comment, new in (
        ("both", "path and path_base64", path + b',"path_base64":"/w=="'),
        ("both-same", "the same in path and path_base64", path + b',"path_base64":"eDo="'),
        ("base64-first", "path_base64 before path", b'"path_base64":"/w==",' + path),
        ("null", "the path null", b'"path":null'),
        ("number", "a path that is a number", b'"path":1'),
        ("base64-null", "path_base64 is null", b'"path_base64":null'),
        ("base64-of-utf8", "path_base64 of valid UTF-8", b'"path_base64":"eDo="'),
        ("base64-empty", "path_base64 of nothing", b'"path_base64":""'),
        ("base64-no-padding", "base64 without padding", b'"path_base64":"/w"'),
        ("base64-bits", "base64 with bits left over", b'"path_base64":"/x=="'),
        ("base64-url", "base64 of the other alphabet", b'"path_base64":"_w=="'),
        ("base64-space", "base64 with a space", b'"path_base64":"/ w=="'),
        ("base64-line-feed", "base64 with a line feed", b'"path_base64":"/w==\\n"'),
        ("base64-parent", "a path ../ and no UTF-8", b'"path_base64":"Li4v/w=="'),
        ("base64-zero", "a zero byte and no UTF-8", b'"path_base64":"AP8="'),
    ):
        changed = placed(("item-0000001", "x:"))
        changed.rows[0] = replace_once(made.rows[0], path, new)
        yield damaged(f"path-{name}", f"in a row: {comment}", changed.archive())
    yield _named("path-on-own-name", "an own name with a path", ("a.lic", "a.lic"))
    yield _named("path-other-on-own-name", "an own name with another path", ("a.lic", "x:"))
    yield _named("path-missing-on-item", "an item without a path", ("item-0000001", None))


def _unsafe() -> Vectors:
    for name, member in {
        "backslash": "a\\b",
        "colon": "a:b",
        "plus": "a+b",
        "tilde": "a~1",
        "percent": "a%41",
        "tab": "a\tb",
        "delete": "a\x7f",
        "not-ascii": "café",
        "parent": "../a",
        "parent-inside": "a/../b",
        "dot-component": "a/./b",
        "slash-twice": "a//b",
        "slash-first": "/a",
        "slash-last": "a/",
        "dot-leading": ".a",
        "dot-leading-inside": "a/.b",
        "dot-trailing": "a.",
        "dot-trailing-inside": "a./b",
        "space-leading": " a",
        "space-leading-inside": "a/ b",
        "space-trailing": "a ",
        "space-trailing-inside": "a /b",
        "device-con": "con",
        "device-prn": "Prn",
        "device-nul-txt": "NUL.txt",
        "device-aux-folder": "aux/a",
        "device-inside": "a/lpt1.b/c",
        "device-com0": "com0",
        "device-com1": "com1",
        "device-com1-space": "com1 .x",
        "device-com9-dots": "COM9.a.b",
        "device-lpt9-spaces": "lpt9  .x",
        "item-folder": "item-1/a",
        "item-capital": "Item-0000001",
        "item-text": "item-x",
        "item-six-digits": "item-000001",
        "item-eight-digits": "item-00000001",
    }.items():
        yield _own(f"name-{name}", f'the own name "{member}" is not safe', member)
    # 85 bytes below data/ fill more than a header's name, so the header's is cut.
    made = placed(("n" * 85, None))
    members = made.members()
    members[-1].name = members[-1].name[:-1]
    archive = b"".join(member.encode() for member in members) + bytes(1024)
    yield damaged("name-85", "an own name of 85 bytes", archive)
    made = placed(("", None))
    yield damaged("name-empty", "an own name of no bytes", made.archive())


def _order() -> Vectors:
    for name, comment, *members in (
        ("reordered", "b before a", "b", "a"),
        ("reordered-case", "by bytes instead of lower case", "B", "a"),
        ("reordered-components", "a b before a/b", "a b", "a/b"),
        ("reordered-deep", "a-/b before a/b", "a-/b", "a/b"),
        ("reordered-shorter", "a longer one first", "aa", "a"),
        ("duplicate", "one name twice", "a", "a"),
        ("twins", "twins by case", "A", "a"),
        ("twins-reordered", "twins by case, the other way", "a", "A"),
        ("twins-folder", "folders that are twins with one file", "A/b", "a/B"),
        ("prefix", "a file a and a file in a", "a", "a/b"),
        ("prefix-case", "a file A and a file in a", "A", "a/b"),
        ("prefix-apart", "a file a, and a file in a behind others", "a", "a/b", "a-b"),
        ("prefix-deep", "a file far inside another", "a/b", "a/b/c/d"),
    ):
        yield _own(f"names-{name}", f"own names: {comment}", *members)
    yield _named(
        "names-behind-item", "an own name behind an item", ("item-0000001", "x:"), ("a", None)
    )


def _items() -> Vectors:
    for name, comment, *paths in (
        ("reordered", "b: before a:", "b:", "a:"),
        ("reordered-case", "by bytes instead of lower case", "B:", "a:"),
        ("reordered-exact", "a: before A:", "a:", "A:"),
        ("reordered-not-ascii", "lower-cased beyond ASCII", "é1", "É2"),
        ("reordered-components", "a:/b before a:-b", "a:/b", "a:-b"),
    ):
        yield _item(f"items-{name}", f"items: {comment}", *paths)
    for name, comment, *numbers in (
        ("from-0", "they begin with 0", 0, 1),
        ("from-2", "they begin with 2", 2),
        ("gap", "1 and 3", 1, 3),
        ("twice", "1 twice", 1, 1),
        ("reordered", "2 before 1", 2, 1),
    ):
        named = [(f"item-{n:07d}", path) for n, path in zip(numbers, ("x:", "y:"), strict=False)]
        yield _named(f"item-numbers-{name}", f"the numbers of items: {comment}", *named)


def _unneeded() -> Vectors:
    yield _item("item-unneeded", "an item of a safe path that collides with nothing", "a.lic")
    for name, comment, own, path in (
        ("unneeded-beside", "an own name that is near and no collision", "a", "ab"),
        ("unneeded-beside-case", "A-b does not collide with a", "A-b", "a"),
        ("of-earlier", "the path comes before the own name that it collides with", "a", "A"),
        ("of-earlier-above", "A collides with a/b behind it", "a/b", "A"),
        ("of-earlier-below", "A/b collides with a behind it", "a", "A/b"),
        ("of-earlier-prefix", "a collides with a/b behind it", "a/b", "a"),
        ("of-same", "the path is that of an own name", "a", "a"),
        ("of-84", "84 bytes and safe", "a", "n" * 84),
    ):
        yield _named(
            f"item-{name}",
            f"an item that could be a name: {comment}",
            (own, None),
            ("item-0000001", path),
        )
    lost = draft([File(b"A", b"1"), File(b"a", b"2"), File(b"a/b", b"3")])
    if [file.member for file in lost.files] != [
        b"data/A",
        *(b"data/item-000000%d" % n for n in (1, 2)),
    ]:
        raise ValueError("both of them should have lost to A")
    yield _named(
        "item-of-item",
        "an item that collides with an item alone",
        ("B", None),
        ("item-0000001", "a:"),
        ("item-0000002", "a"),
    )

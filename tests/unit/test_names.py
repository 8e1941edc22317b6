from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from wmbackup.archive import constants, names
from wmbackup.archive.names import NameCheck, give_names, is_safe
from wmbackup.true_path import is_path


@pytest.mark.parametrize(
    "path",
    [
        b"a",
        b"drmv2.lic",
        b"A/b/C",
        b"a b",
        b"-",
        b"_",
        b"0",
        b"a.b.c",
        b"a  b",
        b"x" * 84,
        b"sub/item-1",
        b"itemx",
        b"item",
        b"con1",
        b"comx",
        b"com",
        b"com10",
        b"lpt",
        b"nulx",
        b"a.con",
        b"a/b.aux",
        b"a con",
        b"acon/b",
    ],
)
def test_safe_paths(path: bytes) -> None:
    assert is_safe(path)
    assert is_path(path)


DEVICES = [b"con", b"prn", b"aux", b"nul"]
DEVICES += [b"%s%d" % (port, number) for port in (b"com", b"lpt") for number in range(10)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("form", [b"%s", b"%s.txt", b"%s .txt", b"a/%s", b"%s/a", b"a/%s.b.c/d"])
def test_windows_devices_are_not_safe_in_any_disguise(device: bytes, form: bytes) -> None:
    assert not is_safe(form % device)
    assert not is_safe(form % device.upper())
    assert not is_safe(form % device.title())
    assert is_path(form % device)


@pytest.mark.parametrize(
    "path",
    [
        b" a",
        b"a ",
        b".a",
        b"a.",
        b"a/ b",
        b"a /b",
        b"a/.b",
        b"a./b",
        b"a\\b",
        b"a:b",
        b"a*",
        b"caf\xc3\xa9",
        b"a\x1fb",
        b"a\n",
        b"a\tb",
        b"a\x7f",
        b"item-",
        b"item-1",
        b"ITEM-1/x",
        b"Item-0000001",
        b"x" * 85,
        b"con  .txt",
        b"...",
        b" ",
    ],
)
def test_paths_that_are_paths_and_not_safe(path: bytes) -> None:
    assert not is_safe(path)
    assert is_path(path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/a",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"a/..",
        b"../a",
        b"a/./b",
        b"a\0b",
        b"\0",
        b"./a",
    ],
)
def test_what_is_no_path_is_not_safe_either(path: bytes) -> None:
    assert not is_path(path)
    assert not is_safe(path)


def test_own_names_are_ordered_by_component_and_not_by_byte() -> None:
    naming = give_names([b"a-b", b"a/b", b"a b", b"B", b"a.b", b"a/a/a", b"A/0"])
    assert naming.own == [b"A/0", b"a/a/a", b"a/b", b"a b", b"a-b", b"a.b", b"B"]
    assert naming.items == []
    assert naming.winners == frozenset()


def test_items_are_ordered_in_lower_case_and_then_exactly() -> None:
    naming = give_names([b"b?", b"A?", b"a?", b"B?", b"\xc4", b"\xe4"])
    assert naming.items == [b"A?", b"a?", b"B?", b"b?", b"\xc4", b"\xe4"]


@pytest.mark.parametrize(
    ("paths", "own", "items", "winners"),
    [
        ([b"a", b"A"], [b"A"], [b"a"], [b"A"]),
        ([b"a", b"A", b"b"], [b"A", b"b"], [b"a"], [b"A"]),
        ([b"A", b"a/b"], [b"A"], [b"a/b"], [b"A"]),
        ([b"a", b"A/b"], [b"A/b"], [b"a"], [b"A/b"]),
        ([b"a", b"A/b", b"A/c"], [b"A/b", b"A/c"], [b"a"], [b"A/b"]),
        ([b"a/b/c", b"A/B"], [b"A/B"], [b"a/b/c"], [b"A/B"]),
        ([b"X/y", b"x/Z"], [b"X/y", b"x/Z"], [], []),
        # What lost takes no name from others.
        ([b"A", b"a/b", b"a/B/c"], [b"A"], [b"a/b", b"a/B/c"], [b"A"]),
    ],
)
def test_the_first_in_byte_order_keeps_its_name(
    paths: list[bytes], own: list[bytes], items: list[bytes], winners: list[bytes]
) -> None:
    for order in (paths, paths[::-1]):
        naming = give_names(order)
        assert naming.own == own
        assert naming.items == items
        assert naming.winners == frozenset(winners)


def test_items_have_seven_digits() -> None:
    assert names.item_member(1) == b"data/item-0000001"
    assert names.item_member(constants.MAX_FILES) == b"data/item-9999999"


def check(own: Sequence[bytes]) -> NameCheck:
    def own_from(key: bytes) -> Iterator[bytes]:
        return (path for path in own if names.own_order(path) >= key)

    judge = NameCheck(own_from)
    for path in own:
        assert judge.own(path) is None
    return judge


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"b", b"a"),
        (b"a", b"a"),
        (b"A", b"a"),
        (b"a", b"a/b"),
        (b"a", b"A/b"),
        (b"a-b", b"a/b"),
        (b"a", b"B c "),
    ],
)
def test_own_names_out_of_order_colliding_or_unsafe_are_refused(
    first: bytes, second: bytes
) -> None:
    assert check([first]).own(second) is not None


def test_an_own_name_after_an_item_is_refused() -> None:
    judge = check([])
    assert judge.item(b"data/item-0000001", b"?") is None
    assert judge.own(b"a") == "an own name follows an item"


@pytest.mark.parametrize("number", [0, 2, 10])
def test_items_are_numbered_from_one_without_a_gap(number: int) -> None:
    assert "numbered" in str(check([]).item(names.item_member(number), b"?"))


@pytest.mark.parametrize("path", [b"", b"/etc/passwd", b"../x", b"a/../b", b"a\0", b"a//b"])
def test_an_item_that_leaves_its_store_is_refused(path: bytes) -> None:
    assert "leaves its store" in str(check([]).item(b"data/item-0000001", path))


@pytest.mark.parametrize(("first", "second"), [(b"b?", b"a?"), (b"a?", b"A?"), (b"a?", b"a?")])
def test_items_out_of_order_or_twice_are_refused(first: bytes, second: bytes) -> None:
    judge = check([])
    assert judge.item(b"data/item-0000001", first) is None
    assert "out of order" in str(judge.item(b"data/item-0000002", second))


@pytest.mark.parametrize(
    ("own", "item", "right"),
    [
        ([], b"a", False),
        ([b"a"], b"a", False),  # twice
        ([b"A"], b"a", True),
        ([b"a"], b"A", False),  # the one before in byte order would have kept its name
        ([b"A"], b"a/b", True),
        ([b"a"], b"A/b", False),
        ([b"A/b"], b"a", True),
        ([b"a/b"], b"A", False),
        ([b"a/A", b"A/b"], b"a", True),
        ([b"a/A", b"a/b"], b"A", False),
        ([b"A-b"], b"a", False),
        ([b"A-b", b"B/c/d"], b"b/C/d", True),
        ([b"A-b", b"B/c/d"], b"b/C", True),
        ([b"A-b", b"B/c/d"], b"b/C/e", False),
        ([b"a/b"], b"a/b/c", True),
        ([b"a/b/c"], b"a/b", False),
    ],
)
def test_an_item_whose_path_is_safe_has_to_collide_with_an_own_name_before_it(
    own: list[bytes], item: bytes, *, right: bool
) -> None:
    problem = check(own).item(b"data/item-0000001", item)
    assert problem == (None if right else "the item could have kept its name")


def test_items_that_are_twins_scan_their_folder_once() -> None:
    scans = []

    def own_from(key: bytes) -> Iterator[bytes]:
        scans.append(key)
        return (path for path in [b"AA/x", b"AA/y"] if names.own_order(path) >= key)

    judge = NameCheck(own_from)
    assert judge.own(b"AA/x") is None
    assert judge.own(b"AA/y") is None
    for number, path in enumerate([b"Aa", b"aA", b"aa"], 1):
        assert judge.item(names.item_member(number), path) is None
    assert scans.count(b"aa\0") == 1
    assert judge.item(names.item_member(4), b"aa/X") is None


@pytest.mark.parametrize("together", [1, 2, 3])
def test_names_do_not_depend_on_how_many_are_sorted_and_judged_together(
    monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    paths = [b"b", b"B/x", b"a/c", b"a-c", b"A", b"c:d", b"c", b"b/x", b"aux"]
    apart = [b"d", b"c/x", b"b", b"a/b", b"a-b"]
    wanted = [give_names(paths), give_names(apart)]
    assert wanted[0].winners
    monkeypatch.setattr(names, "_RUN", together)
    monkeypatch.setattr(names, "_TOGETHER", together)
    assert [give_names(paths), give_names(apart)] == wanted

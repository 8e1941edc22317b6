from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from tests.archives import File, build, reseal, split
from tests.folders import KEY, POLICY, Log, back_up, fill
from wmbackup.engine import (
    Differences,
    Row,
    Selection,
    backup,
    compare,
    inventory_of_archive,
    inventory_of_store,
    open_archive,
)
from wmbackup.engine._tally import Tally
from wmbackup.errors import (
    ArchiveDamaged,
    ArchiveTruncated,
    Cancelled,
    SignerUntrusted,
    StoreUnavailable,
)
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.status import Control, ItemEvent, PhaseEvent
from wmbackup.stores.base import Store
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.sample import SampleStore
from wmbackup.testing import FakeItem, FakeStore
from wmbackup.trust import Policy


def rows_in(store: Store, *, hashes: bool = False) -> tuple[list[Row], Tally]:
    with inventory_of_store(store, hashes=hashes) as (inventory, tally):
        assert inventory.info is None
        assert inventory.principals == ()
        return list(inventory.rows), tally


def rows_of(archive: bytes) -> list[Row]:
    with (
        open_archive(io.BytesIO(archive)) as source,
        inventory_of_archive(source, POLICY) as inventory,
    ):
        assert inventory.principals == ("wmbackup@host",)
        assert inventory.info is not None
        return list(inventory.rows)


def saved(store: Store) -> bytes:
    stream = io.BytesIO()
    backup(store, stream, KEY, host="host")
    return stream.getvalue()


def store() -> FakeStore:
    two = (License("f", kid="1", path=b"b"), License("f", kid="2", path=b"b"))
    made = FakeStore({b"c": b"3", b"b": FakeItem(b"2", licenses=two), b"w": b"4", b"gone": b""})
    made.lose(b"gone")
    made.withhold(b"w", License("f", kid="3", withheld=True))
    made.known.append(License("f", kid="whole"))
    return made


def seen(rows: list[Row]) -> list[tuple[bytes | None, str | None, bool]]:
    return [
        (row.path, row.license.kid, row.license.withheld)
        if row.license
        else (row.path, None, False)
        for row in rows
    ]


def test_a_store_shows_each_license_and_each_file_without_one() -> None:
    rows, tally = rows_in(store())
    assert seen(rows) == [
        (b"b", "1", False),
        (b"b", "2", False),
        (b"c", None, False),
        (b"w", "3", True),
        (None, "whole", False),
    ]
    assert [skipped.path for skipped in tally.skipped] == [b"gone"]
    assert {row.sha256 for row in rows} == {None}
    assert rows[2].item == Item(b"c", 1, rows[2].item.mtime_ns if rows[2].item else 0)


def test_an_archive_shows_the_same_but_where_a_withheld_one_was() -> None:
    assert seen(rows_of(saved(store()))) == [
        (b"b", "1", False),
        (b"b", "2", False),
        (b"c", None, False),
        (None, "3", True),
        (None, "whole", False),
    ]


def test_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    files = {b"a": b"1", b"large": bytes(3_000_000)}
    rows, _ = rows_in(FolderStore(str(fill(tmp_path, files))), hashes=True)
    assert {row.path: row.sha256 for row in rows} == {
        path: hashlib.sha256(data).digest() for path, data in files.items()
    }


def test_a_file_that_changes_while_it_is_hashed_is_skipped() -> None:
    changing = FakeStore({b"a": bytes(3_000_000), b"b": b"1"})
    changing.change(b"a")
    rows, tally = rows_in(changing, hashes=True)
    assert [row.path for row in rows] == [b"b"]
    assert [skipped.path for skipped in tally.skipped] == [b"a"]


def test_events_tell_of_every_item() -> None:
    log = Log()
    with inventory_of_store(store(), log.control()) as (inventory, _):
        assert log.events == [], "nothing is read before it is asked for"
        list(inventory.rows)
    assert [e.items for e in log.events if isinstance(e, PhaseEvent)] == [4]
    assert [e.index for e in log.events if isinstance(e, ItemEvent)] == [1, 2, 3, 4]


def test_an_inventory_stops_between_items_and_between_blocks() -> None:
    log = Log(2)
    with (
        pytest.raises(Cancelled),
        inventory_of_store(store(), log.control()) as (inventory, _),
    ):
        list(inventory.rows)
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 4

    large = FakeStore({b"a": bytes(100)}, block=1)
    with (
        pytest.raises(Cancelled),
        inventory_of_store(large, Control(cancelled=cancelled), hashes=True) as (inventory, _),
    ):
        list(inventory.rows)
    assert len(asked) == 5


def test_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        rows_in(FolderStore(f"{tmp_path}/missing"))


def test_nothing_is_shown_of_what_is_not_believed(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    back_up(fill(tmp_path / "store", {b"a": bytes(2000)}), archive)
    with (
        open_archive(str(archive)) as source,
        pytest.raises(SignerUntrusted),
        inventory_of_archive(source, Policy()),
    ):
        pass
    os.truncate(archive, archive.stat().st_size - 1)
    with (
        pytest.raises(ArchiveTruncated),
        open_archive(str(archive)) as source,
        inventory_of_archive(source, POLICY),
    ):
        pass


def test_a_selection_that_asks_for_nothing_is_false() -> None:
    assert not Selection()
    for asked in (Selection(kids=("a",)), Selection(titles=("a",)), Selection(paths=(b"a",))):
        assert asked


@pytest.mark.parametrize(
    ("selection", "matches"),
    [
        (Selection(), True),
        (Selection(kids=("k",)), True),
        (Selection(kids=("K",)), False),
        (Selection(titles=("straße",)), True),
        (Selection(titles=("STRASSE",)), True),
        (Selection(titles=("gasse",)), False),
        (Selection(paths=(b"a/b",)), True),
        (Selection(paths=(b"a",)), True),
        (Selection(paths=(b"a/",)), True),
        (Selection(paths=(b"a/b/c",)), False),
        (Selection(paths=(b"A",)), False),
        (Selection(paths=(b"?/b",)), True),
        (Selection(kids=("k",), titles=("x",)), False),
    ],
)
def test_a_selection_means_what_all_its_lists_agree_on(
    selection: Selection, *, matches: bool
) -> None:
    known = License("f", kid="k", attributes={"Title": "Die Straße"})
    assert selection.matches(Row(Item(b"a/b", 0, 0), known)) is matches
    alone = Row(None, known)
    assert selection.matches(alone) is (matches and not selection.paths)
    plain = Row(Item(b"a/b", 0, 0), None)
    assert selection.matches(plain) is (matches and not selection.kids and not selection.titles)


def test_a_license_that_is_in_no_file_has_the_path_where_it_was_found() -> None:
    assert Row(None, License("f", path=b"x")).path == b"x"
    assert Row(None, None).path is None


def test_two_inventories_differ_by_what_was_added_gone_and_changed() -> None:
    def rows(**files: bytes) -> list[Row]:
        return [Row(Item(name.encode(), 0, 0), None, data) for name, data in files.items()]

    known = [Row(None, License("f", withheld=True))]
    first, second = rows(a=b"1", b=b"2", c=b"3") + known, rows(d=b"1", b=b"2", c=b"4", e=b"")
    assert compare(first, second) == Differences((b"d", b"e"), (b"a",), (b"c",))
    assert compare(first, second)
    assert not compare(first, rows(c=b"3", b=b"2", a=b"1"))


def test_a_store_does_not_differ_from_its_archive() -> None:
    rows, _ = rows_in(SampleStore(), hashes=True)
    assert not compare(rows_of(saved(SampleStore())), rows)


@pytest.mark.parametrize(
    ("selection", "beginnings"),
    [
        (Selection(paths=(b"a/b.lic", b"c/")), (b"a/b.lic", b"c")),
        (Selection(paths=(b"a/*.lic", b"b[c]d")), (b"a/", b"b")),
        (Selection(paths=(b"a", b"*.lic")), ()),
        (Selection(kids=("k",), paths=(b"a",)), ()),
        (Selection(titles=("t",), paths=(b"a",)), ()),
        (Selection(), ()),
    ],
)
def test_what_can_match_begins_as_the_selection_says(
    selection: Selection, beginnings: tuple[bytes, ...]
) -> None:
    assert selection.beginnings == beginnings


def test_a_head_that_contradicts_itself_is_refused_from_a_pipe_too(tmp_path: Path) -> None:
    members = split(build([File(b"a", b"1"), File(b"b", b"2")]))
    text = members["bag-info.txt"].replace(b"Payload-Oxum: 2.2", b"Payload-Oxum: 3.2")
    archive = reseal(members, bag_info_txt=text)
    place = tmp_path / "a.tar"
    place.write_bytes(archive)
    for source in (str(place), io.BytesIO(archive)):
        with (
            pytest.raises(ArchiveDamaged, match="Payload-Oxum"),
            open_archive(source) as opened,
            inventory_of_archive(opened, POLICY),
        ):
            pass

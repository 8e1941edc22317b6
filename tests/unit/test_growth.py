"""The work grows in proportion to what a trusted maker can put into an archive, and no faster."""

from __future__ import annotations

import io
import os
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

import pytest

from tests.archives import (
    File,
    build,
    ignore,
    opened,
    read,
    split,
    spool,
    trusted,
)
from tests.folders import KEY, POLICY, WAYS, WINDOWS, fill
from tests.growth import FACTOR, calls, grows_in_proportion
from wmbackup.archive import inventory as inventory_module
from wmbackup.archive.reader import SealedArchive
from wmbackup.engine import OnConflict, _tally, backup, restore
from wmbackup.engine._inventory import inventory_of_store
from wmbackup.license import License
from wmbackup.status import Control
from wmbackup.stores import importing
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.journal import Journal
from wmbackup.stores.staging import Staging
from wmbackup.stores.tree import HandleTree
from wmbackup.testing import FakeStore
from wmbackup.true_path import MAX_DEPTH


def flat(number: int) -> Iterable[bytes]:
    return (b"%06d.lic" % at for at in range(number))


def items(number: int) -> Iterable[bytes]:
    return (b"%06d:" % at for at in range(number))


def deep(number: int) -> Iterable[bytes]:
    return (b"/".join([b"%06d:" % at] + [b"d"] * 30) for at in range(number))


def comb(number: int) -> Iterable[bytes]:
    return (b"/".join([b"x:"] * (at % 20 + 1)) + b"/%06d" % at for at in range(number))


def alternating(number: int) -> Iterable[bytes]:
    """Folders that are left and entered again with each file."""
    return (b"%s:/d/%06d" % (b"aA"[at % 2 :][:1], at) for at in range(number))


def twins(number: int) -> Iterable[bytes]:
    """Items that have to look for the own names that they lost to."""
    for at in range((number + 1) // 2):
        yield from (b"A/%06d" % at, b"a/%06d" % at)


def below(number: int) -> Iterable[bytes]:
    """Items that lost to all own names at once."""
    own = b"/".join([b"A"] * 20)
    yield from (own + b"/%06d" % at for at in range(number))
    yield from (b"/".join([b"A"] * depth + [b"a"]) for depth in range(min(number, 19)))


NAMES = [flat, items, deep, comb, alternating, twins, below]
Names = Callable[[int], Iterable[bytes]]


def archive(names: Names, number: int) -> bytes:
    return build([File(path, b"%d" % at) for at, path in enumerate(names(number))])


@pytest.mark.parametrize("names", NAMES)
def test_verifying_grows_in_proportion(names: Names) -> None:
    def work(number: int) -> Callable[[], object]:
        data = archive(names, number)
        return lambda: read(data, length=len(data))

    grows_in_proportion(work, 400)


@pytest.mark.parametrize("names", NAMES)
def test_listing_grows_in_proportion(names: Names) -> None:
    def work(number: int) -> Callable[[], object]:
        found = opened(archive(names, number))
        return lambda: [*found.rows(), *found.batches(), *found.items_with((b"0",))]

    grows_in_proportion(work, 400)


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("cut", ["files.jsonl", "licenses.jsonl", "manifest-sha256.txt", "payload"])
def test_a_salvage_grows_in_proportion(names: Names, cut: str) -> None:
    def work(number: int) -> Callable[[], object]:
        data = archive(names, number)
        damaged = bytearray(data)
        text = split(data).get(cut)
        at = data.index(text) if text else data.index(b"wmbackup-1/data/") + 512
        if cut == "payload":
            del damaged[at : at + 512]  # behind it, nothing is at its place
        else:
            damaged[at] ^= 1
        found = trusted(bytes(damaged), len(damaged))
        return lambda: found.salvage(spool).files(ignore)

    grows_in_proportion(work, 300)


@pytest.mark.skipif(WINDOWS, reason="some of these names are none there, or the same")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("target", ["new", "existing", "same", "other"])
def test_a_restore_grows_in_proportion(
    names: Names,
    target: str,
    way: type[HandleTree],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "open_tree", way)

    def work(number: int) -> Callable[[], object]:
        root = tmp_path / str(number)
        paths = list(names(number))
        data = archive(names, number)
        if target == "existing":
            root.mkdir()
        elif target != "new":
            change = b"" if target == "same" else b"!"
            fill(root, {path: b"%d" % at + change for at, path in enumerate(paths)})
        source = SealedArchive(io.BytesIO(data), length=len(data))
        store = FolderStore(str(root))
        return lambda: restore(source, store, POLICY, on_conflict=OnConflict.REPLACE)

    grows_in_proportion(work, 60)


def test_a_restore_of_one_deep_file_grows_with_its_depth(tmp_path: Path) -> None:
    def work(depth: int, *, new: bool) -> Callable[[], object]:
        root = tmp_path / f"{depth}-{new}"
        data = build([File(b"/".join([b"d"] * depth + [b"f"]), b"1")])
        if not new:
            root.mkdir()
        source = SealedArchive(io.BytesIO(data), length=len(data))
        return lambda: restore(source, FolderStore(str(root)), POLICY)

    for new in (True, False):
        work(2, new=new)()  # what is loaded once
        # What is done once for a restore is left out of the comparison.
        least, half, full = (
            calls(work(depth, new=new)) for depth in (1, MAX_DEPTH // 2, MAX_DEPTH - 1)
        )
        assert full - least < FACTOR * (half - least)


@pytest.mark.skipif(WINDOWS, reason="some of these names are none there, or the same")
@pytest.mark.parametrize("names", [deep, comb, alternating])
def test_an_undo_grows_in_proportion(names: Names, tmp_path: Path) -> None:
    def work(number: int) -> Callable[[], object]:
        root = tmp_path / str(number)
        root.mkdir()
        (root / "before").mkdir()
        tree = HandleTree(str(root))
        staging = Staging(tree)
        staging.make_places()
        places = [(path, at) for at, path in enumerate(names(number))]
        for _, at in places:
            (root / os.fsdecode(staging.file(at))).write_bytes(b"1")
        journal = Journal.write(tree, staging.name, places)
        fill(root, {path: b"" for path, _ in places})
        for path, at in places:
            os.replace(root / os.fsdecode(staging.file(at)), root / os.fsdecode(path))

        def undo() -> None:
            journal.undo()
            staging.close()
            tree.close()
            assert os.listdir(root) == ["before"]

        return undo

    grows_in_proportion(work, 40)


@pytest.mark.skipif(WINDOWS, reason="folders have no handles there")
def test_an_undo_of_one_deep_file_grows_with_its_depth(tmp_path: Path) -> None:
    def taken(depth: int) -> int:
        root = tmp_path / str(depth)
        root.mkdir()
        tree = HandleTree(str(root))
        staging = Staging(tree)
        staging.make_places()
        path = b"/".join([b"d"] * depth + [b"f"])
        (root / os.fsdecode(staging.file(0))).write_bytes(b"1")
        journal = Journal.write(tree, staging.name, [(path, 0)])
        fill(root, {path: b""})
        os.replace(root / os.fsdecode(staging.file(0)), root / os.fsdecode(path))
        found = calls(journal.undo)
        staging.close()
        tree.close()
        assert os.listdir(root) == []
        return found

    least = taken(1)
    # 32 folders are kept open; above them the way is gone once more.
    assert taken(MAX_DEPTH - 1) - least < 3 * (taken(MAX_DEPTH // 2) - least)


@pytest.mark.skipif(WINDOWS, reason="folders have no handles there")
def test_the_journal_and_its_undo_take_no_more_than_the_paths(tmp_path: Path) -> None:
    """Folders on the way are not written down one by one, nor remembered."""

    def sizes(number: int) -> tuple[float, int]:
        root = tmp_path / str(number)
        root.mkdir()
        tree = HandleTree(str(root))
        staging = Staging(tree)
        staging.make_places()
        paths = [b"/".join([b"%06d:" % at] + [b"d" * 30] * 90) for at in range(number)]
        journal = Journal.write(tree, staging.name, zip(paths, count()))
        written = (root / os.fsdecode(staging.name) / "journal").stat().st_size
        tracemalloc.start()
        journal.undo()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        staging.close()
        tree.close()
        return written / sum(map(len, paths)), peak

    once, twice = sizes(20), sizes(40)
    assert twice[0] < 2  # base64, and what is known of a file
    assert twice[1] < 1.2 * once[1]


def test_licenses_of_one_file_are_not_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file can have all of the two billion bytes of licenses.jsonl."""
    monkeypatch.setattr(inventory_module, "_AT_ONCE", 100)

    def peak(count_: int) -> int:
        known = tuple(License("wmdrm-v7", kid=f"{at:01000d}") for at in range(count_))
        found = opened(build([File(b"a.lic", b"1", licenses=known)]))
        tracemalloc.start()
        assert sum(1 for _ in found.rows()) == count_
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    assert (peak(4000) - peak(2000)) / 2000 < 100  # bytes a license


def test_what_is_noted_of_restricted_licenses_is_put_in_order_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not for each file: that took a minute for 10,000."""
    sorted_: list[int] = []
    real = _tally._in_order

    def in_order(noted: list[tuple[int, object]]) -> list[object]:
        sorted_.append(len(noted))
        return real(noted)

    monkeypatch.setattr(_tally, "_in_order", in_order)
    store = FakeStore(dict.fromkeys(flat(200), b"1"))
    for path in flat(200):
        store.withhold(path)
    with inventory_of_store(store, Control()) as (inventory, tally):
        assert sum(1 for _ in inventory.rows) == 200
    assert len(tally.withheld) == 200
    assert sum(sorted_) <= 2 * 200


@pytest.mark.parametrize("names", NAMES)
def test_a_backup_grows_in_proportion(names: Names, tmp_path: Path) -> None:
    def work(number: int) -> Callable[[], object]:
        store = FakeStore(dict.fromkeys(names(number), b"1"))
        return lambda: backup(store, str(tmp_path / f"{number}.tar"), KEY)

    grows_in_proportion(work, 300)

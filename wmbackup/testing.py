"""The contract that every store passes; with it comes a store that fails on command.

Whoever writes a store of his own runs the contract against it. With pytest that is all of it::

    import pytest
    from wmbackup.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture(autouse=True)
        def _place(self, tmp_path):
            self.folder = tmp_path

        def make_store(self):
            fill(self.folder / "full")          # with what `content` says
            return MyStore(self.folder / "full")

        def content(self):
            return {b"a.lic": b"a license", b"albums/b.lic": b"another one"}

        def make_target(self):                  # left out by a store that takes nothing in
            return MyStore(self.folder / "empty")

Nothing here needs pytest: each method whose name begins with ``test_`` is one check that raises
AssertionError, and any runner may call it on a fresh object.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import ClassVar

from wmbackup.errors import (
    Cancelled,
    RestoreConflict,
    StoreReadOnly,
    StoreUnavailable,
)
from wmbackup.fakes import A_TIME, FakeItem, FakeStore
from wmbackup.item import ATTRIBUTES, Item
from wmbackup.status import Control
from wmbackup.stores.base import (
    Content,
    Import,
    ItemUnavailable,
    ItemWithheld,
    Standing,
    Store,
)

__all__ = ["FakeItem", "FakeStore", "StoreContract", "contents"]

_LARGE = 3 * 1024 * 1024 + 1  # bytes: more than a store hands out in one piece


def contents(store: Store) -> dict[bytes, bytes]:
    """Return path and bytes of all items that may be backed up; none if the store is missing."""
    found: dict[bytes, bytes] = {}
    with contextlib.suppress(StoreUnavailable), store.export(Control()) as export:
        for path in export.paths:
            with contextlib.suppress(ItemWithheld):
                found[path] = _bytes(export.read(path))
    return found


def _bytes(content: Content) -> bytes:
    return content.data if isinstance(content.data, bytes) else b"".join(content.data)


def _item(path: bytes, data: bytes) -> Item:
    return Item(path, len(data), A_TIME)


def _standing(import_: Import, path: bytes, data: bytes) -> Standing:
    return import_.standing(_item(path, data), hashlib.sha256(data).digest())


class StoreContract:
    """What every store does. A subclass says what `make_store` makes.

    ``has_folders`` is False for a store in which ``a`` and ``a/b`` can both be files.
    """

    has_folders: ClassVar[bool] = True

    def make_store(self) -> Store:
        """Return a store that can be read and is not empty."""
        raise NotImplementedError

    def content(self) -> Mapping[bytes, bytes] | None:
        """Return path and bytes of all that `make_store` carries; None where that is unknown."""
        return None

    def make_target(self) -> Store | None:
        """Return an empty store to restore into; always the same one, and None where none is."""
        return None

    def test_says_what_and_where_it_is(self) -> None:
        """Kind, location and root are fit for messages, names of archives and locks."""
        store = self.make_store()
        assert store.kind
        assert store.kind.replace("-", "").isalnum(), "a kind is a word of the command line"
        assert store.location
        assert store.root is None or os.path.isabs(store.root), "a root is an absolute path"
        assert isinstance(store.gives_statuses, bool)

    def test_lists_each_path_once(self) -> None:
        """Paths are true paths: relative, slash-separated bytes, none of them twice."""
        with self.make_store().export(Control()) as export:
            paths = list(export.paths)
            skipped = [skipped.path for skipped in export.skipped]
        assert paths, "the store of the contract is not empty"
        assert len(set(paths)) == len(paths), "each path once"
        assert not set(paths) & set(skipped), "what is skipped is no item"
        for path in paths:
            assert b"\0" not in path
            assert not {b"", b".", b".."} & set(path.split(b"/")), f"{path!r} is no true path"

    def test_gives_what_it_says(self) -> None:
        """Metadata and bytes of an item agree."""
        with self.make_store().export(Control()) as export:
            for path in export.paths:
                with contextlib.suppress(ItemWithheld):
                    content = export.read(path)
                    assert len(_bytes(content)) == content.size, f"{path!r} has another size"
                    known = [name for name in ATTRIBUTES if name in content.attributes]
                    assert list(content.attributes) == known, "attributes are in their order"

    def test_gives_its_content(self) -> None:
        """Every byte that is known to be in the store comes out of it."""
        expected = self.content()
        if expected is not None:
            assert contents(self.make_store()) == dict(expected)

    def test_gives_the_same_twice(self) -> None:
        """Reading changes nothing, within one export and between two."""
        store = self.make_store()
        first, second = self._read_all(store), self._read_all(store)
        assert first == second

    def _read_all(self, store: Store) -> dict[bytes, object]:
        read: dict[bytes, object] = {}
        with store.export(Control()) as export:
            for path in sorted(export.paths) * 2:
                try:
                    content = export.read(path)
                except ItemWithheld as error:
                    seen: object = error.licenses
                else:
                    seen = content._replace(data=_bytes(content))
                assert read.setdefault(path, seen) == seen, f"{path!r} came out differently"
        return read

    def test_knows_nothing_of_other_paths(self) -> None:
        """A path that is not listed is unavailable, as one is that has vanished."""
        with self.make_store().export(Control()) as export:
            for path in (b"no such item", b"no such folder/item"):
                assert path not in export.paths
                _expect(ItemUnavailable, lambda: export.read(path))  # noqa: B023 - called at once

    def test_finds_licenses_in_items(self) -> None:
        """A license names one of the items as the place that it was found in, or none."""
        store = self.make_store()
        with store.export(Control()) as export:
            paths = set(export.paths)
            known = list(export.licenses)
            for path in paths:
                try:
                    licenses = export.read(path).licenses
                except ItemWithheld as error:
                    licenses = error.licenses
                    assert any(found.withheld for found in licenses), "something is withheld"
                assert all(found.kind for found in licenses)
                assert {found.path for found in licenses} <= {path, None}
        known += store.licenses(Control())
        assert {found.path for found in known} <= paths | {None}

    def test_stops_when_it_is_asked_to(self) -> None:
        """Whoever cancels waits for no listing and no enumeration to end."""
        store, control = self.make_store(), Control(cancelled=lambda: True)
        _expect(Cancelled, lambda: store.export(control).__enter__())
        _expect(Cancelled, lambda: list(store.licenses(control)))

    def test_says_that_it_takes_nothing_in(self) -> None:
        """A store without a target refuses a restore at once."""
        if self.make_target() is None:
            store = self.make_store()
            _expect(StoreReadOnly, lambda: _enter(store.import_(Control(), replace=True)))

    def _restore(self, files: Mapping[bytes, bytes], *, replace: bool = False) -> Store | None:
        """Restore files into the target and return it; None where there is no target."""
        target = self.make_target()
        if target is not None:
            with target.import_(Control(), replace=replace) as import_:
                for path, data in files.items():
                    _standing(import_, path, data)
                    import_.put(_item(path, data), data)
                import_.commit()
        return target

    def test_restores_small_and_large(self) -> None:
        """What is put, and what is staged and accepted, is there after the commit, with times."""
        target, large = self.make_target(), bytes(range(256)) * (_LARGE // 256) + b"."
        if target is None:
            return
        for turn in (b"1", b"2"):  # into a place that is empty, and into one that is not
            with target.import_(Control(), replace=False) as import_:
                import_.put(_item(b"empty" + turn, b""), b"")
                import_.put(_item(b"a/b/small" + turn, b"small"), b"small")
                item = _item(b"a/large" + turn, large)
                with import_.stage(item) as staging:
                    staging.write(large[: _LARGE // 2])
                    staging.write(large[_LARGE // 2 :])
                import_.accept(item)
                assert not any(path.endswith(turn) for path in contents(target)), "seen too early"
                import_.commit()
        expected = {b"empty": b"", b"a/b/small": b"small", b"a/large": large}
        assert contents(target) == {
            path + turn: data for path, data in expected.items() for turn in (b"1", b"2")
        }
        with target.export(Control()) as export:
            assert {export.read(path).mtime_ns for path in export.paths} == {A_TIME}

    def test_tells_what_stands_there(self) -> None:
        """New, same, and in conflict, by the bytes."""
        target = self._restore({b"a/same": b"bytes", b"a/other": b"bytes"})
        if target is None:
            return
        with target.import_(Control(), replace=False) as import_:
            assert _standing(import_, b"a/same", b"bytes") is Standing.SAME
            assert _standing(import_, b"a/other", b"BYTES") is Standing.CONFLICT
            assert _standing(import_, b"a/other", b"longer bytes") is Standing.CONFLICT
            assert _standing(import_, b"a/new", b"bytes") is Standing.NEW
            assert _standing(import_, b"new/new", b"bytes") is Standing.NEW

    def test_tells_what_is_blocked(self) -> None:
        """No file takes the place of a folder, no folder that of a file."""
        target = self._restore({b"folder/file": b"bytes"})
        if target is None or not self.has_folders:
            return
        with target.import_(Control(), replace=True) as import_:
            assert _standing(import_, b"folder", b"bytes") is Standing.BLOCKED
            assert _standing(import_, b"folder/file/below", b"bytes") is Standing.BLOCKED
            assert _standing(import_, b"folder/file/far/below", b"bytes") is Standing.BLOCKED

    def test_leaves_nothing_without_a_commit(self) -> None:
        """Whatever was put or staged is gone, however the restore ends."""
        before = {b"a": b"old", b"b/c": b"old"}
        target = self._restore(before)
        if target is None:
            return
        for staged_only in (True, False):
            with (
                contextlib.suppress(KeyError),
                target.import_(Control(), replace=True) as import_,
            ):
                assert _standing(import_, b"a", b"new") is Standing.CONFLICT
                import_.put(_item(b"a", b"new"), b"new")
                with import_.stage(_item(b"b/d", b"new")) as staging:
                    staging.write(b"ne")
                if staged_only:
                    continue
                raise KeyError
            assert contents(target) == before

    def test_replaces_where_it_may(self) -> None:
        """With ``replace`` the new bytes stand where the old ones stood."""
        target = self._restore({b"a": b"old", b"b/c": b"old"})
        if target is not None:
            self._restore({b"b/c": b"new", b"b/d": b"new"}, replace=True)
            assert contents(target) == {b"a": b"old", b"b/c": b"new", b"b/d": b"new"}

    def test_replaces_nothing_where_it_may_not(self) -> None:
        """Without ``replace`` a conflict fails the whole restore."""
        target = self._restore({b"b": b"old"})
        if target is not None:
            _expect(RestoreConflict, lambda: self._restore({b"a": b"new", b"b": b"new"}))
            assert contents(target) == {b"b": b"old"}

    def test_makes_all_or_nothing_in_an_empty_place(self) -> None:
        """What appears between the plan and the commit is not replaced, and nothing else comes."""
        self._restore_against_another({})

    def test_adds_all_or_nothing(self) -> None:
        """The same where something stood before."""
        self._restore_against_another({b"a": b"old"})

    def _restore_against_another(self, before: Mapping[bytes, bytes]) -> None:
        target = self._restore(before) if before else self.make_target()
        if target is None:
            return

        def restore() -> None:
            with target.import_(Control(), replace=True) as import_:
                for path in (b"b", b"c", b"d"):
                    assert _standing(import_, path, b"new") is Standing.NEW
                    import_.put(_item(path, b"new"), b"new")
                self._restore({b"c": b"foreign"})
                import_.commit()

        _expect(RestoreConflict, restore)
        there = {**before, b"c": b"foreign"}
        assert contents(target) == there
        self._restore({b"later": b"new"})
        assert contents(target) == {**there, b"later": b"new"}, "a failed restore is in the way"

    def test_stops_a_commit_cleanly(self) -> None:
        """Canceled in the commit, everything is there or nothing is."""
        target = self._restore({b"a": b"old"})
        if target is None:
            return
        stop = threading.Event()
        new = {b"a": b"new", b"b": b"new", b"c/d": b"new"}
        with (
            contextlib.suppress(Cancelled),
            target.import_(Control(cancelled=stop.is_set), replace=True) as import_,
        ):
            for path, data in new.items():
                _standing(import_, path, data)
                import_.put(_item(path, data), data)
            stop.set()
            import_.commit()
        assert contents(target) in ({b"a": b"old"}, new)


def _enter(context: AbstractContextManager[object]) -> None:
    with context:
        pass


def _expect(error: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised")

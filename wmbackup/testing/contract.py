"""The contract that every store must pass."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Mapping
from typing import ClassVar

from wmbackup.errors import (
    Cancelled,
    RestoreConflict,
    StoreReadOnly,
    StoreUnavailable,
)
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
from wmbackup.testing.fakes import A_TIME
from wmbackup.testing.rules import require, require_raises, rule

_LARGE = 3 * 1024 * 1024 + 1  # bytes: more than a store hands out in one block


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


def _require_contents(store: Store, expected: Mapping[bytes, bytes], when: str) -> None:
    found = contents(store)
    for path in sorted(found.keys() | expected.keys()):
        require(path in found, f"{path!r} is missing {when}")
        require(path in expected, f"{path!r} is present {when}")
        require(found[path] == expected[path], f"{path!r} has other bytes {when}")


def _require_standing(import_: Import, path: bytes, data: bytes, expected: Standing) -> None:
    found = _standing(import_, path, data)
    require(found is expected, f"the standing of {path!r} is {found}, not {expected}")


class StoreContract:
    """The contract of a store. A subclass defines `make_store`, and the rest where it applies.

    ``has_folders`` is False for a store in which ``a`` and ``a/b`` can both be files.
    """

    has_folders: ClassVar[bool] = True

    def make_store(self) -> Store:
        """Return a store that can be read and is not empty."""
        raise NotImplementedError

    def content(self) -> Mapping[bytes, bytes] | None:
        """Return path and bytes of everything in `make_store`; None if they are not known."""
        return None

    def make_target(self) -> Store | None:
        """Return an empty store to restore into, always the same; None if it is read-only."""
        return None

    @rule("Kind, location and root of a store can be used in messages, file names and locks.")
    def test_says_what_and_where_it_is(self) -> None:
        store = self.make_store()
        word = store.kind.replace("-", "")
        require(word.isalnum(), f"the kind {store.kind!r} is no word of letters, digits, hyphens")
        require(store.location, "the location is empty")
        absolute = store.root is None or os.path.isabs(store.root)
        require(absolute, f"the root {store.root!r} is not an absolute path")
        require(isinstance(store.gives_statuses, bool), "gives_statuses is neither True nor False")

    @rule("An export lists each item once, by a relative path in bytes, with slashes.")
    def test_lists_each_path_once(self) -> None:
        with self.make_store().export(Control()) as export:
            paths = list(export.paths)
            skipped = [skipped.path for skipped in export.skipped]
        require(paths, "the store of `make_store` is empty")
        seen: set[bytes] = set()
        for path in paths:
            require(path not in seen, f"{path!r} is listed twice")
            require(path not in skipped, f"{path!r} is both an item and skipped")
            relative = b"\0" not in path and not {b"", b".", b".."} & set(path.split(b"/"))
            require(relative, f"{path!r} is not a relative path")
            seen.add(path)

    @rule("An item has as many bytes as its size says, and its attributes in their fixed order.")
    def test_gives_what_it_says(self) -> None:
        with self.make_store().export(Control()) as export:
            for path in export.paths:
                with contextlib.suppress(ItemWithheld):
                    content = export.read(path)
                    size = len(_bytes(content))
                    detail = f"{path!r} has {size:,} bytes and says {content.size:,}"
                    require(size == content.size, detail)
                    known = [name for name in ATTRIBUTES if name in content.attributes]
                    detail = f"{path!r} has the attributes {content.attributes}, not {known}"
                    require(list(content.attributes) == known, detail)

    @rule("An export gives every file of the store, byte for byte, and no other.")
    def test_gives_its_content(self) -> None:
        expected = self.content()
        if expected is not None:
            _require_contents(self.make_store(), expected, "in the export")

    @rule("Reading changes nothing, within one export and between two.")
    def test_gives_the_same_twice(self) -> None:
        store = self.make_store()
        first, second = self._read_all(store), self._read_all(store)
        require(first.keys() == second.keys(), "two exports list different paths")
        for path, content in first.items():
            require(content == second[path], f"{path!r} differs in a second export")

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
                require(read.setdefault(path, seen) == seen, f"{path!r} differs when read again")
        return read

    @rule("Reading a path that is not listed raises ItemUnavailable.")
    def test_knows_nothing_of_other_paths(self) -> None:
        with self.make_store().export(Control()) as export:
            for path in (b"no such item", b"no such folder/item"):
                require(path not in export.paths, f"{path!r} is listed")
                read = functools.partial(export.read, path)
                require_raises(ItemUnavailable, read, f"reading {path!r}")

    @rule(
        "A license names the item that it was found in, or none; ItemWithheld carries the licenses"
        " of the item, and one of them is withheld."
    )
    def test_finds_licenses_in_items(self) -> None:
        store = self.make_store()
        with store.export(Control()) as export:
            paths = set(export.paths)
            known = list(export.licenses)
            for path in paths:
                try:
                    licenses = export.read(path).licenses
                except ItemWithheld as error:
                    licenses = error.licenses
                    withheld = any(found.withheld for found in licenses)
                    require(withheld, f"no license in {path!r} is withheld")
                for found in licenses:
                    require(found.kind, f"a license in {path!r} has no kind")
                    detail = f"a license in {path!r} names {found.path!r}"
                    require(found.path in {path, None}, detail)
        for found in (*known, *store.licenses(Control())):
            detail = f"a license of the store names {found.path!r}, which is no item"
            require(found.path is None or found.path in paths, detail)

    @rule("Listing and enumerating raise Cancelled when the caller cancels.")
    def test_stops_when_it_is_asked_to(self) -> None:
        store, control = self.make_store(), Control(cancelled=lambda: True)
        require_raises(Cancelled, lambda: store.export(control).__enter__(), "export")
        require_raises(Cancelled, lambda: list(store.licenses(control)), "licenses")

    @rule("A store that is read-only raises StoreReadOnly when a restore begins.")
    def test_says_that_it_takes_nothing_in(self) -> None:
        if self.make_target() is None:
            store = self.make_store()

            def begin() -> None:
                with store.import_(Control(), replace=True):
                    pass

            require_raises(StoreReadOnly, begin, "import_")

    def _restore(self, files: Mapping[bytes, bytes], *, replace: bool = False) -> Store | None:
        """Restore files into the target and return it; None if there is no target."""
        target = self.make_target()
        if target is not None:
            with target.import_(Control(), replace=replace) as import_:
                for path, data in files.items():
                    _standing(import_, path, data)
                    import_.put(_item(path, data), data)
                import_.commit()
        return target

    @rule("What was put, or staged and accepted, is present after the commit and not before.")
    def test_restores_small_and_large(self) -> None:
        target, large = self.make_target(), bytes(range(256)) * (_LARGE // 256) + b"."
        if target is None:
            return
        files = {b"empty": b"", b"a/b/small": b"small", b"a/large": large}
        expected: dict[bytes, bytes] = {}
        for turn in (b"1", b"2"):  # into an empty target, and into one that is not
            with target.import_(Control(), replace=False) as import_:
                import_.put(_item(b"empty" + turn, b""), b"")
                import_.put(_item(b"a/b/small" + turn, b"small"), b"small")
                item = _item(b"a/large" + turn, large)
                with import_.stage(item) as staging:
                    staging.write(large[: _LARGE // 2])
                    staging.write(large[_LARGE // 2 :])
                import_.accept(item)
                _require_contents(target, expected, "before the commit")
                import_.commit()
            expected |= {path + turn: data for path, data in files.items()}
            _require_contents(target, expected, "after the commit")
        with target.export(Control()) as export:
            for path in export.paths:
                time = export.read(path).mtime_ns
                require(time == A_TIME, f"the time of {path!r} is {time:,} ns, not {A_TIME:,} ns")

    @rule("An item is NEW, SAME or in CONFLICT, decided by the bytes that are already present.")
    def test_tells_what_stands_there(self) -> None:
        target = self._restore({b"a/same": b"bytes", b"a/other": b"bytes"})
        if target is None:
            return
        with target.import_(Control(), replace=False) as import_:
            _require_standing(import_, b"a/same", b"bytes", Standing.SAME)
            _require_standing(import_, b"a/other", b"BYTES", Standing.CONFLICT)
            _require_standing(import_, b"a/other", b"longer bytes", Standing.CONFLICT)
            _require_standing(import_, b"a/new", b"bytes", Standing.NEW)
            _require_standing(import_, b"new/new", b"bytes", Standing.NEW)

    @rule("An item is BLOCKED where it would take the place of a folder, or needs one for a file.")
    def test_tells_what_is_blocked(self) -> None:
        target = self._restore({b"folder/file": b"bytes"})
        if target is None or not self.has_folders:
            return
        with target.import_(Control(), replace=True) as import_:
            for path in (b"folder", b"folder/file/below", b"folder/file/far/below"):
                _require_standing(import_, path, b"bytes", Standing.BLOCKED)

    @rule("Without a commit, nothing that was put or staged remains, however the restore ends.")
    def test_leaves_nothing_without_a_commit(self) -> None:
        before = {b"a": b"old", b"b/c": b"old"}
        target = self._restore(before)
        if target is None:
            return
        for fails in (False, True):
            with (
                contextlib.suppress(_Stop),
                target.import_(Control(), replace=True) as import_,
            ):
                _require_standing(import_, b"a", b"new", Standing.CONFLICT)
                import_.put(_item(b"a", b"new"), b"new")
                with import_.stage(_item(b"b/d", b"new")) as staging:
                    staging.write(b"ne")
                if fails:
                    raise _Stop
            when = "after a restore that failed" if fails else "after a restore without a commit"
            _require_contents(target, before, when)

    @rule("With replace, an item in conflict gets the new bytes, and other files stay as they are.")
    def test_replaces_where_it_may(self) -> None:
        target = self._restore({b"a": b"old", b"b/c": b"old"})
        if target is not None:
            self._restore({b"b/c": b"new", b"b/d": b"new"}, replace=True)
            expected = {b"a": b"old", b"b/c": b"new", b"b/d": b"new"}
            _require_contents(target, expected, "after the commit")

    @rule("Without replace, an item in conflict raises RestoreConflict, and nothing changes.")
    def test_replaces_nothing_where_it_may_not(self) -> None:
        target = self._restore({b"b": b"old"})
        if target is not None:
            new = {b"a": b"new", b"b": b"new"}
            require_raises(RestoreConflict, lambda: self._restore(new), "the restore")
            _require_contents(target, {b"b": b"old"}, "after the restore that failed")

    @rule(
        "A file that appears in an empty target after its standing was asked is not replaced: the"
        " commit raises RestoreConflict and changes nothing."
    )
    def test_makes_all_or_nothing_in_an_empty_place(self) -> None:
        self._restore_against_another({})

    @rule(
        "A file that appears in a target after its standing was asked is not replaced: the commit"
        " raises RestoreConflict and changes nothing."
    )
    def test_adds_all_or_nothing(self) -> None:
        self._restore_against_another({b"a": b"old"})

    def _restore_against_another(self, before: Mapping[bytes, bytes]) -> None:
        target = self._restore(before) if before else self.make_target()
        if target is None:
            return

        def restore() -> None:
            with target.import_(Control(), replace=True) as import_:
                for path in (b"b", b"c", b"d"):
                    _require_standing(import_, path, b"new", Standing.NEW)
                    import_.put(_item(path, b"new"), b"new")
                self._restore({b"c": b"foreign"})
                import_.commit()

        require_raises(RestoreConflict, restore, "the commit")
        there = {**before, b"c": b"foreign"}
        _require_contents(target, there, "after the restore that failed")
        self._restore({b"later": b"new"})
        _require_contents(target, {**there, b"later": b"new"}, "after the next restore")

    @rule("After a commit that was cancelled, all of it is present or nothing is.")
    def test_stops_a_commit_cleanly(self) -> None:
        old = {b"a": b"old"}
        target = self._restore(old)
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
        found = contents(target)
        require(found in (old, new), f"a part is present: {sorted(found)}")


class _Stop(Exception):
    """A restore fails."""

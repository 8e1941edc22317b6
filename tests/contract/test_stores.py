"""Every store, measured by the contract that is shipped for the stores of others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from wmbackup.errors import StoreUnavailable
from wmbackup.item import Item
from wmbackup.license import License
from wmbackup.status import Control
from wmbackup.stores import folder, importing
from wmbackup.stores.base import Content, Export, Import, ItemUnavailable, Store
from wmbackup.stores.folder import FolderStore
from wmbackup.stores.sample import SampleStore
from wmbackup.stores.tree import HandleTree, PathTree, Tree
from wmbackup.testing import ContractBroken, FakeItem, FakeStore, StoreContract

CONTENT = {
    b"a.lic": b"a license",
    b"empty": b"",
    b"folder/b.lic": b"another",
    b"folder/deeper/large": bytes(range(256)) * 12_000,
    "Größenwahn.lic".encode(): b"not ASCII",
}


class FolderContract(StoreContract):
    tree: Callable[[str], Tree] = HandleTree

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = tmp_path
        for module in (folder, importing):
            monkeypatch.setattr(module, "open_tree", type(self).tree)

    def make_store(self) -> FolderStore:
        for path, data in CONTENT.items():
            place = self.folder / "full" / os.fsdecode(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return FolderStore(str(self.folder / "full"))

    def content(self) -> Mapping[bytes, bytes]:
        return CONTENT


class TestFolderByHandles(FolderContract):
    def make_target(self) -> FolderStore:
        return FolderStore(str(self.folder / "some" / "target"))


class TestFolderByPaths(TestFolderByHandles):
    tree = PathTree


class TestFolderThatIsThere(FolderContract):
    def make_target(self) -> FolderStore:
        (self.folder / "target").mkdir(exist_ok=True)
        return FolderStore(str(self.folder / "target"))


class TestFolderThatIsThereByPaths(TestFolderThatIsThere):
    tree = PathTree


class TestSample(StoreContract):
    def make_store(self) -> SampleStore:
        return SampleStore()


class TestFake(StoreContract):
    def make_store(self) -> FakeStore:
        store = FakeStore(CONTENT)
        store.files[b"withheld"] = FakeItem(b"x")
        store.files[b"known"] = FakeItem(b"x", licenses=(License("fake", path=b"known"),))
        store.withhold(b"withheld")
        store.known.append(License("fake"))
        return store

    def make_target(self) -> FakeStore:
        self.target = getattr(self, "target", None) or FakeStore({})
        return self.target


class _Broken(FakeStore):
    """A store that breaks one rule."""

    @contextmanager
    def export(self, control: Control) -> Iterator[Export]:
        if "deaf" in self.location:
            control = Control()
        with super().export(control) as export:
            if "twice" in self.location:
                export.paths = (*export.paths, *export.paths)  # type: ignore[misc]
            if "dots" in self.location:
                self.files[b"../up"] = FakeItem()
                export.paths = (*export.paths, b"../up")  # type: ignore[misc]
            yield export

    def read(self, path: bytes) -> Content:
        if "wrong size" in self.location:
            return super().read(path)._replace(size=7)
        if "restless" in self.location:
            return super().read(path)._replace(mtime_ns=len(self.reads))
        if "obliging" in self.location and path not in self.files:
            return Content(0, 0, (), b"")
        if "stranger" in self.location:
            return super().read(path)._replace(licenses=(License("fake", path=b"elsewhere"),))
        return super().read(path)


class _Hasty(FakeStore):
    """A store in which everything is seen at once, and stays."""

    @contextmanager
    def import_(self, control: Control, *, replace: bool) -> Iterator[Import]:
        with super().import_(control, replace=replace) as import_:
            yield _AtOnce(self, import_)


class _AtOnce:
    def __init__(self, store: FakeStore, import_: Import) -> None:
        self._store = store
        self.standing = import_.standing
        self.stage = import_.stage
        self.accept = import_.accept
        self.commit = import_.commit

    def put(self, item: Item, data: bytes) -> None:
        self._store.files[item.path] = FakeItem(data, item.mtime_ns)


class Measured(StoreContract):
    """The contract as it is run on a store of one's own, without pytest."""

    __test__ = False

    def __init__(self, make: Callable[[], Store], target: Store | None = None) -> None:
        self.make_store = make  # type: ignore[method-assign]
        self.target = target

    def make_target(self) -> Store | None:
        return self.target

    def content(self) -> Mapping[bytes, bytes]:
        return {b"a": b"1", b"b": b"2"}

    def failing(self) -> set[str]:
        failed = set()
        for name in dir(self):
            if name.startswith("test_"):
                try:
                    getattr(self, name)()
                except AssertionError:
                    failed.add(name.removeprefix("test_"))
        return failed


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("twice", "lists_each_path_once"),
        ("dots", "lists_each_path_once"),
        ("wrong size", "gives_what_it_says"),
        ("restless", "gives_the_same_twice"),
        ("obliging", "knows_nothing_of_other_paths"),
        ("stranger", "finds_licenses_in_items"),
        ("deaf", "stops_when_it_is_asked_to"),
        ("no fault", "says_that_it_takes_nothing_in"),
    ],
)
def test_the_contract_finds_a_store_that_breaks_a_rule(fault: str, found: str) -> None:
    def make() -> Store:
        return _Broken({b"a": b"1", b"b": b"2"}, location=fault)

    assert found in Measured(make).failing()


def test_the_contract_finds_a_store_without_its_content() -> None:
    assert Measured(lambda: FakeStore({b"a": b"1", b"b": b"3"})).failing() == {
        "gives_its_content",
        "says_that_it_takes_nothing_in",
    }


def test_the_contract_finds_a_target_in_which_things_are_seen_too_early() -> None:
    class Each(Measured):
        def make_target(self) -> Store:
            return self.fresh

        def failing(self) -> set[str]:
            failed = set()
            for name in dir(self):
                if name.startswith("test_"):
                    self.fresh = _Hasty({})
                    try:
                        getattr(self, name)()
                    except AssertionError:
                        failed.add(name.removeprefix("test_"))
            return failed

    def make() -> Store:
        return FakeStore({b"a": b"1", b"b": b"2"})

    assert Each(make).failing() == {
        "restores_small_and_large",
        "leaves_nothing_without_a_commit",
        "replaces_nothing_where_it_may_not",
        "makes_all_or_nothing_in_an_empty_place",
        "adds_all_or_nothing",
    }


def _checks(contract: type[StoreContract]) -> dict[str, Callable[[StoreContract], None]]:
    return {name: getattr(contract, name) for name in dir(contract) if name.startswith("test_")}


def test_every_check_has_its_sentence_as_docstring() -> None:
    sentences = [str(check.__doc__) for check in _checks(StoreContract).values()]
    assert all(re.fullmatch(r"[A-Z][^.]{20,}\.", sentence) for sentence in sentences)
    assert len(set(sentences)) == len(sentences) == 18


@pytest.mark.parametrize(
    ("fault", "check", "detail"),
    [
        ("twice", "lists_each_path_once", "b'a' is listed twice"),
        ("dots", "lists_each_path_once", "b'../up' is not a relative path"),
        ("wrong size", "gives_what_it_says", "b'a' has 1 bytes and says 7"),
        ("restless", "gives_the_same_twice", "b'a' differs when read again"),
        (
            "obliging",
            "knows_nothing_of_other_paths",
            "reading b'no such item' did not raise ItemUnavailable",
        ),
        ("stranger", "finds_licenses_in_items", "a license in b'a' names b'elsewhere'"),
        ("deaf", "stops_when_it_is_asked_to", "export did not raise Cancelled"),
        ("no fault", "says_that_it_takes_nothing_in", "import_ did not raise StoreReadOnly"),
    ],
)
def test_a_broken_rule_is_reported_with_its_sentence(fault: str, check: str, detail: str) -> None:
    contract = Measured(lambda: _Broken({b"a": b"1"}, location=fault))
    with pytest.raises(ContractBroken) as raised:
        getattr(contract, f"test_{check}")()
    assert raised.value.rule == getattr(StoreContract, f"test_{check}").__doc__
    assert raised.value.detail.startswith(detail)
    assert raised.value.rule in str(raised.value)
    assert raised.value.detail in str(raised.value)


def test_an_error_of_any_kind_is_reported_with_the_sentence_that_it_breaks() -> None:
    class Crashing(FakeStore):
        def __getattribute__(self, name: str) -> object:
            if name in {"kind", "export", "licenses", "import_"}:
                raise TypeError("a mistake in the store")
            return super().__getattribute__(name)

    target = Crashing({})
    for name, check in _checks(StoreContract).items():
        read_only = name == "test_says_that_it_takes_nothing_in"
        contract = Measured(lambda: Crashing({b"a": b"1"}), None if read_only else target)
        with pytest.raises(ContractBroken) as raised:
            getattr(contract, name)()
        assert raised.value.rule == check.__doc__, name
        assert raised.value.detail == "TypeError was raised: a mistake in the store", name
        assert isinstance(raised.value.__cause__, TypeError), name


def test_the_contract_holds_without_asserts_and_docstrings() -> None:
    program = (
        "from wmbackup.testing import FakeStore, StoreContract\n"
        "class Contract(StoreContract):\n"
        "    def make_store(self): return FakeStore({b'a': b'1'})\n"
        "    def content(self): return {b'a': b'2'}\n"
        "Contract().test_gives_its_content()\n"
    )
    done = subprocess.run(
        [sys.executable, "-OO", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "ContractBroken: the store breaks this rule of its contract: An export gives" in last
    assert last.endswith("(b'a' has other bytes in the export)")


def test_a_contract_without_a_store_says_so() -> None:
    with pytest.raises(NotImplementedError):
        StoreContract().make_store()


def test_the_fake_store_fails_where_it_is_told_to() -> None:
    store = FakeStore({b"a": b"1"})
    for step in ("export", "licenses", "import"):
        store.fail(step)
    with pytest.raises(StoreUnavailable), store.export(Control()):
        pass
    with pytest.raises(StoreUnavailable), store.import_(Control(), replace=False):
        pass
    with pytest.raises(StoreUnavailable):
        list(store.licenses(Control()))


def test_the_fake_store_loses_and_changes_items_as_often_as_it_is_told_to() -> None:
    store = FakeStore({b"a": b"1", b"b": b"22", b"c": b"333"}, block=1)
    store.lose(b"a", times=1)
    store.change(b"b", times=1)
    with store.export(Control()) as export:
        with pytest.raises(ItemUnavailable):
            export.read(b"a")
        assert export.read(b"a").data == b"1"
        with pytest.raises(ItemUnavailable):
            list(export.read(b"b").data)
        assert list(export.read(b"b").data) == [b"2", b"2"]
        store.change(b"a")
        for _ in range(3):
            assert export.read(b"a").size != 1
    assert store.reads == [b"a", b"a", b"b", b"b", b"a", b"a", b"a"]


def test_the_fake_store_hangs_until_it_is_let_go() -> None:
    store = FakeStore({b"a": b"1"})
    store.hang(b"a")
    thread = threading.Thread(target=store.read, args=(b"a",))
    thread.start()
    assert store.hanging.wait(10)
    assert thread.is_alive()
    store.released.set()
    thread.join(10)
    assert not thread.is_alive()

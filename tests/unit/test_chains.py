from __future__ import annotations

import io
from pathlib import Path

import make
import pytest

from tests.folders import KEY, POLICY, Log, bring_back, fill
from wmbackup.cli.render.next_steps import of_warning
from wmbackup.engine import SealedArchive, Selection, backup, restore
from wmbackup.license import License
from wmbackup.status import WarningEvent
from wmbackup.stores.folder import FolderStore
from wmbackup.testing import FakeItem, FakeStore

ROOT, OTHER_FORM = "!*!**!!!AAAA!*!**!!!AQ==", "+/+//+++AAAA+/+//+++AQ=="


def chained(*, root: str = "") -> FakeStore:
    """Return a store of a leaf and, where it says so, its root: in a file, or withheld."""
    leaf = License("wmdrm-v7", kid="leaf", attributes={"Title": "Song", "UplinkID": ROOT})
    items = {b"leaf": FakeItem(b"1", licenses=(leaf,)), b"plain": FakeItem(b"3")}
    if root == "file":
        items[b"root"] = FakeItem(b"2", licenses=(License("wmdrm-v7", kid=OTHER_FORM),))
    if root == "same file":
        items[b"leaf"] = FakeItem(b"1", licenses=(License("wmdrm-v7", kid=OTHER_FORM), leaf))
    return FakeStore(items)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where it goes; it is not there yet."""
    return tmp_path / "target"


class TestChains:
    """A selected leaf whose root is not restored with it is reported."""

    def report(self, store: FakeStore, target: Path, *kids: str, titles: bool = False) -> list[str]:
        stream, log = io.BytesIO(), Log()
        backup(store, stream, KEY, host="host")
        length = stream.tell()
        stream.seek(0)
        selection = Selection(titles=kids) if titles else Selection(kids=kids)
        source = SealedArchive(stream, length=length)
        restore(source, FolderStore(str(target)), POLICY, log.control(), selection=selection)
        told = [event for event in log.events if isinstance(event, WarningEvent)]
        assert all(event.code == "root-missing" for event in told)
        assert all("the license Song with key ID leaf is a leaf" in one.message for one in told)
        return [of_warning(event) or "" for event in told]

    def test_root_in_the_archive_can_be_added(self, target: Path) -> None:
        (hint,) = self.report(chained(root="file"), target, "leaf")
        assert hint == f"to restore the root as well, add --kid '{ROOT}'"

    @pytest.mark.parametrize("kids", [("leaf", ROOT), (OTHER_FORM, "leaf"), (OTHER_FORM,), ()])
    def test_root_that_is_restored_is_not_reported(
        self, target: Path, kids: tuple[str, ...]
    ) -> None:
        assert self.report(chained(root="file"), target, *kids) == []

    def test_root_in_the_file_of_the_leaf_is_not_reported(self, target: Path) -> None:
        assert self.report(chained(root="same file"), target, "leaf") == []

    def test_root_that_is_in_the_target_is_not_reported(self, target: Path) -> None:
        target.mkdir()
        (target / "root").write_bytes(b"2")
        assert self.report(chained(root="file"), target, "leaf") == []

    @pytest.mark.parametrize("titles", [False, True])
    def test_root_that_the_archive_lacks_is_reported(self, target: Path, *, titles: bool) -> None:
        (hint,) = self.report(chained(), target, "Song" if titles else "leaf", titles=titles)
        assert hint.startswith("this archive does not have the root")

    def test_root_that_was_withheld_is_reported(self, tmp_path: Path, target: Path) -> None:
        leaf = make.v7(data=f"<UPLINKID>{make.OTHER_KID}</UPLINKID>")
        root = make.v7(make.OTHER_KID, data=make.right("AllowBackupRestore", "0"))
        store = fill(tmp_path / "store", {b"leaf": leaf.encode(), b"root": root.encode()})
        backup(FolderStore(str(store)), f"{tmp_path}/a.tar", KEY, host="host")
        log = Log()
        bring_back(tmp_path / "a.tar", target, log.control(), selection=Selection(kids=(make.KID,)))
        (told,) = [event for event in log.events if isinstance(event, WarningEvent)]
        assert (of_warning(told) or "").startswith(
            "the root was not backed up: its issuer forbids that"
        )

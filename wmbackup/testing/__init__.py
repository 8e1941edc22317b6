"""The contract that every store must pass, and a store that fails on command.

To test a store, inherit from `StoreContract` and run pytest::

    import pytest
    from wmbackup.testing import StoreContract

    class TestMyStore(StoreContract):
        @pytest.fixture(autouse=True)
        def use_folder(self, tmp_path):
            self.folder = tmp_path

        def make_store(self):
            fill(self.folder / "full")          # with what `content` returns
            return MyStore(self.folder / "full")

        def content(self):
            return {b"a.lic": b"a license", b"albums/b.lic": b"another one"}

        def make_target(self):                  # leave it out if the store is read-only
            return MyStore(self.folder / "empty")

Nothing here needs pytest. Each method whose name begins with ``test_`` checks one rule, and raises
`ContractBroken` with the sentence that was broken; any runner may call it on a fresh object. The
rule is the docstring of the method: ``help(StoreContract)`` prints the contract.
"""

from __future__ import annotations

from wmbackup.testing.contract import StoreContract, contents
from wmbackup.testing.fakes import FakeItem, FakeStore
from wmbackup.testing.rules import ContractBroken

__all__ = ["ContractBroken", "FakeItem", "FakeStore", "StoreContract", "contents"]

"""The contract of `zip_store`: all that a store's own tests need."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from zip_store import ZipStore

from wmbackup.testing import StoreContract


class TestZipStore(StoreContract):
    @pytest.fixture(autouse=True)
    def use_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> ZipStore:
        path = self.folder / "licenses.zip"
        with zipfile.ZipFile(path, "w") as file:
            for name, data in self.content().items():
                file.writestr(name.decode(), data)
        return ZipStore(str(path))

    def content(self) -> Mapping[bytes, bytes]:
        return {b"a.lic": b"a license", b"albums/b.lic": b"another one"}

    def make_target(self) -> ZipStore:
        return ZipStore(str(self.folder / "target.zip"))

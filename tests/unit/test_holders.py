"""Who keeps a file to himself."""

from __future__ import annotations

import errno
import os

import pytest

from wmbackup.errors import IN_USE, SystemFailure
from wmbackup.storage import holders
from wmbackup.stores.file_reader import FileReader
from wmbackup.stores.tree import Tree, open_tree


def error(number: int) -> OSError:
    one = OSError(errno.EACCES, "Permission denied")
    one.winerror = number  # type: ignore[attr-defined, unused-ignore] # other systems have none
    return one


@pytest.mark.parametrize("number", [32, 33])
def test_a_file_in_use_is_named_so(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert holders.in_use(error(number), "no such file") == "in use by another program"
    monkeypatch.setattr(holders, "holders", lambda _path: ["Media (process 7)", "b (process 8)"])
    assert holders.in_use(error(number), "a") == "in use by Media (process 7), b (process 8)"


@pytest.mark.parametrize("number", [5, 2, 23])
def test_other_errors_say_nothing_of_it(number: int) -> None:
    assert holders.in_use(error(number), "a") is None
    assert holders.in_use(OSError(errno.EIO, "Input/output error"), "a") is None


def test_what_cannot_be_read_for_it_is_told_with_the_program(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree: Tree = open_tree(os.fspath(tmp_path))

    def refuse(_path: bytes) -> int:
        raise error(32)

    monkeypatch.setattr(tree, "open", refuse)
    with pytest.raises(SystemFailure, match=r"a\.lic: in use by another program") as caught:
        FileReader(tree, withholds=False, root="root").read(b"a.lic")
    assert caught.value.reason == IN_USE
    tree.close()

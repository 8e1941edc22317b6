"""`status`: one line for each series, how fresh it is, and in which state."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Inside
from tests.cli.test_folders import Nightly
from wmbackup.archive.reader import TrustedArchive
from wmbackup.engine import _folder


@pytest.fixture
def nightly(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Nightly:
    return Nightly(inside, monkeypatch)


def rows_of(nightly: Nightly, *options: str, code: int = 0) -> list[dict[str, Any]]:
    result = nightly.inside("status", "archives", *options, "--json")
    assert result.code == code, result.out
    return [line for line in result.lines if line["type"] == "series"]


class TestRows:
    """One line a series, by its newest archive."""

    def test_the_newest_archive_is_shown(self, nightly: Nightly) -> None:
        nightly.back_up(3, "z")
        nightly.back_up(2, "a")
        (row,) = rows_of(nightly)
        assert (os.path.basename(row["path"]), row["state"]) == ("a", "head ok")
        assert (row["archives"], row["newest"]["sequence"], row["newest"]["files"]) == (2, 2, 2)
        sizes = [os.path.getsize(nightly.inside.path(f"archives/{name}")) for name in "az"]
        assert (row["size"], row["total_size"]) == (sizes[0], sum(sizes))
        assert 2 * 86400 <= row["age"] < 2 * 86400 + 3600
        assert row["licenses"] == 0

    def test_two_hosts_have_two_lines(
        self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nightly.back_up(1, "a")
        with monkeypatch.context() as patched:
            patched.setattr("platform.node", lambda: "another")
            nightly.back_up(1, "b")
        assert len(rows_of(nightly)) == 2

    def test_licenses_are_counted_without_the_ledger(self, nightly: Nightly) -> None:
        arguments = ("backup", "--store", "sample", "-o", "archives/a", "--accept-restricted")
        assert nightly.inside(*arguments).code == 0
        (known,) = rows_of(nightly)
        nightly.lose_ledger()
        (counted,) = rows_of(nightly)
        assert known["licenses"] == counted["licenses"] == 11

    def test_programs_get_tabs(self, nightly: Nightly) -> None:
        nightly.back_up(1, "a")
        (line,) = nightly.inside("status", "archives").out.splitlines()
        cells = line.split("\t")
        assert len(cells) == 14
        assert cells[0] == "head ok"

    def test_a_folder_without_archives_is_not_found(self, nightly: Nightly) -> None:
        assert nightly.inside("status", "archives").code == 7
        assert nightly.inside("status").code == 2


class TestStates:
    """The worst of what is known is the state."""

    @pytest.mark.parametrize(("age", "code"), [("26h", 0), ("23h", 10), ("1d", 10), ("1w", 0)])
    def test_stale(self, nightly: Nightly, age: str, code: int) -> None:
        nightly.back_up(1, "a")
        (row,) = rows_of(nightly, "--max-age", age, code=code)
        assert row["state"] == ("stale" if code else "head ok")

    def test_rolled_back(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        nightly.back_up(1, "b")
        os.unlink(nightly.inside.path("archives/b"))
        (row,) = rows_of(nightly, code=10)
        assert row["state"] == "rolled back"

    def test_inconsistent(self, nightly: Nightly) -> None:
        nightly.back_up(-1, "a")
        (row,) = rows_of(nightly, code=10)
        assert row["state"] == "inconsistent"

    def test_untrusted_and_damaged(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        nightly.back_up(1, "b")
        os.truncate(nightly.inside.path("archives/a"), 3000)
        rows = rows_of(nightly, code=4)
        assert [row["state"] for row in rows] == ["head ok", "damaged"]
        os.truncate(f"{nightly.inside.config}/allowed_signers", 0)
        rows = rows_of(nightly, code=4)
        assert [(row["state"], row["newest"]) for row in rows] == [
            ("damaged", None),
            ("untrusted", None),
        ]

    def test_pending(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        found = json.loads(Path(nightly.ledger).read_text())
        (series,) = found["series"]
        series["pending"] = {**series["made"], "signed": "0" * 64}
        Path(nightly.ledger).write_text(json.dumps(found))
        (row,) = rows_of(nightly)
        assert row["state"] == "pending"

    def test_encrypted(self, nightly: Nightly) -> None:
        assert nightly.inside("key", "create", "--identity").code == 0
        identity = f"{nightly.inside.config}/identity.txt"
        text = Path(identity).read_text()
        recipient = text[text.index("age1") :].split()[0]
        nightly.back_up(2, "a.age", "--recipient", recipient)
        assert rows_of(nightly)[0]["state"] == "head ok"
        os.unlink(identity)
        (row,) = rows_of(nightly)
        assert row["newest"]["sequence"] == 1  # by the hash of its file
        nightly.lose_ledger()
        (row,) = rows_of(nightly, code=6)
        assert (row["state"], row["newest"]) == ("encrypted", None)

    def test_full(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a")
        nightly.back_up(2, "b")
        (row,) = rows_of(nightly, "--full")
        assert row["state"] == "verified"
        path = Path(nightly.inside.path("archives/a"))
        data = bytearray(path.read_bytes())
        data[-2000] ^= 1
        path.write_bytes(data)
        assert rows_of(nightly)[0]["state"] == "head ok"
        result = nightly.inside("status", "archives", "--full")
        assert result.code == 4
        assert result.out.startswith("damaged\t")
        assert "1 archive cannot be relied on: archives/a" in result.err


class TestHeadsOnly:
    """The payload is not read, and the tables of the newest archive alone."""

    def test_only_heads_are_read(self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch) -> None:
        for days in range(6, 0, -1):
            nightly.back_up(days)
        nightly.lose_ledger()
        read: list[str] = []
        real = TrustedArchive.read_head

        def read_head(self: TrustedArchive, *arguments: Any) -> Any:
            read.append(self.sealed.name)
            return real(self, *arguments)

        monkeypatch.setattr(TrustedArchive, "read_head", read_head)
        opened: list[str] = []
        head_of = _folder.head_of

        def count(path: str, *more: Any) -> Any:
            opened.append(path)
            return head_of(path, *more)

        monkeypatch.setattr("wmbackup.cli.folders.head_of", count)
        rows_of(nightly)
        assert len(opened) == 6
        assert len(read) == 1

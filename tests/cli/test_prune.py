"""`prune`, and the same options of `backup`: what stays and why, and what never goes."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import WINDOWS, Inside
from tests.cli.test_folders import Nightly
from wmbackup.engine import _prune


class Pruned:
    """The rows of a prune, by the base name of the archive."""

    def __init__(self, inside: Inside, *options: str, folder: str = "archives") -> None:
        self.result = inside("prune", folder, *options, "--json")
        rows = [line for line in self.result.lines if line["type"] == "prune"]
        self.rows = {os.path.basename(row["path"]): row for row in rows}

    def names(self, action: str) -> list[str]:
        return sorted(name for name, row in self.rows.items() if row["action"] == action)


@pytest.fixture
def nightly(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Nightly:
    return Nightly(inside, monkeypatch)


def there(nightly: Nightly) -> list[str]:
    return sorted(os.listdir(nightly.inside.path("archives")))


class TestRules:
    """An archive stays where any rule keeps it, and says why."""

    def test_a_dry_run_shows_and_removes_nothing(self, nightly: Nightly) -> None:
        for days, name in ((40, "a"), (3, "b"), (2, "c")):
            nightly.back_up(days, name)
        before = there(nightly)
        pruned = Pruned(nightly.inside, "--keep-last", "1", "-n")
        assert pruned.result.code == 0
        assert there(nightly) == before
        assert pruned.names("remove") == ["a", "b"]
        assert pruned.rows["c"]["reasons"] == ["last"]
        result = pruned.result.summary["result"]
        assert (result["kept"], result["removed"], result["left"]) == (1, 2, 0)
        assert result["dry_run"] is True

    def test_what_no_rule_keeps_goes(self, nightly: Nightly) -> None:
        for days, name in ((40, "a"), (3, "b"), (2, "c")):
            nightly.back_up(days, name)
        size = os.path.getsize(nightly.inside.path("archives/a"))
        pruned = Pruned(nightly.inside, "--keep-within", "2d")
        assert pruned.result.code == 0
        assert there(nightly) == ["b", "c"]
        assert pruned.names("removed") == ["a"]
        assert pruned.result.summary["result"]["size"] == size
        assert nightly.inside("verify", "archives").code == 0

    def test_people_see_why(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        nightly.back_up(1, "b")
        result = nightly.inside("prune", "archives", "--keep-daily", "1", "--keep-last", "1", "-n")
        rows = [line.split("\t") for line in result.out.splitlines()[:-1]]
        assert [(row[0], row[1], row[-1]) for row in rows] == [
            ("keep", "last,daily", "archives/b"),
            ("remove", "-", "archives/a"),
        ]

    def test_without_a_rule_it_is_refused(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        for options in ((), ("--keep-last", "0")):
            result = nightly.inside("prune", "archives", *options)
            assert result.code == 2
            assert len(there(nightly)) == 1

    @pytest.mark.parametrize("age", ["30", "d", "1.5d", "-1d", "1y", ""])
    def test_an_age_is_a_number_with_a_unit(self, nightly: Nightly, age: str) -> None:
        assert nightly.inside("prune", "archives", "--keep-within", age).code == 2

    @pytest.mark.parametrize("age", ["90000s", "1500m", "25h", "1d", "1w"])
    def test_every_unit_counts(self, nightly: Nightly, age: str) -> None:
        nightly.back_up(9, "a")
        nightly.back_up(0.5, "b")
        nightly.back_up(0, "c")
        Pruned(nightly.inside, "--keep-within", age)
        assert there(nightly) == ["b", "c"]

    def test_numbers_go_before_clocks_and_names(self, nightly: Nightly) -> None:
        for days, name in ((1, "z"), (9, "y"), (5, "x")):
            nightly.back_up(days, name)
        os.utime(nightly.inside.path("archives/z"), (2e9, 2e9))
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["x"]

    @pytest.mark.skipif(WINDOWS, reason="the zone of a process there is the machine's")
    def test_days_are_those_of_the_zone(
        self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two archives of one day in UTC are of two days at Kiritimati, and the other way round."""
        from datetime import UTC, datetime, timedelta

        from tests.cli import test_folders

        noon = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        monkeypatch.setattr(test_folders, "NOW", noon - timedelta(days=1))
        nightly.back_up(-8 / 24, "a")  # 08:00 UTC
        nightly.back_up(-12 / 24, "b")  # 12:00 UTC, which is 02:00 there
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        try:
            assert Pruned(nightly.inside, "--keep-daily", "2", "-n").names("remove") == []
            monkeypatch.setenv("TZ", "UTC")
            time.tzset()
            assert Pruned(nightly.inside, "--keep-daily", "2", "-n").names("remove") == ["a"]
        finally:
            monkeypatch.undo()
            time.tzset()


class TestProtection:
    """What never goes."""

    def test_another_signer_that_claims_our_host_pushes_nothing_out(self, nightly: Nightly) -> None:
        nightly.back_up(3, "ours")
        own = f"{nightly.inside.config}/signing_key"
        other = nightly.inside.path("other")
        os.makedirs(other)
        shutil.copy(own, f"{other}/kept")
        shutil.copy(f"{own}.pub", f"{other}/kept.pub")
        os.unlink(own)
        os.unlink(f"{own}.pub")
        assert nightly.inside("key", "create").code == 0
        nightly.back_up(1, "theirs")
        pruned = Pruned(nightly.inside, "--keep-last", "1", "--signing-key", f"{other}/kept")
        assert there(nightly) == ["ours", "theirs"]
        assert pruned.names("keep") == ["ours"]
        assert pruned.result.summary["result"]["left"] == 1

    def test_a_key_that_ours_was_rotated_from_is_ours(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a")
        assert nightly.inside("key", "rotate").code == 0
        nightly.back_up(-0.0001, "b")
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["b"]

    def test_stores_are_pruned_each_by_itself(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a")
        os.rename(nightly.inside.path("store"), nightly.inside.path("one"))
        nightly.inside.store()
        nightly.inside.write("store2/a.lic", b"1")
        result = nightly.inside("backup", "--store", "store2", "-o", "archives/other")
        assert result.code == 0
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["a", "other"]

    def test_one_from_the_future_neither_counts_nor_goes(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a")
        nightly.back_up(2, "b")
        nightly.back_up(-5, "ahead")
        pruned = Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["ahead", "b"]
        assert pruned.rows["ahead"]["reasons"] == ["future"]

    def test_what_cannot_be_checked_stays(self, nightly: Nightly) -> None:
        nightly.back_up(4, "a.wmbackup.tar")
        nightly.back_up(3, "b")
        nightly.back_up(1, "c")
        os.truncate(nightly.inside.path("archives/a.wmbackup.tar"), 3000)
        nightly.inside.write("archives/notes.txt")
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["a.wmbackup.tar", "c", "notes.txt"]

    def test_a_newest_that_is_damaged_stops_it(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        nightly.back_up(1, "b")
        path = Path(nightly.inside.path("archives/b"))
        data = bytearray(path.read_bytes())
        data[-2000] ^= 1
        path.write_bytes(data)
        pruned = Pruned(nightly.inside, "--keep-last", "1")
        assert pruned.result.code == 4
        assert there(nightly) == ["a", "b"]
        assert pruned.names("left") == ["a"]

    def test_a_line_that_was_rolled_back_stops_it(self, nightly: Nightly) -> None:
        for days, name in ((3, "a"), (2, "b"), (1, "c")):
            nightly.back_up(days, name)
        os.unlink(nightly.inside.path("archives/c"))
        assert Pruned(nightly.inside, "--keep-last", "1").result.code == 10
        assert there(nightly) == ["a", "b"]

    def test_the_newest_complete_one_stays(self, nightly: Nightly) -> None:
        nightly.back_up(4, "a")
        nightly.back_up(3, "b")
        os.symlink("a.lic", nightly.inside.path("store/link"))
        nightly.back_up(1, "c", "--accept-skipped")
        pruned = Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["b", "c"]
        assert pruned.rows["b"]["reasons"] == ["complete"]

    def test_a_newest_that_lost_half_stops_it(self, nightly: Nightly) -> None:
        for name in "cdefg":
            nightly.inside.write(f"store/{name}.lic", b"1")
        nightly.back_up(3, "a")
        for name in "bcdefg":
            os.unlink(nightly.inside.path(f"store/{name}.lic"))
        nightly.back_up(1, "b")
        pruned = Pruned(nightly.inside, "--keep-last", "1")
        assert pruned.result.code == 3
        assert there(nightly) == ["a", "b"]
        pruned = Pruned(nightly.inside, "--keep-last", "1", "--allow-shrink")
        assert pruned.result.code == 0
        assert there(nightly) == ["b"]

    def test_a_newest_that_lost_its_licenses_stops_it(
        self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nightly.back_up(3, "a")
        nightly.back_up(1, "b")
        found = json.loads(Path(nightly.ledger).read_text())
        for entry in found["series"][0]["archives"]:
            entry["licenses"] = 10 if entry["path"].endswith("a") else 4
        Path(nightly.ledger).write_text(json.dumps(found))
        assert Pruned(nightly.inside, "--keep-last", "1").result.code == 3
        assert there(nightly) == ["a", "b"]

    def test_a_folder_of_others_is_not_found(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        os.unlink(f"{nightly.inside.config}/signing_key")
        os.unlink(f"{nightly.inside.config}/signing_key.pub")
        assert Pruned(nightly.inside, "--keep-last", "1").result.code == 2  # no key
        assert nightly.inside("key", "create").code == 0
        result = nightly.inside("prune", "archives", "--keep-last", "1")
        assert result.code == 7
        (hint,) = result.hints
        assert hint.endswith("see whose they are: wmbackup list archives")

    def test_links_and_unpacked_archives_stay(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        nightly.back_up(1, "b")
        os.rename(nightly.inside.path("archives/a"), nightly.inside.path("a"))
        os.symlink("../a", nightly.inside.path("archives/a"))
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["a", "b"]


class TestEncrypted:
    """An archive that cannot be opened here is recognized by the hash of its file."""

    @pytest.fixture
    def recipient(self, nightly: Nightly) -> str:
        assert nightly.inside("key", "create", "--identity").code == 0
        identity = f"{nightly.inside.config}/identity.txt"
        (line,) = (
            line for line in Path(identity).read_text().splitlines() if line.startswith("# public")
        )
        os.rename(identity, nightly.inside.path("identity.txt"))
        return line.rpartition(" ")[2]

    def test_it_is_pruned(self, nightly: Nightly, recipient: str) -> None:
        for days, name in ((3, "a.age"), (2, "b.age"), (1, "c.age")):
            nightly.back_up(days, name, "--recipient", recipient)
        pruned = Pruned(nightly.inside, "--keep-last", "2")
        assert pruned.result.code == 0
        assert there(nightly) == ["b.age", "c.age"]

    def test_one_that_was_changed_stays(self, nightly: Nightly, recipient: str) -> None:
        for days, name in ((3, "a.age"), (2, "b.age"), (1, "c.age")):
            nightly.back_up(days, name, "--recipient", recipient)
        path = Path(nightly.inside.path("archives/a.age"))
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["a.age", "c.age"]

    def test_without_the_ledger_it_stays(self, nightly: Nightly, recipient: str) -> None:
        nightly.back_up(3, "a.age", "--recipient", recipient)
        nightly.back_up(2, "b.age", "--recipient", recipient)
        nightly.lose_ledger()
        assert Pruned(nightly.inside, "--keep-last", "1").result.code == 7
        assert there(nightly) == ["a.age", "b.age"]


class TestCrash:
    """Whatever ends a prune leaves the newer archives, in line."""

    @pytest.mark.parametrize("after", range(4))
    def test_a_prune_that_is_cut_off(
        self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch, after: int
    ) -> None:
        for days, name in ((4, "a"), (3, "b"), (2, "c"), (1, "d")):
            nightly.back_up(days, name)
        real, done = os.unlink, 0

        def unlink(path: Any, **more: Any) -> None:
            nonlocal done
            if "archives" in str(path):
                if done == after:
                    raise OSError(5, "input/output error")
                done += 1
            real(path, **more)

        with monkeypatch.context() as patched:
            patched.setattr(os, "unlink", unlink)
            pruned = Pruned(nightly.inside, "--keep-last", "1")
        assert pruned.result.code == (0 if after == 3 else 1)
        assert there(nightly) == ["a", "b", "c", "d"][after:]
        assert len(pruned.names("removed")) == after
        assert nightly.inside("verify", "archives").code == 0
        assert Pruned(nightly.inside, "--keep-last", "1").result.code == 0
        assert there(nightly) == ["d"]

    def test_a_file_that_was_replaced_meanwhile_stays(
        self, nightly: Nightly, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for days, name in ((3, "a"), (2, "b"), (1, "c")):
            nightly.back_up(days, name)
        real = _prune.remove

        def remove(*arguments: Any) -> Any:
            os.replace(nightly.inside.path("archives/c"), nightly.inside.path("archives/a"))
            return real(*arguments)

        monkeypatch.setattr(_prune, "remove", remove)
        Pruned(nightly.inside, "--keep-last", "1")
        assert there(nightly) == ["a"]


class TestBackup:
    """The same options of `backup` prune after the new archive was published."""

    def test_older_ones_of_the_store_go(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a")
        nightly.back_up(2, "b")
        nightly.inside.write("other/a.lic", b"1")
        assert nightly.inside("backup", "--store", "other", "-o", "archives/other").code == 0
        result = nightly.inside(
            "backup", "--store", "store", "-o", "archives/c", "--keep-last", "2", "--json"
        )
        assert result.code == 0
        assert there(nightly) == ["b", "c", "other"]
        removed = [line for line in result.lines if line["type"] == "prune"]
        assert [os.path.basename(line["path"]) for line in removed] == ["a"]

    def test_a_backup_that_skipped_files_removes_nothing(self, nightly: Nightly) -> None:
        nightly.back_up(2, "a")
        os.symlink("a.lic", nightly.inside.path("store/link"))
        result = nightly.inside(
            "backup", "--store", "store", "-o", "archives/b", "--keep-last", "1"
        )
        assert result.code == 3
        assert there(nightly) == ["a", "b"]
        assert "nothing is removed" in result.err

    def test_one_that_shrank_is_partial_and_the_archive_stays(self, nightly: Nightly) -> None:
        for name in "cdefg":
            nightly.inside.write(f"store/{name}.lic", b"1")
        nightly.back_up(2, "a")
        for name in "bcdefg":
            os.unlink(nightly.inside.path(f"store/{name}.lic"))
        arguments = ("backup", "--store", "store", "--keep-last", "1")
        assert nightly.inside(*arguments, "-o", "archives/b").code == 3
        assert there(nightly) == ["a", "b"]
        assert nightly.inside(*arguments, "-o", "archives/c", "--allow-shrink").code == 0
        assert there(nightly) == ["c"]

    def test_a_stream_is_refused(self, nightly: Nightly) -> None:
        result = nightly.inside("backup", "--store", "store", "-o", "-", "--keep-last", "1")
        assert result.code == 2

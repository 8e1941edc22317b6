"""Folders of archives: `verify FOLDER`, `list FOLDER`, unpacked ones, and what is older."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.program import Inside, Process
from wmbackup.cli.session import worst
from wmbackup.engine import _destination
from wmbackup.errors import ExitCode

NOW = datetime.now(UTC).replace(microsecond=0)


class Nightly:
    """Makes archives of one store in a folder, at the times that it is told."""

    def __init__(self, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside = inside
        self.monkeypatch = monkeypatch
        inside.store()
        assert inside("key", "create").code == 0
        os.mkdir(inside.path("archives"))

    def back_up(self, days_ago: float, name: str = "", *options: str) -> str:
        """Make one; return its path."""
        moment = NOW - timedelta(days=days_ago)

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return moment.astimezone(tz)

        with self.monkeypatch.context() as patched:
            patched.setattr(_destination, "datetime", Clock)
            output = f"archives/{name}"
            arguments = ("backup", "--store", "store", "-o", output, "--json", *options)
            result = self.inside(*arguments)
        assert result.code == 0, result.out
        return os.path.relpath(result.summary["result"]["path"], self.inside.here)

    def lose_ledger(self) -> None:
        os.unlink(self.ledger)

    @property
    def ledger(self) -> str:
        return f"{self.inside.state}/ledger.json"


@pytest.fixture
def nightly(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Nightly:
    return Nightly(inside, monkeypatch)


class TestVerify:
    """Every archive of a folder is verified, and the line of each series."""

    def test_a_folder_in_line_is_good(self, nightly: Nightly) -> None:
        for days in (3, 2, 1):
            nightly.back_up(days)
        result = nightly.inside("verify", "archives")
        assert result.code == 0
        assert result.err == ""
        assert len(result.out.splitlines()) == 3

    def test_names_that_sort_against_time_are_no_matter(self, nightly: Nightly) -> None:
        for days, name in ((3, "z.tar"), (2, "m.tar"), (1, "a.tar")):
            nightly.back_up(days, name)
        result = nightly.inside("verify", "--latest", "archives", "--json")
        assert result.code == 0
        (one,) = result.summary["result"]["archives"]
        assert os.path.basename(one["name"]) == "a.tar"

    def test_a_clock_that_jumped_back_is_no_matter(self, nightly: Nightly) -> None:
        for days, name in ((1, "a.tar"), (9, "b.tar"), (5, "c.tar")):
            nightly.back_up(days, name)
        result = nightly.inside("verify", "--latest", "archives", "--json")
        assert result.code == 0
        assert [os.path.basename(one["name"]) for one in result.summary["result"]["archives"]] == [
            "c.tar"
        ]

    def test_an_older_folder_is_rolled_back(self, nightly: Nightly) -> None:
        old = nightly.back_up(2)
        new = nightly.back_up(1)
        os.unlink(nightly.inside.path(new))
        result = nightly.inside("verify", "archives")
        assert result.code == 10
        assert f"{old} is older than the newest archive known here" in result.errors[0]
        assert os.path.basename(new) in result.errors[0]

    def test_what_was_verified_once_is_missed_in_another_place(
        self, nightly: Nightly, tmp_path: Path
    ) -> None:
        nightly.back_up(2)
        new = nightly.back_up(1)
        assert nightly.inside("verify", "archives").code == 0
        found = json.loads(Path(nightly.ledger).read_text())
        for series in found["series"]:
            series["made"], series["archives"] = None, []  # as on a machine that only verifies
        Path(nightly.ledger).write_text(json.dumps(found))
        os.rename(nightly.inside.path("archives"), nightly.inside.path("moved"))
        assert nightly.inside("verify", "moved").code == 0
        os.unlink(nightly.inside.path(new.replace("archives", "moved")))
        assert nightly.inside("verify", "moved").code == 10

    def test_a_missing_one_is_a_note_and_with_complete_an_error(self, nightly: Nightly) -> None:
        nightly.back_up(3)
        middle = nightly.back_up(2)
        nightly.back_up(1)
        os.unlink(nightly.inside.path(middle))
        result = nightly.inside("verify", "archives")
        assert result.code == 0
        assert "are not there: 1 of the series" in result.err
        result = nightly.inside("verify", "--complete", "archives")
        assert result.code == 10
        assert "predecessor" in result.errors[0]

    def test_a_number_that_a_crash_cost_is_no_gap(self, nightly: Nightly) -> None:
        nightly.back_up(3)
        found = json.loads(Path(nightly.ledger).read_text())
        found["series"][0]["sequence"] = 5
        Path(nightly.ledger).write_text(json.dumps(found))
        nightly.back_up(2)
        result = nightly.inside("verify", "--complete", "archives")
        assert (result.code, result.err) == (0, "")

    def test_two_of_one_number_are_a_fork(self, nightly: Nightly) -> None:
        nightly.back_up(3, "a.tar")
        before = Path(nightly.ledger).read_bytes()
        nightly.back_up(2, "b.tar")
        os.rename(nightly.inside.path("archives/b.tar"), nightly.inside.path("b.tar"))
        Path(nightly.ledger).write_bytes(before)
        nightly.back_up(1, "c.tar")
        os.rename(nightly.inside.path("b.tar"), nightly.inside.path("archives/b.tar"))
        result = nightly.inside("verify", "archives")
        assert result.code == 10
        assert "b.tar and archives/c.tar have one chain and one number, 2" in result.err

    def test_one_from_the_future_is_an_error(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        ahead = nightly.back_up(-1)
        result = nightly.inside("verify", "archives")
        assert result.code == 10
        assert result.errors[0].startswith(f"{ahead} was signed in the future, at ")

    def test_a_few_minutes_ahead_are_no_error(self, nightly: Nightly) -> None:
        nightly.back_up(-5 / 24 / 60)
        assert nightly.inside("verify", "archives").code == 0

    def test_other_files_are_a_note(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        nightly.inside.write("archives/notes.txt")
        nightly.inside.write("archives/below/more.txt")
        result = nightly.inside("verify", "archives")
        assert result.code == 0
        assert "other files in archives, which are no archives: 2" in result.err

    def test_a_file_that_lost_its_beginning_is_no_note(self, nightly: Nightly) -> None:
        nightly.back_up(2)
        path = nightly.back_up(1)
        Path(nightly.inside.path(path)).write_bytes(bytes(1000))
        assert nightly.inside("verify", "archives").code == 10  # and the newest is gone
        nightly.lose_ledger()
        assert nightly.inside("verify", "archives").code == 7

    def test_the_worst_decides_and_the_others_are_verified(self, nightly: Nightly) -> None:
        path = nightly.back_up(2, "a.tar")
        nightly.back_up(1, "b.tar")
        data = bytearray(Path(nightly.inside.path(path)).read_bytes())
        data[-2000] ^= 1
        Path(nightly.inside.path(path)).write_bytes(data)
        result = nightly.inside("verify", "archives")
        assert result.code == 4
        assert "archives/b.tar: ok" in result.out
        assert nightly.inside("verify", "--latest", "archives").code == 0

    def test_a_damaged_head_is_an_error_with_latest_too(self, nightly: Nightly) -> None:
        path = nightly.back_up(2, "a.tar")
        nightly.back_up(1, "b.tar")
        data = bytearray(Path(nightly.inside.path(path)).read_bytes())
        data[1000] ^= 1
        Path(nightly.inside.path(path)).write_bytes(data)
        assert nightly.inside("verify", "--latest", "archives").code == 4

    @pytest.mark.parametrize("option", ["--latest", "--complete"])
    def test_options_of_folders_want_a_folder(self, nightly: Nightly, option: str) -> None:
        path = nightly.back_up(1)
        result = nightly.inside("verify", option, path)
        assert result.code == 2
        assert result.errors == [f"{option} is for a folder of archives"]

    def test_a_folder_without_archives_is_not_found(self, nightly: Nightly) -> None:
        result = nightly.inside("verify", "store")
        assert result.code == 7
        assert result.hints[0].endswith("wmbackup list --store store")
        assert nightly.inside("list", "--store", "store").code == 0

    def test_an_older_archive_alone_is_a_note(self, nightly: Nightly) -> None:
        old = nightly.back_up(2)
        new = nightly.back_up(1)
        result = nightly.inside("verify", old)
        assert result.code == 0
        assert "is known here" in result.err
        assert nightly.inside("verify", new).err == ""

    def test_a_lost_ledger_leaves_a_line(self, nightly: Nightly) -> None:
        nightly.back_up(3)
        nightly.lose_ledger()
        nightly.back_up(2)
        nightly.back_up(1)
        assert nightly.inside("verify", "--complete", "archives").code == 0


class TestStateFolder:
    """`verify` works where the state folder cannot be written, with a warning."""

    def test_without_a_state_folder(self, program: Process) -> None:
        program.store()
        assert program("key", "create").code == 0
        assert program("backup", "--store", "store", "-o", "a.tar").code == 0
        signers = f"{program.config}/allowed_signers"
        program.write("file")
        env = {"XDG_STATE_HOME": program.path("file")}
        result = program("verify", "a.tar", "--allowed-signers", signers, env=env)
        assert result.code == 0
        assert "what was verified is not remembered" in result.err


class TestBag:
    """A folder with bagit.txt or wmbackup-1 in it is an unpacked archive."""

    @pytest.fixture
    def bag(self, nightly: Nightly) -> str:
        path = nightly.back_up(1, "a.tar")
        subprocess.run(["tar", "-xf", path, "-C", nightly.inside.here], check=True)
        return nightly.inside.path("wmbackup-1")

    def test_it_is_verified(self, nightly: Nightly, bag: str) -> None:
        assert nightly.inside("verify", "wmbackup-1").code == 0
        os.mkdir("outer")
        os.rename(bag, "outer/wmbackup-1")
        assert nightly.inside("verify", "outer").code == 0
        assert nightly.inside("list", "outer").out.splitlines()[0].startswith("a.lic\t")
        os.mkdir("outer/archives")
        os.rename("outer", "archives/outer")
        result = nightly.inside("verify", "archives", "--json")
        assert result.code == 0
        assert len(result.summary["result"]["archives"]) == 2

    @pytest.mark.parametrize(
        "change",
        [
            lambda bag: os.unlink(f"{bag}/data/a.lic"),
            lambda bag: os.unlink(f"{bag}/tagmanifest-sha256.txt.sig"),
            lambda bag: os.unlink(f"{bag}/manifest-sha256.txt"),
            lambda bag: Path(f"{bag}/data/a.lic").write_bytes(b"xxx"),
            lambda bag: Path(f"{bag}/data/a.lic").write_bytes(b"longer"),
            lambda bag: Path(f"{bag}/data/more").write_bytes(b""),
            lambda bag: Path(f"{bag}/more").write_bytes(b""),
            lambda bag: Path(f"{bag}/bag-info.txt").write_bytes(b"x"),
            lambda bag: Path(f"{bag}/manifest-sha256.txt").write_bytes(b"x\n" * 9),
            lambda bag: Path(f"{bag}/manifest-sha256.txt").write_bytes(
                b"0" * 64 + b"  ../../../../etc/passwd\n"
            ),
            lambda bag: subprocess.run(["ln", "-sf", "b.lic", f"{bag}/data/a.lic"], check=True),
            lambda bag: os.symlink("..", f"{bag}/data/link"),
        ],
    )
    def test_whatever_is_changed_is_seen(
        self, nightly: Nightly, bag: str, change: Callable[[str], object]
    ) -> None:
        change(bag)
        result = nightly.inside("verify", "wmbackup-1")
        assert result.code in {1, 4}
        assert result.errors


class TestRestore:
    """An older archive is restored on demand only, and nothing is changed before."""

    def test_an_older_one_takes_an_option(self, nightly: Nightly) -> None:
        old = nightly.back_up(2)
        new = nightly.back_up(1)
        result = nightly.inside("restore", old, "--to", "target", "--yes")
        assert result.code == 10
        assert "is older than the newest archive known here" in result.errors[0]
        assert not os.path.lexists(nightly.inside.path("target"))
        again = nightly.inside("restore", old, "--to", "target", "--yes", "--dry-run")
        assert again.code == 10
        restored = nightly.inside("restore", old, "--to", "target", "--yes", "--allow-older")
        assert restored.code == 0
        assert nightly.inside("restore", new, "--to", "target2", "--yes").code == 0

    def test_an_older_one_through_a_pipe_too(self, nightly: Nightly) -> None:
        old = nightly.back_up(2)
        nightly.back_up(1)
        data = Path(nightly.inside.path(old)).read_bytes()
        result = nightly.inside("restore", "-", "--to", "target", "--yes", stdin=data)
        assert result.code == 10
        assert not os.path.lexists(nightly.inside.path("target"))

    def test_a_damaged_older_one_is_damaged(self, nightly: Nightly) -> None:
        old = nightly.back_up(2)
        nightly.back_up(1)
        data = bytearray(Path(nightly.inside.path(old)).read_bytes())
        data[-2000] ^= 1
        Path(nightly.inside.path(old)).write_bytes(data)
        assert nightly.inside("restore", old, "--to", "target", "--yes").code == 4


class TestList:
    """`list FOLDER` lists the archives themselves."""

    def test_archives_are_listed_in_line(self, nightly: Nightly) -> None:
        nightly.back_up(1, "z.tar")
        nightly.back_up(5, "a.tar")
        result = nightly.inside("list", "archives", "--json")
        rows = [line for line in result.lines if line["type"] == "archive"]
        assert [os.path.basename(row["path"]) for row in rows] == ["z.tar", "a.tar"]
        assert [row["archive"]["sequence"] for row in rows] == [1, 2]
        assert {row["state"] for row in rows} == {"head ok"}
        sizes = sum(os.path.getsize(nightly.inside.path(f"archives/{n}.tar")) for n in "az")
        assert result.summary["result"] == {"name": "archives", "archives": 2, "size": sizes}
        lines = nightly.inside("list", "archives").out.splitlines()
        assert [line.split("\t")[5:7] for line in lines] == [["1", "head ok"], ["2", "head ok"]]

    def test_what_is_not_trusted_is_not_shown(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        os.truncate(f"{nightly.inside.config}/allowed_signers", 0)
        result = nightly.inside("list", "archives", "--json")
        assert result.code == 5
        (row,) = (line for line in result.lines if line["type"] == "archive")
        assert (row["state"], row["archive"]) == ("untrusted", None)

    def test_options_for_what_is_in_an_archive_are_refused(self, nightly: Nightly) -> None:
        nightly.back_up(1)
        assert nightly.inside("list", "archives", "--long").code == 2


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], 0), ([0, 3], 3), ([3, 11], 11), ([11, 1], 1), ([1, 2], 2), ([2, 7], 7), ([7, 8], 8),
        ([8, 9], 9), ([9, 10], 10), ([10, 6], 6), ([6, 5], 5), ([5, 4], 4), ([4, 143], 143),
        ([4, 130], 130),
    ],
)  # fmt: skip
def test_the_worst_of_several_exit_codes(codes: list[int], code: int) -> None:
    assert worst([ExitCode(one) for one in codes]) == code
    assert worst([ExitCode(one) for one in reversed(codes)]) == code


def test_every_exit_code_has_its_place() -> None:
    for code in ExitCode:
        assert worst([code, ExitCode.OK]) == code


class TestKeys:
    """`key sign` keeps the ledger right."""

    def test_sign_keeps_the_hash_of_the_file_in_the_ledger(self, nightly: Nightly) -> None:
        path = nightly.inside.path(nightly.back_up(1, "a"))
        other = nightly.inside.path("other")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
        before = json.loads(Path(nightly.ledger).read_text())["series"][0]["made"]
        assert nightly.inside("key", "sign", path, "--signing-key", other).code == 0
        (series,) = json.loads(Path(nightly.ledger).read_text())["series"]
        data = Path(path).read_bytes()
        for entry in (series["made"], series["archives"][0]):
            assert entry["file"] == hashlib.sha256(data).hexdigest() != before["file"]
            assert entry["size"] == len(data)
            assert entry["signed"] == before["signed"]


def test_every_summary_has_seconds_and_bytes(nightly: Nightly) -> None:
    nightly.back_up(1, "a.tar")
    size = os.path.getsize(nightly.inside.path("archives/a.tar"))
    for arguments, octets in (
        (("verify", "archives/a.tar"), 6),
        (("list", "archives/a.tar"), 6),
        (("list", "archives"), size),
        (("status", "archives"), size),
        (("prune", "archives", "--keep-last", "1"), 0),
        (("restore", "archives/a.tar", "--to", "target", "--yes"), 6),
        (("backup", "--store", "store", "-n"), 6),
        (("backup", "--store", "store", "-o", "b.tar"), 6),
        (("key", "list"), 0),
    ):
        summary = nightly.inside(*arguments, "--json").summary
        assert summary["bytes"] == octets, arguments
        assert summary["seconds"] >= 0

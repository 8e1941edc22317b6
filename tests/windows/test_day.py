from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes
import errno
import importlib.resources
import json
import os
import pathlib
import signal
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.windows.harness import Double
from tests.windows.test_system import without
from wmbackup.cli import console, main, paths, session
from wmbackup.cli.render import shell
from wmbackup.engine import backup
from wmbackup.errors import Busy, ExitCode, SystemFailure
from wmbackup.status import Control
from wmbackup.storage.files import try_lock
from wmbackup.storage.locks import Locks
from wmbackup.stores.windows.store import PRIVACY_POLICY, WindowsStore
from wmbackup.testing import FakeItem, FakeStore
from wmbackup.trust import keys, owner
from wmbackup.trust.access_lists import EVERYONE

URL = "https://licenses.invalid/limit"
KID = "{00112233-4455-6677-8899-AABBCCDDEEFF}"
BITS = 64 if sys.maxsize > 2**32 else 32
SECONDS = 60  # after which a process that hangs fails its test
SCHEMA = Draft202012Validator(
    json.loads(importlib.resources.files("wmbackup.cli").joinpath("schema.json").read_text())
)
TITLED = (
    "license xml KID-1== {LID-1} <META><Title>Caf\u00e9 Gr\u00f6\u00dfenwahn</Title></META>",
    "right Backup 1",
)


@dataclass
class Home:
    """A user with a profile of his own, who works on the command line."""

    folder: pathlib.Path
    double: Double
    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    @property
    def archive(self) -> str:
        return str(self.folder / "a.tar")

    @property
    def private(self) -> list[str]:
        folder = self.folder / "state" / "private"
        return os.listdir(folder) if folder.exists() else []

    def run(self, *arguments: str) -> ExitCode:
        """Run it in this process."""
        code = main(arguments)
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.err, self.err
        return ExitCode(code)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        """Run it with --json and hold every line against the schema."""
        code = self.run(*arguments, "--json")
        lines = [json.loads(line) for line in self.out.splitlines()]
        for line in lines:
            SCHEMA.validate(line)
        assert lines[-1]["exit_code"] == code
        return lines

    def process(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run it in a process of its own, through pipes."""
        code = f"""
            from wmbackup.cli import console, main, paths, session
            from wmbackup.cli import paths
            session.config_folder = lambda: {str(self.folder / "config")!r}
            session.state_folder = paths.state_folder = lambda: {str(self.folder / "state")!r}
            raise SystemExit(main({list(arguments)!r}))
        """
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )


@pytest.fixture
def home(
    double: Double,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Home]:
    folder = tmp_path / "\u00dcml\u00e4ut and spaces"
    folder.mkdir()
    monkeypatch.setattr(session, "config_folder", lambda: str(folder / "config"))
    monkeypatch.setattr(session, "state_folder", lambda: str(folder / "state"))
    monkeypatch.setattr(paths, "state_folder", lambda: str(folder / "state"))
    monkeypatch.chdir(folder)
    one = Home(folder, double, capsys)
    assert one.run("key", "create") is ExitCode.OK
    yield one
    assert one.private == [], "the private folder was left"
    assert [name for name in os.listdir(folder) if name.endswith(".part")] == []


def statuses(lines: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(line["status"], line["code"]) for line in lines if line["type"] == "status"]


# A day


def test_a_day(home: Home) -> None:
    home.double.script(*TITLED)
    made = home.json("backup", "-o", home.archive)
    assert statuses(made) == [("WMT_BACKUPRESTORE_BEGIN", 21), ("WMT_BACKUPRESTORE_END", 27)]
    archive = made[-1]["result"]["archive"]
    assert (archive["store_kind"], archive["files"]) == ("windows", 4)
    assert f"process {BITS}-bit; WMVCore.dll" in archive["machine"]
    assert home.run("verify", home.archive) is ExitCode.OK
    assert home.run("list", home.archive) is ExitCode.OK
    assert "Caf\u00e9 Gr\u00f6\u00dfenwahn" in home.out
    assert home.run("list", "--store", "windows") is ExitCode.OK
    assert "Caf\u00e9 Gr\u00f6\u00dfenwahn" in home.out
    back = home.json("restore", home.archive, "--to", "windows", "--yes")
    assert statuses(back) == [
        ("WMT_BACKUPRESTORE_CONNECTING", 28),
        ("WMT_BACKUPRESTORE_DISCONNECTING", 29),
        ("WMT_BACKUPRESTORE_BEGIN", 21),
        ("WMT_BACKUPRESTORE_END", 27),
    ]
    kinds = [line.get("code") if line["type"] == "warning" else line["type"] for line in back]
    assert kinds.index("restore-limits") < kinds.index("plan") < kinds.index("status")
    assert sum("same=1" in line for line in home.double.log()) == 4


def test_the_other_bitness_is_told(home: Home) -> None:
    home.run("backup", "-o", home.archive)
    assert ("32-bit programs alone" in home.err) == (BITS == 64)


def test_restricted(home: Home) -> None:
    home.double.script(
        *TITLED,
        "backup status 21 0",
        "backup file drmv2lic.bak 5000",
        "backup status 31 0 string KID-1==",
        f"backup status 31 0 string {KID}",
        "backup status 27 0",
    )
    assert home.run("backup", "-o", home.archive) is ExitCode.PARTIAL
    assert '(key ID KID-1==, title "Caf\u00e9 Gr\u00f6\u00dfenwahn")' in home.err
    assert f"(key ID {KID})" in home.err
    made = home.json("backup", "-o", home.archive, "--force", "--accept-restricted")
    assert made[-1]["exit_code"] == ExitCode.OK
    assert made[-1]["result"]["archive"]["withheld"] == 2
    assert [code for _, code in statuses(made)] == [21, 31, 31, 27]
    listed = home.json("list", home.archive, "--restricted")
    assert {line["kid"] for line in listed if line["type"] == "license"} == {"KID-1==", KID}


def test_refused_with_the_address(home: Home) -> None:
    home.run("backup", "-o", home.archive)
    home.double.script(
        "restore status 28 0", f"restore status 30 0xC00D2753 string {URL}", "restore status 27 0"
    )
    assert home.run("restore", home.archive, "--to", "windows", "--yes") is ExitCode.REFUSED
    assert home.err.count(f"WMT_ERROR_WITHURL (30) failed with 0xC00D2753: {URL}") == 1
    assert f"the page that says why is {URL}" in home.err


def test_a_security_upgrade_takes_consent(home: Home) -> None:
    home.double.script("needs-individualization")
    home.run("backup", "-o", home.archive)
    arguments = ("restore", home.archive, "--to", "windows", "--yes")
    assert home.run(*arguments) is ExitCode.REFUSED
    assert "--allow-individualize" in home.err
    assert home.run(*arguments, "--allow-individualize", "-v") is ExitCode.OK
    assert home.err.index(PRIVACY_POLICY) < home.err.index("WMT_INDIVIDUALIZE")
    assert home.double.said("^restore object=.* flags=2$")


def test_only_what_the_interface_wrote_goes_back(home: Home) -> None:
    home.run("backup", "--store", "sample", "-o", home.archive)
    assert home.run("restore", home.archive, "--to", "windows", "--yes") is ExitCode.USAGE
    home.run("backup", "-o", home.archive, "--force")
    arguments = ("restore", home.archive, "--to", "windows", "--yes", "--path", "drmv2lic.bak")
    assert home.run(*arguments) is ExitCode.USAGE
    assert not home.double.said("^restore object")


def test_the_set_that_windows_media_player_wrote_goes_back(home: Home) -> None:
    folder = home.folder / "License Backup"
    folder.mkdir()
    with WindowsStore(str(home.folder / "state" / "private")).export(Control()) as export:
        for path in export.paths:
            data = export.read(path).data
            assert isinstance(data, bytes)
            (folder / os.fsdecode(path)).write_bytes(data)
    assert home.run("backup", "--store", f"bak:{folder}", "-o", home.archive) is ExitCode.OK
    assert home.run("restore", home.archive, "--to", "windows", "--yes") is ExitCode.OK
    assert sum("same=1" in line for line in home.double.log()) == 4


def test_the_process_is_told_everything_in_utf_8(home: Home) -> None:
    home.double.script(*TITLED)
    run = home.process("list", "--store", "windows", "--no-notice")
    assert (run.returncode, run.stderr.count(b"Traceback")) == (0, 0)
    assert "Caf\u00e9 Gr\u00f6\u00dfenwahn".encode() in run.stdout
    run = home.process("backup", "-o", "\u2713.tar", "--no-notice")
    assert run.returncode == ExitCode.OK
    assert "\u2713.tar, read back and verified".encode() in run.stdout


def test_a_reader_that_has_gone_is_no_error(home: Home) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "wmbackup", "explain", "9"]
    run = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (ExitCode.FAILED, b"")
    assert home.private == []


# What ends it early


WAITING = ("backup status 21 0", "backup file drmv2lic.bak 5000", "backup wait-for-cancel")


def interrupted(home: Home, number: signal.Signals) -> ExitCode:
    """Run a backup that is interrupted when the interface has begun to write."""

    def interrupt() -> None:
        home.double.wait_for("^wrote")
        signal.raise_signal(number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code = home.run("backup", "-o", home.archive)
    thread.join()
    return code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGBREAK], ids=["Ctrl-C", "Ctrl-Break"])
def test_interrupted(home: Home, number: signal.Signals) -> None:
    home.double.script(*WAITING)
    assert interrupted(home, number) is ExitCode.INTERRUPTED
    assert home.double.said("^cancel")
    assert not os.path.exists(home.archive)
    assert home.private == []


def test_interrupted_during_a_restore(home: Home) -> None:
    home.run("backup", "-o", home.archive)
    home.double.script("restore status 28 0", "restore status 21 0", "restore wait-for-cancel")

    def interrupt() -> None:
        home.double.wait_for("^restore object")
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code = home.run("restore", home.archive, "--to", "windows", "--yes")
    thread.join()
    assert code is ExitCode.INTERRUPTED
    assert home.double.said("^cancel")


def test_a_timeout(home: Home) -> None:
    home.double.script(*WAITING)
    assert home.run("backup", "-o", home.archive, "--timeout", "0.5") is ExitCode.FAILED
    assert not os.path.exists(home.archive)


def test_what_a_crash_left_is_removed_by_the_next_run(home: Home) -> None:
    home.double.script(*WAITING[:2], "backup abort 9")
    assert home.process("backup", "-o", home.archive).returncode == 9
    home.double.forget()
    [left] = home.private
    assert os.listdir(home.folder / "state" / "private" / left / "licenses") == ["drmv2lic.bak"]
    assert not os.path.exists(home.archive)
    home.double.script()
    assert home.run("backup", "-o", home.archive) is ExitCode.OK
    assert home.private == []


def test_what_hangs_is_left_to_the_next_run(home: Home) -> None:
    home.double.script(*WAITING[:2], "backup hang")
    assert home.process("backup", "-o", home.archive, "--timeout", "1").returncode == 1
    home.double.forget()
    assert len(home.private) <= 1
    assert not os.path.exists(home.archive)
    home.double.script()
    assert home.run("backup", "-o", home.archive) is ExitCode.OK
    assert home.private == []


# What stands in the way


def test_check(home: Home) -> None:
    home.double.script(*TITLED)
    assert home.run("check", "--store", "windows", "-o", home.archive) is ExitCode.OK
    rows = {
        line.split(":")[0].split()[-1]: line.split()[0]
        for line in home.out.splitlines()
        if not line.startswith(" ")
    }
    assert rows["interface"] == rows["components"] == rows["enumeration"] == "ok"
    assert rows["store"] == "ok"
    assert rows["bitness"] == ("ok" if BITS == 32 else "warning")
    assert not home.double.said("^backup object")


def test_wine_and_newer_windows_have_no_interface(home: Home) -> None:
    with without("wmvcore", instead="builtin"):
        run = home.process("backup", "-o", home.archive)
        looked = home.process("check")
    assert (run.returncode, looked.returncode) == (ExitCode.NOT_FOUND, ExitCode.NOT_FOUND)
    assert b"E_NOTIMPL" in run.stderr
    assert b"drm:PATH" in looked.stdout


def test_without_the_dll(home: Home) -> None:
    with without("wmvcore"):
        run = home.process("backup", "-o", home.archive)
    assert run.returncode == ExitCode.NOT_FOUND
    assert b"WMVCore.dll" in run.stderr


def test_without_an_enumeration(home: Home) -> None:
    home.double.script("startup 0x80004005")
    assert home.run("backup", "-o", home.archive) is ExitCode.OK
    assert "cannot be enumerated" in home.err
    assert home.run("list", "--store", "windows") is ExitCode.FAILED


@pytest.mark.parametrize("how", ["here", "elsewhere"])
@pytest.mark.parametrize("method", ["WMDRMStartup", "GetNext", "GetLicense", "WMDRMShutdown"])
def test_a_crash_of_the_enumeration_costs_no_archive(home: Home, method: str, how: str) -> None:
    home.double.script(*TITLED, f"break {method} {how}")
    assert home.run("backup", "-o", home.archive) is ExitCode.OK
    is_late = method == "WMDRMShutdown" and how == "here"
    assert ("crashed" in home.err) is not is_late
    assert home.run("verify", home.archive) is ExitCode.OK
    home.double.forget()


def test_a_crash_ends_one_row_of_check_and_not_all(home: Home) -> None:
    for how in ("here", "elsewhere"):
        home.double.script("break WMCreateBackupRestorer " + how)
        lines = home.json("check", "--store", "windows")
        rows = {line["name"]: line for line in lines if line["type"] == "check"}
        assert rows["interface"]["state"] == "failed"
        assert "crashed" in rows["interface"]["message"]
        assert {"enumeration", "policy", "rights", "trust", "store"} <= set(rows)
        assert rows["store"]["state"] == "ok"
        home.double.forget()


def test_a_crash_of_the_backup_is_an_error_and_leaves_nothing(home: Home) -> None:
    home.double.script("break BackupLicenses here")
    lines = home.json("backup", "-o", home.archive)
    errors = [line for line in lines if line["type"] == "error"]
    assert [error["code"] for error in errors] == ["interface-crashed"]
    assert "IWMLicenseBackup::BackupLicenses" in errors[0]["message"]
    assert errors[0]["exit_code"] == ExitCode.FAILED
    assert not os.path.exists(home.archive)
    home.double.forget()


def test_nobody_answers_on_the_null_device(home: Home, tmp_path: pathlib.Path) -> None:
    """It calls itself a terminal: a key was made and trusted with standard input from there."""
    key = home.folder / "config"
    for path in key.iterdir():
        path.unlink()
    done = home.process("backup", "-o", home.archive)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert list(key.iterdir()) == []
    with open(os.devnull) as null:
        assert null.isatty()
        assert not session.is_terminal(null)
        assert not console.takes_colors(null)
    assert home.run("key", "create") is ExitCode.OK
    assert tmp_path.exists()


def test_who_started_this_process_is_known() -> None:
    starters = list(console._starters())
    assert starters
    assert starters[0].endswith(".exe") or starters == [""]
    assert console.is_unattended() in {True, False}


def test_under_a_scheduler_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_is_visible", lambda: True)
    for names, expected in (
        (["cmd.exe", "svchost.exe"], True),
        (["taskeng.exe"], True),
        (["cmd.exe", "explorer.exe"], False),
        ([], False),
    ):
        console.is_unattended.cache_clear()
        monkeypatch.setattr(console, "_starters", lambda names=names: iter(names))
        assert console.is_unattended() is expected
    console.is_unattended.cache_clear()
    monkeypatch.setattr(console, "_is_visible", lambda: False)
    assert console.is_unattended()
    console.is_unattended.cache_clear()


def test_wildcards_mean_files(home: Home) -> None:
    for name in ("b.tar", "a.tar"):
        assert home.run("backup", "-o", str(home.folder / name)) is ExitCode.OK
    assert home.run("verify", str(home.folder / "*.tar")) is ExitCode.OK
    assert home.err.count("ok") + home.out.count("ok") >= 2
    assert home.run("verify", str(home.folder / "*.zip")) is ExitCode.NOT_FOUND


# Windows and its files


def test_paths_of_any_length(home: Home) -> None:
    folder = home.folder
    while len(str(folder)) < 300:
        folder /= "a folder whose name has fifty characters, or so it is"
    os.makedirs("\\\\?\\" + str(folder))
    archive = str(folder / "long \u00fc.tar")
    assert home.run("backup", "-o", archive) is ExitCode.OK
    assert home.run("backup", "-o", archive) is ExitCode.FAILED, "it exists"
    assert home.run("backup", "-o", archive, "--force") is ExitCode.OK
    assert home.run("verify", archive) is ExitCode.OK
    assert home.run("restore", archive, "--to", str(folder / "out"), "--yes") is ExitCode.OK
    assert len(os.listdir("\\\\?\\" + str(folder / "out"))) == 4


@pytest.mark.parametrize("prefix", ["\\\\?\\", "\\\\.\\"])
def test_paths_that_look_like_a_share(home: Home, prefix: str) -> None:
    archive = prefix + home.archive
    assert home.run("backup", "-o", archive) is ExitCode.OK
    assert home.run("verify", archive) is ExitCode.OK
    target = prefix + str(home.folder / "out")
    assert home.run("restore", archive, "--to", target, "--yes") is ExitCode.OK
    assert len(os.listdir(home.folder / "out")) == 4


@pytest.mark.parametrize("path", ["\\\\server.invalid\\share\\licenses", "Q:\\licenses", "Q:x"])
def test_shares_and_drives_are_paths_and_no_kinds(home: Home, path: str) -> None:
    assert home.run("backup", "--store", path, "-o", home.archive) is ExitCode.NOT_FOUND
    assert "there is no folder" in home.err


@pytest.mark.parametrize("existing", [False, True])
def test_names_that_windows_has_not_lead_nowhere(home: Home, *, existing: bool) -> None:
    target, outside = home.folder / "target", home.folder / "outside"
    if existing:
        target.mkdir()
    outside.mkdir()
    paths = [
        str(outside / "absolute").encode(),
        b"sub\\below",
        b"..\\outside\\above",
        b"fine.lic:stream",
        b"C:relative",
        b"new\nline",
        b"what?",
        b"\xff.lic",
    ]
    files: dict[bytes, bytes | FakeItem] = dict.fromkeys(paths, b"1")
    key = keys.load(str(home.folder / "config" / "signing_key"))
    backup(FakeStore({**files, b"fine.lic": b"2"}), home.archive, key)
    assert home.run("list", home.archive) is ExitCode.OK
    arguments = ("restore", home.archive, "--to", f"folder:{target}", "--yes")
    assert home.run(*arguments) is ExitCode.PARTIAL
    assert home.err.count("Windows takes no such name") == len(paths)
    assert os.listdir(target) == ["fine.lic"]
    assert os.listdir(outside) == []
    assert (target / "fine.lic").read_bytes() == b"2"


def test_the_root_of_a_drive(home: Home) -> None:
    before = set(os.listdir("C:\\"))
    try:
        assert home.run("backup", "-o", "C:\\") is ExitCode.OK
        [name] = set(os.listdir("C:\\")) - before
        assert "-windows-" in name
        assert home.run("verify", f"C:\\{name}") is ExitCode.OK
        arguments = ("restore", f"C:\\{name}", "--to", "folder:C:\\", "--dry-run")
        assert home.run(*arguments) is ExitCode.OK
        # It is a disk of Windows without any licenses, whatever its links lead to.
        assert home.run("backup", "--store", "C:\\", "-o", home.archive) is ExitCode.NOT_FOUND
    finally:
        for name in set(os.listdir("C:\\")) - before:
            os.unlink(f"C:\\{name}")


def test_one_run_at_a_time(home: Home) -> None:
    locks = Locks(str(home.folder / "state" / "locks"))
    with locks.hold("store", WindowsStore.location, Control()):
        assert home.run("backup", "-o", home.archive) is ExitCode.BUSY
    assert home.run("backup", "-o", home.archive) is ExitCode.OK


def test_a_lock_holds_a_path_however_it_is_spelled(home: Home) -> None:
    locks = Locks(str(home.folder / "state" / "locks"))
    with (
        locks.hold("store", "C:\\Store", Control()),
        pytest.raises(Busy),
        locks.hold("store", "c:\\STORE", Control()),
    ):
        pass


def test_a_lock_that_is_removed_at_this_moment_is_made_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = os.open, []

    def busy(path: str, flags: int, mode: int = 0o777) -> int:
        tries.append(path)
        if len(tries) < 4:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", busy)
    with Locks(str(home.folder / "locks")).hold("store", "one", Control()):
        assert len(tries) == 4
    monkeypatch.setattr("wmbackup.storage.locks._REMOVAL", 0.0)
    tries.clear()
    with (
        pytest.raises(SystemFailure, match="permission denied"),
        Locks(str(home.folder / "locks")).hold("store", "one", Control()),
    ):
        pass


def test_a_lock_is_seen_by_other_processes_and_drops_with_its_own(home: Home) -> None:
    code = """
        import os, sys
        from wmbackup.storage.files import try_lock
        print(try_lock(os.open(sys.argv[1], os.O_RDWR)), flush=True)
        sys.stdin.read()
    """
    file = home.folder / "lock"
    file.touch()
    descriptor = os.open(file, os.O_RDWR)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline().strip() == b"True"
            assert not try_lock(descriptor)
            other.kill()
        assert try_lock(descriptor)
    finally:
        os.close(descriptor)


def test_an_archive_that_is_open_elsewhere_stays_as_it_is(home: Home) -> None:
    home.run("backup", "-o", home.archive)
    before = pathlib.Path(home.archive).read_bytes()
    with open(home.archive, "rb"):
        assert home.run("backup", "-o", home.archive, "--force") is ExitCode.FAILED
    assert pathlib.Path(home.archive).read_bytes() == before
    assert home.run("backup", "-o", home.archive, "--force") is ExitCode.OK
    assert pathlib.Path(home.archive).read_bytes() != before


def attributes(path: pathlib.Path) -> int:
    return os.stat(path).st_file_attributes & 0x27


def set_attributes(path: pathlib.Path, bits: int) -> None:
    function = ctypes.WinDLL("kernel32").SetFileAttributesW
    function.argtypes = (ctypes.c_wchar_p, ctypes.c_uint32)
    assert function(str(path), bits)


@pytest.mark.parametrize("bits", [0x1, 0x2, 0x4, 0x20, 0x27])
def test_times_and_attributes_come_back(home: Home, bits: int) -> None:
    source, target = home.folder / "source", home.folder / "target"
    source.mkdir()
    file = source / "a.lic"
    file.write_bytes(b"synthetic")
    os.utime(file, ns=(1_161_993_600_123_456_700, 1_161_993_600_123_456_700))
    set_attributes(file, bits)
    kept = attributes(file)
    assert home.run("backup", "--store", str(source), "-o", home.archive) is ExitCode.OK
    for _ in range(2):  # into a folder that is made, then over what stands there
        assert (
            home.run(
                "restore", home.archive, "--to", str(target), "--yes", "--on-conflict", "replace"
            )
            is ExitCode.OK
        )
        assert attributes(target / "a.lic") == kept
        assert os.stat(target / "a.lic").st_mtime_ns == os.stat(file).st_mtime_ns
        set_attributes(target / "a.lic", 0x80)
        (target / "a.lic").write_bytes(b"other")
        set_attributes(target / "a.lic", 0x1)
    set_attributes(target / "a.lic", 0x80)
    set_attributes(file, 0x80)


def test_a_file_that_a_program_keeps_to_itself_is_in_use(home: Home) -> None:
    source = home.folder / "source"
    source.mkdir()
    (source / "a.lic").write_bytes(b"synthetic")
    create = ctypes.WinDLL("kernel32").CreateFileW
    create.restype = ctypes.c_void_p
    shared_with_nobody = create(str(source / "a.lic"), 0x80000000, 0, None, 3, 0, None)
    try:
        code = home.run("backup", "--store", str(source), "-o", home.archive)
    finally:
        ctypes.WinDLL("kernel32").CloseHandle(ctypes.c_void_p(shared_with_nobody))
    assert code is ExitCode.FAILED
    assert "a.lic: in use by " in home.err, home.err
    assert not os.path.exists(home.archive)


# Access lists: Wine maps them to a Unix mode, so this proves our calls and not Windows' answer.


def test_the_key_is_its_owners_alone(home: Home) -> None:
    key = str(home.folder / "config" / "signing_key")
    assert not owner.is_exposed(key)
    home.run("backup", "-o", home.archive)
    assert "other users can read" not in home.err


def test_an_access_list_is_written_and_read_back(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    # What stands there before, Wine shows as an entry for everybody.
    assert owner.others(str(file)) == [EVERYONE]
    command = shell.hide(str(file)).split(" ")
    assert command[-4:] == ["/grant:r", f"*{owner.user()}:F", "/remove", f"*{EVERYONE}"]
    owner.restrict(str(file))
    assert owner.readers(str(file)) - {"S-1-5-18"} == {owner.user()}  # Wine adds the system
    assert not owner.is_exposed(str(file))
    assert file.read_bytes() == b"x"

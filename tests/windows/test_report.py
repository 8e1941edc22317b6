from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import pathlib
import zipfile

import pytest

from tests.windows.harness import Double
from wmbackup.cli import main, reporting
from wmbackup.cli.part import runner
from wmbackup.stores.windows import report
from wmbackup.stores.windows.components import facts

KEY = bytes(32)
LICENSES = ("license xml KID-1== {L1}", "right Backup 1", "license xml KID-2== {L2}")


@pytest.fixture
def told(double: Double) -> Report:
    return Report(double)


class Report:
    """Makes one with the double."""

    def __init__(self, double: Double) -> None:
        self.double = double

    def __call__(self, *script: str, backup: bool = False, seconds: float = 30) -> list[str]:
        self.double.script(*script)
        folder = str(self.double.folder)
        made = report.lines(runner(), (), folder, KEY, try_backup=backup, seconds=seconds)
        return list(made)


def find(lines: list[str], start: str) -> list[str]:
    found = [line.removeprefix(start) for line in lines if line.startswith(start)]
    assert found, "\n".join(lines)
    return found


def test_every_documented_call_is_made(told: Report) -> None:
    lines = told(*LICENSES, backup=True)
    for call in (
        "creation call WMCreateBackupRestorer",
        "creation call QueryInterface(IWMLicenseBackup)",
        "creation call QueryInterface(IWMLicenseRestore)",
        "creation call QueryInterface(IWMBackupRestoreProps)",
        "creation call IWMBackupRestoreProps::SetProp",
        "enumeration call WMDRMStartup",
        "enumeration call WMDRMCreateProvider",
        "enumeration call IWMDRMProvider::CreateObject(IWMDRMLicenseManagement)",
        "enumeration call IWMDRMLicenseManagement::CreateLicenseEnumeration",
        "enumeration call IWMDRMLicense::ResetEnumeration",
        "query call IWMDRMProvider::CreateObject(IWMDRMLicenseQuery)",
        "query call IWMDRMLicenseQuery::QueryLicenseState",
        "query call IWMDRMLicenseQuery::QueryActionAllowed",
        "backup call IWMLicenseBackup::BackupLicenses",
    ):
        assert find(lines, f"{call}: ")[0].startswith("0x00000000, "), call
    assert find(lines, "enumeration licenses: ") == ["2"]
    assert find(lines, "backup END came: ") == ["yes"]
    assert find(lines, "backup status 21: ")[0].startswith("0x00000000, ")
    assert (
        len([line for line in lines if line.endswith("end: all that could be called was called")])
        == 4
    )
    # The order: what is read after a reset is what was read first.
    licenses = find(lines, "enumeration license: type 1, ")
    assert licenses[0] == licenses[2] != licenses[1]


def test_nothing_of_a_license_or_a_status_is_in_it(told: Report) -> None:
    restricted = "backup status 31 0 string KID-3=="
    lines = told(*LICENSES, "backup status 21 0", restricted, "backup status 27 0", backup=True)
    assert find(lines, "backup status 31: ")[0].count("type 1, 14 bytes, HMAC ") == 1
    assert "KID-" not in "\n".join(lines)


@pytest.mark.parametrize("how", ["here", "elsewhere"])
def test_a_crash_costs_its_chain_alone(told: Report, how: str) -> None:
    lines = told(*LICENSES, f"break GetLicense {how}")
    told.double.forget()
    text = "\n".join(lines)
    assert find(lines, "creation end: ") == ["all that could be called was called"]
    assert (
        "enumeration call IWMDRMLicense::GetLicense: crashed, exception: access violation" in text
        or (
            find(
                lines, "enumeration end: crashed in IWMDRMLicense::GetLicense, exit code 0xC0000005"
            )
        )
    )


def test_a_hang_costs_its_chain_alone(told: Report) -> None:
    lines = told(*LICENSES, "break GetLicense never", seconds=5)
    told.double.forget()
    assert find(lines, "enumeration end: ") == ["hung in IWMDRMLicense::GetLicense"]
    assert find(lines, "query end: ") == ["hung in IWMDRMLicense::GetLicense"]
    assert find(lines, "creation end: ") == ["all that could be called was called"]


def test_a_backup_that_never_ends(told: Report) -> None:
    lines = told("backup status 21 0", "backup wait-for-cancel", backup=True, seconds=2)
    assert find(lines, "backup END came: ") == ["no"]
    assert find(lines, "backup call IWMLicenseBackup::CancelLicenseBackup: 0x00000000")
    assert find(lines, "backup status 27: 0xC00D2768")


def test_an_empty_store(told: Report) -> None:
    lines = told()
    assert find(lines, "enumeration licenses: ") == ["0"]
    assert find(lines, "query note: ") == ["no key ID to ask with"]


def test_the_machine() -> None:
    known = dict(facts())
    assert known["WMVCore.dll"].startswith("version ")
    assert known["msnetobj.dll"]
    assert {"edition", "build", "bits", "code pages", "media feature"} <= set(known)
    assert known["console mode, standard output"]


def test_the_command_prints_what_it_writes(
    double: Double,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    double.script(*LICENSES)
    monkeypatch.setattr(reporting, "state_folder", lambda: str(tmp_path / "state"))
    monkeypatch.setenv("USERNAME", "somebody")
    path = tmp_path / "r.zip"
    assert main(["check", "--report", str(path), "--try-backup"]) == 0
    out = capsys.readouterr().out
    with zipfile.ZipFile(path) as archive:
        text = archive.read(report.TEXT).decode("ascii")
    assert all(line in out for line in text.splitlines())
    assert "backup END came: yes" in text
    assert "KID-" not in out
    assert list((tmp_path / "state" / "private").iterdir()) == []
    assert main(["check", "--report", str(path)]) == 1

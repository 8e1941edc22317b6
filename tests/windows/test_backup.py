from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import pathlib

import pytest

from tests.windows.harness import BEGIN, Double, Follower
from wmbackup.cli.render.next_steps import of_error, of_hresult
from wmbackup.errors import ExitCode, NotFound
from wmbackup.hresult import Category, HResult, InterfaceError, table
from wmbackup.status import Status, StatusEvent, WarningEvent
from wmbackup.stores.windows.following import Outcome, Patience
from wmbackup.stores.windows.interface import backup_into

FILES = ["drmv1key.bak", "drmv1lic.bak", "drmv2key.bak", "drmv2lic.bak"]
QUICK = Patience(tick=0.02, failure=0.1, url=0.2, cancel=0.5)

STATUSES = [
    "ERROR", "OPENED", "BUFFERING_START", "BUFFERING_STOP", "EOF", "END_OF_SEGMENT",
    "END_OF_STREAMING", "LOCATING", "CONNECTING", "NO_RIGHTS", "MISSING_CODEC", "STARTED",
    "STOPPED", "CLOSED", "STRIDING", "TIMER", "INDEX_PROGRESS", "SAVEAS_START", "SAVEAS_STOP",
    "NEW_SOURCEFLAGS", "NEW_METADATA", "BACKUPRESTORE_BEGIN", "SOURCE_SWITCH", "ACQUIRE_LICENSE",
    "INDIVIDUALIZE", "NEEDS_INDIVIDUALIZATION", "NO_RIGHTS_EX", "BACKUPRESTORE_END",
    "BACKUPRESTORE_CONNECTING", "BACKUPRESTORE_DISCONNECTING", "ERROR_WITHURL",
    "RESTRICTED_LICENSE", "CLIENT_CONNECT", "CLIENT_DISCONNECT", "NATIVE_OUTPUT_PROPS_CHANGED",
    "RECONNECT_START", "RECONNECT_END", "CLIENT_CONNECT_EX", "CLIENT_DISCONNECT_EX",
    "SET_FEC_SPAN", "PREROLL_READY", "PREROLL_COMPLETE", "CLIENT_PROPERTIES",
    "LICENSEURL_SIGNATURE_STATE", "INIT_PLAYLIST_BURN", "TRANSCRYPTOR_INIT",
    "TRANSCRYPTOR_SEEKED", "TRANSCRYPTOR_READ", "TRANSCRYPTOR_CLOSED", "PROXIMITY_RESULT",
    "PROXIMITY_COMPLETED", "CONTENT_ENABLER",
]  # fmt: skip


def test_a_backup(double: Double, follower: Follower) -> None:
    outcome = backup_into(str(double.folder), follower.control)
    assert outcome == Outcome()
    assert double.files() == FILES
    assert follower.events == [
        StatusEvent(Status.BACKUPRESTORE_BEGIN),
        StatusEvent(Status.BACKUPRESTORE_END),
    ]
    assert double.said("^backup object=.* flags=0$")


def test_what_it_writes_is_its_own_affair(double: Double) -> None:
    double.script("backup status 21 0", "backup file other.bin 70000", "backup status 27 0")
    backup_into(str(double.folder))
    assert double.files() == ["other.bin"]


def test_a_folder_with_any_name(double: Double, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "\u00dcml\u00e4ut and spaces \u65e5\u672c"
    folder.mkdir()
    backup_into(str(folder))
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert double.said("^destroyed")


def test_a_relative_folder_is_made_full(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(double.folder.parent)
    backup_into(double.folder.name)
    assert double.files() == FILES


def test_a_folder_that_is_not_there(double: Double) -> None:
    with pytest.raises(NotFound, match="no such folder"):
        backup_into(str(double.folder / "none"))
    assert double.log() == []


@pytest.mark.parametrize("when", ["", "exists-later"], ids=["at once", "later"])
def test_an_existing_backup_stays(double: Double, when: str) -> None:
    double.script(when)
    backup_into(str(double.folder))
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.hresult == 0xC00D2742
    assert sum(line.startswith("wrote") for line in double.log()) == len(FILES)


@pytest.mark.parametrize("when", ["", "exists-later"], ids=["at once", "later"])
def test_an_existing_backup_is_overwritten(double: Double, when: str) -> None:
    double.script(when)
    backup_into(str(double.folder))
    backup_into(str(double.folder), overwrite=True)
    assert double.said("^backup object=.* flags=1$")
    assert sum(line.startswith("wrote") for line in double.log()) == 2 * len(FILES)


def test_restricted_licenses_are_told_with_their_key_ids(
    double: Double, follower: Follower
) -> None:
    double.script(
        "backup status 21 0",
        "backup status 31 0 string {KID-1}",
        "backup status 31 0 string {KID-2}",
        "backup status 31 0",
        "backup status 27 0",
    )
    outcome = backup_into(str(double.folder), follower.control)
    assert outcome.restricted == ("{KID-1}", "{KID-2}", None)
    assert follower.events[1] == StatusEvent(Status.RESTRICTED_LICENSE, 0, "{KID-1}")


@pytest.mark.parametrize("number", range(52))
def test_every_status_has_its_number(double: Double, follower: Follower, number: int) -> None:
    double.script(f"backup status {number} 0", "backup status 27 0")
    if number == Status.ERROR_WITHURL:
        with pytest.raises(InterfaceError):
            backup_into(str(double.folder), follower.control)
    else:
        backup_into(str(double.folder), follower.control)
    event = follower.events[0]
    assert isinstance(event, StatusEvent)
    assert event.status.documented_name == f"WMT_{STATUSES[number]}"


def test_a_status_that_nobody_documented(double: Double, follower: Follower) -> None:
    double.script("backup status 4711 0", "backup status 27 0")
    assert backup_into(str(double.folder), follower.control) == Outcome()
    event = follower.events[0]
    assert isinstance(event, WarningEvent)
    assert event.code == "status-unknown"
    assert "4711" in event.message


@pytest.mark.parametrize("status", [0, BEGIN, 25])
def test_a_failed_status_is_not_taken_for_normal(
    double: Double, follower: Follower, status: int
) -> None:
    double.script(f"backup status {status} 0xC00D2712 string x", "backup status 27 0")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder), follower.control, patience=QUICK)
    assert caught.value.hresult == 0xC00D2712
    assert follower.events[0] == StatusEvent(Status(status), 0xC00D2712, "x")


def test_a_restricted_license_that_fails_does_not_cost_the_backup(
    double: Double, follower: Follower
) -> None:
    double.script(
        "backup status 21 0",
        "backup status 31 0xC00D2718 string {KID}",
        "backup file drmv2lic.bak 100",
        "backup status 27 0",
    )
    outcome = backup_into(str(double.folder), follower.control)
    assert outcome == Outcome(0, ("{KID}",))
    assert double.files() == ["drmv2lic.bak"]
    warnings = [event for event in follower.events if isinstance(event, WarningEvent)]
    assert [event.code for event in warnings] == ["restricted-failed"]
    assert "NS_E_DRM_INVALID_LICENSE" in warnings[0].message


@pytest.mark.parametrize("value", [0xC00D2718, 0xC00D2712])
def test_a_failed_end_counts_more_than_a_restricted_license(double: Double, value: int) -> None:
    double.script("backup status 31 0xC00D2717", f"backup status 27 0x{value:08X}")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.hresult == value


ROWS = [row for row in table().values() if row.failed and row.category is not Category.CANCELLED]
# All that are about backup and restore, and the first of each class.
FAILURES = {row.category: row for row in reversed(ROWS)} | {
    row.value: row for row in ROWS if "BACKUP" in row.name or "RESTORE" in row.name
}


@pytest.mark.parametrize("row", set(FAILURES.values()), ids=lambda row: row.name)
def test_every_hresult_becomes_our_error(double: Double, row: HResult) -> None:
    double.script("backup status 21 0", f"backup status 27 0x{row.value:08X}")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    error = caught.value
    assert (error.hresult, error.exit_code) == (row.value, row.category.exit_code or 1)
    assert row.name in error.message
    assert row.sentence in error.message
    assert of_error(error) == of_hresult(row)


@pytest.mark.parametrize(
    "step",
    ["create 0x80004001", "set-prop 0x80070005", "backup-call 0xC00D2735", "query 0x80004002"],
)
def test_a_failure_at_any_step(double: Double, step: str) -> None:
    double.script(step)
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.hresult == int(step.split()[1], 0)


def test_busy(double: Double) -> None:
    double.script("backup-call 0xC00D2744")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.exit_code is ExitCode.BUSY


@pytest.mark.parametrize("value", [0x000D1136, 0x000D27DE])
def test_a_success_that_says_more(double: Double, value: int) -> None:
    double.script("backup status 21 0", f"backup status 27 0x{value:08X}")
    assert backup_into(str(double.folder)).hresult == value


def test_three_hundred_in_a_row(double: Double) -> None:
    double.script("backup status 21 0", "backup status 27 0")
    for _ in range(300):
        assert backup_into(str(double.folder)) == Outcome()

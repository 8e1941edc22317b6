from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import pytest

from tests.windows.harness import Double, Follower
from tests.windows.test_backup import FILES, QUICK
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import ExitCode
from wmbackup.hresult import InterfaceError
from wmbackup.status import Status, StatusEvent
from wmbackup.stores.windows.following import Outcome
from wmbackup.stores.windows.interface import backup_into, restore_from

URL = "https://licenses.invalid/limit?a=b c"


def statuses(follower: Follower) -> list[Status]:
    return [event.status for event in follower.events if isinstance(event, StatusEvent)]


def test_a_restore(double: Double, follower: Follower) -> None:
    backup_into(str(double.folder))
    assert restore_from(str(double.folder), follower.control) == Outcome()
    assert statuses(follower) == [
        Status.BACKUPRESTORE_CONNECTING,
        Status.BACKUPRESTORE_DISCONNECTING,
        Status.BACKUPRESTORE_BEGIN,
        Status.BACKUPRESTORE_END,
    ]
    assert double.said("^restore object=.* flags=0$")
    assert sum("same=1" in line for line in double.log()) == len(FILES)


def test_a_damaged_backup(double: Double) -> None:
    backup_into(str(double.folder))
    with (double.folder / FILES[2]).open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder))
    assert (caught.value.hresult, caught.value.exit_code) == (0xC00D2743, ExitCode.DAMAGED)


def test_a_security_upgrade_takes_consent(double: Double, follower: Follower) -> None:
    double.script("needs-individualization")
    backup_into(str(double.folder))
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder), follower.control)
    assert caught.value.hresult == 0xC00D2728
    assert "--allow-individualize" in (of_error(caught.value) or "")
    assert follower.events[0] == StatusEvent(Status.NEEDS_INDIVIDUALIZATION, 0xC00D2728)


def test_a_security_upgrade_that_is_allowed(double: Double, follower: Follower) -> None:
    double.script("needs-individualization")
    backup_into(str(double.folder))
    restore_from(str(double.folder), follower.control, individualize=True)
    assert statuses(follower)[0] is Status.INDIVIDUALIZE
    assert double.said("^restore object=.* flags=2$")


@pytest.mark.parametrize(
    ("hresult", "reported"), [(0, 0xC00D1133), (0xC00D2753, 0xC00D2753)], ids=["fine", "failed"]
)
@pytest.mark.parametrize("end", ["restore status 27 0", ""], ids=["with END", "without END"])
def test_refused_with_the_address_of_a_page(
    double: Double, follower: Follower, hresult: int, reported: int, end: str
) -> None:
    double.script("restore status 28 0", f"restore status 30 0x{hresult:08X} string {URL}", end)
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder), follower.control, patience=QUICK)
    error = caught.value
    assert (error.url, error.hresult, error.exit_code) == (URL, reported, ExitCode.REFUSED)
    assert StatusEvent(Status.ERROR_WITHURL, hresult, URL) in follower.events


def test_the_hresult_of_end_explains_the_address(double: Double) -> None:
    double.script(f"restore status 30 0 string {URL}", "restore status 27 0xC00D2766")
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder))
    assert (caught.value.hresult, caught.value.url) == (0xC00D2766, URL)


def test_credentials_that_are_not_valid(double: Double, follower: Follower) -> None:
    double.script("restore status 28 0xC00D275E", "restore status 27 0xC00D275E")
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder), follower.control)
    assert caught.value.exit_code is ExitCode.REFUSED
    assert Status.BACKUPRESTORE_BEGIN not in statuses(follower)


@pytest.mark.parametrize("step", ["restore-call 0xC00D2762", "query 0x80004002"])
def test_a_failure_before_it_begins(double: Double, step: str) -> None:
    double.script(step)
    with pytest.raises(InterfaceError) as caught:
        restore_from(str(double.folder))
    assert caught.value.hresult == int(step.split()[1], 0)

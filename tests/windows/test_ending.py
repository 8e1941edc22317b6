from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import _thread
import ctypes
import threading
import time
from collections.abc import Callable

import pytest

from tests.windows.harness import CANCELED, Double, Follower
from tests.windows.system import apartment_kind
from tests.windows.test_backup import QUICK
from wmbackup.errors import Cancelled, ExitCode, TimedOut
from wmbackup.hresult import InterfaceCrashed, InterfaceError
from wmbackup.status import Control, Event, Status, StatusEvent, WarningEvent
from wmbackup.stores.windows import callback, interface
from wmbackup.stores.windows.following import Outcome, Patience
from wmbackup.stores.windows.interface import backup_into, restore_from
from wmbackup.stores.windows.wmsdkidl import IWMLicenseBackup

Run = Callable[..., Outcome]
BOTH = pytest.mark.parametrize(
    ("run", "name"), [(backup_into, "backup"), (restore_from, "restore")], ids=["backup", "restore"]
)


def soon(action: Callable[[], object], double: Double, pattern: str) -> threading.Thread:
    """Do something on another thread once the log says so."""

    def work() -> None:
        double.wait_for(pattern)
        action()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def release_what_was_left_alone(double: Double, threads: int = 1) -> None:
    """Wait until it has come to its senses; the process of a user ends before that."""
    double.wait_for("^thread-over", count=threads)
    left = interface._left_alone
    assert len(left) == 1
    left.pop().close()


def test_a_failure_is_the_end_where_no_end_follows(double: Double) -> None:
    double.script("backup status 21 0", "backup status 0 0xC00D272D")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.hresult == 0xC00D272D


def test_a_failure_while_the_interface_goes_on(double: Double) -> None:
    double.script("backup status 0 0xC00D272D", "backup sleep 60000", "backup status 27 0")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder), patience=Patience(failure=0.1))
    assert caught.value.hresult == 0xC00D272D
    assert double.said("^cancel object=.* running=1$"), "it was told to stop"


def test_the_first_failure_is_the_reason(double: Double) -> None:
    double.script("backup status 0 0xC00D2754", "backup status 27 0x80004005")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder))
    assert caught.value.hresult == 0xC00D2754


def test_an_address_waits_for_its_end(double: Double, follower: Follower) -> None:
    double.script("backup status 30 0 string u", "backup sleep 300", "backup status 27 0xC00D2766")
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder), follower.control, patience=Patience(failure=0.05))
    assert caught.value.hresult == 0xC00D2766
    assert not double.said("^cancel")


def test_an_address_does_not_wait_for_ever(double: Double) -> None:
    double.script("backup status 30 0 string u", "backup wait-for-cancel")
    began = time.monotonic()
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder), patience=QUICK)
    assert caught.value.url == "u"
    assert time.monotonic() - began >= 0.2
    assert double.said("^cancel object=.* running=1$")


@BOTH
def test_the_time_is_over(double: Double, run: Run, name: str) -> None:
    double.script(f"{name} status 21 0", f"{name} wait-for-cancel")
    with pytest.raises(TimedOut, match="the time is over"):
        run(str(double.folder), timeout=0.2, patience=QUICK)
    assert double.said("^cancel object=.* running=1$")
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$")


@BOTH
def test_without_an_end_and_without_a_failure_the_wait_is_over(
    double: Double, run: Run, name: str
) -> None:
    double.script(f"{name} status 21 0", f"{name} wait-for-cancel")
    with pytest.raises(TimedOut, match="the interface has not got on"):
        run(str(double.folder), patience=Patience(tick=0.02, silence=0.5, look=0.05))
    assert double.said("^cancel object=.* running=1$")
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$"), "it was waited for"


def test_files_that_grow_are_progress(double: Double) -> None:
    writes = [
        line
        for size in range(1, 41)
        for line in ("backup sleep 100", f"backup file drmv2lic.bak {size}")
    ]
    double.script("backup status 21 0", *writes, "backup status 27 0")
    patience = Patience(tick=0.02, silence=3, look=0.05)  # of 4 seconds and more
    assert backup_into(str(double.folder), patience=patience) == Outcome()


def test_slow_is_not_late(double: Double) -> None:
    double.script("backup status 21 0", "backup sleep 400", "backup status 27 0")
    assert backup_into(str(double.folder), timeout=30) == Outcome()


@BOTH
def test_cancel_from_another_thread(
    double: Double, follower: Follower, run: Run, name: str
) -> None:
    double.script(f"{name} status 21 0", f"{name} wait-for-cancel")
    thread = soon(lambda: setattr(follower, "stop", True), double, "^status .* status=21 ")
    with pytest.raises(Cancelled) as caught:
        run(str(double.folder), follower.control)
    thread.join()
    assert caught.value.hresult == CANCELED
    assert follower.events[-1] == StatusEvent(Status.BACKUPRESTORE_END, CANCELED)
    assert sum(line.startswith("cancel") for line in double.log()) == 1


def test_cancel_from_the_callback(double: Double) -> None:
    double.script("backup status 21 0", "backup wait-for-cancel")
    heard: list[Event] = []
    control = Control(notify=heard.append, cancelled=lambda: bool(heard))
    with pytest.raises(Cancelled):
        backup_into(str(double.folder), control)
    assert len(heard) == 2


@BOTH
def test_ctrl_c(double: Double, run: Run, name: str) -> None:
    double.script(f"{name} status 21 0", f"{name} wait-for-cancel")
    thread = soon(_thread.interrupt_main, double, "^status .* status=21 ")
    with pytest.raises(KeyboardInterrupt):
        run(str(double.folder))
    thread.join()
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$"), "it was waited for"


def test_a_second_ctrl_c_does_not_wait(double: Double) -> None:
    double.script("backup status 21 0", "backup deaf 3000")
    threads = [
        soon(_thread.interrupt_main, double, "^status .* status=21 "),
        soon(_thread.interrupt_main, double, "^cancel "),
    ]
    with pytest.raises(KeyboardInterrupt):
        backup_into(str(double.folder), patience=Patience(cancel=60))
    for thread in threads:
        thread.join()
    release_what_was_left_alone(double)


def test_a_caller_that_raises(double: Double) -> None:
    double.script("backup status 21 0", "backup wait-for-cancel")

    def notify(_event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backup_into(str(double.folder), Control(notify=notify))
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$")


def test_a_caller_that_raises_at_the_end(double: Double) -> None:
    def notify(event: Event) -> None:
        if isinstance(event, StatusEvent) and event.status is Status.BACKUPRESTORE_END:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        backup_into(str(double.folder), Control(notify=notify))
    assert not double.said("^cancel"), "there is nothing left to stop"


def test_statuses_after_a_cancel(double: Double, follower: Follower) -> None:
    double.script(
        "backup status 21 0",
        "backup wait-for-cancel",
        "backup-cancel status 31 0 string between",
        f"backup-cancel status 27 {CANCELED}",
        "backup-cancel sleep 100",
        "backup-cancel status 31 0 string late",
        "backup-cancel status 27 0",
    )
    follower.stop = True
    with pytest.raises(Cancelled):
        backup_into(str(double.folder), follower.control)
    double.wait_for("^thread-over")
    values = [event.value for event in follower.events if isinstance(event, StatusEvent)]
    assert "between" in values
    assert "late" not in values


def test_slow_to_notice_a_cancel(double: Double, follower: Follower) -> None:
    double.script("backup status 21 0", "backup deaf 500")
    follower.stop = True
    with pytest.raises(Cancelled):
        backup_into(str(double.folder), follower.control)
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$")


def test_a_cancel_that_ends_otherwise(double: Double, follower: Follower) -> None:
    double.script("backup wait-for-cancel", "backup-cancel status 27 0xC00D2712")
    follower.stop = True
    with pytest.raises(InterfaceError) as caught:
        backup_into(str(double.folder), follower.control)
    assert caught.value.hresult == 0xC00D2712


def test_a_cancel_that_is_refused(double: Double, follower: Follower) -> None:
    double.script("cancel-call 0x80004001", "backup sleep 300", "backup status 27 0")
    follower.stop = True
    assert backup_into(str(double.folder), follower.control) == Outcome()
    assert double.said("^cancel object=.* running=1$")


def test_ctrl_c_while_it_begins(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    double.script("backup status 21 0", "backup wait-for-cancel")
    declared = IWMLicenseBackup.BackupLicenses

    def interrupted(backup: IWMLicenseBackup) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            declared.__get__(backup, IWMLicenseBackup)(*arguments)
            raise KeyboardInterrupt

        return call

    monkeypatch.setattr(IWMLicenseBackup, "BackupLicenses", property(interrupted))
    with pytest.raises(KeyboardInterrupt):
        backup_into(str(double.folder))
    assert double.said(f"^status .* status=27 hr=0x{CANCELED:08X}$")


def test_done_before_it_could_be_canceled(double: Double, follower: Follower) -> None:
    double.script("restore wait-for-cancel", "restore-cancel status 27 0")
    follower.stop = True
    assert restore_from(str(double.folder), follower.control) == Outcome()


def test_canceled_by_somebody_else(double: Double) -> None:
    double.script("backup status 21 0", f"backup status 27 {CANCELED}")
    with pytest.raises(Cancelled):
        backup_into(str(double.folder))


def test_what_hangs_is_left_alone(double: Double) -> None:
    double.script("backup status 21 0", "backup deaf 1500")
    with pytest.raises(TimedOut):
        backup_into(str(double.folder), timeout=0.2, patience=QUICK)
    assert double.said("^cancel object=.* running=1$")
    # Releasing it might wait for the thread that hangs; so might leaving the apartment.
    assert not double.said("IWMLicenseBackup::Release")
    assert apartment_kind() is not None
    release_what_was_left_alone(double)


def test_while_one_hangs_the_next_one_works(double: Double) -> None:
    double.script("backup status 21 0", "backup deaf 1500")
    with pytest.raises(TimedOut):
        backup_into(str(double.folder), timeout=0.1, patience=QUICK)
    double.script()
    assert backup_into(str(double.folder)) == Outcome()
    release_what_was_left_alone(double, threads=2)


@pytest.mark.parametrize(
    "method",
    [
        "WMCreateBackupRestorer",
        "IWMBackupRestoreProps::SetProp",
        "BackupLicenses",
        "QueryInterface",
    ],
)
def test_a_crash_in_a_call_is_reported_and_names_the_call(double: Double, method: str) -> None:
    double.script(f"break {method} here")
    with pytest.raises(InterfaceCrashed, match="access violation") as caught:
        backup_into(str(double.folder), patience=QUICK)
    assert method in caught.value.call
    assert caught.value.exit_code is ExitCode.FAILED
    double.forget()


def test_a_crash_after_the_end_does_not_cost_the_backup(double: Double, follower: Follower) -> None:
    double.script("break IWMLicenseBackup::Release here")
    assert backup_into(str(double.folder), follower.control) == Outcome()
    warnings = [event for event in follower.events if isinstance(event, WarningEvent)]
    assert [event.code for event in warnings] == ["interface-crashed"]
    assert "IWMLicenseBackup::Release" in warnings[0].message
    assert len(double.files()) == 4
    callback._ALIVE.clear()  # the object that could not be released holds on to it
    double.forget()


def test_an_address_where_nothing_is_is_no_value() -> None:
    for kind in range(7):
        assert callback.read_value(kind, 8) is None
    buffer = ctypes.create_unicode_buffer("x" * 5000)
    assert callback.read_value(1, ctypes.addressof(buffer)) == "x" * 5000

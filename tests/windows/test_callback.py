from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import gc
import threading
import uuid
import weakref

import pytest

from tests.windows.harness import BEGIN, END, Double
from tests.windows.low_level import Session, session
from wmbackup.stores.windows.callback import StatusCallback, Value
from wmbackup.stores.windows.com import IID_UNKNOWN, Apartment, Interface, guid
from wmbackup.stores.windows.wmsdkidl import create_backup_restorer

KID = "{12345678-9ABC-DEF0-0102-030405060708}"


def nothing(_status: int, _hresult: int, _value: Value) -> None:
    pass


def test_it_is_counted() -> None:
    callback = StatusCallback(nothing)
    mirror = weakref.ref(callback)
    again = Interface(callback.pointer).query(Interface)  # as another component would hold it
    assert callback.references == 2
    callback.release()
    assert callback.references == 1
    del callback
    gc.collect()
    assert mirror() is not None, "somebody holds it still"
    again.release()
    gc.collect()
    assert mirror() is None


def test_it_answers_to_its_own_interfaces_alone() -> None:
    class Other(Interface):
        iid = guid(str(uuid.uuid4()))

    callback = StatusCallback(nothing)
    as_unknown = Interface(callback.pointer)
    with as_unknown.query(Interface) as unknown:
        assert unknown.pointer.value == callback.pointer.value
    with pytest.raises(Exception, match="0x80004002"):
        as_unknown.query(Other)
    assert callback.references == 1
    callback.release()
    assert bytes(IID_UNKNOWN) == bytes.fromhex("00000000 0000 0000 c000 000000000046")


def test_an_exception_stays_inside(double: Double) -> None:
    double.script("backup status 21 0", "backup status 31 0 string x", "backup status 27 0")

    def react(_one: Session, status: int) -> None:
        raise ValueError(status)

    with session(react) as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(0, one.callback.pointer)
        one.wait_for(END)
        double.wait_for("^thread-over")
    assert [seen.status for seen in one.seen] == [BEGIN, 31, END]
    assert isinstance(one.callback.error, ValueError)
    assert one.callback.error.args == (BEGIN,)


def test_a_late_status_and_a_late_release(double: Double) -> None:
    double.script(
        "backup status 27 0",
        "backup sleep 300",
        "backup status 31 0 string late",
        "backup sleep 50",
    )
    with session() as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(0, one.callback.pointer)
        one.wait_for(END)
    callback = one.callback
    assert callback.references == 1  # the thread's
    double.wait_for("^thread-over")
    assert callback.references == 0
    assert [seen.status for seen in one.seen] == [END, 31]


def test_nobody_is_left_to_hear_a_late_status(double: Double) -> None:
    double.script("backup status 27 0", "backup sleep 300", "backup status 31 0 string late")
    heard = []
    with Apartment():
        callback = StatusCallback(lambda *said: heard.append(said))
        with create_backup_restorer(callback.pointer) as backup:
            one = Session(backup, callback)
            one.set_paths(double.folder)
            backup.BackupLicenses(0, callback.pointer)
            double.wait_for("^status .* status=27 ")
        callback.release()
        del callback, one
        gc.collect()
    double.wait_for("^thread-over")
    assert [said[0] for said in heard] == [END, 31]


VALUES = [
    ("string {KID one}", "{KID one}"),
    ("string \u00fcml\u00e4ut \U0001f3b5", "\u00fcml\u00e4ut \U0001f3b5"),
    ("string NULL", None),
    ("guid 78563412bc9af0de0102030405060708", KID),
    ("dword 4000000000", 4000000000),
    ("qword 0x8000000000000000", 2**63),
    ("word 65535", 65535),
    ("bool 1", 1),
    ("binary 00112233", None),
    ("", None),
]


@pytest.mark.parametrize(("written", "read"), VALUES, ids=[row[0][:6] for row in VALUES])
def test_what_comes_along(double: Double, written: str, read: Value) -> None:
    # The double overwrites each value as soon as the callback returns.
    double.script(f"backup status 31 0 {written}", "backup status 27 0")
    with session() as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(0, one.callback.pointer)
        assert one.wait_for(31).value == read
        one.wait_for(END)
    assert one.callback.error is None


def test_statuses_may_go_to_the_callback_of_the_object(double: Double) -> None:
    double.script("via-create")
    with session() as one:
        one.set_paths(double.folder)
        other = StatusCallback(nothing)
        one.backup.BackupLicenses(0, other.pointer)
        other.release()
        one.wait_for(END)
        double.wait_for("^thread-over")
    assert [seen.status for seen in one.seen] == [BEGIN, END]


def test_eight_threads_at_once(double: Double) -> None:
    double.script(
        "backup status 21 0", "backup sleep 5", "backup status 31 0 string x", "backup status 27 0"
    )
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                with session() as one:
                    one.set_paths(double.folder)
                    one.backup.BackupLicenses(0, one.callback.pointer)
                    one.wait_for(END)
                assert [seen.status for seen in one.seen] == [BEGIN, 31, END]
        except BaseException as error:  # noqa: BLE001 (it belongs to the test's thread)
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []

from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes
from collections.abc import Callable, Iterator
from ctypes import c_void_p

import pytest

from tests.windows.harness import Double
from tests.windows.low_level import answer_of
from wmbackup.errors import WmbackupError
from wmbackup.hresult import InterfaceError
from wmbackup.stores.windows.com import DWORD, Apartment, Bstr, Interface, take_bytes
from wmbackup.stores.windows.wmdrmsdk import (
    BACKUP_ACTION,
    BACKUP_ALLOWED,
    ERROR_NO_MORE_ITEMS,
    PROPERTIES,
    BackupRestoreStatus,
    EventType,
    IMFMediaEvent,
    IWMDRMEventGenerator,
    IWMDRMLicense,
    IWMDRMLicenseBackupRestoreStatus,
    IWMDRMLicenseManagement,
    IWMDRMLicenseQuery,
    IWMDRMProvider,
    LicenseFilter,
    LicenseStateData,
    MsdrmStatus,
    PropVariant,
    provider,
)

IIDS = {
    IWMDRMProvider: "1789 dc98 4086 1d4b 9f1e a590d40357ee",
    IWMDRMEventGenerator: "91cc 11ce 15e6 0b4e be1f 09b5aec033f2",
    IWMDRMLicenseManagement: "c78d 82f4 4589 054d ab05 667ab99d29ee",
    IWMDRMLicense: "f3a5 e0c9 22dd c44d b795 88fa91f0516b",
    IWMDRMLicenseQuery: "df70 b920 580a 3c4d 817c 4e3ccbb253ac",
    IWMDRMLicenseBackupRestoreStatus: "a2c5 53f6 b30e 0345 9d88 c200552d0d55",
}


@pytest.fixture
def source(double: Double) -> Iterator[IWMDRMProvider]:
    double.script("license xml KID-1 LID-1", "license xmr KID-2 LID-2", "license xml KID-3 LID-3")
    with Apartment(), provider() as one:
        yield one


@pytest.fixture
def management(source: IWMDRMProvider) -> Iterator[IWMDRMLicenseManagement]:
    with source.create(IWMDRMLicenseManagement) as one:
        yield one


def last_call(double: Double) -> str:
    return [line.split()[2] for line in double.log() if line.startswith("call object")][-1]


@pytest.mark.parametrize("interface", IIDS, ids=lambda one: one.__name__)
def test_iid(interface: type[Interface]) -> None:
    assert bytes(interface.iid) == bytes.fromhex(IIDS[interface])


def test_start_and_shutdown(double: Double) -> None:
    with Apartment(), provider():
        assert double.said("^started count=1$")
        assert not double.said("^stopped")
    assert double.said("^stopped count=0$")


@pytest.mark.parametrize("step", ["startup", "provider"])
def test_a_failure_to_start(double: Double, step: str) -> None:
    double.script(f"{step} 0xC00D2785")
    with Apartment(), pytest.raises(InterfaceError) as caught, provider():
        pass
    assert caught.value.hresult == 0xC00D2785


def test_a_failure_to_make_an_object(double: Double) -> None:
    double.script("create-object 0x80040154")
    with Apartment(), provider() as one, pytest.raises(InterfaceError) as caught:
        one.create(IWMDRMLicenseManagement)
    assert caught.value.hresult == 0x80040154


def test_every_interface_is_found(source: IWMDRMProvider, double: Double) -> None:
    with (
        source.create(IWMDRMLicenseManagement) as management,
        source.create(IWMDRMLicenseQuery),
        source.query(IWMDRMProvider),
        management.query(IWMDRMEventGenerator),
        management.query(IWMDRMLicenseManagement),
        management.enumeration() as licenses,
        licenses.query(IWMDRMLicense),
    ):
        assert not double.said("^no-interface")


VT_UNKNOWN = 13
NO_EVENTS = 0xC00D3E80
INVALID = 0x80070057
MANAGEMENT = [
    ("GetEvent", lambda place, _text: (7, place), NO_EVENTS),
    ("CancelAsyncOperation", lambda _place, _text: (None,), INVALID),
    ("Shutdown", lambda _place, _text: (), 0),
    ("CreateLicenseEnumeration", lambda place, _text: (LicenseFilter(), place), 0),
    ("BackupLicenses", lambda place, text: (text, 1, place), 0),
    ("RestoreLicenses", lambda place, text: (text, 2, place), 0),
]


@pytest.mark.parametrize(
    ("method", "arguments", "answer"), MANAGEMENT, ids=[row[0] for row in MANAGEMENT]
)
def test_slots_of_the_management(
    management: IWMDRMLicenseManagement,
    double: Double,
    method: str,
    arguments: Callable[[object, int], tuple[object, ...]],
    answer: int,
) -> None:
    made = c_void_p()
    with Bstr("C:\\folder") as text:
        result = answer_of(management, method, *arguments(ctypes.byref(made), text))
    assert last_call(double) == f"IWMDRMLicenseManagement::{method}"
    assert result == answer
    if made.value is not None:
        Interface(made).release()


def test_get_event_passes_its_flags(management: IWMDRMLicenseManagement, double: Double) -> None:
    assert answer_of(management, "GetEvent", 7, ctypes.byref(c_void_p())) == NO_EVENTS
    assert double.said("^get-event flags=7$")


@pytest.mark.parametrize(
    ("method", "flags", "expected"),
    [
        ("BackupLicenses", 1, [EventType.BACKUP_PROGRESS, EventType.BACKUP_COMPLETED]),
        ("RestoreLicenses", 2, [EventType.RESTORE_PROGRESS, EventType.RESTORE_COMPLETED]),
    ],
)
def test_events_and_the_cookie(
    management: IWMDRMLicenseManagement,
    double: Double,
    method: str,
    flags: int,
    expected: list[EventType],
) -> None:
    cookie = c_void_p()
    with Bstr("C:\\folder") as text:
        getattr(management, method)(text, flags, ctypes.byref(cookie))
    numbers = []
    with Interface(cookie) as one:
        for _ in expected:
            event, number = c_void_p(), DWORD()
            management.GetEvent(0, ctypes.byref(event))
            value = PropVariant()
            with IMFMediaEvent(event) as said:
                said.GetType(ctypes.byref(number))
                said.GetValue(ctypes.byref(value))
            numbers.append(number.value)
            if value.vt == VT_UNKNOWN:
                check_status(Interface(c_void_p(value.value)))
        management.CancelAsyncOperation(one.pointer)
        assert double.said("^cancel-async cookie=[1-9]")
        with one.query(IWMDRMLicenseBackupRestoreStatus) as status:
            status.GetStatus(ctypes.byref(BackupRestoreStatus()))
    assert numbers == expected


def check_status(progress: Interface) -> None:
    status = BackupRestoreStatus()
    with progress, progress.query(IWMDRMLicenseBackupRestoreStatus) as one:
        one.GetStatus(ctypes.byref(status))
    assert status.eStatus == MsdrmStatus.BEGIN
    assert ctypes.wstring_at(status.bstrError) == "none"
    ctypes.WinDLL("oleaut32").SysFreeString(c_void_p(status.bstrError))


def test_numbers() -> None:
    names = ["ERROR", "INFORMATION", "BEGIN", "END", "CONNECTING", "DISCONNECTING"]
    names += ["ERROR_WITHURL", "RESTRICTED_LICENSE", "NEEDS_INDIVIDUALIZATION"]
    names += ["PLAY_OPL_NOTIFICATION", "COPY_OPL_NOTIFICATION", "REFRESHCRL_COMPLETE"]
    assert [(one.name, one.value) for one in MsdrmStatus] == [
        (name, number) for number, name in enumerate(names)
    ]
    assert [(one.name, one.value) for one in EventType] == [
        ("BACKUP_COMPLETED", 500),
        ("BACKUP_PROGRESS", 501),
        ("RESTORE_COMPLETED", 502),
        ("RESTORE_PROGRESS", 503),
    ]
    assert BACKUP_ACTION == "LicenseStateData.Backup"
    assert BACKUP_ALLOWED == "ActionAllowed.Backup"
    assert ERROR_NO_MORE_ITEMS == 259


def test_the_filter_lies_in_memory_as_declared(
    management: IWMDRMLicenseManagement, double: Double
) -> None:
    made = c_void_p()
    with Bstr("KID-3") as kid, Bstr("Play") as right, Bstr("*") as sources:
        asked = LicenseFilter(77, kid, right, sources)
        management.CreateLicenseEnumeration(asked, ctypes.byref(made))
    assert double.said("^filter version=77 kid=1 rights=1 sources=1$")
    with IWMDRMLicense(made) as licenses:
        assert b"<KID>KID-3</KID>" in read(licenses)[1]
        assert not licenses.next()


def read(licenses: IWMDRMLicense) -> tuple[int, bytes]:
    address, size, kind = c_void_p(), DWORD(), DWORD()
    licenses.GetLicense(ctypes.byref(address), ctypes.byref(size), ctypes.byref(kind))
    data = take_bytes(address.value, size.value)
    assert data is not None
    return kind.value, data


def test_an_enumeration(management: IWMDRMLicenseManagement, double: Double) -> None:
    with management.enumeration() as licenses:
        found = [read(licenses)]  # the first one is loaded from the beginning
        while licenses.next():
            found.append(read(licenses))
        licenses.ResetEnumeration()
        assert last_call(double) == "IWMDRMLicense::ResetEnumeration"
        assert read(licenses) == found[0]
    assert [kind for kind, _ in found] == [1, 2, 1]
    assert found[1][1] == b"XMR\0synthetic, opaque"
    assert double.said("^filter version=0 kid=0 rights=0 sources=0$")


@pytest.mark.parametrize("end", ["259", "0x80070103"])
def test_both_ends_of_an_enumeration(double: Double, end: str) -> None:
    double.script(f"no-more {end}", "license xml KID LID")
    with (
        Apartment(),
        provider() as source,
        source.create(IWMDRMLicenseManagement) as management,
        management.enumeration() as licenses,
    ):
        assert not licenses.next()  # the only one is loaded from the beginning


def test_an_enumeration_that_fails(double: Double) -> None:
    double.script("get-next 0x80070005")
    with (
        Apartment(),
        provider() as source,
        source.create(IWMDRMLicenseManagement) as management,
        management.enumeration() as licenses,
        pytest.raises(WmbackupError, match="E_ACCESSDENIED"),
    ):
        licenses.next()


def test_a_property(management: IWMDRMLicenseManagement, double: Double) -> None:
    with management.enumeration() as licenses:
        for text in PROPERTIES:
            value = PropVariant()
            with Bstr(text) as name:
                licenses.GetLicenseProperty(name, ctypes.byref(value))
            assert double.said(f"^property {text}$")
            assert (value.vt, value.value) == (19, len("KID-1"))
    assert ctypes.sizeof(PropVariant) == (24 if ctypes.sizeof(c_void_p) == 8 else 16)


def test_what_is_allowed(double: Double) -> None:
    double.script("license xml KID LID", "right Play 1", "right Backup 0")
    results = (DWORD * 2)()
    with (
        Apartment(),
        provider() as source,
        source.create(IWMDRMLicenseQuery) as query,
        Bstr("KID") as kid,
        Bstr("ActionAllowed.Play") as play,
        Bstr(BACKUP_ALLOWED) as backup,
    ):
        query.QueryActionAllowed(kid, None, 2, (c_void_p * 2)(play, backup), results)
    assert double.said("IWMDRMLicenseQuery::QueryActionAllowed")
    assert [bool(one) for one in results] == [False, True]


def test_the_state_lies_in_memory_as_declared(double: Double) -> None:
    double.script(
        "license xml KID LID",
        "right Backup 8 count 1 count 2 count 3 date 0x0123456789ABCDEF date 2 vague",
        "right Play 1",
    )
    data = (LicenseStateData * 2)()
    with (
        Apartment(),
        provider() as source,
        source.create(IWMDRMLicenseManagement) as management,
        management.enumeration(),
        source.create(IWMDRMLicenseQuery) as query,
        Bstr("KID") as kid,
        Bstr(BACKUP_ACTION) as backup,
        Bstr("LicenseStateData.Play") as play,
    ):
        query.QueryLicenseState(kid, 2, (c_void_p * 2)(backup, play), data)
    one, two = data
    assert last_call(double) == "IWMDRMProvider::Release"
    assert double.said("IWMDRMLicenseQuery::QueryLicenseState")
    assert ctypes.sizeof(LicenseStateData) == 68
    assert (one.dwStreamId, one.dwCategory, one.dwNumCounts) == (0, 8, 3)
    assert (list(one.dwCount), one.dwNumDates) == ([1, 2, 3, 0], 2)
    assert (one.datetime[0].low, one.datetime[0].high) == (0x89ABCDEF, 0x01234567)
    assert (one.datetime[1].low, one.dwVague, two.dwCategory) == (2, 1, 1)

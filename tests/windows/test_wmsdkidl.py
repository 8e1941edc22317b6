from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes
import pathlib
import threading

import pytest

from tests.windows.harness import BEGIN, END, Double
from tests.windows.low_level import answer_of, session
from wmbackup.errors import UsageError
from wmbackup.hresult import InterfaceError
from wmbackup.stores.windows.com import Apartment, Interface
from wmbackup.stores.windows.wmsdkidl import (
    IID_STATUS_CALLBACK,
    BackupFlags,
    DataType,
    IWMBackupRestoreProps,
    IWMLicenseBackup,
    IWMLicenseRestore,
    RestoreFlags,
    create_backup_restorer,
)

E_INVALIDARG = 0x80070057
E_NOTIMPL = 0x80004001

IIDS = {
    IWMLicenseBackup: "9fac e505 b63f 0845 bb43 a406 7ba1 ebe8",
    IWMLicenseRestore: "3463 0bc7 2ea2 fb4e a245 15e6 5a00 4a13",
    IWMBackupRestoreProps: "a60d 8e3c 6f99 f34f a1af 4838 f937 7e2e",
}

METHODS = [
    (IWMLicenseBackup, "BackupLicenses", (0, None), E_INVALIDARG),
    (IWMLicenseBackup, "CancelLicenseBackup", (), 0),
    (IWMLicenseRestore, "RestoreLicenses", (0, None), E_INVALIDARG),
    (IWMLicenseRestore, "CancelLicenseRestore", (), 0),
    (IWMBackupRestoreProps, "GetPropCount", (None,), E_NOTIMPL),
    (IWMBackupRestoreProps, "GetPropByIndex", (0, None, None, None, None, None), E_NOTIMPL),
    (IWMBackupRestoreProps, "GetPropByName", ("BackupPath", None, None, None), E_NOTIMPL),
    (IWMBackupRestoreProps, "SetProp", ("BackupPath", 0, b"\0\0\0\0", 4), E_INVALIDARG),
    (IWMBackupRestoreProps, "RemoveProp", ("BackupPath",), 0),
    (IWMBackupRestoreProps, "RemoveAllProps", (), 0),
]


@pytest.mark.parametrize("interface", IIDS)
def test_iid(double: Double, interface: type[Interface]) -> None:
    assert bytes(interface.iid) == bytes.fromhex(IIDS[interface])
    with session() as one, one.backup.query(interface):
        pass
    assert double.said("^destroyed")


def test_iid_of_the_callback() -> None:
    expected = bytes.fromhex("70dc7c6d 8898 d311 8edc 00c04f6109cf")
    assert bytes(IID_STATUS_CALLBACK) == expected


@pytest.mark.parametrize(
    ("interface", "method", "arguments", "answer"), METHODS, ids=[row[1] for row in METHODS]
)
def test_slot(
    double: Double,
    interface: type[Interface],
    method: str,
    arguments: tuple[object, ...],
    answer: int,
) -> None:
    with session() as one, one.backup.query(interface) as asked:
        before = len(double.log())
        result = answer_of(asked, method, *arguments)
        called = [line.split()[2] for line in double.log()[before:] if line.startswith("call")]
    assert called == [f"{interface.__name__}::{method}"]
    assert result == answer


def test_create_without_a_callback(double: Double) -> None:
    with Apartment(), pytest.raises(InterfaceError) as caught:
        create_backup_restorer(None)
    assert caught.value.hresult == E_INVALIDARG
    assert double.said("^call WMCreateBackupRestorer")


@pytest.mark.parametrize("kind", [kind for kind in DataType if kind is not DataType.STRING])
def test_a_property_that_is_no_string(double: Double, kind: DataType) -> None:
    with (
        session() as one,
        one.backup.query(IWMBackupRestoreProps) as props,
        pytest.raises(InterfaceError) as caught,
    ):
        props.SetProp("BackupPath", kind, b"C\0:\0\\\0\0\0", 8)
    assert caught.value.hresult == E_INVALIDARG
    assert double.said(f"^set-prop object=.* type={int(kind)} ")


@pytest.mark.parametrize("name", ["BackupPath", "RestorePath"])
def test_a_path_is_utf_16_with_its_nul_counted(double: Double, name: str) -> None:
    path = "C:\\M\u00fcsic \U0001f3b5"  # 8 and a pair of surrogates
    with session() as one, one.backup.query(IWMBackupRestoreProps) as props:
        props.set_path(name, path)
    assert double.said(f"^set-prop object=.* type=1 length={2 * (len(path) + 2)} {name}$")


@pytest.mark.parametrize("path", ["C:\\a\0b", "C:\\" + "x" * 32765])
def test_a_path_that_no_property_holds(double: Double, path: str) -> None:
    with (
        session() as one,
        one.backup.query(IWMBackupRestoreProps) as props,
        pytest.raises(UsageError),
    ):
        props.set_path("BackupPath", path)
    assert not double.said("^set-prop")


def test_the_longest_path(double: Double) -> None:
    with session() as one, one.backup.query(IWMBackupRestoreProps) as props:
        props.set_path("BackupPath", "C:\\" + "x" * 32763)
    assert double.said("^set-prop object=.* length=65534 ")


def test_a_removed_path_is_gone(double: Double) -> None:
    with session() as one:
        one.set_paths(double.folder)
        with one.backup.query(IWMBackupRestoreProps) as props:
            props.RemoveProp("RestorePath")
            props.RemoveAllProps()
    assert double.said("^remove-prop object=.* RestorePath$")
    assert double.said("^remove-all-props")


def test_calls_are_asynchronous(double: Double) -> None:
    double.script("backup sleep 100", "backup status 21 0", "backup status 27 0")
    with session() as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(BackupFlags.NONE, one.callback.pointer)
        assert one.seen == []
        one.wait_for(END)
    assert [seen.status for seen in one.seen] == [BEGIN, END]
    assert threading.get_ident() not in {seen.thread for seen in one.seen}


def test_the_flags_are_the_documented_bits(double: Double) -> None:
    assert (BackupFlags.OVERWRITE, RestoreFlags.INDIVIDUALIZE) == (1, 2)
    with session() as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(BackupFlags.OVERWRITE, one.callback.pointer)
        one.wait_for(END)
        one.seen.clear()
        with one.backup.query(IWMLicenseRestore) as restore:
            restore.RestoreLicenses(RestoreFlags.INDIVIDUALIZE, one.callback.pointer)
            one.wait_for(END)
    assert double.said("^backup object=.* flags=1$")
    assert double.said("^restore object=.* flags=2$")


def test_a_second_operation_is_busy(double: Double) -> None:
    double.script("backup wait-for-cancel")
    with session() as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(0, one.callback.pointer)
        with pytest.raises(InterfaceError) as caught:
            one.backup.BackupLicenses(0, one.callback.pointer)
        one.backup.CancelLicenseBackup()
        assert one.wait_for(END).hresult == 0xC00D2768
    assert caught.value.hresult == 0xC00D2744


def test_cancel_from_inside_the_callback(double: Double) -> None:
    double.script("backup status 21 0", "backup wait-for-cancel")
    with session(lambda one, status: status == BEGIN and one.backup.CancelLicenseBackup()) as one:
        one.set_paths(double.folder)
        one.backup.BackupLicenses(0, one.callback.pointer)
        assert one.wait_for(END).hresult == 0xC00D2768
    assert one.callback.error is None


def test_cancel_a_restore(double: Double) -> None:
    double.script("restore status 28 0", "restore wait-for-cancel")
    with session() as one, one.backup.query(IWMLicenseRestore) as restore:
        one.set_paths(double.folder)
        restore.RestoreLicenses(0, one.callback.pointer)
        one.wait_for(28)
        restore.CancelLicenseRestore()
        assert one.wait_for(END).hresult == 0xC00D2768


def test_one_object_answers_again_and_again(double: Double, tmp_path: pathlib.Path) -> None:
    with session() as one:
        one.set_paths(double.folder)
        for count in range(1, 11):
            one.backup.BackupLicenses(BackupFlags.OVERWRITE, one.callback.pointer)
            one.wait_for(END)
            one.seen.clear()
            double.wait_for("^thread-over", count=count)
    assert tmp_path.exists()


def test_a_released_interface_is_not_called(double: Double) -> None:
    with session() as one:
        again = one.backup.query(IWMLicenseBackup)
        again.release()
        again.release()
        with pytest.raises(ValueError, match="is released"):
            again.CancelLicenseBackup()
    assert double.said("^destroyed")


def test_data_types() -> None:
    names = ["DWORD", "STRING", "BINARY", "BOOL", "QWORD", "WORD", "GUID"]
    assert [(kind.name, kind.value) for kind in DataType] == [
        (name, number) for number, name in enumerate(names)
    ]
    assert ctypes.sizeof(ctypes.c_void_p) * 8 in {32, 64}

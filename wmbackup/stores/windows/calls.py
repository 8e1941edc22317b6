"""The documented calls one by one, each told before and after: the other side of `report`.

Everything here is meant to run in a process of its own, which a component may crash or hang.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from ctypes import POINTER, byref, c_void_p
from functools import partial

from wmbackup.errors import StoreUnavailable
from wmbackup.hresult import InterfaceCrashed, InterfaceError, failed
from wmbackup.stores.windows import child, com
from wmbackup.stores.windows.callback import StatusCallback, read_value
from wmbackup.stores.windows.com import DWORD, Apartment, Bstr, export, system_library, unsigned
from wmbackup.stores.windows.reading import license_of
from wmbackup.stores.windows.wmdrmsdk import (
    BACKUP_ACTION,
    BACKUP_ALLOWED,
    PROPERTIES,
    IWMDRMLicense,
    IWMDRMLicenseManagement,
    IWMDRMLicenseQuery,
    IWMDRMProvider,
    LicenseFilter,
    LicenseStateData,
    PropVariant,
    is_no_more,
)
from wmbackup.stores.windows.wmsdkidl import (
    BACKUP_PATH,
    BackupFlags,
    IWMBackupRestoreProps,
    IWMLicenseBackup,
    IWMLicenseRestore,
)

_FIRST = 8  # licenses that are read; the others are counted
_MOST = 100_000  # licenses that are counted
_MAX_BYTES = 128 * 1024  # bytes of a value that are passed on
_END = 27  # BACKUPRESTORE_END
_OURS = 2  # references to the callback without an operation: ours, and the object's
_GRACE = 5.0  # seconds that are waited for END after a failure


class _StoppedError(Exception):
    """A call on which the others depend did not succeed."""


class _Teller:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = {threading.get_native_id(): 0}

    def tell(self, answer: Mapping[str, object]) -> None:
        with self._lock:
            child.tell(answer)

    def call(self, name: str, function: Callable[[], int | None], *, needed: bool = True) -> int:
        """Make a call and tell its HRESULT; raises _StoppedError where a needed one fails."""
        self.tell({"begin": name})
        began = time.monotonic()
        result: int | None = None
        told: dict[str, object] = {}
        try:
            result = unsigned(function() or 0)
            if com.crashes:
                told = {"crash": str(com.crashes.pop().__cause__)}
        except InterfaceCrashed as error:
            told = {"crash": str(error.__cause__)}
        except InterfaceError as error:
            result = error.hresult
        except StoreUnavailable as error:
            told = {"missing": error.reason}
        milliseconds = round((time.monotonic() - began) * 1000)
        self.tell({"call": name, "hresult": result, "ms": milliseconds, "thread": 0, **told})
        if told or result is None or (needed and failed(result)):
            raise _StoppedError
        return result

    def status(
        self, status: int, result: int, kind: int, address: int | None, began: float
    ) -> None:
        value = read_value(kind, address)
        data = value.encode("utf-16-le", "surrogatepass") if isinstance(value, str) else value
        if isinstance(data, int):
            data = data.to_bytes(8, "little")
        with self._lock:
            thread = self._threads.setdefault(threading.get_native_id(), len(self._threads))
        told = {"status": status, "hresult": unsigned(result), "type": kind, "thread": thread}
        told["ms"] = round((time.monotonic() - began) * 1000)
        self.tell(told | {"has_value": bool(address)} | _bytes(data))


def _bytes(data: bytes | None) -> dict[str, object]:
    if data is None:
        return {}
    return {"length": len(data), "data": data[:_MAX_BYTES].hex()}


class _Callback(StatusCallback):
    """One that wants to know the type of each value as well."""

    def __init__(self, receive: Callable[[int, int, int, int | None], None]) -> None:
        super().__init__(lambda _status, _hresult, _value: None)
        self._take = receive

    def on_status(self, status: int, result: int, kind: int, address: int | None) -> None:
        self._take(status, result, kind, address)


def walk(chain: str, folder: str, seconds: float) -> None:
    """Make the calls of a chain, with a private folder; ``seconds`` is how long END may take.

    Tells every call before it is made and after it. What the chain cannot go on without ends it.
    """
    teller = _Teller()
    with ExitStack() as stack:
        try:
            teller.call("CoInitializeEx", lambda: _enter(stack))
            if chain == "creation":
                _create(teller, stack, folder)
            elif chain == "backup":
                _back_up(teller, stack, folder, seconds)
            else:
                _enumerate(teller, stack, ask=chain == "query")
        except _StoppedError:
            pass
    teller.tell({"done": True})


def _enter(stack: ExitStack) -> int:
    stack.enter_context(Apartment())
    return 0


def _create(
    teller: _Teller, stack: ExitStack, folder: str, callback: _Callback | None = None
) -> IWMLicenseBackup:
    if callback is None:
        callback = _Callback(lambda _status, _result, _kind, _address: None)
        stack.callback(callback.release)
    pointer, answer = callback.pointer, c_void_p()

    def create() -> int:
        library = system_library("WMVCore.dll")
        function = export(library, "WMCreateBackupRestorer", c_void_p, POINTER(c_void_p))
        return function(pointer, byref(answer))

    teller.call("WMCreateBackupRestorer", create)
    backup = stack.enter_context(IWMLicenseBackup(answer))
    for kind in (IWMLicenseBackup, IWMLicenseRestore, IWMBackupRestoreProps):
        found = c_void_p()
        name = f"QueryInterface({kind.__name__})"
        teller.call(name, partial(backup.QueryInterface, kind.iid, byref(found)))
        stack.enter_context(kind(found))
        if kind is IWMBackupRestoreProps:
            props = IWMBackupRestoreProps(found)
    value = folder.encode("utf-16-le", "surrogatepass") + b"\0\0"
    teller.call(
        "IWMBackupRestoreProps::SetProp", lambda: props.SetProp(BACKUP_PATH, 1, value, len(value))
    )
    return backup


def _back_up(teller: _Teller, stack: ExitStack, folder: str, seconds: float) -> None:
    over, began = threading.Event(), time.monotonic()
    heard = [began, began + seconds]  # when a status came, and when to wait no longer

    def receive(status: int, result: int, kind: int, address: int | None) -> None:
        teller.status(status, result, kind, address, began)
        now = time.monotonic()
        heard[:] = [now, min(heard[1], now + _GRACE) if failed(unsigned(result)) else now + seconds]
        if status == _END:
            over.set()

    callback = _Callback(receive)
    stack.callback(callback.release)
    backup = _create(teller, stack, folder, callback)
    teller.call(
        "IWMLicenseBackup::BackupLicenses",
        lambda: backup.BackupLicenses(BackupFlags.NONE, callback.pointer),
    )
    while not over.wait(0.1) and time.monotonic() < heard[1]:
        pass
    teller.tell({"ended": over.is_set()})
    if not over.is_set():
        teller.call("IWMLicenseBackup::CancelLicenseBackup", backup.CancelLicenseBackup)
        over.wait(_GRACE)
    # The interface may give the callback back a little after END.
    until = time.monotonic() + _GRACE
    while callback.references > _OURS and time.monotonic() < until:
        time.sleep(0.01)
    teller.tell({"note": f"references to the callback {callback.references}"})


def _enumerate(teller: _Teller, stack: ExitStack, *, ask: bool) -> None:
    source = _provider(teller, stack)
    management = IWMDRMLicenseManagement(
        _made(
            teller,
            "IWMDRMProvider::CreateObject(IWMDRMLicenseManagement)",
            lambda to: source.CreateObject(IWMDRMLicenseManagement.iid, to),
        )
    )
    stack.enter_context(management)
    licenses = IWMDRMLicense(
        _made(
            teller,
            "IWMDRMLicenseManagement::CreateLicenseEnumeration",
            lambda to: management.CreateLicenseEnumeration(LicenseFilter(), to),
        )
    )
    stack.enter_context(licenses)
    if ask:
        _query(teller, stack, source, licenses)
        return
    amount = 0
    while amount < _MOST:
        if amount < _FIRST and _get(teller, licenses) is None:
            break
        amount += 1
        if amount <= _FIRST:
            answer = teller.call("IWMDRMLicense::GetNext", licenses.GetNext, needed=False)
            if failed(answer) or is_no_more(answer):
                break
        elif not licenses.next():
            break
    teller.tell({"licenses": amount})
    teller.call("IWMDRMLicense::ResetEnumeration", licenses.ResetEnumeration)
    if amount:
        _get(teller, licenses)
        for name in PROPERTIES:
            with Bstr(name) as text:
                value = PropVariant()
                teller.call(
                    f"IWMDRMLicense::GetLicenseProperty({name})",
                    partial(licenses.GetLicenseProperty, text, byref(value)),
                    needed=False,
                )


def _provider(teller: _Teller, stack: ExitStack) -> IWMDRMProvider:
    def of(name: str, *arguments: object) -> Callable[..., int]:
        return export(system_library("wmdrmsdk.dll"), name, *arguments)

    teller.call("WMDRMStartup", lambda: of("WMDRMStartup")())  # noqa: PLW0108 - finding it may fail
    stack.callback(lambda: com.give_back(of("WMDRMShutdown"), "WMDRMShutdown"))
    create = of("WMDRMCreateProvider", POINTER(c_void_p))
    return stack.enter_context(IWMDRMProvider(_made(teller, "WMDRMCreateProvider", create)))


def _made(teller: _Teller, name: str, make: Callable[[object], int]) -> c_void_p:
    answer = c_void_p()
    teller.call(name, lambda: make(byref(answer)))
    if answer.value is None:
        teller.tell({"note": f"{name} gave no object"})
        raise _StoppedError
    return answer


def _get(teller: _Teller, licenses: IWMDRMLicense) -> tuple[int, bytes] | None:
    address, size, kind = c_void_p(), DWORD(), DWORD()
    answer = teller.call(
        "IWMDRMLicense::GetLicense",
        lambda: licenses.GetLicense(byref(address), byref(size), byref(kind)),
        needed=False,
    )
    if failed(answer) or is_no_more(answer):
        return None
    data: list[bytes | None] = []

    def free() -> None:
        data.append(com.take_bytes(address.value, size.value))

    teller.call("CoTaskMemFree", free)
    teller.tell({"license": kind.value, "length": size.value} | _bytes(data[0]))
    return kind.value, data[0] or b""


def _query(
    teller: _Teller, stack: ExitStack, source: IWMDRMProvider, licenses: IWMDRMLicense
) -> None:
    query = IWMDRMLicenseQuery(
        _made(
            teller,
            "IWMDRMProvider::CreateObject(IWMDRMLicenseQuery)",
            lambda to: source.CreateObject(IWMDRMLicenseQuery.iid, to),
        )
    )
    stack.enter_context(query)
    first = _get(teller, licenses)
    kid = None if first is None else license_of(*first).kid
    if kid is None:
        teller.tell({"note": "no key ID to ask with"})
        return
    state, result = LicenseStateData(), DWORD()
    asked, action, allowed = (
        stack.enter_context(Bstr(text)) for text in (kid, BACKUP_ACTION, BACKUP_ALLOWED)
    )
    teller.call(
        "IWMDRMLicenseQuery::QueryLicenseState",
        lambda: query.QueryLicenseState(asked, 1, (c_void_p * 1)(action), byref(state)),
        needed=False,
    )
    teller.tell({"note": f"category {state.dwCategory}"})
    names = (c_void_p * 1)(allowed)
    teller.call(
        "IWMDRMLicenseQuery::QueryActionAllowed",
        lambda: query.QueryActionAllowed(asked, None, 1, names, byref(result)),
        needed=False,
    )
    teller.tell({"note": f"reasons 0x{result.value:08X}"})

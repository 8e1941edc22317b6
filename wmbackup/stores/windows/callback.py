"""IWMStatusCallback, implemented in Python.

The interface calls from threads of its own, may call after a cancel, and may give its reference
back long after everybody here has gone on. So the object lives for as long as its count says, and
its four functions are made once and never freed: a last Release would otherwise free the code that
is running.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import threading
import uuid
from collections.abc import Callable
from ctypes import WINFUNCTYPE, Structure, c_int, c_ulong, c_void_p
from typing import ClassVar

from wmbackup.stores.windows.com import (
    E_NOINTERFACE,
    E_POINTER,
    IID_UNKNOWN,
    RESULT,
    S_OK,
    peek,
    peek_text,
    unsigned,
)
from wmbackup.stores.windows.wmsdkidl import IID_STATUS_CALLBACK, DataType

Value = str | bytes | int | None
Receive = Callable[[int, int, Value], None]
"""Status number, unsigned HRESULT, and the value that came along; on the interface's thread."""

MAX_TEXT = 32768
"""Characters of a string value that are read at most: none says how long it is."""

_Number = ctypes.c_uint32 | ctypes.c_int32 | ctypes.c_uint64 | ctypes.c_uint16
_NUMBERS: dict[int, type[_Number]] = {
    DataType.DWORD: ctypes.c_uint32,
    DataType.BOOL: ctypes.c_int32,
    DataType.QWORD: ctypes.c_uint64,
    DataType.WORD: ctypes.c_uint16,
}


def read_value(kind: int, address: int | None) -> Value:
    """Copy the value of a status out of the interface's memory.

    A string ends with its NUL, a GUID is returned as text in braces, a number as one. Of bytes
    (WMT_TYPE_BINARY) the call does not say how many there are, so they are left alone: None. So
    is an address where nothing is.
    """
    if not address:
        return None
    if kind == DataType.STRING:
        return peek_text(address, MAX_TEXT)
    if kind == DataType.GUID:
        data = peek(address, 16)
        return None if data is None else f"{{{uuid.UUID(bytes_le=data)}}}".upper()
    number = _NUMBERS.get(kind)
    data = None if number is None else peek(address, ctypes.sizeof(number))
    return None if number is None or data is None else int(number.from_buffer_copy(data).value)


class _Object(Structure):
    _fields_: ClassVar = [("table", c_void_p)]


class StatusCallback:
    """One IWMStatusCallback, made with one reference, which belongs to whoever made it.

    ``receive`` is called on the interface's thread and should only take note. What it raises is
    kept in ``error`` (the first one) and never reaches the interface, which is told S_OK always,
    as the documents demand.
    """

    def __init__(self, receive: Receive) -> None:
        """Make it, with a count of one."""
        self._receive = receive
        self._refs = 1
        self.error: BaseException | None = None
        self._object = _Object(ctypes.addressof(_TABLE))
        address = ctypes.addressof(self._object)
        self.pointer = c_void_p(address)
        with _LOCK:
            _MEMORY.append(self._object)
            _ALIVE[address] = self

    @property
    def references(self) -> int:
        """How many references are held, ours included."""
        return self._refs

    def release(self) -> None:
        """Give our own reference back."""
        _count(self.pointer.value or 0, -1)

    def on_status(self, status: int, result: int, kind: int, address: int | None) -> None:
        """Take one status: copy what it carries before the interface takes it back."""
        try:
            self._receive(status, unsigned(result), read_value(kind, address))
        except BaseException as error:  # noqa: BLE001 (nothing may cross into the interface)
            if self.error is None:
                self.error = error


_LOCK = threading.Lock()
_ALIVE: dict[int, StatusCallback] = {}
_MEMORY: list[_Object] = []
"""Never freed, a few bytes each: an interface that counts wrong then meets a dead object, not
another one at the same address."""


def _count(this: int, by: int) -> int:
    with _LOCK:
        callback = _ALIVE.get(this)
        if callback is None:
            return 0
        callback._refs += by  # noqa: SLF001 (the object's own functions)
        if callback._refs == 0:  # noqa: SLF001 (the same)
            del _ALIVE[this]
        return callback._refs  # noqa: SLF001 (the same)


def _query_interface(this: int, iid: int | None, answer: int | None) -> int:
    if answer is None or iid is None:
        return E_POINTER
    place = c_void_p.from_address(answer)
    known = (bytes(IID_UNKNOWN), bytes(IID_STATUS_CALLBACK))
    if ctypes.string_at(iid, 16) not in known or _count(this, 1) == 0:
        place.value = None
        return E_NOINTERFACE
    place.value = this
    return S_OK


def _add_ref(this: int) -> int:
    return _count(this, 1)


def _release(this: int) -> int:
    return _count(this, -1)


def _on_status(
    this: int, status: int, result: int, kind: int, value: int | None, _context: int | None
) -> int:
    callback = _ALIVE.get(this)
    if callback is not None:
        callback.on_status(status, result, kind, value)
    return S_OK


_SLOTS = (
    WINFUNCTYPE(RESULT, c_void_p, c_void_p, c_void_p)(_query_interface),
    WINFUNCTYPE(c_ulong, c_void_p)(_add_ref),
    WINFUNCTYPE(c_ulong, c_void_p)(_release),
    WINFUNCTYPE(RESULT, c_void_p, c_int, RESULT, c_int, c_void_p, c_void_p)(_on_status),
)
"""Slots 0 to 3 of IWMStatusCallback (``wmsdkidl.h``)."""

_TABLE = (c_void_p * len(_SLOTS))(*(ctypes.cast(slot, c_void_p).value for slot in _SLOTS))
# A thread of the interface may still call while the interpreter takes its modules down.
for _kept in (_TABLE, _SLOTS):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_kept))

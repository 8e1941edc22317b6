from __future__ import annotations

# ruff: noqa: E402 (mypy reads the assertion: what stands below it is Windows alone)
import sys

assert sys.platform == "win32"

import ctypes
import threading

import pytest

from tests.windows.system import apartment_kind
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import StoreUnavailable
from wmbackup.stores.windows.com import (
    COINIT_MULTITHREADED,
    Apartment,
    Bstr,
    export,
    guid,
    system_library,
    take_bytes,
)

APTTYPE_MTA = 1
COINIT_APARTMENTTHREADED = 2


def test_an_apartment_is_entered_and_left() -> None:
    assert apartment_kind() is None
    with Apartment():
        assert apartment_kind() == APTTYPE_MTA
        with Apartment():
            pass
        assert apartment_kind() == APTTYPE_MTA
    assert apartment_kind() is None


def test_an_apartment_is_left_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), Apartment():
        raise ZeroDivisionError
    assert apartment_kind() is None


def test_each_thread_has_its_own() -> None:
    inside = []

    def work() -> None:
        before = apartment_kind()
        with Apartment():
            inside.append((before, apartment_kind()))

    with Apartment():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert inside == [(None, APTTYPE_MTA)]


def test_a_single_threaded_apartment_is_refused_and_kept() -> None:
    ole32 = ctypes.WinDLL("ole32")
    ole32.CoInitializeEx(None, COINIT_APARTMENTTHREADED)
    try:
        before = apartment_kind()
        with pytest.raises(StoreUnavailable, match="single-threaded"), Apartment():
            pass
        assert apartment_kind() == before
    finally:
        ole32.CoUninitialize()
    assert COINIT_MULTITHREADED == 0


def test_a_guid_lies_in_memory_as_windows_has_it() -> None:
    expected = bytes.fromhex("04030201 0605 0807 090a 0b0c0d0e0f10")
    assert bytes(guid("01020304-0506-0708-090A-0B0C0D0E0F10")) == expected


@pytest.mark.parametrize("text", ["", "plain", "\u00fcml\u00e4ut \U0001f3b5", "a\0b"])
def test_a_bstr_knows_its_length(text: str) -> None:
    size = ctypes.WinDLL("oleaut32").SysStringByteLen
    size.argtypes = [ctypes.c_void_p]
    with Bstr(text) as address:
        assert size(address) == len(text.encode("utf-16-le"))
        assert ctypes.string_at(address, size(address)) == text.encode("utf-16-le")


def test_memory_is_copied_and_freed() -> None:
    allocate = ctypes.WinDLL("ole32").CoTaskMemAlloc
    allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
    address = allocate(4)
    ctypes.memmove(address, b"\0\1\2\3", 4)
    assert take_bytes(address, 4) == b"\0\1\2\3"
    assert take_bytes(None, 4) == b""


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(StoreUnavailable, match=r"no wmbackup-nothing\.dll") as caught:
        system_library("wmbackup-nothing.dll")
    assert "Media Feature Pack" in (of_error(caught.value) or "")


def test_an_export_that_is_not_there() -> None:
    with pytest.raises(StoreUnavailable, match=r"ole32\.dll of this Windows has no Nothing"):
        export(system_library("ole32.dll"), "Nothing")

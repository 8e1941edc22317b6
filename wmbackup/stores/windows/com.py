"""COM manners: apartments, interface pointers that release once, calls by slot, system DLLs.

Plain ctypes. Every failing HRESULT is raised as `wmbackup.hresult.InterfaceError`.
"""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
import uuid
from collections.abc import Callable
from ctypes import POINTER, WINFUNCTYPE, WinDLL, c_long, c_ubyte, c_ulong, c_void_p
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar, overload

from wmbackup.errors import StoreUnavailable
from wmbackup.hresult import InterfaceCrashed, InterfaceError, failed

DWORD = c_ulong
RESULT = c_long
"""An HRESULT as a number. `ctypes.HRESULT` would raise OSError, which says too little."""

S_OK = 0
E_POINTER = 0x80004003
E_NOINTERFACE = 0x80004002
RPC_E_CHANGED_MODE = 0x80010106
COINIT_MULTITHREADED = 0
LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x00000800

Guid = c_ubyte * 16
GuidPointer = POINTER(Guid)


def guid(text: str) -> ctypes.Array[c_ubyte]:
    """Return a GUID in the layout of memory (three little-endian numbers, eight bytes)."""
    return Guid.from_buffer_copy(uuid.UUID(text).bytes_le)


IID_UNKNOWN = guid("00000000-0000-0000-C000-000000000046")


def unsigned(result: int) -> int:
    """Return an HRESULT as the unsigned number that everything else here uses."""
    return result & 0xFFFFFFFF


def system_library(name: str) -> WinDLL:
    """Load a DLL from the system folder, and from nowhere else.

    By its bare name alone, one beside the program or in the current folder would win. Raises
    StoreUnavailable where it is not there or cannot be loaded into this process.
    """
    try:
        return WinDLL(name, winmode=LOAD_LIBRARY_SEARCH_SYSTEM32)
    except OSError as error:
        raise StoreUnavailable(
            f"this Windows has no {name} that this Python can load",
            reason="no-library",
        ) from error


def export(library: WinDLL, name: str, *arguments: Any) -> Callable[..., int]:  # noqa: ANN401 (ctypes types)
    """Return a stdcall export that answers an HRESULT; raises StoreUnavailable without it."""
    try:
        function = library[name]
    except AttributeError as error:
        raise StoreUnavailable(
            f"{library._name} of this Windows has no {name}",  # noqa: SLF001 (its only name)
            reason="no-function",
        ) from error
    function.argtypes = arguments
    function.restype = RESULT

    def call(*values: Any) -> int:  # noqa: ANN401 (what the declaration says)
        try:
            answer: int = function(*values)
        except OSError as error:
            raise InterfaceCrashed(name, error) from error
        return answer

    return call


crashes: list[InterfaceCrashed] = []
"""What crashed while it was given back: nothing is lost by it, and somebody should know."""


def give_back(release: Callable[[], object], name: str) -> None:
    """Release something of the interface's; a crash there costs nothing that was done before."""
    try:
        release()
    except InterfaceCrashed as error:
        crashes.append(error)
    except OSError as error:
        crashes.append(InterfaceCrashed(name, error))


_ole32 = system_library("ole32.dll")
_co_initialize = export(_ole32, "CoInitializeEx", c_void_p, DWORD)
_co_uninitialize = _ole32["CoUninitialize"]
_co_uninitialize.argtypes = ()
_co_uninitialize.restype = None
_free = _ole32["CoTaskMemFree"]
_free.argtypes = (c_void_p,)
_free.restype = None

_oleaut32 = system_library("oleaut32.dll")
_sys_alloc = _oleaut32["SysAllocStringLen"]
_sys_alloc.argtypes = (ctypes.c_wchar_p, ctypes.c_uint)
_sys_alloc.restype = c_void_p
_sys_free = _oleaut32["SysFreeString"]
_sys_free.argtypes = (c_void_p,)
_sys_free.restype = None


class Apartment:
    """This thread's place among COM's, for as long as the context lasts.

    Multithreaded: nobody here pumps the messages that a single-threaded one lives on. Leaving is
    counted, so a thread that was in it before stays in it. Not left by being forgotten: what hangs
    may still need it.
    """

    def __enter__(self) -> Self:
        """Enter, or raise StoreUnavailable where the thread is in the other kind already."""
        result = unsigned(_co_initialize(None, COINIT_MULTITHREADED))
        if result == RPC_E_CHANGED_MODE:
            raise StoreUnavailable(
                "this thread is in a single-threaded COM apartment",
                reason="apartment",
            )
        if failed(result):
            raise InterfaceError(result, doing="initialize COM")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave it, once for each time that it was entered."""
        _co_uninitialize()


class Bstr:
    """A BSTR for the time of a context; its value is the address."""

    def __init__(self, text: str) -> None:
        """Keep the text, which may hold anything but must not be empty-handed: '' is a BSTR."""
        self._text = text
        self._address: int | None = None

    def __enter__(self) -> int:
        """Allocate it and return its address."""
        units = len(self._text.encode("utf-16-le", "surrogatepass")) // 2
        address: int | None = _sys_alloc(self._text, units)
        if address is None:
            raise MemoryError
        self._address = address
        return address

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free it."""
        _sys_free(self._address)


_kernel32 = system_library("kernel32.dll")
_read_memory = _kernel32["ReadProcessMemory"]
_read_memory.argtypes = (c_void_p, c_void_p, c_void_p, ctypes.c_size_t, POINTER(ctypes.c_size_t))
_OURSELVES = c_void_p(-1)  # GetCurrentProcess
_PAGE = 4096  # bytes, of which all can be read or none


def peek(address: int, size: int) -> bytes | None:
    """Copy memory of this process; None where it is not there, which would end the process."""
    buffer = ctypes.create_string_buffer(size)
    done = ctypes.c_size_t()
    if not _read_memory(_OURSELVES, address, buffer, size, ctypes.byref(done)):
        return None
    return buffer.raw if done.value == size else None


def peek_text(address: int, most: int) -> str | None:
    """Copy UTF-16 up to its NUL, ``most`` characters of it; None where there is no such memory."""
    data = b""
    while len(data) < 2 * most:
        part = peek(address + len(data), min(_PAGE - (address + len(data)) % _PAGE, 2 * most))
        if part is None:
            return None
        units = memoryview((data + part)[: (len(data) + len(part)) // 2 * 2]).cast("H")
        data += part
        end = next((index for index, unit in enumerate(units) if not unit), None)
        if end is not None:
            return data[: 2 * end].decode("utf-16-le", "replace")
    return data[: 2 * most].decode("utf-16-le", "replace")


def take_bytes(address: int | None, size: int) -> bytes | None:
    """Copy memory that a method allocated for its caller, and free it (COM's general rule).

    None where the memory is not there: then it is not freed either.
    """
    if not address:
        return b""
    data = peek(address, size) if size else b""
    if data is not None:
        give_back(lambda: _free(address), "CoTaskMemFree")
    return data


class Method:
    """One method of an interface: its slot, counted from QueryInterface as 0, and its arguments.

    Called through an `Interface`, it returns the HRESULT, unsigned, or raises InterfaceError.
    """

    def __init__(self, slot: int, *arguments: Any, doing: str) -> None:  # noqa: ANN401 (ctypes types)
        """Declare it; ``doing`` completes the sentence "cannot …"."""
        self._function = WINFUNCTYPE(RESULT, *arguments)(slot, doing)
        self._doing = doing
        self._name = doing

    def __set_name__(self, owner: type, name: str) -> None:
        """Remember what it is called, for a crash in it."""
        self._name = f"{owner.__name__}::{name}"

    @overload
    def __get__(self, instance: None, owner: type[Interface]) -> Self: ...
    @overload
    def __get__(self, instance: Interface, owner: type[Interface]) -> Callable[..., int]: ...
    def __get__(
        self, instance: Interface | None, owner: type[Interface]
    ) -> Self | Callable[..., int]:
        """Bind it to the interface pointer that it is read from."""
        if instance is None:
            return self
        pointer = instance.pointer

        def call(*arguments: Any) -> int:  # noqa: ANN401 (what the declaration says)
            try:
                result = unsigned(self._function(pointer, *arguments))
            except OSError as error:
                raise InterfaceCrashed(self._name, error, doing=self._doing) from error
            if failed(result):
                raise InterfaceError(result, doing=self._doing)
            return result

        return call


_release = WINFUNCTYPE(c_ulong)(2, "Release")


class Interface:
    """A counted reference to an interface. As a context manager it is released at the end, once.

    Its subclasses declare methods; they must be used on threads that are in an `Apartment`.
    """

    iid: ClassVar[ctypes.Array[c_ubyte]] = IID_UNKNOWN
    QueryInterface = Method(0, GuidPointer, POINTER(c_void_p), doing="find the interface")

    def __init__(self, pointer: c_void_p) -> None:
        """Take over one reference."""
        if pointer.value is None:
            raise InterfaceError(E_POINTER, doing="make the object")
        self._pointer: c_void_p | None = pointer

    @property
    def pointer(self) -> c_void_p:
        """The interface pointer; ValueError once it is released."""
        if self._pointer is None:
            raise ValueError(f"{type(self).__name__} is released")
        return self._pointer

    def query(self, kind: type[InterfaceT]) -> InterfaceT:
        """Ask the same object for another of its interfaces: a reference of its own."""
        answer = c_void_p()
        self.QueryInterface(kind.iid, ctypes.byref(answer))
        return kind(answer)

    def release(self) -> None:
        """Give the reference back; doing so again does nothing."""
        if self._pointer is not None:
            pointer, self._pointer = self._pointer, None
            give_back(lambda: _release(pointer), f"{type(self).__name__}::Release")

    def __enter__(self) -> Self:
        """Use it for a while."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release it."""
        self.release()


InterfaceT = TypeVar("InterfaceT", bound=Interface)

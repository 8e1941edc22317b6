"""The licenses of this machine, as the enumeration interface lists them."""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ctypes import c_void_p

from wmbackup.formats.detect import OTHER
from wmbackup.hresult import InterfaceError
from wmbackup.license import License
from wmbackup.status import Control, WarningEvent
from wmbackup.stores.windows.com import DWORD, E_POINTER, Apartment, Bstr, take_bytes
from wmbackup.stores.windows.reading import ACTIONS, State, Terms, license_of, terms
from wmbackup.stores.windows.wmdrmsdk import (
    BACKUP_ACTION,
    BACKUP_ALLOWED,
    IWMDRMLicense,
    IWMDRMLicenseManagement,
    IWMDRMLicenseQuery,
    IWMDRMProvider,
    LicenseStateData,
    is_no_more,
    provider,
)


def enumerate_licenses(control: Control | None = None) -> Iterator[License]:
    """List the licenses of this machine, without changing anything.

    They are collected before the first is given out, so that no COM state waits for the caller.
    What cannot be read of a license is None; a WarningEvent says once what failed. Raises
    StoreUnavailable without ``wmdrmsdk.dll``, InterfaceError where it fails, Cancelled.
    """
    return iter(_collect(control or Control()))


def _collect(control: Control) -> list[License]:
    found = []
    with ExitStack() as stack:
        stack.enter_context(Apartment())
        source = stack.enter_context(provider())
        management = stack.enter_context(source.create(IWMDRMLicenseManagement))
        reader = _Reader(control, _query(source, management, stack))
        try:
            licenses = stack.enter_context(management.enumeration())
        except InterfaceError as error:
            if is_no_more(error.hresult):
                return []  # what an empty store answers is not documented
            raise
        # The first license is loaded when the enumeration is made.
        loaded = True
        while loaded:
            control.check()
            license_ = reader.read(licenses)
            loaded = licenses.next()
            if license_ is not None:
                found.append(license_)
            elif loaded or found:
                found.append(License(OTHER))
    return found


def _query(
    source: IWMDRMProvider, management: IWMDRMLicenseManagement, stack: ExitStack
) -> IWMDRMLicenseQuery | None:
    """Get the query, which some versions may give in one way only, and some not at all."""
    for ask in (source.create, management.query):
        try:
            return stack.enter_context(ask(IWMDRMLicenseQuery))
        except InterfaceError:
            continue
    return None


class _Reader:
    """Reads licenses one by one and remembers what it said and asked already."""

    def __init__(self, control: Control, query: IWMDRMLicenseQuery | None) -> None:
        self._control = control
        self._query = query
        self._warned: set[str] = set()
        self._terms: dict[str, Terms] = {}
        self._actions: Sequence[str] = tuple(ACTIONS)

    def read(self, licenses: IWMDRMLicense) -> License | None:
        """Read the license that is loaded; None where it cannot be read, or there is none."""
        found = self._read(licenses)
        return None if found is None else self._ask(found.kid).applied_to(found)

    def _read(self, licenses: IWMDRMLicense) -> License | None:
        address, size, kind = c_void_p(), DWORD(), DWORD()
        try:
            answer = licenses.GetLicense(
                ctypes.byref(address), ctypes.byref(size), ctypes.byref(kind)
            )
        except InterfaceError as error:
            if not is_no_more(error.hresult):
                self._warn("license-unreadable", error)
            return None
        if is_no_more(answer):
            return None
        data = take_bytes(address.value, size.value)
        if data is None:
            self._warn("license-unreadable", InterfaceError(E_POINTER, doing="read a license"))
            return None
        return license_of(kind.value, data)

    def _ask(self, kid: str | None) -> Terms:
        if kid is None or self._query is None:
            return Terms({})
        if kid not in self._terms:
            self._terms[kid] = self._states(self._query, kid)
        return self._terms[kid]

    def _states(self, query: IWMDRMLicenseQuery, kid: str) -> Terms:
        """Ask for all actions; where that is refused, for the documented one alone."""
        try:
            return terms(_query_state(query, kid, self._actions))
        except InterfaceError as error:
            if len(self._actions) == 1:
                return self._allowed(query, kid, error)
        self._actions = (BACKUP_ACTION,)
        return self._states(query, kid)

    def _allowed(self, query: IWMDRMLicenseQuery, kid: str, error: InterfaceError) -> Terms:
        """Ask the other way whether a backup is allowed, where no states are given."""
        try:
            allowed = _query_allowed(query, kid, BACKUP_ALLOWED)
        except InterfaceError:
            self._warn("rights-unreadable", error)
            return Terms({})
        return Terms({ACTIONS[BACKUP_ACTION]: allowed}, withheld=not allowed)

    def _warn(self, code: str, error: InterfaceError) -> None:
        if code not in self._warned:
            self._warned.add(code)
            self._control.notify(WarningEvent(code, error.message))


def _query_state(query: IWMDRMLicenseQuery, kid: str, actions: Sequence[str]) -> dict[str, State]:
    data = (LicenseStateData * len(actions))()
    with ExitStack() as stack:
        names = (c_void_p * len(actions))(*(stack.enter_context(Bstr(name)) for name in actions))
        query.QueryLicenseState(stack.enter_context(Bstr(kid)), len(actions), names, data)
    return {name: _state(answer) for name, answer in zip(actions, data, strict=True)}


def _query_allowed(query: IWMDRMLicenseQuery, kid: str, action: str) -> bool:
    result = DWORD()
    with ExitStack() as stack:
        names = (c_void_p * 1)(stack.enter_context(Bstr(action)))
        asked = stack.enter_context(Bstr(kid))
        query.QueryActionAllowed(asked, None, 1, names, ctypes.byref(result))
    return result.value == 0  # otherwise the reasons why it is not


def _state(data: LicenseStateData) -> State:
    dates = [moment.low | moment.high << 32 for moment in data.datetime[: data.dwNumDates]]
    return State(data.dwCategory, tuple(data.dwCount[: data.dwNumCounts]), tuple(dates))

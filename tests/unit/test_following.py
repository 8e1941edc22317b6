"""One operation of the interface, followed on any system: what is fed in, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wmbackup.hresult import InterfaceError
from wmbackup.status import Control, Event, Status, StatusEvent, WarningEvent
from wmbackup.stores.windows.following import Operation, Outcome, Patience

QUICK = Patience(tick=0.001, failure=0.01, url=0.01, cancel=0.01)
BEGIN, END, RESTRICTED = 21, 27, 31
KID = "{KID}"


def follow(*statuses: tuple[int, int], notify: Callable[[Event], None] | None = None) -> Outcome:
    """Send these statuses, each with its HRESULT."""
    control = Control() if notify is None else Control(notify=notify)
    operation = Operation(control, doing="back up", patience=QUICK)
    for status, hresult in statuses:
        operation.receive(status, hresult, KID if status == RESTRICTED else None)
    return operation.run(lambda: None, lambda: None)


def test_a_restricted_license_with_a_failure_is_a_warning_and_no_failure() -> None:
    heard: list[Event] = []
    outcome = follow((BEGIN, 0), (RESTRICTED, 0xC00D2718), (END, 0), notify=heard.append)
    assert outcome == Outcome(0, (KID,))
    assert StatusEvent(Status.RESTRICTED_LICENSE, 0xC00D2718, KID) in heard
    codes = [event.code for event in heard if isinstance(event, WarningEvent)]
    assert codes == ["restricted-failed"]


def test_a_restricted_license_with_a_success_is_no_warning() -> None:
    heard: list[Event] = []
    assert follow((RESTRICTED, 0), (END, 0), notify=heard.append).restricted == (KID,)
    assert not any(isinstance(event, WarningEvent) for event in heard)


@pytest.mark.parametrize("status", [0, BEGIN, 25, END])
def test_any_other_failure_is_one(status: int) -> None:
    with pytest.raises(InterfaceError) as caught:
        follow((RESTRICTED, 0xC00D2717), (status, 0xC00D2712), (END, 0))
    assert caught.value.hresult == 0xC00D2712

"""One operation of the interface, followed on any system: what is fed in, and what comes of it."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from wmbackup.errors import TimedOut
from wmbackup.hresult import InterfaceError
from wmbackup.status import Control, Event, Status, StatusEvent, WarningEvent
from wmbackup.stores.windows.following import Operation, Outcome, Patience
from wmbackup.stores.windows.private import sizes

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


class Clock:
    """Seconds that pass by being asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def silent(growth: Callable[[], object], clock: Clock) -> Operation:
    patience = Patience(tick=0.0, failure=5, url=5, cancel=5, silence=600, look=5)
    return Operation(Control(), doing="back up", patience=patience, growth=growth, clock=clock)


def test_what_never_ends_is_given_up_after_ten_minutes_of_silence_and_canceled() -> None:
    clock, canceled = Clock(), list[float]()
    operation = silent(lambda: 1, clock)
    operation.receive(BEGIN, 0, None)
    with pytest.raises(TimedOut, match="has not got on for 10 minutes"):
        operation.run(lambda: None, lambda: canceled.append(clock.now))
    assert len(canceled) == 1
    assert 600 <= canceled[0] < 700
    assert operation.unanswered, "what does not answer a cancel either is left alone"


def test_a_folder_that_grows_is_waited_for() -> None:
    clock, sizes = Clock(), iter([*range(1000), *[1000] * 10**6])
    operation = silent(lambda: next(sizes), clock)
    with pytest.raises(TimedOut):
        operation.run(lambda: None, lambda: None)
    assert clock.now > 1000 * 5 + 600


def test_a_status_is_a_sign_of_life() -> None:
    clock = Clock()
    operation = silent(lambda: 1, clock)
    looks = iter(range(10**6))

    def cancelled() -> bool:
        if next(looks) % 100 == 99 and clock.now < 5000:
            operation.receive(BEGIN, 0, None)
        return False

    operation._control = Control(cancelled=cancelled)
    with pytest.raises(TimedOut):
        operation.run(lambda: None, lambda: None)
    assert clock.now > 5000


def test_the_default_is_what_the_manual_says() -> None:
    assert Patience().silence == 10 * 60


def test_sizes_of_a_folder_that_grows(tmp_path: pathlib.Path) -> None:
    assert sizes(str(tmp_path / "missing")) == {}
    (tmp_path / "a").write_bytes(b"1")
    before = sizes(str(tmp_path))
    (tmp_path / "a").write_bytes(b"12")
    assert (before, sizes(str(tmp_path))) == ({"a": 1}, {"a": 2})

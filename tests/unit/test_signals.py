from __future__ import annotations

import gc
import signal
import sys
import time
import weakref

import pytest

from wmbackup.cli.signals import Interrupted, handled


class Thing:
    """Something that can be waited for to vanish."""


def interrupted_by(number: int) -> None:
    """Send a signal while a callback runs that nothing can be raised in."""
    thing = Thing()
    _kept = weakref.ref(thing, lambda _: signal.raise_signal(number))
    del thing
    gc.collect()


def wait_for(number: int) -> None:
    until = time.monotonic() + 30
    with handled():
        interrupted_by(number)
        while time.monotonic() < until:
            time.sleep(0.001)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_destructor_is_heard_a_moment_later(
    capfd: pytest.CaptureFixture[str], number: int
) -> None:
    before = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(Interrupted) as raised:
            wait_for(number)
    finally:
        signal.signal(number, before)
    assert raised.value.number == number
    assert capfd.readouterr().err == ""


def test_what_else_cannot_be_raised_is_told_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def hook(lost: sys.UnraisableHookArgs) -> None:
        told.append(lost.exc_type)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    with handled():
        thing = Thing()
        _kept = weakref.ref(thing, lambda _: 1 // 0)
        del thing
    assert told == [ZeroDivisionError]
    assert sys.unraisablehook is hook

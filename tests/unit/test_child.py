"""What is asked of a process of its own, whatever becomes of that process."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from wmbackup.errors import Cancelled, StoreUnavailable, TimedOut, WmbackupError
from wmbackup.hresult import InterfaceCrashed, InterfaceError
from wmbackup.license import License
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.stores.windows import child
from wmbackup.stores.windows.child import End, Runner, starter

SONG = License(
    "wmdrm-v7",
    kid="k",
    lid="l",
    issued="2006-01-01T00:00:00Z",
    begins="b",
    expires="e",
    rights={"AllowPlay": True, "PlayCount": 3},
    attributes={"Title": "Gr\u00f6\u00dfe"},
    withheld=True,
)


def program(text: str) -> Runner:
    """Start Python with these lines for the process."""
    return starter([sys.executable, "-c", text])


def says(*answers: Mapping[str, Any] | str, then: str = "") -> Runner:
    lines = [one if isinstance(one, str) else json.dumps(one) for one in answers]
    text = "".join(line + "\n" for line in lines)
    return program(f"import os, sys, time; print({text!r}, end='', flush=True); {then}")


def test_licenses_come_as_they_are() -> None:
    heard: list[Event] = []
    runner = says(
        child.told(SONG),
        {"warning": ["rights-unreadable", "why", None]},
        "noise of a component",
        "[1]",
        child.told(License("wmdrm-other")),
        {"done": True},
    )
    found = child.licenses(runner, Control(notify=heard.append))
    assert found == [SONG, License("wmdrm-other")]
    assert heard == [WarningEvent("rights-unreadable", "why", None)]


def test_the_question_is_the_last_argument() -> None:
    runner = program(
        "import sys, json; print(json.dumps({'kind': sys.argv[1]})); print('{\"done\": true}')"
    )
    assert child.licenses(runner, Control()) == [License("licenses")]


@pytest.mark.parametrize(
    ("last", "kind", "message"),
    [
        (
            {"hresult": 0xC00D2785, "doing": "read it"},
            InterfaceError,
            "cannot read it: this function",
        ),
        ({"hresult": 0x80070103}, InterfaceError, "the list has come to its end"),
        (
            {"hresult": 0xC0000005, "call": "IWMDRMLicense::GetNext", "reason": "reading 0x8"},
            InterfaceCrashed,
            r"crashed in IWMDRMLicense::GetNext \(reading 0x8\)",
        ),
        ({"message": "there is no DLL", "hint": "install it"}, StoreUnavailable, "there is no DLL"),
    ],
)
def test_what_failed_there_fails_here(
    last: dict[str, Any], kind: type[WmbackupError], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        child.licenses(says(child.told(SONG), last, then="sys.exit(1)"), Control())
    assert caught.value.exit_code != 0


def test_a_process_that_dies_is_a_crash() -> None:
    with pytest.raises(InterfaceCrashed, match="a process of its own"):
        child.licenses(says(child.told(SONG), then="os._exit(5)"), Control())
    with pytest.raises(InterfaceCrashed):
        child.probe(says(then="os._exit(0)"), Control())


def test_a_process_that_dies_when_everything_was_said_is_none() -> None:
    runner = says(child.told(SONG), {"done": True}, then="os._exit(5)")
    assert child.licenses(runner, Control()) == [SONG]


def test_a_process_that_is_silent_is_ended() -> None:
    runner = says(child.told(SONG), then="time.sleep(600)")
    with pytest.raises(TimedOut, match="did not answer any more"):
        child.licenses(runner, Control(), silence=0.3)


def test_a_cancel_ends_the_process() -> None:
    with pytest.raises(Cancelled):
        child.licenses(says(then="time.sleep(600)"), Control(cancelled=lambda: True))


def test_what_takes_an_answer_may_raise() -> None:
    def take(_answer: child.Answer) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        says(child.told(SONG), then="time.sleep(600)")([], Control(), 60, take)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be started a second time"):
        child.probe(starter(["/nothing/there"]), Control())


def test_much_on_standard_error_blocks_nothing() -> None:
    runner = program("import sys; sys.stderr.write('x' * 10**6); print('{\"done\": true}')")
    ends: list[End] = [runner([], Control(), 60, lambda _answer: None)]
    assert ends[0].code == 0
    assert 0 < len(ends[0].words) < 10**6


def test_lines_without_an_end_are_no_answers() -> None:
    runner = program(
        "import sys; sys.stdout.write('x' * 3_000_000); print(); print('{\"done\": true}')"
    )
    child.probe(runner, Control())


def test_strange_answers_are_survived() -> None:
    runner = says(
        {"kind": 5, "rights": [], "attributes": 3, "withheld": "yes", "kid": 7},
        {"warning": 5},
        {"warning": [1, 2, 3, 4]},
        {"done": True},
    )
    assert child.licenses(runner, Control()) == [License("wmdrm-other")]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (End(None), "it did not answer any more"),
        (End(0xC0000005), "a component used memory that is not there"),
        (End(5), "exit code 5"),
        (End(0), "exit code 0"),
    ],
)
def test_how_it_ended_in_words(end: End, reason: str) -> None:
    assert end.reason == reason

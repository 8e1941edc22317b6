"""The other side of `child`: one question, answered in a process of its own."""

# ruff: noqa: E402, S101 (mypy reads the assertion: what stands below it is Windows alone)
from __future__ import annotations

import sys

assert sys.platform == "win32"

import faulthandler
from collections.abc import Sequence

from wmbackup.errors import WmbackupError
from wmbackup.hresult import InterfaceCrashed, InterfaceError
from wmbackup.status import Control, Event, WarningEvent
from wmbackup.stores.windows import calls, child, enumeration, interface, report
from wmbackup.stores.windows.child import tell


def answer(arguments: Sequence[str]) -> int:
    """Answer a question on standard output; return the exit code."""
    faulthandler.enable()
    try:
        if arguments[:1] == [child.LICENSES]:
            for license_ in enumeration.enumerate_licenses(Control(notify=_pass_on)):
                tell(child.told(license_))
        elif arguments[:1] == [child.PROBE]:
            interface.probe()
        elif arguments[:1] == [report.REPORT] and len(arguments) == 4:  # noqa: PLR2004 (the chain, a folder, seconds)
            calls.walk(arguments[1], arguments[2], float(arguments[3]))
            return 0
        else:
            return 2
    except InterfaceCrashed as error:
        reason = str(error.__cause__).removeprefix("exception: ")
        told = {"hresult": error.hresult, "doing": error.doing}
        tell({**told, "call": error.call, "reason": reason})
        return 1
    except InterfaceError as error:
        tell({"hresult": error.hresult, "doing": error.doing})
        return 1
    except WmbackupError as error:
        tell({"message": error.message, "reason": error.reason})
        return 1
    tell({"done": True})
    return 0


def _pass_on(event: Event) -> None:
    if isinstance(event, WarningEvent):
        tell({"warning": list(event[:5])})  # all but the error that it came from

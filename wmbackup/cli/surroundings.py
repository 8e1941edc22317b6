"""Errors that nobody gave a sentence: of the surroundings, or of this program."""

from __future__ import annotations

import os
import re

from wmbackup.cli.render import limit_hints
from wmbackup.errors import NotFound, SystemFailure, WmbackupError, os_error_name

_THREAD = re.compile("start new thread|create new thread|start .*thread", re.IGNORECASE)


def failure_of(error: Exception) -> WmbackupError:
    """Return the error for what ended a command, and was no error of ours.

    A system that grants no thread, too little memory, or a library that cannot be loaded is no
    bug of this program.
    """
    if isinstance(error, MemoryError):
        return SystemFailure("there is not enough memory", hint=limit_hints.memory())
    if isinstance(error, RecursionError):
        return SystemFailure(
            "something that was read is nested too deeply",
            hint="run it again with --debug to see what it is",
        )
    if isinstance(error, RuntimeError) and _THREAD.search(str(error)):
        return SystemFailure("no thread can be started", hint=limit_hints.threads())
    if isinstance(error, ImportError):
        return SystemFailure(
            f"a part of the program cannot be loaded: {error}", hint=limit_hints.loading()
        )
    if isinstance(error, OverflowError):
        return SystemFailure(
            f"a number is beyond what this system can hold: {error}",
            hint="run it again with --debug to see which it is",
        )
    return WmbackupError(
        f"this is a bug: {type(error).__name__}: {error}",
        hint="run it again with --debug and report what it prints",
    )


def error_of(error: OSError) -> WmbackupError:
    """Return our error for one of the system that nobody gave a sentence."""
    name = os_error_name(error)
    if not name and isinstance(error, FileNotFoundError) and _nowhere():
        return NotFound("the current folder is gone", hint="change to another one")
    return SystemFailure.of(error, "use" if name else "read or", name or "write")


def _nowhere() -> bool:
    try:
        os.getcwd()
    except OSError:
        return True
    return False

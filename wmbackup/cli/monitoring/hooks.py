"""The command that a run starts when it has ended."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping

PREFIX = "WMB_RESULT_"
"""How the variables begin that the command gets; no run reads options from them."""


def environment_of(fields: Mapping[str, object]) -> dict[str, str]:
    """Return the variables that tell a command of the result; what is None is left out."""
    return {
        PREFIX + name.upper(): str(value).replace("\0", "")
        for name, value in fields.items()
        if value is not None
    }


def run(command: str, summary: Mapping[str, object], variables: Mapping[str, str]) -> str | None:
    """Run a command without a shell; return what is wrong with it or with its end, or None.

    It gets the summary as JSON on standard input. What it prints goes to standard error, since
    standard output may carry an archive.
    """
    try:
        words = command if os.name == "nt" else shlex.split(command)
    except ValueError as error:
        return f"cannot be read: {str(error).lower()}"
    if not words or not command.strip():
        return "is empty"
    try:
        done = subprocess.run(  # noqa: S603 - it is the user's own
            words,
            input=json.dumps(summary, separators=(",", ":")).encode() + b"\n",
            stdout=_standard_error(),
            env={**_surroundings(), **variables},
            check=False,
        )
    except OSError as error:
        return f"cannot be run: {(error.strerror or str(error)).lower()}"
    if done.returncode < 0:
        return f"was killed by signal {-done.returncode}"
    return f"failed with exit code {done.returncode}" if done.returncode else None


def _surroundings() -> dict[str, str]:
    """Return the environment without results of another run."""
    return {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}


def _standard_error() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # there is none, or a stand-in
        return subprocess.DEVNULL

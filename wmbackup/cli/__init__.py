"""The command line: `main` turns what happens into an exit code, in one place."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

from wmbackup.cli.session import Common, Session, error_of
from wmbackup.cli.signals import Interrupted, handled
from wmbackup.errors import Cancelled, ExitCode, UsageError, WmbackupError

_FLAGS = {"--json": "json", "--quiet": "quiet", "--debug": "debug"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; see the manual."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _speak_plainly()
    session = Session(_before_parsing(arguments))
    code: ExitCode | None = ExitCode.FAILED
    with handled():
        try:
            code = _run(session, arguments)
            if code is not None:
                code = _finish(session, code)
        except Interrupted as signal:
            code = signal.exit_code
    return ExitCode.OK if code is None else code


def _speak_plainly() -> None:
    """Let no character that a terminal's encoding lacks end the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            encoding = "utf-8" if os.name == "nt" else None
            reconfigure(encoding=encoding, errors="backslashreplace")


def _before_parsing(arguments: Sequence[str]) -> Common:
    """Look for what decides how a usage error is told."""
    words = list(arguments)
    if "--" in words:
        words = words[: words.index("--")]
    given = {
        name: flag in words or _is_set(f"WMBACKUP_{name.upper()}") for flag, name in _FLAGS.items()
    }
    return Common(json=given["json"], quiet=given["quiet"], debug=given["debug"])


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "yes", "on", "t", "y"}


def _run(session: Session, arguments: Sequence[str]) -> ExitCode | None:
    """Return the exit code; None where only help or the version was shown."""
    from wmbackup.cli.app import COMMANDS  # noqa: PLC0415 - click loads inside the handlers
    from wmbackup.cli.usage import invoke  # noqa: PLC0415 - as above

    session.command = next((word for word in arguments if word in COMMANDS), None)
    try:
        return invoke(session, arguments)
    except Interrupted as signal:
        _report(session, Cancelled(signal.message))
        return signal.exit_code
    except WmbackupError as error:
        _report(session, error)
        return error.exit_code
    except OSError as error:
        ours = error_of(error)
        _report(session, ours)
        return ours.exit_code
    except Exception as error:  # noqa: BLE001 - the last place; --debug shows where it came from
        if type(error).__name__ == "ClosedOutput":
            return _closed()
        problem = WmbackupError(
            f"this is a bug: {type(error).__name__}: {error}",
            hint="run it again with --debug and report what it prints",
        )
        _report(session, problem)
        return ExitCode.FAILED


def _report(session: Session, error: WmbackupError) -> None:
    if session.common.debug:
        traceback.print_exc(file=sys.stderr)
    with contextlib.suppress(_closed_output()):
        session.output.error(error)


def _closed_output() -> type[Exception]:
    from wmbackup.cli.output import ClosedOutput  # noqa: PLC0415 - on the way out only

    return ClosedOutput


def _finish(session: Session, code: ExitCode) -> ExitCode:
    code = session.strictly(code)
    try:
        session.output.finish(code)
    except _closed_output():
        closed = _closed()
        return closed if code in {ExitCode.OK, ExitCode.PARTIAL} else code
    return code


def _closed() -> ExitCode:
    """Give standard output up without a word: whoever read it has gone."""
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
    return ExitCode.FAILED


__all__ = ["UsageError", "main"]

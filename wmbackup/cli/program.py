"""One run of the command line: what happens becomes an exit code here, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from wmbackup import limits
from wmbackup.cli.render import next_steps, shell
from wmbackup.cli.render.choice import make_output
from wmbackup.cli.render.stdout import ClosedOutput
from wmbackup.cli.session import Common, Session
from wmbackup.cli.signals import Interrupted
from wmbackup.cli.surroundings import error_of, failure_of
from wmbackup.errors import Cancelled, ExitCode, SystemFailure, WmbackupError
from wmbackup.storage import remains

# Where memory ends in the midst of an import, CPython says SystemError as well.
_OF_SURROUNDINGS = (ImportError, MemoryError, RuntimeError, SystemError, OSError)
_FLAGS = {"--json": "json", "--quiet": "quiet", "--debug": "debug"}


def run(arguments: Sequence[str]) -> ExitCode:
    """Run the command line and return the exit code; see the manual."""
    _fill_gaps()
    _speak_plainly()
    session = Session(_before_parsing(arguments), make_output)
    session.arguments = (*arguments,)
    code = _run(session, arguments)
    return ExitCode.OK if code is None else _finish(session, code)


def _fill_gaps() -> None:
    """Let no file that is opened later get the number of a standard stream that is closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _speak_plainly() -> None:
    """Let no character that a terminal's encoding lacks end the run."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            encoding = "utf-8" if os.name == "nt" else None
            reconfigure(encoding=encoding, errors="backslashreplace")


def _before_parsing(arguments: Sequence[str]) -> Common:
    """Look for what decides how a usage error is told."""
    words = [*arguments]
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
    try:
        if limits.is_too_small():
            raise MemoryError  # noqa: TRY301 - here, so that it is told like any other
        from wmbackup.cli import before
        from wmbackup.cli.usage import invoke

        session.before = before
        return invoke(session, arguments)
    except Interrupted as signal:
        _report(session, Cancelled(signal.message))
        return signal.exit_code
    except WmbackupError as error:
        _report(session, error)
        return error.exit_code
    except (ClosedOutput, BrokenPipeError):
        session.stdout.give_up()
        return ExitCode.FAILED
    except OSError as error:
        # What runs before a command prints its help or the version, and nothing else.
        ours = (
            error_of(error)
            if session.running
            else SystemFailure.of(error, "write to", "standard output")
        )
        _report(session, ours)
        return ours.exit_code
    except Exception as error:  # noqa: BLE001 - the last place; --debug shows where it came from
        _report(session, failure_of(error))
        return ExitCode.FAILED


def _report(session: Session, error: WmbackupError) -> None:
    if session.common.debug:
        import traceback

        with contextlib.suppress(OSError, AttributeError):
            traceback.print_exc(file=sys.stderr)
    with contextlib.suppress(*_OF_SURROUNDINGS):
        from wmbackup.cli.render.hints import complete

        complete(error, session.arguments, session.params)
    try:
        session.output.error(error)
    except ClosedOutput:
        if session.stdout.failure is error:
            _last_word(error)
    except _OF_SURROUNDINGS:
        _last_word(
            error, with_hint=True
        )  # what ended the run keeps its error from being told as it should


def _last_word(error: WmbackupError, *, with_hint: bool = False) -> None:
    """Tell on standard error why nothing more is told as it should."""
    with contextlib.suppress(OSError, AttributeError):
        sys.stderr.write(f"wmbackup: error: {error.message}\n")
        hint = next_steps.of_error(error) if with_hint else None
        if hint is not None:
            sys.stderr.write(f"hint: {hint}\n")
        sys.stderr.flush()


def _finish(session: Session, code: ExitCode) -> ExitCode:
    code = _concluded(session, session.strictly(code))
    try:
        for path, error in remains.take():
            reason = (error.strerror or type(error).__name__).lower()
            message = f"{path} could not be removed: {reason}"
            remove = shell.remove(path, is_folder=os.path.isdir(path))
            session.output.warning("left-behind", message, remove)
        if session.running:
            from wmbackup.cli import notice

            notice.show(session)
        session.output.finish(code)
    except ClosedOutput:
        return _at_least_failed(code)
    except WmbackupError as error:
        # An error that standard error has told already is the one that matters.
        if code in {ExitCode.OK, ExitCode.PARTIAL} or session.common.json:
            _last_word(error)
        return _at_least_failed(code)
    except _OF_SURROUNDINGS as error:
        if code in {ExitCode.OK, ExitCode.PARTIAL}:
            _last_word(error_of(error) if isinstance(error, OSError) else failure_of(error))
        return _at_least_failed(code)
    return code


def _concluded(session: Session, code: ExitCode) -> ExitCode:
    """Tell those who did not watch how the run ended; return the exit code that this leaves."""
    if session.monitor is None:
        return code
    try:
        return session.monitor.end(code)
    except (ClosedOutput, *_OF_SURROUNDINGS):
        return _at_least_failed(code)


def _at_least_failed(code: ExitCode) -> ExitCode:
    return ExitCode.FAILED if code in {ExitCode.OK, ExitCode.PARTIAL} else code

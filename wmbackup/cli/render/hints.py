"""The next step after an error, as a command that works when it is pasted into a shell.

What is below the command line knows neither how the program was called nor which options there
are: it raises errors with codes. Here a code becomes the command line that was given, with what
would have helped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

import click

from wmbackup.cli.render import next_steps, shell
from wmbackup.cli.render.next_steps import of_error
from wmbackup.errors import WmbackupError
from wmbackup.status import WarningEvent

_RECOVERED = "recovered"
_RESTORED = "restored"
_WAIT = 60  # seconds


def command_line(*words: str) -> str:
    """Return a command of this program, quoted for the shell of this system."""
    return " ".join(["wmbackup", *map(shell.quote, words)])


_COMMANDS = "wmbackup|rm|mkdir|mv|chmod|ulimit|printf|icacls|cmd|ssh-add|ssh-keygen|age"
_COMMAND = re.compile(rf"(?:\A|: )((?:{_COMMANDS}) .*)\Z", re.DOTALL)


def hint_lines(hint: str, wrapped: Callable[[str, str, TextIO], str]) -> str:
    """Return a hint for standard error; a command in it is left for the terminal to break."""
    told = wrapped("hint: ", hint, sys.stderr)
    found = _COMMAND.search(hint) if "\n" in told else None
    if found is None:
        return told
    return f"{wrapped('hint: ', hint[: found.start(1)].rstrip(), sys.stderr)}\n  {found[1]}"


class Line:
    """The command line that was given, to be given again with a change."""

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words behind the program's name."""
        self.words = [*words]

    def again(self, *more: str, without: Sequence[str] = ()) -> str:
        """Return it with more options, and without some flags."""
        words = [word for word in self.words if word not in without]
        end = words.index("--") if "--" in words else len(words)
        return command_line(*words[:end], *more, *words[end:])

    def corrected(self, given: str, meant: str) -> str | None:
        """Return it with another word in the place of one; None if it has no such word."""
        words = [_exchanged(word, given, meant) for word in self.words]
        return None if words == self.words else command_line(*words)

    def with_value(self, option: str, value: str) -> str:
        """Return it with another value of an option."""
        words = [*self.words]
        for at, word in enumerate(words):
            if word == option and at + 1 < len(words):
                words[at + 1] = value
                return command_line(*words)
            if word.startswith(f"{option}="):
                words[at] = f"{option}={value}"
                return command_line(*words)
        return self.again(option, value)

    def without_values(self, names: Sequence[str], *, keep: int = 0) -> str:
        """Return it without an option and its values, or with the last ``keep`` of them."""
        end = self.words.index("--") if "--" in self.words else len(self.words)
        found: list[range] = []
        at = 0
        while at < end:
            size = _size_of_option(self.words[at], names)
            if size:
                found.append(range(at, at + size))
            at += size or 1
        gone = {at for places in found[: len(found) - keep] for at in places}
        return command_line(*(word for at, word in enumerate(self.words) if at not in gone))


def _size_of_option(word: str, names: Sequence[str]) -> int:
    """Return how many words an option takes with its value; 0 for another one."""
    if word in names:
        return 2
    return int(any(word.startswith(f"{name}=" if name[1] == "-" else name) for name in names))


def _exchanged(word: str, given: str, meant: str) -> str:
    if word == given:
        return meant
    if given and len(word) == len(given) + 2 and re.match(r"-\w", word) and word.endswith(given):
        return word[:2] + meant  # a short option with its value
    name, equals, value = word.partition("=")
    if equals and name.startswith("-"):
        if name == given:
            return f"{meant}={value}"
        if value == given:
            return f"{name}={meant}"
    return word


def _line() -> Line | None:
    """Return the command line that is being run; None if there is none."""
    from wmbackup.cli.session import Session

    ctx = click.get_current_context(silent=True)
    session = None if ctx is None else ctx.find_object(Session)
    return None if session is None else Line(session.arguments)


def again(*more: str, without: Sequence[str] = ()) -> str:
    """Return the command line that is being run, with more options and without some flags."""
    line = _line() or Line(())
    return line.again(*more, without=without)


def with_value(option: str, value: str) -> str:
    """Return the command line that is being run, with another value of an option."""
    return (_line() or Line(())).with_value(option, value)


def without_values(names: Sequence[str], *, keep: int = 0) -> str:
    """Return the command line that is being run without an option; see `Line.without_values`."""
    return (_line() or Line(())).without_values(names, keep=keep)


def instead(given: str, meant: str, option: str = "") -> str:
    """Return the command line with another value: of an option, or of an argument without one.

    A value that the environment or the configuration has is overruled by the option.
    """
    line = _line() or Line(())
    found = line.corrected(given, meant)
    if found is None and option:
        found = line.with_value(option, meant)
    return found or command_line(*line.words)


def did_you_mean(given: str, meant: Sequence[str]) -> str:
    """Return the command line with what was meant, or only that where it is not on it."""
    line = _line()
    found = None if line is None else line.corrected(given, meant[0])
    return f"did you mean: {found}" if found else f"did you mean {' or '.join(meant)}?"


def complete(error: WmbackupError, words: Sequence[str], params: Mapping[str, Any]) -> None:
    """Give an error from below the command line a hint that has the whole command.

    ``words`` are those of the command line, ``params`` what the command made of them.
    """
    find = _HINTS.get(error.code)
    hint = None if find is None else find(error, Line(words), params)
    error.hint = hint or error.hint


def of_warning(event: WarningEvent, words: Sequence[str]) -> str | None:
    """Return the next step after a warning, with the whole command where it is one.

    ``words`` are those of the command line.
    """
    line = Line(words)
    if event.code == "files-left-out" and event.reason != "all":
        return _left_out(line)
    if event.code == "root-missing" and event.reason is None and event.subject is not None:
        return f"to restore the root as well: {line.again('--kid', event.subject)}"
    return next_steps.of_warning(event)


def _left_out(line: Line) -> str | None:
    words = set(line.words)
    is_backup, is_dry = "backup" in words, not words.isdisjoint({"-n", "--dry-run"})
    is_listed = not words.isdisjoint({"-v", "-vv", "--verbose", "--json"})
    if is_listed and not is_backup:
        return None
    if not is_listed:
        more = ["--dry-run"] if is_backup and not is_dry else []  # the archive exists by now
        return f"to list them: {line.again(*more, '--verbose')}"
    more = [] if is_dry or not words.isdisjoint({"-f", "--force"}) else ["--force"]
    return f"to back them up as well: {line.again('--all-files', *more)}"


_Find = Callable[["WmbackupError", Line, Mapping[str, Any]], str | None]


def _output_exists(_error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    return f"to replace it: {line.again('--force')}" if "force" in params else None


def _busy(_error: WmbackupError, line: Line, _params: Mapping[str, Any]) -> str | None:
    return f"to wait for it: {line.again('--lock-wait', str(_WAIT))}"


def _conflict(error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    if "on_conflict" not in params or "--on-conflict" not in (of_error(error) or ""):
        return None  # nothing that skipping would help
    if params["on_conflict"] != "fail":
        return f"to restore into another folder: {line.with_value('--to', _RESTORED)}"
    return f"to leave the existing files as they are: {line.again('--on-conflict', 'skip')}"


def _read_only(_error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    return (
        f"to restore into a folder: {line.with_value('--to', _RESTORED)}"
        if params.get("target")
        else None
    )


def _salvage(error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    hint = of_error(error) or ""
    if "--salvage" not in hint:
        return None
    if "salvage" in params:
        return None if params["salvage"] else f"to recover what is valid: {line.again('--salvage')}"
    archives = [word for word in line.words if error.message.startswith(f"{word}: ")]
    if not archives:
        return "save the archive to a file, then recover what is valid with wmbackup restore"
    found = command_line("restore", archives[0], "--salvage", "--dry-run", "--to", _RECOVERED)
    return f"to see what can be recovered: {found}"


def _nothing_found(error: WmbackupError, _line: Line, params: Mapping[str, Any]) -> str | None:
    hint, archive, store = of_error(error) or "", params.get("archive"), params.get("store")
    words = [str(archive)] if archive else ["--store", str(store)]
    if error.reason == "no-archives":
        if not isinstance(archive, str):
            return None
        return f"to list it as a store: {command_line('list', '--store', archive)}"
    if "wmbackup list" not in hint or archive == "-" or not (archive or store):
        return None
    if "--at-risk" in hint:
        return f"to see what its issuers withhold: {command_line('list', *words, '--at-risk')}"
    return f"to see what is there, with paths as --path takes them: {command_line('list', *words)}"


def _key_missing(error: WmbackupError, _line: Line, _params: Mapping[str, Any]) -> str | None:
    return error.hint or f"to make one: {command_line('key', 'create')}"


def _incomplete(error: WmbackupError, line: Line, _params: Mapping[str, Any]) -> str | None:
    if "--strict" not in line.words:
        return of_error(error)
    return f"to back up the rest: {line.again(without=['--strict'])}"


def _failed(error: WmbackupError, line: Line, _params: Mapping[str, Any]) -> str | None:
    if "--debug" not in (of_error(error) or "") or "--debug" in line.words:
        return None
    return f"to see where it comes from: {line.again('--debug')}"


def _timed_out(error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    timeout = params.get("timeout")
    if timeout is None or error.reason is not None:
        return None
    longer = line.with_value("--timeout", f"{10 * timeout:g}")
    return f"nothing was changed; to give it more time: {longer}"


def _usage(error: WmbackupError, line: Line, params: Mapping[str, Any]) -> str | None:
    if error.reason == "archive-is-folder" and "columns" in params and error.path is not None:
        words = [word for word in line.words if word != error.path]
        return f"to list it as a store: {Line(words).again('--store', error.path)}"
    if error.reason not in {"selection-for-interface", "not-of-interface"}:
        return None
    return f"to restore into a folder: {line.with_value('--to', f'folder:{_RESTORED}')}"


_HINTS: dict[str, _Find] = {
    "timed-out": _timed_out,
    "usage": _usage,
    "output-exists": _output_exists,
    "busy": _busy,
    "restore-conflict": _conflict,
    "store-read-only": _read_only,
    "archive-damaged": _salvage,
    "archive-truncated": _salvage,
    "not-found": _nothing_found,
    "signing-key-missing": _key_missing,
    "incomplete": _incomplete,
    "failed": _failed,
    "system": _failed,
}

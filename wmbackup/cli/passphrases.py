"""Passphrases: where they come from. Never from the value of an option, and never shown again.

A file, a file descriptor, the output of a command, or the terminal; each is read when the
passphrase is needed.
"""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from wmbackup.cli.click_ext import Option, on_command_line
from wmbackup.cli.render import next_steps
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, SetupUnusable, SystemFailure, UsageError

MAX_PASSPHRASE = 64 * 1024  # bytes
_STANDARD_INPUT = 0


class PassphraseGiven(NamedTuple):
    """What the options say; at most one of them does. It has no secret in it.

    ``prefix`` is that of the options, without hyphens before it.
    """

    asked: bool
    file: str | None
    descriptor: int | None
    command: str | None
    prefix: str = "passphrase"

    @property
    def given(self) -> bool:
        """Whether any option names a passphrase."""
        return bool(self.ways)

    @property
    def ways(self) -> list[str]:
        """The options that do."""
        values = (self.asked or None, self.file, self.descriptor, self.command)
        names = ("", "-file", "-fd", "-command")
        return [
            f"--{self.prefix}{name}"
            for name, value in zip(names, values, strict=True)
            if value is not None
        ]

    @property
    def on_command_line(self) -> bool:
        """Whether the command line itself names one."""
        names = ("", "_file", "_fd", "_command")
        return any(on_command_line(self.prefix.replace("-", "_") + name) for name in names)

    def none(self) -> PassphraseGiven:
        """Return what says nothing."""
        return PassphraseGiven(False, None, None, None, self.prefix)

    def takes_standard_input(self) -> bool:
        """Whether it is read from standard input."""
        return self.descriptor == _STANDARD_INPUT


def passphrase_options(
    section: str, purpose: str
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Declare the options; the function gets what they say as ``passphrase``.

    ``purpose`` begins what the help says of them.
    """
    options = [
        Option(
            ["--passphrase"], is_flag=True, section=section, command_line_only=True,
            help=f"{purpose} that you are asked for on the terminal",
        ),
        Option(
            ["--passphrase-file"], metavar="F", section=section,
            help=f"{purpose} from this file, which has one line",
        ),
        Option(
            ["--passphrase-fd"], metavar="N", section=section, command_line_only=True,
            type=click.IntRange(min=0), help=f"{purpose} from this file descriptor",
        ),
        Option(
            ["--passphrase-command"], metavar="C", section=section, from_environment=False,
            help=f"{purpose} that this command prints, run without a shell",
        ),
    ]  # fmt: skip

    def declare(function: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
        @functools.wraps(function)
        def called(*arguments: Any, passphrase: bool, **more: Any) -> ExitCode:  # noqa: ANN401 - those of the function
            values = [more.pop(f"passphrase_{name}") for name in ("file", "fd", "command")]
            given = settled(PassphraseGiven(passphrase, *values))
            if given.command is not None and not on_command_line("passphrase_command"):
                refuse_writable(arguments[0], "passphrase-command")
            return function(*arguments, passphrase=given, **more)

        below: list[click.Parameter] = getattr(function, "__click_params__", [])
        called.__click_params__ = [*below, *reversed(options)]  # type: ignore[attr-defined] # as click keeps them
        return called

    return declare


def settled(given: PassphraseGiven) -> PassphraseGiven:
    """Return the one way; the command line goes before the configuration. Raises UsageError."""
    if given.on_command_line and len(given.ways) > 1:
        name = given.prefix.replace("-", "_")
        given = PassphraseGiven(
            given.asked,
            given.file if on_command_line(f"{name}_file") else None,
            given.descriptor,
            given.command if on_command_line(f"{name}_command") else None,
            given.prefix,
        )
    if len(given.ways) > 1:
        raise UsageError(
            f"{' and '.join(given.ways)} contradict each other", hint="name one passphrase, once"
        )
    return given


def asker(
    session: Session, given: PassphraseGiven, prompt: str, *, twice: bool = False
) -> Callable[[], bytes]:
    """Return what gets the passphrase when it is called.

    ``twice`` has it repeated on the terminal, since what it protects is still to be made. What is
    returned raises UsageError, SetupUnusable, SystemFailure.
    """
    if given.file is not None:
        path = given.file
        return lambda: _of_file(session, path, given)
    if given.descriptor is not None:
        descriptor = given.descriptor
        return lambda: _of_descriptor(descriptor)
    if given.command is not None:
        command = given.command
        return lambda: _of_command(command)
    return lambda: _of_terminal(session, given, prompt, twice=twice)


def _of_file(session: Session, path: str, given: PassphraseGiven) -> bytes:
    from wmbackup.trust import small_files

    if not path:
        raise UsageError(f"--{given.prefix}-file names no file", hint="name a file")
    found = small_files.read(path, "the passphrase")
    if found is None:
        raise SetupUnusable(f"there is no file {path}", hint="check its path")
    if small_files.is_exposed(path, found.mode):
        text = f"other users can read the passphrase in {path}"
        session.output.warning("passphrase-exposed", text, next_steps.hide(path))
    return _one_line(found.data, path)


def _of_descriptor(descriptor: int) -> bytes:
    data = b""
    try:
        # A writer may keep it open: what comes up to the end of the line is enough.
        while b"\n" not in data and len(data) <= MAX_PASSPHRASE:
            part = os.read(descriptor, 4096)
            if not part:
                break
            data += part
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"the passphrase cannot be read from file descriptor {descriptor}: {reason}",
            hint="open it for the command, as in: 3< FILE",
        ) from error
    return _one_line(data, f"file descriptor {descriptor}")


def _of_command(command: str) -> bytes:
    import subprocess

    try:
        words = command if os.name == "nt" else shlex.split(command)
    except ValueError as error:
        text = f"the command for the passphrase cannot be read: {str(error).lower()}"
        raise UsageError(text, hint="check its quotes") from None
    if not words or not command.strip():
        raise UsageError("the command for the passphrase is empty", hint="name a command")
    try:
        # It may ask on the terminal by itself; standard input may be an archive.
        done = subprocess.run(  # noqa: S603 - it is the user's own
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise SystemFailure.of(error, "run", "the command for the passphrase") from error
    if done.returncode:
        what = "was killed" if done.returncode < 0 else f"failed with exit code {done.returncode}"
        raise SetupUnusable(
            f"the command for the passphrase {what}", hint="run it by itself to see why"
        )
    return _one_line(done.stdout, "the output of the command")


def refuse_writable(session: Session, key: str) -> None:
    """Refuse a command of a configuration that others can write: they would run it as this user.

    The folders above it count as well: who can write one can put another below it. Raises
    SetupUnusable, SystemFailure.
    """
    from wmbackup.trust.small_files import find_writer

    words = tuple(click.get_current_context().command_path.split()[1:])
    found = (one.find(words, key, session.profile) for one in session.configs)
    file = next((value.file for value in found if value is not None), None)
    exposed = None if file is None else find_writer(file)
    if exposed is not None:
        raise SetupUnusable(
            f"{key} of {file} is not run: other users can write {exposed.path}",
            hint=next_steps.of_exposed(exposed),
        )


def _of_terminal(session: Session, given: PassphraseGiven, prompt: str, *, twice: bool) -> bytes:
    if not session.interactive:
        raise UsageError(
            "a passphrase is needed, and there is no terminal to ask for it",
            hint=f"add --{given.prefix}-file, --{given.prefix}-fd or --{given.prefix}-command",
        )
    import getpass

    with session.waiting():
        try:
            text = getpass.getpass(f"{prompt}: ")
            if twice and text and getpass.getpass("The same again: ") != text:
                raise UsageError("the two passphrases differ", hint="run it again")
        except EOFError:
            text = ""
    return _one_line(text.encode("utf-8", "surrogateescape"), "the answer")


def _one_line(data: bytes, place: str) -> bytes:
    """Return a passphrase without the end of its line. Raises UsageError, which has none of it."""
    line, end, rest = data.partition(b"\n")
    line = line.removesuffix(b"\r") if end else line
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        what = "is UTF-16, as Windows PowerShell writes texts; save it as UTF-8"
    elif len(line) > MAX_PASSPHRASE:
        what = f"is longer than {MAX_PASSPHRASE // 1024} KiB"
    elif rest:
        what = "has more than one line"
    elif not line:
        what = "is empty"
    elif b"\0" in line:
        what = "has a zero byte"
    else:
        return line.removeprefix(b"\xef\xbb\xbf")
    raise UsageError(f"the passphrase of {place} {what}", hint="it is one line of text")

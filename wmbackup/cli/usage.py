"""Running the command tree, and telling in our own words what click found wrong."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import click
from click.core import ParameterSource

from wmbackup.cli.click_ext import COMMANDS, program
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, UsageError

# click tells which value was wrong in its sentence alone.
_GIVEN = re.compile(r"'?(.*?)'? is not (?:one of|a valid|in the range)")
_STRAY = re.compile(r"unexpected extra argument \((.*)\)", re.DOTALL)
_WANTED = {"boolean": "1 or 0", "integer range": "a whole number, 0 or more"}


def invoke(session: Session, arguments: Sequence[str]) -> ExitCode | None:
    """Parse and run; return None where only help or the version was shown.

    Raises UsageError and whatever the command raises.
    """
    session.command = _command(arguments)
    session.arguments = tuple(arguments)
    try:
        result = program.main(
            list(arguments), prog_name="wmbackup", standalone_mode=False, obj=session
        )
    except click.UsageError as error:
        raise _translated(error, session.command, arguments) from error
    return result if isinstance(result, ExitCode) else None


def _command(arguments: Sequence[str]) -> str | None:
    """Return the command that is asked for, also where the parser does not come as far."""
    valued = {
        name
        for option in program.params
        if isinstance(option, click.Option) and not (option.is_flag or option.count)
        for name in option.opts
    }
    words = iter(arguments)
    for word in words:
        if word in valued:
            next(words, None)  # a value, whatever it is called like
        elif not word.startswith("-"):
            return word if word in COMMANDS else None
    return None


def _translated(error: click.UsageError, name: str | None, arguments: Sequence[str]) -> UsageError:
    message = _message(error)
    possibilities = _closest(error)
    if possibilities:
        hint = "did you mean " + " or ".join(possibilities) + "?"
    elif name == "backup" and (extra := _stray(error, arguments)) is not None:
        hint = f"did you mean --store {shlex.quote(extra)}?"
    elif isinstance(error, click.NoSuchOption) and (home := _home(error.option_name, arguments)):
        hint = home
    else:
        # The parser itself does not know whose options it reads.
        below = f"wmbackup {name}" if name else "wmbackup"
        command = below if error.ctx is None else error.ctx.command_path
        hint = f"see {command} --help"
    return UsageError(message, hint=hint)


def _stray(error: click.UsageError, arguments: Sequence[str]) -> str | None:
    """Return an argument too many where no store was named that it can be."""
    extra = _STRAY.search(error.format_message())
    has_store = any(word.partition("=")[0] == "--store" for word in arguments)
    return None if extra is None or has_store else extra[1]


def _closest(error: click.UsageError) -> list[str]:
    """Return what may have been meant, the likeliest first."""
    import difflib

    possibilities: Sequence[str] = getattr(error, "possibilities", None) or ()
    name = str(getattr(error, "option_name", None) or getattr(error, "command_name", ""))
    choices = getattr(getattr(getattr(error, "param", None), "type", None), "choices", None)
    if choices is not None and (given := _GIVEN.match(error.message)):
        name, possibilities = given[1], [str(choice) for choice in choices]
    return difflib.get_close_matches(name, possibilities, n=2, cutoff=0.7)


def _home(option: str, arguments: Sequence[str]) -> str | None:
    """Return where an option belongs that does not stand where it was found."""
    homes = list(_having(program, option, ()))
    if not homes:
        return None
    # Which word is the command cannot be told where an option before it is unknown.
    command = next((word for word in arguments if word in homes), None)
    if command is not None:
        return f"write it behind the command: wmbackup {command} {option}"
    return f"it is an option of {', '.join(homes)}"


def _having(command: click.Command, option: str, words: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None:
                yield from _having(below, option, (*words, name))
    elif any(option in (*param.opts, *param.secondary_opts) for param in command.params):
        yield " ".join(words)


def complaint(error: click.BadParameter) -> str:
    """Return what is wrong with a value, in our words where click's are those of programmers."""
    text = error.message.strip().removesuffix(".")
    wanted = _WANTED.get(getattr(getattr(error.param, "type", None), "name", ""))
    given = _GIVEN.match(text)
    return text if wanted is None or given is None else f"'{given[1]}' is not {wanted}"


def _message(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"no such option: {error.option_name}"
    if isinstance(error, click.MissingParameter):
        return f"{_name(error.param)} is missing"
    if isinstance(error, click.BadParameter) and isinstance(error.param, click.Option):
        return f"invalid value for {_origin(error)}: {complaint(error)}"
    text = error.format_message().split(". Recognized values")[0].strip().removesuffix(".")
    return text[:1].lower() + text[1:]


def _origin(error: click.BadParameter) -> str:
    name = error.param.name if error.param is not None else None
    source = error.ctx.get_parameter_source(name) if error.ctx is not None and name else None
    if source is ParameterSource.ENVIRONMENT:
        return str(getattr(error.param, "envvar", ""))
    return f"'{_name(error.param)}'"


def _name(param: click.Parameter | None) -> str:
    if param is None:
        return "a parameter"
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return param.human_readable_name

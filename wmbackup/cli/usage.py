"""Running the command tree, and telling in our own words what click found wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click
from click.core import ParameterSource

from wmbackup.cli.click_ext import COMMANDS, program
from wmbackup.cli.render.hints import Line, command_line
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, UsageError

# click tells which value was wrong in its sentence alone.
_GIVEN = re.compile(r"'?(.*?)'? is not (?:one of|a valid|in the range)")


def invoke(session: Session, arguments: Sequence[str]) -> ExitCode | None:
    """Parse and run; return None where only help or the version was shown.

    Raises UsageError and whatever the command raises.
    """
    session.command = _command(arguments)
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
    line = Line(arguments)
    hint = _with_what_was_meant(error, line) or _with_its_option(error, line)
    if hint is None and isinstance(error, click.NoSuchOption):
        hint = _home(error.option_name, line)
    if hint is None:
        # The parser itself does not know whose options it reads.
        words = [name] if name else []
        if error.ctx is not None:
            words = error.ctx.command_path.split()[1:]
        hint = f"for help: {command_line(*words, '--help')}"
    return UsageError(_message(error), hint=hint)


def _with_what_was_meant(error: click.UsageError, line: Line) -> str | None:
    """Return the command line without the mistake, where it can be told what was meant."""
    given, meant = _closest(error)
    if not meant:
        return None
    corrected = line.corrected(given, meant[0])
    return f"did you mean: {corrected}" if corrected else f"did you mean {' or '.join(meant)}?"


# What a word may be that a command has no use for: the commands and the options that take it.
_FORGOTTEN = {"backup": "--store", "check": "--store", "restore": "--to"}
_EXTRA = re.compile(r"[Gg]ot unexpected extra argument \((.*)\)\Z", re.DOTALL)


def _with_its_option(error: click.UsageError, line: Line) -> str | None:
    """Return the command line with the option before a word that lacks it."""
    extra = _EXTRA.match(error.message.strip())
    option = _FORGOTTEN.get(error.ctx.command.name or "") if error.ctx is not None else None
    if extra is None or option is None or line.words.count(extra[1]) != 1:
        return None
    if any(word == option or word.startswith(f"{option}=") for word in line.words):
        return None
    at = line.words.index(extra[1])
    words = [*line.words[:at], option, *line.words[at:]]
    return f"did you mean: {command_line(*(word for word in words if word != '--'))}"


def _closest(error: click.UsageError) -> tuple[str, list[str]]:
    """Return what was given, and what may have been meant, the likeliest first."""
    import difflib

    possibilities: Sequence[str] = getattr(error, "possibilities", None) or ()
    given = str(getattr(error, "option_name", None) or getattr(error, "command_name", ""))
    choices = getattr(getattr(getattr(error, "param", None), "type", None), "choices", None)
    if choices is not None and (found := _GIVEN.match(error.message)):
        given, possibilities = found[1], [str(choice) for choice in choices]
    return given, difflib.get_close_matches(given, possibilities, n=2, cutoff=0.7)


def _home(option: str, line: Line) -> str | None:
    """Return where an option belongs that is not where it was found."""
    homes = dict(_having(program, option, ()))
    if not homes:
        return None
    # Which word is the command cannot be told where an option before it is unknown.
    command = next((word for word in line.words if word in homes), None)
    if command is None:
        return f"it is an option of {' and of '.join(homes)}"
    moved = _behind(line, option, command, takes_value=homes[command])
    return f"it belongs behind the command: {moved or command_line(command, '--help')}"


def _behind(line: Line, option: str, command: str, *, takes_value: bool) -> str | None:
    """Return the command line with an option moved behind the command."""
    words = line.words
    at = next((n for n, word in enumerate(words) if word.partition("=")[0] == option), None)
    if at is None or words.index(command) < at:
        return None
    end = at + (2 if takes_value and "=" not in words[at] else 1)
    return command_line(*words[:at], *words[end:], *words[at:end])


def _having(
    command: click.Command, option: str, words: tuple[str, ...]
) -> Iterator[tuple[str, bool]]:
    """Yield the commands that have an option, and whether it takes a value."""
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None:
                yield from _having(below, option, (*words, name))
        return
    for param in command.params:
        if option in (*param.opts, *param.secondary_opts) and isinstance(param, click.Option):
            yield " ".join(words), not (param.is_flag or param.count)


def complaint(error: click.BadParameter) -> str:
    """Return what is wrong with a value, in our words where click's are those of programmers."""
    text = error.message.strip().removesuffix(".")
    wanted = _wanted(getattr(error.param, "type", None))
    given = _GIVEN.match(text)
    return text if wanted is None or given is None else f"'{given[1]}' is not {wanted}"


def _wanted(kind: object) -> str | None:
    """Return what a value of a type is, where click has other words for it."""
    if isinstance(kind, click.types.BoolParamType):
        return "1 or 0"
    if not isinstance(kind, click.IntRange):
        return None
    if kind.max is not None:
        return f"a whole number from {kind.min or 0} to {kind.max}"
    return f"a whole number, {kind.min or 0} or more"


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

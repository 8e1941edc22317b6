"""The configuration and the command tree: which keys there are, and what is in force for whom."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from wmbackup.cli.click_ext import (
    COMMON,
    FROM_COMMAND_LINE,
    PREFIX,
    Seconds,
    on_command_line,
    program,
)
from wmbackup.cli.render.hints import did_you_mean
from wmbackup.cli.session import Session, config_folder, site_config_folder
from wmbackup.cli.usage import complaint
from wmbackup.errors import SetupUnusable, SystemFailure, UsageError

if TYPE_CHECKING:
    from wmbackup.cli.config import Config, Key, Table, Value

FILE = "wmbackup.toml"
_NUMBERS = {"integer", "integer range", "float"}


def key_of(option: click.Option) -> str:
    """Return the key of an option: its long name without the hyphens before it."""
    return max(option.opts, key=len).lstrip("-")


def options_of(command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command that can be configured."""
    for param in command.params:
        if isinstance(param, click.Option) and getattr(param, "configured", False):
            yield param


def commands_below(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group, loaded."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is not None:
            yield name, command


def schema() -> Table:
    """Return what a file may hold, by the live tree: all commands are loaded for it."""
    from wmbackup.cli.config import Table

    top = _table(program)
    return Table(top.keys, {**top.tables, "profile": Table(named=top)})


def _table(command: click.Command) -> Table:
    from wmbackup.cli.config import Table

    keys = {key_of(option): _key(option) for option in options_of(command)}
    tables = {}
    if isinstance(command, click.Group):
        tables = {name: _table(below) for name, below in commands_below(command)}
    for below in tables.values():
        # A group takes what the commands below it take.
        keys = {**below.keys, **keys}
    return Table(keys, tables)


def _key(option: click.Option) -> Key:
    from wmbackup.cli.config import Key, Kind

    if option.count:
        kind = Kind.COUNT
    elif option.is_flag:
        kind = Kind.FLAG
    elif isinstance(option.type, Seconds) or option.type.name in _NUMBERS:
        kind = Kind.NUMBER
    else:
        kind = Kind.TEXT
    choices = tuple(str(choice) for choice in getattr(option.type, "choices", ()))

    def judge(value: object) -> str | None:
        if isinstance(option.type, click.IntRange) and isinstance(value, float):
            return f"{value} is not a whole number"
        try:
            option.type.convert(value, option, None)
        except click.BadParameter as error:
            return error.message.rstrip(".")
        return None

    return Key(kind, option.multiple, choices, judge)


def read() -> tuple[Config, ...]:
    """Read the files, the user's first. Raises ConfigInvalid, SystemFailure."""
    found = []
    known: Table | None = None
    for folder in (config_folder(), site_config_folder()):
        text = None if folder is None else _read(os.path.join(folder, FILE))
        if folder is not None and text is not None:
            from wmbackup.cli.config import parse

            known = known or schema()
            found.append(parse(os.path.join(folder, FILE), text, known))
    return tuple(found)


def _read(path: str) -> bytes | None:
    from wmbackup.cli.config_bounds import MAX_FILE
    from wmbackup.storage.files import read_small_file

    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            from wmbackup.cli.config import ConfigInvalid

            raise ConfigInvalid(f"{path} is a pipe", hint="make it a file")
    except OSError:  # which reading it says better
        pass
    try:
        found = read_small_file(path, MAX_FILE)
    except NotADirectoryError:
        return None
    except OSError as error:
        from wmbackup.storage.trouble import is_of_file

        failure = SystemFailure.of(error, "read the configuration", path)
        if is_of_file(error):
            raise SetupUnusable(failure.message, reason=failure.reason, path=path) from error
        raise failure from error
    return None if found is None else found.data


def defaults(session: Session, ctx: click.Context) -> dict[str, Any]:
    """Return what the configuration says for a command, by the names of its parameters.

    Raises ConfigInvalid, SystemFailure, and UsageError for a profile that is nowhere.
    """
    session.configs = read()
    profile = session.profile
    names = [name for one in session.configs for name in one.profiles]
    if profile is not None and profile not in names:
        import difflib

        close = difflib.get_close_matches(profile, names, n=2)
        raise UsageError(f"there is no profile {profile}", hint=_profiles(profile, close, names))
    words = tuple(ctx.command_path.split()[1:])
    values = {}
    for option in options_of(ctx.command):
        found = _find(session, words, option)
        if found is not None and option.name is not None:
            values[option.name] = found.value
    return values


def _profiles(given: str, close: list[str], names: list[str]) -> str:
    if close:
        return did_you_mean(given, close)
    if names:
        return f"there are: {', '.join(dict.fromkeys(names))}"
    folder = config_folder()
    return "no file has profiles" + (f"; make {os.path.join(folder, FILE)}" if folder else "")


def _find(session: Session, words: tuple[str, ...], option: click.Option) -> Value | None:
    for one in session.configs:
        found = one.find(words, key_of(option), session.profile)
        if found is not None:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force; ``commands`` are those that it holds for, () for all.

    ``wrong`` is what they will complain of; of the configuration all was judged when it was read.
    """

    key: str
    value: str
    origin: str
    wrong: str | None
    commands: tuple[str, ...]


def in_force(session: Session, ctx: click.Context) -> list[Setting]:
    """Return every value that is not the built-in one, with where it comes from."""
    holds: dict[tuple[str, str, str, str | None], list[str]] = {}
    having: dict[str, int] = {}
    for words, command in _leaves(program, ()):
        for option in command.params:
            if not isinstance(option, click.Option):
                continue
            key = key_of(option)
            having[key] = having.get(key, 0) + 1
            told = _told(session, ctx, words, option)
            if told is not None:
                holds.setdefault((key, *told), []).append(" ".join(words))
    everywhere = max(having.values(), default=0)
    return [
        Setting(*setting, () if len(commands) == everywhere else tuple(commands))
        for setting, commands in holds.items()
    ]


def in_force_for(session: Session, words: tuple[str, ...], key: str) -> list[str]:
    """Return the values of an option of another command, of the environment or a file, as text.

    ``words`` are those of the command, ``key`` is that of the option; a flag is true or false.
    """
    option = next(
        one
        for command_words, command in _leaves(program, ())
        if command_words == words
        for one in command.params
        if isinstance(one, click.Option) and key_of(one) == key
    )
    variable = option.envvar if isinstance(option.envvar, str) else ""
    text = os.environ.get(variable)
    if text:
        if option.is_flag:
            return [str(option.type.convert(text, option, None)).lower()]
        return text.split() if option.multiple else [text]
    found = _find(session, words, option)
    if found is None:
        return []
    values = found.value if isinstance(found.value, list) else [found.value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _leaves(
    command: click.Command, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for name, below in commands_below(command):
            yield from _leaves(below, (*words, name))
    else:
        yield words, command


def _told(
    session: Session, ctx: click.Context, words: tuple[str, ...], option: click.Option
) -> tuple[str, str, str | None] | None:
    """Return value and origin of an option of a command, and what is wrong with it."""
    name = option.name or ""
    rank, value = session.given.get(name, (0, None))
    if getattr(option, "section", None) == COMMON and rank == FROM_COMMAND_LINE:
        return _shown(value), "the command line", None
    if words == tuple(ctx.command_path.split()[1:]) and on_command_line(name):
        return _shown(ctx.params.get(name)), "the command line", None
    variable = option.envvar if isinstance(option.envvar, str) else ""
    if os.environ.get(variable):
        wrong = _refused(option, os.environ[variable])
        return _shown(os.environ[variable]), f"{variable} in the environment", wrong
    found = _find(session, words, option) if getattr(option, "configured", False) else None
    return None if found is None else (_shown(found.value), found.place, None)


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _refused(option: click.Option, text: str) -> str | None:
    values = text.split() if option.multiple else [text]
    for value in values:
        try:
            option.type.convert(value, option, None)
        except click.BadParameter as error:
            return complaint(error)
    return None


def strange_variables(names: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Yield variables that look like ours and are not, each with one that may be meant."""
    known = {
        option.envvar.removeprefix(PREFIX)
        for _, command in _leaves(program, ())
        for option in command.params
        if isinstance(option.envvar, str)
    }
    for name in names:
        if name.upper().startswith(PREFIX) and name.removeprefix(PREFIX) not in known:
            import difflib

            ending = name[len(PREFIX) :].upper()
            close = difflib.get_close_matches(ending, known, n=1, cutoff=0.7)
            yield name, PREFIX + close[0] if close else None

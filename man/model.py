"""What the manual and the completions say of a command, read from the live command tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from wmbackup.cli.click_ext import COMMANDS, COMMON, program
from wmbackup.cli.commands.explain import known_names

# What the words of a metavar stand for. Of other words nothing can be offered.
_STDIO = "-"
_FILES = {"FILE", "F"}


@dataclass(frozen=True, slots=True)
class Value:
    """What can be given: fixed words, and kinds of names that the shell looks up."""

    metavar: str
    words: tuple[str, ...] = ()
    archives: bool = False
    stores: bool = False
    files: bool = False
    folders: bool = False
    many: bool = False

    @property
    def known(self) -> bool:
        """Whether there is anything to offer."""
        return bool(self.words or self.archives or self.stores or self.files or self.folders)


@dataclass(frozen=True, slots=True)
class Switch:
    """An option; without a value it is a flag. ``negative`` are the names that switch it off."""

    names: tuple[str, ...]
    negative: tuple[str, ...]
    help: str
    section: str
    value: Value | None
    repeats: bool
    variable: str | None

    @property
    def all_names(self) -> tuple[str, ...]:
        """All names, short ones first."""
        return self.names + self.negative

    @property
    def common(self) -> bool:
        """Whether all commands have it."""
        return self.section == COMMON


@dataclass(frozen=True, slots=True)
class Page:
    """A command: ``path`` are the words behind the program's name."""

    path: tuple[str, ...]
    summary: str
    paragraphs: tuple[str, ...]
    example: str
    arguments: tuple[Value, ...]
    switches: tuple[Switch, ...]
    commands: tuple[Page, ...]

    @property
    def own(self) -> tuple[Switch, ...]:
        """The options that not every command has."""
        return tuple(switch for switch in self.switches if not switch.common)

    def walk(self) -> Iterator[Page]:
        """Yield it and all commands below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


def read() -> Page:
    """Return the program, with all that is below it."""
    return _page(program, ())


def _page(command: click.Command, path: tuple[str, ...]) -> Page:
    ctx = click.Context(command, info_name=command.name, **command.context_settings)
    below: list[Page] = []
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None  # noqa: S101 - it was listed
            below.append(_page(found, (*path, name)))
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", command.help or "")]
    params = command.get_params(ctx)
    return Page(
        path=path,
        summary=_summary(path, command, paragraphs[0]),
        paragraphs=tuple(paragraphs),
        example=getattr(command, "example", None) or "",
        arguments=tuple(_argument(one) for one in params if isinstance(one, click.Argument)),
        switches=tuple(_switch(one) for one in params if isinstance(one, click.Option)),
        commands=tuple(below),
    )


def _summary(path: tuple[str, ...], command: click.Command, first: str) -> str:
    short = command.short_help or first
    if len(path) == 1:
        short = COMMANDS[path[0]]
    return short[:1].lower() + short[1:].rstrip(".")


def _argument(argument: click.Argument) -> Value:
    metavar = argument.metavar or (argument.name or "").upper()
    return _value(metavar, argument.type, many=argument.nargs != 1)


def _switch(option: click.Option) -> Switch:
    flag = option.is_flag or option.count
    variable = option.envvar if isinstance(option.envvar, str) else None
    metavar = option.metavar or "|".join(getattr(option.type, "choices", ("VALUE",)))
    return Switch(
        names=tuple(sorted(option.opts, key=len)),
        negative=tuple(option.secondary_opts),
        help=(option.help or "").strip(),
        section=getattr(option, "section", COMMON),
        value=None if flag else _value(metavar, option.type, known=getattr(option, "known", ())),
        repeats=option.multiple or option.count,
        variable=variable,
    )


def _value(metavar: str, kind: object, *, known: Sequence[str] = (), many: bool = False) -> Value:
    words = [*known, *(str(choice) for choice in getattr(kind, "choices", ()))]
    parts = set(re.split(r"[| ]", re.sub(r"[\[\]]|\.\.\.$", "", metavar)))
    if "HRESULT" in parts:
        words += known_names()
    if "COMMAND" in parts:
        words += COMMANDS
    if _STDIO in parts and not words:
        words.append(_STDIO)
    return Value(
        metavar=metavar,
        words=tuple(words),
        archives="ARCHIVE" in parts,
        stores="STORE" in parts,
        files=bool(_FILES & parts),
        folders="FOLDER" in parts and "ARCHIVE" not in parts,  # whose paths lead through them
        many=many,
    )

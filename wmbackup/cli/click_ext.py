"""The command tree: commands that load when they run, options that all of them share, help."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from wmbackup import __version__
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode

if TYPE_CHECKING:
    _FloatType = click.ParamType[float]
else:
    _FloatType = click.ParamType  # old releases know no parameter

COMMANDS = {
    "backup": "back a license store up into a signed archive",
    "restore": "restore an archive, or a selection of it, into a store",
    "list": "show what is in an archive or in a store",
    "verify": "verify every byte of archives and who signed them",
    "status": "show how fresh the archives in folders are",
    "prune": "remove old archives of this machine from a folder",
    "check": "say whether a backup would succeed now",
    "key": "manage the signing key and the keys that are trusted",
    "schedule": "print a schedule for a backup every night",
    "explain": "explain an HRESULT, a name or an exit code",
    "help": "show this help, or that of a command",
}
HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
COMMON = "Common options"
"""The section of the options that all commands have."""

PREFIX = "WMBACKUP_"
"""How the variables begin that options are read from."""

MONITORING = ("log_file", "metrics_file", "on_success", "on_failure")
"""The parameters that say who is told of a run beside those who read its output."""

FROM_COMMAND_LINE = 3
"""How near a value is that stands on the command line; see `Session.given`."""

_RANKS = {
    ParameterSource.COMMANDLINE: FROM_COMMAND_LINE,
    ParameterSource.ENVIRONMENT: 2,
    ParameterSource.DEFAULT_MAP: 1,
}
_DEPRECATION = (
    "Microsoft has deprecated the interface that backs up Windows Media licenses in favor of"
    " PlayReady (https://www.microsoft.com/PlayReady/). Back up while it still answers."
)


class Option(click.Option):
    """An option that belongs to a section of the help and can come from the environment."""

    def __init__(
        self,
        *names: Any,  # noqa: ANN401 - those of click
        section: str = "Options",
        command_line_only: bool = False,
        configured: bool = True,
        from_environment: bool = True,
        known: tuple[str, ...] = (),
        **attributes: Any,  # noqa: ANN401 - as above
    ) -> None:
        """Take click's arguments, the section's title, and where else than there it is looked for.

        What is not ``configured`` cannot stand in the configuration. Of a value that can be
        anything, ``known`` are those that are usual.
        """
        super().__init__(*names, **attributes)
        self.section = section
        self.known = known
        self.configured = configured and not command_line_only
        if from_environment and not command_line_only:
            longest = max(self.opts, key=len).lstrip("-")
            self.envvar = PREFIX + longest.upper().replace("-", "_")


class Seconds(_FloatType):
    """A span of time in seconds, with or without zero."""

    name = "seconds"

    def __init__(self, *, zero: bool = True) -> None:
        """Say whether no time at all is one."""
        self._zero = zero

    def convert(
        self,
        value: Any,  # noqa: ANN401 - whatever click has
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read it. Raises click.BadParameter."""
        try:
            seconds = float(value)
        except (ValueError, OverflowError):
            seconds = math.nan
        if not 0 <= seconds < math.inf or (not seconds and not self._zero):
            least = ", 0 or more" if self._zero else " greater than 0"
            self.fail(f"{value} is not a number of seconds{least}", param, ctx)
        return min(seconds, threading.TIMEOUT_MAX)  # beyond it, waiting fails


class _Helpful:
    """Help that begins with an example and groups its options."""

    example: str | None = None
    _help: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Describe it as all options are described, and make it once.

        Old releases of click make another each time, and then do not see that it was given first.
        """
        if self._help is None:
            self._help = super().get_help_option(ctx)  # type: ignore[misc] # mixed into commands
            if self._help is not None:
                self._help.help = "show this help"
        return self._help

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, laid out for the terminal."""
        from wmbackup.cli.help_layout import HelpFormatter

        formatter = HelpFormatter()
        self.format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help."""
        if self.example is not None:
            formatter.write_text(f"Example: {self.example}")
            formatter.write_paragraph()
        super().format_help(ctx, formatter)  # type: ignore[misc] # mixed into click's commands

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands and the options by section; the common ones on the top level alone."""
        commands = getattr(self, "format_commands", None)
        if commands is not None:
            commands(ctx, formatter)
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):  # type: ignore[attr-defined] # as above
            record = param.get_help_record(ctx)
            section = getattr(param, "section", COMMON)
            if record is not None and (section != COMMON or ctx.parent is None):
                sections.setdefault(section, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if ctx.parent is not None:
            formatter.write_paragraph()
            formatter.write_text("Options that all commands have: wmbackup --help")


class Command(_Helpful, click.Command):
    """A command whose function takes the session first and returns its exit code."""

    def __init__(self, *arguments: Any, example: str | None = None, **attributes: Any) -> None:  # noqa: ANN401 - those of click
        """Take click's arguments, and an example for the help."""
        super().__init__(*arguments, **attributes)
        self.example = example
        self.params += common_options()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what was given. Raises click.UsageError, and UsageError for an option given twice.

        The parser itself takes the last of several values and keeps quiet about the others.
        """
        session = ctx.find_object(Session)
        if session is not None and session.before is not None and len(args) > 1:
            order = self.make_parser(ctx).parse_args(args=[*args])[2]
            session.before.refuse_repeated(order)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> ExitCode:
        """Run it with the session. Raises what `Before.prepare` raises, and the command."""
        session = ctx.find_object(Session)
        assert session is not None  # noqa: S101 - main made it
        assert session.before is not None  # noqa: S101 - as above
        session.settle()
        session.running = True
        session.params = ctx.params
        params = session.before.prepare(session, ctx)
        code: ExitCode = ctx.invoke(self.callback or _nothing, session, **params)
        return code


def _nothing(_session: Session) -> ExitCode:
    return ExitCode.OK


class Group(_Helpful, click.Group):
    """A group of commands that knows what a mistyped one may have meant."""

    command_class = Command

    def __init__(self, *arguments: Any, example: str | None = None, **attributes: Any) -> None:  # noqa: ANN401 - those of click
        """Take click's arguments, and an example for the help."""
        super().__init__(*arguments, **{"no_args_is_help": False, **attributes})
        self.example = example
        self.params += common_options()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises click.UsageError with what may have been meant."""
        name = args[0]
        if name not in self.list_commands(ctx):
            import difflib

            close = difflib.get_close_matches(name, self.list_commands(ctx))
            raise NoSuchCommand(name, close, ctx)
        return super().resolve_command(ctx, args)


class Program(Group):
    """The top: its commands are loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(
            f"wmbackup.cli.commands.{cmd_name}"
        ).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes and the deprecation."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), code.meaning) for code in ExitCode])
        formatter.write_paragraph()
        formatter.write_text(_DEPRECATION)


class NoSuchCommand(click.UsageError):
    """There is no such command; ``possibilities`` may have been meant."""

    def __init__(self, name: str, possibilities: list[str], ctx: click.Context) -> None:
        """Keep what was asked for and what comes close."""
        super().__init__(f"no such command: {name}", ctx)
        self.command_name = name
        self.possibilities = possibilities


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - whatever the option's type is
    session = ctx.find_object(Session)
    if session is None or param.name is None:
        return
    # A command's own place is nearer than the program's; a command line wins over both.
    rank = _RANKS.get(ctx.get_parameter_source(param.name) or ParameterSource.DEFAULT, 0)
    if rank and rank >= session.given.get(param.name, (0, None))[0]:
        session.given.pop(param.name, None)  # so that the last one comes last
        session.given[param.name] = (rank, value)


def _choose_profile(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ANN401 - as above
    """Read the configuration, now that it is known which of it counts: a command is to run.

    The parser comes here before it looks for options that are not on the command line.
    """
    _remember(ctx, param, value)
    session = ctx.find_object(Session)
    if session is None or session.before is None or isinstance(ctx.command, click.Group):
        return
    session.before.configure(session, ctx)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        click.echo(f"wmbackup {__version__}, archive format 1")
        ctx.exit()


def on_command_line(name: str) -> bool:
    """Whether a parameter of the command that runs was given on the command line."""
    ctx = click.get_current_context()
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def common_options() -> list[click.Parameter]:
    """Return the options that every command has."""

    def common(*names: str, help: str, **attributes: Any) -> Option:  # noqa: A002, ANN401 - click's names
        given = {"callback": _remember, **attributes}
        return Option(
            list(names),
            help=help,
            section=COMMON,
            expose_value=False,
            is_eager=True,
            **given,
        )

    return [
        # The first, since it says where the others may come from.
        common(
            "--profile",
            metavar="NAME",
            configured=False,
            callback=_choose_profile,
            help="use this profile of the configuration",
        ),
        common("--json", is_flag=True, help="print JSON Lines on standard output"),
        common("--quiet", is_flag=True, help="print only errors, warnings and what was asked for"),
        common("-v", "--verbose", count=True, help="show phases and statuses; twice: files too"),
        common("--debug", is_flag=True, help="show tracebacks"),
        common(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            help="when to use colors; auto is on a terminal",
        ),
        common(
            "--progress/--no-progress",
            "progress",
            default=None,
            help="show progress; without a terminal, a line now and then",
        ),
        common("--no-notice", is_flag=True, help="leave out the deprecation notice"),
        common("--no-input", is_flag=True, help="never ask"),
        common(
            "--lock-wait", type=Seconds(), default=0.0, metavar="S",
            help="seconds to wait for another run with the same store or destination",
        ),
        common(
            "--strict", is_flag=True,
            help="fail, and write no archive, where anything is skipped or restricted",
        ),
        common(
            "--version",
            is_flag=True,
            callback=_version,
            command_line_only=True,
            help="show the version and the archive formats",
        ),
    ]  # fmt: skip


def option(*names: str, **attributes: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - those of click
    """Declare an option of a command; its environment variable is ``WMBACKUP_`` and its name."""
    return click.option(*names, cls=Option, **attributes)


def command(
    name: str, example: str, short: str | None = None
) -> Callable[[Callable[..., ExitCode]], Command]:
    """Declare a command; ``short`` is its line in the help of its group."""

    def declare(function: Callable[..., ExitCode]) -> Command:
        declaration = click.command(
            name, cls=Command, example=example, short_help=short, context_settings=HELP
        )
        return declaration(function)

    return declare


@click.group(
    name="wmbackup",
    cls=Program,
    example="wmbackup backup --store sample -o licenses.wmbackup.tar",
    invoke_without_command=True,
    context_settings=HELP,
)
@click.pass_context
def program(ctx: click.Context) -> None:
    """Back up Windows Media DRM licenses into a signed archive that stock tools open."""
    from wmbackup.cli.help_layout import show_help_without_command

    show_help_without_command(ctx)

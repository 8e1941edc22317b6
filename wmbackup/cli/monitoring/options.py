"""The options that say who is told of a run beside those who read its output."""

from __future__ import annotations

from collections.abc import Callable

import click

from wmbackup.cli.click_ext import Option
from wmbackup.errors import ExitCode

_Function = Callable[..., ExitCode]


def monitoring_options(
    section: str,
) -> Callable[[Callable[..., ExitCode]], Callable[..., ExitCode]]:
    """Declare the options; `Command.invoke` takes their values, and the function gets none."""
    options = [
        Option(
            ["--log-file"], metavar="F", section=section,
            help="append one line an event to this file",
        ),
        Option(
            ["--metrics-file"], metavar="F", section=section,
            help="replace this file by metrics of the run, for Prometheus",
        ),
        Option(
            ["--on-success"], metavar="C", section=section, from_environment=False,
            help="run this command, without a shell, after exit code 0",
        ),
        Option(
            ["--on-failure"], metavar="C", section=section, from_environment=False,
            help="run this command, without a shell, after any other exit code",
        ),
    ]  # fmt: skip

    def declare(function: _Function) -> _Function:
        below: list[click.Parameter] = getattr(function, "__click_params__", [])
        function.__click_params__ = [*below, *reversed(options)]  # type: ignore[attr-defined] # as click keeps them
        return function

    return declare

"""What happens between the parser and a command: see `wmbackup.cli.session.Before`.

The command tree reaches this through the session, so that it does not depend on what looks at it.
"""

from __future__ import annotations

from typing import Any

import click

from wmbackup.cli import mistakes, settings
from wmbackup.cli.click_ext import MONITORING
from wmbackup.cli.mistakes import refuse_repeated
from wmbackup.cli.session import Session
from wmbackup.errors import UsageError, WmbackupError

__all__ = ["configure", "prepare", "refuse_repeated"]

_WITHOUT_CONFIGURATION = {"check", "explain", "help"}  # they work where it is broken


def configure(session: Session, ctx: click.Context) -> None:
    """Put what the configuration says for a command in force.

    Raises ConfigInvalid, SetupUnusable, SystemFailure, and UsageError for a profile that is
    nowhere.
    """
    try:
        ctx.default_map = settings.defaults(session, ctx)
    except WmbackupError as error:
        is_of_profile = type(error) is UsageError
        if is_of_profile or ctx.command.name not in _WITHOUT_CONFIGURATION:
            raise
        session.config_error = error


def prepare(session: Session, ctx: click.Context) -> dict[str, Any]:
    """Look at what was given, and begin to monitor; return the parameters that are left.

    Raises UsageError for a path that cannot be meant, SetupUnusable for a command that others
    could change.
    """
    mistakes.warn_of_strange_variables(session, ctx)
    mistakes.warn_of_strange_values(session, ctx)
    params = _monitored(session, ctx)
    mistakes.refuse_impossible(ctx)
    return params


def _monitored(session: Session, ctx: click.Context) -> dict[str, Any]:
    params = {name: value for name, value in ctx.params.items() if name not in MONITORING}
    wanted = {name: ctx.params.get(name) for name in MONITORING}
    if any(value is not None for value in wanted.values()):
        from wmbackup.cli.monitoring.monitor import Monitor

        mistakes.refuse_impossible(ctx, MONITORING)
        if not params.get("dry_run"):
            session.monitor = Monitor(session, wanted)
            session.monitor.begin()
    return params

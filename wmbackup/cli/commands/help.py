"""``wmbackup help``."""

from __future__ import annotations

import click

from wmbackup.cli.click_ext import command as declare
from wmbackup.cli.session import Session
from wmbackup.errors import ExitCode, UsageError


@declare("help", example="wmbackup help backup")
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
def command(session: Session, words: tuple[str, ...]) -> ExitCode:
    """Show the help of wmbackup or of a command.

    wmbackup COMMAND -h prints the same.
    """
    if session.common.json:
        raise UsageError("help is text and has no JSON form", hint="wmbackup help")
    ctx = click.get_current_context().find_root()
    found = ctx.command
    for word in words:
        below = None
        if isinstance(found, click.Group):
            _, below, _ = found.resolve_command(ctx, [word])
        if below is None:
            raise UsageError(
                f"{ctx.command_path} has no commands below it", hint=f"{ctx.command_path} --help"
            )
        ctx = click.Context(below, info_name=word, parent=ctx)
        found = below
    session.data_on_stdout = True
    session.stdout.write(found.get_help(ctx))
    return ExitCode.OK

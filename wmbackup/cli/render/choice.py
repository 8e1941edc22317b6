"""Which renderer a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wmbackup.cli.render.output import Output
    from wmbackup.cli.session import Session


def make_output(session: Session) -> Output:
    """Return the renderer for programs or for people; its libraries are loaded now."""
    if session.common.json:
        from wmbackup.cli.render.json_lines import JsonLines

        return JsonLines(session)
    from wmbackup.cli.render.terminal import Terminal

    return Terminal(session)

"""What a run has said so far, for those who want to know without reading its output.

A renderer tells the record of each event, warning, error and of the result. `Follower`s hear of
them at once; the notice, the metrics and the hooks read them when the run ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wmbackup.cli.render.output import Result
    from wmbackup.errors import WmbackupError
    from wmbackup.status import Event


class Follower(Protocol):
    """Who hears what a run says, in its order; `event` may come on another thread."""

    def event(self, event: Event) -> None:
        """Hear of a step of an operation."""

    def warning(self, code: str, message: str, hint: str | None) -> None:
        """Hear of a warning."""

    def error(self, error: WmbackupError, hint: str | None) -> None:
        """Hear of an error."""


class Record:
    """The result and the last error of a run, and who follows it."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.result: Result = None
        self.last_error: WmbackupError | None = None
        self.followers: list[Follower] = []

    def event(self, event: Event) -> None:
        """Tell the followers of a step of an operation."""
        for one in self.followers:
            one.event(event)

    def warning(self, code: str, message: str, hint: str | None) -> None:
        """Tell the followers of a warning."""
        for one in self.followers:
            one.warning(code, message, hint)

    def error(self, error: WmbackupError, hint: str | None) -> None:
        """Keep an error, and tell the followers of it."""
        self.last_error = error
        for one in self.followers:
            one.error(error, hint)

"""The documented statuses, put between the events of the engine."""

from __future__ import annotations

from wmbackup.status import (
    Event,
    ItemEvent,
    Notify,
    Phase,
    PhaseEvent,
    Status,
    StatusEvent,
    WithheldEvent,
)


class Statuses:
    """Puts the documented statuses between the engine's events.

    BEGIN comes at most once, END once if BEGIN came. A store that has statuses of its own is
    passed on as it speaks; what it leaves open is ended here.
    """

    def __init__(self, notify: Notify, *, silent: bool, begins: Phase) -> None:
        """Speak to a callback; BEGIN comes with the phase ``begins``, nothing where ``silent``."""
        self._notify = notify
        self._silent = silent
        self._begins = begins
        self._begun = False
        self._ended = False
        self._connected = False

    def pass_on(self, event: Event) -> None:
        """Pass an event of the engine on, after the status that goes before it."""
        if isinstance(event, ItemEvent):
            pass  # by far the most, and no status belongs to them
        elif isinstance(event, StatusEvent):
            self._begun = self._begun or event.status is Status.BACKUPRESTORE_BEGIN
            self._ended = self._ended or event.status is Status.BACKUPRESTORE_END
        elif not self._silent:
            self._translate(event)
        self._notify(event)

    def _translate(self, event: Event) -> None:
        if isinstance(event, WithheldEvent):
            self._say(Status.RESTRICTED_LICENSE, value=event.license.kid)
        elif isinstance(event, PhaseEvent):
            if event.phase is Phase.AUTHENTICATING:
                self._connected = True
                self._say(Status.BACKUPRESTORE_CONNECTING)
            elif self._connected:
                self._connected = False
                self._say(Status.BACKUPRESTORE_DISCONNECTING)
            if event.phase is self._begins and not self._begun:
                self._begun = True
                self._say(Status.BACKUPRESTORE_BEGIN)

    def end(self, hresult: int) -> None:
        """Say the last status: END where BEGIN was said, or ERROR where that failed."""
        if self._ended or (self._silent and not self._begun):
            return
        if self._begun:
            self._say(Status.BACKUPRESTORE_END, hresult)
        elif hresult:
            self._say(Status.ERROR, hresult)

    def _say(self, status: Status, hresult: int = 0, value: str | None = None) -> None:
        self._notify(StatusEvent(status, hresult, value))

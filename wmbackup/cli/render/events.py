"""The sentences for what an operation reports while it works."""

from __future__ import annotations

from wmbackup.cli.render.sanitize import shown, visible
from wmbackup.quoting import elided, quoted
from wmbackup.status import LeftOutEvent, PhaseEvent, SkipEvent, StatusEvent, WithheldEvent

_LONGEST_PATH = 400  # characters of a path in a message


def step_of(event: PhaseEvent | StatusEvent) -> str:
    """Return which phase began, or which status the interface reported."""
    if isinstance(event, PhaseEvent):
        return f"phase: {event.phase.value}"
    value = "" if event.value is None else f": {visible(str(event.value))}"
    failed = f" failed with 0x{event.hresult:08X}" if event.hresult else ""
    return f"status: {event.status.documented_name} ({int(event.status)}){failed}{value}"


def about(event: SkipEvent | LeftOutEvent) -> str:
    """Return which file is not carried, and why."""
    return f"{elided(shown(event.path), _LONGEST_PATH)}: {event.reason}"


def restricted(event: WithheldEvent) -> str:
    """Return which license may not be backed up."""
    known = event.license
    where = "a license" if known.path is None else elided(shown(known.path), _LONGEST_PATH)
    title = known.attributes.get("Title")
    facts = [f"key ID {quoted(visible(known.kid))}"] if known.kid else []
    facts += [f"title {quoted(visible(title))}"] if title else []
    return f"{where}: its issuer forbids the backup" + (f" ({', '.join(facts)})" if facts else "")

"""Plan a backup, print what happens, and stop it from another thread if need be."""

from __future__ import annotations

import threading

from wmbackup.engine import plan_backup
from wmbackup.status import Control, Event, ItemEvent, PhaseEvent, WithheldEvent
from wmbackup.stores.sample import SampleStore

stop = threading.Event()  # when another thread sets it, the operation raises Cancelled


def listen(event: Event) -> None:
    """Print one event."""
    if isinstance(event, PhaseEvent):
        print(event.phase.value, event.items)
    elif isinstance(event, ItemEvent):
        print(event.index, event.path.decode(), event.size, "bytes")
    elif isinstance(event, WithheldEvent):
        print("withheld:", event.license.attributes["Title"])


if __name__ == "__main__":
    plan = plan_backup(SampleStore(), None, Control(listen, stop.is_set))
    print(plan.files, "files,", len(plan.withheld), "license withheld")

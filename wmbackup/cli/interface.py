"""What `check` says of the Windows Media interface, and of a store."""

from __future__ import annotations

import os
from collections.abc import Iterator

from wmbackup.cli.part import runner
from wmbackup.cli.paths import parse_store
from wmbackup.cli.render import next_steps
from wmbackup.cli.render.output import CheckRow, State
from wmbackup.cli.render.sanitize import count
from wmbackup.errors import ExitCode, StoreUnavailable, TimedOut
from wmbackup.hresult import InterfaceError
from wmbackup.status import Control
from wmbackup.stores.base import Store
from wmbackup.stores.windows import store as windows
from wmbackup.stores.windows.findings import Finding, findings


def interface_rows() -> Iterator[CheckRow]:
    """Say what this system can do with its own licenses."""
    try:
        binding = windows.documented_binding(runner())
    except StoreUnavailable:
        message = "the Windows Media interface exists on Windows only; elsewhere drm:PATH is read"
        yield CheckRow("interface", State.OK, message)
        return
    for found in findings(binding.machine(), binding.probe_apart or binding.probe):
        yield CheckRow(found.name, _state(found), found.message, _remedy(found), found.exit_code)


def _remedy(found: Finding) -> str | None:
    return None if found.trouble is None else next_steps.of_warning(found.warning)


def _state(found: Finding) -> State:
    if found.exit_code is not ExitCode.OK:
        return State.FAILED
    return State.OK if found.trouble is None else State.WARNING


def store_row(text: str, control: Control) -> CheckRow:
    """Say what a store holds. Raises as reading it does."""
    store = parse_store(text, control=control)
    if store.gives_statuses:  # whose export would be a whole backup
        return _live_row(store, control)
    with store.export(control) as export:
        message = f"{store.kind} store {store.location}: {count(len(export.paths), 'file')}"
        if export.skipped:
            first = os.fsdecode(export.skipped[0].path)
            message += f", {len(export.skipped)} that cannot be carried, such as {first}"
            return CheckRow("store", State.WARNING, message, "see wmbackup backup --dry-run")
    return CheckRow("store", State.OK, message)


def _live_row(store: Store, control: Control) -> CheckRow:
    try:
        licenses = sum(1 for _ in store.licenses(control))
    except (StoreUnavailable, InterfaceError, TimedOut) as error:
        # It backs up all the same, only without naming what.
        message = f"{store.location}: its licenses cannot be listed: {error.message}"
        return CheckRow("store", State.WARNING, message, next_steps.of_error(error))
    return CheckRow("store", State.OK, f"{store.location}: {count(licenses, 'license')}")

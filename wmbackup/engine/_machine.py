"""Where a run takes place: on which machine, and beside which other runs."""

from __future__ import annotations

import platform

from wmbackup.storage.files import resolved
from wmbackup.stores.base import Store


def host_name() -> str:
    """Return the name of this machine."""
    return platform.node() or "unknown"


def lock_subject(store: Store) -> str | None:
    """Return what keeps two runs off the same store, None where nothing has to."""
    if store.root is not None:
        return resolved(store.root)
    return store.location if store.gives_statuses else None

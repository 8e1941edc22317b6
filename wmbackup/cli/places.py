"""STORE on the command line: which store a word or a path means."""

from __future__ import annotations

import os
import sys

from wmbackup.errors import StoreUnavailable, UsageError
from wmbackup.stores.base import Store

KINDS = "sample, folder:PATH, or a path"


def parse_store(text: str | None, *, option: str = "--store") -> Store:
    """Return the store that is meant; a path need not exist.

    Raises UsageError where none is given, StoreUnavailable for one that this system has not.
    """
    if text is None:
        raise UsageError(f"{option} is missing", hint=f"it takes {KINDS}")
    if text == "sample":
        from wmbackup.stores.sample import SampleStore  # noqa: PLC0415 - one store is loaded

        return SampleStore()
    if text == "windows":
        raise StoreUnavailable(
            "the windows store is not available here",
            hint="copy the DRM folder of the Windows disk, and name it as folder:PATH",
        )
    from wmbackup.stores.folder import FolderStore  # noqa: PLC0415 - one store is loaded

    path = text.removeprefix("folder:")
    if not path:
        raise UsageError(f"{option} names no folder", hint=f"it takes {KINDS}")
    return FolderStore(path)


def is_store(text: str) -> bool:
    """Whether a word means a store, and not an archive."""
    return text in {"sample", "windows"} or text.startswith("folder:") or os.path.isdir(text)


def standard_input() -> object:
    """Return standard input as bytes."""
    return sys.stdin.buffer

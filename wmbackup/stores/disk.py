"""Where Windows keeps its DRM folder, for those who name a whole disk."""

from __future__ import annotations

import os
import stat

from wmbackup.errors import SystemFailure, UsageError
from wmbackup.stores.layouts import DRM, find_layout
from wmbackup.stores.tree import encode
from wmbackup.stores.trouble import is_of_file

# %ProgramData% since Vista, %ALLUSERSPROFILE% before.
_PLACES = (
    ("ProgramData", "Microsoft", "Windows", "DRM"),
    ("Documents and Settings", "All Users", "DRM"),
)


def drm_folder(disk: str) -> str | None:
    """Return the DRM folder on a disk of Windows that is named by its root; None where none is.

    Links are not followed: those of Windows lead from the old place to the new one. Raises
    UsageError where licenses are in both, as an upgrade leaves them, SystemFailure.
    """
    if not any(_is_folder(os.path.join(disk, place[0])) for place in _PLACES) or _is_store(disk):
        return None
    places = (_descend(disk, place) for place in _PLACES)
    found = [place for place in places if place is not None and _is_store(place)]
    if len(found) > 1:
        raise UsageError(
            f"{disk} has two DRM folders: {' and '.join(found)}",
            hint="back them up one by one: --store drm:PATH",
        )
    return found[0] if found else None


def _descend(folder: str, names: tuple[str, ...]) -> str | None:
    """Go down by names in any case, as NTFS takes them."""
    for wanted in names:
        paths = (os.path.join(folder, name) for name in _names(folder))
        same = (path for path in paths if os.path.basename(path).lower() == wanted.lower())
        below = next(filter(_is_folder, same), None)
        if below is None:
            return None
        folder = below
    return folder


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        if not is_of_file(error):
            raise SystemFailure.of(error, "list the folder", folder) from error
        return []


def _is_folder(path: str) -> bool:
    try:
        status = os.lstat(path)
    except OSError as error:
        if not is_of_file(error):
            raise SystemFailure.of(error, "look at", path) from error
        return False
    # A junction of Windows is a folder to Python 3.11.
    return stat.S_ISDIR(status.st_mode) and not getattr(status, "st_reparse_tag", 0)


def _is_store(folder: str) -> bool:
    return find_layout(map(encode, _names(folder))) is DRM

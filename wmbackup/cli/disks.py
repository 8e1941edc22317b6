"""Choose the store that the path of a disk means, or name all that it can mean."""

from __future__ import annotations

from collections.abc import Iterable

from wmbackup.cli.render.hints import with_value
from wmbackup.errors import StoreUnavailable, UsageError
from wmbackup.quoting import elided
from wmbackup.status import Control
from wmbackup.stores.disk import Findings, search
from wmbackup.stores.layouts import DRM, FOLDER

_NAMED = 20  # folders that a message names
_OFFERED = 3  # stores of several kinds that a hint has a whole command for


def choose(path: str, option: str, control: Control, *, is_forced: bool) -> str:
    """Return the folder that a path means: itself, or the only DRM folder below it.

    ``is_forced`` says that ``drm:`` is before the path. Raises UsageError where several folders can
    be meant, StoreUnavailable for a Windows disk without any, Cancelled, SystemFailure.
    """
    found = search(path, control, thorough=not is_forced)
    if is_forced:
        if found.layout is DRM or not found.folders:
            return path
        return _only(path, found.folders, (), option)
    if not (found.is_windows or found.is_named):
        return path
    if found.layout is not FOLDER:
        own = (f"{found.layout.kind}:{path}",)
        return _only(path, found.folders, own, option) if found.folders else path
    if not found.folders:
        raise _nothing(path, found, option)
    whole = (f"folder:{path}",) if found.is_mixed and not found.is_windows else ()
    return _only(path, found.folders, whole, option)


def _only(path: str, folders: tuple[str, ...], others: tuple[str, ...], option: str) -> str:
    """Return the only folder. Raises UsageError where others, or other stores, can be meant."""
    if len(folders) == 1 and not others:
        return folders[0]
    number = "a DRM folder" if len(folders) == 1 else f"{len(folders):,} DRM folders"
    alone = "is a store, and " if others and not others[0].startswith("folder:") else ""
    stores = (*others, *map("drm:{}".format, folders))
    raise UsageError(
        f"{path} {alone}has {number} below it: {_listed(folders)}",
        hint=f"name the one to use, for example: {with_value(option, stores[0])}"
        if not others
        else ", or ".join(with_value(option, store) for store in stores[:_OFFERED]),
    )


def _nothing(path: str, found: Findings, option: str) -> StoreUnavailable:
    hint = f"to take all files below it: {with_value(option, f'folder:{path}')}"
    if found.backups:
        backup = with_value(option, f"bak:{found.backups[0]}")
        hint = f"there is a license backup on it, {_listed(found.backups)}: {backup}; {hint}"
    message = f"{path} looks like a Windows disk, and no DRM folder with licenses is on it"
    if found.empty:
        message += f"; this one has none: {_listed(found.empty)}"
    return StoreUnavailable(message, hint=hint)


def _listed(paths: Iterable[str]) -> str:
    named = [elided(path, 400) for path in paths]
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more

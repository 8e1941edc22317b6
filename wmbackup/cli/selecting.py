"""The options that select licenses and files, the same for `list` and `restore`."""

from __future__ import annotations

import os

from wmbackup.engine import Selection


def selection_of(
    kids: tuple[str, ...], titles: tuple[str, ...], paths: tuple[str, ...]
) -> Selection:
    """Return the selection that options name; on Windows a backslash can be a separator too."""
    if os.name == "nt":
        paths += tuple(path.replace("\\", "/") for path in paths if "\\" in path)
    return Selection(kids, titles, tuple(map(os.fsencode, paths)))

"""Wildcards in the names of files where the shell leaves them to the program: on Windows."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable

_WILD = re.compile(r"[*?]")  # cmd and PowerShell know no brackets there, which names may have


def expanded(paths: Iterable[str]) -> list[str]:
    """Return the files that are meant, in order of their names; elsewhere what is given.

    What names no file is kept as it is, so that the error about it names it.
    """
    if os.name != "nt":
        return [*paths]
    found: list[str] = []
    for path in paths:
        is_wild = _WILD.search(path) is not None and not path.startswith("\\\\?\\")
        found += (is_wild and sorted(glob.glob(path.replace("[", "[[]")))) or [path]
    return found

"""How wide the terminal is, within bounds: what says so may be broken, or mean it as a joke."""

from __future__ import annotations

import os
from typing import TextIO

NARROWEST = 20
"""Columns below which text is laid out as for this many, and no bar is drawn."""

WIDEST = 500
"""Columns beyond which nothing becomes any wider."""

_USUAL = 80


def columns(stream: TextIO) -> int:
    """Return how many columns the terminal behind a stream says that it has.

    ``COLUMNS`` overrules it, and 80 is for one that does not say.
    """
    try:
        wanted = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        wanted = 0
    if wanted <= 0:
        try:
            wanted = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError, AttributeError):
            wanted = 0
    return wanted if wanted > 0 else _USUAL


def width(stream: TextIO) -> int:
    """Return for how many columns text on a stream is laid out."""
    return min(max(columns(stream), NARROWEST), WIDEST)

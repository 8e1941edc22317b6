"""Text on its way to a stream: broken between words on a terminal, as it is elsewhere."""

from __future__ import annotations

import contextlib
import textwrap
from typing import TextIO

from wmbackup.cli.render.screen import width
from wmbackup.cli.session import is_terminal

_READABLE = 30  # columns below which text is not indented as far as its label


def wrapped(label: str, text: str, stream: TextIO) -> str:
    """Return a label and a text, on a terminal broken between words and indented below itself.

    Words stay whole: they are paths, fingerprints and commands that somebody may copy.
    """
    if not is_terminal(stream):
        return label + text
    columns = width(stream)
    if len(label) + len(text) < columns and text == text.strip():
        return label + text  # as most texts, and a store can have a thousand of them
    indent = len(label) if columns - len(label) >= _READABLE else min(len(label), 2)
    lines = textwrap.wrap(
        text,
        columns - 1,
        initial_indent=label,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or label


def write_line(stream: TextIO, text: str) -> None:
    """Write a line to standard error, unless it is gone, full or closed: nobody is there then."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        stream.write(text + "\n")
        stream.flush()

"""How help is laid out: for the width of the terminal, and broken only between words.

click lays help out for 50 columns at least, and breaks words that are longer than a line; options
and commands are meant to be copied.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable

import click

from wmbackup.cli.render.screen import width
from wmbackup.cli.session import Session

_WIDEST = 100
_READABLE = 24
"""Columns that a text needs beside something else; with fewer it goes below."""

_TERM = 28
"""Columns that the names of options take at most beside their texts."""

# Alternatives, such as FILE|FOLDER|- or [auto|always|never], may be broken behind a bar.
_BAR = re.compile(r"(?<=\|)(?=[^\s|])")


class HelpFormatter(click.HelpFormatter):
    """Writes help into memory."""

    def __init__(self, columns: int | None = None) -> None:
        """Lay out for a terminal of so many columns, or for that of standard output."""
        if columns is None:
            columns = width(sys.stdout) if sys.stdout is not None else _WIDEST
        super().__init__(width=min(columns, _WIDEST) - 1)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the line that begins with ``Usage:``."""
        start = f"{prefix or 'Usage: '}{prog} "
        indent = len(start) if self.width - len(start) >= _READABLE else 4
        self._fill(start + args, "", " " * indent)

    def write_text(self, text: str) -> None:
        """Write paragraphs, which blank lines separate."""
        indent = " " * self.current_indent
        for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
            if number:
                self.write("\n")
            self._fill(paragraph, indent, indent)

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = _TERM, col_spacing: int = 2
    ) -> None:
        """Write names and their texts, beside each other where there is room for that."""
        rows = list(rows)
        before = " " * self.current_indent
        column = min(max((len(name) for name, _ in rows), default=0), col_max) + col_spacing
        beside = self.width - self.current_indent - column >= _READABLE
        indent = " " * (self.current_indent + (column if beside else 4))
        for name, text in rows:
            if beside and len(name) + col_spacing <= column:
                self._fill(text, f"{before}{name}".ljust(len(indent)), indent)
            else:
                self._fill(name, before, f"{before}    ")
                if text:
                    self._fill(text, indent, indent)

    def _fill(self, text: str, first: str, others: str) -> None:
        lines = textwrap.wrap(
            _breakable(" ".join(text.split()), self.width - len(others)),
            self.width,
            initial_indent=first,
            subsequent_indent=others,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [first.rstrip()]:
            self.write(f"{_joined(line)}\n")


_BREAK = "\u200b "
"""Where a long word may be broken, and is put together again where it was not."""


def _breakable(text: str, room: int) -> str:
    words = (_BAR.sub(_BREAK, word) if len(word) > room else word for word in text.split(" "))
    return " ".join(words)


def _joined(line: str) -> str:
    return line.replace(_BREAK, "").rstrip("\u200b")


def show_help_without_command(ctx: click.Context) -> None:
    """Print the help of a group that was called alone. Raises click.UsageError with --json."""
    if ctx.invoked_subcommand is not None:
        return
    session = ctx.find_object(Session)
    if session is not None and session.common.json:
        raise click.UsageError("no command was given", ctx)
    click.echo(ctx.get_help())

"""The completions of the shells: static files that start no Python.

Each shell is told the same of every command: its options, what the value of an option can be,
its commands and its operands. What can be given is written as words, and as ``@archives``,
``@stores``, ``@files`` and ``@folders``, which the shell looks up; ``@nothing`` is a value of
which nothing is known.
"""

from __future__ import annotations

from man import bash, fish, powershell, zsh
from man.model import Page
from man.tables import Tables


def every(program: Page) -> dict[str, str]:
    """Return the completions by file name."""
    tables = Tables(program)
    return {
        "wmbackup.bash": bash.completion(tables),
        "_wmbackup": zsh.completion(tables),
        "wmbackup.fish": fish.completion(tables),
        "wmbackup.ps1": powershell.completion(tables),
    }

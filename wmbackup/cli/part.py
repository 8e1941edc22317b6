"""The hidden command that runs a part of the Windows Media interface in a process of its own.

It is this same program again, so that it works where the program is a single executable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import wmbackup
from wmbackup.cli import PART
from wmbackup.stores.windows.child import Runner, starter

# Nothing of the current folder has a say in what runs there.
_BEGIN = (
    "import sys; sys.path.append(sys.argv.pop(1)); from wmbackup.cli import main; sys.exit(main())"
)


def runner() -> Runner:
    """Return what starts this program again."""
    if getattr(sys, "frozen", False):
        return starter([sys.executable, PART])
    package = os.path.dirname(os.path.dirname(wmbackup.__file__))
    return starter([sys.executable, "-X", "utf8", "-P", "-c", _BEGIN, package, PART])


def answer(arguments: Sequence[str]) -> int:
    """Be the other process."""
    if sys.platform != "win32":
        return 2
    else:  # noqa: RET505 (mypy reads it so)
        from wmbackup.stores.windows import part

        return part.answer(arguments)

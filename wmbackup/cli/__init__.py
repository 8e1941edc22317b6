"""The command line."""

from __future__ import annotations

import gc
import sys

from wmbackup.cli.signals import Interrupted, handled

TYPE_CHECKING = False  # what is loaded here is loaded before a Ctrl-C is heard
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code; see the manual."""
    is_program = arguments is None
    if is_program:
        # Next to nothing here forms cycles; to look for them took 3 % of listing 100,000 files.
        gc.set_threshold(100_000)
    # The module of the command `list` hides the type of that name here as soon as it is loaded.
    arguments = [*(sys.argv[1:] if arguments is None else arguments)]
    try:
        with handled(to_the_end=is_program):
            # Loading takes most of a short run, and a signal may come in the midst of it.
            from wmbackup.cli.run import run

            return run(arguments)
    except Interrupted as signal:
        return signal.exit_code
    finally:
        if is_program:
            # Python looks for cycles once more when it ends, which took 12 ms of every command.
            gc.freeze()

"""The command line."""

from __future__ import annotations

import gc
import sys

from wmbackup.cli.signals import Interrupted, handled

PART = "windows-part"
"""The hidden command with which this program runs a part of itself in a process of its own."""

TYPE_CHECKING = False  # what is loaded here is loaded before a Ctrl-C is heard
if TYPE_CHECKING:
    from collections.abc import Sequence


def _failed(reason: str) -> int:
    """Say why there is no program, or none any more."""
    if sys.stderr is not None:
        sys.stderr.write(f"wmbackup: error: {reason}\n")
    return 1


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
            try:
                if arguments[:1] == [PART]:
                    from wmbackup.cli.part import answer

                    return answer(arguments[1:])
                from wmbackup.cli.program import run
            except (ImportError, MemoryError, SystemError, OSError) as error:
                return _failed(
                    f"the program cannot be loaded: {str(error) or type(error).__name__}"
                )
            try:
                return run(arguments)
            except (MemoryError, SystemError):  # which came again when it was to be told
                return _failed("there is not enough memory")
    except Interrupted as signal:
        return signal.exit_code
    finally:
        if is_program:
            # Python looks for cycles once more when it ends, which took 12 ms of every command.
            gc.freeze()

"""Work that is shared among forked processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any


def forked(work: Callable[[int], dict[str, Any]], jobs: int) -> list[dict[str, Any]]:
    """Call ``work(number)`` in so many processes; return what each came to.

    What it returns goes through JSON. One that fails says so on standard error and ends all. None
    outlives this call.
    """
    children: list[int] = []
    try:
        return _collect(work, jobs, children)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _collect(
    work: Callable[[int], dict[str, Any]], jobs: int, children: list[int]
) -> list[dict[str, Any]]:
    """Do so; ``children`` holds those that run."""
    readers = []
    sys.stdout.flush()
    for number in range(jobs):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(reader)
                with os.fdopen(writer, "w") as file:
                    json.dump(work(number), file)
                code = 0
            except BaseException:  # noqa: BLE001 - what a child lets out is what its parent has to see
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writer)
        children.append(child)
        readers.append((reader, child))
    found = []
    failed = False
    for reader, child in readers:
        with os.fdopen(reader) as file:
            text = file.read()
        _, status = os.waitpid(child, 0)
        children.remove(child)
        failed = failed or status != 0
        if status == 0:
            found.append(json.loads(text))
    if failed:
        raise SystemExit("a process of the harness failed")
    return found
